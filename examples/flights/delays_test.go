package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func TestDelaysCountEarlyFlightsAndLateOnes(t *testing.T) {
	t.Parallel()
	var flights []JoinedFlight
	for _, delay := range []int{-5, 14, 15, 40} {
		flights = append(flights, JoinedFlight{Flight: Flight{DelayMinutes: delay}})
	}
	require.Equal(t, Delays{Flights: 4, Late: 2, MeanDelay: 16}, delaysOf(flights))
}

func TestWorstAirportsNeedEnoughFlights(t *testing.T) {
	t.Parallel()
	airports := []AirportDelay{
		{"AAA", "", Delays{Flights: 99, MeanDelay: 90}},
		{"BBB", "", Delays{Flights: 100, MeanDelay: 5}},
		{"CCC", "", Delays{Flights: 500, MeanDelay: 8}},
		{"DDD", "", Delays{Flights: 500, MeanDelay: -1}},
	}
	ctx := definitions.NewContext(t.Context())

	worst, err := worstAirports(ctx, airports, worstConfig{Top: 2, MinFlights: 100})

	require.NoError(t, err)
	require.Equal(t, []WorstAirport{{1, airports[2]}, {2, airports[1]}}, worst)
	require.Equal(t, "BBB", airports[1].Airport, "the input is not reordered")
}

func TestWorstAirportsMayBeFewerThanAskedFor(t *testing.T) {
	t.Parallel()
	worst, err := worstAirports(definitions.NewContext(t.Context()), []AirportDelay{{"AAA", "", Delays{Flights: 1}}}, worstConfig{Top: 5, MinFlights: 1})
	require.NoError(t, err)
	require.Len(t, worst, 1)
}

func TestBusiestRoutesBreakTiesByName(t *testing.T) {
	t.Parallel()
	routes := []RouteDelay{
		{Origin: "AAA", Destination: "BBB", Delays: Delays{Flights: 7}},
		{Origin: "AAA", Destination: "CCC", Delays: Delays{Flights: 9}},
		{Origin: "BBB", Destination: "AAA", Delays: Delays{Flights: 7}},
	}

	busiest, err := busiestRoutes(definitions.NewContext(t.Context()), routes, busiestConfig{Top: 2})

	require.NoError(t, err)
	require.Equal(t, []BusiestRoute{{1, routes[1]}, {2, routes[0]}}, busiest)
}

func TestWeekdayDelaysCountHolidaysApart(t *testing.T) {
	t.Parallel()
	flights := []JoinedFlight{
		{Flight: Flight{DepartedAt: at(t, "2001-01-14 23:59:00"), DelayMinutes: 10}},
		{Flight: Flight{DepartedAt: at(t, "2001-01-15 00:00:00"), DelayMinutes: 20}},
		{Flight: Flight{DepartedAt: at(t, "2001-01-22 09:00:00"), DelayMinutes: 30}},
	}

	weekdays, err := weekdayDelays(definitions.NewContext(t.Context()), flights, []Holiday{{"2001-01-15", "Martin Luther King Jr. Day"}})

	require.NoError(t, err)
	require.Equal(t, []WeekdayDelay{
		{"Monday", Delays{Flights: 1, Late: 1, MeanDelay: 30}},
		{"Sunday", Delays{Flights: 1, MeanDelay: 10}},
		{"Holiday", Delays{Flights: 1, Late: 1, MeanDelay: 20}},
	}, weekdays)
}
