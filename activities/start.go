package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// startRun starts a run of the location under an id of its own. The error is Temporal's: WorkflowExecutionAlreadyStarted of one that
// was started before, InvalidArgument of one that Temporal will never start.
func (a *Activities) startRun(ctx context.Context, id, location, queue, summary string, request wire.RunRequest) error {
	options := client.StartWorkflowOptions{
		ID: id, TaskQueue: queue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary,
		Priority:                                 starter.PriorityOf(a.Starter.Deployment, location, request),
		EnableEagerStart:                         true,
		TypedSearchAttributes:                    attributesAtStart(request, a.attributes.of(ctx, a.Client, a.Namespace, a.Log)),
	}
	_, err := a.Client.ExecuteWorkflow(ctx, options, wire.RunWorkflow, request)
	if _, invalid := errors.AsType[*serviceerror.InvalidArgument](err); invalid && options.TypedSearchAttributes.Size() > 0 {
		// The namespace may have lost an attribute since it was asked. The run does without them.
		options.TypedSearchAttributes = temporal.SearchAttributes{}
		_, err = a.Client.ExecuteWorkflow(ctx, options, wire.RunWorkflow, request)
	}
	return err
}

// attributesAtStart are the search attributes that a run is started with, of those that the namespace has: as much as the request
// says. What its plan says otherwise, the workflow sets. A run that need not set any saves Temporal a write.
func attributesAtStart(request wire.RunRequest, names []string) temporal.SearchAttributes {
	var updates []temporal.SearchAttributeUpdate
	set := func(name, value string) {
		if value != "" {
			updates = append(updates, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(wire.Keyword(value)))
		}
	}
	for _, name := range names {
		switch name {
		case wire.SearchJob:
			set(name, request.Job)
		case wire.SearchPartition:
			set(name, request.Partition)
		case wire.SearchBackfill:
			set(name, request.Backfill)
		case wire.SearchCause:
			set(name, request.Cause)
		case wire.SearchStatus:
			set(name, string(wire.RunStarted))
		case wire.SearchAssets:
			if len(request.Assets.Keys) > 0 {
				updates = append(updates, temporal.NewSearchAttributeKeyKeywordList(name).ValueSet(wire.Keywords(request.Assets.Keys)))
			}
		}
	}
	return temporal.NewSearchAttributes(updates...)
}
