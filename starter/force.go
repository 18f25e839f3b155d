package starter

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// ForceEnd ends a run that does not come to an end by itself: its workflow is terminated with the reason, its row is ended, and
// what it holds is free. What of its steps still runs somewhere can commit nothing any more. One that failed is started again
// if that is due. ended is false when the run has changed since it was read.
func (s *Starter) ForceEnd(ctx context.Context, run metadata.Run, status wire.RunStatus, reason string) (ended bool, err error) {
	now, err := s.Store.Run(ctx, run.ID)
	if err != nil || now.Status != run.Status || now.FirstRunID != run.FirstRunID {
		return false, err
	}
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, run.ID, "")
	var notFound *serviceerror.NotFound
	if err != nil && !errors.As(err, &notFound) {
		return false, fmt.Errorf("look at run %q: %w", run.ID, err)
	}
	latest := described.GetWorkflowExecutionInfo()
	if latest.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING && sameChain(run.FirstRunID, latest) {
		err = s.Temporal.TerminateWorkflow(ctx, run.ID, latest.GetExecution().GetRunId(), reason)
		if err != nil && !errors.As(err, &notFound) {
			return false, fmt.Errorf("terminate run %q: %w", run.ID, err)
		}
	}
	_, err = s.Store.EndRun(ctx, metadata.RunEnd{RunID: run.ID, FirstRunID: run.FirstRunID, Status: status, Reason: reason})
	if errors.Is(err, metadata.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if status == wire.RunFailure {
		_, err = s.RetryFailedRun(ctx, run.ID)
	}
	return true, err
}
