package definitions_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	d "github.com/perdure-io/perdure/definitions"
)

// TestPartitionsAgainstLoopsOverDays compares what a run over days makes of weeks, months, shifted windows and running sums with
// loops over the days.
func TestPartitionsAgainstLoopsOverDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "America/New_York", "Australia/Lord_Howe"}).Draw(t, "zone")
		length := rapid.IntRange(1, 100).Draw(t, "days")
		startOffset := rapid.IntRange(-3, 0).Draw(t, "start offset")
		endOffset := rapid.IntRange(startOffset, 0).Draw(t, "end offset")
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		first := time.Date(2021, time.March, 1, 0, 0, 0, 0, location).AddDate(0, 0, rapid.IntRange(0, 300).Draw(t, "first"))
		end := first.AddDate(0, 0, length)
		key := func(t time.Time) string { return t.Format(time.DateOnly) }

		days := d.Daily(key(first)).InZone(zone)
		weeks := d.Weekly(key(first)).InZone(zone)
		day := d.Asset("day", d.Bind1(func(_ d.Context, w d.Window) (int, error) { return w.Start.YearDay(), nil }, days.Window()), d.PartitionedBy(days))
		total := func(_ d.Context, byKey map[string]int) (string, error) {
			sum := 0
			for _, n := range byKey {
				sum += n
			}
			return fmt.Sprint(slices.Sorted(maps.Keys(byKey)), sum), nil
		}
		week := d.Asset("week", d.Bind1(total, d.ByKey(day)), d.PartitionedBy(weeks))
		trailing := d.Asset("trailing", d.Bind1(total, d.ByKey(day, d.Offset(startOffset, endOffset))), d.PartitionedBy(days))
		sum := d.Asset("sum", d.Bind2(addBefore, day, d.Previous[int]()), d.PartitionedBy(days))
		all := d.Asset("all", d.Bind1(total, d.ByKey(day)))
		ranged := d.RangeAsset("ranged", d.Bind1(func(_ d.Context, byKey map[string]int) (map[string]int, error) { return byKey, nil }, d.ByKey(day)), d.PartitionedBy(days))

		run := d.Materialize(t.Context(), d.New("x", day, week, trailing, sum, all, ranged), d.ForAllPartitions{}, d.AsOf(end))
		require.NoError(t, run.Err())

		var starts []time.Time
		for at := first; at.Before(end); at = at.AddDate(0, 0, 1) {
			starts = append(starts, at)
		}
		of := func(from, to int) string { // [from, to] of the days that there are
			var keys []string
			n := 0
			for i := max(from, 0); i <= to && i < len(starts); i++ {
				keys = append(keys, key(starts[i]))
				n += starts[i].YearDay()
			}
			return fmt.Sprint(keys, n)
		}
		running := 0
		for i, at := range starts {
			running += at.YearDay()
			got, err := sum.InPartition(run, key(at))
			require.NoError(t, err)
			require.Equal(t, running, got)
			inRange, err := ranged.InPartition(run, key(at))
			require.NoError(t, err)
			require.Equal(t, at.YearDay(), inRange)
			if i+endOffset >= 0 {
				text, err := trailing.InPartition(run, key(at))
				require.NoError(t, err)
				require.Equal(t, of(i+startOffset, i+endOffset), text)
			}
			if at.Weekday() == time.Sunday && i+7 <= len(starts) {
				text, err := week.InPartition(run, key(at))
				require.NoError(t, err)
				require.Equal(t, of(i, i+6), text)
			}
		}
		text, err := all.In(run)
		require.NoError(t, err)
		require.Equal(t, of(0, len(starts)-1), text)
	})
}
