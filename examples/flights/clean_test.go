package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func TestSplitFlightsSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	airports := []Airport{{IATA: "RNO"}, {IATA: "SMF"}}
	noon := at(t, "2001-01-01 12:00:00")
	flights := []Flight{
		{noon, "RNO", "SMF", 113, -45},
		{noon, "RNO", "SMF", 113, 5},
		{noon, "SMF", "RNO", 113, 720},
		{noon, "RNO", "XXX", 113, 5},
		{noon, "XXX", "RNO", 113, 5},
		{noon, "RNO", "RNO", 113, 5},
		{noon, "SMF", "RNO", 0, 5},
		{noon, "SMF", "RNO", 113, -46},
		{noon, "SMF", "RNO", 113, 721},
	}

	outputs, err := splitFlights(definitions.NewContext(t.Context()), flights, airports, cleanConfig{MaxEarlyMinutes: 45, MaxLateMinutes: 720})

	require.NoError(t, err)
	require.Equal(t, definitions.Outputs{
		CleanFlights.Of([]Flight{flights[0], flights[2]}),
		RejectedFlights.Of([]RejectedFlight{
			{flights[1], "duplicate of an earlier flight"},
			{flights[3], `unknown airport "XXX"`},
			{flights[4], `unknown airport "XXX"`},
			{flights[5], "it goes nowhere"},
			{flights[6], "it covers no distance"},
			{flights[7], "46 minutes early"},
			{flights[8], "721 minutes late"},
		}),
	}, outputs)
}

func TestARejectedFlightDoesNotMakeTheNextADuplicate(t *testing.T) {
	t.Parallel()
	airports := []Airport{{IATA: "RNO"}, {IATA: "SMF"}}
	noon := at(t, "2001-01-01 12:00:00")
	flights := []Flight{{noon, "RNO", "SMF", 113, -90}, {noon, "RNO", "SMF", 113, 5}}

	outputs, err := splitFlights(definitions.NewContext(t.Context()), flights, airports, cleanConfig{MaxEarlyMinutes: 45, MaxLateMinutes: 720})

	require.NoError(t, err)
	require.Contains(t, outputs, CleanFlights.Of(flights[1:]))
}

func TestJoinFlightsNamesBothCities(t *testing.T) {
	t.Parallel()
	airports := []Airport{{IATA: "SMF", City: "Sacramento", State: "CA"}, {IATA: "RNO", City: "Reno", State: "NV"}}
	flight := Flight{Origin: "RNO", Destination: "SMF"}

	joined, err := joinFlights(definitions.NewContext(t.Context()), []Flight{flight}, airports)

	require.NoError(t, err)
	require.Equal(t, []JoinedFlight{{flight, "Reno, NV", "Sacramento, CA"}}, joined)
}
