package starter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// Pools lists the pools that the active definitions of all locations name, those that have limits of their own, and those of open
// runs, by name. Temporal may be nil.
func (s *Starter) Pools(ctx context.Context) ([]metadata.Pool, error) {
	pools, err := s.Store.Pools(ctx)
	if err != nil {
		return nil, err
	}
	locations, err := s.Store.Locations(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the locations: %w", err)
	}
	for _, location := range locations {
		snapshot, err := s.Store.Snapshot(ctx, location.Hash)
		if err != nil {
			return nil, fmt.Errorf("read the definitions of location %q: %w", location.Location, err)
		}
		for _, compute := range snapshot.Computes {
			if compute.Pool == "" || slices.ContainsFunc(pools, func(pool metadata.Pool) bool { return pool.Pool == compute.Pool }) {
				continue
			}
			use, err := s.Store.PoolUse(ctx, compute.Pool, 1)
			if err != nil {
				return nil, err
			}
			pools = append(pools, use.Pool)
		}
	}
	slices.SortFunc(pools, func(a, b metadata.Pool) int { return strings.Compare(a.Pool, b.Pool) })
	return pools, nil
}

// SetQueueLimits changes how many runs are in progress at once, and what pools without limits of their own have. Temporal may be nil. An
// error that is wire.Problems says all that is wrong with them; nothing was changed then.
func (s *Starter) SetQueueLimits(ctx context.Context, limits metadata.QueueLimits, who, why string) (metadata.LimitsSet, error) {
	return s.Store.SetQueueLimits(ctx, limits, who, why)
}

// SetPool changes a pool's limit. Temporal may be nil. An error that is wire.Problems says all that is wrong; nothing was changed then.
func (s *Starter) SetPool(ctx context.Context, setting metadata.PoolSetting) (metadata.LimitsSet, error) {
	return s.Store.SetPool(ctx, setting)
}

// FreeSlots takes slots of a pool away from steps that hold them: see [metadata.Store.FreeSlots]. A pool that there is not is an error.
// Temporal may be nil.
func (s *Starter) FreeSlots(ctx context.Context, seizure metadata.SlotSeizure) (metadata.FreedSlots, error) {
	if err := s.CheckPool(ctx, seizure.Pool); err != nil {
		return metadata.FreedSlots{}, err
	}
	return s.Store.FreeSlots(ctx, seizure)
}

// CheckPool says that there is no such pool, when nobody names it: wire.Problems. Temporal may be nil.
func (s *Starter) CheckPool(ctx context.Context, name string) error {
	pools, err := s.Pools(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(pools))
	for i, pool := range pools {
		names[i] = pool.Pool
	}
	if slices.Contains(names, name) {
		return nil
	}
	return wire.Problems{{
		Path: "pool", Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no pool %q", name), Fix: wire.FixUnknown(name, names),
	}}
}
