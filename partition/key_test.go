package partition

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func setAt(t require.TestingT, d Definition, now string, dynamic map[string][]string) *Set {
	at, err := time.Parse(time.RFC3339, now)
	require.NoError(t, err)
	return newPartitions(t, d).At(at, dynamic)
}

func TestKeysWhereClocksChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		windows TimeWindows
		now     string
		keys    []string
		starts  []string
	}{
		"the second of two hours has its offset": {
			TimeWindows{Every: Hourly, Start: "2021-11-07", Zone: "America/Chicago"},
			"2021-11-07T09:00:00Z",
			[]string{"2021-11-07-00:00", "2021-11-07-01:00", "2021-11-07-01:00-0600", "2021-11-07-02:00"},
			[]string{"2021-11-07T05:00:00Z", "2021-11-07T06:00:00Z", "2021-11-07T07:00:00Z", "2021-11-07T08:00:00Z"},
		},
		"a format with the offset needs no more": {
			TimeWindows{Every: Hourly, Start: "2021-11-07T01:00", Zone: "America/Chicago", Format: "2006-01-02T15:04-0700"},
			"2021-11-07T08:00:00Z",
			[]string{"2021-11-07T01:00-0500", "2021-11-07T01:00-0600"},
			[]string{"2021-11-07T06:00:00Z", "2021-11-07T07:00:00Z"},
		},
		"the hour that is left out has no key": {
			TimeWindows{Every: Hourly, Start: "2023-03-26T01:00", Zone: "Europe/Berlin"},
			"2023-03-26T02:00:00Z",
			[]string{"2023-03-26-01:00", "2023-03-26-03:00"},
			[]string{"2023-03-26T00:00:00Z", "2023-03-26T01:00:00Z"},
		},
		"half an hour comes twice": {
			TimeWindows{Cron: "*/30 * * * *", Start: "2023-04-02T01:00", Zone: "Australia/Lord_Howe"},
			"2023-04-01T15:30:00Z",
			[]string{"2023-04-02-01:00", "2023-04-02-01:30", "2023-04-02-01:30+1030"},
			[]string{"2023-04-01T14:00:00Z", "2023-04-01T14:30:00Z", "2023-04-01T15:00:00Z"},
		},
		"half an hour that comes twice makes a long hour": {
			TimeWindows{Every: Hourly, Start: "2023-04-02T01:00", Zone: "Australia/Lord_Howe"},
			"2023-04-01T16:30:00Z",
			[]string{"2023-04-02-01:00", "2023-04-02-02:00"},
			[]string{"2023-04-01T14:00:00Z", "2023-04-01T15:30:00Z"},
		},
		"an hour that begins in a gap of half an hour has no key": {
			TimeWindows{Every: Hourly, Start: "2023-10-01T01:00", Zone: "Australia/Lord_Howe"},
			"2023-09-30T17:00:00Z",
			[]string{"2023-10-01-01:00", "2023-10-01-03:00"},
			[]string{"2023-09-30T14:30:00Z", "2023-09-30T16:00:00Z"},
		},
		"an hour that is left out at midnight": {
			TimeWindows{Every: Hourly, Start: "2023-03-25T23:00", Zone: "Atlantic/Azores"},
			"2023-03-26T02:00:00Z",
			[]string{"2023-03-25-23:00", "2023-03-26-01:00"},
			[]string{"2023-03-26T00:00:00Z", "2023-03-26T01:00:00Z"},
		},
		"midnight comes twice": {
			TimeWindows{Every: Hourly, Start: "2023-10-28T23:00", Zone: "Atlantic/Azores"},
			"2023-10-29T03:00:00Z",
			[]string{"2023-10-28-23:00", "2023-10-29-00:00", "2023-10-29-00:00-0100", "2023-10-29-01:00"},
			[]string{"2023-10-28T23:00:00Z", "2023-10-29T00:00:00Z", "2023-10-29T01:00:00Z", "2023-10-29T02:00:00Z"},
		},
		"a day begins at the second of two midnights": {
			TimeWindows{Every: Daily, Start: "2023-10-28", Zone: "Atlantic/Azores"},
			"2023-10-31T01:00:00Z",
			[]string{"2023-10-28", "2023-10-29", "2023-10-30"},
			[]string{"2023-10-28T00:00:00Z", "2023-10-29T01:00:00Z", "2023-10-30T01:00:00Z"},
		},
		"a day that begins in a gap of half an hour": {
			TimeWindows{Every: Daily, Hour: 2, Start: "2023-09-30", Zone: "Australia/Lord_Howe"},
			"2023-10-02T14:59:59Z",
			[]string{"2023-09-30", "2023-10-01"},
			[]string{"2023-09-29T15:30:00Z", "2023-09-30T15:30:00Z"},
		},
		"a cron that is not of every hour has one of two": {
			TimeWindows{Cron: "0 */2 * * *", Start: "2023-10-29", Zone: "Europe/Berlin"},
			"2023-10-29T05:00:00Z",
			[]string{"2023-10-29-00:00", "2023-10-29-02:00", "2023-10-29-04:00"},
			[]string{"2023-10-28T22:00:00Z", "2023-10-29T01:00:00Z", "2023-10-29T03:00:00Z"},
		},
		"a daily key never has an offset": {
			TimeWindows{Every: Daily, Hour: 1, Minute: 30, Start: "2021-11-06", Zone: "America/New_York", Format: "2006-01-02-15:04"},
			"2021-11-08T12:00:00Z",
			[]string{"2021-11-06-01:30", "2021-11-07-01:30"},
			[]string{"2021-11-06T05:30:00Z", "2021-11-07T06:30:00Z"},
		},
		"the key of a date is found where its midnight is not there": {
			TimeWindows{Every: Daily, Start: "2023-03-25", Zone: "Atlantic/Azores"},
			"2023-03-28T00:00:00Z",
			[]string{"2023-03-25", "2023-03-26", "2023-03-27"},
			[]string{"2023-03-25T01:00:00Z", "2023-03-26T01:00:00Z", "2023-03-27T00:00:00Z"},
		},
		"a window behind a gap over midnight keeps its date": {
			TimeWindows{Cron: "30 23 * * *", Start: "2025-03-28", Zone: "America/Scoresbysund"},
			"2025-04-01T02:00:00Z",
			[]string{"2025-03-28", "2025-03-29", "2025-03-30"},
			[]string{"2025-03-29T01:30:00Z", "2025-03-30T01:00:00Z", "2025-03-31T00:30:00Z"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setAt(t, Definition{Time: &c.windows}, c.now, nil)
			require.Equal(t, c.keys, slices.Collect(set.All().Keys()))
			for i, key := range c.keys {
				window, err := set.Window(key)
				require.NoError(t, err)
				require.Equal(t, c.starts[i], window.Start.UTC().Format(time.RFC3339))
				found, err := set.KeyAt(window.Start)
				require.NoError(t, err)
				require.Equal(t, key, found)
			}
		})
	}
}

func TestAWindowExistsOnceItHasEnded(t *testing.T) {
	t.Parallel()
	days := func(change func(*TimeWindows)) Definition {
		d := TimeWindows{Every: Daily, Start: "2001-01-01"}
		change(&d)
		return Definition{Time: &d}
	}
	for name, c := range map[string]struct {
		change func(*TimeWindows)
		now    string
		count  int
		last   string
	}{
		"a second before its end":            {func(*TimeWindows) {}, "2001-01-01T23:59:59Z", 0, ""},
		"at its end":                         {func(*TimeWindows) {}, "2001-01-02T00:00:00Z", 1, "2001-01-01"},
		"before the start":                   {func(*TimeWindows) {}, "2000-06-01T00:00:00Z", 0, ""},
		"one that has not ended":             {func(d *TimeWindows) { d.EndOffset = 1 }, "2001-01-01T00:00:00Z", 1, "2001-01-01"},
		"an end offset before the start":     {func(d *TimeWindows) { d.EndOffset = 1 }, "2000-12-31T23:00:00Z", 0, ""},
		"two offsets before the start":       {func(d *TimeWindows) { d.EndOffset = 2 }, "2000-12-31T23:00:00Z", 1, "2001-01-01"},
		"fewer than have ended":              {func(d *TimeWindows) { d.EndOffset = -1 }, "2001-01-03T00:00:00Z", 1, "2001-01-01"},
		"none fewer than none":               {func(d *TimeWindows) { d.EndOffset = -5 }, "2001-01-03T00:00:00Z", 0, ""},
		"none that would end after the end":  {func(d *TimeWindows) { d.End = "2001-01-03T12:00" }, "2002-01-01T00:00:00Z", 2, "2001-01-02"},
		"the last may end with the end":      {func(d *TimeWindows) { d.End = "2001-01-03" }, "2002-01-01T00:00:00Z", 2, "2001-01-02"},
		"an end offset does not pass an end": {func(d *TimeWindows) { d.End, d.EndOffset = "2001-01-03", 5 }, "2002-01-01T00:00:00Z", 2, "2001-01-02"},
		"the first begins after the start":   {func(d *TimeWindows) { d.Hour = 6; d.Start = "2001-01-01T07:00" }, "2001-01-03T06:00:00Z", 1, "2001-01-02"},
		"a gap where one is excluded":        {func(d *TimeWindows) { d.Exclude.Keys = []string{"2001-01-02"} }, "2001-01-03T00:00:00Z", 1, "2001-01-01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setAt(t, days(c.change), c.now, nil)
			require.Equal(t, c.count, set.Count())
			last, ok := set.All().Last()
			require.Equal(t, c.count > 0, ok)
			require.Equal(t, c.last, last)
		})
	}
}

func TestAWindowBesideAnExcludedOneDoesNotGrow(t *testing.T) {
	t.Parallel()
	set := setAt(t, Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Keys: []string{"2001-01-02"}}}}, "2001-01-05T00:00:00Z", nil)
	window, err := set.Window("2001-01-01")
	require.NoError(t, err)
	require.Equal(t, Window{day("2001-01-01"), day("2001-01-02")}, window)
	_, err = set.KeyAt(day("2001-01-02").Add(time.Hour))
	require.ErrorContains(t, err, "it is excluded")
	whole, err := set.All().Window()
	require.NoError(t, err)
	require.Equal(t, Window{day("2001-01-01"), day("2001-01-05")}, whole)
}

func TestKeyErrorsNameKeySetAndReason(t *testing.T) {
	t.Parallel()
	days := &TimeWindows{Every: Daily, Start: "2001-01-01", End: "2001-02-01", Exclude: Exclusions{Keys: []string{"2001-01-05"}}}
	hours := &TimeWindows{Every: Hourly, Start: "2021-11-07", Zone: "America/Chicago"}
	regions := map[string][]string{"regions": {"west", "east"}}
	const daysText = "daily partitions from 2001-01-01T00:00:00 until 2001-02-01T00:00:00 (UTC)"
	for name, c := range map[string]struct {
		definition Definition
		now, key   string
		reason     Reason
		nearest    string
		message    string
	}{
		"not a date": {
			Definition{Time: days},
			"2001-01-10T00:00:00Z", "today", Malformed, "",
			`partition "today" is not one of ` + daysText + `: it is not of the form 2006-01-02`,
		},
		"another spelling of a date": {
			Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Format: "2006-1-2"}},
			"2001-01-10T00:00:00Z", "2001-01-05", Unaligned, "2001-1-5",
			`partition "2001-01-05" is not one of daily partitions from 2001-01-01T00:00:00 (UTC): no window begins there (nearest: "2001-1-5")`,
		},
		"excluded": {
			Definition{Time: days},
			"2001-01-10T00:00:00Z", "2001-01-05", Excluded, "2001-01-06",
			`partition "2001-01-05" is not one of ` + daysText + `: it is excluded (nearest: "2001-01-06")`,
		},
		"before the first": {
			Definition{Time: days},
			"2001-01-10T00:00:00Z", "2000-12-31", NonExistent, "2001-01-01",
			`partition "2000-12-31" is not one of ` + daysText + `: it is before the first (nearest: "2001-01-01")`,
		},
		"after the last": {
			Definition{Time: days},
			"2002-01-10T00:00:00Z", "2001-02-01", NonExistent, "2001-01-31",
			`partition "2001-02-01" is not one of ` + daysText + `: it is after the last (nearest: "2001-01-31")`,
		},
		"not yet": {
			Definition{Time: days},
			"2001-01-10T23:00:00Z", "2001-01-10", NonExistent, "2001-01-09",
			`partition "2001-01-10" is not one of ` + daysText + `: it does not exist yet, the last is "2001-01-09" (nearest: "2001-01-09")`,
		},
		"none yet": {
			Definition{Time: days},
			"2001-01-01T23:00:00Z", "2001-01-01", NonExistent, "",
			`partition "2001-01-01" is not one of ` + daysText + `: none exists yet`,
		},
		"a time in the gap": {
			Definition{Time: &TimeWindows{Every: Hourly, Start: "2023-03-26", Zone: "Europe/Berlin"}},
			"2023-03-27T00:00:00Z", "2023-03-26-02:00", Unaligned, "2023-03-26-03:00",
			`partition "2023-03-26-02:00" is not one of hourly partitions from 2023-03-26T00:00:00 (Europe/Berlin): no window begins there (nearest: "2023-03-26-03:00")`,
		},
		"an offset that is not needed": {
			Definition{Time: hours},
			"2021-11-08T00:00:00Z", "2021-11-07-01:00-0500", Unaligned, "2021-11-07-01:00",
			`partition "2021-11-07-01:00-0500" is not one of hourly partitions from 2021-11-07T00:00:00 (America/Chicago): no window begins there (nearest: "2021-11-07-01:00")`,
		},
		"between two windows": {
			Definition{Time: hours},
			"2021-11-08T00:00:00Z", "2021-11-07-04:30", Unaligned, "2021-11-07-05:00",
			`partition "2021-11-07-04:30" is not one of hourly partitions from 2021-11-07T00:00:00 (America/Chicago): no window begins there (nearest: "2021-11-07-05:00")`,
		},
		"a typing error": {
			Definition{Static: []string{"near", "mid", "far"}},
			"2001-01-01T00:00:00Z", "fra", NonExistent, "",
			`partition "fra" is not one of the static partitions near, mid, far: there is no such key`,
		},
		"another letter case": {
			Definition{Static: []string{"a", "b", "c", "d", "e", "Far", "g"}},
			"2001-01-01T00:00:00Z", "far", NonExistent, "Far",
			`partition "far" is not one of the static partitions a, b, c, d, e and 2 more: there is no such key (nearest: "Far")`,
		},
		"a dynamic key that is not there": {
			Definition{Dynamic: "regions"},
			"2001-01-01T00:00:00Z", "wst", NonExistent, "west",
			`partition "wst" is not one of the dynamic partitions "regions": there is no such key (nearest: "west")`,
		},
		"no dynamic key at all": {
			Definition{Dynamic: "others"},
			"2001-01-01T00:00:00Z", "west", NonExistent, "",
			`partition "west" is not one of the dynamic partitions "others": it has no keys`,
		},
		"a partition of what has none": {
			Definition{},
			"2001-01-01T00:00:00Z", "2001-01-01", NonExistent, "",
			`partition "2001-01-01" is not one of an asset without partitions: there is no such key`,
		},
		"one part of a grid's key": {
			Definition{Grid: []Dimension{{Name: "region", Dynamic: "regions"}, {Name: "day", Time: days}}},
			"2001-01-10T00:00:00Z", "west", Malformed, "",
			`partition "west" is not one of the grid day|region: a key of the grid is day|region`,
		},
		"both parts of a grid's key": {
			Definition{Grid: []Dimension{{Name: "region", Dynamic: "regions"}, {Name: "day", Time: days}}},
			"2001-01-10T00:00:00Z", "2001-01-05|wst", Excluded, "2001-01-06|west",
			`partition "2001-01-05|wst" is not one of the grid day|region: day "2001-01-05": it is excluded; region "wst": there is no such key (nearest: "2001-01-06|west")`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := setAt(t, c.definition, c.now, regions)
			err := set.Check(c.key)
			wrong, isKeyError := errors.AsType[*KeyError](err)
			require.True(t, isKeyError)
			require.EqualError(t, err, c.message)
			require.Equal(t, c.reason, wrong.Reason)
			require.Equal(t, c.nearest, wrong.Nearest)
			require.Equal(t, c.key, wrong.Key)
			require.False(t, set.Has(c.key))
			require.False(t, set.All().Has(c.key))
			if c.nearest != "" {
				require.True(t, set.Has(c.nearest))
			}
		})
	}
}

func TestListsAndRangesOfKeysNameEveryWrongOne(t *testing.T) {
	t.Parallel()
	set := setAt(t, Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01"}}, "2001-02-01T00:00:00Z", nil)
	_, err := set.Of("2001-01-01", "yesterday", "2001-03-01")
	require.ErrorContains(t, err, `"yesterday"`)
	require.ErrorContains(t, err, `"2001-03-01"`)
	wrong, isKeyErrors := errors.AsType[KeyErrors](err)
	require.True(t, isKeyErrors)
	require.Len(t, wrong, 2)
	single, isKeyError := errors.AsType[*KeyError](err)
	require.True(t, isKeyError)
	require.Equal(t, "yesterday", single.Key)

	_, err = set.Range("2000-12-31", "2001-02-01")
	require.ErrorContains(t, err, `"2000-12-31"`)
	require.ErrorContains(t, err, `"2001-02-01"`)
	_, err = set.Range("2001-01-03", "2001-01-02")
	require.EqualError(t, err, `the range "2001-01-03" to "2001-01-02" of daily partitions from 2001-01-01T00:00:00 (UTC) is reversed: write the earlier key first`)
	one, err := set.Range("2001-01-03", "2001-01-03")
	require.NoError(t, err)
	require.Equal(t, 1, one.Count())

	grid := setAt(t, Definition{Grid: []Dimension{{Name: "x", Static: []string{"a", "b", "c"}}, {Name: "y", Static: []string{"d", "e", "f"}}}}, "2001-01-01T00:00:00Z", nil)
	rectangle, err := grid.Range("a|e", "b|f")
	require.NoError(t, err)
	require.Equal(t, []string{"a|e", "a|f", "b|e", "b|f"}, slices.Collect(rectangle.Keys()))
	_, err = grid.Range("a|e", "b|d")
	require.ErrorContains(t, err, "is reversed")
}

func TestOnlyConsecutiveTimeWindowsHaveAWindow(t *testing.T) {
	t.Parallel()
	days := &TimeWindows{Every: Daily, Start: "2001-01-01"}
	const now = "2001-02-01T00:00:00Z"
	set := setAt(t, Definition{Time: days}, now, nil)
	apart, err := set.Of("2001-01-01", "2001-01-03")
	require.NoError(t, err)
	grid := setAt(t, Definition{Grid: []Dimension{{Name: "day", Time: days}, {Name: "band", Static: []string{"near", "far"}}}}, now, nil)
	window, err := grid.Window("far|2001-01-05")
	require.NoError(t, err, "a grid's key has its parts in the order of the dimensions' names")
	require.Equal(t, Window{day("2001-01-05"), day("2001-01-06")}, window)
	parts, err := grid.Split("far|2001-01-05")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"band": "far", "day": "2001-01-05"}, parts)
	within, err := grid.Within(Window{day("2001-01-30"), day("2001-02-01")})
	require.NoError(t, err)
	require.Equal(t, []string{"near|2001-01-30", "near|2001-01-31", "far|2001-01-30", "far|2001-01-31"}, slices.Collect(within.Keys()))

	twice := setAt(t, Definition{Grid: []Dimension{{Name: "a", Time: days}, {Name: "b", Time: days}}}, now, nil)
	static := setAt(t, Definition{Static: []string{"a"}}, now, nil)
	for message, check := range map[string]func() error{
		"the partitions are 2 ranges apart from each other": func() error { _, err := apart.Window(); return err },
		"there are no partitions":                           func() error { _, err := set.None().Window(); return err },
		"no set: there are no partitions":                   func() error { _, err := Subset{}.Window(); return err },
		"both its dimensions are time windows":              func() error { _, err := twice.All().Window(); return err },
		"the static partitions a: it has no time windows":   func() error { _, err := static.Window("a"); return err },
		"a: it has no time windows":                         func() error { _, err := static.KeyAt(day("2001-01-01")); return err },
		"has no time windows":                               func() error { _, err := static.Within(Window{}); return err },
	} {
		err := check()
		require.ErrorContains(t, err, message)
		_, isWindowError := errors.AsType[*WindowError](err)
		require.True(t, isWindowError)
	}
	_, err = static.Split("a")
	require.ErrorContains(t, err, "only a grid has")
	_, err = set.KeyAt(day("2001-02-01"))
	require.ErrorContains(t, err, "does not exist yet")
}
