package integration

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

// holding is a location with an asset, "held", that goes on until it is let go or told to stop.
type holding struct {
	*definitions.Definitions
	called chan struct{}
	letGo  func()
}

func holdingLocation(name string) *holding {
	released := make(chan struct{})
	h := &holding{called: make(chan struct{}, 10), letGo: sync.OnceFunc(func() { close(released) })}
	free := definitions.Asset("free", definitions.Bind0(numbers))
	held := definitions.Asset("held", definitions.Bind1(func(ctx definitions.Context, in []int) ([]int, error) {
		h.called <- struct{}{}
		select {
		case <-released:
			return in, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, free))
	below := definitions.Asset("below", definitions.Bind2(sum, held, free))
	h.Definitions = definitions.New(name, free, held, below)
	return h
}

// startHeld starts a run and returns once its asset is held.
func (b *bundle) startHeld(t *testing.T, name string) *holding {
	t.Helper()
	h := holdingLocation(name)
	b.serve(t, h.Definitions)
	t.Cleanup(h.letGo)
	temporalCLI(t, startArguments("start", name, name, `{"assets":"*"}`)...).ok(t)
	<-h.called
	return h
}

// queried are the results that the CLI prints of a query.
func queried(t *testing.T, printed string) wire.StepsQueryResult {
	t.Helper()
	var answer struct{ QueryResult []wire.StepsQueryResult }
	require.NoError(t, json.Unmarshal([]byte(printed), &answer), printed)
	require.Len(t, answer.QueryResult, 1)
	return answer.QueryResult[0]
}

func TestAStepIsLookedAtAndCancelledFromOutside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "surface-cancel-step"
	b.startHeld(t, id)

	want := wire.StepsQueryResult{RunID: id, Status: wire.RunStarted, Steps: []wire.StepState{
		{Step: "free", Status: wire.StepSuccess},
		{Step: "held", Status: wire.StepRunning},
		{Step: "below", Status: wire.StepWaiting, WaitingFor: []string{"held"}},
	}}
	query := []string{"workflow", "query", "--workflow-id", id, "--type", wire.StepsQuery, "--output", "json"}
	require.ElementsMatch(t, want.Steps, queried(t, temporalCLI(t, query...).ok(t)).Steps)
	var over wire.StepsQueryResult
	var answer struct{ QueryResult []wire.StepsQueryResult }
	require.NoError(t, json.Unmarshal([]byte(call(t, "/workflows/"+id+"/query/steps", `{"query":{"queryArgs":[{"status":"RUNNING"}]}}`).ok(t)), &answer))
	over = answer.QueryResult[0]
	require.Equal(t, []wire.StepState{{Step: "held", Status: wire.StepRunning}}, over.Steps)
	require.NoError(t, json.Unmarshal([]byte(call(t, "/workflows/"+id+"/query/steps", `{}`).ok(t)), &answer))
	require.ElementsMatch(t, want.Steps, answer.QueryResult[0].Steps)

	// A bad argument changes nothing and names what is wrong.
	bad := temporalCLI(t, append(query, "--input", `{"state":"RUNNING"}`)...)
	require.NotZero(t, bad.code)
	require.Contains(t, bad.out+bad.err, `unknown field "state"`)
	update := []string{"workflow", "update", "execute", "--workflow-id", id, "--name", wire.CancelStepUpdate, "--input"}
	for input, says := range map[string]string{
		`{"stp":"held"}`:   `unknown field "stp"`,
		`{"step":"below"}`: `step "below" is WAITING`,
		`null`:             "must not be null",
	} {
		refused := temporalCLI(t, append(update, input)...)
		require.NotZero(t, refused.code)
		require.Contains(t, refused.out+refused.err, says)
	}
	body := func(step string) string {
		return `{"waitPolicy":{"lifecycleStage":"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},` +
			`"request":{"meta":{},"input":{"args":[{"step":"` + step + `"}]}}}`
	}
	refused := call(t, "/workflows/"+id+"/update/"+wire.CancelStepUpdate, body("hled")).ok(t)
	require.Contains(t, refused, `"InvalidRequest"`)
	require.Contains(t, refused, `"unknown"`, "the code is for programs")

	done := call(t, "/workflows/"+id+"/update/"+wire.CancelStepUpdate, body("held")).ok(t)
	var outcome struct {
		Outcome struct{ Success []wire.StepState }
	}
	require.NoError(t, json.Unmarshal([]byte(done), &outcome))
	require.Equal(t, []wire.StepState{{Step: "held", Status: wire.StepCanceled}}, outcome.Outcome.Success)
	require.Contains(t, closing(t, id), "1 steps were cancelled")
	ended, err := b.store.Run(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, ended.Status)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 1, Skipped: 1}, ended.Steps)
	require.Equal(t, wire.RunFailure, queried(t, temporalCLI(t, query...).ok(t)).Status, "a closed run still answers")
}

func TestAStepIsCancelledByTheCLI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "surface-cancel-step-cli"
	b.startHeld(t, id)
	out := temporalCLI(t, "workflow", "update", "execute", "--workflow-id", id, "--name", wire.CancelStepUpdate, "--input", `{"step":"held"}`).ok(t)
	require.Contains(t, out, "CANCELED")
	require.Contains(t, closing(t, id), wire.FailureRunFailed)
}

func TestARunIsCancelledOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "surface-cancel"
	b.startHeld(t, id)
	call(t, "/workflows/"+id+"/cancel", `{"reason":"not needed"}`).ok(t)
	require.Contains(t, closing(t, id), "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED")
	ended, err := b.store.Run(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.RunCanceled, ended.Status)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 2}, ended.Steps)
}

// A person may complete a step that hangs, by Temporal's own means.
func TestAStepIsCompletedByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const id = "surface-by-hand"
	b.startHeld(t, id)
	temporalCLI(t, "activity", "complete", "--workflow-id", id, "--activity-id", "held", "--result", `"done"`).ok(t)
	// What needs it has nothing to load: that it says, and names the step.
	over := closing(t, id)
	require.Contains(t, over, "held")
	steps, err := b.store.Steps(t.Context(), id, "", 10)
	require.NoError(t, err)
	statuses := map[string]wire.StepStatus{}
	for _, step := range steps.Rows {
		statuses[step.Step] = step.Status
	}
	require.Equal(t, map[string]wire.StepStatus{"free": wire.StepSuccess, "held": wire.StepSuccess, "below": wire.StepFailed}, statuses)
}
