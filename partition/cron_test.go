package partition

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func mustCron(t *testing.T, text string) Cron {
	t.Helper()
	cron, err := ParseCron(text)
	require.NoError(t, err)
	return cron
}

func TestCronExpressions(t *testing.T) {
	t.Parallel()
	for text, canonical := range map[string]string{
		"0 6 * * *":                   "0 6 * * *",
		" */15  0-23 * * * ":          "0,15,30,45 * * * *",
		"10-40/10 1,2,3 * *  MON-fri": "10,20,30,40 1-3 * * 1-5",
		"5/20 0 1 JAN,12 7":           "5,25,45 0 1 1,12 0",
		"0 0 1-31 * 0-7":              "0 0 * * *",
		"0 0 * * 5-7":                 "0 0 * * 0,5-6",
		"@hourly":                     "0 * * * *",
		"@Daily":                      "0 0 * * *",
		"@midnight":                   "0 0 * * *",
		"@weekly":                     "0 0 * * 0",
		"@monthly":                    "0 0 1 * *",
		"@yearly":                     "0 0 1 1 *",
		"@annually":                   "0 0 1 1 *",
	} {
		cron := mustCron(t, text)
		require.Equal(t, canonical, cron.String())
		require.Equal(t, cron, mustCron(t, canonical), "expressions that mean the same are equal")
	}
}

func TestBadCronExpressionsNameTheField(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		"":               `cron "" has 0 fields: write five, minute hour day-of-month month day-of-week, or @daily and the like`,
		"0 0 6 * * *":    `cron "0 0 6 * * *" has 6 fields: write five, minute hour day-of-month month day-of-week, or @daily and the like`,
		"@often":         `cron "@often" has 1 fields: write five, minute hour day-of-month month day-of-week, or @daily and the like`,
		"60 * * * *":     `cron "60 * * * *": minute is "60": it may be 0 to 59, a range, a step or a list`,
		"0 24 * * *":     `cron "0 24 * * *": hour is "24": it may be 0 to 23, a range, a step or a list`,
		"0 0 0 * *":      `cron "0 0 0 * *": day of month is "0": it may be 1 to 31, a range, a step or a list`,
		"0 0 32 * *":     `cron "0 0 32 * *": day of month is "32": it may be 1 to 31, a range, a step or a list`,
		"0 0 * 13 *":     `cron "0 0 * 13 *": month is "13": it may be 1 to 12 or JAN to DEC, a range, a step or a list`,
		"0 0 * * 8":      `cron "0 0 * * 8": day of week is "8": it may be 0 to 7 (0 and 7 are Sunday) or SUN to SAT, a range, a step or a list`,
		"0 0 * * FRI-":   `cron "0 0 * * FRI-": day of week is "": it may be 0 to 7 (0 and 7 are Sunday) or SUN to SAT, a range, a step or a list`,
		"5-1 * * * *":    `cron "5-1 * * * *": minute "5-1" is a reversed range: write two ranges, or the smaller one first`,
		"*/0 * * * *":    `cron "*/0 * * * *": the step of minute "*/0" must be a number from 1`,
		"*/+5 * * * *":   `cron "*/+5 * * * *": the step of minute "*/+5" must be a number from 1`,
		"+5 * * * *":     `cron "+5 * * * *": minute is "+5": it may be 0 to 59, a range, a step or a list`,
		"1,,2 * * * *":   `cron "1,,2 * * * *": minute is "": it may be 0 to 59, a range, a step or a list`,
		"0 0 30 2 *":     `cron "0 0 30 2 *" never fires: none of its months has such a day`,
		"0 0 31 4,6,9 *": `cron "0 0 31 4,6,9 *" never fires: none of its months has such a day`,
	} {
		_, err := ParseCron(text)
		require.EqualError(t, err, message)
	}
	mustCron(t, "0 0 29 2 *")
	mustCron(t, "0 0 30 2 1") // a Monday counts as well
}

// Each row is consecutive ticks, of which the first is the first after "after".
func TestCronWhereClocksChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cron, zone, after string
		ticks             []string
	}{
		"an hourly cron leaves out the hour that is not there": {
			"0 * * * *", "Europe/Berlin", "2023-03-26T00:30:00+01:00",
			[]string{"2023-03-26T01:00:00+01:00", "2023-03-26T03:00:00+02:00", "2023-03-26T04:00:00+02:00"},
		},
		"an hourly cron fires twice in the hour that comes twice": {
			"0 * * * *", "America/New_York", "2021-11-07T00:30:00-04:00",
			[]string{"2021-11-07T01:00:00-04:00", "2021-11-07T01:00:00-05:00", "2021-11-07T02:00:00-05:00"},
		},
		"half an hour comes twice": {
			"*/30 * * * *", "Australia/Lord_Howe", "2023-04-02T01:10:00+11:00",
			[]string{"2023-04-02T01:30:00+11:00", "2023-04-02T01:30:00+10:30", "2023-04-02T02:00:00+10:30"},
		},
		"a daily cron in the gap fires behind it": {
			"30 2 * * *", "Europe/Berlin", "2023-03-25T00:00:00+01:00",
			[]string{"2023-03-25T02:30:00+01:00", "2023-03-26T03:00:00+02:00", "2023-03-27T02:30:00+02:00"},
		},
		"a daily cron at the gap's beginning, too": {
			"0 2 * * *", "Europe/Berlin", "2023-03-25T12:00:00+01:00",
			[]string{"2023-03-26T03:00:00+02:00", "2023-03-27T02:00:00+02:00"},
		},
		"a gap of half an hour": {
			"0 2 * * *", "Australia/Lord_Howe", "2023-09-30T12:00:00+10:30",
			[]string{"2023-10-01T02:30:00+11:00", "2023-10-02T02:00:00+11:00"},
		},
		"several times in one gap are one tick, also with one at its end": {
			"0,30 2,3 * * *", "Europe/Berlin", "2023-03-26T00:00:00+01:00",
			[]string{"2023-03-26T03:00:00+02:00", "2023-03-26T03:30:00+02:00", "2023-03-27T02:00:00+02:00"},
		},
		"a daily cron fires the second time that its hour comes": {
			"30 1 * * *", "America/New_York", "2021-11-06T12:00:00-04:00",
			[]string{"2021-11-07T01:30:00-05:00", "2021-11-08T01:30:00-05:00"},
		},
		"midnight is not there": {
			"0 0 * * *", "Atlantic/Azores", "2023-03-25T00:00:00-01:00",
			[]string{"2023-03-26T01:00:00Z", "2023-03-27T00:00:00Z"},
		},
		"midnight comes twice": {
			"0 0 * * *", "Atlantic/Azores", "2023-10-28T12:00:00+00:00",
			[]string{"2023-10-29T00:00:00-01:00", "2023-10-30T00:00:00-01:00"},
		},
		"a weekly cron": {
			"30 2 * * 0", "Europe/Berlin", "2023-03-20T00:00:00+01:00",
			[]string{"2023-03-26T03:00:00+02:00", "2023-04-02T02:30:00+02:00"},
		},
		"a day that a zone skipped": {
			"0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00",
			[]string{"2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"},
		},
		"either day field counts": {
			"0 0 13 * 5", "UTC", "2026-11-07T00:00:00Z",
			[]string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"},
		},
		"a leap day, over a century without one": {
			"0 0 29 2 *", "UTC", "2096-01-01T00:00:00Z",
			[]string{"2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cron := mustCron(t, c.cron)
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, c.after)
			require.NoError(t, err)
			for _, want := range c.ticks {
				next, ok := cron.Next(at, zone)
				require.True(t, ok)
				require.Equal(t, want, next.Format("2006-01-02T15:04:05Z07:00"))
				at = next
			}
			at = at.Add(time.Nanosecond)
			for _, want := range slices.Backward(c.ticks) {
				previous, ok := cron.Previous(at, zone)
				require.True(t, ok)
				require.Equal(t, want, previous.Format("2006-01-02T15:04:05Z07:00"))
				at = previous
			}
		})
	}
}

func TestCronEndsWithTheCalendar(t *testing.T) {
	t.Parallel()
	cron := mustCron(t, "0 0 1 1 *")
	_, ok := cron.Next(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC)
	require.False(t, ok)
	first, ok := cron.Previous(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.UTC)
	require.True(t, ok)
	require.Equal(t, 1, first.Year())
	_, ok = cron.Previous(first, time.UTC)
	require.False(t, ok)
}

// Numbers and ticks are each other's inverse, in zones that have had strange changes, too.
func TestTicksAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Pacific/Apia", "Africa/Monrovia", "Africa/Casablanca", "America/Caracas", "Antarctica/Troll", "Asia/Pyongyang"}
	for _, name := range append(zones, changingZones...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			require.NoError(t, err)
			for _, text := range []string{"0 * * * 0", "30 0,2 * * *"} {
				cron := mustCron(t, text)
				start := day("1950-01-01").Unix()
				forward := newSequence(newTicker(cron, nil, zone), start)
				middle := newSequence(newTicker(cron, nil, zone), day("2000-01-01").Unix())
				offset := -middle.index(start)
				last := start - 1
				for number := 0; last < day("2045-01-01").Unix(); number++ {
					tick, ok := forward.at(number)
					require.True(t, ok)
					require.Greater(t, tick, last)
					require.Equal(t, number, forward.index(tick))
					require.Equal(t, number, forward.index(last+1))
					require.Equal(t, number-offset, middle.index(tick))
					last = tick
				}
			}
		})
	}
}

func TestPartitionsAreUsedByMany(t *testing.T) {
	t.Parallel()
	d := Definition{Time: &TimeWindows{Every: Daily, Start: "1950-01-01", Zone: "Europe/Berlin", Exclude: Exclusions{Crons: []string{"0 0 * * 0"}}}}
	p := newPartitions(t, d)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for year := 1900 + worker; year < 2200; year += 13 {
				now := time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)
				alone, err := New(d)
				if err != nil {
					t.Error(err)
					return
				}
				if got, want := p.windows.kept.index(now.Unix()), alone.windows.kept.index(now.Unix()); got != want {
					t.Errorf("the first window from %d on has number %d, not %d", year, got, want)
				}
			}
		})
	}
	group.Wait()
}
