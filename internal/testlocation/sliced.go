package testlocation

import (
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Day is the key of a day of a sliced asset, counted from 0.
func Day(n int) string { return firstDay.AddDate(0, 0, n).Format(time.DateOnly) }

var firstDay = time.Date(2001, time.January, 1, 0, 0, 0, 0, time.UTC)

// sliced declares an asset that is made by days.
func (f *function) sliced(asset Asset, handles map[string]*definitions.AssetOf[Value], options []definitions.AssetOption) *definitions.AssetOf[Value] {
	days := definitions.Daily(Day(0)).Ending(Day(asset.Days))
	options = append(options, definitions.PartitionedBy(days))
	switch {
	case asset.PartitionsPerRun > 0:
		options = append(options, definitions.MultiRun{MaxPartitions: asset.PartitionsPerRun})
	case asset.PartitionsPerRun < 0:
		options = append(options, definitions.SingleRun{})
	}
	switch {
	case asset.Ordered:
		return definitions.Asset(asset.Key, definitions.Bind2(func(ctx definitions.Context, key string, _ *Value) (Value, error) {
			return f.make(ctx, key, nil)
		}, days.Key(), definitions.Previous[Value]()), options...)
	case len(asset.Inputs) == 0:
		return definitions.Asset(asset.Key, definitions.Bind1(func(ctx definitions.Context, key string) (Value, error) {
			return f.make(ctx, key, nil)
		}, days.Key()), options...)
	default:
		return definitions.Asset(asset.Key, definitions.Bind2(f.make, days.Key(), inputsOf(asset, handles)), options...)
	}
}
