package metadata_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// numbered are n keys that sort as they count.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%05d", i)
	}
	return keys
}

// madeRange makes keys of an asset in one step of a run that has ended.
func (b *bench) madeRange(run, asset string, keys ...string) {
	b.Helper()
	s := ranged(asset, keys...)
	b.begin(run, s)
	committed, err := b.Commit(b.Context(), commitRange(b.granted(run, s.Key, 1, 1), asset, keys...))
	require.NoError(b, err)
	require.False(b, committed.Refused)
	b.end(run, 2, wire.RunSuccess)
}

func TestAWipeIsDoneInSmallTransactions(t *testing.T) {
	t.Parallel()
	for name, given := range map[string][]string{"all": nil, "each by its key": numbered(2500)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.madeRange("r1", "x", numbered(2500)...)
			b.madeRange("r2", "y", "a")
			wiped, err := b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x", Partitions: given, Who: "ana", Why: "wrong numbers"})
			require.NoError(t, err)
			require.Equal(t, 2500, wiped.Count)
			require.Len(t, wiped.Partitions, 100)
			require.Equal(t, "00000", wiped.Partitions[0])
			require.Zero(t, b.count("select count(*) from asset_partitions where asset = 'x'"))
			require.Zero(t, b.count("select count(*) from materializations where asset = 'x'"))
			require.Equal(t, 1, b.count("select count(*) from asset_partitions where asset = 'y'"))
			require.Equal(t, 3, b.count("select count(*) from event_log where type = 'ASSET_WIPED' and body->>'who' = 'ana' and body->>'why' = 'wrong numbers'"),
				"the log is not locked for all of it")
			require.Equal(t, 2500, b.count("select sum((body->>'count')::int) from event_log where type = 'ASSET_WIPED'"))
			all := 0
			if given == nil {
				all = 1
			}
			require.Equal(t, all, b.count("select count(*) from event_log where type = 'ASSET_WIPED' and body->>'all' = 'true'"),
				"only the last one, which leaves nothing, says so")

			wiped, err = b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x", Partitions: given})
			require.NoError(t, err)
			require.Zero(t, wiped.Count)
		})
	}
}

func TestAWipeHandsValuesToRemovalWhichWaitsForWhoLoadsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.madeRange("r1", "x", "a", "b")
	reader := step("reader")
	reader.Inputs = []plan.StepInput{{Asset: "x", Partitions: []string{"a"}}}
	b.begin("r2", reader)
	claim := b.claim("r2", "reader", 1, 1)
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	require.Len(t, claim.Inputs, 1)
	_, err := b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x", CodeLocation: "flights"})
	require.NoError(t, err)
	taken := func() []string {
		values, err := b.TakeSuperseded(t.Context(), "flights", 0, time.Nanosecond, 10)
		require.NoError(t, err)
		var keys []string
		for _, value := range values {
			require.Equal(t, "x", value.Asset)
			require.Equal(t, "file:///data/x/"+value.Partition, value.Location)
			keys = append(keys, value.Partition)
		}
		return keys
	}
	require.NotContains(t, taken(), "a", "an open run loads it")
	fence := wire.Fence{Run: "r2", Step: "reader", Scheduled: 1, Token: claim.Token}
	require.False(t, b.commit(fence).Refused)
	b.end("r2", 2, wire.RunSuccess)
	require.ElementsMatch(t, []string{"a", "b"}, taken())
}

func TestNothingIsWipedUnderAStepThatWritesIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.madeRange("r1", "x", "a", "b")
	b.beginRun(over(t, "r2", "x", "", partitioned("x", "b")...))
	fence := b.granted("r2", "x@b", 1, 1)
	before := b.dump()
	for _, keys := range [][]string{nil, {"a", "b"}} {
		wiped, err := b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x", Partitions: keys})
		var writing *metadata.BeingWrittenError
		require.ErrorAs(t, err, &writing)
		require.Equal(t, metadata.BeingWrittenError{Asset: "x", Run: "r2", Step: "x@b", Partition: "b"}, *writing)
		require.ErrorContains(t, err, "step x@b of run r2 is writing x [b]: wait for its end, or cancel the run")
		require.Zero(t, wiped.Count)
	}
	require.Equal(t, before, b.dump(), "nothing has changed")
	wiped, err := b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x", Partitions: []string{"a"}})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, wiped.Partitions)
	committed, err := b.Commit(t.Context(), commitRange(fence, "x", "b"))
	require.NoError(t, err)
	require.False(t, committed.Refused)
	wiped, err = b.WipeAsset(t.Context(), metadata.Wipe{Asset: "x"})
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, wiped.Partitions, "it is written")
}
