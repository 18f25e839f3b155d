package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/wire"
)

// listPage is how many executions one page of a list has.
const listPage = 1000

// abnormal are the ways in which a workflow closes that may have left its run's row open. FAILURE and CANCELED record
// themselves first, and so are only looked at, not described.
const abnormal = "'Terminated','TimedOut','Failed','Canceled'"

// closedRuns visits the runs whose workflow closed abnormally since a time, a page at a time.
func closedRuns(ctx context.Context, temporal client.Client, since time.Time, visit func([]*workflow.WorkflowExecutionInfo) error) error {
	return list(ctx, temporal, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus IN (%s) AND CloseTime > '%s'",
		wire.RunWorkflow, abnormal, since.UTC().Format(time.RFC3339)), visit)
}

// openRuns visits the runs that are open on Temporal and were started before a time.
func openRuns(ctx context.Context, temporal client.Client, before time.Time, visit func([]*workflow.WorkflowExecutionInfo) error) error {
	return list(ctx, temporal, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND StartTime < '%s'",
		wire.RunWorkflow, before.UTC().Format(time.RFC3339)), visit)
}

func list(ctx context.Context, temporal client.Client, query string, visit func([]*workflow.WorkflowExecutionInfo) error) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{PageSize: listPage, Query: query}
	for {
		answer, err := temporal.ListWorkflow(ctx, request)
		if err != nil {
			return fmt.Errorf("list workflows (%s): %w", query, err)
		}
		if len(answer.GetExecutions()) > 0 {
			if err := visit(answer.GetExecutions()); err != nil {
				return err
			}
		}
		request.NextPageToken = answer.GetNextPageToken()
		if len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

// ours says whether a task queue belongs to the deployment. The default deployment's queues begin with a location's name,
// which has no colon; every other's with the deployment's.
func ours(deployment, queue string) bool {
	first, rest, prefixed := strings.Cut(queue, ":")
	if deployment == "" || deployment == wire.DefaultDeployment {
		return !prefixed
	}
	return prefixed && !strings.Contains(rest, ":") && first+":" == wire.Queue(deployment, "")
}
