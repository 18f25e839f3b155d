package starter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/backfill"
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

// stopOpen cancels the open runs of a backfill and those that execute them again, and writes down which have ended; open says
// that some have not.
func (s *Starter) stopOpen(ctx context.Context, row metadata.BackfillState) (open bool, err error) {
	next := metadata.AdvancedBackfill{ID: row.ID, Version: row.Version, State: row.State, Progress: row.Progress, Position: row.Position}
	ends := deadEnds{}
	for _, run := range row.Open {
		chain, end, err := s.stopChain(ctx, run.RunID)
		if err != nil {
			return false, err
		}
		if end != nil {
			next.Ended = append(next.Ended, *end)
			ends[run.RunID] = chain
		}
	}
	if len(next.Ended) == 0 {
		return len(row.Open) > 0, nil
	}
	for _, end := range next.Ended {
		if end.Status == wire.RunSuccess {
			next.Progress.Runs.Succeeded++
		} else {
			next.Progress.Runs.Failed++
		}
	}
	next.Progress.Runs.Open = len(row.Open) - len(next.Ended)
	if err := s.takeDeadEnds(ctx, row, ends, &next); err != nil {
		return false, err
	}
	if err := s.Store.AdvanceBackfill(ctx, next); errors.Is(err, metadata.ErrConflict) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return next.Progress.Runs.Open > 0, nil
}

// stopChain cancels what is open of a run and those that execute it again. end is nil while something is; chain are those
// that have ended.
func (s *Starter) stopChain(ctx context.Context, id string) (chain []metadata.EndedRun, end *metadata.EndedBackfillRun, err error) {
	for next := id; ; {
		found, err := s.Store.EndedRunsOf(ctx, []string{next})
		if err != nil {
			return nil, nil, err
		}
		run, hasEnded := found[next]
		if !hasEnded {
			end, err := s.stopRun(ctx, next)
			if end != nil {
				end.RunID = id
			}
			return chain, end, err
		}
		chain = append(chain, run)
		switch {
		case run.Status == wire.RunFailure && run.RetriedBy != "":
			next = run.RetriedBy
		case run.Status == wire.RunFailure && (run.WillRetry == nil || *run.WillRetry && run.RetryRefused == ""):
			return chain, nil, nil // the run that executes it again has yet to begin
		case run.Status == wire.RunSuccess:
			return chain, &metadata.EndedBackfillRun{RunID: id, Status: wire.RunSuccess}, nil
		default:
			return chain, &metadata.EndedBackfillRun{RunID: id, Status: wire.RunFailure, Message: cmp.Or(run.Reason, "it was cancelled with its backfill")}, nil
		}
	}
}

// stopRun cancels a run. One that Temporal does not know and that has not begun has ended.
func (s *Starter) stopRun(ctx context.Context, id string) (*metadata.EndedBackfillRun, error) {
	unbegun, err := s.Store.Unbegun(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	err = s.Temporal.CancelWorkflow(ctx, id, "")
	_, closed := errors.AsType[*serviceerror.NotFound](err)
	switch {
	case closed && len(unbegun) > 0:
		return &metadata.EndedBackfillRun{Status: wire.RunFailure, Message: "it never began", Unbegun: true}, nil
	case err != nil && !closed:
		return nil, fmt.Errorf("cancel run %q: %w", id, err)
	}
	return nil, nil
}

// deadEnds are the ended runs of chains of retries, by the first one's id.
type deadEnds map[string][]metadata.EndedRun

// takeDeadEnds brings state and counts up to date with runs that have ended. Where the definitions do not fit any more, or only
// their location can say what a partition needs, what was open counts as failed.
func (s *Starter) takeDeadEnds(ctx context.Context, row metadata.BackfillState, ends deadEnds, next *metadata.AdvancedBackfill) error {
	restored, err := s.restoreHere(ctx, row)
	if err == nil {
		err = restored.takeAll(row.Open, ends)
	}
	var unreadable *UnreadableError
	switch {
	case wire.ProblemsOf(err) != nil || errors.As(err, &unreadable) || errors.Is(err, partition.ErrNoEvaluator):
		for i := range next.Progress.Assets {
			asset := &next.Progress.Assets[i]
			if next.Progress.Runs.Open == 0 {
				asset.Failed, asset.InProgress = asset.Failed+asset.InProgress, 0
			}
		}
		return nil
	case err != nil:
		return err
	}
	state, err := restored.Engine.State()
	if err == nil {
		next.State, err = json.Marshal(state)
	}
	next.Progress.Assets = BackfillAssets(restored.Engine.Counts())
	return err
}

// restoreHere makes a backfill's engine from the definitions that Postgres knows of its location.
func (s *Starter) restoreHere(ctx context.Context, row metadata.BackfillState) (*RestoredBackfill, error) {
	snapshot, err := s.snapshot(ctx, row.Location)
	if err != nil {
		return nil, err
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return nil, err
	}
	return s.RestoreBackfill(ctx, Definitions{Snapshot: snapshot, Planner: planner}, row)
}

// takeAll takes in the ends of runs.
func (r *RestoredBackfill) takeAll(open []metadata.BackfillRun, ends deadEnds) error {
	for _, run := range open {
		chain, hasEnded := ends[run.RunID]
		if !hasEnded {
			continue
		}
		subset, err := r.SubsetOf(run.BackfillUnit)
		if err != nil {
			return err
		}
		end := backfill.End{Assets: run.Assets, Subset: subset, Made: backfill.Made{}}
		for _, one := range chain {
			made, err := r.MadeBy(run.BackfillUnit, one)
			if err != nil {
				return err
			}
			end.Succeeded = one.Status == wire.RunSuccess
			for key, subset := range made {
				end.Made[key] = end.Made[key].Union(subset)
			}
		}
		if err := r.Engine.End(end); err != nil {
			return err
		}
	}
	return nil
}
