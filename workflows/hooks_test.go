package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func hookedKind() plan.Kind { return plan.Kind{OnSuccess: true, OnFailure: true} }

func TestHooksAreCalledOnceAStepHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld("good", "bad", "left<bad", "quiet").kind(hookedKind(), "good", "bad", "left").does(fails("no such column\nat line 3"), "bad")
	_, err := w.environment(t).run(everything())
	_, _ = runFailed(t, err)
	require.ElementsMatch(t, []wire.RunHooksInput{
		{Run: "r1", Step: "good", Status: wire.StepSuccess},
		{Run: "r1", Step: "bad", Status: wire.StepFailed, Error: "no such column\nat line 3"},
	}, w.hooked, "what was left behind has not ended in one way or the other")
}

func TestOnlyTheHooksThatThereAreAreCalled(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b", "c", "d").kind(plan.Kind{OnSuccess: true}, "a", "b").kind(plan.Kind{OnFailure: true}, "c", "d").
		does(fails("bad"), "b", "c")
	_, err := w.environment(t).run(everything())
	_, _ = runFailed(t, err)
	require.ElementsMatch(t, []wire.RunHooksInput{
		{Run: "r1", Step: "a", Status: wire.StepSuccess}, {Run: "r1", Step: "c", Status: wire.StepFailed, Error: "bad"},
	}, w.hooked)
}

func TestTheRunsEndWaitsForHooks(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a").kind(hookedKind(), "a")
	w.hooking = func(context.Context, wire.RunHooksInput) error { return activity.ErrResultPending }
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Equal(t, wire.StepSuccess, e.statuses()["b"], "a hook holds no step up")
		require.Empty(t, w.ended)
		require.Contains(t, e.details(), "all steps have ended; the hooks of 1 are being called")
		require.NoError(t, e.CompleteActivity(w.tokens["hooks:a"], nil, nil))
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 2, result.Steps.Succeeded)
}

func TestHooksThatCannotBeCalledDoNotHarmTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld("a").kind(hookedKind(), "a")
	w.hooking = func(context.Context, wire.RunHooksInput) error {
		return temporal.NewApplicationError("no worker has it", "x")
	}
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 1, result.Steps.Succeeded)
	require.Len(t, w.hooked, 10)
}

func TestHooksAreCarriedAlong(t *testing.T) {
	t.Parallel()
	steps := []string{"s0", "last<s0", "end<last"}
	for i := 1; i < 60; i++ {
		steps = append(steps, key(i))
	}
	w := newWorld(steps...)
	w.walk.Kinds[0].OnSuccess = true
	w.walk.Limits.ContinueAfter, w.walk.Limits.MaxConcurrentSteps = 10, 100
	_, executions, err := w.walkToEnd(t)
	require.NoError(t, err)
	require.Greater(t, executions, 1)
	require.Len(t, w.hooked, 62)
}

// Hooks that are to be called travel along when a run continues as new, which takes only so much.
func TestStepsWaitForHooksThatAreMuchSlower(t *testing.T) {
	t.Parallel()
	var steps []string
	for i := range 500 {
		steps = append(steps, key(i))
	}
	w := newWorld(steps...)
	w.walk.Kinds[0].OnSuccess = true
	w.walk.Limits.MaxConcurrentSteps = 20
	w.hooking = func(context.Context, wire.RunHooksInput) error { return activity.ErrResultPending }
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Contains(t, e.details(), "steps are ready and wait for hooks: those of")
		e.CancelWorkflow()
	})
	_, err := e.run(everything())
	canceled(t, err)
	require.Len(t, w.hooked, 50)
	require.GreaterOrEqual(t, len(w.scheduled), 250)
	require.LessOrEqual(t, len(w.scheduled), 50+200+20)
}

func TestACancelBeginsNoHooks(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b").kind(hookedKind(), "a", "b").does(isHeld, "b")
	w.hooking = func(context.Context, wire.RunHooksInput) error { return activity.ErrResultPending }
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	canceled(t, err)
	require.Len(t, w.hooked, 1, "a's was under way when the run was cancelled, and was told")
}
