package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

const (
	manyAsset = "hours"
	// statusReads is how often the status is read; the quickest counts, for it waits for Postgres' processes, and so for
	// whatever else the machine does.
	statusReads = 9
)

// statusOfMany is how long the status of an asset takes all of whose partitions are materialized, once that is cached. Existing is
// all of them.
func (b *bench) statusOfMany(ctx context.Context, definition partition.Definition, at time.Time, existing *partition.Set) (took time.Duration, err error) {
	dsn, err := b.config.PostgresDSN()
	if err != nil {
		return 0, err
	}
	store, err := metadata.Open(ctx, dsn, metadata.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	planner, err := plan.NewPlanner(&plan.Snapshot{
		V: plan.SnapshotVersion, Location: "many",
		Assets:   []plan.Asset{{Key: manyAsset, Compute: manyAsset, Partitions: &definition}},
		Computes: []plan.Compute{{Name: manyAsset, Outputs: []string{manyAsset}, Shape: "shape"}},
	}, nil)
	if err != nil {
		return 0, err
	}
	// As a reader leaves it behind, who has read the history of them all.
	err = store.KeepAssetStatus(ctx, metadata.KeptStatus{
		Asset: manyAsset, Fingerprint: existing.Partitions().Fingerprint(), Materialized: existing.All(), Failed: existing.None(), UpstreamFailed: existing.None(),
	})
	if err != nil {
		return 0, err
	}
	var reads []time.Duration
	for range 1 + statusReads {
		began := time.Now()
		reader, err := assetstatus.NewReader(ctx, store, planner, at)
		if err != nil {
			return 0, err
		}
		status, err := reader.Read(ctx, manyAsset)
		if err != nil {
			return 0, err
		}
		reads = append(reads, time.Since(began))
		if made := status.Materialized.Count(); made != existing.Count() {
			return 0, fmt.Errorf("%d of %d partitions are materialized", made, existing.Count())
		}
	}
	return slices.Min(reads[1:]), nil // the first one connects
}
