package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// startRuns starts runs, several at a time. One that is started already stays so.
func (w *backfillWork) startRuns(ctx context.Context, runs []metadata.BackfillRun) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(backfillStarts)
	for _, run := range runs {
		group.Go(func() error {
			_, err := w.startRun(ctx, run)
			return err
		})
	}
	return group.Wait()
}

func (w *backfillWork) startRun(ctx context.Context, run metadata.BackfillRun) (isNew bool, err error) {
	subset, err := w.restored.SubsetOf(run.BackfillUnit)
	if err != nil {
		return false, err
	}
	asked := backfill.Run{Assets: run.Assets, Subset: subset, Ranged: run.Partitions.Partition == "", Again: run.RetryOf}
	request := starter.RunOfBackfill(w.row.ID, w.row.Request, w.row.AsOf, w.row.Request.Job, asked)
	request.Cause = w.row.Cause
	err = w.a.startRun(ctx, run.RunID, w.row.Location, w.row.Queue, summaryOf(run), request)
	if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("start run %q: %w", run.RunID, err)
	}
	return true, nil
}

// summaryOf is what a run's line in Temporal's list says.
func summaryOf(run metadata.BackfillRun) string {
	text := run.Partitions.Label()
	if names := strings.Join(run.Assets, ", "); text == "" {
		text = names
	} else {
		text = names + " [" + text + "]"
	}
	return wire.Summary(text)
}

// startMissing starts the runs that were written down and not started, because whoever was at it was killed. One that
// ended before it began, because somebody terminated it, has failed.
func (w *backfillWork) startMissing(ctx context.Context) error {
	unbegun, err := w.a.Store.Unbegun(ctx, w.openIDs())
	if err != nil {
		return err
	}
	next := metadata.AdvancedBackfill{ID: w.row.ID, Version: w.row.Version, Position: w.row.Position}
	stopped := w.row.Status != wire.BackfillRequested
	for _, id := range unbegun {
		isNew := false
		if !stopped {
			if isNew, err = w.startRun(ctx, w.open[id]); err != nil {
				return err
			}
		}
		if isNew {
			continue
		}
		reason, err := w.endedUnbegun(ctx, id)
		if err != nil {
			return err
		}
		if reason == "" {
			continue
		}
		if err := w.fail(id, reason, &next); err != nil {
			return err
		}
	}
	if len(next.Ended) == 0 {
		return nil
	}
	return w.write(ctx, next)
}

// endedUnbegun says why a run that has no row will never have one; "" when it may still begin, or was refused.
func (w *backfillWork) endedUnbegun(ctx context.Context, id string) (string, error) {
	described, err := w.a.Client.DescribeWorkflowExecution(ctx, id, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return "it was never started", nil
	}
	if err != nil {
		return "", fmt.Errorf("look at run %q: %w", id, err)
	}
	switch status := described.GetWorkflowExecutionInfo().GetStatus(); status {
	case enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
		return "", nil
	default:
		refused, err := w.a.Store.Refusals(ctx, id)
		if err != nil || len(refused) > 0 {
			return "", err
		}
		return fmt.Sprintf("its workflow ended as %s in Temporal before it began", strings.ToLower(status.String())), nil
	}
}

// cancelOpen cancels the open runs. One that was never started has ended.
func (w *backfillWork) cancelOpen(ctx context.Context) error {
	if err := cancelRuns(ctx, w.a.Client, w.awaitedIDs()); err != nil {
		return err
	}
	return w.startMissing(ctx)
}

func (w *backfillWork) awaitedIDs() []string {
	ids := make([]string, 0, len(w.awaited))
	for id := range w.awaited {
		ids = append(ids, id)
	}
	return ids
}

func cancelRuns(ctx context.Context, temporalClient client.Client, ids []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(backfillStarts)
	for _, id := range ids {
		group.Go(func() error {
			err := temporalClient.CancelWorkflow(ctx, id, "")
			if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
				return nil
			}
			if err != nil {
				return fmt.Errorf("cancel run %q: %w", id, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// stopBlindly stops the runs of a backfill whose state cannot be read any more, or does not fit the definitions: it stays as it
// was.
func (a *Activities) stopBlindly(ctx context.Context, input wire.BackfillInput, deadline time.Time) (stopped bool, err error) {
	w, _, err := a.takeUpBackfill(ctx, input)
	if err != nil {
		return false, err
	}
	for {
		ids := w.openIDs()
		if err := cancelRuns(ctx, a.Client, ids); err != nil {
			return false, err
		}
		ended, err := a.Store.EndedRunsOf(ctx, ids)
		if err != nil {
			return false, err
		}
		unbegun, err := a.Store.Unbegun(ctx, ids)
		if err != nil {
			return false, err
		}
		next := metadata.AdvancedBackfill{
			ID: w.row.ID, Version: w.row.Version, State: w.row.State, Progress: w.row.Progress, Position: w.row.Position,
		}
		for _, id := range ids {
			if run, hasEnded := ended[id]; hasEnded {
				next.Ended = append(next.Ended, blindEnd(id, run.Status, messageOf(run)))
			} else if slices.Contains(unbegun, id) {
				reason, err := w.endedUnbegun(ctx, id)
				if err != nil {
					return false, err
				}
				if reason != "" {
					end := blindEnd(id, wire.RunFailure, reason)
					end.Unbegun = true
					next.Ended = append(next.Ended, end)
				}
			}
		}
		for _, end := range next.Ended {
			delete(w.open, end.RunID)
			if end.Status == wire.RunSuccess {
				next.Progress.Runs.Succeeded++
			} else {
				next.Progress.Runs.Failed++
			}
		}
		next.Progress.Runs.Open = len(w.open)
		if len(next.Ended) > 0 {
			if err := a.Store.AdvanceBackfill(ctx, next); err != nil {
				return false, err
			}
			w.row.Version++
			w.row.Progress = next.Progress
		}
		if len(w.open) == 0 || time.Now().After(deadline) {
			return len(w.open) == 0, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func blindEnd(id string, status wire.RunStatus, message string) metadata.EndedBackfillRun {
	if status != wire.RunSuccess {
		return metadata.EndedBackfillRun{RunID: id, Status: wire.RunFailure, Message: message}
	}
	return metadata.EndedBackfillRun{RunID: id, Status: wire.RunSuccess}
}
