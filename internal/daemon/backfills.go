package daemon

import (
	"context"
	"errors"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// endClosedBackfills ends the backfills whose workflow closed and left their row open: first their runs are cancelled, and
// in a later round, when these have ended, they are.
func (d *Daemon) endClosedBackfills(ctx context.Context) error {
	open := metadata.BackfillFilter{Statuses: []wire.BackfillStatus{wire.BackfillRequested, wire.BackfillCanceling, wire.BackfillFailing}}
	var failures []error
	for cursor := ""; ; {
		page, err := d.Store.Backfills(ctx, open, cursor, listPage)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		ids := make([]string, len(page.Rows))
		for i, row := range page.Rows {
			ids[i] = row.ID
		}
		failures = append(failures, d.each(ctx, ids, d.endBackfill))
		if cursor = page.Next; cursor == "" {
			return errors.Join(failures...)
		}
	}
}

func (d *Daemon) endBackfill(ctx context.Context, id string) error {
	status, ended, err := d.Starter.EndDeadBackfill(ctx, id)
	if err == nil && ended {
		d.Log.Info("ended a backfill whose workflow was closed", "backfill", id, "status", status)
	}
	return err
}
