package starter

import (
	"cmp"
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

// EndDeadRun ends a run whose row is open while Temporal says that its workflow is closed: someone terminated it, it
// timed out, or it was deleted. ended is false when the run lives, or has ended in Postgres as well. An id without a run
// is [metadata.ErrNotFound]. Of one that lives it records that it is being cancelled, when Temporal says so.
func (s *Starter) EndDeadRun(ctx context.Context, id string) (result wire.RunResult, ended bool, err error) {
	recorded, err := s.Store.Run(ctx, id)
	if err != nil || recorded.Status.Ended() {
		return wire.RunResult{}, false, err
	}
	end := metadata.RunEnd{RunID: id, FirstRunID: recorded.FirstRunID, Status: wire.RunFailure}
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, id, "")
	var notFound *serviceerror.NotFound
	switch {
	case errors.As(err, &notFound):
		end.Reason = "Temporal does not know its workflow: it was deleted, or its retention passed"
	case err != nil:
		return wire.RunResult{}, false, fmt.Errorf("look at run %q: %w", id, err)
	default:
		latest := described.GetWorkflowExecutionInfo()
		end.Status, end.Reason, end.Scheduled = endOf(recorded.FirstRunID, latest)
		if end.Reason == "" {
			return wire.RunResult{}, false, s.noteCancel(ctx, recorded, described.GetWorkflowExtendedInfo().GetCancelRequested())
		}
		if sameChain(recorded.FirstRunID, latest) {
			end.Reason = cmp.Or(s.whyClosed(ctx, latest), end.Reason)
			if wasCancelled(recorded, latest) {
				end.Status = wire.RunCanceled
			}
		}
	}
	result, err = s.Store.EndRun(ctx, end)
	if errors.Is(err, metadata.ErrConflict) {
		// It was reset meanwhile: it lives.
		return wire.RunResult{}, false, nil
	}
	return result, err == nil, err
}

// endOf is how, why and when, by what Temporal says of the latest execution under a run's id, that run has ended; the
// reason of one that lives is "".
func endOf(firstRunID string, latest *workflow.WorkflowExecutionInfo) (status wire.RunStatus, reason string, at time.Time) {
	execution := latest.GetStatus()
	switch {
	case !sameChain(firstRunID, latest):
		// Temporal gives an id out again only when the execution that had it is closed.
		return wire.RunFailure, "its workflow ended in Temporal without recording the run's end, and another was started under its id", latest.GetStartTime().AsTime()
	case execution == enums.WORKFLOW_EXECUTION_STATUS_RUNNING || execution == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "", "", time.Time{}
	case execution == enums.WORKFLOW_EXECUTION_STATUS_CANCELED:
		status = wire.RunCanceled
	default:
		status = wire.RunFailure
	}
	reason = fmt.Sprintf("its workflow ended as %s in Temporal without recording the run's end", strings.ToLower(execution.String()))
	return status, reason, latest.GetCloseTime().AsTime()
}

// noteCancel records that a run is being cancelled whose workers are gone: none of them hears of it.
func (s *Starter) noteCancel(ctx context.Context, run metadata.Run, requested bool) error {
	if !requested || run.Status == wire.RunCanceling {
		return nil
	}
	_, err := s.Store.MarkCanceling(ctx, metadata.Canceling{RunID: run.ID, FirstRunID: run.FirstRunID})
	return err
}

// wasCancelled says whether a terminated run was being cancelled: whoever terminated it had lost patience.
func wasCancelled(recorded metadata.Run, latest *workflow.WorkflowExecutionInfo) bool {
	return latest.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED && recorded.Status == wire.RunCanceling &&
		recorded.Reason != wire.TooLong(recorded.Timeout)
}

// sameChain says whether an execution belongs to the run that began with that one. Older servers do not say of which it is.
func sameChain(firstRunID string, latest *workflow.WorkflowExecutionInfo) bool {
	return latest.GetFirstRunId() == "" || latest.GetFirstRunId() == firstRunID
}

// whyClosed is what the last event of a closed execution says of who ended it and why; "" when that cannot be had.
func (s *Starter) whyClosed(ctx context.Context, execution *workflow.WorkflowExecutionInfo) string {
	events := s.Temporal.GetWorkflowHistory(ctx, execution.GetExecution().GetWorkflowId(), execution.GetExecution().GetRunId(), false,
		enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if !events.HasNext() {
		return ""
	}
	last, err := events.Next()
	if err != nil {
		return ""
	}
	switch {
	case last.GetWorkflowExecutionTerminatedEventAttributes() != nil:
		terminated := last.GetWorkflowExecutionTerminatedEventAttributes()
		why := "its workflow was terminated in Temporal"
		if by := terminated.GetIdentity(); by != "" {
			why += " by " + by
		}
		if reason := terminated.GetReason(); reason != "" {
			why += ": " + reason
		}
		return why
	case last.GetWorkflowExecutionTimedOutEventAttributes() != nil:
		return "its workflow ran longer than the timeout that it was started with"
	case last.GetWorkflowExecutionFailedEventAttributes() != nil:
		return "its workflow failed: " + last.GetWorkflowExecutionFailedEventAttributes().GetFailure().GetMessage()
	default:
		return ""
	}
}
