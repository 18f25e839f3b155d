package starter

import (
	"context"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Existing is what exists at a time of the partitions of a location's assets.
func (s *Starter) Existing(_ context.Context, planner *plan.Planner, at time.Time) (*plan.Existing, error) {
	return planner.Existing(at, nil), nil
}

// states is what narrowing a request needs to know.
func (s *Starter) states(_ context.Context, _ Definitions, _ wire.RunRequest, _ *plan.Existing) (map[string]plan.PartitionStates, error) {
	return nil, nil
}
