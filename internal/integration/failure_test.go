//go:build unix

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestAPanicFailsItsStepAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	w := f.worker(t, "b1")
	f.instruct(t, "middle", testlocation.Instruction{Panic: true})
	run := f.start(t, "1", "*")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 2, Failed: 1, Skipped: 1})
	require.Equal(t, "middle", ended.Failures[0].Step)
	failed := f.steps(t, run)["middle"]
	require.Equal(t, "panic: as it was told to", failed.Error.Message)
	require.Contains(t, failed.Error.Stack, "testlocation.(*function).call")
	require.Len(t, f.events(t, run, metadata.EventStepFailure), 1)
	require.Equal(t, wire.StepUpstreamFailed, f.steps(t, run)["sink"].Status)
	output, err := f.temporal(t, "workflow", "result", "--workflow-id", run)
	require.Error(t, err)
	require.Contains(t, output, "1 of 4 steps failed: middle: panic: as it was told to")

	// The worker goes on.
	f.release(t, "middle")
	run = f.start(t, "2", "*")
	f.requireGood(t, run)
	select {
	case <-w.Ended():
		t.Fatal("the worker has ended")
	default:
	}
}

func TestATimeoutHoldsForADeafFunction(t *testing.T) {
	t.Parallel()
	deaf, hearing := asset("deaf"), asset("hearing")
	deaf.Timeout, hearing.Timeout = 2*time.Second, 2*time.Second
	f := newFixture(t, []testlocation.Asset{deaf, hearing, asset("fine"), asset("sink", "deaf")})
	f.worker(t, "b1")
	f.instruct(t, "deaf", testlocation.Instruction{Hold: true, Deaf: true})
	f.hold(t, "hearing")
	run := f.start(t, "1", "*")
	f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 1, Failed: 2, Skipped: 1})
	f.awaitNotes(t, testlocation.Ignored, "deaf", 1)
	f.awaitNotes(t, testlocation.Stopped, "hearing", 1)
	steps := f.steps(t, run)
	for _, key := range []string{"deaf", "hearing"} {
		require.Contains(t, steps[key].Error.Message, "took longer than its timeout of 2s")
	}
	require.Contains(t, steps["deaf"].Error.Message, "is left behind")
	f.requireCalls(t, run, map[string]int{"sink": 0})
}
