package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/definitions"
)

// AirportDelays and the worst of the airports.
var (
	AirportDelays = definitions.Asset("airport_delays", definitions.Bind1(airportDelays, JoinedFlights),
		dailyInsight, definitions.Description("Delays of the flights that leave each airport."))
	WorstAirports = definitions.Asset("worst_airports", definitions.Bind2(worstAirports, everyDay(AirportDelays), WorstConfig),
		insight, definitions.Description("The airports with the worst mean delay."))
	WorstConfig = definitions.Config(worstConfig{Top: 5, MinFlights: 100})
)

// AirportDelay is about the flights that leave one airport.
type AirportDelay struct {
	Airport, City string
	Delays
}

func airportDelays(_ definitions.Context, flights []JoinedFlight) ([]AirportDelay, error) {
	var airports []AirportDelay
	for code, group := range groupBy(flights, func(f JoinedFlight) string { return f.Origin }) {
		airports = append(airports, AirportDelay{code, group[0].OriginCity, delaysOf(group)})
	}
	return sortAirports(airports), nil
}

func sortAirports(airports []AirportDelay) []AirportDelay {
	slices.SortFunc(airports, func(a, b AirportDelay) int { return cmp.Compare(a.Airport, b.Airport) })
	return airports
}

// sumAirports adds up the days of each airport.
func sumAirports(days []AirportDelay) []AirportDelay {
	sums := map[string]AirportDelay{}
	for _, airport := range days {
		airport.Delays = airport.plus(sums[airport.Airport].Delays)
		sums[airport.Airport] = airport
	}
	return sortAirports(slices.Collect(maps.Values(sums)))
}

// WorstAirport is an airport and its rank.
type WorstAirport struct {
	Rank int `description:"1 is the worst"`
	AirportDelay
}

type worstConfig struct {
	Top        int `description:"how many airports are listed"`
	MinFlights int `description:"an airport with fewer flights is not judged"`
}

func worstAirports(_ definitions.Context, days []AirportDelay, c worstConfig) ([]WorstAirport, error) {
	airports := sumAirports(days)
	slices.SortStableFunc(airports, func(a, b AirportDelay) int { return cmp.Compare(b.MeanDelay, a.MeanDelay) })
	airports = slices.DeleteFunc(airports, func(a AirportDelay) bool { return a.Flights < c.MinFlights })
	var worst []WorstAirport
	for i, airport := range airports[:min(c.Top, len(airports))] {
		worst = append(worst, WorstAirport{i + 1, airport})
	}
	return worst, nil
}
