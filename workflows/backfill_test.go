package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
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

// backfillWorld is what a backfill meets: its row, and an activity that answers as told.
type backfillWorld struct {
	row      wire.BackfillProgress
	advances []wire.BackfillInput
	steered  []wire.SteerBackfillInput
	stops    int
	ended    []wire.EndBackfillInput
	refused  []wire.RefuseInput
	// problems are what planning refuses; continueAfter is what it answers.
	problems      wire.Problems
	continueAfter int
	mu            sync.Mutex
	// advance is what working on it does, the nth time.
	advance func(ctx context.Context, n int) (wire.AdvanceBackfillResult, error)
	// steer is what goes wrong with writing down what somebody wants; nil is nothing.
	steer func(ctx context.Context, input wire.SteerBackfillInput) error
}

func newBackfillWorld() *backfillWorld {
	return &backfillWorld{row: wire.BackfillProgress{
		BackfillID: "bf1", Status: wire.BackfillRequested, MaxConcurrentRuns: 20, Assets: []wire.BackfillAsset{{Asset: "a", Targeted: 4}},
	}}
}

func (w *backfillWorld) env(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "bf1", TaskQueue: "flights"})
	w.register(env)
	return env
}

func (w *backfillWorld) register(to registry) {
	to.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: wire.BackfillWorkflow})
	register := func(name string, do any) { to.RegisterActivityWithOptions(do, activity.RegisterOptions{Name: name}) }
	register(wire.RefuseActivity, func(_ context.Context, input wire.RefuseInput) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = append(w.refused, input)
		return nil
	})
	register(wire.PlanBackfillActivity, func(_ context.Context, input wire.PlanBackfillInput) (wire.PlanBackfillResult, error) {
		if w.problems != nil {
			return wire.PlanBackfillResult{}, temporal.NewNonRetryableApplicationError(w.problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: w.problems})
		}
		if input.Request.DryRun {
			return wire.PlanBackfillResult{DryRun: &wire.BackfillPlan{RunCount: 4}}, nil
		}
		return wire.PlanBackfillResult{Progress: w.read(), ContinueAfter: w.continueAfter}, nil
	})
	register(wire.AdvanceBackfillActivity, func(ctx context.Context, input wire.BackfillInput) (wire.AdvanceBackfillResult, error) {
		w.mu.Lock()
		w.advances = append(w.advances, input)
		n := len(w.advances)
		w.mu.Unlock()
		result, err := w.advance(ctx, n)
		if result.Progress.BackfillID == "" {
			result.Progress = w.read()
		}
		return result, err
	})
	register(wire.SteerBackfillActivity, func(ctx context.Context, input wire.SteerBackfillInput) (wire.BackfillProgress, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.steered = append(w.steered, input)
		if w.steer != nil {
			if err := w.steer(ctx, input); err != nil {
				return wire.BackfillProgress{}, err
			}
		}
		if input.Paused != nil {
			w.row.Paused = *input.Paused
		}
		if input.MaxConcurrentRuns != 0 {
			w.row.MaxConcurrentRuns = input.MaxConcurrentRuns
		}
		if input.Status != "" {
			w.row.Status, w.row.Reason = input.Status, input.Reason
		}
		return w.row, nil
	})
	register(wire.StopBackfillActivity, func(context.Context, wire.BackfillInput) (wire.StopBackfillResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stops++
		return wire.StopBackfillResult{Progress: w.row, Stopped: w.stops > 1}, nil
	})
	register(wire.EndBackfillActivity, func(_ context.Context, input wire.EndBackfillInput) (wire.BackfillResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = append(w.ended, input)
		if w.row.Runs.Failed > 0 && input.Status == wire.BackfillSucceeded {
			input.Status = wire.BackfillFailed
		}
		return wire.BackfillResult{BackfillID: "bf1", Status: input.Status, Assets: w.row.Assets, Runs: w.row.Runs, Reason: input.Reason}, nil
	})
}

// read is the row as it is now.
func (w *backfillWorld) read() wire.BackfillProgress {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.row
}

func (w *backfillWorld) run(t *testing.T, env *testsuite.TestWorkflowEnvironment) (wire.BackfillResult, error) {
	t.Helper()
	env.ExecuteWorkflow(wire.BackfillWorkflow, json.RawMessage(`{"assets":"a","all_partitions":true}`))
	require.True(t, env.IsWorkflowCompleted())
	var result wire.BackfillResult
	if err := env.GetWorkflowError(); err != nil {
		return result, err
	}
	return result, env.GetWorkflowResult(&result)
}

func doneAfter(n int) func(context.Context, int) (wire.AdvanceBackfillResult, error) {
	return func(_ context.Context, i int) (wire.AdvanceBackfillResult, error) {
		return wire.AdvanceBackfillResult{Done: i == n}, nil
	}
}

func TestABackfillIsWorkedOnUntilItIsDone(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	w.advance = doneAfter(6)
	result, err := w.run(t, w.env(t))
	require.NoError(t, err)
	require.Equal(t, wire.BackfillSucceeded, result.Status)
	var patience []time.Duration
	for _, input := range w.advances {
		patience = append(patience, input.Patience)
	}
	require.Equal(t, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute}, patience)
}

func TestABackfillOfWhichSomethingFailedFails(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	w.advance, w.row.Runs.Failed = doneAfter(1), 1
	_, err := w.run(t, w.env(t))
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, wire.FailureBackfillFailed, application.Type())
	var result wire.BackfillResult
	require.NoError(t, application.Details(&result))
	require.Equal(t, wire.BackfillFailed, result.Status)
}

func TestABackfillThatCannotGoOnStopsItsRuns(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	w.advance = func(context.Context, int) (wire.AdvanceBackfillResult, error) {
		return wire.AdvanceBackfillResult{Broken: "the definitions have changed"}, nil
	}
	_, err := w.run(t, w.env(t))
	require.ErrorContains(t, err, "the definitions have changed")
	require.Equal(t, 2, w.stops)
	require.Equal(t, wire.BackfillFailing, w.steered[0].Status)
	require.Equal(t, wire.BackfillBroken, w.ended[0].Status)
}

func TestACancelIsWrittenDownWhileSomebodyWorks(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	// The activity sees the cancel in the row, and nowhere else.
	w.advance = func(context.Context, int) (wire.AdvanceBackfillResult, error) {
		if w.row.Status == wire.BackfillRequested {
			return wire.AdvanceBackfillResult{}, errors.New("not yet")
		}
		return wire.AdvanceBackfillResult{}, nil
	}
	env.RegisterDelayedCallback(env.CancelWorkflow, 90*time.Second)
	_, err := w.run(t, env)
	var canceled *temporal.CanceledError
	require.ErrorAs(t, err, &canceled)
	var result wire.BackfillResult
	require.NoError(t, canceled.Details(&result))
	require.Equal(t, wire.BackfillCanceled, result.Status)
	require.Equal(t, 2, w.stops)
}

func TestAPausedBackfillRests(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	w.advance = func(_ context.Context, n int) (wire.AdvanceBackfillResult, error) {
		return wire.AdvanceBackfillResult{Done: n == 2 && !w.row.Paused}, nil
	}
	w.row.Paused = true
	env.RegisterDelayedCallback(func() {
		require.Empty(t, w.advances)
		env.SignalWorkflow(wire.ResumeSignal, nil)
	}, 3*time.Hour)
	var answered wire.BackfillProgress
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(wire.SetConcurrencyUpdate, "u1", &testsuite.TestUpdateCallback{
			OnAccept: func() {}, OnReject: func(err error) { require.NoError(t, err) },
			OnComplete: func(result any, err error) {
				require.NoError(t, err)
				answered = result.(wire.BackfillProgress)
			},
		}, json.RawMessage(`{"max_concurrent_runs":50.0}`))
	}, time.Hour)
	_, err := w.run(t, env)
	require.NoError(t, err)
	require.Equal(t, 50, answered.MaxConcurrentRuns)
	require.Len(t, w.advances, 2)
}

func TestTheLastOfPauseAndResumeHolds(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	w.advance = func(context.Context, int) (wire.AdvanceBackfillResult, error) {
		if len(w.steered) < 3 {
			return wire.AdvanceBackfillResult{}, errors.New("not yet")
		}
		return wire.AdvanceBackfillResult{Done: !w.row.Paused}, nil
	}
	// The pause cannot be written down at once, and is tried again when the backfill is to go on already.
	w.steer = func(context.Context, wire.SteerBackfillInput) error {
		if len(w.steered) > 1 {
			return nil
		}
		env.SignalWorkflow(wire.ResumeSignal, nil)
		return errors.New("Postgres is away")
	}
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(wire.PauseSignal, nil) }, time.Minute)
	_, err := w.run(t, env)
	require.NoError(t, err)
	require.True(t, *w.steered[1].Paused)
	require.False(t, *w.steered[2].Paused)
}

func TestABackfillContinuesAsNewWithNothingButItsProgress(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	w.advance = func(_ context.Context, n int) (wire.AdvanceBackfillResult, error) {
		if n == 2 {
			env.SetCurrentHistoryLength(2000)
		}
		return wire.AdvanceBackfillResult{}, nil
	}
	_, err := w.run(t, env)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &again)
	require.Len(t, w.advances, 2)

	next := newBackfillWorld()
	next.advance = doneAfter(1)
	env = next.env(t)
	env.SetContinuedExecutionRunID("before")
	env.ExecuteWorkflow(wire.BackfillWorkflow, json.RawMessage(`{"assets":"a"}`), json.RawMessage(`{"v":1,"progress":{"backfill_id":"bf1","status":"REQUESTED"}}`))
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, time.Minute, next.advances[0].Patience)
}

func TestABackfillRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	env.ExecuteWorkflow(wire.BackfillWorkflow, json.RawMessage(`{"assets":"a","partitons":["x"],"max_concurrent_runs":"5"}`))
	require.ErrorContains(t, env.GetWorkflowError(), `partitons: unknown field "partitons" (did you mean "partitions"?`)
	require.ErrorContains(t, env.GetWorkflowError(), `max_concurrent_runs: must be a whole number, not the string "5"`)
	require.Len(t, w.refused, 1)
	require.Equal(t, wire.BackfillWorkflow, w.refused[0].WorkflowType)
}

// The activity has seen the backfill paused, and its answer arrives after somebody has resumed it.
func TestABackfillThatIsResumedWhileAnAnswerIsOnItsWayGoesOn(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	var token []byte
	w.advance = func(ctx context.Context, n int) (wire.AdvanceBackfillResult, error) {
		if n == 1 {
			token = activity.GetInfo(ctx).TaskToken
			return wire.AdvanceBackfillResult{}, activity.ErrResultPending
		}
		return wire.AdvanceBackfillResult{Done: true}, nil
	}
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(wire.ResumeSignal, nil) }, time.Second)
	env.RegisterDelayedCallback(func() {
		require.Len(t, w.steered, 1)
		seen := w.row
		seen.Paused = true
		require.NoError(t, env.CompleteActivity(token, wire.AdvanceBackfillResult{Progress: seen}, nil))
	}, 3*time.Second)
	result, err := w.run(t, env)
	require.NoError(t, err)
	require.Equal(t, wire.BackfillSucceeded, result.Status)
	require.Len(t, w.advances, 2)
}

// What is wanted last stands: it is not written down beside what was wanted before.
func TestABackfillIsSteeredOneAfterTheOther(t *testing.T) {
	t.Parallel()
	w := newBackfillWorld()
	env := w.env(t)
	var token []byte
	w.steer = func(ctx context.Context, input wire.SteerBackfillInput) error {
		if !*input.Paused {
			return nil
		}
		token = activity.GetInfo(ctx).TaskToken
		return activity.ErrResultPending
	}
	var working []byte
	w.advance = func(ctx context.Context, n int) (wire.AdvanceBackfillResult, error) {
		if n == 1 {
			working = activity.GetInfo(ctx).TaskToken
			return wire.AdvanceBackfillResult{}, activity.ErrResultPending
		}
		return wire.AdvanceBackfillResult{Done: true}, nil
	}
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(wire.PauseSignal, nil) }, time.Second)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(wire.ResumeSignal, nil) }, 2*time.Second)
	env.RegisterDelayedCallback(func() {
		require.Len(t, w.steered, 1, "the pause is still being written down")
		paused := w.row
		paused.Paused = true
		require.NoError(t, env.CompleteActivity(token, paused, nil))
	}, 3*time.Second)
	env.RegisterDelayedCallback(func() {
		require.Len(t, w.steered, 2)
		require.NoError(t, env.CompleteActivity(working, wire.AdvanceBackfillResult{Progress: w.row}, nil))
	}, 4*time.Second)
	_, err := w.run(t, env)
	require.NoError(t, err)
}

// A reset to before the end finds the backfill ended, or about to: nothing would ever be done on it.
func TestABackfillThatHasEndedEndsTheSameWhenItIsReset(t *testing.T) {
	t.Parallel()
	for _, status := range []wire.BackfillStatus{
		wire.BackfillSucceeded, wire.BackfillFailed, wire.BackfillBroken, wire.BackfillCanceled, wire.BackfillFailing,
	} {
		w := newBackfillWorld()
		w.row.Status, w.row.Reason = status, "the reason"
		w.advance = func(context.Context, int) (wire.AdvanceBackfillResult, error) {
			return wire.AdvanceBackfillResult{}, errors.New("there is nothing to work on")
		}
		result, err := w.run(t, w.env(t))
		require.Empty(t, w.advances, status)
		require.Len(t, w.ended, 1, status)
		ended := w.ended[0].Status
		switch status {
		case wire.BackfillSucceeded:
			require.NoError(t, err)
			require.Equal(t, status, result.Status)
		case wire.BackfillCanceled:
			var canceled *temporal.CanceledError
			require.ErrorAs(t, err, &canceled)
			require.Equal(t, status, ended)
		case wire.BackfillFailing:
			require.ErrorContains(t, err, "the reason")
			require.Equal(t, wire.BackfillBroken, ended)
		default:
			require.ErrorContains(t, err, "the reason")
			require.Equal(t, status, ended)
		}
	}
}
