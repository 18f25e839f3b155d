package workflows_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// scheduleWorld is what the workflows of schedules meet: an activity that answers one thing after the other.
type scheduleWorld struct {
	mu      sync.Mutex
	answers []wire.EvaluateScheduleResult
	asked   []wire.EvaluateScheduleInput
	refused []wire.RefuseInput
	preview []wire.PreviewInput
	fails   error
}

func (w *scheduleWorld) register(to registry) {
	to.RegisterWorkflowWithOptions(workflows.ScheduleTick, workflow.RegisterOptions{Name: wire.ScheduleTickWorkflow})
	to.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: wire.PreviewWorkflow})
	register := func(name string, do any) { to.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name}) }
	register(wire.RefuseActivity, func(_ context.Context, input wire.RefuseInput) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = append(w.refused, input)
		return nil
	})
	register(wire.EvaluateScheduleActivity, func(_ context.Context, input wire.EvaluateScheduleInput) (wire.EvaluateScheduleResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, input)
		return w.answers[min(len(w.asked), len(w.answers))-1], w.fails
	})
	register(wire.PreviewActivity, func(_ context.Context, input wire.PreviewInput) (wire.PreviewResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.preview = append(w.preview, input)
		return wire.PreviewResult{At: input.Request.At, Skip: "no reason"}, w.fails
	})
}

func (w *scheduleWorld) env(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "tick1", TaskQueue: "flights"})
	w.register(env)
	return env
}

func tickOf(id int64, status wire.TickStatus) wire.ScheduledTick {
	return wire.ScheduledTick{ID: id, Nominal: "2001-01-01T06:00:00Z", Status: status}
}

func answered(ticks ...wire.ScheduledTick) wire.EvaluateScheduleResult {
	return wire.EvaluateScheduleResult{Ticks: ticks}
}

func tickResult(t *testing.T, env *testsuite.TestWorkflowEnvironment) wire.ScheduleTickResult {
	t.Helper()
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var result wire.ScheduleTickResult
	require.NoError(t, env.GetWorkflowResult(&result))
	return result
}

func TestAScheduleTickSaysForWhatItWasWoken(t *testing.T) {
	t.Parallel()
	w := &scheduleWorld{answers: []wire.EvaluateScheduleResult{answered(tickOf(1, wire.TickSuccess))}}
	env := w.env(t)
	began := time.Date(2001, 1, 1, 6, 0, 3, 0, time.UTC)
	env.SetStartTime(began)
	require.NoError(t, env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime").ValueSet(time.Date(2001, 1, 1, 1, 0, 0, 0, time.FixedZone("", -5*3600))))))
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly","times":"h"}`))
	require.Equal(t, wire.ScheduleTickResult{Schedule: "nightly", Ticks: []wire.ScheduledTick{tickOf(1, wire.TickSuccess)}}, tickResult(t, env))
	require.Equal(t, []wire.EvaluateScheduleInput{{
		Schedule: "nightly", Queue: "flights", WokenAt: "2001-01-01T06:00:00Z", StartedAt: "2001-01-01T06:00:03Z", Times: "h",
	}}, w.asked)
}

func TestAManualTickKeepsItsTime(t *testing.T) {
	t.Parallel()
	w := &scheduleWorld{answers: []wire.EvaluateScheduleResult{{More: true}, answered()}}
	env := w.env(t)
	env.SetStartTime(time.Date(2001, 1, 1, 6, 0, 3, 400, time.UTC))
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly","manual":true}`))
	tickResult(t, env)
	require.Len(t, w.asked, 2)
	require.True(t, w.asked[0].Manual)
	require.Equal(t, "2001-01-01T06:00:03Z", w.asked[0].At)
	require.Equal(t, wire.EvaluateScheduleInput{Schedule: "nightly", Queue: "flights"}, w.asked[1], "it is asked for once")
}

func TestAScheduleTickWaitsForOpenRunsAndForDelays(t *testing.T) {
	t.Parallel()
	w := &scheduleWorld{answers: []wire.EvaluateScheduleResult{
		{Until: "2001-01-01T06:20:00Z"},
		{Ticks: []wire.ScheduledTick{tickOf(1, wire.TickStarted)}, Waiting: "run r1 is open"},
		{Ticks: []wire.ScheduledTick{tickOf(1, wire.TickStarted)}, Waiting: "run r1 is open"},
		answered(tickOf(1, wire.TickSuccess), tickOf(2, wire.TickSkipped)),
	}}
	env := w.env(t)
	began := time.Date(2001, 1, 1, 6, 0, 0, 0, time.UTC)
	env.SetStartTime(began)
	woken := false
	env.RegisterDelayedCallback(func() {
		woken = true
		require.Len(t, w.asked, 3, "it looks again by itself")
		env.SignalWorkflow(wire.WakeSignal, nil)
	}, 20*time.Minute+12*time.Second)
	env.RegisterDelayedCallback(func() { require.Len(t, w.asked, 1, "the delay is not over") }, 19*time.Minute+59*time.Second)
	env.RegisterDelayedCallback(func() { require.Len(t, w.asked, 4, "a signal is heard at once") }, 20*time.Minute+13*time.Second)
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly"}`))
	result := tickResult(t, env)
	require.Equal(t, []wire.ScheduledTick{tickOf(1, wire.TickSuccess), tickOf(2, wire.TickSkipped)}, result.Ticks)
	require.True(t, woken)
}

func TestTheResultOfManyTicksIsWhatTemporalTakes(t *testing.T) {
	t.Parallel()
	large := func(id int64) wire.ScheduledTick {
		tick := tickOf(id, wire.TickSuccess)
		for range 100 {
			tick.Runs = append(tick.Runs, wire.ScheduledRun{RunID: strings.Repeat("r", 80), RunKey: strings.Repeat("k", 300)})
		}
		return tick
	}
	w := &scheduleWorld{}
	for n := range int64(10) {
		answer := wire.EvaluateScheduleResult{More: n < 9}
		for i := range int64(10) {
			answer.Ticks = append(answer.Ticks, large(10*n+i))
		}
		w.answers = append(w.answers, answer)
	}
	env := w.env(t)
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly"}`))
	ticks := tickResult(t, env).Ticks
	data, err := json.Marshal(ticks)
	require.NoError(t, err)
	require.Less(t, len(data), 1<<20)
	require.Greater(t, len(ticks), 10)
	require.Equal(t, int64(99), ticks[len(ticks)-1].ID, "the last ones stay")
}

func TestAScheduleTickContinuesAsNewWithItsTicks(t *testing.T) {
	t.Parallel()
	w := &scheduleWorld{answers: []wire.EvaluateScheduleResult{{Ticks: []wire.ScheduledTick{tickOf(1, wire.TickStarted)}, Waiting: "run r1 is open", ContinueAfter: 1}}}
	env := w.env(t)
	env.SetCurrentHistoryLength(10)
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly","manual":true,"at":"2001-01-01T06:00:00Z"}`))
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &again)

	next := &scheduleWorld{answers: []wire.EvaluateScheduleResult{answered(tickOf(2, wire.TickSuccess))}}
	env = next.env(t)
	env.SetContinuedExecutionRunID("before")
	env.ExecuteWorkflow(wire.ScheduleTickWorkflow, payload(`{"schedule":"nightly","manual":true,"at":"2001-01-01T06:00:00Z"}`),
		payload(`{"v":1,"ticks":[{"id":"1","nominal":"2001-01-01T06:00:00Z","status":"SUCCESS"}]}`))
	require.Equal(t, []wire.ScheduledTick{tickOf(1, wire.TickSuccess), tickOf(2, wire.TickSuccess)}, tickResult(t, env).Ticks)
	require.False(t, next.asked[0].Manual, "that was done")
}

func TestAScheduleTickAndAPreviewRefuseWhatTheyCannotRead(t *testing.T) {
	t.Parallel()
	for workflowType, inputs := range map[string]map[string]string{
		wire.ScheduleTickWorkflow: {
			`{}`: "no schedule was named", `{"scedule":"x"}`: `unknown field "scedule"`, `{"schedule":"x","at":"now","manual":true}`: `"now" is no time of RFC 3339`,
			`{"schedule":"x","at":"0000-01-01T00:00:00Z","manual":true}`: `"0000-01-01T00:00:00Z" is no time of RFC 3339`,
			`{"schedule":"x","at":"2001-01-01T00:00:00Z"}`:               "no manual tick was asked for",
		},
		wire.PreviewWorkflow: {`{}`: "no schedule or sensor was named", `{"schedule":"x","at":"now"}`: `"now" is no time of RFC 3339`, `{"schedule":"x","at":"0000-01-01T00:00:00Z"}`: "is no time of RFC 3339"},
	} {
		for input, says := range inputs {
			w := &scheduleWorld{}
			env := w.env(t)
			env.ExecuteWorkflow(workflowType, payload(input))
			require.ErrorContains(t, env.GetWorkflowError(), says)
			require.Len(t, w.refused, 1)
			require.Equal(t, workflowType, w.refused[0].WorkflowType)
			env = w.env(t)
			env.ExecuteWorkflow(workflowType, payload(`{"schedule":"x"}`), payload(`{}`))
			require.ErrorContains(t, env.GetWorkflowError(), "a second argument was given")
		}
	}
}

func TestAPreviewIsAnswered(t *testing.T) {
	t.Parallel()
	w := &scheduleWorld{}
	env := w.env(t)
	env.ExecuteWorkflow(wire.PreviewWorkflow, payload(`{"schedule":"nightly","at":"2001-01-01T06:00:00Z"}`))
	require.NoError(t, env.GetWorkflowError())
	var result wire.PreviewResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, "no reason", result.Skip)
	require.Equal(t, wire.PreviewRequest{Schedule: "nightly", At: "2001-01-01T06:00:00Z"}, w.preview[0].Request)
}

func scheduleScenarios() []scenario {
	world := func(answers ...wire.EvaluateScheduleResult) func() interface{ register(registry) } {
		return func() interface{ register(registry) } { return &scheduleWorld{answers: answers} }
	}
	waiting := wire.EvaluateScheduleResult{Ticks: []wire.ScheduledTick{tickOf(1, wire.TickStarted)}, Waiting: "run r1 is open"}
	continued := waiting
	continued.ContinueAfter = 20
	return []scenario{
		{
			name: "schedule_done", workflow: wire.ScheduleTickWorkflow, request: `{"schedule":"nightly","times":"h"}`,
			serves: world(wire.EvaluateScheduleResult{More: true}, wire.EvaluateScheduleResult{Until: "2001-01-01T00:00:00Z"}, waiting, answered(tickOf(1, wire.TickSuccess))),
		},
		{
			name: "schedule_woken", workflow: wire.ScheduleTickWorkflow, request: `{"schedule":"nightly","manual":true}`, serves: world(waiting, waiting, answered()),
			then: func(r *recorder) {
				require.NoError(r.t, r.SignalWorkflow(r.t.Context(), r.id, "", wire.WakeSignal, nil))
			},
		},
		{
			name: "schedule_continued", workflow: wire.ScheduleTickWorkflow, request: `{"schedule":"nightly"}`, executions: 2,
			serves: world(continued, continued, continued, answered()),
		},
		{
			name: "schedule_cancelled", workflow: wire.ScheduleTickWorkflow, request: `{"schedule":"nightly"}`, ends: "canceled", serves: world(waiting),
			then: func(r *recorder) { require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, "")) },
		},
		{name: "schedule_refused", workflow: wire.ScheduleTickWorkflow, request: `{"scedule":"nightly"}`, ends: "unknown field", serves: world()},
		{
			name: "schedule_unknown", workflow: wire.ScheduleTickWorkflow, request: `{"schedule":"nightly"}`, ends: "no schedule",
			serves: func() interface{ register(registry) } {
				return &scheduleWorld{answers: []wire.EvaluateScheduleResult{{}}, fails: temporal.NewNonRetryableApplicationError("no schedule", wire.FailureInvalidRequest, nil,
					wire.Refusal{Problems: wire.Problems{{Path: "schedule", Code: wire.CodeUnknown, Message: "no schedule"}}})}
			},
		},
		{name: "preview", workflow: wire.PreviewWorkflow, request: `{"schedule":"nightly","at":"2001-01-01T06:00:00Z"}`, serves: world()},
		{name: "preview_refused", workflow: wire.PreviewWorkflow, request: `{}`, ends: "no schedule or sensor was named", serves: world()},
	}
}
