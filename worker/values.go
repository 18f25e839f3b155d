package worker

import (
	"context"
	"errors"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
)

const (
	// removeInterval is how often stored values are removed that nothing needs any more, and removeAfter how soon after
	// the start that begins.
	removeInterval = 15 * time.Minute
	removeAfter    = time.Minute
	// removeBatch is how many are taken at a time, for removeLease.
	removeBatch = 100
	removeLease = 10 * time.Minute
)

// tendValues removes superseded values, and has stores settle the current ones, until ctx ends. Only a location's own
// workers have the IO managers for that.
func (w *Worker) tendValues(ctx context.Context) {
	timer := time.NewTimer(removeAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := w.removeSuperseded(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("superseded values were not removed, it is tried again later", "error", err)
		}
		if err := w.settleCurrent(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("stores did not settle current values, it is tried again later", "error", err)
		}
		timer.Reset(removeInterval)
	}
}

// removeSuperseded removes what was superseded longer ago than the instance keeps it.
func (w *Worker) removeSuperseded(ctx context.Context) error {
	keep := w.options.Config.Retention.SupersededValues
	if keep == 0 {
		return nil
	}
	for {
		due, err := w.store.TakeSuperseded(ctx, w.location, keep, removeLease, removeBatch)
		if err != nil || len(due) == 0 {
			return err
		}
		var removed, kept []int64
		for _, value := range due {
			switch err := w.remove(ctx, value); {
			case err == nil:
				removed = append(removed, value.ID)
			case errors.Is(err, definitions.ErrNotRemovable):
				kept = append(kept, value.ID)
				w.log.Info("a superseded value stays", "location", value.Location, "reason", err)
			default:
				w.log.Warn("a superseded value was not removed, it is tried again later", "location", value.Location, "error", err)
			}
		}
		if err := errors.Join(w.store.RemovedValues(ctx, removed), w.store.KeptValues(ctx, kept)); err != nil {
			return err
		}
		if len(due) < removeBatch {
			return nil
		}
	}
}

func (w *Worker) remove(ctx context.Context, value metadata.SupersededValue) error {
	at := definitions.Slot{
		Asset: value.Asset, Partition: value.Partition, Key: value.Key, Token: value.Token, Location: value.Location,
	}
	if at.Asset == "" {
		at.Run, at.Step = value.Run, value.Step
	}
	return w.runtime.Remove(ctx, at)
}

// settleCurrent tells stores of the current values again: a worker that died right after a commit told nobody.
func (w *Worker) settleCurrent(ctx context.Context) error {
	var keys []string
	for _, asset := range w.runtime.Snapshot().Assets {
		if !asset.External() {
			keys = append(keys, asset.Key)
		}
	}
	current, err := w.store.Current(ctx, keys)
	if err != nil {
		return err
	}
	var failures []error
	for _, made := range current {
		failures = append(failures, w.runtime.Settle(ctx, definitions.Slot{
			Asset: made.Asset, Partition: made.Partition, Token: made.SlotToken, Location: made.Location,
		}))
	}
	return errors.Join(failures...)
}
