package workflows_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

type activityStarted = activity.Info

// updateAnswer is what whoever sends an update hears.
type updateAnswer struct {
	t         *testing.T
	accepted  bool
	completed bool
	result    wire.StepState
	err       error
}

func (a *updateAnswer) Accept()          { a.accepted = true }
func (a *updateAnswer) Reject(err error) { a.err = err }
func (a *updateAnswer) Complete(result any, err error) {
	a.completed, a.err = true, err
	if err == nil {
		state, ok := result.(wire.StepState)
		require.True(a.t, ok, "%T", result)
		a.result = state
	}
}

func TestTheQueryTellsWhereStepsAre(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b", "child<a,b", "grandchild<child").does(isHeld, "a", "b")
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Equal(t, wire.StepsQueryResult{RunID: "r1", Status: wire.RunStarted, Steps: []wire.StepState{
			{Step: "a", Status: wire.StepRunning},
			{Step: "b", Status: wire.StepRunning},
			{Step: "child", Status: wire.StepWaiting, WaitingFor: []string{"a", "b"}},
			{Step: "grandchild", Status: wire.StepWaiting, WaitingFor: []string{"child"}},
		}}, e.steps())
		e.completeAll("b")
	})
	e.after(2*time.Minute, func() {
		require.Equal(t, []wire.StepState{
			{Step: "child", Status: wire.StepWaiting, WaitingFor: []string{"a"}},
			{Step: "grandchild", Status: wire.StepWaiting, WaitingFor: []string{"child"}},
		}, e.steps(payload(`{"status":"WAITING"}`)).Steps)
		require.Equal(t, []wire.StepState{{Step: "b", Status: wire.StepSuccess}}, e.steps(wire.StepsQueryInput{Status: wire.StepSuccess}).Steps)
		require.Equal(t, []wire.StepState{}, e.steps(payload(`{"status":"FAILED"}`)).Steps)
		require.Len(t, e.steps(payload(`{}`)).Steps, 4)
		e.completeAll("a")
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, e.steps().Status, "a closed run still answers")
}

func TestABadQueryIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	e := w.environment(t)
	_, err := e.run(everything())
	require.NoError(t, err)
	for argument, says := range map[string]string{
		`{"state":"RUNNING"}`:  `unknown field "state"`,
		`{"status":"RUNING"}`:  `no step has the status "RUNING"`,
		`{"status":7}`:         "must be a string",
		`null`:                 "must not be null",
		`[]`:                   "must be a JSON object",
		`{"status":"running"}`: "RUNNING",
	} {
		_, err := e.QueryWorkflow(wire.StepsQuery, payload(argument))
		require.ErrorContains(t, err, "invalid query: ", argument)
		require.ErrorContains(t, err, says, argument)
	}
}

// details are what Temporal's Web UI shows of the run.
func (e *environment) details() string {
	e.t.Helper()
	answer, err := e.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(e.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(e.t, answer.Get(&metadata))
	return metadata.GetCurrentDetails()
}

func TestTheDetailsSayStatusAndReasonFirst(t *testing.T) {
	t.Parallel()
	w := newWorld("done", "bad", "left<bad", "a", "b", "c", "child<a,b", "many<done,a,b,c,child")
	w.does(fails("no such column\nat line 3"), "bad").does(isHeld, "a", "b", "c")
	w.walk.Limits.MaxConcurrentSteps = 2
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Equal(t, "**STARTED** a step failed; what does not need it goes on\n\n"+
			"| done | running | waiting | failed | skipped | cancelled |\n|---|---|---|---|---|---|\n"+
			"| 1 of 8 | 2 | 3 | 1 | 1 | 0 |\n"+
			"\n**Failed**\n\n- `bad`: no such column\n"+
			"\n**Running** `a`, `b`\n"+
			"\n**Waiting**\n\n- `child` for `a`, `b`\n- `many` for `a`, `b`, `c` and others\n", e.details())
		e.completeAll("a", "b")
	})
	e.after(2*time.Minute, func() { e.completeAll("c") })
	_, err := e.run(everything())
	require.ErrorContains(t, err, wire.FailureRunFailed)
	require.Equal(t, "**FAILURE** \n\n"+
		"| done | running | waiting | failed | skipped | cancelled |\n|---|---|---|---|---|---|\n"+
		"| 6 of 8 | 0 | 0 | 1 | 1 | 0 |\n"+
		"\n**Failed**\n\n- `bad`: no such column\n", e.details())
}

func TestTheDetailsSayWhatKeepsReadySteps(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b", "c").does(isHeld, "a")
	w.walk.Limits.MaxConcurrentSteps = 1
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.True(t, strings.HasPrefix(e.details(), "**STARTED** 2 steps are ready and wait for the limit of 1 steps at once\n"), e.details())
		e.completeAll("a")
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(e.details(), "**SUCCESS** \n"), e.details())
}

func TestTheDetailsStayShort(t *testing.T) {
	t.Parallel()
	var steps, bad []string
	for letter := range strings.SplitSeq("abcdefghijklmnopqrst", "") {
		bad = append(bad, "bad_"+letter)
		steps = append(steps, "bad_"+letter, "held_"+letter, "child_"+letter+"<held_"+letter)
	}
	w := newWorld(steps...).does(fails(strings.Repeat("é", 100_000)), bad...)
	for _, step := range steps {
		if strings.HasPrefix(step, "held_") {
			w.does(isHeld, step)
		}
	}
	e := w.environment(t)
	e.after(time.Minute, func() {
		details := e.details()
		require.Less(t, len(details), 8000)
		require.Equal(t, 5, strings.Count(details, "- `bad_"))
		require.Contains(t, details, "`held_h` and 12 more\n")
		require.Equal(t, 8, strings.Count(details, "- `child_"))
		e.CancelWorkflow()
	})
	_, err := e.run(everything())
	require.Equal(t, 40, canceled(t, err).Steps.Canceled)
}

// upserts notes the search attributes that a run sets.
type upserts struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	interceptor.WorkflowOutboundInterceptorBase
	sets [][]temporal.SearchAttributeUpdate
}

func (u *upserts) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	u.WorkflowInboundInterceptorBase.Next = next
	return u
}

func (u *upserts) Init(outbound interceptor.WorkflowOutboundInterceptor) error {
	u.WorkflowOutboundInterceptorBase.Next = outbound
	return u.WorkflowInboundInterceptorBase.Next.Init(u)
}

func (u *upserts) UpsertTypedSearchAttributes(ctx workflow.Context, set ...temporal.SearchAttributeUpdate) error {
	u.sets = append(u.sets, set)
	return u.WorkflowOutboundInterceptorBase.Next.UpsertTypedSearchAttributes(ctx, set...)
}

func TestOnlySearchAttributesThatExistAreSet(t *testing.T) {
	t.Parallel()
	all := []string{wire.SearchJob, wire.SearchStatus, wire.SearchCause, wire.SearchAssets}
	for name, test := range map[string]struct {
		attributes []string
		job        string
		want       map[string]any
	}{
		"none":                             {nil, "nightly", map[string]any{}},
		"all":                              {all, "nightly", map[string]any{wire.SearchJob: "nightly", wire.SearchStatus: "SUCCESS", wire.SearchCause: "r1", wire.SearchAssets: []string{"a"}}},
		"some":                             {[]string{wire.SearchStatus, wire.SearchAssets}, "nightly", map[string]any{wire.SearchStatus: "SUCCESS", wire.SearchAssets: []string{"a"}}},
		"no job":                           {all, "", map[string]any{wire.SearchStatus: "SUCCESS", wire.SearchCause: "r1", wire.SearchAssets: []string{"a"}}},
		"one that this code does not know": {[]string{"PerdureTomorrow"}, "nightly", map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a")
			w.walk.Attributes, w.walk.Job, w.walk.Assets = test.attributes, test.job, []string{"a"}
			e := w.environment(t)
			upserted := &upserts{}
			e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
			_, err := e.run(everything())
			require.NoError(t, err)
			require.Equal(t, test.want, upserted.values())
		})
	}
}

// A run that was started with what its plan says sets its status alone, when it ends; what differs it sets. The plan says what does not.
func TestSearchAttributesThatARunWasStartedWithAreNotSetAgain(t *testing.T) {
	t.Parallel()
	keyword := temporal.NewSearchAttributeKeyKeyword
	all := []string{wire.SearchJob, wire.SearchStatus, wire.SearchCause, wire.SearchAssets}
	for name, test := range map[string]struct {
		started []string
		first   map[string]any
	}{
		"all":  {all, nil},
		"some": {[]string{wire.SearchJob, wire.SearchStatus}, map[string]any{wire.SearchCause: "r1", wire.SearchAssets: []string{"a", "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a", "b")
			w.walk.Attributes, w.walk.Started = all, test.started
			w.walk.Job, w.walk.Assets = "nightly", []string{"a", "b"}
			e := w.environment(t)
			require.NoError(t, e.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(keyword(wire.SearchJob).ValueSet("nightly"), keyword("Custom").ValueSet("x"))))
			upserted := &upserts{}
			e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
			_, err := e.run(everything())
			require.NoError(t, err)
			require.Equal(t, map[string]json.RawMessage{wire.SearchJob: json.RawMessage(`"nightly"`)}, w.planned[0].Attributes, "planning compares")
			if test.first == nil {
				require.Len(t, upserted.sets, 1)
				require.Equal(t, map[string]any{wire.SearchStatus: "SUCCESS"}, upserted.values())
				return
			}
			require.Len(t, upserted.sets, 2)
			require.Equal(t, test.first, (&upserts{sets: upserted.sets[:1]}).values())
		})
	}
}

// What anybody may set beside ours is none of the workflow's business, even a list where Temporal's SDK expects a word.
func TestSearchAttributesOfOthersDoNotMatter(t *testing.T) {
	t.Parallel()
	list, err := converter.GetDefaultDataConverter().ToPayload([]string{"a", "b"})
	require.NoError(t, err)
	list.Metadata["type"] = []byte("Keyword")
	w := newWorld("a")
	w.walk.Attributes = []string{wire.SearchStatus}
	e := w.environment(t)
	require.NoError(t, e.SetSearchAttributesOnStart(map[string]any{"Custom": list, wire.SearchStatus: list})) //nolint:staticcheck // the typed way has no such value
	upserted := &upserts{}
	e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
	_, err = e.run(everything())
	require.NoError(t, err)
	require.Equal(t, map[string]any{wire.SearchStatus: "SUCCESS"}, upserted.values())
	require.Len(t, upserted.sets, 2)
}

// A refused run has no plan; what it was started with says that it is at work.
func TestARefusedRunThatWasStartedWithAStatusHasFailed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		started []temporal.SearchAttributeUpdate
		want    map[string]any
	}{
		"with it":    {[]temporal.SearchAttributeUpdate{temporal.NewSearchAttributeKeyKeyword(wire.SearchStatus).ValueSet("STARTED")}, map[string]any{wire.SearchStatus: "FAILURE"}},
		"without it": {nil, map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a")
			w.plan = func() (wire.PlanRunResult, error) {
				problems := wire.Problems{{Path: "assets", Code: wire.CodeUnknown, Message: "no"}}
				return wire.PlanRunResult{}, temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
			}
			e := w.environment(t)
			require.NoError(t, e.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(test.started...)))
			upserted := &upserts{}
			e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
			_, err := e.run(everything())
			require.ErrorContains(t, err, "no")
			require.Equal(t, test.want, upserted.values())
		})
	}
}

// values are the search attributes as they were set last.
func (u *upserts) values() map[string]any {
	found := map[string]any{}
	for _, set := range u.sets {
		for key, value := range temporal.NewSearchAttributes(set...).GetUntypedValues() {
			found[key.GetName()] = value
		}
	}
	return found
}

// Temporal terminates a workflow that sets a value which is larger than its limit.
func TestSearchAttributesAreCutToWhatTemporalTakes(t *testing.T) {
	t.Parallel()
	const bytesOfValue, bytesOfKeyword = 2048, 255
	for name, key := range map[string]string{
		"keys of 113 characters": strings.Repeat("k", 111), "keys of 500": strings.Repeat("é", 249), "escaped": strings.Repeat("<", 100), "short": "k",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a")
			w.walk.Attributes = []string{wire.SearchJob, wire.SearchCause, wire.SearchAssets}
			w.walk.Job, w.walk.Cause = "j"+strings.Repeat("é", 1500), strings.Repeat("é", 1500)
			for i := range 20 {
				w.walk.Assets = append(w.walk.Assets, fmt.Sprintf("%s%02d", key, i))
			}
			e := w.environment(t)
			upserted := &upserts{}
			e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
			_, err := e.run(everything())
			require.NoError(t, err)
			found := upserted.values()
			require.Equal(t, "j"+strings.Repeat("é", 127), found[wire.SearchJob], "255 bytes")
			require.Equal(t, strings.Repeat("é", 127), found[wire.SearchCause], "254 bytes, and no half of a character")
			assets, ok := found[wire.SearchAssets].([]string)
			require.True(t, ok)
			encoded, err := json.Marshal(assets)
			require.NoError(t, err)
			require.LessOrEqual(t, len(encoded), bytesOfValue)
			if name == "short" {
				require.Len(t, assets, 20)
			} else {
				require.Greater(t, len(encoded), 1200, "as many as there is room for")
			}
			for i, asset := range assets {
				require.LessOrEqual(t, len(asset), bytesOfKeyword)
				require.True(t, strings.HasPrefix(w.walk.Assets[i], asset))
				require.True(t, utf8.ValidString(asset))
			}
		})
	}
}
