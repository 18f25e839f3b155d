package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// describe sets the search attributes that the namespace has; an unknown one would hang the workflow. Those that it was started
// with are left: setting one costs a write to Temporal's visibility store.
func (r *run) describe(ctx workflow.Context) error {
	var updates []temporal.SearchAttributeUpdate
	known := workflow.GetTypedSearchAttributes(ctx)
	set := func(name, value string) {
		key := temporal.NewSearchAttributeKeyKeyword(name)
		if current, found := known.GetKeyword(key); value != "" && (!found || current != wire.Keyword(value)) {
			updates = append(updates, key.ValueSet(wire.Keyword(value)))
		}
	}
	for _, name := range r.walkPlan.Attributes {
		switch name {
		case wire.SearchJob:
			set(name, r.walkPlan.Job)
		case wire.SearchPartition:
			set(name, r.walkPlan.Partition)
		case wire.SearchBackfill:
			set(name, r.walkPlan.Backfill)
		case wire.SearchCause:
			set(name, r.walkPlan.Cause)
		case wire.SearchStatus:
			set(name, string(r.status))
		case wire.SearchAssets:
			key, assets := temporal.NewSearchAttributeKeyKeywordList(name), wire.Keywords(r.walkPlan.Assets)
			if current, found := known.GetKeywordList(key); !found || !sameKeywords(current, assets) {
				updates = append(updates, key.ValueSet(assets))
			}
		}
	}
	if len(updates) == 0 {
		return nil
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		return fmt.Errorf("set the search attributes of run %q: %w", r.id, err)
	}
	return nil
}

// sameKeywords says whether two lists have the same keywords, in whatever order.
func sameKeywords(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (r *run) markStatus(ctx workflow.Context) error {
	for _, name := range r.walkPlan.Attributes {
		if name == wire.SearchStatus {
			return workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(string(r.status)))
		}
	}
	return nil
}
