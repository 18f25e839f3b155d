package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// turnEvery is how often ended runs are read while a backfill is worked on.
	turnEvery = 100 * time.Millisecond
	// lookEvery is how often what changes seldom is looked at: definitions, retries that are not decided, waiting reasons.
	lookEvery = 2 * time.Second
	// backfillStarts is how many runs are started at a time.
	backfillStarts = 16
)

// AdvanceBackfill works on a backfill for a while: takes in which runs have ended, and starts those that can start then, as
// many as there is room for. What is to be started is written down before. It may be called again at any time, and by two
// at once: only one of them gets on.
func (a *Activities) AdvanceBackfill(ctx context.Context, input wire.BackfillInput) (wire.AdvanceBackfillResult, error) {
	defer keepAlive(ctx)()
	deadline := time.Now().Add(input.Patience)
	for {
		result, err := a.advance(ctx, input, deadline)
		if !errors.Is(err, metadata.ErrConflict) {
			return result, backfillFailure(ctx, input, err)
		}
		// Somebody else has written, or it was steered: what is known is old.
		if time.Now().After(deadline) {
			return a.standing(ctx, input)
		}
	}
}

func backfillFailure(ctx context.Context, input wire.BackfillInput, err error) error {
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return planFailure(fmt.Errorf("work on backfill %q: %w", input.BackfillID, err))
}

// standing is how far the records say that a backfill is.
func (a *Activities) standing(ctx context.Context, input wire.BackfillInput) (wire.AdvanceBackfillResult, error) {
	row, err := a.Store.Backfill(ctx, input.BackfillID)
	if err != nil {
		return wire.AdvanceBackfillResult{}, planFailure(err)
	}
	return wire.AdvanceBackfillResult{Progress: starter.ProgressOf(row)}, nil
}

func (a *Activities) advance(ctx context.Context, input wire.BackfillInput, deadline time.Time) (wire.AdvanceBackfillResult, error) {
	w, broken, err := a.takeUpBackfill(ctx, input)
	if err != nil {
		return wire.AdvanceBackfillResult{}, err
	}
	if broken != "" {
		result, err := a.standing(ctx, input)
		result.Broken = broken
		return result, err
	}
	if err := w.startMissing(ctx); err != nil {
		return wire.AdvanceBackfillResult{}, err
	}
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		turned, err := w.turn(ctx, true)
		if err != nil {
			return wire.AdvanceBackfillResult{}, err
		}
		row := w.row.Backfill
		result := wire.AdvanceBackfillResult{Progress: starter.ProgressOf(row)}
		idle := len(w.open) == 0
		switch {
		case w.broken != "":
			result.Broken = w.broken
			return result, nil
		case row.Status != wire.BackfillRequested, idle && row.Paused:
			return result, nil
		case idle && !turned:
			result.Done = true
			if left := w.engine.Left(); left != "" {
				result.Broken = fmt.Sprintf("%s waits for itself by way of other partitions", left)
			}
			return result, nil
		case time.Now().After(deadline):
			return result, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return wire.AdvanceBackfillResult{}, ctx.Err()
		}
	}
}

// StopBackfill cancels the runs of a backfill, and waits for their ends for a while.
func (a *Activities) StopBackfill(ctx context.Context, input wire.BackfillInput) (wire.StopBackfillResult, error) {
	defer keepAlive(ctx)()
	deadline := time.Now().Add(input.Patience)
	for {
		stopped, err := a.stop(ctx, input, deadline)
		if errors.Is(err, metadata.ErrConflict) {
			continue
		}
		if err != nil {
			return wire.StopBackfillResult{}, backfillFailure(ctx, input, err)
		}
		standing, err := a.standing(ctx, input)
		return wire.StopBackfillResult{Progress: standing.Progress, Stopped: stopped}, err
	}
}

func (a *Activities) stop(ctx context.Context, input wire.BackfillInput, deadline time.Time) (stopped bool, err error) {
	w, broken, err := a.takeUpBackfill(ctx, input)
	if err != nil {
		return false, err
	}
	if broken != "" {
		// The state does not fit the definitions: it stays as it was, and the runs are stopped all the same.
		return a.stopBlindly(ctx, w, deadline)
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
