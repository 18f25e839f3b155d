package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func scheduled(t *testing.T, schedule *definitions.ScheduleOf, when string) definitions.Ticked {
	t.Helper()
	tick, err := definitions.EvaluateSchedule(t.Context(), Location, schedule, at(t, when))
	require.NoError(t, err)
	return tick
}

func TestNightlyMakesTheDayThatHasEnded(t *testing.T) {
	t.Parallel()
	tick := scheduled(t, Nightly, "2001-02-15 04:00:00")
	require.Len(t, tick.Runs, 1)
	require.Equal(t, DailyDelays.Name(), tick.Runs[0].Job)
	require.Equal(t, "2001-02-14", tick.Runs[0].Partition)

	require.Equal(t, "2001-03-31", scheduled(t, Nightly, "2001-04-01 04:00:00").Runs[0].Partition)
	after := scheduled(t, Nightly, "2026-12-01 04:00:00")
	require.Empty(t, after.Runs)
	require.Contains(t, after.Skip, `there is no partition "2026-11-30"`)
}

func TestReplayGoesThroughAllDaysAgainAndAgain(t *testing.T) {
	t.Parallel()
	begin, made := at(t, "2026-12-01 23:17:00"), map[string]int{}
	var before string
	for minute := range 180 {
		tick, err := definitions.EvaluateSchedule(t.Context(), Location, Replay, begin.Add(time.Duration(minute)*time.Minute))
		require.NoError(t, err)
		require.Len(t, tick.Runs, 1)
		day := tick.Runs[0].Partition
		made[day]++
		require.True(t, day > before || before == "2001-03-31" && day == "2001-01-01" || before == "", "%s follows %s", day, before)
		before = day
	}
	require.Len(t, made, 90)
	for day, times := range made {
		require.Equal(t, 2, times, day)
	}
}

// What the schedules run is what a person would: in process, too.
func TestADayOfTheDailyDelays(t *testing.T) {
	t.Parallel()
	result := definitions.RunJob(t.Context(), Location, DailyDelays, definitions.LoadExternal(), definitions.ForPartition("2001-02-14"))
	require.NoError(t, result.Err())
	require.Equal(t, []string{"airport_delays", "clean_flights", "flights", "joined_flights", "rejected_flights", "route_delays"}, result.Materialized())
	require.Equal(t, []string{"2001-02-14"}, result.MaterializedPartitions(RouteDelays))
}
