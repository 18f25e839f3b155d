package testlocation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// How a sliced asset is sliced; "" is by days.
const (
	ByWeek     = "week"     // the weeks of its days, from the first Sunday on
	ByRegion   = "region"   // its regions
	ByCustomer = "customer" // the keys that are added to the dynamic set "customers"
	ByGrid     = "grid"     // the grid of its days and regions
)

// Customers is the name of the dynamic set.
const Customers = "customers"

// Day is the key of a day of a sliced asset, counted from 0.
func Day(n int) string { return firstDay.AddDate(0, 0, n).Format(time.DateOnly) }

var firstDay = time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC)

// firstWeek is the day on which the first week begins.
const firstWeek = 6

// isSliced says whether it has partitions.
func (a Asset) isSliced() bool { return a.Days > 0 || a.SlicedBy != "" }

// slices are its partitions, and what its function is told of them.
func (a Asset) slices() (definitions.Partitions, definitions.Source[[]string]) {
	days := definitions.Daily(Day(0)).Ending(Day(a.Days))
	if a.Cron != "" {
		days = definitions.CronPartitions(a.Cron, Day(0)).Ending(Day(a.Days))
	}
	switch a.SlicedBy {
	case ByWeek:
		weeks := definitions.Weekly(Day(firstWeek)).Ending(Day(a.Days))
		return weeks, weeks.Keys()
	case ByRegion:
		regions := definitions.Static(a.Regions...)
		return regions, regions.Keys()
	case ByCustomer:
		customers := definitions.Dynamic(Customers)
		return customers, customers.Keys()
	case ByGrid:
		grid := definitions.GridOf("day", days, "region", definitions.Static(a.Regions...))
		return grid, definitions.View(grid.Keys(), func(keys []definitions.GridKey) []string {
			names := make([]string, len(keys))
			for i, key := range keys {
				names[i] = key.Key
			}
			return names
		})
	default:
		return days, days.Keys()
	}
}

// sliced declares an asset with partitions.
func (f *function) sliced(asset Asset, handles map[string]*definitions.AssetOf[Value], options []definitions.AssetOption) *definitions.AssetOf[Value] {
	partitions, keys := asset.slices()
	options = append(options, definitions.PartitionedBy(partitions))
	switch {
	case asset.PartitionsPerRun > 0:
		options = append(options, definitions.MultiRun{MaxPartitions: asset.PartitionsPerRun})
	case asset.PartitionsPerRun < 0:
		options = append(options, definitions.SingleRun{})
	}
	if asset.Ranged {
		return definitions.RangeAsset(asset.Key, definitions.Bind2(f.makeRange, keys, partsOf(asset.Inputs, handles)), options...)
	}
	previous := definitions.Literal[*Value](nil)
	if asset.Ordered {
		previous = definitions.Previous[Value]()
	}
	return definitions.Asset(asset.Key, definitions.Bind5(f.makePart, keys, inputsOf(asset, handles), beforeOf(asset, handles), partsOf(asset.Parts, handles), previous), options...)
}

// beforeOf are the values of the day before.
func beforeOf(asset Asset, handles map[string]*definitions.AssetOf[Value]) definitions.Source[[]*Value] {
	if len(asset.Before) == 0 {
		return definitions.Literal[[]*Value](nil)
	}
	sources := make([]definitions.Source[*Value], len(asset.Before))
	for i, key := range asset.Before {
		sources[i] = definitions.At(handles[key], definitions.Offset(-1, -1))
	}
	return definitions.All(sources...)
}

// partsOf are the values of all partitions that are needed of assets, by key.
func partsOf(assets []string, handles map[string]*definitions.AssetOf[Value]) definitions.Source[[]map[string]Value] {
	if len(assets) == 0 {
		return definitions.Literal[[]map[string]Value](nil)
	}
	sources := make([]definitions.Source[map[string]Value], len(assets))
	for i, key := range assets {
		sources[i] = definitions.ByKey(handles[key])
	}
	return definitions.All(sources...)
}

// whole makes what has no partitions of all partitions of others.
func (f *function) whole(ctx definitions.Context, inputs []Value, parts []map[string]Value) (Value, error) {
	inputs = slices.Clone(inputs)
	for _, of := range parts {
		for _, key := range slices.Sorted(maps.Keys(of)) {
			inputs = append(inputs, of[key])
		}
	}
	return f.make(ctx, "", inputs)
}

// makePart makes one partition.
func (f *function) makePart(ctx definitions.Context, keys []string, inputs []Value, before []*Value, parts []map[string]Value, previous *Value) (Value, error) {
	inputs = slices.Clone(inputs)
	for _, value := range append(slices.Clone(before), previous) {
		if value != nil {
			inputs = append(inputs, *value)
		}
	}
	for _, of := range parts {
		inputs = slices.AppendSeq(inputs, maps.Values(of))
	}
	ctx.Report(definitions.Text("partition", keys[0]))
	return f.make(ctx, keys[0], inputs)
}

// rangeName is what a note of a range says in place of a partition.
func rangeName(keys []string) string { return keys[0] + "..." + keys[len(keys)-1] }

// makeRange makes all partitions of a range, each of its inputs of the same key, in one call.
func (f *function) makeRange(ctx definitions.Context, keys []string, inputs []map[string]Value) (map[string]Value, error) {
	called, err := f.make(ctx, rangeName(keys), nil)
	if err != nil {
		return nil, err
	}
	values := make(map[string]Value, len(keys))
	for _, key := range keys {
		var same []Value
		for _, of := range inputs {
			same = append(same, of[key])
		}
		values[key] = valueOf(f.asset, key, called.Call, same)
	}
	return values, nil
}

// valueOf is the value of an asset's partition, "" of one without, that is made of inputs.
func valueOf(asset, partition, call string, inputs []Value) Value {
	value := Value{Asset: asset, Partition: partition, Call: call, Inputs: make(map[string]string, len(inputs))}
	if partition != "" { // what is not partitioned has its inputs in an order of its own
		inputs = slices.SortedFunc(slices.Values(inputs), func(a, b Value) int { return cmp.Compare(a.name(), b.name()) })
	}
	sums := make([]string, len(inputs))
	for i, input := range inputs {
		sums[i] = input.Sum
		value.Inputs[input.name()] = input.Call
	}
	value.Sum = sumOf(value.name(), sums)
	return value
}

// loaded are what a partition takes of one asset.
func (s Spec) loaded(of Asset, key, upstream string) []string {
	from := s.asset(upstream)
	day, region, _ := strings.Cut(key, "|")
	switch {
	case !from.isSliced():
		return []string{upstream}
	case !of.isSliced():
		var days []string
		for n := range from.Days {
			days = append(days, PartitionKey(upstream, Day(n)))
		}
		return days
	case of.SlicedBy == ByWeek && from.SlicedBy == "":
		first, _ := time.Parse(time.DateOnly, key) // it is one of ours
		var days []string
		for n := range 7 {
			days = append(days, PartitionKey(upstream, first.AddDate(0, 0, n).Format(time.DateOnly)))
		}
		return days
	case of.SlicedBy == ByGrid && from.SlicedBy == "":
		return []string{PartitionKey(upstream, day)}
	case of.SlicedBy == ByGrid && from.SlicedBy == ByRegion:
		return []string{PartitionKey(upstream, region)}
	default:
		return []string{PartitionKey(upstream, key)}
	}
}

// Loaded are what a partition of an asset is made of, as "flights@2001-01-01", sorted.
func (s Spec) Loaded(asset, key string) []string {
	of := s.asset(asset)
	var names []string
	for _, upstream := range slices.Concat(of.Inputs, of.Parts) {
		names = append(names, s.loaded(of, key, upstream)...)
	}
	before := of.Before
	if of.Ordered {
		before = append(slices.Clone(before), asset)
	}
	for _, upstream := range before {
		if day, err := time.Parse(time.DateOnly, key); err == nil && key != Day(0) {
			names = append(names, PartitionKey(upstream, day.AddDate(0, 0, -1).Format(time.DateOnly)))
		}
	}
	slices.Sort(names)
	return names
}

func (s Spec) asset(key string) Asset {
	return s.Assets[slices.IndexFunc(s.Assets, func(a Asset) bool { return a.Key == key || slices.Contains(a.Outputs, key) })]
}
