package workflows_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func remoteKind() plan.Kind { return plan.Kind{Remote: true, Queue: "ml"} }

func TestARemoteStepIsClaimedComputedAndRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld("source", "model<source", "use<model").kind(remoteKind(), "model").
		does(answers(map[string]any{"rows": 3}), "model")
	e := w.environment(t)
	var queue atomic.Value
	e.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityID == "model" {
			queue.Store(info.ActivityType.Name + "@" + info.TaskQueue)
		}
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 3}, result.Steps)
	require.Equal(t, "model@flights:ml", queue.Load())
	require.Equal(t, []wire.BeginRemoteInput{{Run: "r1", Step: "model", Type: "model", Queue: "flights:ml"}}, w.began)
	require.Equal(t, []wire.EndRemoteInput{
		{Run: "r1", Step: "model", Type: "model", Claim: []byte(`{"token":1}`), Result: []byte(`{"rows":3}`)},
	}, w.results)
	require.Equal(t, []string{"source", "model", "use"}, w.scheduled)
}

func TestARemoteStepThatIsDoneIsNotComputed(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "use<model").kind(remoteKind(), "model")
	w.beginning = func(wire.BeginRemoteInput) (wire.BeginRemoteResult, error) {
		w.recordLocked("model", wire.StepSuccess, "")
		return wire.BeginRemoteResult{Done: &wire.StepResult{Recorded: true}}, nil
	}
	_, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, []string{"use"}, w.scheduled)
}

// An error of the program is the user's: whether there is another attempt is decided where it is recorded.
func TestAFailedRemoteStepIsTriedAgainAsItsRetriesSay(t *testing.T) {
	t.Parallel()
	w := newWorld("model").kind(remoteKind(), "model").
		does(func(context.Context) (any, error) {
			return nil, temporal.NewApplicationErrorWithOptions("out of memory", "MemoryError", temporal.ApplicationErrorOptions{NonRetryable: true})
		}, "model")
	w.ending = func(input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
		if len(w.results) < 3 {
			return wire.EndRemoteResult{Retry: time.Hour}, nil
		}
		w.recordLocked(input.Step, wire.StepFailed, input.Error.Message)
		return wire.EndRemoteResult{}, temporal.NewNonRetryableApplicationError(input.Error.Message, wire.FailureStepFailed, nil)
	}
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	_, failed := runFailed(t, err)
	require.Equal(t, "1 of 1 steps failed: model: out of memory", failed.Message())
	require.Equal(t, &wire.RemoteError{Message: "out of memory", Type: "MemoryError", NonRetryable: true}, w.results[0].Error)
	require.Equal(t, 3, w.count("model"))
	require.GreaterOrEqual(t, e.Now().Sub(began), 2*time.Hour)
	require.Zero(t, w.began[0].Scheduled)
	require.EqualValues(t, 17, w.began[2].Scheduled, "all attempts are one scheduling")
}

// A program that died is claimed for anew, which counts it; nothing is recorded as the user's failure.
func TestADeadProgramIsNoFailureOfTheUser(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	w := newWorld("model").kind(remoteKind(), "model").does(func(context.Context) (any, error) {
		if calls.Add(1) < 3 {
			return nil, temporal.NewHeartbeatTimeoutError()
		}
		return "done", nil
	}, "model")
	_, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Len(t, w.began, 3)
	require.Len(t, w.results, 1)

	died := newWorld("model").kind(remoteKind(), "model").does(func(context.Context) (any, error) {
		return nil, temporal.NewHeartbeatTimeoutError()
	}, "model")
	died.beginning = func(wire.BeginRemoteInput) (wire.BeginRemoteResult, error) {
		if len(died.began) < 4 {
			return wire.BeginRemoteResult{Scheduled: 17, Input: []byte(`{"run":"r1","step":"model"}`)}, nil
		}
		died.recordLocked("model", wire.StepFailed, "3 workers died")
		return wire.BeginRemoteResult{}, temporal.NewNonRetryableApplicationError("3 workers died", wire.FailureStepFailed, nil)
	}
	_, err = died.environment(t).run(everything())
	_, failed := runFailed(t, err)
	require.Equal(t, "1 of 1 steps failed: model: 3 workers died", failed.Message())
	require.Equal(t, 3, died.count("model"))
}

func TestARemoteStepsTimeoutIsTheUsers(t *testing.T) {
	t.Parallel()
	kind := remoteKind()
	kind.Timeout = time.Minute
	w := newWorld("model").kind(kind, "model").does(func(context.Context) (any, error) {
		return nil, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	}, "model")
	_, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, "took longer than its timeout of 1m0s", w.results[0].Error.Message)
}

func TestWhatARemoteStepMayAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer any
		result string
		says   string
	}{
		"nothing":  {nil, "null", ""},
		"a string": {"s3://bucket/model", `"s3://bucket/model"`, ""},
		"too much": {strings.Repeat("x", 600<<10), "", "answered 600 KB, at most 512 are taken"},
		"bytes":    {[]byte{0, 255}, "", `what is not JSON (encoding "binary/plain")`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("model").kind(remoteKind(), "model").does(answers(test.answer), "model")
			_, err := w.environment(t).run(everything())
			require.NoError(t, err)
			if test.says != "" {
				require.Contains(t, w.results[0].Error.Message, test.says)
				require.True(t, w.results[0].Error.NonRetryable)
				return
			}
			require.Nil(t, w.results[0].Error)
			require.JSONEq(t, test.result, string(w.results[0].Result))
		})
	}
}

func TestNobodyServesARemoteStep(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "other").kind(remoteKind(), "model").kind(plan.Kind{Queue: "gpu"}, "other").does(isHeld, "model", "other")
	w.unpolled = []string{"flights:gpu", "flights:ml"}
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Contains(t, e.details(), "- nobody polls the queue `flights:ml`, in which `model` lies: start the program that serves it\n")
		require.Contains(t, e.details(), "- nobody polls the queue `flights:gpu`, in which `other` lies: start a worker with `--queues gpu`\n")
		w.mu.Lock()
		w.unpolled = nil
		w.mu.Unlock()
	})
	e.after(2*time.Hour, func() {
		require.NotContains(t, e.details(), "nobody polls")
		require.Less(t, len(w.looked), 30)
		e.complete("model", wire.StepResult{}, nil)
		e.completeAll("other")
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.PollersInput{RunID: "r1", Queues: []string{"flights:gpu", "flights:ml"}}, w.looked[0])
}

// Once nothing lies in the queue any more, nobody needs to poll it: the records must not go on saying so.
func TestTheRecordsHearThatAQueueNeedsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "other").kind(plan.Kind{Queue: "ml"}, "model").does(isHeld, "model", "other")
	w.unpolled = []string{"flights:ml"}
	e := w.environment(t)
	e.after(time.Minute, func() {
		w.mu.Lock()
		w.unpolled = nil
		w.mu.Unlock()
		e.completeAll("model")
	})
	e.after(time.Hour, func() { e.completeAll("other") })
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, []wire.PollersInput{{RunID: "r1", Queues: []string{"flights:ml"}}, {RunID: "r1"}}, w.looked)
}

func TestARemoteStepIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "use<model").kind(remoteKind(), "model").does(isHeld, "model")
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, 2, canceled(t, err).Steps.Canceled)
	require.Empty(t, w.results)
}

func TestARemoteStepIsCancelledBetweenTwoAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "use<model", "other").kind(remoteKind(), "model").does(fails("bad"), "model").does(isHeld, "other")
	w.ending = func(wire.EndRemoteInput) (wire.EndRemoteResult, error) {
		return wire.EndRemoteResult{Retry: time.Hour}, nil
	}
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	e.after(time.Minute, func() { e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"model"}`)) })
	e.after(2*time.Minute, func() { e.completeAll("other") })
	_, err := e.run(everything())
	_, _ = runFailed(t, err)
	require.Equal(t, wire.StepState{Step: "model", Status: wire.StepCanceled}, answer.result)
	require.Equal(t, 1, w.count("model"))
}

// The pause between two attempts is not lost when the run continues as new, and does not hold it up.
func TestARemoteStepsPauseIsCarriedAlong(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "a", "b<a", "c<b").kind(remoteKind(), "model").does(func(context.Context) (any, error) {
		return nil, temporal.NewApplicationError("bad", "x")
	}, "model")
	w.ending = func(input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
		if len(w.results) == 1 {
			return wire.EndRemoteResult{Retry: 3 * time.Hour}, nil
		}
		w.recordLocked(input.Step, wire.StepSuccess, "")
		return wire.EndRemoteResult{Done: &wire.StepResult{Recorded: true}}, nil
	}
	w.walk.Limits.ContinueAfter = 10
	_, executions, err := w.walkToEnd(t)
	require.NoError(t, err)
	require.Greater(t, executions, 1)
	require.Equal(t, 2, w.count("model"))
	require.Equal(t, []int64{0, 17}, []int64{w.began[0].Scheduled, w.began[1].Scheduled})
}

// A workflow task brings only so much along: the claims of many remote steps come a few at a time.
func TestManyRemoteStepsAreClaimedAFewAtATime(t *testing.T) {
	t.Parallel()
	steps := make([]string, 100)
	for i := range steps {
		steps[i] = key(i)
	}
	var claiming, most int
	w := newWorld(steps...).kind(remoteKind(), steps...).does(answers(strings.Repeat("x", 300<<10)), steps...)
	e := w.environment(t)
	e.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if strings.HasPrefix(info.ActivityID, "perdure.begin:") || strings.HasPrefix(info.ActivityID, "perdure.end:") {
			claiming++
			most = max(most, claiming)
		}
	})
	e.SetOnActivityCompletedListener(func(info *activity.Info, _ converter.EncodedValue, _ error) {
		if strings.HasPrefix(info.ActivityID, "perdure.begin:") || strings.HasPrefix(info.ActivityID, "perdure.end:") {
			claiming--
		}
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	require.LessOrEqual(t, most, 12)
}
