package activities

import (
	"cmp"
	"context"
	"slices"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// endsAtOnce is how many ended runs are read at a time.
	endsAtOnce = 1000
	// maxBackfillFailures is how many failed runs a backfill names, maxFailureText how much each says, or whatever else keeps it from
	// going on, in bytes.
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
	made, err := w.restored.MadeBy(w.open[id].BackfillUnit, run)
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
	case *run.WillRetry && run.RetriedBy == "" && run.RetryRefused != "":
		return w.close(id, false, w.made[id], bounded("its retry was refused: "+run.RetryRefused+"; it failed with: "+messageOf(run)), next)
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
	if run.Status == wire.RunSuccess && run.Run == id && starter.IsWhole(run, w.open[id].BackfillUnit) {
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
		made, err := w.restored.MadeBy(unit.BackfillUnit, run)
		if err != nil {
			return err
		}
		subset, err := w.restored.SubsetOf(unit.BackfillUnit)
		if err != nil {
			return err
		}
		if err := w.restored.Engine.End(backfill.End{Assets: unit.Assets, Subset: subset, Again: true, Made: made}); err != nil {
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
	if err := w.close(id, false, backfill.Made{}, message, next); err != nil {
		return err
	}
	next.Ended[len(next.Ended)-1].Unbegun = true
	return nil
}

// close takes in that one of the backfill's runs has ended for good.
func (w *backfillWork) close(id string, succeeded bool, made backfill.Made, message string, next *metadata.AdvancedBackfill) error {
	unit := w.open[id]
	subset, err := w.restored.SubsetOf(unit.BackfillUnit)
	if err != nil {
		return err
	}
	if err := w.restored.Engine.End(backfill.End{Assets: unit.Assets, Subset: subset, Succeeded: succeeded, Made: made}); err != nil {
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
	return bounded(message)
}

func bounded(message string) string {
	if len(message) > maxFailureText {
		message = message[:maxFailureText] + "…"
	}
	return storable(message)
}
