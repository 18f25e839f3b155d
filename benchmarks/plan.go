package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// planned is the graph of plan_10000: 100 layers of 100 assets.
var planned struct {
	snapshot *plan.Snapshot
}

// planning is the time to plan a run of 10,000 assets from a snapshot, indexes and encoding included;
// beside it the least that anything could do: a topological sort of the same graph, and its JSON.
func planning(context.Context, *bench) (ours, plain time.Duration, err error) {
	if planned.snapshot == nil {
		layers := make([]int, 100)
		for i := range layers {
			layers[i] = 100
		}
		if planned.snapshot, err = graph("planned", layers).Snapshot(); err != nil {
			return 0, 0, err
		}
	}
	if ours, err = planOurs(planned.snapshot); err != nil {
		return 0, 0, err
	}
	plain, err = sortPlain(planned.snapshot)
	return ours, plain, err
}

func planOurs(snapshot *plan.Snapshot) (time.Duration, error) {
	started := time.Now()
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return 0, err
	}
	made, err := planner.Plan(wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}, plan.Facts{RunID: "planned", Limits: plan.DefaultLimits()})
	if err != nil {
		return 0, err
	}
	if _, err := plan.EncodeWalk(&made.Walk); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}

func sortPlain(snapshot *plan.Snapshot) (time.Duration, error) {
	started := time.Now()
	index := make(map[string]int, len(snapshot.Computes))
	for i, compute := range snapshot.Computes {
		index[compute.Name] = i
	}
	next, needs := make([][]int, len(index)), make([]int, len(index))
	for i, compute := range snapshot.Computes {
		for _, input := range compute.Inputs {
			for _, asset := range input.Assets {
				next[index[asset]] = append(next[index[asset]], i)
				needs[i]++
			}
		}
	}
	var order []int
	for i, n := range needs {
		if n == 0 {
			order = append(order, i)
		}
	}
	for at := 0; at < len(order); at++ {
		for _, i := range next[order[at]] {
			if needs[i]--; needs[i] == 0 {
				order = append(order, i)
			}
		}
	}
	if len(order) != len(index) {
		return 0, fmt.Errorf("sorted %d of %d", len(order), len(index))
	}
	if _, err := json.Marshal(next); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}
