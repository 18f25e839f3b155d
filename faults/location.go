//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
)

// location is what the workers of a marathon serve: what all kinds of runs need. python is an interpreter.
func location(python string) testlocation.Spec {
	spec := testlocation.Spec{Location: "marathon", Python: python, Fan: fan()}
	for _, assets := range [][]testlocation.Asset{graph(), subprocesses(), programs(), sliced(), backfilled(), queueable()} {
		spec.Assets = append(spec.Assets, assets...)
	}
	return spec
}

// oneRetry is of assets that fail at their first attempt.
func oneRetry() *definitions.Retries { return &definitions.Retries{Max: 1, Delay: time.Second} }

// graph is 16 assets, one of which fails at its first attempt.
func graph() []testlocation.Asset {
	assets := []testlocation.Asset{{Key: "source"}}
	layer := []string{"source"}
	random := rand.New(rand.NewPCG(1, 1)) // the same graph in every marathon
	for depth := range 4 {
		var next []string
		for i := range 3 {
			key := fmt.Sprintf("layer%d_%d", depth, i)
			inputs := []string{layer[i%len(layer)]}
			if other := layer[random.IntN(len(layer))]; other != inputs[0] {
				inputs = append(inputs, other)
			}
			assets = append(assets, testlocation.Asset{Key: key, Inputs: inputs})
			next = append(next, key)
		}
		layer = next
	}
	return append(assets,
		testlocation.Asset{Key: "flaky", Inputs: []string{"source"}, Retries: oneRetry()},
		testlocation.Asset{Key: "sink", Inputs: append(layer, "flaky")},
		testlocation.Asset{Key: "last", Inputs: []string{"sink"}},
	)
}

// subprocesses are assets that are computed in processes of their own, and one behind them that is not.
func subprocesses() []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "apart/source", Subprocess: true},
		{Key: "apart/left", Inputs: []string{"apart/source"}, Subprocess: true},
		{Key: "apart/right", Inputs: []string{"apart/source"}, Subprocess: true, Retries: oneRetry()},
		{Key: "apart/sink", Inputs: []string{"apart/left", "apart/right"}, Subprocess: true},
		{Key: "apart/last", Inputs: []string{"apart/sink"}},
	}
}

// programs are assets that Python programs compute, one of them in a process within a step's own process.
func programs() []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "python/source", Python: true},
		{Key: "python/left", Inputs: []string{"python/source"}, Python: true, Subprocess: true},
		{Key: "python/right", Inputs: []string{"python/source"}, Python: true, Retries: oneRetry()},
		{Key: "python/sink", Inputs: []string{"python/left", "python/right"}, Python: true},
		{Key: "python/last", Inputs: []string{"python/sink"}},
	}
}

// slicedDays is how many days there are of what is sliced: two whole weeks, from the seventh on.
const slicedDays = 20

// sliced are assets that are made by days and weeks.
func sliced() []testlocation.Asset {
	return []testlocation.Asset{
		{Key: "sliced/days", Days: slicedDays},
		{Key: "sliced/apart", Days: slicedDays, Inputs: []string{"sliced/days"}, Before: []string{"sliced/days"}, Subprocess: true},
		{Key: "sliced/running", Days: slicedDays, Inputs: []string{"sliced/days"}, Ordered: true},
		{Key: "sliced/range", Days: slicedDays, Inputs: []string{"sliced/days"}, Ranged: true},
		{Key: "sliced/weeks", Days: slicedDays, SlicedBy: testlocation.ByWeek, Parts: []string{"sliced/days"}},
	}
}

// slicedKeys are the partitions of each.
func slicedKeys() map[string][]string {
	days := make([]string, slicedDays)
	for n := range days {
		days[n] = testlocation.Day(n)
	}
	keys := map[string][]string{}
	for _, asset := range sliced() {
		keys[asset.Key] = days
	}
	keys["sliced/weeks"] = []string{testlocation.Day(6), testlocation.Day(13)}
	return keys
}
