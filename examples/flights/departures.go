package main

import (
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/definitions"
)

// DepartureReport is a job of ops. How many steps it has is known when by_airport has run: two for each airport.
var (
	ByAirport  = definitions.FanOut("by_airport", definitions.Bind1(byAirport, Delivery))
	Departures = definitions.Map(ByAirport, func(flights *definitions.Value[[]Flight]) *definitions.Value[Departure] {
		return definitions.Graph("etl", flights, func(flights *definitions.Value[[]Flight]) *definitions.Value[Departure] {
			clean := definitions.Op("clean", definitions.Bind3(dropRejected, flights, Airports, CleanConfig))
			return definitions.Op("count", definitions.Bind2(countDepartures, definitions.MappingKey, clean))
		})
	})
	AllDepartures = definitions.Collect(Departures)

	Summary       = definitions.Op("summary", definitions.Bind1(summarize, AllDepartures))
	Delayed       = definitions.Maybe("heavily_delayed", definitions.Bind2(heavilyDelayed, AllDepartures, DelayedConfig))
	Warning       = definitions.Op("warning", definitions.Bind1(warn, Delayed))
	DelayedConfig = definitions.Config(delayedConfig{LatePercent: 27, MinFlights: 100})

	DepartureReport = definitions.OpJob("departure_report", []definitions.AnyValue{Summary, Warning}, tellOwner,
		definitions.Description("Counts departures airport by airport, and warns of those where many are late."))
)

// byAirport has an element for each airport that flights leave, in the order of the first.
func byAirport(_ definitions.Context, flights []Flight) ([]definitions.Keyed[[]Flight], error) {
	var airports []definitions.Keyed[[]Flight]
	place := map[string]int{}
	for _, flight := range flights {
		i, known := place[flight.Origin]
		if !known {
			i, place[flight.Origin] = len(airports), len(airports)
			airports = append(airports, definitions.Keyed[[]Flight]{Key: flight.Origin})
		}
		airports[i].Value = append(airports[i].Value, flight)
	}
	return airports, nil
}

func dropRejected(_ definitions.Context, flights []Flight, airports []Airport, c cleanConfig) ([]Flight, error) {
	clean, _ := c.split(flights, airports)
	return clean, nil
}

// Departure counts the flights that leave one airport.
type Departure struct {
	Airport       string
	Flights, Late int
}

func countDepartures(_ definitions.Context, airport string, flights []Flight) (Departure, error) {
	d := Departure{Airport: airport, Flights: len(flights)}
	for _, flight := range flights {
		if flight.late() {
			d.Late++
		}
	}
	return d, nil
}

// DepartureSummary adds up all airports.
type DepartureSummary struct{ Airports, Flights, Late int }

func summarize(ctx definitions.Context, departures []Departure) (DepartureSummary, error) {
	s := DepartureSummary{Airports: len(departures)}
	for _, d := range departures {
		s.Flights += d.Flights
		s.Late += d.Late
	}
	ctx.Report(definitions.Markdown("departures", fmt.Sprintf("%d flights left %d airports, %d of them late.", s.Flights, s.Airports, s.Late)))
	return s, nil
}

type delayedConfig struct {
	LatePercent int `description:"an airport is heavily delayed when this many of 100 flights leave late"`
	MinFlights  int `description:"an airport with fewer flights is not judged"`
}

// heavilyDelayed is nil when there is no such airport: then the warning is skipped, and the run succeeds.
func heavilyDelayed(_ definitions.Context, departures []Departure, c delayedConfig) (*[]Departure, error) {
	var delayed []Departure
	for _, d := range departures {
		if d.Flights >= c.MinFlights && 100*d.Late >= c.LatePercent*d.Flights {
			delayed = append(delayed, d)
		}
	}
	if len(delayed) == 0 {
		return nil, nil
	}
	return &delayed, nil
}

// warn prints, too: `perdure run logs RUN --step warning --stdout` shows it.
func warn(ctx definitions.Context, delayed []Departure) (string, error) {
	var text strings.Builder
	for _, d := range delayed {
		fmt.Fprintf(&text, "%s: %d of %d flights left late\n", d.Airport, d.Late, d.Flights)
	}
	_, err := fmt.Fprint(ctx.Stdout(), text.String())
	return text.String(), err
}
