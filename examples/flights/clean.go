package main

import (
	"fmt"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// One function makes both assets: what is not clean is rejected, with the reason.
var (
	CleanFlights = definitions.Output[[]Flight]("clean_flights",
		definitions.Description("The flights that can be believed."))
	RejectedFlights = definitions.Output[[]RejectedFlight]("rejected_flights",
		definitions.Description("The other flights, and what is wrong with each."))

	CleanConfig  = definitions.Config(cleanConfig{MaxEarlyMinutes: 45, MaxLateMinutes: 720})
	SplitFlights = definitions.MultiAsset("split_flights", definitions.Outs{CleanFlights, RejectedFlights},
		definitions.Bind3(splitFlights, Flights, Airports, CleanConfig),
		definitions.PartitionedBy(Days), definitions.Group("clean"), definitions.Owners{"team:network"})
)

// RejectedFlight is a flight that is not believed.
type RejectedFlight struct {
	Flight
	Reason string
}

type cleanConfig struct {
	MaxEarlyMinutes int `description:"a flight that left earlier is not believed"`
	MaxLateMinutes  int `description:"nor is one that left later"`
}

func splitFlights(_ definitions.Context, flights []Flight, airports []Airport, c cleanConfig) (definitions.Outputs, error) {
	clean, rejected := c.split(flights, airports)
	return definitions.Outputs{CleanFlights.Of(clean), RejectedFlights.Of(rejected)}, nil
}

func (c cleanConfig) split(flights []Flight, airports []Airport) (clean []Flight, rejected []RejectedFlight) {
	known := byCode(airports)
	seen := map[departure]bool{}
	clean, rejected = []Flight{}, []RejectedFlight{}
	for _, flight := range flights {
		key := departure{flight.DepartedAt, flight.Origin, flight.Destination}
		switch reason := c.wrongWith(flight, known); {
		case reason != "":
			rejected = append(rejected, RejectedFlight{flight, reason})
		case seen[key]:
			rejected = append(rejected, RejectedFlight{flight, "duplicate of an earlier flight"})
		default:
			seen[key] = true
			clean = append(clean, flight)
		}
	}
	return clean, rejected
}

// departure is what no two flights have in common.
type departure struct {
	at                  time.Time
	origin, destination string
}

// wrongWith is why a flight is not believed; "" when it is.
func (c cleanConfig) wrongWith(f Flight, known map[string]Airport) string {
	for _, code := range []string{f.Origin, f.Destination} {
		if _, ok := known[code]; !ok {
			return fmt.Sprintf("unknown airport %q", code)
		}
	}
	switch {
	case f.Origin == f.Destination:
		return "it goes nowhere"
	case f.DistanceMiles <= 0:
		return "it covers no distance"
	case f.DelayMinutes < -c.MaxEarlyMinutes:
		return fmt.Sprintf("%d minutes early", -f.DelayMinutes)
	case f.DelayMinutes > c.MaxLateMinutes:
		return fmt.Sprintf("%d minutes late", f.DelayMinutes)
	}
	return ""
}

// JoinedFlights are the clean flights with the names of their airports.
var JoinedFlights = definitions.Asset("joined_flights", definitions.Bind2(joinFlights, CleanFlights, Airports),
	definitions.PartitionedBy(Days), definitions.Group("clean"), definitions.Owners{"team:network"}, definitions.CodeVersion("1"),
	definitions.Description("The clean flights, with the cities they connect."))

// JoinedFlight is a flight with the cities it connects.
type JoinedFlight struct {
	Flight
	OriginCity, DestinationCity string
}

func joinFlights(_ definitions.Context, flights []Flight, airports []Airport) ([]JoinedFlight, error) {
	known := byCode(airports)
	joined := make([]JoinedFlight, len(flights))
	for i, flight := range flights {
		joined[i] = JoinedFlight{flight, known[flight.Origin].place(), known[flight.Destination].place()}
	}
	return joined, nil
}

func byCode(airports []Airport) map[string]Airport {
	known := make(map[string]Airport, len(airports))
	for _, airport := range airports {
		known[airport.IATA] = airport
	}
	return known
}

// place is how people call where an airport is: Reno, NV.
func (a Airport) place() string { return a.City + ", " + a.State }
