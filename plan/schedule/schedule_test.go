package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
)

func times(t *testing.T, s plan.Schedule) *schedule.Times {
	t.Helper()
	s.Name = "nightly"
	found, err := schedule.Of(s)
	require.NoError(t, err)
	return found
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return parsed
}

func texts(ticks []time.Time, zone *time.Location) []string {
	found := []string{}
	for _, tick := range ticks {
		found = append(found, tick.In(zone).Format(time.RFC3339))
	}
	return found
}

func TestAScheduleThatIsNoneSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := schedule.Of(plan.Schedule{Name: "nightly", Crons: []string{"0 25 * * *", "0 2 * * *", "0 0 2 * * *"}, Zone: "Europe/Berlinn"})
	require.ErrorContains(t, err, `schedule "nightly": zone "Europe/Berlinn" is not known`)
	require.ErrorContains(t, err, `hour is "25"`)
	require.ErrorContains(t, err, `has 6 fields`)
	_, err = schedule.Of(plan.Schedule{Name: "nightly", Zone: "Local"})
	require.ErrorContains(t, err, "differs from machine to machine")
	require.ErrorContains(t, err, "it has no cron")
}

func TestTicksWhereTheClocksChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		zone, from, until string
		crons             []string
		want              []string
	}{
		{"America/New_York", "2027-03-13T12:00:00-05:00", "2027-03-15T12:00:00-04:00", []string{"30 2 * * *"}, []string{"2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"}},
		{"America/New_York", "2027-11-06T12:00:00-04:00", "2027-11-08T12:00:00-05:00", []string{"30 1 * * *"}, []string{"2027-11-07T01:30:00-05:00", "2027-11-08T01:30:00-05:00"}},
		{"America/New_York", "2027-11-07T00:30:00-04:00", "2027-11-07T02:30:00-05:00", []string{"@hourly"}, []string{
			"2027-11-07T01:00:00-04:00", "2027-11-07T01:00:00-05:00", "2027-11-07T02:00:00-05:00",
		}},
		{"Australia/Lord_Howe", "2023-09-30T12:00:00+10:30", "2023-10-02T12:00:00+11:00", []string{"0 2 * * *"}, []string{"2023-10-01T02:30:00+11:00", "2023-10-02T02:00:00+11:00"}},
		{"Australia/Lord_Howe", "2024-04-06T12:00:00+11:00", "2024-04-07T12:00:00+10:30", []string{"45 1 * * *"}, []string{"2024-04-07T01:45:00+10:30"}},
		// Two crons that meet at the end of the gap are one tick.
		{"America/New_York", "2027-03-14T00:00:00-05:00", "2027-03-14T12:00:00-04:00", []string{"15 2 * * *", "0 3 * * *", "15 2 * * 0"}, []string{"2027-03-14T03:00:00-04:00"}},
	} {
		s := times(t, plan.Schedule{Crons: test.crons, Zone: test.zone, CatchUp: -1})
		due := s.Due(at(t, test.from), at(t, test.until), 100)
		require.Equal(t, test.want, texts(due.Evaluate, s.Zone()), "%v in %s", test.crons, test.zone)
		for _, tick := range due.Evaluate {
			require.True(t, s.Is(tick))
			require.False(t, s.Is(tick.Add(time.Second)))
		}
	}
}

func TestOfMissedTicksTheLatestAreMadeUpFor(t *testing.T) {
	t.Parallel()
	from, now := at(t, "2001-01-01T00:00:00Z"), at(t, "2001-01-01T10:30:00Z")
	hourly := func(catchUp int) *schedule.Times {
		return times(t, plan.Schedule{Crons: []string{"0 * * * *"}, CatchUp: catchUp})
	}
	clock := func(ticks []time.Time) []string {
		found := []string{}
		for _, tick := range ticks {
			found = append(found, tick.UTC().Format("15"))
		}
		return found
	}
	due := hourly(1).Due(from, now, 100)
	require.Equal(t, []string{"10"}, clock(due.Evaluate))
	require.Equal(t, []string{"01", "02", "03", "04", "05", "06", "07", "08", "09"}, clock(due.Skipped))
	require.Zero(t, due.Older)
	require.False(t, due.More)

	due = hourly(3).Due(from, now, 2)
	require.Equal(t, []string{"08", "09"}, clock(due.Evaluate))
	require.True(t, due.More)
	require.Len(t, due.Skipped, 7)
	due = hourly(3).Due(due.Evaluate[1], now, 2)
	require.Equal(t, []string{"10"}, clock(due.Evaluate))
	require.False(t, due.More)
	require.Empty(t, due.Skipped)

	due = hourly(-1).Due(from, now, 4)
	require.Equal(t, []string{"01", "02", "03", "04"}, clock(due.Evaluate))
	require.True(t, due.More)
	require.Empty(t, due.Skipped)

	// Nothing is made up for, but what comes in time is not missed.
	require.Empty(t, hourly(0).Due(from, now, 100).Evaluate)
	require.Equal(t, []string{"10"}, clock(hourly(0).Due(from, at(t, "2001-01-01T10:00:20Z"), 100).Evaluate))
	require.Zero(t, hourly(1).Due(now, now, 100))
}

func TestVeryManyMissedTicksAreSummedUp(t *testing.T) {
	t.Parallel()
	s := times(t, plan.Schedule{Crons: []string{"* * * * *"}, CatchUp: 1})
	due := s.Due(at(t, "2001-01-01T00:00:00Z"), at(t, "2001-01-03T00:00:30Z"), 100)
	require.Len(t, due.Evaluate, 1)
	require.Len(t, due.Skipped, schedule.MostSkipped)
	require.Equal(t, 2*24*60-1-schedule.MostSkipped, due.Older.Count)
	require.Equal(t, "2001-01-01T00:01:00Z", due.Older.First.UTC().Format(time.RFC3339))
	require.Equal(t, due.Skipped[0].Add(-time.Minute), due.Older.Last)
	require.False(t, due.Older.AtLeast)
	due = s.Due(at(t, "2000-01-01T00:00:00Z"), at(t, "2001-01-01T00:00:30Z"), 100)
	require.True(t, due.Older.AtLeast)
	require.Equal(t, "2000-01-01T00:01:00Z", due.Older.First.UTC().Format(time.RFC3339))
}

func TestADelayHoldsUpWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	s := times(t, plan.Schedule{Crons: []string{"* * * * *"}, CatchUp: -1, Jitter: 10 * time.Minute})
	from := at(t, "2001-01-01T00:00:00Z")
	seen := map[time.Duration]bool{}
	after := from
	// As time goes on, each tick is evaluated once, in order, and never before its delay is over.
	for now := from; now.Before(from.Add(6 * time.Hour)); now = now.Add(20 * time.Second) {
		due := s.Due(after, now, 1000)
		for _, tick := range due.Evaluate {
			require.Equal(t, after.Add(time.Minute), tick.UTC())
			require.False(t, tick.Add(s.Delay(tick)).After(now))
			seen[s.Delay(tick)] = true
			after = tick.UTC()
		}
		if !due.Waiting.IsZero() {
			require.Equal(t, after.Add(time.Minute), due.Waiting.UTC())
			require.True(t, due.Until.After(now))
		}
	}
	require.Greater(t, after, from.Add(5*time.Hour))
	require.Greater(t, len(seen), 100, "delays are spread")
	for delay := range seen {
		require.LessOrEqual(t, delay, 10*time.Minute)
	}
	require.Equal(t, s.Delay(from), times(t, plan.Schedule{Crons: []string{"0 0 * * *"}, Jitter: 10 * time.Minute}).Delay(from))
	require.Zero(t, times(t, plan.Schedule{Crons: []string{"0 0 * * *"}}).Delay(from))
}

var zones = []string{
	"UTC", "America/New_York", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin", "America/Havana", "Africa/Casablanca", "Antarctica/Troll",
	"America/Santiago", "Asia/Beirut", "Asia/Kolkata", "Pacific/Chatham", "Africa/Cairo", "America/Asuncion", "Asia/Gaza",
}

// What Temporal is told wakes somebody at every tick, whatever the cron and the zone; at few other times; and twice at none.
func TestTemporalWakesAtEveryTick(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 11))
	crons := []string{
		"30 2 * * *", "30 1 * * *", "0 2 * * *", "45 1 * * *", "0 0 * * *", "0 0 13 * 5", "0 3 1 * 1", "@hourly", "*/5 * * * *", "20 */2 * * *",
		"0 0 1 1 *", "15 0-3 * * *", "59 23 * * *", "0 1,3 29 2 *",
	}
	for range 30 {
		crons = append(crons, fmt.Sprintf("%d %d * * %d", random.IntN(60), random.IntN(4), random.IntN(7)),
			fmt.Sprintf("%d,%d %d %d * *", random.IntN(60), random.IntN(60), random.IntN(24), 1+random.IntN(28)))
	}
	now := at(t, "2026-06-15T00:00:00Z")
	for _, zone := range zones {
		for _, cron := range crons {
			s := times(t, plan.Schedule{Crons: []string{cron}, Zone: zone})
			fires := newTemporal(t, s.Wakes(now))
			changes := 0
			for change := range changesOf(s.Zone(), now.AddDate(0, 0, -395), now.AddDate(0, 0, 395)) {
				changes++
				requireWoken(t, s, fires, cron, change.Add(-36*time.Hour), change.Add(36*time.Hour))
			}
			if zone == "America/New_York" {
				require.Equal(t, 4, changes)
			}
			requireWoken(t, s, fires, cron, now.Add(-40*24*time.Hour), now.Add(-36*24*time.Hour))
			if len(cron) > 12 {
				requireWoken(t, s, fires, cron, now.AddDate(0, 0, -300), now)
			}
		}
	}
}

// requireWoken compares the ticks of a stretch with when Temporal fires.
func requireWoken(t *testing.T, s *schedule.Times, fires *temporal, cron string, from, until time.Time) {
	t.Helper()
	woken := map[int64]bool{}
	for tick := fires.next(from); tick.Before(until) && !tick.IsZero(); tick = fires.next(tick) {
		require.False(t, woken[tick.Unix()])
		woken[tick.Unix()] = true
	}
	ticks := 0
	for tick, ok := s.Next(from); ok && tick.Before(until); tick, ok = s.Next(tick) {
		ticks++
		require.True(t, woken[tick.Unix()], "nobody is woken for %s of %q in %s", tick, cron, s.Zone())
		require.True(t, s.Is(tick))
	}
	require.LessOrEqual(t, len(woken), ticks+60, "%q in %s wakes in vain", cron, s.Zone())
}
