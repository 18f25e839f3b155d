package metadata_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

func (b *bench) beginBackfill(id string) {
	b.Helper()
	begun, err := b.BeginBackfill(b.Context(), metadata.NewBackfill{
		ID: id, FirstRunID: "first-" + id, Location: "flights", Queue: "flights", MaxConcurrentRuns: 2, AsOf: time.Now(),
		Target: map[string]json.RawMessage{"a": json.RawMessage(`{}`)},
	})
	require.NoError(b, err)
	require.False(b, begun.Exists)
}

func asked(ids ...string) []metadata.BackfillRun {
	runs := make([]metadata.BackfillRun, len(ids))
	for i, id := range ids {
		runs[i] = metadata.BackfillRun{RunID: id, BackfillUnit: metadata.BackfillUnit{Assets: []string{"a"}, Partitions: backfill.Partitions{Partition: id}}}
	}
	return runs
}

// ofBackfill is a run that a backfill has asked for, as its worker plans it.
func ofBackfill(id, of string) metadata.NewRun {
	run := newRun(id, step("a"))
	run.Request.Backfill = of
	return run
}

func advanced(id string, version int64, start []metadata.BackfillRun, ended ...metadata.EndedBackfillRun) metadata.AdvancedBackfill {
	return metadata.AdvancedBackfill{ID: id, Version: version, State: json.RawMessage(`{}`), Start: start, Ended: ended}
}

func unbegun(run string) metadata.EndedBackfillRun {
	return metadata.EndedBackfillRun{RunID: run, Status: wire.RunFailure, Message: "it was never started", Unbegun: true}
}

// A worker that was frozen while it was starting runs may wake at any time.
func TestARunThatItsBackfillHasClosedDoesNotBegin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginBackfill("bf1")
	require.NoError(t, b.AdvanceBackfill(t.Context(), advanced("bf1", 0, asked("open", "closed", "late"))))
	require.NoError(t, b.AdvanceBackfill(t.Context(), advanced("bf1", 1, nil, unbegun("closed"))))

	planned, err := b.PlanRun(t.Context(), ofBackfill("closed", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.NotAskedFor, planned.Outcome)
	require.ErrorContains(t, planned.Problems("closed"), "the backfill that asked for closed does not wait for it any more (FAILURE)")
	planned, err = b.PlanRun(t.Context(), ofBackfill("open", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)

	// One that has begun meanwhile has not ended because it never began.
	require.ErrorIs(t, b.AdvanceBackfill(t.Context(), advanced("bf1", 2, nil, unbegun("open"))), metadata.ErrConflict)

	require.NoError(t, b.EndBackfill(t.Context(), wire.EndBackfillInput{BackfillID: "bf1", FirstRunID: "first-bf1", Status: wire.BackfillCanceled}))
	planned, err = b.PlanRun(t.Context(), ofBackfill("late", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.NotAskedFor, planned.Outcome)
	require.Equal(t, wire.RunStatus(wire.BackfillCanceled), planned.Status)
	// What it has begun goes on: it is planned again as it was, and what a person executes again is that person's.
	planned, err = b.PlanRun(t.Context(), ofBackfill("open", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, planned.Outcome)
	planned, err = b.PlanRun(t.Context(), ofBackfill("open~1", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
}

// Planning a run and closing it for never having begun exclude each other, whoever is first.
func TestARunBeginsOrIsClosedButNotBoth(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 20 {
		id := "bf-" + string(rune('a'+i))
		b.beginBackfill(id)
		require.NoError(t, b.AdvanceBackfill(t.Context(), advanced(id, 0, asked("run-of-"+id))))
		closed := make(chan error, 1)
		go func() { closed <- b.AdvanceBackfill(t.Context(), advanced(id, 1, nil, unbegun("run-of-"+id))) }()
		planned, err := b.PlanRun(t.Context(), ofBackfill("run-of-"+id, id))
		require.NoError(t, err)
		if err := <-closed; err != nil {
			require.ErrorIs(t, err, metadata.ErrConflict)
			require.Equal(t, metadata.Planned, planned.Outcome)
		} else {
			require.Equal(t, metadata.NotAskedFor, planned.Outcome)
		}
	}
}

func TestTheTroubleOfABackfillIsCountedUntilItIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginBackfill("bf1")
	for i := range 3 {
		tries, err := b.NoteBackfillTrouble(t.Context(), "bf1", "first-bf1", "no connection")
		require.NoError(t, err)
		require.Equal(t, i+1, tries)
	}
	row, err := b.Backfill(t.Context(), "bf1")
	require.NoError(t, err)
	require.Equal(t, "no connection", row.Trouble)
	require.Equal(t, 3, row.TroubleTries)
	require.WithinRange(t, row.TroubleSince, row.CreatedAt, row.ReadAt)
	_, err = b.NoteBackfillTrouble(t.Context(), "bf1", "first-bf1", "")
	require.NoError(t, err)
	row, err = b.Backfill(t.Context(), "bf1")
	require.NoError(t, err)
	require.Empty(t, row.Trouble)
	require.Zero(t, row.TroubleTries)
	require.True(t, row.TroubleSince.IsZero())
	_, err = b.NoteBackfillTrouble(t.Context(), "bf1", "another", "no connection")
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestABackfillIsForgottenAfterItsRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []string{"bf1", "bf2", "open"} {
		b.beginBackfill(id)
		if id != "open" {
			require.NoError(t, b.EndBackfill(t.Context(), wire.EndBackfillInput{BackfillID: id, FirstRunID: "first-" + id, Status: wire.BackfillSucceeded}))
		}
	}
	planned, err := b.PlanRun(t.Context(), ofBackfill("r1", "bf1"))
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
	purged, err := b.PurgeBackfills(t.Context(), time.Now().Add(-time.Hour), 10)
	require.NoError(t, err)
	require.Zero(t, purged, "none is so old")
	purged, err = b.PurgeBackfills(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, purged)
	_, err = b.EndRun(t.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Reason: "over"})
	require.NoError(t, err)
	_, err = b.PurgeRuns(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	purged, err = b.PurgeBackfills(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, purged)
	left, err := b.Backfills(t.Context(), metadata.BackfillFilter{}, "", 0)
	require.NoError(t, err)
	require.Len(t, left.Rows, 1)
	require.Equal(t, "open", left.Rows[0].ID)
}
