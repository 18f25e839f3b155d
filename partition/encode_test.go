package partition

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func encoded(t *testing.T, b Subset) string {
	t.Helper()
	text, err := json.Marshal(b)
	require.NoError(t, err)
	return string(text)
}

// What is stored is read for years: the text may not change unseen.
func TestSubsetsAreStoredByKeys(t *testing.T) {
	t.Parallel()
	sets := sampleSets(t)
	some := func(set string, keys ...string) Subset {
		subset, err := sets[set].Of(keys...)
		require.NoError(t, err)
		return subset
	}
	require.JSONEq(t, `{"v":1,"kind":"keys"}`, encoded(t, Subset{}))
	require.JSONEq(t, `{"v":1,"kind":"keys","keys":[""]}`, encoded(t, sets["single"].All()))
	require.JSONEq(t, `{"v":1,"kind":"keys","keys":["near","far"]}`, encoded(t, some("static", "far", "near")))
	require.JSONEq(t, `{"v":1,"kind":"keys","keys":["a|b"]}`, encoded(t, some("dynamic", "a|b")))
	require.JSONEq(t, `{"v":1,"kind":"time",
		"of":[{"cron":"0 0 * * *","zone":"UTC","format":"2006-01-02","exclude":{"keys":["2001-01-10"],"crons":["0 0 * * 0,6"]}}],
		"ranges":[["2001-01-01","2001-01-02"],["2001-01-09","2001-01-11"]]}`,
		encoded(t, some("time", "2001-01-01", "2001-01-02", "2001-01-11", "2001-01-09")))
	require.JSONEq(t, `{"v":1,"kind":"grid",
		"of":[{"name":"hour","kind":"time","cron":"0 * * * *","zone":"UTC","format":"2006-01-02-15:04"},{"name":"region","kind":"keys"}],
		"blocks":[[{"ranges":[["2001-01-19-18:00","2001-01-19-19:00"]]},{"keys":["west","north"]}],[{"ranges":[["2001-01-19-20:00","2001-01-19-20:00"]]},{"keys":["east"]}]]}`,
		encoded(t, some("dynamic grid", "2001-01-19-18:00|west", "2001-01-19-19:00|north", "2001-01-19-18:00|north", "2001-01-19-19:00|west", "2001-01-19-20:00|east")))
}

func TestDecodingReportsWhatIsGone(t *testing.T) {
	t.Parallel()
	days := func(change func(*TimeWindows)) Definition {
		d := TimeWindows{Every: Daily, Start: "2001-01-01"}
		change(&d)
		return Definition{Time: &d}
	}
	static := func(keys ...string) Definition { return Definition{Static: keys} }
	grid := func(days Definition, bands ...string) Definition {
		return Definition{Grid: []Dimension{{Name: "day", Time: days.Time}, {Name: "band", Static: bands}}}
	}
	same := days(func(*TimeWindows) {})
	const now = "2001-01-11T00:00:00Z" // ten days
	for name, c := range map[string]struct {
		was, is Definition
		count   int
		gone    string
	}{
		"nothing":                 {same, same, 10, ""},
		"more exist":              {days(func(d *TimeWindows) { d.EndOffset = -2 }), same, 8, ""},
		"a later start":           {same, days(func(d *TimeWindows) { d.Start = "2001-01-03" }), 8, "2001-01-01 to 2001-01-02 (2)"},
		"an earlier end":          {same, days(func(d *TimeWindows) { d.End = "2001-01-10" }), 9, "2001-01-10"},
		"neither start nor end":   {same, days(func(d *TimeWindows) { d.Start, d.End = "2001-01-03", "2001-01-09" }), 6, "2001-01-01 to 2001-01-02 (2), 2001-01-09 to 2001-01-10 (2)"},
		"a key is excluded":       {same, days(func(d *TimeWindows) { d.Exclude.Keys = []string{"2001-01-05"} }), 9, "2001-01-05"},
		"weekends are excluded":   {same, days(func(d *TimeWindows) { d.Exclude.Crons = []string{"0 0 * * 0,6"} }), 8, "2001-01-06 to 2001-01-07 (2)"},
		"no key is excluded":      {days(func(d *TimeWindows) { d.Exclude.Keys = []string{"2001-01-05"} }), same, 9, ""},
		"others are excluded":     {days(func(d *TimeWindows) { d.Exclude.Keys = []string{"2001-01-05"} }), days(func(d *TimeWindows) { d.Exclude.Keys = []string{"2001-01-06"} }), 8, "2001-01-06"},
		"a static key":            {static("a", "b", "c"), static("c", "d", "a"), 2, "b"},
		"a set without any":       {static("a", "b"), Definition{Dynamic: "nothing"}, 0, "a, b"},
		"a row and a column":      {grid(same, "near", "far"), grid(days(func(d *TimeWindows) { d.Start = "2001-01-03" }), "far", "mid"), 8, "near|2001-01-03 to near|2001-01-10 (8), far|2001-01-01 to far|2001-01-02 (2), near|2001-01-01 to near|2001-01-02 (2)"},
		"nothing of another grid": {grid(same, "near"), grid(same, "near", "mid"), 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			was, is := setAt(t, c.was, now, nil), setAt(t, c.is, now, nil)
			subset, gone, err := is.Decode([]byte(encoded(t, was.All())))
			require.NoError(t, err)
			require.Equal(t, c.count, subset.Count())
			require.Equal(t, c.gone, gone.String())
			require.Equal(t, was.Count()-c.count, gone.Count())
			for key := range subset.Keys() {
				require.True(t, was.Has(key))
			}
		})
	}
}

func TestDecodingRefusesWhatMeansSomethingElse(t *testing.T) {
	t.Parallel()
	const now = "2001-01-11T00:00:00Z"
	days := Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01"}}
	static := Definition{Static: []string{"a"}}
	grid := Definition{Grid: []Dimension{{Name: "x", Static: []string{"a"}}, {Name: "y", Static: []string{"b"}}}}
	const daysText = "daily partitions from 2001-01-01T00:00:00 (UTC)"
	for name, c := range map[string]struct {
		was, is Definition
		message string
	}{
		"partitions of what had none": {Definition{}, days, "they were of kind keys; they are now " + daysText},
		"a time that was a list":      {static, days, "they were of kind keys; they are now " + daysText},
		"a list that was a time":      {days, static, "they were of kind time; they are now the static partitions a"},
		"another cron":                {Definition{Time: &TimeWindows{Every: Daily, Hour: 6, Start: "2001-01-01"}}, days, `the cron was "0 6 * * *" and is "0 0 * * *"; they are now ` + daysText},
		"another zone":                {Definition{Time: &TimeWindows{Every: Daily, Zone: "Europe/Berlin", Start: "2001-01-01"}}, days, `the zone was "Europe/Berlin" and is "UTC"; they are now ` + daysText},
		"another format":              {Definition{Time: &TimeWindows{Every: Daily, Format: "20060102", Start: "2001-01-01"}}, days, `the key format was "20060102" and is "2006-01-02"; they are now ` + daysText},
		"another dimension":           {Definition{Grid: []Dimension{{Name: "x", Static: []string{"a"}}, {Name: "z", Static: []string{"b"}}}}, grid, `dimension 2 was "z" of kind keys; they are now the grid x|y`},
		"another kind of dimension":   {Definition{Grid: []Dimension{{Name: "x", Time: days.Time}, {Name: "y", Static: []string{"b"}}}}, grid, `dimension 1 was "x" of kind time; they are now the grid x|y`},
	} {
		_, _, err := setAt(t, c.is, now, nil).Decode([]byte(encoded(t, setAt(t, c.was, now, nil).All())))
		require.EqualError(t, err, "the partitions have changed since the subset was stored: "+c.message, name)
		_, changed := errors.AsType[*ChangedError](err)
		require.True(t, changed)
	}

	const of = `"of":[{"cron":"0 0 * * *","zone":"UTC","format":"2006-01-02"}]`
	set := setAt(t, days, now, nil)
	for text, message := range map[string]string{
		``:                         "unexpected end of JSON input",
		`{"v":2,"kind":"time"}`:    "version 2 is not 1, which this program reads",
		`{"kind":"time"}`:          "version 0 is not 1, which this program reads",
		`{"v":1,"kind":"windows"}`: `kind "windows" with 0 descriptions`,
		`{"v":1,"kind":"time"}`:    `kind "time" with 0 descriptions`,
		`{"v":1,"kind":"time",` + of + `,"range":[]}`:                                                                    `unknown field "range"`,
		`{"v":1,"kind":"time",` + of + `} {}`:                                                                            "invalid character '{' after top-level value",
		`{"v":1,"kind":"time",` + of + `,"keys":["2001-01-01"]}`:                                                         "it has single keys of time windows",
		`{"v":1,"kind":"time",` + of + `,"ranges":[["2001-01-01","x"]]}`:                                                 `"x" is not a key of ` + daysText,
		`{"v":1,"kind":"time",` + of + `,"ranges":[["2001-01-02","2001-01-01"]]}`:                                        `the range "2001-01-02" to "2001-01-01" is reversed`,
		`{"v":1,"kind":"time","of":[{"cron":"0 0 * * *","zone":"UTC","format":"2006-01-02","exclude":{"crons":["x"]}}]}`: `time.exclude.crons[0]: cron "x" has 1 fields`,
		`{"v":1,"kind":"time","of":[{"cron":"0 0 * * *","zone":"UTC","format":"2006-01-02","exclude":{"keys":["2001-01-02"]}}],"ranges":[["2001-01-01","2001-01-02"]]}`: `"2001-01-02" was excluded`,
	} {
		_, _, err := set.Decode([]byte(text))
		require.ErrorIs(t, err, ErrBadSubset)
		require.ErrorContains(t, err, message)
	}
	_, _, err := setAt(t, static, now, nil).Decode([]byte(`{"v":1,"kind":"keys","ranges":[["a","b"]]}`))
	require.ErrorContains(t, err, "it has ranges of keys that are no time windows")
	subset, gone, err := set.Decode([]byte(encoded(t, Subset{})))
	require.NoError(t, err)
	require.Empty(t, gone)
	require.Equal(t, set.None(), subset, "the empty subset is of any set")
}

func TestRangesOfKeysAreShownBriefly(t *testing.T) {
	t.Parallel()
	set := setAt(t, Definition{Time: &TimeWindows{Every: Daily, Start: "2001-01-01"}}, "2001-03-01T00:00:00Z", nil)
	var keys []string
	for i := 0; i < 20; i += 2 {
		key, ok := set.All().Nth(i)
		require.True(t, ok)
		keys = append(keys, key)
	}
	odd, err := set.Of(keys...)
	require.NoError(t, err)
	ranges := KeyRanges(slices.Collect(odd.Ranges()))
	require.Equal(t, "2001-01-01, 2001-01-03, 2001-01-05, 2001-01-07, 2001-01-09, 5 more", ranges.String())
	require.Equal(t, 10, ranges.Count())
}
