package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
)

const (
	// wakeEvery is how often is looked who was not woken: with unheardAfter the latency of an event whose wake was lost.
	wakeEvery    = 3 * time.Second
	unheardAfter = 3 * time.Second
	// wakeAgain is how soon a listener that stays dirty is woken once more: it may wait for its interval, or be busy.
	wakeAgain  = 30 * time.Second
	wakesTaken = 500
)

// wake wakes the listeners whose wake was lost: whoever committed was killed before it sent it, or Temporal was away. Every daemon
// does it, whoever has the lease: a listener is given to one of them.
func (d *Daemon) wake(ctx context.Context) {
	ticker := time.NewTicker(wakeEvery)
	defer ticker.Stop()
	for {
		d.do(ctx, "wake who was not woken", d.wakeUnheard)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) wakeUnheard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	unheard, err := d.Store.Unheard(ctx, unheardAfter, wakeAgain, wakesTaken)
	if err != nil || len(unheard) == 0 {
		return err
	}
	listeners := make(map[string]metadata.Wake, len(unheard))
	ids := make([]string, len(unheard))
	for i, listener := range unheard {
		listeners[listener.ID], ids[i] = listener, listener.ID
	}
	return d.each(ctx, ids, func(ctx context.Context, id string) error {
		switch err := starter.WakeWorkflow(ctx, d.Temporal, listeners[id]); {
		case err == nil:
			return nil
		case errors.Is(err, starter.ErrNobodyToWake):
			return d.Store.Unsubscribe(ctx, id) // it was terminated while it listened
		default:
			// It is tried again with the next tick, and not only after a while.
			return errors.Join(err, d.Store.Unwoken(context.WithoutCancel(ctx), []string{id}))
		}
	})
}
