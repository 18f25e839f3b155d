package partition

import (
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// million is a set of about a million hourly partitions: 115 years in a zone with changes of the
// clocks.
func million(t testing.TB) *Set {
	t.Helper()
	set := newPartitions(t, millionHours("America/New_York")).At(day("2025-01-01"), nil)
	require.Greater(t, set.Count(), 1_000_000)
	return set
}

func millionHours(zone string) Definition {
	return Definition{Time: &TimeWindows{Every: Hourly, Start: "1910-01-01", Zone: zone}}
}

// millionWork is what must not list a million keys; each must take less than 5 ms.
func millionWork(t testing.TB) map[string]func() {
	t.Helper()
	set := million(t)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	before, err := set.Range("1910-01-01-00:00", "1999-12-31-23:00")
	must(err)
	after, err := set.Range("1980-01-01-00:00", "2024-12-31-18:00")
	must(err)
	days := newPartitions(t, Definition{Time: &TimeWindows{Every: Daily, Start: "1910-01-01", Zone: "America/New_York"}}).At(day("2025-01-01"), nil)
	workdays := newPartitions(t, Definition{Time: &TimeWindows{
		Every: Daily, Start: "1910-01-01", Zone: "America/New_York", Exclude: Exclusions{Crons: []string{"0 0 * * 6,0"}},
	}}).At(day("2025-01-01"), nil)
	link, err := Mapping{Kind: MapTime, StartOffset: -1}.Between(set.of, days.of, nil)
	must(err)
	oneDay, err := days.Of("2001-03-04")
	must(err)
	workLink, err := Mapping{Kind: MapTime, StartOffset: -1, EndOffset: -1}.Between(set.of, workdays.of, nil)
	must(err)
	oneWorkday, err := workdays.Of("2001-03-05")
	must(err)
	grid := newPartitions(t, gridOf("hour", millionHours("America/New_York"), "band", Definition{Static: keysOf("a b c d")})).At(day("2025-01-01"), nil)
	rectangle, err := grid.Range("a|1950-01-01-00:00", "c|2000-01-01-00:00")
	must(err)
	stored, err := json.Marshal(before)
	must(err)
	return map[string]func(){
		"definition": func() {
			p, err := New(millionHours("America/New_York"))
			must(err)
			p.At(day("2025-01-01"), nil)
		},
		"count":        func() { set.of.At(day("2025-01-01"), nil).Count() },
		"last":         func() { set.All().Last() },
		"nth":          func() { set.All().Nth(777_777) },
		"check":        func() { must(set.Check("2001-03-04-05:00")) },
		"union":        func() { before.Union(after).Count() },
		"difference":   func() { before.Difference(after).Count() },
		"intersection": func() { before.Intersection(after).Count() },
		"ranges": func() {
			for range before.Union(after).Ranges() {
			}
		},
		"store": func() {
			_, err := json.Marshal(before)
			must(err)
		},
		"decode": func() {
			_, _, err := set.Decode(stored)
			must(err)
		},
		"needs of a key": func() {
			_, err := link.Upstream(oneDay, set)
			must(err)
		},
		"needs of all": func() {
			_, err := link.Upstream(days.All(), set)
			must(err)
		},
		"affected by all": func() {
			_, err := link.Downstream(set.All(), days)
			must(err)
		},
		"needs of a key beside exclusions": func() {
			_, err := workLink.Upstream(oneWorkday, set)
			must(err)
		},
		"grid": func() { grid.All().Difference(rectangle).Count() },
	}
}

func TestAMillionPartitionsAreNotListed(t *testing.T) { //nolint:paralleltest // it measures what the program allocates
	for name, work := range millionWork(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		work()
		runtime.ReadMemStats(&after)
		// A list of a million of anything would be megabytes; what is known of a zone's years is 200 KB.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(500_000), name)
	}
}

func BenchmarkMillion(b *testing.B) {
	for name, work := range millionWork(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				work()
			}
		})
	}
}
