package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// letters is a static set of partitions, a to f.
func letters(t testing.TB) *partition.Set {
	t.Helper()
	definition, err := partition.New(partition.Definition{Static: []string{"a", "b", "c", "d", "e", "f"}})
	require.NoError(t, err)
	return definition.At(time.Time{}, nil)
}

// partitioned plans a step for each of the keys, "asset@key".
func partitioned(asset string, keys ...string) []plan.Step {
	steps := make([]plan.Step, len(keys))
	for i, key := range keys {
		steps[i] = step(asset+"@"+key, asset)
		steps[i].Type, steps[i].Partition = asset, key
	}
	return steps
}

// ranged plans one step for all of the keys.
func ranged(asset string, keys ...string) plan.Step {
	s := step(asset+"@"+keys[0]+"..."+keys[len(keys)-1], asset)
	s.Type, s.Partitions = asset, keys
	return s
}

// over is a run of the steps over partitions of one asset.
func over(t testing.TB, id, asset, backfill string, steps ...plan.Step) metadata.NewRun {
	t.Helper()
	run := newRun(id, steps...)
	var keys []string
	for _, s := range steps {
		keys = append(keys, s.Partitions...)
		if s.Partition != "" {
			keys = append(keys, s.Partition)
		}
	}
	subset, err := letters(t).Of(keys...)
	require.NoError(t, err)
	run.Plan.Assets, run.Plan.Targets = []string{asset}, map[string]partition.Subset{asset: subset}
	run.Request.Backfill = backfill
	if len(keys) == 1 {
		run.Plan.Tags["perdure/partition"] = keys[0]
	}
	return run
}

func (b *bench) beginRun(run metadata.NewRun) {
	b.Helper()
	planned, err := b.PlanRun(b.Context(), run)
	require.NoError(b, err)
	require.Equal(b, metadata.Planned, planned.Outcome)
}

// made commits one partition by the step of its own.
func (b *bench) madePartition(run, asset, key string, scheduled int64) {
	b.Helper()
	fence := b.granted(run, asset+"@"+key, scheduled, scheduled)
	commit := commitOf(fence, asset)
	commit.Outputs[0].Partition = key
	committed, err := b.Commit(b.Context(), commit)
	require.NoError(b, err)
	require.False(b, committed.Refused)
}

func (b *bench) endedRuns(backfill string, after int64) []metadata.EndedRun {
	b.Helper()
	ended, err := b.EndedRuns(b.Context(), backfill, after, 10)
	require.NoError(b, err)
	return ended
}

func TestAnEndedRunOfAnAssetWithoutPartitionsHasPlannedNoSubset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	run := newRun("r1", step("holidays"))
	run.Request.Backfill = "bf"
	b.beginRun(run)
	b.committed("r1", "holidays", 1, "holidays")
	b.end("r1", 2, wire.RunSuccess)

	ended := b.endedRuns("bf", 0)
	require.Len(t, ended, 1)
	require.Equal(t, []metadata.EndedAsset{{Asset: "holidays", Count: 1, Failed: []string{}, UpstreamFailed: []string{}, Skipped: []string{}, Canceled: []string{}}}, ended[0].Assets)
}

func TestEndedRunsOfABackfillAreReadInTheOrderOfTheirEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginRun(over(t, "r1", "x", "bf", partitioned("x", "a", "b", "c", "d", "e")...))
	b.beginRun(over(t, "r2", "x", "bf", partitioned("x", "f")...))
	b.beginRun(over(t, "r3", "x", "", partitioned("x", "f")...))
	require.Empty(t, b.endedRuns("bf", 0))

	b.madePartition("r2", "x", "f", 1)
	b.end("r2", 2, wire.RunSuccess)
	b.end("r3", 2, wire.RunCanceled)
	b.madePartition("r1", "x", "a", 1)
	require.False(t, b.fail(b.granted("r1", "x@b", 1, 1), 1, true))
	b.close("r1", "x@c", 2, wire.StepUpstreamFailed)
	b.close("r1", "x@d", 2, wire.StepSkipped)
	b.end("r1", 3, wire.RunFailure)

	ended := b.endedRuns("bf", 0)
	require.Len(t, ended, 2)
	require.Equal(t, "r2", ended[0].Run)
	require.Equal(t, wire.RunSuccess, ended[0].Status)
	require.Equal(t, 1, ended[0].Assets[0].Count)
	require.Empty(t, ended[0].Assets[0].Failed)
	failed := ended[1]
	require.Equal(t, "r1", failed.Run)
	require.Nil(t, failed.WillRetry)
	require.Equal(t, "x@b", failed.Failures[0].Step)
	planned, gone, err := letters(t).Decode(failed.Assets[0].Planned)
	require.NoError(t, err)
	require.Empty(t, gone)
	require.Equal(t, 5, planned.Count())
	failed.Assets[0].Planned = nil
	require.Equal(t, metadata.EndedAsset{
		Asset: "x", Count: 5, Failed: []string{"b"}, UpstreamFailed: []string{"c"}, Skipped: []string{"d"}, Canceled: []string{"e"},
	}, failed.Assets[0])
	require.Equal(t, failed.Position, b.endedRuns("bf", ended[0].Position)[0].Position)
	require.Empty(t, b.endedRuns("bf", failed.Position))
	events, err := b.Events(t.Context(), failed.Position-1, metadata.EventFilter{}, 10)
	require.NoError(t, err)
	require.Equal(t, metadata.EventRunFailure, events[0].Type)

	// It will be started again, and that run belongs to the backfill, too.
	_, err = b.DecideRetry(t.Context(), "r1", 3)
	require.NoError(t, err)
	retry := over(t, "r1b", "x", "", partitioned("x", "b")...)
	retry.Plan.RetryOf, retry.Plan.RootRunID = "r1", "r1"
	b.beginRun(retry)
	again, err := b.EndedRunsOf(t.Context(), []string{"r1", "r1b"})
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.True(t, *again["r1"].WillRetry)
	require.Equal(t, "r1b", again["r1"].RetriedBy)
	b.madePartition("r1b", "x", "b", 5)
	b.end("r1b", 6, wire.RunSuccess)
	next := b.endedRuns("bf", failed.Position)
	require.Len(t, next, 1)
	require.Equal(t, "r1", next[0].RootRunID)

	// A reset takes the end back until the run ends again, at a later position.
	b.granted("r1", "x@b", 10, 10)
	require.Empty(t, b.endedRuns("bf", next[0].Position))
	b.end("r1", 11, wire.RunCanceled)
	reset := b.endedRuns("bf", next[0].Position)
	require.Len(t, reset, 1)
	require.Empty(t, reset[0].Assets[0].Failed, "r1b has made it since")
	require.Equal(t, []string{"c"}, reset[0].Assets[0].UpstreamFailed)
	require.Equal(t, []string{"b", "e"}, reset[0].Assets[0].Canceled)
}

func TestRunsAreListedByBackfillAndPartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginRun(over(t, "r1", "x", "bf", partitioned("x", "a", "b")...))
	b.beginRun(over(t, "r2", "x", "", ranged("x", "b", "c", "d")))
	b.beginRun(over(t, "r3", "x", "bf", partitioned("x", "b")...))
	b.begin("r4", step("y"))
	list := func(filter metadata.RunFilter) (ids []string) {
		page, err := b.Runs(t.Context(), filter, "", 10)
		require.NoError(t, err)
		for _, run := range page.Rows {
			ids = append(ids, run.ID)
		}
		return ids
	}
	require.Equal(t, []string{"r3", "r1"}, list(metadata.RunFilter{Backfill: "bf"}))
	require.Equal(t, []string{"r3", "r2", "r1"}, list(metadata.RunFilter{Partition: "b"}))
	require.Equal(t, []string{"r2"}, list(metadata.RunFilter{Partition: "d"}))
	require.Equal(t, []string{"r3", "r1"}, list(metadata.RunFilter{Partition: "b", Backfill: "bf"}))
	page, err := b.Runs(t.Context(), metadata.RunFilter{Partition: "b"}, "", 2)
	require.NoError(t, err)
	require.Equal(t, "b", page.Rows[0].Partition)
	require.True(t, page.Rows[1].Several)
	page, err = b.Runs(t.Context(), metadata.RunFilter{Partition: "b"}, page.Next, 2)
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
}
