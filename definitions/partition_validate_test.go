package definitions_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

func takesWindow(d.Context, d.Window) (int, error)                 { return 0, nil }
func takesKey(d.Context, string) (int, error)                      { return 0, nil }
func takesByKey(d.Context, map[string]int) (int, error)            { return 0, nil }
func takesPointer(d.Context, *int) (int, error)                    { return 0, nil }
func takesText(d.Context, *string) (int, error)                    { return 0, nil }
func rangeOfOne(d.Context, int) (map[string]int, error)            { return nil, nil }
func rangeByKey(d.Context, map[string]int) (map[string]int, error) { return nil, nil }
func rangeOfNothing(d.Context) (map[string]int, error)             { return nil, nil }
func rangeOfPrevious(d.Context, *int) (map[string]int, error)      { return nil, nil }
func rangeOfText(d.Context, string) (map[string]int, error)        { return nil, nil }
func twoOutputs(d.Context, *int) (d.Outputs, error)                { return nil, nil }
func reportsByKey(d.Context, *d.PartitionReports) (int, error)     { return 0, nil }
func sameKey(key string) ([]string, error)                         { return []string{key}, nil }

// withoutPlace are the places of declarations, which other tests look at.
var withoutPlace = regexp.MustCompile(` \(definitions/\w+_test\.go:N\)`)

func TestPartitionRules(t *testing.T) {
	t.Parallel()
	days, weeks, regions := d.Daily("2001-01-01"), d.Weekly("2001-01-07"), d.Static("west", "east")
	grid := d.GridOf("day", days, "region", regions)
	daily := func(key string) *d.AssetOf[int] { return constant(key, d.PartitionedBy(days)) }
	weekly := constant("weekly", d.PartitionedBy(weeks))
	ofGrid := constant("of_grid", d.PartitionedBy(grid))
	regional := constant("regional", d.PartitionedBy(regions))
	flights := daily("flights")
	workdays := constant("workdays", d.PartitionedBy(days.ExcludingCrons("0 0 * * SAT,SUN")))
	fewer := days.ExcludingCrons("0 0 1 * *", "0 0 * * 0,6").ExcludingKeys("2001-12-25")
	asset := func(fn d.Compute[int], opts ...d.AssetOption) *d.AssetOf[int] { return d.Asset("x", fn, opts...) }
	ranged := func(fn d.Compute[map[string]int], opts ...d.AssetOption) *d.AssetOf[int] {
		return d.RangeAsset("x", fn, opts...)
	}
	berlin := constant("berlin", d.PartitionedBy(d.Daily("2001-01-01").InZone("Europe/Berlin")))
	clean := d.Output[int]("clean")
	before := d.Output[int]("before")
	op := d.Op("op", d.Bind1(takesKey, days.Key()))
	plain := d.Op("plain", d.Bind0(one))
	byDays, byDays2 := d.PartitionedBy(days), d.PartitionedBy(d.Daily("2001-01-01"))
	var nilDays *d.TimePartitions
	both := d.GridOf("a", days, "b", days)

	require.Empty(t, problemsOf(t, d.New("right",
		flights, workdays, weekly, ofGrid, regional,
		asset(d.Bind1(plusOne, flights), d.PartitionedBy(days)),
		d.Asset("week", d.Bind1(takesByKey, d.ByKey(flights)), d.PartitionedBy(weeks)),
		d.Asset("whole", d.Bind1(takesByKey, d.ByKey(flights)), d.After(weekly)),
		d.Asset("day_of_week", d.Bind1(plusOne, weekly), d.PartitionedBy(days)),
		d.Asset("running", d.Bind1(takesPointer, d.Previous[int]()), d.PartitionedBy(days)),
		d.Asset("grid_running", d.Bind1(takesPointer, d.Previous[int]()), d.PartitionedBy(grid)),
		d.Asset("yesterday", d.Bind1(takesPointer, d.At(flights, d.Offset(-1, -1))), d.PartitionedBy(days)),
		d.Asset("of_workday", d.Bind1(takesPointer, d.At(workdays, d.Offset(0, 0))), d.PartitionedBy(days)),
		d.Asset("workday", d.Bind1(plusOne, workdays), d.PartitionedBy(fewer)),
		d.Asset("workday_of_all", d.Bind1(plusOne, flights), d.PartitionedBy(fewer)),
		d.Asset("latest", d.Bind1(takesPointer, d.At(flights, d.LastPartition))),
		d.Asset("through", d.Bind1(plusOne, regional), d.PartitionedBy(grid)),
		d.Asset("slice", d.Bind1(takesByKey, d.ByKey(ofGrid, d.ThroughDimension("day"))), d.PartitionedBy(days)),
		d.Asset("window", d.Bind1(takesWindow, days.Window()), d.PartitionedBy(grid)),
		d.Asset("custom", d.Bind1(plusOne, flights), d.PartitionedBy(days), d.After(d.Mapped(regional, d.CustomMapping("other", sameKey, nil)))),
		d.RangeAsset("range", d.Bind1(rangeByKey, d.ByKey(flights)), d.PartitionedBy(days), d.SingleRun{}),
		d.External[int]("delivered", d.PartitionedBy(days)),
		d.MultiAsset("split", d.Outs{before}, d.Bind1(twoOutputs, d.At(before, d.Offset(-1, -1))), d.PartitionedBy(days), d.MultiRun{MaxPartitions: 7}),
		d.OpJob("op_job", []d.AnyValue{op}, byDays), d.OpJob("op_job_2", []d.AnyValue{op}, byDays2),
		d.GraphAsset("graph", op, d.PartitionedBy(days)),
	)))

	rules := map[string]struct {
		definitions []d.Definition
		want        []string
	}{
		"a window of what is not partitioned": {
			[]d.Definition{asset(d.Bind1(takesWindow, days.Window()))},
			[]string{`asset "x", inputs: it binds the Window of the partitions "daily from 2001-01-01", and is not partitioned; give it PartitionedBy with them`},
		},
		"a window of another set": {
			[]d.Definition{asset(d.Bind1(takesWindow, days.Window()), d.PartitionedBy(weeks))},
			[]string{`asset "x", inputs: it binds the Window of the partitions "daily from 2001-01-01", and is partitioned by the partitions "weekly from 2001-01-07"; bind the Window of its own partitions`},
		},
		"a key of no dimension": {
			[]d.Definition{asset(d.Bind1(takesKey, weeks.Key()), d.PartitionedBy(grid))},
			[]string{`asset "x", inputs: it binds the Key of the partitions "weekly from 2001-01-07", which are no dimension of its own, the partitions "grid day|region"; bind the Key of one of its dimensions, or of the grid`},
		},
		"a key of two dimensions": {
			[]d.Definition{asset(d.Bind1(takesKey, days.Key()), d.PartitionedBy(both))},
			[]string{`asset "x", inputs: it binds the Key of the partitions "daily from 2001-01-01", which are both dimensions of its own, the partitions "grid a|b"; bind the Key of the grid, and take its Parts`},
		},
		"the one key of a range": {
			[]d.Definition{ranged(d.Bind1(rangeOfText, days.Key()), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it binds the Key of the partitions "daily from 2001-01-01", and makes many partitions at once; bind Keys`},
		},
		"a key of partitions that were never declared": {
			[]d.Definition{asset(d.Bind1(takesKey, nilDays.Key()))},
			[]string{`asset "x", inputs: a parameter is bound to the Key of partitions that were never declared; declare them with Daily, Static, Dynamic or GridOf`},
		},
		"one value of a week's days": {
			[]d.Definition{flights, asset(d.Bind1(plusOne, flights), d.PartitionedBy(weeks))},
			[]string{`asset "x", inputs: it binds one value of what can be several partitions: asset "flights" has partitions "daily from 2001-01-01", and this partitions "weekly from 2001-01-07"; bind ByKey: a map of all by key`},
		},
		"one value of all days": {
			[]d.Definition{flights, asset(d.Bind1(plusOne, flights))},
			[]string{`asset "x", inputs: it binds one value of what can be several partitions: asset "flights" has partitions "daily from 2001-01-01", and this no partitions; bind ByKey: a map of all by key`},
		},
		"one value of a day that is excluded": {
			[]d.Definition{workdays, asset(d.Bind1(plusOne, workdays), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it binds a value that is not there for each of its partitions: asset "workdays" has partitions "daily from 2001-01-01", of which some are excluded, and this partitions "daily from 2001-01-01"; bind At, which gives nil then`},
		},
		"one value of a day that is excluded, for each hour": {
			[]d.Definition{workdays, asset(d.Bind1(plusOne, workdays), d.PartitionedBy(d.Hourly("2001-01-01")))},
			[]string{`asset "x", inputs: it binds a value that is not there for each of its partitions: asset "workdays" has partitions "daily from 2001-01-01", of which some are excluded, and this partitions "hourly from 2001-01-01"; bind At, which gives nil then`},
		},
		"At of two days": {
			[]d.Definition{flights, asset(d.Bind1(takesPointer, d.At(flights, d.Offset(-1, 0))), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it binds At of what can be several partitions: asset "flights" has partitions "daily from 2001-01-01", and this partitions "daily from 2001-01-01"; bind ByKey: a map of all by key`},
		},
		"one value of a range": {
			[]d.Definition{flights, ranged(d.Bind1(rangeOfOne, flights), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it makes many partitions at once, and binds one of asset "flights"; bind ByKey: a map of all by key`},
		},
		"one value of a grid": {
			[]d.Definition{ofGrid, asset(d.Bind1(plusOne, ofGrid), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it binds one value of what can be several partitions: asset "of_grid" has partitions "grid day|region", and this partitions "daily from 2001-01-01"; bind ByKey: a map of all by key`},
		},
		"zones differ": {
			[]d.Definition{berlin, asset(d.Bind1(takesByKey, d.ByKey(berlin)), d.PartitionedBy(days))},
			[]string{`zone`},
		},
		"an offset between keys": {
			[]d.Definition{regional, asset(d.Bind1(takesPointer, d.At(regional, d.Offset(-1, -1))), d.PartitionedBy(regions))},
			[]string{`its mapping to the partitions of asset "regional"`},
		},
		"two mappings": {
			[]d.Definition{flights, asset(d.Bind1(takesByKey, d.ByKey(flights, d.LastPartition, d.EveryPartition)))},
			[]string{`asset "x", inputs: ByKey is given 2 mappings; give at most one`},
		},
		"Previous of another type": {
			[]d.Definition{asset(d.Bind1(takesText, d.Previous[string]()), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it is a int, and takes its previous partition as a string; bind Previous[int]()`},
		},
		"Previous of what is not partitioned": {
			[]d.Definition{asset(d.Bind1(takesPointer, d.Previous[int]()))},
			[]string{`asset "x", inputs: it binds Previous, and is not partitioned; give it PartitionedBy`},
		},
		"Previous of keys": {
			[]d.Definition{asset(d.Bind1(takesPointer, d.Previous[int]()), d.PartitionedBy(regions))},
			[]string{`asset "x", inputs: it binds Previous, and its partitions, the partitions "static west, east", have no one order in time; use windows of time, or a grid with one dimension of them`},
		},
		"Previous of a range": {
			[]d.Definition{ranged(d.Bind1(rangeOfPrevious, d.Previous[int]()), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: it binds Previous, and makes many partitions at once; declare it with Asset, which has a step for each`},
		},
		"Previous in an op that does not give the graph's value": {
			[]d.Definition{d.GraphAsset("x", d.Op("double", d.Bind1(plusOne, d.Op("before", d.Bind1(takesPointer, d.Previous[int]())))), d.PartitionedBy(days))},
			[]string{`asset "x", inputs: its op "x.before" binds Previous, and another op gives the value of the graph; bind Previous in the op that gives it`},
		},
		"Previous of a multi-asset": {
			[]d.Definition{d.MultiAsset("m", d.Outs{clean}, d.Bind1(twoOutputs, d.Previous[int]()), d.PartitionedBy(days))},
			[]string{`multi-asset "m", inputs: it binds Previous, which only an asset with a function or a graph of its own can; bind At with the handle and Offset(-1, -1): an output may be named by its own multi-asset`},
		},
		"a range without partitions": {
			[]d.Definition{ranged(d.Bind0(rangeOfNothing))},
			[]string{`asset "x", partitions: it makes ranges of partitions, and is not partitioned; give it PartitionedBy, or declare it with Asset`},
		},
		"reports by key": {
			[]d.Definition{asset(d.Bind1(reportsByKey, d.ReportByKey))},
			[]string{`asset "x", inputs: it binds ReportByKey, which only a RangeAsset can; report with the Context`},
		},
		"a backfill policy without partitions": {
			[]d.Definition{constant("x", d.SingleRun{})},
			[]string{`asset "x", backfill: it has a backfill policy, and is not partitioned; leave it out, or give it PartitionedBy`},
		},
		"two backfill policies": {
			[]d.Definition{constant("x", d.PartitionedBy(days), d.SingleRun{}, d.MultiRun{})},
			[]string{`asset "x", backfill: it is given two backfill policies; give one of SingleRun and MultiRun, once`},
		},
		"a negative policy": {
			[]d.Definition{constant("x", d.PartitionedBy(days), d.MultiRun{MaxPartitions: -1})},
			[]string{`asset "x", backfill: MaxPartitions is -1; use at least 1, or SingleRun for no bound`},
		},
		"partitions of a job of assets": {
			[]d.Definition{flights, d.AssetJob("j", d.Assets(flights), d.PartitionedBy(days))},
			[]string{`job "j", partitions: it has the option PartitionedBy, and a job of assets is sliced as its assets are; leave PartitionedBy out, and give it to the assets`},
		},
		"an op in two jobs": {
			[]d.Definition{d.OpJob("j", []d.AnyValue{plain}, d.PartitionedBy(days)), d.OpJob("k", []d.AnyValue{plain})},
			[]string{`job "k", partitions: op "plain" is in a job with partitions "daily from 2001-01-01", too, and this one has no partitions; declare the op twice, or give both jobs the same partitions`},
		},
		"two custom mappings of a name": {
			[]d.Definition{
				regional,
				constant("x", d.PartitionedBy(regions), d.After(d.Mapped(regional, d.CustomMapping("m", sameKey, nil)))),
				constant("y", d.PartitionedBy(regions), d.After(d.Mapped(regional, d.CustomMapping("m", sameKey, nil)))),
			},
			[]string{`mapping "m", name: it is declared twice`},
		},
		"a set that was never declared": {
			[]d.Definition{constant("x", d.PartitionedBy(nilDays))},
			[]string{`asset "x", partitions: PartitionedBy is given a set that was never declared; declare it with Daily, Static, Dynamic or GridOf, or leave PartitionedBy out`},
		},
		"sets that are wrong": {
			[]d.Definition{constant("x", d.PartitionedBy(d.Daily("yesterday").InZone("Mars"))), constant("y", d.PartitionedBy(d.Static()))},
			[]string{
				`partitions "daily from yesterday in Mars", time.start: `,
				`partitions "daily from yesterday in Mars", time.zone: `,
				`partitions "static", static: it lists no keys; list at least one key, or use Dynamic for keys that come later`,
			},
		},
		"a grid with one name": {
			[]d.Definition{constant("x", d.PartitionedBy(d.GridOf("a", days, "a", regions)))},
			[]string{`partitions "grid a|a", grid`},
		},
		"days of weeks": {
			[]d.Definition{constant("x", d.PartitionedBy(d.Weekly("2001-01-07").OnDay(3))), constant("y", d.PartitionedBy(d.Monthly("2001-01-01").OnWeekday(time.Monday)))},
			[]string{
				`partitions "monthly from 2001-01-01", time.day: OnWeekday is for weekly windows alone; leave it out, or use Weekly`,
				`partitions "weekly from 2001-01-07", time.day: OnDay is for monthly windows alone; leave it out, or use Monthly`,
			},
		},
		"a resource with a key": {
			[]d.Definition{d.Resource("r", d.Bind1(takesKey, days.Key()), d.NoClose)},
			[]string{`resource "r", inputs: it binds the Key of the partitions "daily from 2001-01-01", which only a step's function can; bind only other resources and config`},
		},
	}
	for name, test := range rules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, d.New("test", test.definitions...))
			require.Len(t, got, len(test.want), "%q", got)
			for i, want := range test.want {
				require.Contains(t, withoutPlace.ReplaceAllString(got[i], ""), want)
			}
		})
	}
}
