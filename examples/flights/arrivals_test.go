package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func arrive(t *testing.T, events ...definitions.EvaluateOption) (definitions.SensorTicked[definitions.Nothing], error) {
	t.Helper()
	return definitions.EvaluateSensor(t.Context(), Location, Arrivals, events...)
}

func TestWhatArrivesIsMadeAgain(t *testing.T) {
	t.Parallel()
	tick, err := arrive(t,
		definitions.Signal("e1", `{"day":"2001-02-14"}`), definitions.Signal("e2", `{"file":"in/2001-03-31.csv"}`),
		definitions.Signal("e3", `{"day":"2001-04-01"}`), definitions.Signal("e4", `{"file":"flights.csv"}`), definitions.Signal("e5", `{}`))
	require.NoError(t, err)
	require.Empty(t, tick.Skip)
	require.Len(t, tick.Runs, 2)
	for i, want := range [][2]string{{"e1", "2001-02-14"}, {"e2", "2001-03-31"}} {
		require.Equal(t, want, [2]string{tick.Runs[i].RunKey, tick.Runs[i].Partition})
		require.Equal(t, map[string]string{"arrival": want[0]}, tick.Runs[i].Tags)
	}
}

func TestNothingOfTheExampleArrives(t *testing.T) {
	t.Parallel()
	tick, err := arrive(t, definitions.Signal("e1", `{"day":"yesterday"}`))
	require.NoError(t, err)
	require.Empty(t, tick.Runs)
	require.Equal(t, "no day of the example has arrived", tick.Skip)

	_, err = arrive(t, definitions.Signal("e1", `{"date":"2001-02-14"}`))
	require.ErrorContains(t, err, `event "e1" is rejected`)
}
