package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// A run that was ended before any worker planned it, and is reset, is planned then like any other, and waits like any other.
func TestARunThatEndedUnplannedAndIsResetEntersTheQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	for _, id := range []string{"r2", "r3"} {
		_, err := b.NoteRun(t.Context(), metadata.NotedRun{ID: id, FirstRunID: "first-" + id, Queue: "flights", Reason: "no worker"})
		require.NoError(t, err)
		ended, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: id, FirstRunID: "first-" + id, Scheduled: time.Unix(0, 10), Status: wire.RunFailure, Reason: "it did not begin"})
		require.NoError(t, err)
		require.Equal(t, wire.RunFailure, ended.Status)
	}
	again := inPool("r2", "gpu", "x")
	again.Scheduled = time.Unix(0, 20)
	require.Equal(t, "waits for a place: 1 of 1 runs are in progress (r1)", b.planned(again))
	require.Equal(t, 1, b.count("select count(*) from queue_holds"))
	require.Equal(t, []string{"r2"}, woken(b.end("r1", 30, wire.RunSuccess).Admitted))
	require.True(t, b.admit("r2").Admitted)
	b.end("r2", 40, wire.RunSuccess)
	third := tagged("r3", 3, nil)
	third.Scheduled = time.Unix(0, 20)
	require.Empty(t, b.planned(third))
	require.Contains(t, b.types("r3"), metadata.EventRunRestarted)
	require.Contains(t, b.types("r3"), metadata.EventRunStart)
	b.end("r3", 50, wire.RunSuccess)
	for _, table := range []string{"queue_entries", "queue_holds", "queue_classes"} {
		require.Zero(t, b.count("select count(*) from "+table), table)
	}
}

// A list of limits that is none is no limit, and not something that no run can be planned under.
func TestNoListOfTagLimitsIsNoLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var none []wire.TagLimit
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one, TagLimits: &[]wire.TagLimit{{Key: "heavy", Limit: 1}}})
	b.limit(metadata.QueueLimits{TagLimits: &none})
	require.Empty(t, b.planned(tagged("r1", 3, map[string]string{"heavy": "yes"})))
	require.Equal(t, "waits for a place: 1 of 1 runs are in progress (r1)", b.planned(tagged("r2", 3, map[string]string{"heavy": "yes"})))
	queue, err := b.Queue(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, queue.Limits.TagLimits)
	_, err = b.db.ExecContext(t.Context(), "update queue_head set tag_limits = 'null'")
	require.Error(t, err, "no run could be planned under it")
}

// A step whose slot was taken away goes on without, also when the limit changes: only what ran while there was no limit is counted then.
func TestAStepWhoseSlotWasTakenAwayIsNotCountedAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setPool("gpu", 1)
	require.Empty(t, b.planned(inPool("r1", "gpu", "x", "y")))
	x, y := wire.PoolStep{Step: "x", Pool: "gpu"}, wire.PoolStep{Step: "y", Pool: "gpu"}
	require.Equal(t, []string{"x"}, b.claimSlots("r1", 1, x).Granted)
	b.granted("r1", "x", 5, 5)
	freed, err := b.FreeSlots(t.Context(), metadata.SlotSeizure{Pool: "gpu", RunID: "r1", Step: "x", Who: "tester"})
	require.NoError(t, err)
	require.Len(t, freed.Freed, 1)
	b.setPool("gpu", 2)
	require.Zero(t, b.count("select count(*) from slots"))
	require.Equal(t, []string{"y"}, b.claimSlots("r1", 1, y).Granted)
	b.setPool("gpu", metadata.Unlimited)
	two := 2
	b.limit(metadata.QueueLimits{DefaultPoolLimit: &two})
	require.Zero(t, b.count("select count(*) from slots"), "it has no limit of its own accord")
	b.setPool("gpu", 2)
	require.Equal(t, 1, b.count("select count(*) from slots where step = 'x'"), "while there was no limit it had every right")
}

// A run may be reset to a moment at which it waited: its planning is not done again, and its next question is what it goes on with.
func TestARunThatIsResetToTheQueueBegins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	b.end("r1", 10, wire.RunSuccess)
	require.True(t, b.admit("r2").Admitted)
	_, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r2", FirstRunID: "first-r2", Scheduled: time.Unix(0, 20), Status: wire.RunSuccess, Execution: "e2"})
	require.NoError(t, err)

	asking := metadata.Asking{RunID: "r2", FirstRunID: "first-r2", Execution: "e3", Scheduled: time.Unix(0, 15)}
	ask := func() metadata.Admission {
		admission, err := b.AdmitRun(t.Context(), asking)
		require.NoError(t, err)
		return admission
	}
	require.Equal(t, metadata.Admission{Status: wire.RunSuccess}, ask(), "it asked before it ended")
	asking.Scheduled, asking.Execution = time.Unix(0, 30), "e2"
	require.Equal(t, metadata.Admission{Status: wire.RunSuccess}, ask(), "the execution that has recorded the end")
	asking.Execution = "e3"
	for range 2 {
		require.Equal(t, metadata.Admission{Admitted: true, Status: wire.RunStarted}, ask())
	}
	require.Equal(t, 1, b.count("select count(*) from queue_holds where run_id = 'r2'"), "it has its place again")
	types := b.types("r2")
	require.Equal(t, metadata.EventRunRestarted, types[len(types)-1])
}
