package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

func TestARunThatTakesTooLongFails(t *testing.T) {
	t.Parallel()
	w := newWorld("done", "held<done", "child<held").does(isHeld, "held")
	w.walk.Timeout = time.Hour
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	result, failed := runFailed(t, err)
	require.Equal(t, "it took longer than the 1h0m0s that it may; 2 steps were cancelled", failed.Message())
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 2}, result.Steps)
	require.Equal(t, []wire.CancelingInput{{RunID: "r1", FirstRunID: w.planned[0].FirstRunID, Reason: "it took longer than the 1h0m0s that it may"}}, w.canceling)
	require.Equal(t, wire.RunFailure, w.ended[0].Status)
	require.Equal(t, "it took longer than the 1h0m0s that it may", w.ended[0].Reason)
	require.Equal(t, time.Hour, e.Now().Sub(began).Round(time.Minute))
	require.Equal(t, wire.StepCanceled, e.statuses()["child"])
}

func TestARunThatEndsInTimeIsNotTimedOut(t *testing.T) {
	t.Parallel()
	w := newWorld("held").does(isHeld, "held")
	w.walk.Timeout = time.Hour
	e := w.environment(t)
	e.after(59*time.Minute, func() { e.completeAll("held") })
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Empty(t, w.canceling)
}

// The time counts from the run's beginning, whichever execution it is in.
func TestARunsTimeIsCarriedAlong(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "held<a").does(isHeld, "held")
	w.walk.Timeout, w.walk.Limits.ContinueAfter = time.Hour, 10
	first := w.environment(t)
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	first.SetStartTime(start)
	first.SetCurrentHistoryLength(10)
	_, err := first.run(everything())
	arguments := next(t, err)
	second := w.continuing(t)
	second.SetStartTime(start.Add(50 * time.Minute))
	_, err = second.run(arguments...)
	_, _ = runFailed(t, err)
	require.Equal(t, 60*time.Minute, second.Now().Sub(start).Round(time.Minute))
}

func TestACancelIsRecordedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld("deaf").does(isHeld, "deaf")
	w.walk.Timeout = time.Hour
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	canceled(t, err)
	require.Equal(t, []wire.CancelingInput{{RunID: "r1", FirstRunID: w.planned[0].FirstRunID}}, w.canceling)
}

// A failure that had been recorded before its answer was lost is the one that is shown.
func TestALostAnswerOfAFailureIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld("lost", "child<lost").does(isLost, "lost")
	w.failed = map[string]string{"lost": "no such column"}
	_, err := w.environment(t).run(everything())
	_, failed := runFailed(t, err)
	require.Equal(t, "1 of 2 steps failed: lost: no such column", failed.Message())
}
