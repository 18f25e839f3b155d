package activities

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// turnEvery is how often ended runs are read while a backfill is worked on, soonTurn how soon after some have ended: a free
	// place is not left empty for long then.
	turnEvery = 100 * time.Millisecond
	soonTurn  = 20 * time.Millisecond
	// lookEvery is how often what changes seldom is looked at: definitions, retries that are not decided, waiting reasons.
	lookEvery = 2 * time.Second
	// mostBackfillDelay is after how long a backfill that cannot go on is tried again at the latest.
	mostBackfillDelay = 30 * time.Second
	// backfillStarts is how many runs are started at a time.
	backfillStarts = 16
)

// AdvanceBackfill works on a backfill for a while: takes in which runs have ended, and starts those that can start then, as
// many as there is room for. What is to be started is written down before. It may be called again at any time, and by two
// at once: only one of them gets on. What keeps it from going on is written down, and tried again.
func (a *Activities) AdvanceBackfill(ctx context.Context, input wire.BackfillInput) (wire.AdvanceBackfillResult, error) {
	defer keepAlive(ctx)()
	var result wire.AdvanceBackfillResult
	worked, err := a.persist(ctx, input, func(deadline time.Time) (err error) {
		result, err = a.advance(ctx, input, deadline)
		return err
	})
	broken, err := brokenBy(err)
	if err == nil && !worked {
		result, err = a.standing(ctx, input)
		result.Broken = broken
	}
	return result, err
}

// advance is one such attempt. It ends early when what was in its way has gone, so that its workflow hears of it.
func (a *Activities) advance(ctx context.Context, input wire.BackfillInput, deadline time.Time) (wire.AdvanceBackfillResult, error) {
	var result wire.AdvanceBackfillResult
	w, broken, err := a.takeUpBackfill(ctx, input)
	if err != nil {
		return result, err
	}
	if broken != "" {
		result, err := a.standing(ctx, input)
		result.Broken = broken
		return result, err
	}
	if err := w.startMissing(ctx); err != nil {
		return result, err
	}
	pause := soonTurn
	for {
		turned, err := w.turn(ctx, true)
		if err != nil {
			return result, err
		}
		row := w.row.Backfill
		recovered := row.Trouble != ""
		if recovered {
			if _, err := a.Store.NoteBackfillTrouble(ctx, input.BackfillID, input.FirstRunID, ""); err != nil {
				return result, err
			}
			row.Trouble = ""
		}
		result = wire.AdvanceBackfillResult{Progress: starter.ProgressOf(row)}
		idle := len(w.open) == 0
		switch {
		case row.Status != wire.BackfillRequested, idle && row.Paused, recovered:
			return result, nil
		case idle && !turned:
			result.Done = true
			if left := w.restored.Engine.Left(); left != "" {
				result.Broken = fmt.Sprintf("%s waits for itself by way of other partitions", left)
			}
			return result, nil
		case time.Now().After(deadline):
			return result, nil
		}
		if pause = min(2*pause, turnEvery); turned {
			pause = soonTurn
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return result, ctx.Err()
		}
	}
}

// standing is how far the records say that a backfill is.
func (a *Activities) standing(ctx context.Context, input wire.BackfillInput) (wire.AdvanceBackfillResult, error) {
	row, err := a.Store.Backfill(ctx, input.BackfillID)
	if err != nil {
		return wire.AdvanceBackfillResult{}, planFailure(err)
	}
	return wire.AdvanceBackfillResult{Progress: starter.ProgressOf(row)}, nil
}

// persist works on a backfill until that succeeds, its patience ends, or nothing will ever put it right, which is the error. What
// is in the way is written down for people; when it is new the work ends, so that the workflow shows it. worked says that it
// succeeded.
func (a *Activities) persist(ctx context.Context, input wire.BackfillInput, work func(deadline time.Time) error) (worked bool, err error) {
	deadline := time.Now().Add(input.Patience)
	for {
		err := a.caught(func() error { return work(deadline) })
		switch broken, _ := brokenBy(err); {
		case err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, errors.Join(err, ctx.Err())
		case broken != "":
			return false, err
		case errors.Is(err, metadata.ErrConflict):
			// Somebody else has written, or it was steered: what is known is old.
			if time.Now().After(deadline) {
				return false, nil
			}
			continue
		}
		a.Log.Warn("a backfill cannot go on, and is tried again", "backfill", input.BackfillID, "error", err)
		tries, noteErr := a.Store.NoteBackfillTrouble(ctx, input.BackfillID, input.FirstRunID, bounded(err.Error()))
		if noteErr != nil {
			return false, planFailure(fmt.Errorf("work on backfill %q: %w", input.BackfillID, err))
		}
		if tries == 1 {
			return false, nil
		}
		select {
		case <-time.After(min(time.Second<<min(tries-1, 10), mostBackfillDelay)):
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if time.Now().After(deadline) {
			return false, nil
		}
	}
}

// caught turns a panic into an error: it is in the way like any other.
func (a *Activities) caught(do func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			a.Log.Error("working on a backfill panicked", "panic", panicked, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return do()
}

// StopBackfill cancels the runs of a backfill, and waits for their ends for a while.
func (a *Activities) StopBackfill(ctx context.Context, input wire.BackfillInput) (wire.StopBackfillResult, error) {
	defer keepAlive(ctx)()
	stopped := false
	_, err := a.persist(ctx, input, func(deadline time.Time) (err error) {
		stopped, err = a.stop(ctx, input, deadline)
		if broken, _ := brokenBy(err); broken != "" {
			stopped, err = a.stopBlindly(ctx, input, deadline)
		}
		return err
	})
	if err != nil {
		return wire.StopBackfillResult{}, err
	}
	standing, err := a.standing(ctx, input)
	return wire.StopBackfillResult{Progress: standing.Progress, Stopped: stopped}, err
}

func (a *Activities) stop(ctx context.Context, input wire.BackfillInput, deadline time.Time) (stopped bool, err error) {
	w, broken, err := a.takeUpBackfill(ctx, input)
	if err != nil {
		return false, err
	}
	if broken != "" {
		return a.stopBlindly(ctx, input, deadline)
	}
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	asked := time.Time{}
	for {
		if time.Since(asked) >= lookEvery {
			asked = time.Now()
			if err := w.cancelOpen(ctx); err != nil {
				return false, err
			}
		}
		if _, err := w.turn(ctx, false); err != nil {
			return false, err
		}
		if len(w.open) == 0 || time.Now().After(deadline) {
			return len(w.open) == 0, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// SteerBackfill pauses, resumes or widens a backfill, or marks it as about to end.
func (a *Activities) SteerBackfill(ctx context.Context, input wire.SteerBackfillInput) (wire.BackfillProgress, error) {
	defer keepAlive(ctx)()
	if _, err := a.Store.SteerBackfill(ctx, input); err != nil {
		return wire.BackfillProgress{}, planFailure(err)
	}
	row, err := a.Store.Backfill(ctx, input.BackfillID)
	if err != nil {
		return wire.BackfillProgress{}, planFailure(err)
	}
	return starter.ProgressOf(row), nil
}

// EndBackfill records a backfill's end, and returns its result. One that was done has failed when any run of it did.
func (a *Activities) EndBackfill(ctx context.Context, input wire.EndBackfillInput) (wire.BackfillResult, error) {
	defer keepAlive(ctx)()
	if input.Status == wire.BackfillSucceeded {
		row, err := a.Store.Backfill(ctx, input.BackfillID)
		if err != nil {
			return wire.BackfillResult{}, planFailure(err)
		}
		for _, asset := range row.Progress.Assets {
			if asset.Failed > 0 || asset.Blocked > 0 {
				input.Status = wire.BackfillFailed
			}
		}
	}
	if err := a.Store.EndBackfill(ctx, input); err != nil {
		return wire.BackfillResult{}, planFailure(err)
	}
	row, err := a.Store.Backfill(ctx, input.BackfillID)
	if err != nil {
		return wire.BackfillResult{}, planFailure(err)
	}
	return starter.ResultOf(row), nil
}
