//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	sdkworker "go.temporal.io/sdk/worker"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// program serves remote steps, as a program of any language would: it knows Temporal, and nothing of Perdure but JSON.
func (f *fixture) program(t *testing.T, key string, compute func(context.Context, wire.RemoteInput) (json.RawMessage, error)) {
	t.Helper()
	w := sdkworker.New(f.Temporal, wire.NamedQueue(f.spec.Location, "ml"), sdkworker.Options{})
	w.RegisterActivityWithOptions(compute, activity.RegisterOptions{Name: key})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

func newRemote(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, nil)
	f.spec.Remote = []string{"score"}
	f.worker(t, "b1")
	return f
}

func TestAnotherProgramComputesAStep(t *testing.T) {
	t.Parallel()
	f := newRemote(t)
	var calls atomic.Int32
	f.program(t, "score", func(_ context.Context, input wire.RemoteInput) (json.RawMessage, error) {
		if calls.Add(1) == 1 {
			return nil, errors.New("out of memory")
		}
		if input.Attempt != 2 || input.Step != "score" || len(input.Assets) != 1 {
			return nil, errors.New("wrong input")
		}
		return json.RawMessage(`{"outputs":{"score":{"value":42,"metadata":[{"label":"rows","type":"int","value":3}]}}}`), nil
	})
	run := f.start(t, "1", "score")
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, []string{"score"}, result.Materialized)
	require.EqualValues(t, 2, calls.Load())
	require.Len(t, f.events(t, run, metadata.EventStepUpForRetry), 1)
	require.Len(t, f.events(t, run, metadata.EventMaterialization), 1)
	step := f.steps(t, run)["score"]
	require.Equal(t, 2, step.Attempt)
	require.Zero(t, step.Lost)
}

func TestARemoteStepFails(t *testing.T) {
	t.Parallel()
	f := newRemote(t)
	f.program(t, "score", func(context.Context, wire.RemoteInput) (json.RawMessage, error) { return nil, errors.New("no model") })
	run := f.start(t, "1", "score")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Failed: 1})
	require.Equal(t, "no model", ended.Failures[0].Message)
	require.Equal(t, 2, f.steps(t, run)["score"].Attempt)
}

func TestWhatARemoteStepAnswersIsChecked(t *testing.T) {
	t.Parallel()
	f := newRemote(t)
	f.program(t, "score", func(context.Context, wire.RemoteInput) (json.RawMessage, error) {
		return json.RawMessage(`{"outputs":{"scores":{"value":42}}}`), nil
	})
	run := f.start(t, "1", "score")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Failed: 1})
	require.Contains(t, ended.Failures[0].Message, `output "scores", which was not requested`)
}

func TestARemoteStepThatNobodyServesIsCancelled(t *testing.T) {
	t.Parallel()
	f := newRemote(t)
	run := f.start(t, "1", "score")
	require.Eventually(t, func() bool { return f.pending(t, run, "score") != nil }, longEnough, often)
	canceled := time.Now()
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Canceled: 1})
	require.Less(t, f.run(t, run).EndedAt.Sub(canceled), 2*heardWithin)
}
