package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// freeDeadHolder ends the run that a step waits for when Temporal says that its workflow is closed
// while its row is open: someone terminated it, or it timed out. Without this the waiting step would wait for ever.
func (a *Activities) freeDeadHolder(ctx context.Context, holder wire.Holder) {
	if err := a.endDeadRun(ctx, holder.Run); err != nil {
		a.Log.Warn("could not learn whether the run that a step waits for is alive", "run", holder.Run, "error", err)
	}
}

func (a *Activities) endDeadRun(ctx context.Context, id string) error {
	recorded, err := a.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	end := metadata.RunEnd{RunID: id, FirstRunID: recorded.FirstRunID, Status: wire.RunFailure}
	described, err := a.Client.DescribeWorkflowExecution(ctx, id, "")
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		end.Reason = "Temporal does not know its workflow: it was deleted, or its retention passed"
	case err != nil:
		return err
	default:
		end.Reason, end.Scheduled = endOf(recorded.FirstRunID, described.GetWorkflowExecutionInfo())
		if end.Reason == "" {
			return nil
		}
	}
	_, err = a.Store.EndRun(ctx, end)
	if errors.Is(err, metadata.ErrConflict) {
		// It was reset meanwhile: it lives.
		return nil
	}
	return err
}

// endOf is why and when, by what Temporal says of the latest execution under a run's id, that run has ended; the reason
// of one that lives is "".
func endOf(firstRunID string, latest *workflow.WorkflowExecutionInfo) (reason string, at time.Time) {
	status := latest.GetStatus()
	switch {
	// Older servers do not say of which chain it is.
	case latest.GetFirstRunId() != "" && latest.GetFirstRunId() != firstRunID:
		// Temporal gives an id out again only when the execution that had it is closed.
		return "its workflow ended in Temporal without recording the run's end, and another was started under its id", latest.GetStartTime().AsTime()
	case status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING || status == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "", time.Time{}
	default:
		return fmt.Sprintf("its workflow ended as %s in Temporal without recording the run's end", strings.ToLower(status.String())), latest.GetCloseTime().AsTime()
	}
}
