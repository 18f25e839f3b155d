package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// backfillWork is a backfill that is being worked on.
type backfillWork struct {
	a        *Activities
	row      metadata.BackfillState
	restored *starter.RestoredBackfill
	hash     string // of the definitions that it was restored by
	// open are its runs that have not ended, by id; awaited gives, for each run whose end counts, which of them it is or
	// executes again.
	open    map[string]metadata.BackfillRun
	awaited map[string]string
	// made is what runs of an open one's chain of retries have made so far, by the open one's id.
	made map[string]backfill.Made
	// undecided are ended runs of which it is not known whether they are started again.
	undecided map[string]bool
	// begun, runs and partitions are when this work began and what has ended since, for the rate.
	begun            time.Time
	runs, partitions int
	looked           time.Time
}

// takeUpBackfill reads a backfill and all that is needed to go on with it. broken says why that is not possible any more; the
// rows are read then all the same.
func (a *Activities) takeUpBackfill(ctx context.Context, input wire.BackfillInput) (w *backfillWork, broken string, err error) {
	w = &backfillWork{
		a: a, open: map[string]metadata.BackfillRun{}, awaited: map[string]string{}, made: map[string]backfill.Made{},
		undecided: map[string]bool{}, begun: time.Now(),
	}
	if w.row, err = a.Store.BackfillState(ctx, input.BackfillID); err != nil {
		return nil, "", err
	}
	if w.row.FirstRunID != input.FirstRunID {
		return nil, "", fmt.Errorf("the id is that of another backfill: %w", metadata.ErrNotFound)
	}
	for _, run := range w.row.Open {
		w.open[run.RunID], w.awaited[run.RunID] = run, run.RunID
		w.undecided[run.RunID] = true
	}
	broken, err = brokenBy(w.define(ctx))
	return w, broken, err
}

// define makes the engine from the active definitions.
func (w *backfillWork) define(ctx context.Context) error {
	definitions, hash, err := w.a.definitions(ctx)
	if err != nil {
		return err
	}
	if w.restored, err = w.a.Starter.RestoreBackfill(ctx, definitions, w.row); err != nil {
		return err
	}
	w.hash = hash
	return nil
}

// brokenBy tells an error that ends a backfill, for nothing will ever put it right, from one after which it is tried again.
func brokenBy(err error) (broken string, other error) {
	if problems := wire.ProblemsOf(err); problems != nil {
		return "the definitions have changed: " + problems.Error(), nil
	}
	if unreadable, ok := errors.AsType[*starter.UnreadableError](err); ok {
		return storable(unreadable.Error()), nil
	}
	return "", err
}

func (w *backfillWork) hasRoom() bool { return len(w.open) < w.row.MaxConcurrentRuns }

// turn takes in what has ended since the last one, and starts what can start, if it may. turned is whether anything has
// changed. The error is [metadata.ErrConflict] when what is known of the backfill is old.
func (w *backfillWork) turn(ctx context.Context, start bool) (turned bool, err error) {
	stand, err := w.a.Store.BackfillTurn(ctx, w.row.ID, w.openIDs())
	if err != nil {
		return false, err
	}
	if stand.Version != w.row.Version {
		return false, metadata.ErrConflict
	}
	w.row.Status, w.row.Paused, w.row.MaxConcurrentRuns = stand.Status, stand.Paused, stand.MaxConcurrentRuns
	next := metadata.AdvancedBackfill{ID: w.row.ID, Version: w.row.Version}
	looked := false
	if time.Since(w.looked) >= lookEvery {
		w.looked, looked = time.Now(), true
		if err := w.look(ctx); err != nil {
			return false, err
		}
	}
	if err := w.takeEnds(ctx, looked, &next); err != nil {
		return false, err
	}
	for _, refused := range stand.Refused {
		if err := w.fail(refused.RunID, refused.Message, &next); err != nil {
			return false, err
		}
	}
	var runs []backfill.Run
	if start && w.row.Status == wire.BackfillRequested && !w.row.Paused && w.hasRoom() {
		if runs, err = w.restored.Engine.Next(w.row.MaxConcurrentRuns - len(w.open)); err != nil {
			return false, err
		}
	}
	for _, run := range runs {
		next.Start = append(next.Start, metadata.BackfillRun{
			RunID: backfill.RunID(w.row.ID, run, w.row.Request.Job), RetryOf: run.Again,
			BackfillUnit: metadata.BackfillUnit{Assets: run.Assets, Partitions: run.Partitions()},
		})
	}
	if len(next.Ended) == 0 && len(next.Start) == 0 && next.Position == w.row.Position {
		return false, nil
	}
	return true, w.write(ctx, next)
}

// write stores what has changed, and starts the runs that are new.
func (w *backfillWork) write(ctx context.Context, next metadata.AdvancedBackfill) error {
	for _, run := range next.Start {
		w.open[run.RunID], w.awaited[run.RunID] = run, run.RunID
	}
	w.count()
	next.Progress = w.row.Progress
	state, err := w.restored.Engine.State()
	if err == nil {
		next.State, err = json.Marshal(state)
	}
	if err != nil {
		return err
	}
	if err := w.a.Store.AdvanceBackfill(ctx, next); err != nil {
		return err
	}
	w.row.Version++
	w.row.Position, w.row.State = next.Position, next.State
	return w.startRuns(ctx, next.Start)
}

// count brings what people see up to date.
func (w *backfillWork) count() {
	progress := &w.row.Progress
	progress.Assets = starter.BackfillAssets(w.restored.Engine.Counts())
	progress.Runs.Open = len(w.open)
	const enough = 5 * time.Second
	if since := time.Since(w.begun); since >= enough && w.runs > 0 {
		progress.RunsPerMinute = float64(w.runs) / since.Minutes()
		progress.PartitionsPerMinute = float64(w.partitions) / since.Minutes()
	}
}

// look looks at what changes seldom: whether other definitions are active, and what runs wait for.
func (w *backfillWork) look(ctx context.Context) error {
	_, hash, err := w.a.definitions(ctx)
	if err != nil {
		return err
	}
	if hash != w.hash {
		// What is known of its runs is in terms of the old definitions: it is taken up again.
		return metadata.ErrConflict
	}
	w.row.Progress.Waiting, err = w.a.Store.WaitingReason(ctx, w.openIDs())
	return err
}

func (w *backfillWork) openIDs() []string {
	ids := make([]string, 0, len(w.open))
	for id := range w.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
