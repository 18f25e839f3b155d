package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/serviceerror"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// EndDeadBackfill ends a backfill whose row is open while Temporal says that its workflow is closed: someone terminated it,
// it timed out, or it was deleted. Its open runs are cancelled; once they have ended, it does. ended is false when it
// lives, has ended in Postgres as well, or waits for its runs: ask again later.
func (s *Starter) EndDeadBackfill(ctx context.Context, id string) (status wire.BackfillStatus, ended bool, err error) {
	row, err := s.Store.BackfillState(ctx, id)
	if err != nil || row.Status.Ended() {
		return row.Status, false, err
	}
	status, reason, err := s.deadBackfill(ctx, row)
	if err != nil || reason == "" {
		return row.Status, false, err
	}
	// Whoever may still be working on it starts no more runs from here on.
	if _, err := s.Store.SteerBackfill(ctx, wire.SteerBackfillInput{
		BackfillID: id, FirstRunID: row.FirstRunID, Status: wire.BackfillFailing, Reason: reason,
	}); err != nil {
		return row.Status, false, err
	}
	open, err := s.stopOpen(ctx, row)
	if err != nil || open {
		return row.Status, false, err
	}
	err = s.Store.EndBackfill(ctx, wire.EndBackfillInput{BackfillID: id, FirstRunID: row.FirstRunID, Status: status, Reason: reason})
	return status, err == nil, err
}

// deadBackfill is how and why a backfill has ended by what Temporal says; the reason of one that lives is "".
func (s *Starter) deadBackfill(ctx context.Context, row metadata.BackfillState) (wire.BackfillStatus, string, error) {
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, row.ID, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return wire.BackfillBroken, "Temporal does not know its workflow: it was deleted, or its retention passed", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("look at backfill %q: %w", row.ID, err)
	}
	latest := described.GetWorkflowExecutionInfo()
	ended, reason, _ := endOf(row.FirstRunID, latest)
	if reason != "" && sameChain(row.FirstRunID, latest) {
		reason = cmp.Or(s.whyClosed(ctx, latest), reason)
	}
	if ended == wire.RunCanceled {
		return wire.BackfillCanceled, reason, nil
	}
	return wire.BackfillBroken, reason, nil
}

// stopOpen cancels the open runs of a backfill, and writes down which have ended; open says that some have not.
func (s *Starter) stopOpen(ctx context.Context, row metadata.BackfillState) (open bool, err error) {
	ids := make([]string, len(row.Open))
	for i, run := range row.Open {
		ids[i] = run.RunID
	}
	ended, err := s.Store.EndedRunsOf(ctx, ids)
	if err != nil {
		return false, err
	}
	unbegun, err := s.Store.Unbegun(ctx, ids)
	if err != nil {
		return false, err
	}
	next := metadata.AdvancedBackfill{ID: row.ID, Version: row.Version, State: row.State, Progress: row.Progress, Position: row.Position}
	for _, id := range ids {
		if run, hasEnded := ended[id]; hasEnded {
			end := metadata.EndedBackfillRun{RunID: id, Status: wire.RunSuccess}
			if run.Status != wire.RunSuccess {
				end.Status, end.Message = wire.RunFailure, cmp.Or(run.Reason, "it was cancelled with its backfill")
			}
			next.Ended = append(next.Ended, end)
			continue
		}
		err := s.Temporal.CancelWorkflow(ctx, id, "")
		if _, closed := errors.AsType[*serviceerror.NotFound](err); closed {
			if slices.Contains(unbegun, id) {
				next.Ended = append(next.Ended, metadata.EndedBackfillRun{RunID: id, Status: wire.RunFailure, Message: "it never began"})
			}
			continue
		}
		if err != nil {
			return false, fmt.Errorf("cancel run %q: %w", id, err)
		}
	}
	if len(next.Ended) == 0 {
		return len(ids) > 0, nil
	}
	for _, end := range next.Ended {
		if end.Status == wire.RunSuccess {
			next.Progress.Runs.Succeeded++
		} else {
			next.Progress.Runs.Failed++
		}
	}
	next.Progress.Runs.Open = len(ids) - len(next.Ended)
	if err := s.Store.AdvanceBackfill(ctx, next); err != nil && !errors.Is(err, metadata.ErrConflict) {
		return false, err
	}
	return next.Progress.Runs.Open > 0, nil
}
