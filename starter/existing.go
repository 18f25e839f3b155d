package starter

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Existing is what exists at a time of the partitions of a location's assets; of dynamic sets it is what exists now.
func (s *Starter) Existing(ctx context.Context, planner *plan.Planner, at time.Time) (*plan.Existing, error) {
	dynamic, err := s.Store.DynamicKeys(ctx, planner.DynamicSets())
	if err != nil {
		return nil, err
	}
	return planner.Existing(at, dynamic), nil
}

// states is how the partitions stand that a request is narrowed by.
func (s *Starter) states(ctx context.Context, planner *plan.Planner, request wire.RunRequest, at time.Time) (map[string]plan.PartitionStates, error) {
	var facts plan.Facts
	if err := assetstatus.Facts(ctx, s.Store, planner, request, at, &facts); err != nil {
		return nil, fmt.Errorf("look up what is %s: %w", request.Only, err)
	}
	return facts.States, nil
}
