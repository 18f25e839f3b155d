package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

func TestANewDayHasItsDistancesMade(t *testing.T) {
	t.Parallel()
	tick, err := definitions.EvaluateSensor(t.Context(), Location, NewDays, definitions.Given(definitions.NewMaterializations, []definitions.Materialization{
		{Position: 7, Asset: "joined_flights", Partition: "2001-02-14"}, {Position: 9, Asset: "joined_flights", Partition: "2001-02-14"},
	}))
	require.NoError(t, err)
	require.Len(t, tick.Runs, 2)
	require.Equal(t, "2001-02-14 at 7", tick.Runs[0].RunKey)
	require.Equal(t, "2001-02-14 at 9", tick.Runs[1].RunKey)
	for _, run := range tick.Runs {
		require.Equal(t, Distances.Name(), run.Job)
		require.Equal(t, []string{"2001-02-14|short", "2001-02-14|medium", "2001-02-14|long"}, run.Partitions)
	}
}

func TestAFailureIsTold(t *testing.T) {
	t.Parallel()
	tick, err := definitions.EvaluateSensor(t.Context(), Location, Failures, definitions.Given(definitions.TheRun, definitions.MonitoredRun{
		ID: "r1", Job: "daily_delays", Partition: "2001-02-14", Status: definitions.RunFailed,
		Failures: []definitions.StepFailure{{Step: "flights", Message: "no such file"}},
	}))
	require.NoError(t, err)
	require.Empty(t, tick.Runs)
}
