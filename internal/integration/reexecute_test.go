//go:build unix

package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// Who asks twice means one run, also when the first is well on its way.
func TestARunIsExecutedAgainByOneAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a"), asset("b", "a")})
	f.worker(t, "b1")
	f.hold(t, "b")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "b", 1)
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Succeeded: 1, Canceled: 1})

	again := starter.Reexecution{RunID: run, From: wire.RetryFailure}
	first, err := f.Starter.Reexecute(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, run+"~1", first.ID)
	f.awaitNotes(t, testlocation.Called, "b", 2)
	_, err = f.Starter.Reexecute(t.Context(), again)
	require.ErrorContains(t, err, first.ID+" executes "+run+" again by now (STARTED)")
	f.release(t, "b")
	result, err := f.await(t, first.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 1}, result.Steps)
	require.Len(t, f.notes(t, testlocation.Called, "a"), 1, "what is done is taken over")

	second, err := f.Starter.Reexecute(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, run+"~2", second.ID)
	result, err = f.await(t, second.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 1}, result.Steps)
}
