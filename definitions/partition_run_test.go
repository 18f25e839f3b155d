package definitions_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

var (
	days    = d.Daily("2001-01-01").InZone("America/New_York")
	weeks   = d.Weekly("2001-01-07").InZone("America/New_York")
	regions = d.Static("east", "west")

	byDay   = d.Asset("by_day", d.Bind1(dayOf, days.Window()), d.PartitionedBy(days))
	byWeek  = d.Asset("by_week", d.Bind1(totalOf, d.ByKey(byDay)), d.PartitionedBy(weeks))
	running = d.Asset("running", d.Bind2(addBefore, byDay, d.Previous[int]()), d.PartitionedBy(days))
	before  = d.Asset("before", d.Bind1(orMinusOne, d.At(byDay, d.Offset(-1, -1))), d.PartitionedBy(days))
)

func dayOf(_ d.Context, w d.Window) (int, error) { return w.Start.Day(), nil }

func totalOf(_ d.Context, byKey map[string]int) (int, error) {
	total := 0
	for _, n := range byKey {
		total += n
	}
	return total, nil
}

func addBefore(_ d.Context, n int, before *int) (int, error) {
	if before != nil {
		n += *before
	}
	return n, nil
}

func orMinusOne(_ d.Context, n *int) (int, error) {
	if n == nil {
		return -1, nil
	}
	return *n, nil
}

// march is the time as of which the tests run.
var march = d.AsOf(time.Date(2001, time.March, 1, 12, 0, 0, 0, time.UTC))

func TestOnePartition(t *testing.T) {
	t.Parallel()
	run := d.Materialize(t.Context(), d.New("x", byDay), d.ForPartition("2001-01-31"), march)
	require.NoError(t, run.Err())
	value, err := byDay.In(run)
	require.NoError(t, err)
	require.Equal(t, 31, value)
	require.Equal(t, []string{"2001-01-31"}, run.MaterializedPartitions(byDay))
	_, err = byDay.InPartition(run, "2001-01-30")
	require.ErrorContains(t, err, `partition "2001-01-30" of asset "by_day" has no value`)
}

func TestAWeekOverItsDays(t *testing.T) {
	t.Parallel()
	run := d.Materialize(t.Context(), d.New("x", byDay, byWeek, running, before), d.ForRange("2001-01-07", "2001-01-20"), march)
	require.ErrorContains(t, run.Err(), `load input "running": partition "2001-01-06": it has no materialization`)
	for key, want := range map[string]int{"2001-01-07": 7 + 8 + 9 + 10 + 11 + 12 + 13, "2001-01-14": 14 + 15 + 16 + 17 + 18 + 19 + 20} {
		got, err := byWeek.InPartition(run, key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := byWeek.In(run)
	require.ErrorContains(t, err, "the run has made 2 partitions of it: read each with InPartition")
	require.Equal(t, []string{"2001-01-07", "2001-01-14"}, run.MaterializedPartitions(byWeek))
	require.Equal(t, wire.StepFailed, run.PartitionStatus(running, "2001-01-07"))
	require.Equal(t, wire.StepUpstreamFailed, run.PartitionStatus(running, "2001-01-08"))
	require.Equal(t, wire.StepFailed, run.Status(running))
	got, err := before.InPartition(run, "2001-01-08")
	require.NoError(t, err)
	require.Equal(t, 7, got)
	require.Empty(t, run.PartitionStatus(before, "2001-01-07"), "it is for the days of which the day before is made")
	require.Equal(t, wire.StepSuccess, run.PartitionStatus(before, "2001-01-21"))
}

func TestARunningTotalFromTheFirstDay(t *testing.T) {
	t.Parallel()
	run := d.Materialize(t.Context(), d.New("x", byDay, running, before), d.ForRange("2001-01-01", "2001-02-28"), march)
	require.NoError(t, run.Err())
	got, err := running.InPartition(run, "2001-02-02")
	require.NoError(t, err)
	require.Equal(t, 31*32/2+1+2, got)
	got, err = before.InPartition(run, "2001-01-01")
	require.NoError(t, err)
	require.Equal(t, -1, got, "there is no day before the first")
}

func TestGivenPartitions(t *testing.T) {
	t.Parallel()
	all := d.New("x", byDay, byWeek, running)
	opts := []d.MaterializeOption{d.Only(byWeek), d.ForPartition("2001-01-07"), march}
	for day := 7; day <= 13; day++ {
		opts = append(opts, d.GivenPartition(byDay, fmt.Sprintf("2001-01-%02d", day), 10))
	}
	run := d.Materialize(t.Context(), all, opts...)
	require.NoError(t, run.Err())
	require.Equal(t, []string{"by_week"}, run.Materialized())
	got, err := byWeek.In(run)
	require.NoError(t, err)
	require.Equal(t, 70, got)

	run = d.Materialize(t.Context(), all, d.Only(byWeek), d.ForPartition("2001-01-07"), d.Given(byDay, 3), march)
	require.NoError(t, run.Err(), "one value for all partitions")
	got, err = byWeek.In(run)
	require.NoError(t, err)
	require.Equal(t, 21, got)

	run = d.Materialize(t.Context(), all, opts[:5]...)
	require.ErrorContains(t, run.Err(), `load input "by_day" by key: partition "2001-01-09": it was not given`)
}

func TestAPartitionThatDoesNotExist(t *testing.T) {
	t.Parallel()
	plain := constant("plain")
	all := d.New("x", byDay, plain)
	for want, opts := range map[string][]d.MaterializeOption{
		"2001-03-01":                        {d.ForPartition("2001-03-01"), march},
		"it is not said which of them":      {march},
		`"partition" and "range" are given`: {d.ForPartition("2001-01-01"), d.ForRange("2001-01-01", "2001-01-02"), march},
		"ForPartition is given no key":      {d.ForPartition("")},
		"ForPartitions is given no keys":    {d.ForPartitions()},
		`asset "plain" is not partitioned`:  {d.Only(plain), d.ForPartition("2001-01-01")},
	} {
		require.ErrorContains(t, d.Materialize(t.Context(), all, opts...).Err(), want)
	}
}

func rangeOfDays(ctx d.Context, keys []string, window d.Window, byDay map[string]int, reports *d.PartitionReports) (map[string]int, error) {
	values := map[string]int{}
	for _, key := range keys {
		values[key] = byDay[key] * 2
		reports.Report(key, d.Int("doubled", int64(values[key])))
	}
	ctx.Report(d.Text("window", window.Start.Format(time.DateOnly)+" to "+window.End.Format(time.DateOnly)), d.Int("calls", 1))
	return values, nil
}

func TestARangeAsset(t *testing.T) {
	t.Parallel()
	doubled := d.RangeAsset("doubled", d.Bind4(rangeOfDays, days.Keys(), days.Window(), d.ByKey(byDay), d.ReportByKey), d.PartitionedBy(days), d.SingleRun{})
	run := d.Materialize(t.Context(), d.New("x", byDay, doubled), d.ForRange("2001-01-01", "2001-01-31"), march)
	require.NoError(t, run.Err())
	require.Len(t, run.MaterializedPartitions(doubled), 31)
	got, err := doubled.InPartition(run, "2001-01-31")
	require.NoError(t, err)
	require.Equal(t, 62, got)
	require.Equal(t, []d.Metadatum{d.Text("window", "2001-01-01 to 2001-02-01"), d.Int("calls", 1), d.Int("doubled", 6)}, run.PartitionMetadata(doubled, "2001-01-03"))

	run = d.Materialize(t.Context(), d.New("x", byDay, doubled), d.ForPartition("2001-01-03"), march)
	require.NoError(t, run.Err(), "a range of one")
	require.Equal(t, []string{"2001-01-03"}, run.MaterializedPartitions(doubled))
}

func TestARangeAssetMakesWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	for want, values := range map[string]map[string]int{
		`did not return partition "2001-01-02" of output "x"`:                                                          {"2001-01-01": 1},
		`returned partition "2001-01-03" of output "x", which was not requested (requested: 2001-01-01 to 2001-01-02)`: {"2001-01-01": 1, "2001-01-02": 1, "2001-01-03": 1},
	} {
		x := d.RangeAsset("x", d.Bind0(func(d.Context) (map[string]int, error) { return values, nil }), d.PartitionedBy(days))
		run := d.Materialize(t.Context(), d.New("x", x), d.ForRange("2001-01-01", "2001-01-02"), march)
		require.ErrorContains(t, run.Err(), want)
	}
	reportsMore := d.RangeAsset("x", d.Bind1(func(_ d.Context, r *d.PartitionReports) (map[string]int, error) {
		r.Report("2001-01-09", d.RowCount(1))
		return map[string]int{"2001-01-01": 1}, nil
	}, d.ReportByKey), d.PartitionedBy(days))
	run := d.Materialize(t.Context(), d.New("x", reportsMore), d.ForPartition("2001-01-01"), march)
	require.ErrorContains(t, run.Err(), `reported metadata for partition "2001-01-09", which it did not return`)
}

func TestGrids(t *testing.T) {
	t.Parallel()
	grid := d.GridOf("day", days, "region", regions)
	cell := d.Asset("cell", d.Bind3(func(_ d.Context, w d.Window, region string, key d.GridKey) (string, error) {
		return fmt.Sprintf("%d %s %s %s", w.Start.Day(), region, key.Parts["region"], key), nil
	}, days.Window(), regions.Key(), grid.Key()), d.PartitionedBy(grid))
	slice := d.Asset("slice", d.Bind1(func(_ d.Context, cells map[string]string) (int, error) { return len(cells), nil }, d.ByKey(cell)), d.PartitionedBy(days))
	own := d.Asset("own", d.Bind2(func(_ d.Context, cell string, before *string) (string, error) {
		if before != nil {
			cell = *before + ", " + cell
		}
		return cell, nil
	}, cell, d.Previous[string]()), d.PartitionedBy(grid))
	run := d.Materialize(t.Context(), d.New("x", cell, slice, own), d.ForRange("2001-01-01|east", "2001-01-02|west"), march)
	require.NoError(t, run.Err())
	got, err := cell.InPartition(run, "2001-01-02|west")
	require.NoError(t, err)
	require.Equal(t, "2 west west 2001-01-02|west", got)
	n, err := slice.InPartition(run, "2001-01-02")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	got, err = own.InPartition(run, "2001-01-02|east")
	require.NoError(t, err)
	require.Equal(t, "1 east east 2001-01-01|east, 2 east east 2001-01-02|east", got)
}

func TestDynamicPartitions(t *testing.T) {
	t.Parallel()
	customers := d.Dynamic("customers")
	greeting := d.Asset("greeting", d.Bind1(func(_ d.Context, key string) (string, error) { return "hello " + key, nil }, customers.Key()), d.PartitionedBy(customers))
	last := d.Asset("last", d.Bind1(func(_ d.Context, s *string) (string, error) { return *s, nil }, d.At(greeting, d.LastPartition)))
	run := d.Materialize(t.Context(), d.New("x", greeting, last), d.ForAllPartitions{}, d.DynamicKeys(customers, "ann", "bob"))
	require.NoError(t, run.Err())
	require.Equal(t, []string{"ann", "bob"}, run.MaterializedPartitions(greeting))
	got, err := last.In(run)
	require.NoError(t, err)
	require.Equal(t, "hello bob", got)
}

func TestMappingsOfAllKinds(t *testing.T) {
	t.Parallel()
	source := d.Asset("source", d.Bind1(func(_ d.Context, key string) (string, error) { return key, nil }, regions.Key()), d.PartitionedBy(regions))
	halves := d.Static("all", "half")
	join := func(_ d.Context, values map[string]string) (int, error) { return len(values), nil }
	text := func(_ d.Context, value *string) (string, error) {
		if value == nil {
			return "nothing", nil
		}
		return *value, nil
	}
	table := d.Asset("table", d.Bind1(join, d.ByKey(source, d.StaticMapping(map[string][]string{"east": {"all", "half"}, "west": {"all"}}))), d.PartitionedBy(halves))
	specific := d.Asset("specific", d.Bind1(text, d.At(source, d.Specific("west"))))
	other := map[string]string{"east": "west", "west": "east"}
	custom := d.CustomMapping("the_other", func(key string) ([]string, error) { return []string{other[key]}, nil }, nil)
	swapped := d.Asset("swapped", d.Bind1(text, d.At(source, custom)), d.PartitionedBy(regions))
	both := d.Asset("both", d.Bind1(func(_ d.Context, all []*string) (string, error) { return *all[0] + *all[1], nil },
		d.All(d.At(source, custom), d.At(source, d.SamePartition))), d.PartitionedBy(regions))
	later := d.Asset("later", d.Bind0(one), d.After(d.Mapped(source, d.EveryPartition)))
	run := d.Materialize(t.Context(), d.New("x", source, table, specific, swapped, both, later), d.ForAllPartitions{})
	require.NoError(t, run.Err())
	n, err := table.InPartition(run, "all")
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = table.InPartition(run, "half")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	got, err := specific.In(run)
	require.NoError(t, err)
	require.Equal(t, "west", got)
	got, err = swapped.InPartition(run, "west")
	require.NoError(t, err)
	require.Equal(t, "east", got)
	got, err = both.InPartition(run, "west")
	require.NoError(t, err)
	require.Equal(t, "eastwest", got)

	panics := d.Asset("panics", d.Bind1(text, d.At(source, d.CustomMapping("panics", func(string) ([]string, error) { panic("no") }, nil))), d.PartitionedBy(regions))
	run = d.Materialize(t.Context(), d.New("x", source, panics), d.ForAllPartitions{})
	require.ErrorContains(t, run.Err(), `mapping "panics" of the key "east"`)
}

func TestGraphsAndJobsOfOps(t *testing.T) {
	t.Parallel()
	read := d.Op("read", d.Bind1(dayOf, days.Window()))
	next := d.Op("next", d.Bind1(plusOne, read))
	graph := d.GraphAsset("graph", next, d.PartitionedBy(days))
	pages := d.FanOut("pages", d.Bind1(func(_ d.Context, n int) ([]d.Keyed[int], error) {
		return []d.Keyed[int]{{Key: "a", Value: n}, {Key: "b", Value: n + 1}}, nil
	}, read))
	each := d.Map(pages, func(v *d.Value[int]) *d.Value[int] { return d.Op("each", d.Bind1(plusOne, v)) })
	total := d.Op("total", d.Bind1(func(_ d.Context, all []int) (int, error) { return all[0] + all[1], nil }, d.Collect(each)))
	fanned := d.GraphAsset("fanned", total, d.PartitionedBy(days))
	job := d.OpJob("job", []d.AnyValue{total}, d.PartitionedBy(days))
	all := d.New("x", graph, fanned, job)

	run := d.Materialize(t.Context(), all, d.ForRange("2001-01-01", "2001-01-03"), march)
	require.NoError(t, run.Err())
	for day, key := range []string{"2001-01-01", "2001-01-02", "2001-01-03"} {
		got, err := graph.InPartition(run, key)
		require.NoError(t, err)
		require.Equal(t, day+2, got)
		got, err = fanned.InPartition(run, key)
		require.NoError(t, err)
		require.Equal(t, (day+2)+(day+3), got)
	}
	run = d.RunJob(t.Context(), all, job, d.ForPartition("2001-01-09"), march)
	require.NoError(t, run.Err())
	got, err := total.In(run)
	require.NoError(t, err)
	require.Equal(t, 21, got)

	run = d.RunJob(t.Context(), all, job, d.ForPartitions("2001-01-09", "2001-01-10"), march)
	require.NoError(t, run.Err())
	got, err = total.InPartition(run, "2001-01-10")
	require.NoError(t, err)
	require.Equal(t, 23, got)
	values, err := each.InPartition(run, "2001-01-10")
	require.NoError(t, err)
	require.Equal(t, map[string]int{"a": 11, "b": 12}, values)
	_, err = total.In(run)
	require.ErrorContains(t, err, "InPartition")
}
