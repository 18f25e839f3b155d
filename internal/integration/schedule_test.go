//go:build unix

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// scheduled is a fixture with one asset and some schedules.
func scheduled(t *testing.T, schedules ...testlocation.Schedule) *fixture {
	t.Helper()
	f := newFixture(t, []testlocation.Asset{asset("source")})
	f.spec.Schedules = schedules
	return f
}

func (f *fixture) scheduleID(name string) metadata.TriggerID {
	return metadata.TriggerID{Location: f.spec.Location, Kind: wire.TriggerSchedule, Name: name}
}

func (f *fixture) trigger(t *testing.T, name string) metadata.Trigger {
	t.Helper()
	row, err := f.Store.Trigger(t.Context(), f.scheduleID(name))
	require.NoError(t, err)
	return row
}

// awaitSchedule waits until Temporal has a schedule that is paused, or is not, and its row says the same.
func (f *fixture) awaitSchedule(t *testing.T, name string, paused bool) *client.ScheduleDescription {
	t.Helper()
	var described *client.ScheduleDescription
	require.Eventually(t, func() bool {
		var err error
		described, err = f.Temporal.ScheduleClient().GetHandle(t.Context(), wire.ScheduleID("", f.spec.Location, name)).Describe(t.Context())
		if err != nil || described.Schedule.State.Paused != paused {
			return false
		}
		row, err := f.Store.Trigger(t.Context(), f.scheduleID(name))
		return err == nil && row.AppliedPaused != nil && *row.AppliedPaused == paused && (row.Status == wire.TriggerStopped) == paused
	}, longEnough, often, "schedule %s is not as it should be", name)
	return described
}

// ticks are a schedule's ticks, the earliest first.
func (f *fixture) ticks(t *testing.T, name string) []metadata.Tick {
	t.Helper()
	page, err := f.Store.Ticks(t.Context(), metadata.TickFilter{TriggerID: f.scheduleID(name)}, "", 1000)
	require.NoError(t, err)
	ticks := make([]metadata.Tick, len(page.Rows))
	for i, tick := range page.Rows {
		ticks[len(ticks)-1-i] = tick
	}
	return ticks
}

// awaitTicks waits until a schedule has so many ticks that have ended, and no others.
func (f *fixture) awaitTicks(t *testing.T, name string, n int) []metadata.Tick {
	t.Helper()
	var ticks []metadata.Tick
	require.Eventually(t, func() bool {
		ticks = f.ticks(t, name)
		for _, tick := range ticks {
			if !tick.Status.Ended() {
				return false
			}
		}
		return len(ticks) >= n
	}, longEnough, often, "schedule %s has no %d ticks that have ended", name, n)
	require.Len(t, ticks, n)
	return ticks
}

// tick evaluates what is due of a schedule.
func (f *fixture) tick(t *testing.T, request wire.ScheduleTickRequest) wire.ScheduleTickResult {
	t.Helper()
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: f.spec.Location}, wire.ScheduleTickWorkflow, request)
	require.NoError(t, err)
	var result wire.ScheduleTickResult
	require.NoError(t, started.Get(t.Context(), &result))
	return result
}

// runsSince has a schedule run since so long ago.
func (f *fixture) runsSince(t *testing.T, name string, ago time.Duration) time.Time {
	t.Helper()
	f.execute(t, "update triggers set since = since - interval '"+ago.String()+"' where location = '"+f.spec.Location+"' and name = '"+name+"'")
	return f.trigger(t, name).Since
}

func TestAScheduleWakesAndItsTicksAreExact(t *testing.T) {
	t.Parallel()
	f := scheduled(t, testlocation.Schedule{Name: "minutely", Crons: []string{"* * * * *"}, Zone: "America/New_York", Running: true, Computed: true, Runs: 2})
	f.worker(t, "b1")
	described := f.awaitSchedule(t, "minutely", false)
	require.Contains(t, described.Schedule.State.Note, "Perdure")
	ticks := f.awaitTicks(t, "minutely", 1)
	tick := ticks[0]
	require.Equal(t, wire.TickSuccess, tick.Status)
	require.Zero(t, tick.Nominal.Second())
	require.Less(t, tick.StartedAt.Sub(tick.Nominal), 10*time.Second)
	require.Equal(t, 1, tick.Attempts)
	require.Len(t, tick.Runs, 2)
	require.Equal(t, "evaluating", tick.Log[0].Message)
	for _, asked := range tick.Runs {
		require.Regexp(t, `^minutely-\d{8}T\d{6}-[0-9a-f]{6}$`, asked.RunID)
		_, err := f.await(t, asked.RunID)
		require.NoError(t, err)
		run := f.run(t, asked.RunID)
		require.Equal(t, wire.PriorityLow, run.Priority)
		require.Equal(t, tick.Cause, run.Cause)
	}
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	require.Equal(t, tick.Nominal.In(newYork).Format(time.RFC3339), f.notes(t, testlocation.Called, testlocation.ScheduleKey("minutely"))[0].Partition)
}

func TestTicksThatWereMissedAreMadeUpFor(t *testing.T) {
	t.Parallel()
	all := definitions.AllMissed
	f := scheduled(t,
		testlocation.Schedule{Name: "latest", Crons: []string{"0 * * * *"}, Running: true},
		testlocation.Schedule{Name: "every", Crons: []string{"0 * * * *"}, Running: true, CatchUp: &all},
	)
	f.worker(t, "b1")
	for _, name := range []string{"latest", "every"} {
		f.awaitSchedule(t, name, false)
		since := f.runsSince(t, name, 5*time.Hour)
		first := since.Truncate(time.Hour).Add(time.Hour)
		result := f.tick(t, wire.ScheduleTickRequest{Schedule: name})
		ticks := f.ticks(t, name)
		n := int(time.Now().Truncate(time.Hour).Sub(first)/time.Hour) + 1
		require.Len(t, ticks, n)
		for i, tick := range ticks {
			require.Equal(t, first.Add(time.Duration(i)*time.Hour).UTC(), tick.Nominal.UTC())
			if name == "latest" && i < n-1 {
				require.Equal(t, wire.TickSkipped, tick.Status)
				require.Contains(t, tick.Skip, "catch_up is 1")
				continue
			}
			require.Equal(t, wire.TickSuccess, tick.Status)
			require.Len(t, tick.Runs, 1)
		}
		require.NotEmpty(t, result.Ticks)
		// There is nothing left to do.
		require.Empty(t, f.tick(t, wire.ScheduleTickRequest{Schedule: name}).Ticks)
		require.Len(t, f.ticks(t, name), n)
	}
}
