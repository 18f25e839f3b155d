package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// The time in which a run has to begin counts from its admission, however long it waited, and whoever looked at it meanwhile.
func TestAQueuedRunHasItsTimeToBeginFromItsAdmissionOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	overdue := func(at string) []string {
		b.Helper()
		b.setClock("2026-11-01T" + at + "Z")
		found, err := b.OverdueRuns(t.Context(), metadata.OverdueLimits{Start: 5 * time.Minute}, 10)
		require.NoError(t, err)
		var ids []string
		for _, run := range found {
			ids = append(ids, run.ID)
		}
		return ids
	}
	require.Empty(t, overdue("10:00:00"))
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	_, err := b.NoteRun(t.Context(), metadata.NotedRun{ID: "r2", FirstRunID: "first-r2", Queue: "flights", Reason: "no worker"})
	require.NoError(t, err)
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	require.Empty(t, overdue("12:00:00"))
	b.end("r1", 1, wire.RunSuccess)
	_, err = b.NoteRun(t.Context(), metadata.NotedRun{ID: "r2", FirstRunID: "first-r2", Queue: "flights", Reason: "no worker again"})
	require.NoError(t, err)
	require.Empty(t, overdue("12:04:59"))
	require.Equal(t, []string{"r2"}, overdue("12:05:01"))
	require.True(t, b.admit("r2").Admitted)
	require.Empty(t, overdue("13:00:00"))
}

// Waiting in the queue does not count, whatever came of a run before or after.
func TestOverdueRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	at := func(minutes int) {
		b.Helper()
		b.setClock(start.Add(time.Duration(minutes) * time.Minute).Format("2006-01-02 15:04:05Z"))
	}
	overdue := func(limits metadata.OverdueLimits) (ids []string) {
		b.Helper()
		found, err := b.OverdueRuns(b.Context(), limits, 10)
		require.NoError(b, err)
		for _, run := range found {
			ids = append(ids, run.ID)
		}
		return ids
	}
	at(0)
	for _, id := range []string{"found", "left-queue", "queued"} {
		_, err := b.NoteRun(b.Context(), metadata.NotedRun{ID: id, FirstRunID: id, Location: "flights", Queue: "flights", Reason: "it waits"})
		require.NoError(b, err)
	}
	b.begin("canceling", step("a", "a"))
	b.begin("limited", step("a", "a"))
	b.begin("fine", step("a", "a"))
	_, err := b.db.ExecContext(b.Context(), "update runs set status = 'QUEUED' where run_id = 'queued'")
	require.NoError(t, err)
	_, err = b.db.ExecContext(b.Context(), "update runs set timeout = 300000000000 where run_id = 'limited'")
	require.NoError(t, err)

	at(8)
	_, err = b.db.ExecContext(b.Context(), `select append_events_v1('left-queue', '', '[{"type":"RUN_STARTING"}]')`)
	require.NoError(t, err)
	canceling, err := b.Store.Run(b.Context(), "canceling")
	require.NoError(t, err)
	_, err = b.MarkCanceling(b.Context(), metadata.Canceling{RunID: canceling.ID, FirstRunID: canceling.FirstRunID})
	require.NoError(t, err)
	limits := metadata.OverdueLimits{Start: 4 * time.Minute, Cancel: 6 * time.Minute}
	require.Equal(t, []string{"found"}, overdue(limits))
	at(12)
	require.ElementsMatch(t, []string{"found", "limited"}, overdue(limits))
	at(13)
	require.ElementsMatch(t, []string{"found", "left-queue", "limited"}, overdue(limits))
	at(15)
	require.ElementsMatch(t, []string{"found", "left-queue", "limited", "canceling"}, overdue(limits))
	require.ElementsMatch(t, []string{"found", "left-queue"}, overdue(metadata.OverdueLimits{Start: time.Minute}))
	require.ElementsMatch(t, []string{"limited", "canceling"}, overdue(metadata.OverdueLimits{Cancel: time.Minute}))
	require.Empty(t, overdue(metadata.OverdueLimits{}))

	_, err = b.EndRun(b.Context(), metadata.RunEnd{RunID: "found", FirstRunID: "found", Status: wire.RunFailure, Reason: "it did not begin"})
	require.NoError(t, err)
	require.NotContains(t, overdue(limits), "found")
}
