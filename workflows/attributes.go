package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// describe sets the search attributes that the namespace has; an unknown one would hang the workflow. Those that it was started
// with are left: setting one costs a write to Temporal's visibility store.
func (r *run) describe(ctx workflow.Context) error {
	var updates []temporal.SearchAttributeUpdate
	set := func(name, value string) {
		var current string
		if value = wire.Keyword(value); value != "" && (!attribute(ctx, name, &current) || current != value) {
			updates = append(updates, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value))
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
			var current []string
			if assets := wire.Keywords(r.walkPlan.Assets); !attribute(ctx, name, &current) || !sameKeywords(current, assets) {
				updates = append(updates, temporal.NewSearchAttributeKeyKeywordList(name).ValueSet(assets))
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

// attribute reads a search attribute that the workflow has. The SDK's own reading decodes all that somebody may have set, and panics at
// a list in a Keyword, which Temporal takes.
func attribute(ctx workflow.Context, name string, into any) bool {
	payload := workflow.GetInfo(ctx).SearchAttributes.GetIndexedFields()[name] //nolint:staticcheck // see above
	return payload != nil && converter.GetDefaultDataConverter().FromPayload(payload, into) == nil
}

// markRefused sets the status of a run that was refused, where it was started with one.
func (r *run) markRefused(ctx workflow.Context) error {
	var current string
	if !attribute(ctx, wire.SearchStatus, &current) {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(wire.SearchStatus).ValueSet(string(wire.RunFailure)))
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
