package main

import (
	"maps"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Days as times: the first, and the one after the last.
var firstDay, afterLastDay = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2001, 4, 1, 0, 0, 0, 0, time.UTC)

// How assets are sliced: a backfill makes as many of these partitions as it is asked for, and each is recorded, retried and
// replaced alone.
var (
	Days   = definitions.Daily("2001-01-01").Ending("2001-04-01")
	Weeks  = definitions.Weekly("2001-01-01").OnWeekday(time.Monday).Ending("2001-04-01")
	Months = definitions.Monthly("2001-01-01").Ending("2001-04-01")

	// Bands are how far a flight goes; of each day there is one partition for each band.
	Bands       = definitions.Static("short", "medium", "long")
	DaysByBands = definitions.GridOf("day", Days, "distance", Bands)

	// Watched are airports that somebody keeps an eye on: perdure partition add watched_airports RNO --why "new runway".
	Watched = definitions.Dynamic("watched_airports")
)

// everyDay is the rows of all days of a daily asset, for what is not sliced by days.
func everyDay[T any](asset *definitions.AssetOf[[]T], mapping ...definitions.Mapping) definitions.Source[[]T] {
	return definitions.View(definitions.ByKey(asset, mapping...), func(days map[string][]T) []T {
		rows := []T{}
		for _, day := range slices.Sorted(maps.Keys(days)) {
			rows = append(rows, days[day]...)
		}
		return rows
	})
}
