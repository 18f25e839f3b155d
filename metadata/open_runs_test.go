package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func noted(id, reason string) metadata.NotedRun {
	return metadata.NotedRun{
		ID: id, FirstRunID: "first-" + id, Location: "flights", Queue: "flihgts", Reason: reason,
		Request: &wire.RunRequest{Assets: wire.AssetSelection{Expression: "a+"}, Title: "by hand"}, Created: time.Unix(1000, 0),
	}
}

func TestARunThatNeverBeganIsSeenAndAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	isNew, err := b.NoteRun(t.Context(), noted("r1", "no worker polls"))
	require.NoError(t, err)
	require.True(t, isNew)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarting, run.Status)
	require.Equal(t, []string{"no worker polls", "a+", "by hand", "flihgts"}, []string{run.Reason, run.Selection, run.Title, run.Queue})
	require.WithinDuration(t, time.Unix(1000, 0), run.CreatedAt, 0)
	require.True(t, run.StartedAt.IsZero())

	isNew, err = b.NoteRun(t.Context(), noted("r1", "still none"))
	require.NoError(t, err)
	require.False(t, isNew)
	run, err = b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, "still none", run.Reason)

	b.begin("r1", step("a"), step("b"))
	run, err = b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, run.Status)
	require.Equal(t, 2, run.StepsTotal)
	require.Equal(t, []string{"", "flights"}, []string{run.Reason, run.Queue})
	require.WithinDuration(t, time.Unix(1000, 0), run.CreatedAt, 0)
	require.Equal(t, []metadata.EventType{
		metadata.EventRunStarting, metadata.EventRunStart, metadata.EventMaterializationPlanned, metadata.EventMaterializationPlanned,
	}, b.types("r1"))

	// A note that comes too late changes nothing.
	before := b.dump()
	isNew, err = b.NoteRun(t.Context(), noted("r1", "no worker polls"))
	require.NoError(t, err)
	require.False(t, isNew)
	require.Equal(t, before, b.dump())
}

func TestARunThatNeverBeganEndsWithItsReason(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.NoteRun(t.Context(), noted("r1", "no worker polls"))
	require.NoError(t, err)
	result, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Reason: "terminated by ann", Scheduled: time.Unix(0, 50)})
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, result.Status)
	require.Empty(t, result.Failures)

	// Its planning comes too late; another start under its id is refused; a reset begins it.
	late := newRun("r1", step("a"))
	late.Scheduled = time.Unix(0, 40)
	planned, err := b.PlanRun(t.Context(), late)
	require.NoError(t, err)
	require.Equal(t, metadata.RunExists, planned.Outcome)
	late.FirstRunID = "another"
	planned, err = b.PlanRun(t.Context(), late)
	require.NoError(t, err)
	require.Equal(t, metadata.RunExists, planned.Outcome)
	late.FirstRunID, late.Scheduled = "first-r1", time.Unix(0, 60)
	planned, err = b.PlanRun(t.Context(), late)
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, run.Status)
}

func TestACancelIsRecordedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	require.NoError(t, b.SetRunReason(t.Context(), "r1", "waits for a pool"))
	cancel := metadata.Canceling{RunID: "r1", FirstRunID: "first-r1", Scheduled: time.Unix(0, 5), Reason: "cancelled by ann"}
	result, err := b.MarkCanceling(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, wire.CancelingResult{Status: wire.RunCanceling}, result)
	require.NoError(t, b.SetRunReason(t.Context(), "r1", "waits for a pool"))
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, "cancelled by ann", run.Reason)
	before := b.dump()
	_, err = b.MarkCanceling(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, before, b.dump())

	// A step that was in flight may still end.
	b.committed("r1", "a", 6, "a")
	b.end("r1", 9, wire.RunCanceled)
	run, err = b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunCanceled, run.Status)
	require.Equal(t, "cancelled by ann", run.Reason)
	result, err = b.MarkCanceling(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, wire.CancelingResult{Status: wire.RunCanceled, Ended: 1}, result)

	// A cancel of a run that was reset.
	cancel.Scheduled = time.Unix(0, 20)
	result, err = b.MarkCanceling(t.Context(), cancel)
	require.NoError(t, err)
	require.Equal(t, wire.CancelingResult{Status: wire.RunCanceling, Ended: 1}, result, "what was done before the reset")

	cancel.RunID = "r9"
	_, err = b.MarkCanceling(t.Context(), cancel)
	require.ErrorIs(t, err, metadata.ErrNotFound)
	require.ErrorIs(t, b.SetRunReason(t.Context(), "r9", "x"), metadata.ErrNotFound)
}

func TestTheReasonOfAnOpenRunIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	for _, reason := range []string{"waits for a pool", ""} {
		require.NoError(t, b.SetRunReason(t.Context(), "r1", reason))
		page, err := b.Runs(t.Context(), metadata.RunFilter{}, "", 0)
		require.NoError(t, err)
		require.Equal(t, reason, page.Rows[0].Reason)
	}
}

func TestTheWorkflowsOwnReasonHoldsAfterAReset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.end("r1", 5, wire.RunSuccess)
	end := metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Reason: "ran longer than 1h", Scheduled: time.Unix(0, 9)}
	result, err := b.EndRun(t.Context(), end)
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, result.Status)
	end.Own = true
	result, err = b.EndRun(t.Context(), end)
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, result.Status)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, end.Reason, run.Reason)
}

// a and b are done, and the run has ended; a reset begins it before b, and it is cancelled before b ran again.
func TestACancelAfterAResetCountsWhatItCovers(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(b *bench){
		"what was never scheduled": func(b *bench) {
			_, err := b.CloseSteps(b.Context(), "r1", time.Unix(0, 20), []wire.ClosedStep{{Step: "b", Status: wire.StepCanceled, Unscheduled: true}})
			require.NoError(b, err)
		},
		"what nobody claimed": func(b *bench) { require.Empty(b, b.close("r1", "b", 20, wire.StepCanceled)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.begin("r1", step("a"), step("b"))
			b.committed("r1", "a", 1, "a")
			b.committed("r1", "b", 2, "b")
			b.end("r1", 5, wire.RunSuccess)
			_, err := b.MarkCanceling(t.Context(), metadata.Canceling{RunID: "r1", FirstRunID: "first-r1", Scheduled: time.Unix(0, 19)})
			require.NoError(t, err)
			cancel(b)
			result := b.end("r1", 21, wire.RunCanceled)
			require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 1}, result.Steps)
			require.Equal(t, []string{"a"}, result.Materialized)
		})
	}
}

// A step that committed while it was being cancelled stays done, in a run that was reset too.
func TestACancelKeepsWhatCommittedSinceTheReset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	b.end("r1", 5, wire.RunSuccess)
	b.committed("r1", "a", 10, "a")
	require.Len(t, b.close("r1", "a", 20, wire.StepCanceled), 1)
	require.Equal(t, wire.StepCounts{Succeeded: 1}, b.end("r1", 21, wire.RunCanceled).Steps)
}

func TestExecutionsAreInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	seen := func(execution string, at int64) int64 {
		first, err := b.ExecutionSeen(t.Context(), "r1", execution, time.Unix(0, at))
		require.NoError(t, err)
		return first
	}
	require.Equal(t, int64(100), seen("e1", 100))
	require.Equal(t, int64(100), seen("e1", 200), "the first time holds")
	require.Equal(t, int64(300), seen("e2", 300))
	require.Equal(t, int64(301), seen("e3", 250), "clocks differ, the order does not")
	require.Equal(t, int64(300), seen("e2", 900))
	now, err := b.ExecutionSeen(t.Context(), "r1", "e4", time.Time{})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.Unix(0, now), time.Minute)
	_, err = b.ExecutionSeen(t.Context(), "r9", "e1", time.Time{})
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestOpenRunsByAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, id := range []string{"r1", "r2", "r3", "r4", "r5"} {
		b.setClock("2026-11-22 10:0" + string(rune('0'+i)) + ":00Z")
		b.begin(id, step("a"))
	}
	b.end("r2", 1, wire.RunSuccess)
	b.setClock("2026-11-22 10:10:00Z")
	var open []string
	for cursor := ""; ; {
		page, err := b.OpenRuns(t.Context(), 7*time.Minute, cursor, 1)
		require.NoError(t, err)
		for _, run := range page.Rows {
			open = append(open, run.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, []string{"r1", "r3"}, open)

	runs, err := b.RunsByID(t.Context(), []string{"r2", "r5", "r9"})
	require.NoError(t, err)
	require.Len(t, runs, 2)
	require.Equal(t, wire.RunSuccess, runs["r2"].Status)
}
