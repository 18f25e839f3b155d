package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

// The reference reads the numbers off the sorted delays; what is in nine of ten is found by counting.
func TestPunctualityIsComputedByPython(t *testing.T) {
	t.Parallel()
	result := materialize(t, definitions.Only(AirportPunctuality))
	delays := map[string][]int{}
	for _, l := range referenceClean(t) {
		delays[l.origin] = append(delays[l.origin], l.delay)
	}
	rated := valueIn(t, AirportPunctuality, result)
	require.Len(t, rated, len(delays))
	require.True(t, slices.IsSortedFunc(rated, func(a, b Punctuality) int {
		if a.Airport < b.Airport {
			return -1
		}
		return 1
	}))
	for _, airport := range rated {
		of := slices.Sorted(slices.Values(delays[airport.Airport]))
		n := len(of)
		onTime, _ := slices.BinarySearch(of, 15)
		require.Equal(t, n, airport.Flights, airport.Airport)
		require.InDelta(t, float64(onTime)/float64(n), airport.OnTimePercent/100, 1e-9, airport.Airport)
		require.InDelta(t, float64(of[(n-1)/2]+of[n/2])/2, airport.MedianDelay, 1e-9, airport.Airport)
		noLater := 0
		for _, delay := range of {
			if delay <= airport.NineInTen {
				noLater++
			}
		}
		earlier, _ := slices.BinarySearch(of, airport.NineInTen)
		require.GreaterOrEqual(t, 10*noLater, 9*n, airport.Airport)
		require.Less(t, 10*earlier, 9*n, airport.Airport)
	}
	require.Contains(t, result.Metadata(AirportPunctuality), definitions.RowCount(59))
}
