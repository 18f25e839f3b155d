package daemon

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// endOverdue ends the runs that have not begun, not stopped, or not ended in time.
func (d *Daemon) endOverdue(ctx context.Context) error {
	limits := metadata.OverdueLimits{Start: d.Limits.StartTimeout, Cancel: d.Limits.CancelTimeout}
	if limits == (metadata.OverdueLimits{}) {
		return nil
	}
	overdue, err := d.Store.OverdueRuns(ctx, limits, listPage)
	if err != nil {
		return err
	}
	ids, byID := make([]string, len(overdue)), map[string]metadata.Run{}
	for i, run := range overdue {
		ids[i], byID[run.ID] = run.ID, run
	}
	return d.each(ctx, ids, func(ctx context.Context, id string) error {
		status, reason := d.verdict(byID[id])
		ended, err := d.Starter.ForceEnd(ctx, byID[id], status, reason)
		if ended {
			d.Log.Warn("ended a run that was overdue", "run", id, "status", status, "reason", reason)
		}
		return err
	})
}

// verdict is how and why an overdue run ends.
func (d *Daemon) verdict(run metadata.Run) (wire.RunStatus, string) {
	tooLong := wire.TooLong(run.Timeout)
	switch {
	case run.Status == wire.RunStarting:
		reason := fmt.Sprintf("it did not begin within %s (run.start_timeout)", d.Limits.StartTimeout)
		if run.Reason != "" {
			reason += ": " + run.Reason
		}
		return wire.RunFailure, reason
	case run.Status == wire.RunCanceling && run.Reason != tooLong:
		reason := fmt.Sprintf("it was cancelled, and had not stopped %s later (run.cancel_timeout)", d.Limits.CancelTimeout)
		if run.Reason != "" {
			reason = run.Reason + ": " + reason
		}
		return wire.RunCanceled, reason
	default:
		return wire.RunFailure, fmt.Sprintf("%s, and had not stopped %s later (run.cancel_timeout)", tooLong, d.Limits.CancelTimeout)
	}
}
