package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/perdure-io/perdure/wire"
)

// wakeUp tells the run that it may have been admitted.
func (e *environment) wakeUp(arguments ...any) {
	if len(arguments) == 0 {
		arguments = []any{payload(`{}`)}
	}
	e.SignalWorkflow(wire.AdmittedSignal, arguments[0])
}

func TestAQueuedRunBeginsWhenItIsAdmitted(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a").queues(1)
	w.walk.Attributes, w.walk.Started = []string{wire.SearchStatus}, []string{wire.SearchStatus}
	e := w.environment(t)
	upserted := &upserts{}
	e.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{upserted}})
	e.after(10*time.Second, func() {
		require.Equal(t, wire.StepsQueryResult{
			RunID: "r1", Status: wire.RunQueued, Reason: w.queued, Steps: []wire.StepState{
				{Step: "a", Status: wire.StepWaiting}, {Step: "b", Status: wire.StepWaiting, WaitingFor: []string{"a"}},
			},
		}, e.steps())
		require.Contains(t, e.details(), "**QUEUED** max_concurrent_runs is 1: run r0\n")
		e.wakeUp()
	})
	e.after(20*time.Second, func() {
		require.Empty(t, w.scheduled, "it asks, and a signal alone admits nobody")
		require.Equal(t, "max_concurrent_runs is 1: run r0, ask 1", e.steps().Reason)
		e.wakeUp()
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 2, result.Steps.Succeeded)
	for i, status := range []string{"QUEUED", "STARTED", "SUCCESS"} {
		require.Equal(t, map[string]any{wire.SearchStatus: status}, (&upserts{sets: upserted.sets[i : i+1]}).values())
	}
	require.Len(t, w.admissions, 2)
	for _, asked := range w.admissions {
		require.Equal(t, []string{"r1", w.planned[0].FirstRunID}, []string{asked.RunID, asked.FirstRunID})
		require.NotEmpty(t, asked.Execution)
	}
	require.Equal(t, int64(10*time.Second), w.admissions[1].At-w.admissions[0].At, "a reset run is told by when it asks")
}

// Nobody wakes it: its own timer does, ever more seldom.
func TestAQueuedRunAsksByItself(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(8)
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Len(t, w.admissions, 9)
	// 1, 2, 4, 8, 16, 32 minutes, and then an hour three times.
	require.Equal(t, 63*time.Minute+3*time.Hour, e.Now().Sub(began).Round(time.Minute))
}

func TestAnyPayloadWakesAQueuedRun(t *testing.T) {
	t.Parallel()
	for name, argument := range map[string]any{
		"an object": payload(`{}`), "steps": payload(`{"steps":["a"]}`), "null": nil, "no JSON": payload(`{`), "a string": "now", "unknown": payload(`{"stps":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a").queues(0)
			e := w.environment(t)
			began := e.Now()
			e.after(10*time.Second, func() { e.wakeUp(argument) })
			_, err := e.run(everything())
			require.NoError(t, err)
			require.Equal(t, 10*time.Second, e.Now().Sub(began).Round(time.Second))
		})
	}
}

func TestAQueuedRunIsCancelledAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a").queues(1000)
	e := w.environment(t)
	began := e.Now()
	e.after(10*time.Second, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Canceled: 2}, canceled(t, err).Steps)
	require.Equal(t, 10*time.Second, e.Now().Sub(began).Round(time.Second))
	require.Empty(t, w.scheduled)
	require.Empty(t, w.admissions)
	require.Equal(t, wire.RunCanceled, w.ended[0].Status)
}

// A cancel also reaches a run that asks while Postgres is away.
func TestAQueuedRunThatCannotAskIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(0)
	w.admit = func(int) (wire.AdmitRunResult, error) { return wire.AdmitRunResult{}, errors.New("Postgres is away") }
	e := w.environment(t)
	e.after(time.Second, func() { e.wakeUp() })
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Canceled: 1}, canceled(t, err).Steps)
	require.Greater(t, len(w.admissions), 2, "the ask that failed went on as an activity")
}

// Somebody ended its row meanwhile: it ends the same way, and nothing runs.
func TestAQueuedRunThatWasEndedEnds(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(0)
	w.admit = func(int) (wire.AdmitRunResult, error) {
		return wire.AdmitRunResult{Status: wire.RunFailure, Reason: "its workflow was terminated"}, nil
	}
	e := w.environment(t)
	_, err := e.run(everything())
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Canceled: 1}, result.Steps)
	require.Empty(t, w.scheduled)
	require.Equal(t, wire.RunFailure, w.ended[0].Status)
}

// It was cancelled while it waited, and reset before that: the records have taken it out of the queue.
func TestAQueuedRunThatTheRecordsHaveAsCancelledEnds(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(0)
	w.admit = func(int) (wire.AdmitRunResult, error) { return wire.AdmitRunResult{Status: wire.RunCanceling}, nil }
	_, err := w.environment(t).run(everything())
	require.Equal(t, wire.StepCounts{Canceled: 1}, canceled(t, err).Steps)
	require.Empty(t, w.scheduled)
}

func TestTheTimeOfAQueuedRunCountsFromItsAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(3).does(isHeld, "a")
	w.walk.Timeout = 10 * time.Minute
	e := w.environment(t)
	began := e.Now()
	// Asked after 1, 3, 7 and 15 minutes, and then it has 10.
	e.after(24*time.Minute, func() { e.completeAll("a") })
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 1, result.Steps.Succeeded)
	require.Equal(t, 24*time.Minute, e.Now().Sub(began).Round(time.Minute))
}

func TestAQueuedRunThatTakesTooLongAfterItsAdmissionFails(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(0).does(isHeld, "a")
	w.walk.Timeout = 10 * time.Minute
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	_, failed := runFailed(t, err)
	require.Contains(t, failed.Message(), "it took longer than the 10m0s that it may")
	require.Equal(t, 11*time.Minute, e.Now().Sub(began).Round(time.Minute))
}

// No step of a queued run can be cancelled: none runs.
// One that is reset to its planning has waited already, longer than it may take.
func TestTheTimeOfAResetRunCountsFromItsAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld("a").does(isHeld, "a")
	w.walk.Timeout = 10 * time.Minute
	e := w.environment(t)
	e.SetStartTime(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC))
	w.admitted = time.Date(2026, 11, 1, 10, 30, 0, 0, time.UTC).UnixNano()
	e.after(39*time.Minute, func() { e.completeAll("a") })
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 1, result.Steps.Succeeded)
}

func TestNoStepOfAQueuedRunIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(1)
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	e.after(time.Second, func() { e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"a"}`)) })
	_, err := e.run(everything())
	require.NoError(t, err)
	_, failed := refusal(t, answer.err)
	require.Contains(t, failed.Message(), `step "a" is WAITING`)
}

// A run that is queued for weeks continues as new, and asks at once in its next execution.
func TestAQueuedRunContinuesAsNew(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a").queues(40)
	w.walk.Timeout = 10 * time.Minute
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	arguments := next(t, err)
	require.InDelta(t, 24, e.Now().Sub(began).Hours(), 1)
	asked := len(w.admissions)
	require.Less(t, asked, 40)

	second := w.continuing(t)
	second.after(time.Second, func() {
		require.Equal(t, wire.RunQueued, second.steps().Status)
		require.Len(t, w.admissions, asked+1)
	})
	result, err := second.run(arguments...)
	require.NoError(t, err)
	require.Equal(t, 2, result.Steps.Succeeded)
	require.Len(t, w.planned, 1)
	require.Len(t, w.admissions, 41)
}

func TestARefusedRunIsNotQueued(t *testing.T) {
	t.Parallel()
	w := newWorld("a").queues(1)
	w.plan = func() (wire.PlanRunResult, error) {
		problems := wire.Problems{{Path: "assets", Code: wire.CodeUnknown, Message: `no asset "b"`}}
		return wire.PlanRunResult{}, temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
	}
	_, err := w.environment(t).run(everything())
	problems, _ := refusal(t, err)
	require.Len(t, problems, 1)
	require.Empty(t, w.admissions)
}
