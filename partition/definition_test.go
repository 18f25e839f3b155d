package partition

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefinitionsListEveryProblem(t *testing.T) {
	t.Parallel()
	ten := []string{"0 0 * * 1", "0 0 * * 2", "0 0 * * 3", "0 0 * * 4", "0 0 * * 5", "0 0 * * 6", "0 0 1 * *", "0 0 2 * *", "0 0 3 * *"}
	static := []string{"a"}
	for name, c := range map[string]struct {
		definition Definition
		problems   []string
	}{
		"two kinds": {Definition{Time: &TimeWindows{}, Static: static, Dynamic: "x", Grid: []Dimension{}}, []string{
			"gives time and static and dynamic and grid (give exactly one of time, static, dynamic and grid)",
		}},
		"nothing about time": {Definition{Time: &TimeWindows{}}, []string{
			"time.every: nothing says when windows begin (give every (hourly, daily, weekly or monthly) or cron)",
			"time.start: is missing (write 2001-01-31 or 2001-01-31T15:04)",
		}},
		"everything wrong at once": {Definition{Time: &TimeWindows{
			Every: Weekly, Day: 8, Minute: 60, Hour: -1, Cron: "0 0 * * *", Zone: "Mars/Olympus", Start: "yesterday", End: "2001-13-01",
			EndOffset: 5_000_000, Exclude: Exclusions{Keys: []string{"x"}},
		}}, []string{
			"time.minute: minute 60 is out of range (use 0 to 59)",
			"time.hour: hour -1 is out of range (use 0 to 23)",
			"time.day: day 8 is out of range (use 0 to 6)",
			"time.cron: both every and cron say when windows begin (give only one of the two)",
			`time.zone: "Mars/Olympus" is not a time zone: unknown time zone Mars/Olympus (use an IANA name, for example Europe/Berlin, or leave it out for UTC)`,
			`time.start: "yesterday" is not a time (write 2001-01-31 or 2001-01-31T15:04)`,
			`time.end: "2001-13-01" is not a time (write 2001-01-31 or 2001-01-31T15:04)`,
			"time.end_offset: 5000000 windows are more than 1000000 (use a smaller number)",
		}},
		"offsets that the kind does not have": {Definition{Time: &TimeWindows{Every: Hourly, Hour: 1, Day: 2, Start: "2001-01-01"}}, []string{
			"time.hour: hour is given, but windows begin in every hour (leave hour out)",
			"time.day: day is given, but windows begin on every day (leave day out)",
		}},
		"offsets beside a cron": {Definition{Time: &TimeWindows{Cron: "0 0 * * *", Minute: 1, Hour: 1, Day: 1, Start: "2001-01-01"}}, []string{
			"time.day: day is given, but the cron says when windows begin (leave day out)",
			"time.hour: hour is given, but the cron says when windows begin (leave hour out)",
			"time.minute: minute is given, but the cron says when windows begin (leave minute out)",
		}},
		"a day of the month": {Definition{Time: &TimeWindows{Every: Monthly, Day: 32, Start: "2001-01-01"}}, []string{"time.day: day 32 is out of range (use 0 to 31)"}},
		"an unknown every":   {Definition{Time: &TimeWindows{Every: "yearly", Start: "2001-01-01"}}, []string{`time.every: "yearly" is not known (use hourly, daily, weekly or monthly, or give a cron)`}},
		"a bad cron": {Definition{Time: &TimeWindows{Cron: "0 25 * * *", Start: "2001-01-01"}}, []string{
			`time.cron: cron "0 25 * * *": hour is "25": it may be 0 to 23, a range, a step or a list (write five fields, for example 0 6 * * 1-5)`,
		}},
		"the machine's zone": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Zone: "Local"}}, []string{
			`time.zone: "Local" is not a time zone: zone "Local" differs from machine to machine (use an IANA name, for example Europe/Berlin, or leave it out for UTC)`,
		}},
		"a start with an offset": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01T00:00:00Z"}}, []string{
			`time.start: "2001-01-01T00:00:00Z" has an offset from UTC, but is a local time of the zone (write 2001-01-31 or 2001-01-31T15:04)`,
		}},
		"an end before the start": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-02", End: "2001-01-02"}}, []string{
			"time.end: end 2001-01-02 is not after start 2001-01-02 (give a later end, or none)",
		}},
		"a format without hours": {Definition{Time: &TimeWindows{Every: Hourly, Start: "2001-01-01", Format: "2006-01-02"}}, []string{
			`time.format: "2006-01-02" does not write the hour of 24: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
		}},
		"a format of twelve hours": {Definition{Time: &TimeWindows{Every: Hourly, Start: "2001-01-01", Format: "2006-01-02 03"}}, []string{
			`time.format: "2006-01-02 03" does not write the hour of 24: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
		}},
		"a format with little in it": {Definition{Time: &TimeWindows{Cron: "*/5 * * * *", Start: "2001-01-01", Format: "06 MST"}}, []string{
			`time.format: "06 MST" does not write the year in four digits: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
			`time.format: "06 MST" does not write the month: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
			`time.format: "06 MST" does not write the day: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
			`time.format: "06 MST" does not write the hour of 24: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
			`time.format: "06 MST" does not write the minute: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
			`time.format: "06 MST" writes the zone's abbreviation, which cannot be read back: use -0700 (use a layout of Go's time package, for example 2006-01-02-15:04)`,
		}},
		"Python's format": {Definition{Time: &TimeWindows{Cron: "0 0 1 1 *", Start: "2001-01-01", Format: "%Y"}}, []string{
			`time.format: "%Y" does not write the year in four digits: two windows would have one key (use a layout of Go's time package, for example 2006-01-02-15:04)`,
		}},
		"a format of ranges": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Format: "2006...01\n02"}}, []string{
			`time.format: "2006...01\n02" makes keys that cannot be: "2004...11\n28" holds "...", which stands for a range (use a layout of Go's time package, for example 2006-01-02-15:04)`,
		}},
		"every bad exclusion": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Minute: 30, Format: "2006-01-02-15:04", Exclude: Exclusions{
			Keys: []string{"2001-01-05-00:30", "2001-01-05-00:00", "x"}, Crons: []string{"0 0 * *", "0 0 * * 9"},
		}}}, []string{
			`time.exclude.crons[0]: cron "0 0 * *" has 4 fields: write five, minute hour day-of-month month day-of-week, or @daily and the like (write five fields, for example 0 0 * * 6)`,
			`time.exclude.crons[1]: cron "0 0 * * 9": day of week is "9": it may be 0 to 7 (0 and 7 are Sunday) or SUN to SAT, a range, a step or a list (write five fields, for example 0 0 * * 6)`,
			`time.exclude.keys[1]: no window begins at "2001-01-05-00:00" (write 2001-01-05-00:30)`,
			`time.exclude.keys[2]: "x" is not a key of the form 2006-01-02-15:04 (write it as 2001-01-01-00:30)`,
		}},
		"nothing is left": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Crons: []string{"0 0 * * 1-5", "0 * * * 6-7"}}}}, []string{
			"time.exclude.crons: every window is excluded (exclude less)",
		}},
		"too many exclusions": {Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Crons: ten}}}, []string{
			"time.exclude.crons: 9 crons are more than 8 (write some of them as one)",
		}},
		"static keys": {Definition{Static: []string{"a", "", "a", "b...c", "d\te", "f\xff", strings.Repeat("g", 501)}}, []string{
			"static[1]: a key is empty (use another key)",
			`static[2]: "a" is there twice: it is static[0] already (remove one of the two)`,
			`static[3]: "b...c" holds "...", which stands for a range (use another key)`,
			`static[4]: "d\te" holds a control character (use another key)`,
			`static[5]: "f\xff" is not valid UTF-8 (use another key)`,
			`static[6]: the key that begins with "` + strings.Repeat("g", 50) + `" has 501 bytes, more than 500 (use another key)`,
		}},
		"no static keys": {Definition{Static: []string{}}, []string{"static: has no keys (give at least one key)"}},
		"a dynamic name": {Definition{Dynamic: "a\nb"}, []string{`dynamic: "a\nb" holds a control character (use a name without control characters and "...")`}},
		"one dimension":  {Definition{Grid: []Dimension{{Name: "x", Static: static}}}, []string{"grid: has 1 dimensions (give exactly two)"}},
		"three dimensions": {Definition{Grid: []Dimension{{Name: "x", Static: static}, {Name: "y", Static: static}, {Name: "z", Static: static}}}, []string{
			"grid: has 3 dimensions (give exactly two)",
		}},
		"bad dimensions": {Definition{Grid: []Dimension{{Name: "x|", Static: []string{"a|b", "c,d", "[e]"}}, {Name: "x|", Time: &TimeWindows{Every: Daily}}}}, []string{
			`grid[0].name: "x|" is not a name (use letters, digits, _ and -)`,
			`grid[0].static[0]: key "a|b" of a grid's dimension may not hold |, [, ] or a comma (use another key)`,
			`grid[0].static[1]: key "c,d" of a grid's dimension may not hold |, [, ] or a comma (use another key)`,
			`grid[0].static[2]: key "[e]" of a grid's dimension may not hold |, [, ] or a comma (use another key)`,
			`grid[1].name: "x|" is not a name (use letters, digits, _ and -)`,
			`grid[1].name: two dimensions are called "x|" (name them differently)`,
			"grid[1].time.start: is missing (write 2001-01-31 or 2001-01-31T15:04)",
		}},
		"dimensions without partitions": {Definition{Grid: []Dimension{{Name: "x"}, {Name: "y", Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Format: "2006|01|02"}}}}, []string{
			`grid[0]: dimension "x" has no partitions (give one of time, static and dynamic)`,
			"grid[1].time.format: a key of a grid's dimension may not hold | (use another character)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, problem := range c.definition.Validate() {
				got = append(got, problem.String())
			}
			require.Equal(t, c.problems, got)
			_, err := New(c.definition)
			require.ErrorContains(t, err, c.problems[len(c.problems)-1])
		})
	}
}

func TestGoodDefinitions(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Definition{
		"none":                             {},
		"a day of the month that few have": {Time: &TimeWindows{Every: Monthly, Day: 31, Start: "2001-01-01"}},
		"a month as key":                   {Time: &TimeWindows{Every: Monthly, Day: 15, Start: "2001-01", Format: "2006-01"}},
		"a year as key":                    {Time: &TimeWindows{Cron: "0 0 1 7 *", Start: "2001", Format: "2006"}},
		"the day of the year":              {Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Format: "2006-002"}},
		"an hour without minutes":          {Time: &TimeWindows{Every: Hourly, Minute: 15, Start: "2001-01-01 00:00", Format: "2006-01-02T15"}},
		"a static key with a bar":          {Static: []string{"a|b", "[c]"}},
		"a start in a gap of the clocks":   {Time: &TimeWindows{Every: Hourly, Start: "2023-03-26T02:30", Zone: "Europe/Berlin"}},
	} {
		require.Empty(t, d.Validate(), name)
	}
}

// The numbers stand here so that they cannot change unseen: subsets and plans are kept by them.
func TestFingerprintsAreOfWhatIsMeant(t *testing.T) {
	t.Parallel()
	of := func(d Definition) string { return newPartitions(t, d).Fingerprint() }
	daily := of(Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01"}})
	require.Equal(t, "acafa30bdba3dbeb0bad54be278b1763", daily)
	for _, same := range []TimeWindows{
		{Cron: "@daily", Start: "2001-01-01T00:00", Zone: "UTC"},
		{Cron: "0 0 * * 0-6", Start: "2001-01-01T00:00:00", Format: time.DateOnly},
	} {
		require.Equal(t, daily, of(Definition{Time: &same}))
	}
	seen := map[string]bool{daily: true}
	for _, other := range []Definition{
		{},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-02"}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Hour: 1}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", End: "2002-01-01"}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Zone: "Europe/Berlin"}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Format: "20060102"}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", EndOffset: 1}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Keys: []string{"2001-01-05"}}}},
		{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Crons: []string{"0 0 * * 6"}}}},
		{Static: []string{"a", "b"}},
		{Static: []string{"b", "a"}},
		{Dynamic: "a"},
		{Grid: []Dimension{{Name: "x", Static: []string{"a"}}, {Name: "y", Dynamic: "a"}}},
		{Grid: []Dimension{{Name: "x", Static: []string{"a"}}, {Name: "z", Dynamic: "a"}}},
	} {
		fingerprint := of(other)
		require.False(t, seen[fingerprint], "%+v", other)
		seen[fingerprint] = true
	}
	require.Equal(t,
		of(Definition{Grid: []Dimension{{Name: "x", Static: []string{"a"}}, {Name: "y", Dynamic: "a"}}}),
		of(Definition{Grid: []Dimension{{Name: "y", Dynamic: "a"}, {Name: "x", Static: []string{"a"}}}}))
	require.Equal(t,
		of(Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Keys: []string{"2001-01-06", "2001-01-05"}, Crons: []string{"0 0 * * 1", "0 0 * * 7"}}}}),
		of(Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01", Exclude: Exclusions{Keys: []string{"2001-01-05", "2001-01-06", "2001-01-05"}, Crons: []string{"0 0 * * 0", "0 0 * * MON", "0 0 * * 1"}}}}))
}

func TestDefinitionsAreJSON(t *testing.T) {
	t.Parallel()
	const text = `{"grid":[{"name":"band","static":["near","far"]},{"name":"day","time":{"every":"daily","hour":6,"start":"2001-01-01","zone":"America/New_York","exclude":{"keys":["2001-12-25"]}}}]}`
	var d Definition
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	require.Empty(t, d.Validate())
	again, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, text, string(again))
	empty, err := json.Marshal(Definition{})
	require.NoError(t, err)
	require.Equal(t, "{}", string(empty))
}

func TestDynamicKeysComeFromOutside(t *testing.T) {
	t.Parallel()
	p := newPartitions(t, Definition{Grid: []Dimension{{Name: "x", Dynamic: "regions"}, {Name: "y", Dynamic: "bands"}}})
	require.Equal(t, []string{"bands", "regions"}, p.Dynamic())
	set := p.At(unix(0), map[string][]string{"regions": {"west", "a|b", "west", "", "east"}, "bands": {"near"}})
	require.Equal(t, 2, set.Count(), "what cannot be in a grid, or is there twice, is left out")
	sides, names := set.Dimensions()
	require.Equal(t, []string{"x", "y"}, names)
	require.Equal(t, 2, sides[0].Count())

	alone := newPartitions(t, Definition{Dynamic: "regions"})
	require.Equal(t, []string{"regions"}, alone.Dynamic())
	require.Equal(t, 1, alone.At(unix(0), map[string][]string{"regions": {"a|b"}}).Count())
	require.Nil(t, newPartitions(t, Definition{Static: []string{"a"}}).Dynamic())

	cron, zone, ok := newPartitions(t, Definition{Time: &TimeWindows{Every: Weekly, Day: 1, Hour: 6, Start: "2001-01-01", Zone: "Europe/Berlin"}}).Cron()
	require.True(t, ok)
	require.Equal(t, "0 6 * * 1 Europe/Berlin", cron.String()+" "+zone.String())
	_, _, ok = alone.Cron()
	require.False(t, ok)
}

func TestSubsetsOfDifferentSetsAreNotCombined(t *testing.T) {
	t.Parallel()
	p := newPartitions(t, Definition{Static: []string{"a", "b"}})
	first, second := p.At(unix(0), nil), p.At(unix(0), nil)
	require.Panics(t, func() { first.All().Union(second.All()) })
	require.Equal(t, first.All(), Subset{}.Union(first.All()), "the zero subset is of any set")
	require.Equal(t, first.All(), first.All().Difference(Subset{}))
	require.True(t, Subset{}.Equal(second.None()))
	require.False(t, Subset{}.Has("a"))
	require.Nil(t, Subset{}.Set())
	require.Same(t, first, first.All().Set())
	require.Same(t, p, first.Partitions())
	require.Equal(t, KindStatic, p.Kind())
}
