package metadata_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestAStepThatNobodyTakesFailsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	b.begin("r1", step("a"))
	first := b.handBack("r1", "a", 5)
	require.False(t, first.Closed)
	b.setClock("2026-11-22T10:01:00Z")
	require.Equal(t, first, b.handBack("r1", "a", 5), "the grace is not over yet")
	b.setClock("2026-11-22T10:01:01Z")
	failed := metadata.HandedBack{Closed: true, Status: wire.StepFailed, Error: &wire.ErrorInfo{Message: "unknown everywhere"}}
	require.Equal(t, failed, b.handBack("r1", "a", 5))
	require.Equal(t, wire.StepFailed, b.stepRow("r1", "a").Status)
	require.Contains(t, b.types("r1"), metadata.EventStepFailure)

	// Its answer was lost: the next attempt hears the same.
	before := b.dump()
	require.Equal(t, failed, b.handBack("r1", "a", 5))
	require.Equal(t, before, b.dump())
}

func TestTheGraceBeginsAnewWhenTheStepWasGranted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	b.begin("r1", step("a"))
	b.handBack("r1", "a", 5)
	b.granted("r1", "a", 5, 6)
	b.setClock("2026-11-22T10:05:00Z")
	require.False(t, b.handBack("r1", "a", 5).Closed)
}

func TestAStepOfAResetRunIsHandedBackAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	b.begin("r1", step("a"), step("b"))
	b.committed("r1", "a", 5, "a")
	b.end("r1", 10, wire.RunSuccess)
	b.setClock("2026-11-22T11:00:00Z")
	first := b.handBack("r1", "a", 20)
	require.False(t, first.Closed)
	require.Equal(t, wire.StepRunning, b.stepRow("r1", "a").Status)
	require.Zero(t, b.stepRow("r1", "a").Attempt, "what it was before the reset is over")
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, run.Status)
	require.Contains(t, b.types("r1"), metadata.EventRunRestarted)
	b.setClock("2026-11-22T11:00:50Z")
	require.Equal(t, first, b.handBack("r1", "a", 20))

	// Another reset: it waits from now on.
	require.Greater(t, b.handBack("r1", "a", 30).Since, first.Since)
	b.setClock("2026-11-22T11:01:30Z")
	require.False(t, b.handBack("r1", "a", 30).Closed)
	// An attempt from before it, and its grace, mean nothing any more.
	require.Equal(t, metadata.HandedBack{Closed: true}, b.handBack("r1", "a", 20))
	b.setClock("2026-11-22T11:02:00Z")
	require.Equal(t, wire.StepFailed, b.handBack("r1", "a", 30).Status)
}

func TestAStepThatHasEndedIsNotHandedBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("done"), step("failed"), step("closed"), step("never"))
	b.committed("r1", "done", 5, "done")
	b.fail(b.granted("r1", "failed", 5, 5), 1, true)
	b.granted("r1", "closed", 5, 5)
	b.close("r1", "closed", 8, wire.StepCanceled)
	b.end("r1", 10, wire.RunFailure)
	before := b.dump()
	require.Equal(t, metadata.HandedBack{Closed: true, Status: wire.StepSuccess, Result: &wire.StepResult{Materialized: []string{"done"}}}, b.handBack("r1", "done", 5))
	require.Equal(t, metadata.HandedBack{Closed: true, Status: wire.StepFailed, Error: &wire.ErrorInfo{Message: "no such file"}}, b.handBack("r1", "failed", 5))
	require.Equal(t, metadata.HandedBack{Closed: true}, b.handBack("r1", "closed", 5))
	require.Equal(t, metadata.HandedBack{Closed: true}, b.handBack("r1", "never", 5))
	require.Equal(t, before, b.dump())
}
