package activities

import (
	"context"
	"errors"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/plan"
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
	asked := plan.Walk{Job: request.Job, Partition: request.Partition, Backfill: request.Backfill, Cause: request.Cause, Assets: request.Assets.Keys}
	values := asked.SearchAttributes(wire.RunStarted)
	var updates []temporal.SearchAttributeUpdate
	for _, name := range names {
		switch value := values[name].(type) {
		case string:
			updates = append(updates, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value))
		case []string:
			if len(value) > 0 {
				updates = append(updates, temporal.NewSearchAttributeKeyKeywordList(name).ValueSet(value))
			}
		}
	}
	return temporal.NewSearchAttributes(updates...)
}
