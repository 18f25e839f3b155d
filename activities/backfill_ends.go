package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

const (
	// endsAtOnce is how many ended runs are read at a time.
	endsAtOnce = 1000
	// maxBackfillFailures is how many failed runs a backfill names, maxFailureText how much each says, in bytes.
	maxBackfillFailures = 20
	maxFailureText      = 500
)

// takeEnds reads the runs that have ended since the last look, and, when those are looked at again, the ones of which it
// was not decided whether they are started again.
func (w *backfillWork) takeEnds(ctx context.Context, again bool, next *metadata.AdvancedBackfill) error {
	next.Position = w.row.Position
	for {
		runs, err := w.a.Store.EndedRuns(ctx, w.row.ID, next.Position, endsAtOnce)
		if err != nil {
			return err
		}
		for _, run := range runs {
			next.Position = run.Position
			if err := w.takeEnd(ctx, run, next); err != nil {
				return err
			}
		}
		if len(runs) < endsAtOnce {
			break
		}
	}
	for again && len(w.undecided) > 0 {
		ids := make([]string, 0, len(w.undecided))
		for id := range w.undecided {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		ended, err := w.a.Store.EndedRunsOf(ctx, ids)
		if err != nil {
			return err
		}
		before := len(w.undecided)
		chained := false
		for _, id := range ids {
			run, hasEnded := ended[id]
			if !hasEnded {
				continue
			}
			if err := w.takeEnd(ctx, run, next); err != nil {
				return err
			}
			chained = chained || !w.undecided[id]
		}
		again = chained && len(w.undecided) > 0 && before > 0
	}
	return nil
}

// takeEnd takes in that a run has ended: one of the backfill's, or one that executes such a run again.
func (w *backfillWork) takeEnd(ctx context.Context, run metadata.EndedRun, next *metadata.AdvancedBackfill) error {
	id, awaited := w.awaited[run.Run]
	if !awaited {
		return w.takeLateEnd(ctx, run, next)
	}
	made, err := w.madeBy(w.open[id], run)
	if err != nil {
		return err
	}
	w.made[id] = union(w.made[id], made)
	delete(w.undecided, run.Run)
	switch {
	case run.Status != wire.RunFailure:
	case run.WillRetry == nil:
		w.undecided[run.Run] = true
		return nil
	case *run.WillRetry && run.RetriedBy == "":
		w.undecided[run.Run] = true
		return nil
	case *run.WillRetry:
		delete(w.awaited, run.Run)
		w.awaited[run.RetriedBy] = id
		w.undecided[run.RetriedBy] = true
		return nil
	}
	made = w.made[id]
	if run.Status == wire.RunSuccess && run.Run == id && isWhole(run, w.open[id]) {
		made = nil
	}
	return w.close(id, run.Status == wire.RunSuccess, made, messageOf(run), next)
}

// takeLateEnd takes in a run that executed one of the backfill's again after that one's end, because a person wanted it: what
// it has made is there.
func (w *backfillWork) takeLateEnd(ctx context.Context, run metadata.EndedRun, next *metadata.AdvancedBackfill) error {
	known, err := w.a.Store.BackfillRunsOf(ctx, w.row.ID, []string{run.Run, run.ParentRunID, run.RootRunID})
	if err != nil {
		return err
	}
	for _, id := range []string{run.Run, run.ParentRunID, run.RootRunID} {
		unit, ours := known[id]
		if !ours || w.open[id].RunID != "" {
			continue
		}
		made, err := w.madeBy(unit, run)
		if err != nil {
			return err
		}
		subset, err := w.subsetOf(unit.BackfillUnit)
		if err != nil {
			return err
		}
		if err := w.engine.End(backfill.End{Assets: unit.Assets, Subset: subset, Again: true, Made: made}); err != nil {
			return err
		}
		if run.Status == wire.RunSuccess && unit.Status == wire.RunFailure {
			w.recovered(id)
			next.Ended = append(next.Ended, metadata.EndedBackfillRun{RunID: id, Status: wire.RunSuccess})
		}
		return nil
	}
	return nil
}

// recovered forgets the failure of a run.
func (w *backfillWork) recovered(id string) {
	progress := &w.row.Progress
	progress.Runs.Failed--
	progress.Runs.Succeeded++
	progress.Failures = slices.DeleteFunc(progress.Failures, func(failure wire.BackfillFailure) bool { return failure.RunID == id })
}

// fail closes a run that never began.
func (w *backfillWork) fail(id, message string, next *metadata.AdvancedBackfill) error {
	if _, open := w.open[id]; !open {
		return nil
	}
	return w.close(id, false, backfill.Made{}, message, next)
}

// close takes in that one of the backfill's runs has ended for good.
func (w *backfillWork) close(id string, succeeded bool, made backfill.Made, message string, next *metadata.AdvancedBackfill) error {
	unit := w.open[id]
	subset, err := w.subsetOf(unit.BackfillUnit)
	if err != nil {
		return err
	}
	if err := w.engine.End(backfill.End{Assets: unit.Assets, Subset: subset, Succeeded: succeeded, Made: made}); err != nil {
		return err
	}
	delete(w.open, id)
	delete(w.made, id)
	for run, of := range w.awaited {
		if of == id {
			delete(w.awaited, run)
			delete(w.undecided, run)
		}
	}
	w.runs++
	w.partitions += len(unit.Assets) * subset.Count()
	ended := metadata.EndedBackfillRun{RunID: id, Status: wire.RunSuccess}
	progress := &w.row.Progress
	if succeeded {
		progress.Runs.Succeeded++
	} else {
		ended.Status, ended.Message = wire.RunFailure, message
		progress.Runs.Failed++
		if len(progress.Failures) < maxBackfillFailures {
			progress.Failures = append(progress.Failures, wire.BackfillFailure{RunID: id, Partitions: unit.Partitions.Label(), Message: message})
		}
	}
	next.Ended = append(next.Ended, ended)
	return nil
}

// isWhole says whether a run that succeeded has made all that it was for.
func isWhole(run metadata.EndedRun, unit metadata.BackfillRun) bool {
	if len(run.Assets) != len(unit.Assets) {
		return len(run.Assets) == 0 // of ops
	}
	return !slices.ContainsFunc(run.Assets, func(asset metadata.EndedAsset) bool {
		return len(asset.Failed)+len(asset.UpstreamFailed)+len(asset.Skipped)+len(asset.Canceled) > 0
	})
}

// madeBy is what a run has made of the assets of one of the backfill's.
func (w *backfillWork) madeBy(unit metadata.BackfillRun, run metadata.EndedRun) (backfill.Made, error) {
	made := backfill.Made{}
	if len(run.Assets) == 0 && run.Status == wire.RunSuccess {
		subset, err := w.subsetOf(unit.BackfillUnit)
		for _, key := range unit.Assets {
			made[key] = subset
		}
		return made, err
	}
	for _, asset := range run.Assets {
		set := backfill.SetOf(w.snapshot, w.existing, w.row.Request.Job, asset.Asset)
		if set == nil {
			continue
		}
		planned := set.All()
		if asset.Planned != nil {
			var err error
			if planned, _, err = set.Decode(asset.Planned); err != nil {
				return nil, fmt.Errorf("what run %q set out to make of %q: %w", run.Run, asset.Asset, err)
			}
		}
		var missing []string
		for _, list := range [][]string{asset.Failed, asset.UpstreamFailed, asset.Skipped, asset.Canceled} {
			for _, key := range list {
				if planned.Has(key) {
					missing = append(missing, key)
				}
			}
		}
		not, err := set.Of(missing...)
		if err != nil {
			return nil, fmt.Errorf("what run %q did not make of %q: %w", run.Run, asset.Asset, err)
		}
		made[asset.Asset] = planned.Difference(not)
	}
	return made, nil
}

func union(x, y backfill.Made) backfill.Made {
	both := backfill.Made{}
	for _, one := range []backfill.Made{x, y} {
		for key, subset := range one {
			both[key] = both[key].Union(subset)
		}
	}
	return both
}

// messageOf says why a run failed.
func messageOf(run metadata.EndedRun) string {
	message := run.Reason
	if len(run.Failures) > 0 {
		message = run.Failures[0].Step + ": " + run.Failures[0].Message
	}
	if run.Status == wire.RunCanceled {
		message = cmp.Or(message, "it was cancelled")
	}
	if len(message) > maxFailureText {
		message = message[:maxFailureText] + "…"
	}
	return storable(message)
}
