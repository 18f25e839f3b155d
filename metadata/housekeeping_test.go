package metadata_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const grace = 24 * time.Hour

// made has a run of its own make an asset.
func (b *bench) made(run string, assets ...string) wire.Fence {
	b.Helper()
	b.begin(run, step("all", assets...))
	fence := b.committed(run, "all", 1, assets...)
	b.end(run, 2, wire.RunSuccess)
	return fence
}

func (b *bench) noteAll() {
	b.Helper()
	for {
		read, err := b.NoteSuperseded(b.Context(), grace, 2)
		require.NoError(b, err)
		if read < 2 {
			return
		}
	}
}

func (b *bench) due() (tokens []int64, ids []int64) {
	b.Helper()
	values, err := b.TakeSuperseded(b.Context(), "flights", grace, time.Minute, 10)
	require.NoError(b, err)
	for _, value := range values {
		tokens, ids = append(tokens, value.Token), append(ids, value.ID)
	}
	return tokens, ids
}

func TestWhatALaterMaterializationReplacedIsDueAfterTheGrace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-01 10:00:00Z")
	first := b.made("r1", "a", "b")
	b.setClock("2026-11-01 11:00:00Z")
	second := b.made("r2", "a")
	b.setClock("2026-11-01 12:00:00Z")
	b.made("r3", "a")
	b.setClock("2026-11-02 10:59:00Z")
	b.noteAll()
	require.Zero(t, b.count("select count(*) from superseded_values"))
	b.setClock("2026-11-02 11:01:00Z")
	b.noteAll()
	tokens, ids := b.due()
	require.Equal(t, []int64{first.Token}, tokens)
	again, _ := b.due()
	require.Empty(t, again, "somebody has it")
	b.setClock("2026-11-02 12:01:00Z")
	b.noteAll()
	tokens, more := b.due()
	require.Equal(t, []int64{first.Token, second.Token}, tokens, "whoever had the first did not say that it is gone")
	require.Equal(t, ids[0], more[0])

	require.NoError(t, b.RemovedValues(t.Context(), more))
	b.setClock("2026-12-01 12:00:00Z")
	b.noteAll()
	tokens, _ = b.due()
	require.Empty(t, tokens)
	require.Equal(t, 2, b.count("select count(*) from materializations where removed_at is not null"))
	current, err := b.Current(t.Context(), []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, "r3", current["a"].Run)
	require.Equal(t, "r1", current["b"].Run)
}

// What was granted later stays current, whichever was committed last: it is the other one that goes.
func TestTheValueThatLostIsDue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-01 10:00:00Z")
	b.begin("r1", step("all", "a"))
	b.begin("r2", step("all", "a"))
	slow := b.granted("r1", "all", 1, 1)
	_, err := b.db.ExecContext(t.Context(), "delete from writers") // as if it were allowed
	require.NoError(t, err)
	fast := b.committed("r2", "all", 1, "a")
	require.False(t, b.commit(slow, "a").Refused)
	b.end("r1", 2, wire.RunSuccess)
	b.end("r2", 2, wire.RunSuccess)
	last := b.made("r3", "a")
	b.setClock("2026-11-03 10:00:00Z")
	b.noteAll()
	tokens, _ := b.due()
	require.ElementsMatch(t, []int64{slow.Token, fast.Token}, tokens)
	current, err := b.Current(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, last.Token, current["a"].Token)
}

func TestAValueThatAnOpenRunMayLoadStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-01 10:00:00Z")
	first := b.made("r1", "a")
	reader := step("reader")
	reader.Inputs = []plan.StepInput{{Asset: "a"}}
	b.begin("reads_from_outside", reader)
	b.retry("takes_over", "r1", "r1", map[string]string{"all": "r1"}, step("all", "a"), step("z"))
	b.setClock("2026-11-01 11:00:00Z")
	b.begin("makes_it", step("all", "a"), step("later"))
	b.committed("makes_it", "all", 1, "a")
	b.setClock("2026-11-01 12:00:00Z")
	b.made("r3", "a")
	b.setClock("2026-11-01 12:01:00Z")
	b.begin("began_later", reader)
	b.setClock("2026-11-05 10:00:00Z")
	b.noteAll()
	require.Equal(t, 2, b.count("select count(*) from superseded_values"))
	for _, open := range []string{"reads_from_outside", "takes_over", "makes_it"} {
		tokens, _ := b.due()
		require.Empty(t, tokens, "while %s is open", open)
		b.end(open, 9, wire.RunCanceled)
		if open == "takes_over" {
			tokens, _ = b.due()
			require.Equal(t, []int64{first.Token}, tokens)
		}
	}
	tokens, _ := b.due()
	require.Len(t, tokens, 1)
}

// A report is about the value that lies there, which somebody may have changed in its place.
func TestAReportReplacesNoStoredValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	report := func(id string) {
		_, err := b.Report(t.Context(), metadata.Report{ID: id, Asset: "a", Type: wire.ReportMaterialization, Partitions: []string{""}, DataVersion: id})
		require.NoError(t, err)
	}
	slot := func() int64 {
		current, err := b.Current(t.Context(), []string{"a"})
		require.NoError(t, err)
		return current["a"].SlotToken
	}
	b.setClock("2026-11-01 10:00:00Z")
	report("before anybody made it")
	require.Zero(t, slot())
	first := b.made("r1", "a")
	require.Equal(t, first.Token, slot())
	b.begin("r2", step("all", "a"))
	late := b.granted("r2", "all", 1, 1)
	report("changed in its place")
	// It began before the report, so that what it made is older.
	require.False(t, b.commit(late, "a").Refused)
	b.end("r2", 2, wire.RunSuccess)
	report("again")
	require.Equal(t, first.Token, slot(), "it is what a step loads")

	b.setClock("2026-12-01 10:00:00Z")
	b.noteAll()
	tokens, ids := b.due()
	require.Equal(t, []int64{late.Token}, tokens, "what lost is due, and neither the report nor what it is about")
	require.NoError(t, b.RemovedValues(t.Context(), ids))
	_, err := b.PurgeRuns(t.Context(), time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC), 10)
	require.NoError(t, err)
	tokens, _ = b.due()
	require.Empty(t, tokens, "its run is forgotten, and it stays")
	require.Equal(t, first.Token, slot())

	b.made("r3", "a")
	b.setClock("2027-01-01 10:00:00Z")
	b.noteAll()
	tokens, _ = b.due()
	require.Equal(t, []int64{first.Token}, tokens)
}

func TestOldRunsAreForgottenButNotWhatIsCurrent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-01-01 10:00:00Z")
	b.made("r1", "a", "b")
	b.made("r2", "a")
	b.begin("ops", fanned()...)
	b.ranOp("ops", "source", 1, "")
	b.ranOp("ops", "pages", 2, "x", "y")
	require.NoError(t, b.AppendLog(t.Context(), []metadata.LogLine{line("a", 1, 1, slog.LevelInfo)}))
	_, err := b.RecordHook(t.Context(), metadata.HookRun{Run: "r1", Step: "all", Hook: "h", Outcome: metadata.HookCompleted})
	require.NoError(t, err)
	b.end("ops", 5, wire.RunFailure)
	b.begin("open", step("never_done"))
	b.begin("held", step("taken"))
	b.committed("held", "taken", 1, "taken")
	b.end("held", 2, wire.RunFailure)
	b.setClock("2026-12-01 10:00:00Z")
	b.retry("heir", "held", "held", map[string]string{"taken": "held"}, step("taken"), step("z"))
	b.made("young", "c")

	before := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	total := 0
	for {
		deleted, err := b.PurgeRuns(t.Context(), before, 2)
		require.NoError(t, err)
		total += deleted
		if deleted < 2 {
			break
		}
	}
	require.Equal(t, 3, total)
	left, err := b.RunsByID(t.Context(), []string{"r1", "r2", "ops", "open", "held", "heir", "young"})
	require.NoError(t, err)
	require.Len(t, left, 4)
	current, err := b.Current(t.Context(), []string{"a", "b", "c"})
	require.NoError(t, err)
	require.Len(t, current, 3)
	require.Equal(t, 4, b.count("select count(*) from materializations"), "a of r2, b of r1, taken, c")
	require.Zero(t, b.count("select count(*) from step_outputs"))
	require.Zero(t, b.count("select count(*) from log_lines"))
	require.Zero(t, b.count("select count(*) from hook_runs"))
	require.Zero(t, b.count("select count(*) from steps where run_id in ('r1', 'r2', 'ops')"))
	// What they stored, and nobody needs, is to be removed: a of r1 and three outputs of ops.
	b.setClock("2026-12-03 10:00:00Z")
	tokens, _ := b.due()
	require.Len(t, tokens, 4)

	// Once the run that took a step over has ended, the run that holds it goes as well.
	b.end("heir", 9, wire.RunSuccess)
	deleted, err := b.PurgeRuns(t.Context(), before, 2)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	parent, err := b.ParentRun(t.Context(), "heir")
	require.NoError(t, err)
	require.True(t, parent.Steps[0].Gone)
}

func TestOldLinesRefusalsAndMonthsGo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var lines []metadata.LogLine
	for i := range int64(5) {
		l := line("a", 1, i, slog.LevelInfo)
		l.At = time.Date(2026, 11, 1+int(i), 0, 0, 0, 0, time.UTC)
		lines = append(lines, l)
	}
	require.NoError(t, b.AppendLog(t.Context(), lines))
	deleted, err := b.PurgeLogLines(t.Context(), time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC), 2)
	require.NoError(t, err)
	require.Equal(t, 2, deleted)
	deleted, err = b.PurgeLogLines(t.Context(), time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC), 2)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	page, err := b.LogLines(t.Context(), metadata.LogFilter{Run: "r1"}, "", 0)
	require.NoError(t, err)
	require.Equal(t, lines[3:], page.Rows)

	b.setClock("2026-08-15 10:00:00Z")
	require.NoError(t, b.EnsureMonths(t.Context()))
	require.NoError(t, b.Refuse(t.Context(), wire.RefuseInput{WorkflowID: "w"}))
	b.made("old", "a")
	b.setClock("2026-09-15 10:00:00Z")
	b.made("new", "a")
	events := b.count("select count(*) from event_log")
	old := len(b.types("old"))
	dropped, err := b.DropMonths(t.Context(), time.Date(2026, 8, 31, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Empty(t, dropped, "August had not ended")
	dropped, err = b.DropMonths(t.Context(), time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, []string{"event_log_2026_08"}, dropped)
	require.Equal(t, events-old, b.count("select count(*) from event_log"))
	deleted, err = b.PurgeRefusals(t.Context(), time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), 10)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
}

func TestALeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-01 10:00:00Z")
	take := func(holder string) metadata.Lease {
		lease, err := b.TakeLease(t.Context(), "retention", holder, time.Minute)
		require.NoError(t, err)
		return lease
	}
	require.True(t, take("h1").Held)
	other := take("h2")
	require.False(t, other.Held)
	require.Equal(t, "h1", other.Holder)
	b.setClock("2026-11-01 10:00:50Z")
	require.True(t, take("h1").Held, "prolonged")
	b.setClock("2026-11-01 10:01:10Z")
	require.False(t, take("h2").Held)
	b.setClock("2026-11-01 10:02:00Z")
	require.True(t, take("h2").Held)
	require.False(t, take("h1").Held)
	require.NoError(t, b.ReleaseLease(t.Context(), "retention", "h1"))
	require.False(t, take("h1").Held)
	require.NoError(t, b.ReleaseLease(t.Context(), "retention", "h2"))
	require.True(t, take("h1").Held)
}

func TestOrphanedWritersAreFreed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	live := b.granted("r1", "a", 1, 1)
	_, err := b.db.ExecContext(t.Context(), `insert into writers (asset, partition, run_id, step, token, since)
		values ('gone', '', 'r0', 's', 1, now()), ('older', '', 'r1', 'a', 0, now())`)
	require.NoError(t, err)
	freed, err := b.FreeOrphans(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, 2, freed)
	require.Equal(t, 1, b.count("select count(*) from writers where token = $1", live.Token))
}

// What a forgotten run made stays while it is current. Once it is replaced it is due like any other.
func TestTheValueOfAForgottenRunIsDueOnceItIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-01-01 10:00:00Z")
	old := b.made("r1", "a")
	b.setClock("2026-12-01 10:00:00Z")
	deleted, err := b.PurgeRuns(t.Context(), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), 2)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	b.made("r2", "a")
	b.setClock("2026-12-03 10:00:00Z")
	b.noteAll()
	tokens, _ := b.due()
	require.Equal(t, []int64{old.Token}, tokens)
}
