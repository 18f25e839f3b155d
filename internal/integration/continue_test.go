//go:build unix

package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// layers is a graph of layers, each asset needing two of the layer before.
func layers(depth, width int) []testlocation.Asset {
	key := func(layer, i int) string { return fmt.Sprintf("l%02d_%02d", layer, i%width) }
	var assets []testlocation.Asset
	for layer := range depth {
		for i := range width {
			var inputs []string
			if layer > 0 {
				inputs = []string{key(layer-1, i), key(layer-1, i+1)}
			}
			assets = append(assets, asset(key(layer, i), inputs...))
		}
	}
	return assets
}

func TestARunContinuesAsNewAgainAndAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, layers(30, 10), "PERDURE_RUN_CONTINUE_AFTER_EVENTS=100", "PERDURE_RUN_MAX_CONCURRENT_STEPS=20")
	f.worker(t, "b1")
	run := f.start(t, "1", "*")
	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
	require.Greater(t, len(f.executions(t, run)), 4)
}

// heldUpBelow is the longest that a straggler may hold up the other steps: a drain that is given up, and some.
const heldUpBelow = 10 * time.Second

func TestAStepOutlivesSeveralMomentsToContinueAsNew(t *testing.T) {
	t.Parallel()
	others := layers(24, 5)
	assets := append([]testlocation.Asset{asset("slow")}, others...)
	last := others[len(others)-1].Key
	for i := range 60 {
		assets = append(assets, asset(fmt.Sprintf("after_%02d", i), "slow", last))
	}
	f := newFixture(t, assets, "PERDURE_RUN_CONTINUE_AFTER_EVENTS=100", "PERDURE_RUN_MAX_CONCURRENT_STEPS=10")
	f.worker(t, "b1")
	f.hold(t, "slow")
	run := f.start(t, "1", "*")
	f.awaitStep(t, run, last, func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	require.Len(t, f.executions(t, run), 1, "an activity does not survive it")
	f.release(t, "slow")
	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
	require.Greater(t, len(f.executions(t, run)), 1)

	var times []time.Time
	for _, note := range f.notes(t, testlocation.Called, "") {
		times = append(times, note.At)
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := 1; i <= len(others); i++ {
		require.Less(t, times[i].Sub(times[i-1]), heldUpBelow, "the others were held up by the slow one")
	}
}

func TestARunIsMadeToContinueAsNew(t *testing.T) {
	t.Parallel()
	assets := append([]testlocation.Asset{asset("slow")}, layers(60, 2)...)
	f := newFixture(t, assets, "PERDURE_RUN_CONTINUE_AFTER_EVENTS=80", "PERDURE_RUN_FORCE_CONTINUE_EVENTS=250", "PERDURE_RUN_MAX_CONCURRENT_STEPS=5")
	f.worker(t, "b1")
	f.hold(t, "slow")
	run := f.start(t, "1", "*")
	// At the limit nothing new is started until the slow one is done.
	require.Eventually(t, func() bool {
		described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
		require.NoError(t, err)
		pending := described.GetPendingActivities()
		return described.GetWorkflowExecutionInfo().GetHistoryLength() > 200 && len(pending) == 1 && pending[0].GetActivityId() == "slow"
	}, longEnough, often)
	require.Less(t, len(f.notes(t, testlocation.Called, "")), len(assets))
	f.release(t, "slow")
	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
	executions := f.executions(t, run)
	require.Greater(t, len(executions), 1)
	require.Less(t, len(f.history(t, run, executions[0])), 300)
}
