package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// waits is a queue in which something waits at the first looks.
func waits(looks int) *world {
	w := newWorld("a")
	w.round = func(n int) (wire.AdmitRunsResult, error) {
		if n > looks {
			return wire.AdmitRunsResult{}, nil
		}
		return wire.AdmitRunsResult{Runs: 2, Steps: 1, First: []wire.Waiting{
			{RunID: "r1", Priority: 1, Since: "2026-11-30T12:00:00Z", Reason: "1 run at once | r0"},
			{RunID: "r2", Step: "load", Pool: "db", Priority: 3, Reason: "1 slot of pool db: run r0 step load"},
		}}, nil
	}
	return w
}

func (w *world) queueEnvironment(t *testing.T) *environment {
	t.Helper()
	e := w.environment(t)
	e.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "run-queue", TaskQueue: "perdure-system"})
	return e
}

// look executes the run queue to its end.
func (e *environment) look(arguments ...any) error {
	e.t.Helper()
	e.ExecuteWorkflow(wire.RunQueueWorkflow, arguments...)
	require.True(e.t, e.IsWorkflowCompleted())
	return e.GetWorkflowError()
}

func TestTheRunQueueLooksEveryTenSecondsWhileSomethingWaits(t *testing.T) {
	t.Parallel()
	w := waits(6)
	e := w.queueEnvironment(t)
	began := e.Now()
	e.after(5*time.Second, func() {
		require.Equal(t, "**2** runs wait in the queue, **1** steps for slots of pools\n\n"+
			"| run | step | priority | since | waits for |\n|---|---|---|---|---|\n"+
			"| `r1` |  | 1 | 2026-11-30T12:00:00Z | 1 run at once \\| r0 |\n"+
			"| `r2` | `load` | 3 |  | 1 slot of pool db: run r0 step load |\n"+
			"\nand 1 more: `perdure queue show` lists them\n", e.details())
	})
	require.NoError(t, e.look())
	require.Equal(t, 8, w.rounds)
	require.Equal(t, 70*time.Second, e.Now().Sub(began).Round(time.Second))
}

func TestTheRunQueueEndsWhenNothingWaits(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]any{"no input": nil, "an object": {payload(`{}`)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := waits(0)
			e := w.queueEnvironment(t)
			began := e.Now()
			require.NoError(t, e.look(arguments...))
			require.Equal(t, 2, w.rounds)
			require.Equal(t, 10*time.Second, e.Now().Sub(began).Round(time.Second))
		})
	}
}

// Who wakes it is served at once, and a hundred at a time are one look.
func TestTheRunQueueIsWoken(t *testing.T) {
	t.Parallel()
	w := waits(3)
	e := w.queueEnvironment(t)
	began := e.Now()
	wake := func() {
		for range 100 {
			e.SignalWorkflow(wire.WakeSignal, nil)
		}
	}
	e.after(200*time.Millisecond, wake)
	e.after(400*time.Millisecond, wake)
	e.after(5*time.Second, wake)
	require.NoError(t, e.look())
	require.Equal(t, 5, w.rounds)
	// At 0, 1 and 5 seconds, at 6 for those that came during the look at 5, and a last time.
	require.Equal(t, 16*time.Second, e.Now().Sub(began).Round(time.Second))
}

// Something began to wait while it was about to end.
func TestAWakeKeepsTheRunQueue(t *testing.T) {
	t.Parallel()
	w := waits(0)
	e := w.queueEnvironment(t)
	round := w.round
	w.round = func(n int) (wire.AdmitRunsResult, error) {
		if n == 2 {
			e.SignalWorkflow(wire.WakeSignal, nil)
		}
		return round(n)
	}
	require.NoError(t, e.look())
	require.Equal(t, 3, w.rounds)
}

// What got something and was not told of it waits for nothing any more: it is woken before RunQueue ends.
func TestTheRunQueueEndsWhenNobodyIsToBeWoken(t *testing.T) {
	t.Parallel()
	w := waits(1)
	round := w.round
	w.round = func(n int) (wire.AdmitRunsResult, error) {
		if n == 3 {
			return wire.AdmitRunsResult{Woken: 1}, nil
		}
		return round(n)
	}
	require.NoError(t, w.queueEnvironment(t).look())
	require.Equal(t, 5, w.rounds)
}

func TestTheRunQueueWaitsForPostgres(t *testing.T) {
	t.Parallel()
	w := waits(0)
	round := w.round
	w.round = func(n int) (wire.AdmitRunsResult, error) {
		if n <= 4 {
			return wire.AdmitRunsResult{}, errors.New("Postgres is away")
		}
		return round(n)
	}
	require.NoError(t, w.queueEnvironment(t).look())
	require.Equal(t, 6, w.rounds)
}

func TestTheRunQueueContinuesAsNew(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(*environment){
		"long": func(e *environment) { e.SetCurrentHistoryLength(2000) },
		"large": func(e *environment) {
			e.SetContinueAsNewSuggested(true)
		},
		"old": func(e *environment) {
			// Each look takes a while, that there are not too many.
			e.w.round = func(n int) (wire.AdmitRunsResult, error) {
				if n%2 == 1 {
					return wire.AdmitRunsResult{}, temporal.NewApplicationErrorWithOptions("Postgres is slow", "", temporal.ApplicationErrorOptions{NextRetryDelay: 50 * time.Second})
				}
				return wire.AdmitRunsResult{Runs: 1}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := waits(100_000)
			e := w.queueEnvironment(t)
			began := e.Now()
			grow(e)
			var next *workflow.ContinueAsNewError
			require.ErrorAs(t, e.look(), &next)
			require.Equal(t, wire.RunQueueWorkflow, next.WorkflowType.Name)
			require.Nil(t, next.Input)
			if name == "old" {
				require.Equal(t, 24*time.Hour, e.Now().Sub(began).Round(time.Hour))
			} else {
				require.Equal(t, 1, w.rounds)
			}
		})
	}
}

func TestTheRunQueueRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arguments []any
		codes     []string
	}{
		"unknown field":     {[]any{payload(`{"limit":3}`)}, []string{wire.CodeUnknownField}},
		"null":              {[]any{nil}, []string{wire.CodeWrongType}},
		"a second argument": {[]any{payload(`{"limit":3}`), payload(`{}`)}, []string{wire.CodeUnknownField, wire.CodeConflict}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := waits(0)
			problems, failed := refusal(t, w.queueEnvironment(t).look(test.arguments...))
			var codes []string
			for _, problem := range problems {
				codes = append(codes, problem.Code)
			}
			require.Equal(t, test.codes, codes)
			require.Contains(t, failed.Message(), "invalid run queue")
			require.Len(t, w.refused, 1)
			require.Equal(t, wire.RunQueueWorkflow, w.refused[0].WorkflowType)
			require.Zero(t, w.rounds)
		})
	}
}
