package metadata_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

var (
	arrivals = metadata.TriggerID{Location: "flights", Kind: wire.TriggerSensor, Name: "arrivals"}
	nightly  = metadata.TriggerID{Location: "flights", Kind: wire.TriggerSchedule, Name: "nightly"}
)

func (b *bench) defined(ids ...metadata.TriggerID) {
	b.Helper()
	defined := make([]metadata.DefinedTrigger, len(ids))
	for i, id := range ids {
		defined[i] = metadata.DefinedTrigger{Kind: id.Kind, Name: id.Name, Definition: json.RawMessage(`{}`), Declared: wire.TriggerRunning}
	}
	_, err := b.SyncTriggers(b.Context(), "flights", defined)
	require.NoError(b, err)
}

func tickRun(id, key string) wire.TickRun {
	return wire.TickRun{RunID: id, RunKey: key, Job: "daily", Request: wire.RunRequest{Job: "daily"}}
}

func TestATickIsDecidedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	begin := metadata.NewTick{TriggerID: arrivals, Key: "1", Cause: "c1", Build: "b1"}
	tick, err := b.BeginTick(t.Context(), begin)
	require.NoError(t, err)
	require.Equal(t, wire.TickStarted, tick.Status)
	require.True(t, tick.DecidedAt.IsZero())

	again, err := b.BeginTick(t.Context(), begin)
	require.NoError(t, err)
	require.Equal(t, tick.ID, again.ID)
	require.Equal(t, 2, again.Attempts, "the worker that began it may be dead")

	decided, err := b.DecideTick(t.Context(), metadata.TickDecision{
		ID: tick.ID, Runs: []wire.TickRun{tickRun("r1", "a"), tickRun("r2", "a"), tickRun("r3", "")}, Cursor: json.RawMessage(`7`),
		Add: []wire.TickPartitions{{Name: "airports", Keys: []string{"SFO", "RNO"}}},
	})
	require.NoError(t, err)
	require.Equal(t, wire.TickStarted, decided.Status)
	require.Equal(t, "r1", decided.Runs[1].RunID, "one run for one key")
	require.True(t, decided.Runs[1].Known)
	require.Equal(t, []string{"SFO", "RNO"}, decided.Partitions[0].Changed)

	// Whoever was slower decides nothing.
	late, err := b.DecideTick(t.Context(), metadata.TickDecision{ID: tick.ID, Runs: []wire.TickRun{tickRun("r9", "z")}, Cursor: json.RawMessage(`9`)})
	require.NoError(t, err)
	require.Equal(t, decided, late)
	trigger, err := b.Trigger(t.Context(), arrivals)
	require.NoError(t, err)
	require.JSONEq(t, `7`, string(trigger.Cursor))
	require.Equal(t, "a", trigger.LastRunKey)

	ended, err := b.EndTick(t.Context(), metadata.TickEnd{ID: tick.ID, Status: wire.TickSuccess, FailedRuns: map[string]string{"r3": "refused"}})
	require.NoError(t, err)
	require.Equal(t, wire.TickSuccess, ended.Status)
	require.Equal(t, "refused", ended.Runs[2].Error)
	over, err := b.EndTick(t.Context(), metadata.TickEnd{ID: tick.ID, Status: wire.TickFailure})
	require.NoError(t, err)
	require.Equal(t, ended, over)

	// A later tick that asks for the same key starts nothing, and has ended so.
	next, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: arrivals, Key: "2", Cause: "c2"})
	require.NoError(t, err)
	next, err = b.DecideTick(t.Context(), metadata.TickDecision{ID: next.ID, Runs: []wire.TickRun{tickRun("r4", "a")}})
	require.NoError(t, err)
	require.Equal(t, "all that it asks for was asked for before", next.Skip)
	require.Equal(t, wire.TickSkipped, next.Status)
	require.Equal(t, "r1", next.Runs[0].RunID)

	page, err := b.Ticks(t.Context(), metadata.TickFilter{TriggerID: arrivals}, "", 1)
	require.NoError(t, err)
	require.Equal(t, next.ID, page.Rows[0].ID)
	page, err = b.Ticks(t.Context(), metadata.TickFilter{TriggerID: arrivals}, page.Next, 1)
	require.NoError(t, err)
	require.Equal(t, tick.ID, page.Rows[0].ID)
	require.Empty(t, page.Next)
}

func TestFailuresInARowAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	end := func(key string, status wire.TickStatus) metadata.Trigger {
		nominal := time.Date(2001, 1, 1, 6, 0, 0, 0, time.UTC)
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: nightly, Key: key, Nominal: &nominal, Cause: key})
		require.NoError(t, err)
		_, err = b.EndTick(t.Context(), metadata.TickEnd{ID: tick.ID, Status: status, Error: &wire.TickError{Message: "no"}})
		require.NoError(t, err)
		trigger, err := b.Trigger(t.Context(), nightly)
		require.NoError(t, err)
		return trigger
	}
	first := end("1", wire.TickFailure)
	require.Equal(t, 1, first.Failures)
	require.False(t, first.FailingSince.IsZero())
	second := end("2", wire.TickFailure)
	require.Equal(t, 2, second.Failures)
	require.Equal(t, first.FailingSince, second.FailingSince)
	require.Zero(t, second.LastSuccess)
	third := end("3", wire.TickSkipped)
	require.Zero(t, third.Failures)
	require.True(t, third.FailingSince.IsZero())
	require.False(t, third.LastSuccess.IsZero())
}

func TestAPersonsSwitchOutlivesDeploys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals, nightly)
	_, changed, err := b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: nightly, Status: wire.TriggerStopped, Who: "ana", Why: "holidays"})
	require.NoError(t, err)
	require.True(t, changed)

	b.defined(arrivals)
	gone, err := b.Trigger(t.Context(), nightly)
	require.NoError(t, err)
	require.False(t, gone.RemovedAt.IsZero())

	b.defined(arrivals, nightly)
	back, err := b.Trigger(t.Context(), nightly)
	require.NoError(t, err)
	require.Equal(t, wire.TriggerStopped, back.Status)
	require.Equal(t, "ana", back.SwitchedBy)
	require.True(t, back.RemovedAt.IsZero())

	started, changed, err := b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: nightly, Status: "", Who: "ana"})
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, wire.TriggerRunning, started.Status)
	require.True(t, started.Since.After(back.Since), "it makes up for nothing")
	require.Equal(t, 1, b.count("select count(*) from event_log where type = 'SCHEDULE_STOPPED'"))

	_, _, err = b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: metadata.TriggerID{Location: "flights", Kind: wire.TriggerSensor, Name: "none"}})
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestOldTicksGoAndTheNewestStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	for _, key := range []string{"1", "2", "3"} {
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: arrivals, Key: key, Cause: key})
		require.NoError(t, err)
		_, err = b.DecideTick(t.Context(), metadata.TickDecision{ID: tick.ID, Skip: "nothing new"})
		require.NoError(t, err)
	}
	deleted, err := b.PurgeTicks(t.Context(), 0, time.Nanosecond, 10)
	require.NoError(t, err)
	require.Zero(t, deleted, "0 keeps the skipped ones")
	deleted, err = b.PurgeTicks(t.Context(), time.Nanosecond, 0, 10)
	require.NoError(t, err)
	require.Equal(t, 2, deleted)
}

// Postgres is asked directly: a store would try again after a deadlock.
func TestWhoBeginsDecidesAndEndsTicksAtOnceNeverDeadlocks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	const rounds = 60
	for n := range rounds {
		due := hour(n)
		open := hour(n + rounds)
		tick, err := askDirectly[metadata.Tick](b, "begin_tick_v1", metadata.NewTick{TriggerID: nightly, Key: open.Key, Nominal: &open.Nominal, Cause: "c"})
		require.NoError(t, err)
		var group sync.WaitGroup
		ask := func(function string, argument any) {
			group.Go(func() {
				if _, err := askDirectly[json.RawMessage](b, function, argument); err != nil {
					t.Errorf("%s: %v", function, err)
				}
			})
		}
		ask("begin_tick_v1", metadata.NewTick{TriggerID: nightly, Key: due.Key, Nominal: &due.Nominal, Manual: true, Cause: "c"})
		ask("begin_due_ticks_v1", metadata.DueTicks{Location: "flights", Name: "nightly", Evaluate: []metadata.DueTick{due}})
		for range 3 {
			ask("decide_tick_v1", metadata.TickDecision{ID: tick.ID, Skip: "nothing"})
			ask("end_tick_v1", metadata.TickEnd{ID: tick.ID, Status: wire.TickFailure, Error: &wire.TickError{Message: "failed"}})
		}
		group.Wait()
		if t.Failed() {
			return
		}
	}
}

// A tick that nobody has evaluated, because it was missed, or runs were open, is evaluated when a person asks for it; any other is not
// evaluated again.
func TestAPersonMakesUpForATickThatWasLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(nightly)
	_, err := b.BeginDueTicks(t.Context(), metadata.DueTicks{
		Location: "flights", Name: "nightly", Evaluate: []metadata.DueTick{hour(2)}, Skipped: []metadata.DueTick{hour(1)}, Why: "missed",
	})
	require.NoError(t, err)
	begin := func(n int, manual bool) metadata.Tick {
		due := hour(n)
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: nightly, Key: due.Key, Nominal: &due.Nominal, Manual: manual, Cause: "c"})
		require.NoError(t, err)
		return tick
	}
	require.Equal(t, wire.TickSkipped, begin(1, false).Status, "nobody asked")
	tick := begin(1, true)
	require.Equal(t, wire.TickStarted, tick.Status)
	require.True(t, tick.Manual)
	require.Empty(t, tick.Skip)
	require.True(t, tick.DecidedAt.IsZero())
	require.True(t, tick.EndedAt.IsZero())
	decided, err := b.DecideTick(t.Context(), metadata.TickDecision{ID: tick.ID, Skip: "nothing to do"})
	require.NoError(t, err)
	require.Equal(t, wire.TickSkipped, decided.Status)
	require.Equal(t, decided, begin(1, true), "it was evaluated")

	waiting := begin(2, false)
	_, err = b.EndTick(t.Context(), metadata.TickEnd{ID: waiting.ID, Status: wire.TickFailure})
	require.NoError(t, err)
	require.Equal(t, wire.TickFailure, begin(2, true).Status, "it was evaluated")
}

func TestATickWhoseFunctionActsSucceedsWithoutRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	for _, acted := range []bool{true, false} {
		tick, err := b.BeginTick(t.Context(), metadata.NewTick{TriggerID: arrivals, Key: fmt.Sprint(acted), Cause: "c"})
		require.NoError(t, err)
		tick, err = b.DecideTick(t.Context(), metadata.TickDecision{ID: tick.ID, Acted: acted})
		require.NoError(t, err)
		require.Equal(t, map[bool]wire.TickStatus{true: wire.TickSuccess, false: wire.TickSkipped}[acted], tick.Status)
	}
}
