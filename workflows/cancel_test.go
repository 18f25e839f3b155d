package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/wire"
)

// canceled is the result in the failure of a run that was cancelled.
func canceled(t *testing.T, err error) wire.RunResult {
	t.Helper()
	var ended *temporal.CanceledError
	require.ErrorAs(t, err, &ended)
	var result wire.RunResult
	require.NoError(t, ended.Details(&result))
	return result
}

func TestACancelledRunIsRecordedAsThat(t *testing.T) {
	t.Parallel()
	w := newWorld("done", "held<done", "bad<done", "child<held", "left<bad").does(isHeld, "held").does(fails("bad"), "bad")
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	result := canceled(t, err)
	require.Equal(t, wire.RunCanceled, result.Status)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Failed: 1, Skipped: 1, Canceled: 2}, result.Steps)
	require.Equal(t, map[string]wire.StepStatus{
		"done": wire.StepSuccess, "held": wire.StepCanceled, "bad": wire.StepFailed, "child": wire.StepCanceled, "left": wire.StepUpstreamFailed,
	}, w.recorded)
	require.Equal(t, w.recorded, e.statuses())
	require.Equal(t, wire.RunCanceled, e.steps().Status)
	require.Len(t, w.ended, 1)
}

// A run that is cancelled while it is planned has a row by then, which must be closed.
// The run was reset: steps that it has not come to again are recorded as done, which holds no more.
func TestACancelAfterAResetCoversWhatTheRunHasNotComeToAgain(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "held<a", "c<held", "d<c", "never").does(isHeld, "held")
	w.walk.Limits.MaxConcurrentSteps = 1
	for _, step := range []string{"a", "held", "c", "never"} {
		w.record(step, wire.StepSuccess, "")
	}
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	canceled(t, err)
	require.Equal(t, [][]wire.ClosedStep{{
		{Step: "held", Status: wire.StepCanceled},
		{Step: "c", Status: wire.StepCanceled, Unscheduled: true},
		{Step: "d", Status: wire.StepCanceled, Unscheduled: true},
	}}, w.closings)
}

func TestACancelDuringPlanningLeavesNoOpenRun(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a")
	e := w.environment(t)
	w.plan = func() (wire.PlanRunResult, error) {
		if len(w.planned) > 1 {
			w.plan = nil
		}
		return wire.PlanRunResult{}, errors.New("its answer is lost, but the run is recorded")
	}
	e.after(500*time.Millisecond, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Canceled: 2}, canceled(t, err).Steps)
	require.Empty(t, w.scheduled)
	require.Equal(t, wire.RunCanceled, w.ended[0].Status)
	require.Len(t, w.planned, 3)
}

// A cancel that comes when the end is being recorded comes too late.
func TestALateCancelChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld("a").does(isHeld, "a")
	e := w.environment(t)
	asked := false
	e.after(time.Minute, func() {
		e.completeAll("a")
		e.SetOnLocalActivityStartedListener(func(info *activityStarted, _ context.Context, _ []any) {
			require.Equal(t, wire.EndRunActivity, info.ActivityType.Name)
			e.CancelWorkflow()
			asked = true
		})
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.True(t, asked)
	require.Equal(t, wire.RunSuccess, result.Status)
}

func TestOneStepIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("held", "child<held", "other").does(isHeld, "held")
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	e.after(time.Minute, func() {
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"held"}`))
	})
	_, err := e.run(everything())
	result, failed := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 1, Skipped: 1}, result.Steps)
	require.Equal(t, "1 steps were cancelled", failed.Message())
	require.Equal(t, map[string]wire.StepStatus{
		"held": wire.StepCanceled, "child": wire.StepUpstreamFailed, "other": wire.StepSuccess,
	}, w.recorded)
	require.True(t, answer.accepted)
	require.NoError(t, answer.err)
	require.Equal(t, wire.StepState{Step: "held", Status: wire.StepCanceled}, answer.result, "the answer comes when the step has ended")
	require.Equal(t, []wire.ClosedStep{{Step: "held", Status: wire.StepCanceled}}, w.closings[0])
}

// The step had committed when the cancel came: it stays done, and the answer says so.
func TestAStepThatHadCommittedIsNotCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("held", "child<held").does(isHeld, "held")
	w.committed["held"] = wire.StepResult{Recorded: true}
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	e.after(time.Minute, func() {
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"held"}`))
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 2, result.Steps.Succeeded)
	require.Equal(t, wire.StepState{Step: "held", Status: wire.StepSuccess}, answer.result)
}

func TestACancelOfAStepIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arguments []any
		code      string
		says      string
	}{
		"no input":         {nil, wire.CodeMissing, "there is no input"},
		"null":             {[]any{nil}, wire.CodeWrongType, "must not be null"},
		"a string":         {[]any{"held"}, wire.CodeWrongType, "must be a JSON object"},
		"unknown field":    {[]any{payload(`{"stp":"held"}`)}, wire.CodeUnknownField, `unknown field "stp"`},
		"unknown step":     {[]any{payload(`{"step":"hled"}`)}, wire.CodeUnknown, `run "r1" has no step "hled"`},
		"no step":          {[]any{payload(`{}`)}, wire.CodeUnknown, `run "r1" has no step ""`},
		"one that waits":   {[]any{payload(`{"step":"child"}`)}, wire.CodeConflict, `step "child" is WAITING (only a step that is RUNNING, or waits for a slot of its pool, can be cancelled)`},
		"one that is done": {[]any{payload(`{"step":"done"}`)}, wire.CodeConflict, `step "done" is SUCCESS`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("held", "child<held", "done").does(isHeld, "held")
			e := w.environment(t)
			answer := &updateAnswer{t: t}
			e.after(time.Minute, func() {
				e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, test.arguments...)
			})
			e.after(2*time.Minute, func() { e.completeAll("held") })
			_, err := e.run(everything())
			require.NoError(t, err, "a refused update changes nothing")
			require.False(t, answer.accepted)
			problems, failed := refusal(t, answer.err)
			require.Len(t, problems, 1)
			require.Equal(t, test.code, problems[0].Code)
			require.Contains(t, failed.Message(), test.says)
		})
	}
}

func TestNoStepIsCancelledBeforeThereIsAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	w.plan = func() (wire.PlanRunResult, error) {
		if len(w.planned) > 1 {
			w.plan = nil
		}
		return wire.PlanRunResult{}, errors.New("not yet")
	}
	e.after(500*time.Millisecond, func() {
		require.Equal(t, wire.StepsQueryResult{RunID: "r1", Status: wire.RunStarting, Steps: []wire.StepState{}}, e.steps())
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"a"}`))
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	_, failed := refusal(t, answer.err)
	require.Contains(t, failed.Message(), "is being planned")
}

// A cancel of the run while a cancel of a step waits: both end.
func TestARunIsCancelledWithAStepThatIs(t *testing.T) {
	t.Parallel()
	w := newWorld("held", "other").does(isHeld, "held", "other")
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	w.beforeClosing = e.CancelWorkflow
	e.after(time.Minute, func() {
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"held"}`))
	})
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Canceled: 2}, canceled(t, err).Steps)
	require.True(t, answer.completed)
}
