package partition

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func dailyFrom(start string) Definition {
	return Definition{Time: &TimeWindows{Every: Daily, Start: start}}
}

func gridOf(nameA string, a Definition, nameB string, b Definition) Definition {
	dimension := func(name string, d Definition) Dimension {
		return Dimension{Name: name, Time: d.Time, Static: d.Static, Dynamic: d.Dynamic}
	}
	return Definition{Grid: []Dimension{dimension(nameA, a), dimension(nameB, b)}}
}

// keysOf splits a list that is separated by spaces.
func keysOf(text string) []string { return strings.Fields(text) }

// mappingCase is a mapping in both directions: what some downstream partitions need, and which
// downstream partitions some upstream ones affect. "*" is every partition of the set.
type mappingCase struct {
	mapping              Mapping
	upstream, downstream Definition
	now                  string // 2001-01-11T00:00:00Z unless said
	needs                map[string]string
	missing              map[string]string
	affects              map[string]string
}

func (c mappingCase) run(t *testing.T) {
	t.Helper()
	now := c.now
	if now == "" {
		now = "2001-01-11T00:00:00Z"
	}
	dynamic := map[string][]string{"regions": {"west", "east"}, "bands": {"near", "far"}}
	up, down := setAt(t, c.upstream, now, dynamic), setAt(t, c.downstream, now, dynamic)
	link, err := c.mapping.Between(up.of, down.of, tableEvaluator{})
	require.NoError(t, err)
	subset := func(set *Set, keys string) Subset {
		if keys == "*" {
			return set.All()
		}
		if keys == "" && set.of.kind == KindSingle {
			return set.All()
		}
		one, err := set.Of(keysOf(keys)...)
		require.NoError(t, err)
		return one
	}
	for from, want := range c.needs {
		got, err := link.Upstream(subset(down, from), up)
		require.NoError(t, err)
		require.Equal(t, slices.Collect(subset(up, want).Keys()), slices.Collect(got.Subset.Keys()), "%q needs", from)
		require.Equal(t, c.missing[from], got.Missing.String(), "%q misses", from)
	}
	for from, want := range c.affects {
		got, err := link.Downstream(subset(up, from), down)
		require.NoError(t, err)
		require.Equal(t, slices.Collect(subset(down, want).Keys()), slices.Collect(got.Keys()), "%q affects", from)
	}
	none, err := link.Upstream(down.None(), up)
	require.NoError(t, err)
	require.True(t, none.Subset.IsEmpty(), "nothing needs nothing")
	require.Empty(t, none.Missing)
	nobody, err := link.Downstream(up.None(), down)
	require.NoError(t, err)
	require.True(t, nobody.IsEmpty(), "nothing affects nothing")
}

// tableEvaluator knows one function: the first letter of a key upstream is the key downstream.
type tableEvaluator struct{}

func (tableEvaluator) UpstreamKeys(function string, downstream Subset, upstream *Set) ([]string, error) {
	if function != "first_letter" {
		return nil, errUnknownFunction
	}
	var keys []string
	for key := range upstream.All().Keys() {
		if downstream.Has(key[:1]) {
			keys = append(keys, key)
		}
	}
	return append(keys, "unknown"), nil
}

func (tableEvaluator) DownstreamKeys(function string, upstream Subset, _ *Set) ([]string, error) {
	if function != "first_letter" {
		return nil, errUnknownFunction
	}
	var keys []string
	for key := range upstream.Keys() {
		keys = append(keys, key[:1])
	}
	return keys, nil
}

var errUnknownFunction = errors.New("there is no such function")

func TestMappings(t *testing.T) {
	t.Parallel()
	letters := func(keys string) Definition { return Definition{Static: keysOf(keys)} }
	days, none := dailyFrom("2001-01-01"), Definition{}
	for name, c := range map[string]mappingCase{
		"identity": {
			mapping: Mapping{Kind: MapIdentity}, upstream: letters("a b c"), downstream: letters("c d a"),
			needs:   map[string]string{"a c": "a c", "a d": "a", "d": ""},
			missing: map[string]string{"a d": "d", "d": "d"},
			affects: map[string]string{"a b": "a", "b": "", "*": "a c"},
		},
		"identity of one list": {
			mapping: Mapping{Kind: MapIdentity}, upstream: letters("a b c"), downstream: letters("a b c"),
			needs: map[string]string{"b": "b", "*": "*"}, affects: map[string]string{"b": "b", "*": "*"},
		},
		"identity of dynamic and static keys": {
			mapping: Mapping{Kind: MapIdentity}, upstream: Definition{Dynamic: "regions"}, downstream: letters("east north"),
			needs: map[string]string{"*": "east"}, missing: map[string]string{"*": "north"}, affects: map[string]string{"*": "east", "west": ""},
		},
		"identity of time windows is by key, whatever they span": {
			mapping: Mapping{Kind: MapIdentity}, upstream: Definition{Time: &TimeWindows{Every: Weekly, Day: 1, Start: "2001-01-01", EndOffset: 1}}, downstream: days,
			needs:   map[string]string{"2001-01-01 2001-01-02 2001-01-08": "2001-01-01 2001-01-08"},
			missing: map[string]string{"2001-01-01 2001-01-02 2001-01-08": "2001-01-02"},
			affects: map[string]string{"*": "2001-01-01 2001-01-08"},
		},
		"identity of grids is by both parts of the key": {
			mapping: Mapping{Kind: MapIdentity}, upstream: gridOf("p", letters("a b"), "q", letters("x y")), downstream: gridOf("r", letters("b c"), "s", letters("y z")),
			needs:   map[string]string{"b|y": "b|y", "*": "b|y"},
			missing: map[string]string{"*": "c|y, b|z, c|z"},
			affects: map[string]string{"*": "b|y", "a|y": ""},
		},
		"identity without partitions": {
			mapping: Mapping{Kind: MapIdentity}, upstream: none, downstream: none,
			needs: map[string]string{"*": "*"}, affects: map[string]string{"*": "*"},
		},
		"all": {
			mapping: Mapping{Kind: MapAll}, upstream: letters("a b"), downstream: days,
			needs: map[string]string{"2001-01-05": "*"}, affects: map[string]string{"b": "*"},
		},
		"all of a grid": {
			mapping: Mapping{Kind: MapAll}, upstream: gridOf("p", letters("a b"), "q", days), downstream: none,
			needs: map[string]string{"": "*"}, affects: map[string]string{"b|2001-01-02": ""},
		},
		"last": {
			mapping: Mapping{Kind: MapLast}, upstream: days, downstream: letters("a b"),
			needs: map[string]string{"a": "2001-01-10"}, affects: map[string]string{"2001-01-09": "", "2001-01-09 2001-01-10": "*"},
		},
		"last of a grid": {
			mapping: Mapping{Kind: MapLast}, upstream: gridOf("p", letters("a b"), "q", letters("x y")), downstream: none,
			needs: map[string]string{"": "b|y"}, affects: map[string]string{"b|y": ""},
		},
		"last of none": {
			mapping: Mapping{Kind: MapLast}, upstream: Definition{Dynamic: "nothing"}, downstream: letters("a"),
			needs: map[string]string{"a": ""},
		},
		"specific": {
			mapping: Mapping{Kind: MapSpecific, Keys: keysOf("2001-01-03 2001-01-01")}, upstream: days, downstream: letters("a b"),
			needs: map[string]string{"a": "2001-01-01 2001-01-03"}, affects: map[string]string{"2001-01-02": "", "2001-01-03": "*"},
		},
		"specific, and not there yet": {
			mapping: Mapping{Kind: MapSpecific, Keys: keysOf("2001-01-01 2001-02-01")}, upstream: days, downstream: none,
			needs: map[string]string{"": "2001-01-01"}, missing: map[string]string{"": "2001-02-01"},
		},
		"specific of dynamic keys": {
			mapping: Mapping{Kind: MapSpecific, Keys: keysOf("east north")}, upstream: Definition{Dynamic: "regions"}, downstream: letters("a"),
			needs: map[string]string{"a": "east"}, missing: map[string]string{"a": "north"}, affects: map[string]string{"east": "a", "west": ""},
		},
		"specific of a grid": {
			mapping: Mapping{Kind: MapSpecific, Keys: keysOf("b|y a|x")}, upstream: gridOf("p", letters("a b"), "q", letters("x y")), downstream: letters("k"),
			needs: map[string]string{"k": "a|x b|y"}, affects: map[string]string{"a|y": "", "b|y": "k"},
		},
		"static": {
			mapping:  Mapping{Kind: MapStatic, Static: map[string][]string{"a": {"x"}, "b": {"x", "y"}, "d": nil}},
			upstream: letters("a b c d"), downstream: letters("x y z"),
			needs:   map[string]string{"x": "a b", "y": "b", "z": "", "*": "a b"},
			affects: map[string]string{"a": "x", "b": "x y", "c d": "", "*": "x y"},
		},
		"custom": {
			mapping: Mapping{Kind: MapCustom, Function: "first_letter"}, upstream: letters("ab ac bc dd"), downstream: letters("a b c"),
			needs: map[string]string{"a": "ab ac", "c": ""}, missing: map[string]string{"a": "unknown", "c": "unknown"},
			affects: map[string]string{"ac bc": "a b", "dd": ""},
		},
		"inferred: one side has no partitions": {
			upstream: none, downstream: days, needs: map[string]string{"2001-01-05": ""}, affects: map[string]string{"": "*"},
		},
		"inferred: the other side has none": {
			upstream: days, downstream: none, needs: map[string]string{"": "*"}, affects: map[string]string{"2001-01-05": ""},
		},
		"inferred: two lists": {
			upstream: letters("a b"), downstream: letters("b c"),
			needs: map[string]string{"*": "b"}, missing: map[string]string{"*": "c"}, affects: map[string]string{"*": "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestTimeMappings(t *testing.T) {
	t.Parallel()
	days := dailyFrom("2001-01-01")
	time := func(change func(*TimeWindows)) Definition {
		d := TimeWindows{Every: Daily, Start: "2001-01-01"}
		change(&d)
		return Definition{Time: &d}
	}
	hours := time(func(d *TimeWindows) { d.Every = Hourly })
	weeks := time(func(d *TimeWindows) { d.Every, d.Day = Weekly, 1 })
	offset := func(start, end int) Mapping { return Mapping{Kind: MapTime, StartOffset: start, EndOffset: end} }
	workdays := time(func(d *TimeWindows) { d.Exclude.Crons = []string{"0 0 * * 6,0"} })
	for name, c := range map[string]mappingCase{
		"the same windows": {
			upstream: days, downstream: days,
			needs: map[string]string{"2001-01-02": "2001-01-02", "*": "*"}, affects: map[string]string{"2001-01-02": "2001-01-02"},
		},
		"the same windows in another format": {
			upstream: time(func(d *TimeWindows) { d.Format = "20060102" }), downstream: days,
			needs: map[string]string{"2001-01-02": "20010102"}, affects: map[string]string{"20010102": "2001-01-02"},
		},
		"a finer upstream": {
			upstream: hours, downstream: days, now: "2001-01-03T00:00:00Z",
			needs: map[string]string{"2001-01-02": "2001-01-02-00:00 2001-01-02-01:00 2001-01-02-02:00 2001-01-02-03:00 2001-01-02-04:00 2001-01-02-05:00 " +
				"2001-01-02-06:00 2001-01-02-07:00 2001-01-02-08:00 2001-01-02-09:00 2001-01-02-10:00 2001-01-02-11:00 2001-01-02-12:00 2001-01-02-13:00 " +
				"2001-01-02-14:00 2001-01-02-15:00 2001-01-02-16:00 2001-01-02-17:00 2001-01-02-18:00 2001-01-02-19:00 2001-01-02-20:00 2001-01-02-21:00 " +
				"2001-01-02-22:00 2001-01-02-23:00", "*": "*"},
			affects: map[string]string{"2001-01-01-23:00": "2001-01-01", "2001-01-01-23:00 2001-01-02-00:00": "*"},
		},
		"a coarser upstream": {
			upstream: days, downstream: hours,
			needs: map[string]string{"2001-01-02-23:00": "2001-01-02", "2001-01-02-23:00 2001-01-03-00:00": "2001-01-02 2001-01-03"},
			affects: map[string]string{"2001-01-02": "2001-01-02-00:00 2001-01-02-01:00 2001-01-02-02:00 2001-01-02-03:00 2001-01-02-04:00 2001-01-02-05:00 " +
				"2001-01-02-06:00 2001-01-02-07:00 2001-01-02-08:00 2001-01-02-09:00 2001-01-02-10:00 2001-01-02-11:00 2001-01-02-12:00 2001-01-02-13:00 " +
				"2001-01-02-14:00 2001-01-02-15:00 2001-01-02-16:00 2001-01-02-17:00 2001-01-02-18:00 2001-01-02-19:00 2001-01-02-20:00 2001-01-02-21:00 " +
				"2001-01-02-22:00 2001-01-02-23:00"},
		},
		"a window that has not ended is not affected": {
			upstream: hours, downstream: days, now: "2001-01-03T12:00:00Z",
			affects: map[string]string{"2001-01-03-11:00": "", "2001-01-02-23:00 2001-01-03-00:00": "2001-01-02"},
		},
		"a coarser upstream that has not ended": {
			upstream: weeks, downstream: days, now: "2001-01-10T00:00:00Z",
			needs:   map[string]string{"2001-01-07": "2001-01-01", "2001-01-07 2001-01-09": "2001-01-01"},
			missing: map[string]string{"2001-01-07 2001-01-09": "2001-01-08"},
			affects: map[string]string{"2001-01-01": "2001-01-01 2001-01-02 2001-01-03 2001-01-04 2001-01-05 2001-01-06 2001-01-07"},
		},
		"windows that do not align": {
			upstream: time(func(d *TimeWindows) { d.Hour = 11 }), downstream: days, now: "2001-01-11T11:00:00Z",
			needs:   map[string]string{"2001-01-05": "2001-01-04 2001-01-05", "2001-01-01": "2001-01-01"},
			missing: map[string]string{"2001-01-01": "2000-12-31"},
			affects: map[string]string{"2001-01-04": "2001-01-04 2001-01-05"},
		},
		"a lag of one": {
			mapping: offset(-1, -1), upstream: days, downstream: days,
			needs:   map[string]string{"2001-01-02": "2001-01-01", "2001-01-01": "", "2001-01-01 2001-01-05": "2001-01-04"},
			affects: map[string]string{"2001-01-01": "2001-01-02", "2001-01-10": ""},
		},
		"the last two": {
			mapping: offset(-1, 0), upstream: days, downstream: days,
			needs:   map[string]string{"2001-01-05": "2001-01-04 2001-01-05", "2001-01-01": "2001-01-01"},
			affects: map[string]string{"2001-01-05": "2001-01-05 2001-01-06", "2001-01-10": "2001-01-10"},
		},
		"one before and one after": {
			mapping: offset(-1, 1), upstream: days, downstream: days,
			needs:   map[string]string{"2001-01-05": "2001-01-04 2001-01-05 2001-01-06", "2001-01-10": "2001-01-09 2001-01-10"},
			affects: map[string]string{"2001-01-05": "2001-01-04 2001-01-05 2001-01-06"},
		},
		"the next": {
			mapping: offset(1, 1), upstream: days, downstream: days,
			needs: map[string]string{"2001-01-09": "2001-01-10", "2001-01-10": ""}, affects: map[string]string{"2001-01-01": "", "2001-01-02": "2001-01-01"},
		},
		"a lag before the downstream's own start": {
			mapping: offset(-1, -1), upstream: days, downstream: dailyFrom("2001-01-05"),
			needs: map[string]string{"2001-01-05": "2001-01-04"}, affects: map[string]string{"2001-01-04": "2001-01-05", "2001-01-03": ""},
		},
		"an offset is in downstream partitions": {
			mapping: offset(-1, -1), upstream: days, downstream: weeks, now: "2001-01-22T00:00:00Z",
			needs: map[string]string{
				"2001-01-08": "2001-01-01 2001-01-02 2001-01-03 2001-01-04 2001-01-05 2001-01-06 2001-01-07", "2001-01-01": "",
			},
			affects: map[string]string{"2001-01-07 2001-01-08": "2001-01-08 2001-01-15"},
		},
		"an upstream that begins later": {
			upstream: dailyFrom("2001-01-05"), downstream: days,
			needs:   map[string]string{"2001-01-04": "", "2001-01-01 2001-01-04 2001-01-05": "2001-01-05"},
			missing: map[string]string{"2001-01-04": "2001-01-04", "2001-01-01 2001-01-04 2001-01-05": "2001-01-01, 2001-01-04"},
			affects: map[string]string{"2001-01-05": "2001-01-05"},
		},
		"a shift does not reach before an upstream that begins later": {
			mapping: offset(-1, 0), upstream: dailyFrom("2001-01-05"), downstream: days,
			needs: map[string]string{"2001-01-04": "", "2001-01-05": "2001-01-05"}, affects: map[string]string{"2001-01-05": "2001-01-05 2001-01-06"},
		},
		"an upstream that has ended": {
			upstream: time(func(d *TimeWindows) { d.End = "2001-01-05" }), downstream: days,
			needs:   map[string]string{"2001-01-04 2001-01-05 2001-01-06": "2001-01-04"},
			missing: map[string]string{"2001-01-04 2001-01-05 2001-01-06": "2001-01-05 to 2001-01-06 (2)"},
		},
		"an upstream that has ended, allowed": {
			mapping:  Mapping{Kind: MapTime, AllowNonexistent: true},
			upstream: time(func(d *TimeWindows) { d.End = "2001-01-05" }), downstream: days,
			needs: map[string]string{"2001-01-04 2001-01-05": "2001-01-04", "2001-01-06": ""},
		},
		"an upstream without any window yet": {
			mapping: offset(-1, -1), upstream: dailyFrom("2001-06-01"), downstream: days,
			needs: map[string]string{"2001-01-04": ""}, missing: map[string]string{"2001-01-04": "2001-01-03"},
		},
		"half of a window at the edge": {
			upstream: days, downstream: time(func(d *TimeWindows) { d.Hour, d.EndOffset = 12, 1 }),
			needs:   map[string]string{"2001-01-10": "2001-01-10"},
			missing: map[string]string{"2001-01-10": "2001-01-11"},
		},
		"the last two that have ended do not exist": {
			upstream: time(func(d *TimeWindows) { d.EndOffset = -2 }), downstream: days,
			needs:   map[string]string{"2001-01-08 2001-01-09 2001-01-10": "2001-01-08"},
			missing: map[string]string{"2001-01-08 2001-01-09 2001-01-10": "2001-01-09 to 2001-01-10 (2)"},
			affects: map[string]string{"2001-01-08": "2001-01-08"},
		},
		"one that exists before it has ended": {
			upstream: time(func(d *TimeWindows) { d.EndOffset = 1 }), downstream: days,
			needs: map[string]string{"2001-01-10": "2001-01-10"}, affects: map[string]string{"2001-01-10 2001-01-11": "2001-01-10"},
		},
		"one downstream that exists before what it needs": {
			upstream: days, downstream: time(func(d *TimeWindows) { d.EndOffset = 1 }),
			needs:   map[string]string{"2001-01-10 2001-01-11": "2001-01-10"},
			missing: map[string]string{"2001-01-10 2001-01-11": "2001-01-11"},
			affects: map[string]string{"2001-01-10": "2001-01-10"},
		},
		"a lag of what exists before it has ended": {
			mapping: offset(-1, -1), upstream: time(func(d *TimeWindows) { d.EndOffset = 1 }), downstream: time(func(d *TimeWindows) { d.EndOffset = 1 }),
			needs: map[string]string{"2001-01-11": "2001-01-10", "2001-01-01": ""}, affects: map[string]string{"2001-01-10": "2001-01-11", "2001-01-11": ""},
		},
		"a lag does not reach beyond an upstream's end": {
			mapping: offset(-1, -1), upstream: time(func(d *TimeWindows) { d.End = "2001-01-05" }), downstream: days,
			needs:   map[string]string{"2001-01-05 2001-01-06 2001-01-07": "2001-01-04"},
			missing: map[string]string{"2001-01-05 2001-01-06 2001-01-07": "2001-01-05 to 2001-01-06 (2)"},
			affects: map[string]string{"2001-01-04": "2001-01-05"},
		},
		"days before the upstream's first, and the first": {
			mapping: offset(-3, 0), upstream: days, downstream: days,
			needs: map[string]string{"2001-01-02": "2001-01-01 2001-01-02"}, affects: map[string]string{"2001-01-01": "2001-01-01 2001-01-02 2001-01-03 2001-01-04"},
		},
		"one that is excluded downstream is not affected": {
			upstream: days, downstream: workdays,
			needs: map[string]string{"2001-01-08": "2001-01-08"}, affects: map[string]string{"2001-01-05 2001-01-06 2001-01-07 2001-01-08": "2001-01-05 2001-01-08"},
		},
		"a week over a gap": {
			upstream: workdays, downstream: weeks, now: "2001-01-16T00:00:00Z",
			needs:   map[string]string{"2001-01-01": "2001-01-01 2001-01-02 2001-01-03 2001-01-04 2001-01-05"},
			affects: map[string]string{"2001-01-05": "2001-01-01", "2001-01-08": "2001-01-08"},
		},
		"workdays before the weekend": {
			mapping: offset(-1, -1), upstream: workdays, downstream: workdays, now: "2001-01-10T00:00:00Z",
			needs: map[string]string{"2001-01-08": "2001-01-05"}, affects: map[string]string{"2001-01-05": "2001-01-08"},
		},
		"the workday before the weekend is not the weekend": {
			mapping: offset(-1, -1), upstream: days, downstream: workdays,
			needs:   map[string]string{"2001-01-08": "2001-01-05", "2001-01-05 2001-01-08 2001-01-09": "2001-01-04 2001-01-05 2001-01-08"},
			affects: map[string]string{"2001-01-05": "2001-01-08", "2001-01-06 2001-01-07": ""},
		},
		"what is excluded upstream is not needed": {
			upstream: workdays, downstream: days,
			needs: map[string]string{"2001-01-06": "", "2001-01-05 2001-01-06 2001-01-07 2001-01-08": "2001-01-05 2001-01-08"}, affects: map[string]string{"2001-01-05": "2001-01-05"},
		},
		"a day of 23 hours": {
			upstream:   time(func(d *TimeWindows) { d.Every, d.Start, d.Zone = Hourly, "2023-03-26", "Europe/Berlin" }),
			downstream: time(func(d *TimeWindows) { d.Start, d.Zone = "2023-03-26", "Europe/Berlin" }), now: "2023-03-26T22:00:00Z",
			needs: map[string]string{"2023-03-26": "*"}, affects: map[string]string{"2023-03-26-03:00": "2023-03-26"},
		},
		"a day of 24 hours and a half": {
			upstream:   time(func(d *TimeWindows) { d.Every, d.Start, d.Zone = Hourly, "2023-04-02", "Australia/Lord_Howe" }),
			downstream: time(func(d *TimeWindows) { d.Start, d.Zone = "2023-04-02", "Australia/Lord_Howe" }), now: "2023-04-02T13:30:00Z",
			needs: map[string]string{"2023-04-02": "*"}, affects: map[string]string{"2023-04-02-02:00": "2023-04-02", "2023-04-02-23:00": "2023-04-02"},
		},
		"an hour before the second midnight is of the day before": {
			upstream:   time(func(d *TimeWindows) { d.Every, d.Start, d.Zone = Hourly, "2023-10-28T23:00", "Atlantic/Azores" }),
			downstream: time(func(d *TimeWindows) { d.Start, d.Zone = "2023-10-28", "Atlantic/Azores" }), now: "2023-10-30T01:00:00Z",
			needs:   map[string]string{"2023-10-28": "2023-10-28-23:00 2023-10-29-00:00"},
			missing: map[string]string{"2023-10-28": "2023-10-28-00:00 to 2023-10-28-22:00 (23)"},
			affects: map[string]string{"2023-10-29-00:00": "2023-10-28", "2023-10-29-00:00-0100": "2023-10-29"},
		},
		"a day of 25 hours": {
			upstream:   time(func(d *TimeWindows) { d.Every, d.Start, d.Zone = Hourly, "2023-10-29", "Europe/Berlin" }),
			downstream: time(func(d *TimeWindows) { d.Start, d.Zone = "2023-10-29", "Europe/Berlin" }), now: "2023-10-29T23:00:00Z",
			needs: map[string]string{"2023-10-29": "*"}, affects: map[string]string{"2023-10-29-02:00+0100": "2023-10-29"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func TestGridMappings(t *testing.T) {
	t.Parallel()
	days, bands := dailyFrom("2001-01-01"), Definition{Static: []string{"near", "far"}}
	weeks := Definition{Time: &TimeWindows{Every: Weekly, Start: "2023-01-01"}}
	grid := gridOf("day", days, "band", bands)
	yesterday := Mapping{Kind: MapTime, StartOffset: -1, EndOffset: -1}
	for name, c := range map[string]mappingCase{
		"inferred: a dimension that is the other side": {
			upstream: grid, downstream: bands, now: "2001-01-03T00:00:00Z",
			needs: map[string]string{"far": "far|2001-01-01 far|2001-01-02", "*": "*"}, affects: map[string]string{"far|2001-01-02": "far"},
		},
		"inferred: from the other side into the grid": {
			upstream: bands, downstream: grid, now: "2001-01-03T00:00:00Z",
			needs:   map[string]string{"far|2001-01-02": "far", "far|2001-01-02 near|2001-01-01": "*"},
			affects: map[string]string{"near": "near|2001-01-01 near|2001-01-02"},
		},
		"inferred: the only dimension of time": {
			upstream: dailyFrom("2023-01-01"), downstream: gridOf("week", weeks, "band", bands), now: "2023-01-22T00:00:00Z",
			needs:   map[string]string{"far|2023-01-08": "2023-01-08 2023-01-09 2023-01-10 2023-01-11 2023-01-12 2023-01-13 2023-01-14"},
			affects: map[string]string{"2023-01-14": "near|2023-01-08 far|2023-01-08"},
		},
		"inferred: the only dimension of time, upstream": {
			upstream: gridOf("week", weeks, "band", bands), downstream: dailyFrom("2023-01-01"), now: "2023-01-16T00:00:00Z",
			needs:   map[string]string{"2023-01-08 2023-01-15": "near|2023-01-08 far|2023-01-08"},
			missing: map[string]string{"2023-01-08 2023-01-15": "near|2023-01-15 to far|2023-01-15 (2)"},
			affects: map[string]string{"far|2023-01-01": "2023-01-01 2023-01-02 2023-01-03 2023-01-04 2023-01-05 2023-01-06 2023-01-07"},
		},
		"inferred: nothing fits": {
			upstream: gridOf("x", Definition{Static: []string{"a"}}, "y", Definition{Static: []string{"b"}}), downstream: bands,
			needs: map[string]string{"far": ""}, missing: map[string]string{"far": "far"}, affects: map[string]string{"*": ""},
		},
		"inferred: both dimensions fit, so that keys decide": {
			upstream: bands, downstream: gridOf("a", bands, "b", bands),
			needs: map[string]string{"near|far": ""}, missing: map[string]string{"near|far": "near|far"}, affects: map[string]string{"near": ""},
		},
		"inferred: the equal one of two dimensions of time": {
			upstream: days, downstream: gridOf("day", days, "week", weeks), now: "2023-01-16T00:00:00Z",
			needs: map[string]string{"2023-01-02|2023-01-08": "2023-01-02"},
		},
		"inferred: two grids": {
			upstream: grid, downstream: grid,
			needs: map[string]string{"far|2001-01-02": "far|2001-01-02", "*": "*"}, affects: map[string]string{"*": "*"},
		},
		"through a dimension with an offset": {
			mapping:  Mapping{Kind: MapDimension, Dimension: "day", Through: &yesterday},
			upstream: grid, downstream: days, now: "2001-01-04T00:00:00Z",
			needs: map[string]string{"2001-01-03": "near|2001-01-02 far|2001-01-02", "2001-01-01": ""}, affects: map[string]string{"near|2001-01-02": "2001-01-03"},
		},
		"through the dimension that is named": {
			mapping:  Mapping{Kind: MapDimension, Dimension: "b"},
			upstream: gridOf("a", bands, "b", bands), downstream: bands,
			needs: map[string]string{"near": "near|near far|near"}, affects: map[string]string{"far|near": "near"},
		},
		"a dynamic dimension": {
			mapping:  Mapping{Kind: MapDimension, Dimension: "region"},
			upstream: Definition{Dynamic: "regions"}, downstream: gridOf("region", Definition{Dynamic: "regions"}, "band", Definition{Dynamic: "bands"}),
			needs: map[string]string{"near|east far|east": "east"}, affects: map[string]string{"west": "near|west far|west"},
		},
		"each dimension by itself": {
			mapping:  Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{{Upstream: "day", Downstream: "day", Mapping: yesterday}, {Upstream: "band", Downstream: "band"}}},
			upstream: grid, downstream: grid, now: "2001-01-04T00:00:00Z",
			needs:   map[string]string{"far|2001-01-03": "far|2001-01-02", "far|2001-01-01": "", "far|2001-01-03 near|2001-01-02": "near|2001-01-01 far|2001-01-02"},
			affects: map[string]string{"far|2001-01-02": "far|2001-01-03", "far|2001-01-03": ""},
		},
		"a dimension that is not listed is all to all": {
			mapping:  Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{{Upstream: "day", Downstream: "when"}}},
			upstream: grid, downstream: gridOf("when", days, "region", Definition{Dynamic: "regions"}), now: "2001-01-03T00:00:00Z",
			needs:   map[string]string{"west|2001-01-02": "near|2001-01-02 far|2001-01-02"},
			affects: map[string]string{"far|2001-01-01": "west|2001-01-01 east|2001-01-01"},
		},
		"no dimension is listed": {
			mapping: Mapping{Kind: MapGrid}, upstream: grid, downstream: gridOf("a", bands, "b", bands), now: "2001-01-02T00:00:00Z",
			needs: map[string]string{"near|far": "*"}, affects: map[string]string{"far|2001-01-01": "*"},
		},
		"dimensions that change places": {
			mapping:  Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{{Upstream: "day", Downstream: "a"}, {Upstream: "band", Downstream: "z"}}},
			upstream: grid, downstream: gridOf("a", days, "z", bands), now: "2001-01-03T00:00:00Z",
			needs: map[string]string{"2001-01-02|near": "near|2001-01-02"}, affects: map[string]string{"far|2001-01-01": "2001-01-01|far"},
		},
		"what is missing in a grid": {
			mapping:  Mapping{Kind: MapGrid, Dimensions: []DimensionMapping{{Upstream: "day", Downstream: "day"}, {Upstream: "band", Downstream: "band", Mapping: Mapping{Kind: MapIdentity}}}},
			upstream: gridOf("day", dailyFrom("2001-01-02"), "band", bands), downstream: gridOf("day", days, "band", Definition{Static: []string{"near", "mid"}}), now: "2001-01-03T00:00:00Z",
			needs:   map[string]string{"*": "near|2001-01-02"},
			missing: map[string]string{"*": "mid|2001-01-02, near|2001-01-01, mid|2001-01-01"},
			affects: map[string]string{"*": "near|2001-01-02"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}
