package workflows_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestLocalStepsRunTenAtOnce(t *testing.T) {
	t.Parallel()
	steps := make([]string, 60)
	for i := range steps {
		steps[i] = "s" + strconv.Itoa(i)
	}
	var running, most atomic.Int32
	w := newWorld(steps...).kind(plan.Kind{Local: true}, steps...).does(func(context.Context) (any, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for {
			before := most.Load()
			if now <= before || most.CompareAndSwap(before, now) {
				return wire.StepResult{Recorded: true}, nil
			}
		}
	}, steps...)
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 60, result.Steps.Succeeded)
	require.LessOrEqual(t, most.Load(), int32(10))
}

func TestALocalStepEndsAsAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld("source", "bad<source", "left<bad", "maybe<source", "skipped<maybe", "flaky<source").
		kind(plan.Kind{Local: true}, "source", "bad", "left", "maybe", "skipped", "flaky").
		does(fails("no such column"), "bad").does(emitsAllBut("maybe"), "maybe").does(failsOnce(), "flaky")
	_, err := w.environment(t).run(everything())
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 3, Failed: 1, Skipped: 2}, result.Steps)
	require.Equal(t, 2, w.count("flaky"), "the user's retries are made inside the local activity")
}

// What this worker cannot do now goes on as an activity, which finds another worker, and shows what it waits for.
func TestALocalStepIsHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a").kind(plan.Kind{Local: true}, "a", "b").does(isHandedOverOnce(), "a")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 2, result.Steps.Succeeded)
	require.Equal(t, []string{"a", "a", "b"}, w.scheduled)
}

// isHandedOverOnce is a local step that this worker cannot take.
func isHandedOverOnce() behaviour {
	var calls atomic.Int32
	return func(context.Context) (any, error) {
		if calls.Add(1) == 1 {
			return nil, temporal.NewNonRetryableApplicationError("this build has no a", wire.FailureHandedOver, nil)
		}
		return wire.StepResult{Recorded: true}, nil
	}
}

func TestARunOfLocalStepsIsCancelled(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	w := newWorld("a", "b<a").kind(plan.Kind{Local: true}, "a", "b").does(func(ctx context.Context) (any, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}, "a")
	e := w.environment(t)
	go func() {
		<-began
		e.CancelWorkflow()
	}()
	_, err := e.run(everything())
	require.Equal(t, 2, canceled(t, err).Steps.Canceled)
}

func TestLocalStepsContinueAsNew(t *testing.T) {
	t.Parallel()
	steps := make([]string, 2500)
	for i := range steps {
		steps[i] = "s" + strconv.Itoa(i)
	}
	w := newWorld(steps...).kind(plan.Kind{Local: true}, steps...)
	w.walk.Limits.ContinueAfter = 10
	_, executions, err := w.walkToEnd(t)
	require.NoError(t, err)
	require.Equal(t, 2, executions)
	require.Len(t, w.scheduled, 2500)
}
