package daemon

import (
	"context"
	"errors"
	"time"
)

const (
	// batch is how many rows are deleted in one transaction, runsBatch how many runs with all that belongs to them.
	batch     = 2000
	runsBatch = 50
)

// deleteOld deletes what is older than the instance keeps, a batch at a time.
func (d *Daemon) deleteOld(ctx context.Context) error {
	keep := d.Retention
	return errors.Join(
		d.purge(ctx, keep.LogLines, batch, d.Store.PurgeLogLines),
		d.purge(ctx, keep.Runs, runsBatch, d.Store.PurgeRuns),
		d.purge(ctx, keep.Runs, runsBatch, d.Store.PurgeBackfills),
		d.purge(ctx, keep.Runs, batch, d.Store.PurgeRefusals),
		d.purge(ctx, keep.Alerts, batch, d.Store.PurgeAlerts),
		d.dropMonths(ctx, keep.Events),
		d.deleteTicks(ctx),
		d.purge(ctx, eventsKept, batch, d.Store.PurgeEvents),
		d.deleteComputeLogs(ctx, keep.ComputeLogs),
		d.noteSuperseded(ctx, keep.SupersededValues),
		d.freeOrphans(ctx),
	)
}

// purge deletes all that is older than keep; 0 keeps it for ever.
func (d *Daemon) purge(ctx context.Context, keep time.Duration, limit int, purge func(context.Context, time.Time, int) (int, error)) error {
	if keep == 0 {
		return nil
	}
	before := time.Now().Add(-keep)
	for {
		deleted, err := purge(ctx, before, limit)
		if err != nil || deleted < limit {
			return err
		}
	}
}

func (d *Daemon) dropMonths(ctx context.Context, keep time.Duration) error {
	if keep == 0 {
		return nil
	}
	dropped, err := d.Store.DropMonths(ctx, time.Now().Add(-keep))
	if len(dropped) > 0 {
		d.Log.Info("dropped old months of the event log", "tables", dropped)
	}
	return err
}

func (d *Daemon) deleteComputeLogs(ctx context.Context, keep time.Duration) error {
	if keep == 0 || d.ComputeLogs == nil {
		return nil
	}
	_, err := d.ComputeLogs.DeleteBefore(ctx, time.Now().Add(-keep))
	return err
}

// noteSuperseded finds the values that were replaced longer than keep ago. Workers of their location remove them: only
// they have the IO managers.
func (d *Daemon) noteSuperseded(ctx context.Context, keep time.Duration) error {
	if keep == 0 {
		return nil
	}
	for {
		read, err := d.Store.NoteSuperseded(ctx, keep, batch)
		if err != nil || read < batch {
			return err
		}
	}
}

func (d *Daemon) freeOrphans(ctx context.Context) error {
	for {
		freed, err := d.Store.FreeOrphans(ctx, batch)
		if err != nil || freed < batch {
			return err
		}
	}
}
