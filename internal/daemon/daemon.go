package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
)

const (
	leaseName = "daemon"
	// leaseTime is for how long a daemon that dies keeps the others from taking over; the one that lives prolongs it with
	// every round.
	leaseTime = 30 * time.Second
	// roundEvery is how often Temporal is asked what closed, where Every does not say it.
	roundEvery = 10 * time.Second
	// searchEvery is how often all open rows are looked at, whatever Temporal's lists say of them.
	searchEvery = 10 * time.Minute
	// roundTime bounds a round, so that the lease is prolonged in time.
	roundTime = 15 * time.Second
	// keepEvery is how often what is old is deleted, keepAfter how soon after the start that begins.
	keepEvery = time.Hour
	keepAfter = time.Minute
)

// Daemon is one of an instance's daemons. All fields but ComputeLogs and Limits are required.
type Daemon struct {
	Temporal client.Client
	Store    *metadata.Store
	Starter  *starter.Starter
	// ComputeLogs is where what steps print is kept; nil keeps none to delete.
	ComputeLogs *computelog.Store
	Retention   config.Retention
	// Limits are those of runs, of which the daemon keeps StartTimeout and CancelTimeout.
	Limits config.Run
	Log    *slog.Logger
	// Every is how often Temporal is asked what closed, and what is overdue; 0 is 10 seconds.
	Every time.Duration
	// Namespace is Temporal's.
	Namespace string

	// lookedUntil is how far the list of closed workflows was read.
	lookedUntil time.Time
	searched    time.Time
	// retried are the failed runs of which was seen to that they are started again, with when they ended.
	retried map[string]time.Time
	// sensorsUntil is how far the list of closed workflows of sensors was read, restored are executions that were looked at.
	sensorsUntil time.Time
	restored     map[string]bool
}

// Run works until ctx ends: while another daemon of the instance does the work it waits to take over. What fails is
// logged, and done again in the next round.
func (d *Daemon) Run(ctx context.Context) error {
	holder, err := identity()
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	beside.Go(func() { d.keep(ctx) })
	beside.Go(func() { d.wake(ctx) })
	beside.Go(func() { d.serve(ctx) })
	defer beside.Wait()
	ticker := time.NewTicker(cmp.Or(d.Every, roundEvery))
	defer ticker.Stop()
	leading := false
	for {
		lease, err := d.Store.TakeLease(ctx, leaseName, holder, leaseTime)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			d.Log.Warn("the daemon's lease cannot be taken, the next round tries again", "error", err)
		case lease.Held && !leading:
			d.Log.Info("this daemon does the work")
		case !lease.Held && leading:
			d.Log.Info("another daemon has taken over", "holder", lease.Holder)
		}
		leading = err == nil && lease.Held
		if leading {
			d.round(ctx)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return d.release(context.WithoutCancel(ctx), leading, holder)
		}
	}
}

// release lets another daemon take over at once.
func (d *Daemon) release(ctx context.Context, leading bool, holder string) error {
	if !leading {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.Store.ReleaseLease(ctx, leaseName, holder); err != nil {
		return fmt.Errorf("give the daemon's lease back: %w", err)
	}
	return nil
}

// round does what is due. A part that fails keeps no other from being done.
func (d *Daemon) round(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	now := time.Now()
	d.do(bounded, "look for runs that closed without an end", d.endClosed)
	d.do(bounded, "look for runs that never began", d.noteUnbegun)
	d.do(bounded, "end runs that are overdue", d.endOverdue)
	d.do(bounded, "look for backfills that closed without an end", d.endClosedBackfills)
	d.do(bounded, "look for ticks of schedules that nobody works on", d.resumeTicks)
	d.do(bounded, "look for schedules that pause on failure", d.pauseFailed)
	d.do(bounded, "look whether somebody looks after the queue", d.lookAfterQueue)
	d.do(bounded, "look for sensors whose workflow was closed", d.restoreSensors)
	if now.Sub(d.searched) >= searchEvery && d.do(bounded, "look for sensors without a workflow", d.ensureSensors) &&
		d.do(bounded, "look at all open runs", d.search) {
		d.searched = now
	}
}

// keep deletes what is old, now and then. Several daemons that do it at once do not disturb each other.
func (d *Daemon) keep(ctx context.Context) {
	timer := time.NewTimer(keepAfter)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			d.do(ctx, "delete what is old", d.deleteOld)
			timer.Reset(keepEvery)
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) do(ctx context.Context, what string, part func(context.Context) error) bool {
	err := part(ctx)
	if err != nil && ctx.Err() == nil {
		d.Log.Warn("a part of the work failed, the next round tries again", "part", what, "error", err)
	}
	return err == nil
}

// identity names this process among the daemons.
func identity() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this daemon: %w", err)
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:6]), nil
}
