package metadata_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// hour is a tick of the hours of a day after all tests.
func hour(n int) metadata.DueTick {
	nominal := time.Date(2101, 1, 1, n, 0, 0, 0, time.UTC)
	return metadata.DueTick{Key: nominal.Format(time.RFC3339), Nominal: nominal, Cause: fmt.Sprintf("c%d", n)}
}

func (b *bench) trigger(id metadata.TriggerID) metadata.Trigger {
	b.Helper()
	trigger, err := b.Trigger(b.Context(), id)
	require.NoError(b, err)
	return trigger
}

func (b *bench) ticks(id metadata.TriggerID) (keys []string, statuses []wire.TickStatus) {
	b.Helper()
	page, err := b.Ticks(b.Context(), metadata.TickFilter{TriggerID: id}, "", 1000)
	require.NoError(b, err)
	for _, tick := range page.Rows {
		keys, statuses = append(keys, tick.Key), append(statuses, tick.Status)
	}
	return keys, statuses
}

func (b *bench) execute(statement string) {
	b.Helper()
	_, err := b.db.ExecContext(b.Context(), statement)
	require.NoError(b, err)
}

func TestDueTicksBeginOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	due := metadata.DueTicks{
		Location: "flights", Name: "nightly", Evaluate: []metadata.DueTick{hour(7), hour(8)}, Skipped: []metadata.DueTick{hour(5), hour(6)},
		Older: &metadata.OlderTicks{
			DueTick: metadata.DueTick{Key: "older", Nominal: hour(4).Nominal, Cause: "c"}, First: hour(1).Nominal, Last: hour(4).Nominal, Count: 4, Why: "4 were missed",
		},
		Why: "missed", Build: "b1",
	}
	// Many who begin the same at once begin it once.
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			running, err := b.BeginDueTicks(t.Context(), due)
			require.NoError(t, err)
			require.True(t, running)
		})
	}
	group.Wait()
	keys, statuses := b.ticks(nightly)
	require.Equal(t, []string{hour(8).Key, hour(7).Key, hour(6).Key, hour(5).Key, "older"}, keys)
	require.Equal(t, []wire.TickStatus{wire.TickStarted, wire.TickStarted, wire.TickSkipped, wire.TickSkipped, wire.TickSkipped}, statuses)
	trigger := b.trigger(nightly)
	require.Equal(t, hour(8).Nominal, trigger.LastNominal.UTC())
	open, err := b.WaitingTicks(t.Context(), nightly, 10)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.Equal(t, hour(7).Nominal, open[0].Nominal.UTC())
	require.Equal(t, open[1].ID, trigger.LastTick)

	for n, known := range map[int]bool{0: false, 1: true, 3: true, 4: true, 6: true, 8: true, 9: false} {
		found, err := b.TickKnown(t.Context(), nightly, hour(n))
		require.NoError(t, err)
		require.Equal(t, known, found, n)
	}

	// What comes before the last one is not begun any more, what comes after it is.
	running, err := b.BeginDueTicks(t.Context(), metadata.DueTicks{Location: "flights", Name: "nightly", Evaluate: []metadata.DueTick{hour(3), hour(9)}})
	require.NoError(t, err)
	require.True(t, running)
	keys, _ = b.ticks(nightly)
	require.Len(t, keys, 6)
	require.Equal(t, hour(9).Key, keys[0])
}

func TestAStoppedScheduleBeginsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	_, changed, err := b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: nightly, Status: wire.TriggerStopped, Who: "ann"})
	require.NoError(t, err)
	require.True(t, changed)
	due := metadata.DueTicks{Location: "flights", Name: "nightly", Evaluate: []metadata.DueTick{hour(1)}}
	running, err := b.BeginDueTicks(t.Context(), due)
	require.NoError(t, err)
	require.False(t, running)
	keys, _ := b.ticks(nightly)
	require.Empty(t, keys)
	require.Zero(t, b.trigger(nightly).LastNominal)

	// Nothing from before it was started is made up for.
	_, _, err = b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: nightly, Status: wire.TriggerRunning, Who: "ann"})
	require.NoError(t, err)
	past := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	due.Evaluate = append([]metadata.DueTick{{Key: "past", Nominal: past, Cause: "c"}}, due.Evaluate...)
	running, err = b.BeginDueTicks(t.Context(), due)
	require.NoError(t, err)
	require.True(t, running)
	keys, _ = b.ticks(nightly)
	require.Equal(t, []string{hour(1).Key}, keys)
}

func TestOpenAndFailedRunsOfASchedule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	// A run that was launched a moment ago is open although nobody has planned it.
	tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: nightly, Key: "1", Cause: "c", Nominal: &hour1})
	require.NoError(t, err)
	_, err = b.DecideTick(t.Context(), metadata.TickDecision{ID: tick.ID, Runs: []wire.TickRun{tickRun("r1", ""), tickRun("r2", "")}})
	require.NoError(t, err)
	open := func() (found []string) {
		runs, err := b.OpenTriggerRuns(t.Context(), nightly)
		require.NoError(t, err)
		for _, run := range runs {
			found = append(found, run.RunID+" "+string(run.Status))
		}
		return found
	}
	require.Empty(t, open(), "nothing was launched")
	_, err = b.EndTick(t.Context(), metadata.TickEnd{ID: tick.ID, Status: wire.TickSuccess, FailedRuns: map[string]string{"r2": "refused"}})
	require.NoError(t, err)
	require.Equal(t, []string{"r1 "}, open())

	failed := func() string {
		run, err := b.FailedTriggerRun(t.Context(), nightly, time.Now().Add(-time.Hour))
		require.NoError(t, err)
		return run
	}
	b.execute(`insert into runs (run_id, first_run_id, location, status, trigger_kind, trigger_name, tick_id, steps_total, created_at)
		values ('r1', 'f', 'flights', 'STARTED', 'schedule', 'nightly', '1', 1, clock_v1())`)
	require.Equal(t, []string{"r1 STARTED"}, open())
	b.execute(`update runs set status = 'FAILURE', ended_at = clock_v1() where run_id = 'r1'`)
	require.Equal(t, []string{"r1 FAILURE"}, open(), "whether it is started again is not decided")
	require.Empty(t, failed())
	b.execute(`update runs set will_retry = true, next_retry = 1 where run_id = 'r1'`)
	require.Equal(t, []string{"r1 FAILURE"}, open(), "it is about to be started again")
	b.execute(`insert into runs (run_id, first_run_id, location, status, trigger_kind, trigger_name, tick_id, steps_total, created_at, parent_run_id, root_run_id)
		values ('r1~1', 'f', 'flights', 'STARTED', 'schedule', 'nightly', '1', 1, clock_v1(), 'r1', 'r1')`)
	require.Equal(t, []string{"r1~1 STARTED"}, open())
	require.Empty(t, failed())
	b.execute(`update runs set status = 'FAILURE', ended_at = clock_v1(), will_retry = false where run_id = 'r1~1'`)
	require.Empty(t, open())
	require.Equal(t, "r1~1", failed())
	run, err := b.FailedTriggerRun(t.Context(), nightly, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, run)
}

var hour1 = hour(1).Nominal

// However many runs a tick starts, those that failed first are found.
func TestTheFailedRunsOfATickOfManyAreFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	b.execute(`insert into runs (run_id, first_run_id, location, status, trigger_kind, trigger_name, tick_id, steps_total, created_at, ended_at, will_retry, next_retry)
		select 'r' || n, 'f', 'flights', case when n <= 2 then 'FAILURE' else 'SUCCESS' end, 'schedule', 'nightly', '1', 1, clock_v1() + n * interval '1 millisecond',
			clock_v1(), n = 1, case when n = 1 then 1 end
		from generate_series(1, 300) n`)
	open, err := b.OpenTriggerRuns(t.Context(), nightly)
	require.NoError(t, err)
	require.Equal(t, []metadata.TriggerRun{{RunID: "r1", Status: wire.RunFailure}}, open, "it is about to be started again")
	failed, err := b.FailedTriggerRun(t.Context(), nightly, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, "r2", failed)
}

func TestATickThatStartedRunsIsKnownWhenItsRecordIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := metadata.TriggerID{Location: "flights", Kind: wire.TriggerSchedule, Name: "other"}
	b.defined(nightly, other)
	forgotten := func(id metadata.TriggerID, n int) bool {
		found, err := b.TickForgotten(t.Context(), id, hour(n))
		require.NoError(t, err)
		return found
	}
	require.False(t, forgotten(nightly, 1), "there was none")
	for n := range 3 {
		due := hour(n)
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: nightly, Key: due.Key, Nominal: &due.Nominal, Cause: due.Cause})
		require.NoError(t, err)
		_, err = b.EndTick(t.Context(), metadata.TickEnd{ID: tick.ID, Status: wire.TickSuccess})
		require.NoError(t, err)
	}
	b.execute(`insert into runs (run_id, first_run_id, location, status, trigger_kind, trigger_name, tick_id, steps_total, created_at, cause)
		values ('r1', 'f', 'flights', 'SUCCESS', 'schedule', 'nightly', '1', 1, clock_v1(), '` + hour(1).Cause + `')`)
	require.False(t, forgotten(nightly, 1), "its record is there")
	_, err := b.PurgeTicks(t.Context(), time.Nanosecond, time.Nanosecond, 10)
	require.NoError(t, err)
	require.True(t, forgotten(nightly, 1))
	require.False(t, forgotten(nightly, 0), "it has started nothing")
	require.False(t, forgotten(other, 1))
}

func TestWhatTemporalWasToldIsWrittenDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	require.Nil(t, b.trigger(nightly).AppliedPaused)
	require.NoError(t, b.NoteApplied(t.Context(), nightly, "h1", true))
	trigger := b.trigger(nightly)
	require.Equal(t, "h1", trigger.Applied)
	require.True(t, *trigger.AppliedPaused)
}

func TestATickThatDoesNotEndIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly, arrivals)
	for _, id := range []metadata.TriggerID{nightly, arrivals} {
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: id, Key: "1", Cause: "c"})
		require.NoError(t, err)
		require.NoError(t, b.NoteTick(t.Context(), tick.ID, "waits"))
	}
	stuck, err := b.StuckTriggers(t.Context(), wire.TriggerSchedule, time.Minute)
	require.NoError(t, err)
	require.Empty(t, stuck)
	b.execute(`update ticks set started_at = started_at - interval '2 minutes'`)
	stuck, err = b.StuckTriggers(t.Context(), wire.TriggerSchedule, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []metadata.TriggerID{nightly}, stuck)
}
