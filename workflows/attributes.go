package workflows

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// describe sets the search attributes that the namespace has; an unknown one would hang the workflow. Those that it was started with are
// left: setting one costs a write to Temporal's visibility store. Which these are the plan says, so that a replay does the same, whatever
// has become of the namespace's attributes.
func (r *run) describe(ctx workflow.Context) error {
	var updates []temporal.SearchAttributeUpdate
	values := r.walkPlan.SearchAttributes(r.status)
	for _, name := range r.walkPlan.Attributes {
		if slices.Contains(r.walkPlan.Started, name) && (name != wire.SearchStatus || r.status == wire.RunStarted) {
			continue
		}
		switch value := values[name].(type) {
		case string:
			updates = append(updates, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value))
		case []string:
			updates = append(updates, temporal.NewSearchAttributeKeyKeywordList(name).ValueSet(value))
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

// ownAttributes are the search attributes of ours that the workflow has, as JSON.
func ownAttributes(ctx workflow.Context) map[string]json.RawMessage {
	own := map[string]json.RawMessage{}
	for _, name := range wire.SearchAttributes {
		var value json.RawMessage
		if attribute(ctx, name, &value) {
			own[name] = value
		}
	}
	return own
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

func (r *run) markStatus(ctx workflow.Context) error {
	for _, name := range r.walkPlan.Attributes {
		if name == wire.SearchStatus {
			return workflow.UpsertTypedSearchAttributes(ctx, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(string(r.status)))
		}
	}
	return nil
}
