package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
)

// partitionCounts are how many partitions each of a location's partitioned assets has in which state, by key.
func partitionCounts(
	ctx context.Context, store *metadata.Store, hash string, states []metadata.AssetState, now time.Time,
) (map[string]assetstatus.Counts, error) {
	counts := map[string]assetstatus.Counts{}
	var reader *assetstatus.Reader
	for _, state := range states {
		if state.Asset.Partitions == nil {
			continue
		}
		if reader == nil {
			snapshot, err := store.Snapshot(ctx, hash)
			if err != nil {
				return nil, err
			}
			planner, err := plan.NewPlanner(snapshot, nil)
			if err != nil {
				return nil, err
			}
			if reader, err = assetstatus.NewReader(ctx, store, planner, now); err != nil {
				return nil, err
			}
		}
		status, err := reader.Read(ctx, state.Asset.Key)
		if err != nil {
			return nil, err
		}
		counts[state.Asset.Key] = status.Counts()
	}
	return counts, nil
}

// partitionsCell is how many partitions of an asset are materialized of how many, and what is to be said of the others: "87/90,
// 2 failed". "" of an asset without partitions.
func partitionsCell(counts *assetstatus.Counts, style render.Style) string {
	if counts == nil {
		return ""
	}
	parts := []string{render.Number(int64(counts.Materialized)) + "/" + render.Number(int64(counts.Partitions))}
	if counts.Running > 0 {
		parts = append(parts, fmt.Sprintf("%s running", render.Number(int64(counts.Running))))
	}
	if failed := counts.Failed + counts.MaterializedFailed; failed > 0 {
		parts = append(parts, style.Red(render.Number(int64(failed))+" failed"))
	}
	if counts.UpstreamFailed > 0 {
		parts = append(parts, render.Number(int64(counts.UpstreamFailed))+" upstream failed")
	}
	return strings.Join(parts, ", ")
}
