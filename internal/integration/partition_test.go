//go:build unix

package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// A worker that is cut off from Temporal, and not from Postgres, is the zombie that nothing stops but the fence.
func TestACutOffWorkerCommitsTooLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	way := newProxy(t, testenv.Temporal(t).Address)
	cutOff := f.worker(t, "b1", "PERDURE_TEMPORAL_ADDRESS="+way.Address)
	f.hold(t, "middle")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	second := f.worker(t, "b1")
	way.cut()
	// It goes on: its value is staged, its token still good, and it comes as far as its commit.
	f.instruct(t, "middle", testlocation.Instruction{HoldPublish: true})
	f.awaitNotes(t, testlocation.Publishing, "middle", 1)
	calls := f.awaitNotes(t, testlocation.Called, "middle", 2)
	require.Equal(t, second.ID(), calls[1].Process)
	f.awaitNotes(t, testlocation.Publishing, "middle", 2)
	f.release(t, "middle")
	f.requireGood(t, run)
	require.Eventually(t, func() bool { return strings.Contains(cutOff.Log(), "noticed at the commit") }, longEnough, often)
	f.verify(t, run)
	f.requireCalls(t, run, map[string]int{"middle": 2})
	value, err := f.Load(t.Context(), f.materialization(t, run, "middle"))
	require.NoError(t, err)
	require.Equal(t, calls[1].Call, value.Call, "the value is the second worker's")
	require.Zero(t, f.steps(t, run)["middle"].Lost, "the worker lives, and had said so")

	// Back again, it serves.
	way.mend()
	require.NoError(t, second.Kill())
	run = f.start(t, "2", "*")
	f.requireGood(t, run)
}
