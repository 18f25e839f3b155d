package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/memory"
	"github.com/perdure-io/perdure/wire"
)

// values keeps what assets return in memory: a no-op activity of plain Temporal stores nothing either.
var values = definitions.Resource("values", definitions.Bind0(func(definitions.Context) (*memory.Storage, error) {
	return memory.New(), nil
}), definitions.NoClose)

// graph is a location of no-op assets in layers: each asset needs three of the layer before.
func graph(name string, layers []int, options ...definitions.AssetOption) *definitions.Definitions {
	const needs = 3
	all := []definitions.Definition{values}
	var before []definitions.Source[int]
	for number, width := range layers {
		var layer []definitions.Source[int]
		for i := range width {
			compute := definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil })
			if number > 0 {
				var sources []definitions.Source[int]
				for k := range min(needs, len(before)) {
					sources = append(sources, before[(i+k)%len(before)])
				}
				compute = definitions.Bind1(func(definitions.Context, []int) (int, error) { return 1, nil }, definitions.All(sources...))
			}
			asset := definitions.Asset(stepName(number, i), compute, append(slices.Clone(options), definitions.StoredBy(values))...)
			all, layer = append(all, asset), append(layer, asset)
		}
		before = layer
	}
	return definitions.New(name, all...)
}

// layered compares a run over layers of assets with the hand-written workflow.
func layered(layers ...int) func(context.Context, *bench) (ours, plain time.Duration, err error) {
	return compared(fmt.Sprintf("layers-%d-of-%d", len(layers), layers[0]), layers)
}

// walked compares a run of that many steps, in ten layers, with the hand-written workflow of activities, whatever the
// executor of ours.
func walked(steps int, options ...definitions.AssetOption) func(context.Context, *bench) (ours, plain time.Duration, err error) {
	const layers = 10
	return compared(fmt.Sprintf("walk-%d-%d", steps, len(options)), slices.Repeat([]int{steps / layers}, layers), options...)
}

func compared(name string, layers []int, options ...definitions.AssetOption) func(context.Context, *bench) (ours, plain time.Duration, err error) {
	return func(ctx context.Context, b *bench) (ours, plain time.Duration, err error) {
		if err := b.serve(ctx, name, func() *definitions.Definitions { return graph(name, layers, options...) }); err != nil {
			return 0, 0, err
		}
		if ours, err = b.runOurs(ctx, name, "*"); err != nil {
			return 0, 0, err
		}
		plain, err = b.runPlain(ctx, layers)
		return ours, plain, err
	}
}

// runOurs is the time from the request to the result.
func (b *bench) runOurs(ctx context.Context, location, selection string) (time.Duration, error) {
	started := time.Now()
	run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: wire.Queue("", location), ID: b.newID(location)},
		wire.RunWorkflow, wire.RunRequest{Assets: wire.AssetSelection{Expression: selection}})
	if err != nil {
		return 0, err
	}
	var result wire.RunResult
	if err := run.Get(ctx, &result); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}
