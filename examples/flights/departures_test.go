package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func departureReport(t *testing.T, options ...definitions.MaterializeOption) *definitions.Result {
	t.Helper()
	options = append(options, definitions.LoadExternal())
	return definitions.RunJob(t.Context(), Location, DepartureReport, options...)
}

func TestTheDepartureReport(t *testing.T) {
	t.Parallel()
	result := departureReport(t)
	require.NoError(t, result.Err())
	want := tallies(referenceClean(t), func(l line) string { return l.origin })

	departures, err := Departures.In(result)
	require.NoError(t, err)
	require.Len(t, departures, len(want))
	sum := DepartureSummary{Airports: len(want)}
	var delayed string
	for _, airport := range want {
		require.Equal(t, Departure{airport.key, airport.flights, airport.late}, departures[airport.key])
		require.EqualValues(t, "SUCCESS", result.StepStatus("etl.clean["+airport.key+"]"))
		sum.Flights += airport.flights
		sum.Late += airport.late
		if airport.flights >= 100 && airport.late*100 >= 27*airport.flights {
			delayed += fmt.Sprintf("%s %d %d\n", airport.key, airport.late, airport.flights)
		}
	}
	summary, err := Summary.In(result)
	require.NoError(t, err)
	require.Equal(t, sum, summary)

	// Worked out with a script over the CSV file, apart from this program.
	require.Equal(t, "LAX 254 908\nOAK 221 813\nSJC 137 504\n", delayed)
	warning, err := Warning.In(result)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"LAX: 254 of 908 flights left late", "OAK: 221 of 813 flights left late", "SJC: 137 of 504 flights left late",
	}, strings.Split(strings.TrimSpace(warning), "\n"))
}

func TestWithoutHeavilyDelayedAirportsNobodyIsWarned(t *testing.T) {
	t.Parallel()
	result := departureReport(t, definitions.RunConfig(`{"ops":{"heavily_delayed":{"late_percent":50}}}`))
	require.NoError(t, result.Err())
	require.EqualValues(t, "SUCCESS", result.OpStatus(Delayed))
	require.EqualValues(t, "SKIPPED", result.OpStatus(Warning))
	require.EqualValues(t, "SUCCESS", result.OpStatus(Summary))
}

func TestWithoutFlightsThereIsAnEmptySummary(t *testing.T) {
	t.Parallel()
	result := departureReport(t, definitions.GivenFan(ByAirport))
	require.NoError(t, result.Err())
	summary, err := Summary.In(result)
	require.NoError(t, err)
	require.Zero(t, summary)
}

func TestTheOwnerIsToldOfAFailure(t *testing.T) {
	t.Parallel()
	result := departureReport(t, definitions.GivenFan(ByAirport, definitions.Keyed[[]Flight]{Key: "R N O"}))
	require.ErrorContains(t, result.Err(), "R N O")
	require.Len(t, result.Hooks(), 1)
	require.Equal(t, definitions.HookCompleted, result.Hooks()[0].Outcome)
}
