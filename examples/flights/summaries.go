package main

import "github.com/perdure-io/perdure/definitions"

// A week is made of its days, a month of its own, and the running total of a day of the day before.
var (
	WeeklyDelays = definitions.Asset("weekly_delays", definitions.Bind1(addUp, everyDay(AirportDelays)),
		insight, definitions.PartitionedBy(Weeks), definitions.Description("Delays by airport, from Monday to Sunday."))
	MonthlyDelays = definitions.Asset("monthly_delays", definitions.Bind1(addUp, everyDay(AirportDelays)),
		insight, definitions.PartitionedBy(Months), definitions.Description("Delays by airport and month."))
	RunningTotal = definitions.Asset("running_total",
		definitions.Bind2(runningTotal, AirportDelays, definitions.Previous[Delays]()),
		definitions.PartitionedBy(Days), definitions.SingleRun{}, definitions.Group("insights"), definitions.Owners{"team:network"},
		definitions.Description("Delays of all flights from the first day to this one."))
)

func addUp(_ definitions.Context, days []AirportDelay) ([]AirportDelay, error) {
	return sumAirports(days), nil
}

// runningTotal adds a day; the first has none before it.
func runningTotal(_ definitions.Context, airports []AirportDelay, before *Delays) (Delays, error) {
	var total Delays
	if before != nil {
		total = *before
	}
	for _, airport := range airports {
		total = total.plus(airport.Delays)
	}
	return total, nil
}

// DistanceDelays has a partition for each day and band of distances: 2001-01-01 and short.
var DistanceDelays = definitions.Asset("distance_delays", definitions.Bind2(distanceDelays, JoinedFlights, DaysByBands.Key()),
	definitions.PartitionedBy(DaysByBands), definitions.MultiRun{MaxPartitions: 45}, definitions.Group("insights"),
	definitions.Owners{"team:network"}, definitions.Description("Delays of a day by how far the flights go."))

func distanceDelays(_ definitions.Context, flights []JoinedFlight, key definitions.GridKey) (Delays, error) {
	bands := groupBy(flights, func(f JoinedFlight) string { return f.band() })
	return delaysOf(bands[key.Parts["distance"]]), nil
}

// band is one of Bands.
func (f Flight) band() string {
	switch {
	case f.DistanceMiles < 500:
		return "short"
	case f.DistanceMiles < 1500:
		return "medium"
	default:
		return "long"
	}
}

// WatchedDelays has a partition for each airport that is watched, over all days.
var WatchedDelays = definitions.Asset("watched_delays",
	definitions.Bind2(watchedDelays, everyDay(AirportDelays, definitions.EveryPartition), Watched.Key()),
	definitions.PartitionedBy(Watched), definitions.Group("insights"), definitions.Owners{"team:network"},
	definitions.Description("Delays of the airports that somebody keeps an eye on."))

func watchedDelays(_ definitions.Context, days []AirportDelay, airport string) (Delays, error) {
	var total Delays
	for _, day := range days {
		if day.Airport == airport {
			total = total.plus(day.Delays)
		}
	}
	return total, nil
}
