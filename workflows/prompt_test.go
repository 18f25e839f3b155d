package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/wire"
)

// tasks are the types of the activities that were given to a task queue, local those that were called in place.
func (e *environment) tasks() (tasks, local *[]string) {
	tasks, local = &[]string{}, &[]string{}
	e.SetOnActivityStartedListener(func(info *activityStarted, _ context.Context, _ converter.EncodedValues) {
		*tasks = append(*tasks, info.ActivityType.Name)
	})
	e.SetOnLocalActivityStartedListener(func(info *activityStarted, _ context.Context, _ []any) {
		*local = append(*local, info.ActivityType.Name)
	})
	return tasks, local
}

func TestARunIsPlannedAndEndedInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	e := w.environment(t)
	began := e.Now()
	tasks, local := e.tasks()
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, *tasks)
	require.Equal(t, []string{wire.PlanRunActivity, wire.EndRunActivity}, *local)
	require.WithinRange(t, time.Unix(0, w.planned[0].At), began, e.Now())
}

// What cannot be recorded in place at once is recorded by an activity, which is tried for as long as it takes.
func TestWhatCannotBeRecordedInPlaceIsRecordedByAnActivity(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	calls := 0
	w.end = func(wire.EndRunInput) error {
		if calls++; calls < 4 {
			return temporal.NewApplicationErrorWithOptions("no Postgres", wire.FailureStoreUnavailable, temporal.ApplicationErrorOptions{})
		}
		return nil
	}
	e := w.environment(t)
	tasks, local := e.tasks()
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, result.Status)
	require.Equal(t, []string{wire.PlanRunActivity, wire.EndRunActivity}, *local)
	require.Equal(t, []string{"a", wire.EndRunActivity, wire.EndRunActivity, wire.EndRunActivity}, *tasks)
}

// A workflow task that had recorded the end may be lost, and the next one knows more. The run ends as it is recorded.
func TestARunEndsAsItIsRecorded(t *testing.T) {
	t.Parallel()
	for _, recorded := range []wire.RunStatus{wire.RunSuccess, wire.RunFailure, wire.RunCanceled} {
		for _, asked := range []wire.RunStatus{wire.RunSuccess, wire.RunFailure, wire.RunCanceled} {
			w := newWorld("a", "b")
			w.recordedEnd = recorded
			e := w.environment(t)
			switch asked {
			case wire.RunFailure:
				w.does(fails("bad"), "a")
			case wire.RunCanceled:
				w.does(isHeld, "a")
				e.after(time.Minute, e.CancelWorkflow)
				e.after(2*time.Minute, func() { e.complete("a", wire.StepResult{}, temporal.NewCanceledError()) })
			default: // every step succeeds
			}
			result, err := e.run(everything())
			require.Equal(t, asked, w.ended[0].Status)
			switch recorded {
			case wire.RunFailure:
				result, _ = runFailed(t, err)
			case wire.RunCanceled:
				result = canceled(t, err)
			default:
				require.NoError(t, err)
			}
			require.Equal(t, recorded, result.Status)
		}
	}
}
