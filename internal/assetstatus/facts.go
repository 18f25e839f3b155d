package assetstatus

import (
	"context"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Facts fills in what planning a request must know of partitions: the time, the keys of dynamic sets, and, for a request that is
// narrowed, how the partitions stand that it asks for.
func Facts(ctx context.Context, store *metadata.Store, planner *plan.Planner, request wire.RunRequest, now time.Time, facts *plan.Facts) error {
	dynamic, err := store.DynamicKeys(ctx, planner.DynamicSets())
	if err != nil {
		return err
	}
	facts.Now, facts.Dynamic = now, dynamic
	needed := planner.StatesNeeded(request)
	if len(needed) == 0 {
		return nil
	}
	reader := &Reader{store: store, planner: planner, existing: planner.Existing(now, dynamic)}
	facts.States, err = reader.States(ctx, needed, request.Only)
	return err
}

// States is what narrowing some assets to a state must know of them.
func (r *Reader) States(ctx context.Context, assets []string, only wire.OnlyPartitions) (map[string]plan.PartitionStates, error) {
	states := make(map[string]plan.PartitionStates, len(assets))
	for _, asset := range assets {
		status, err := r.Read(ctx, asset)
		if err != nil {
			return nil, err
		}
		state := plan.PartitionStates{Materialized: status.Materialized, Failed: status.Failed.Union(status.UpstreamFailed)}
		if only == wire.OnlyStale {
			if state.Stale, err = r.Stale(ctx, status); err != nil {
				return nil, err
			}
		}
		states[asset] = state
	}
	return states, nil
}
