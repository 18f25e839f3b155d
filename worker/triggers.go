package worker

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/perdure-io/perdure/starter"
)

const (
	// triggersLease is for how long a worker that dies keeps the others of its location from bringing Temporal in step;
	// the one that lives prolongs it with every look.
	triggersLease = 30 * time.Second
	// triggersEvery is how often what people do in Temporal is looked for, definitionsEvery how often whether another build is active.
	triggersEvery    = 10 * time.Second
	definitionsEvery = 2 * time.Second
	// triggersTimeout bounds one look.
	triggersTimeout = 20 * time.Second
)

// tendTriggers keeps Temporal in step with the schedules and sensors of the location's active build, until ctx ends. One of the
// location's workers does it at a time, whatever its own build is.
func (w *Worker) tendTriggers(ctx context.Context) {
	t := &triggerTender{Worker: w, name: "triggers:" + w.location, holder: w.identity() + ":" + rand.Text()[:6], starter: w.starter()}
	ticker := time.NewTicker(definitionsEvery)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, triggersTimeout)
		err := t.look(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.log.Warn("Temporal is not in step with the schedules and sensors of the active build; the next look tries again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.release(context.WithoutCancel(ctx))
			return
		}
	}
}

type triggerTender struct {
	*Worker
	name, holder string
	starter      *starter.Starter
	// hash is that of the snapshot that Temporal is in step with, looked when that was; held says that the lease is.
	hash   string
	looked time.Time
	asked  time.Time
	held   bool
}

// look takes the lease when it is free, and brings Temporal in step when it is time, or when another build is active.
func (t *triggerTender) look(ctx context.Context) error {
	if time.Since(t.asked) >= triggersEvery || !t.held {
		lease, err := t.store.TakeLease(ctx, t.name, t.holder, triggersLease)
		if t.held = err == nil && lease.Held; !t.held {
			return err
		}
		t.asked = time.Now()
	}
	_, hash, _, err := t.store.ActiveSnapshot(ctx, t.location)
	if err != nil || hash == t.hash && time.Since(t.looked) < triggersEvery {
		return err
	}
	t.looked = time.Now()
	synced, err := t.starter.SyncTriggers(ctx, t.location)
	if err == nil && synced.Hash != t.hash {
		t.hash = synced.Hash
		t.log.Info("Temporal is in step with the schedules and sensors of the active build", "location", t.location)
	}
	return err
}

// release lets another worker take over at once.
func (t *triggerTender) release(ctx context.Context) {
	if !t.held {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := t.store.ReleaseLease(ctx, t.name, t.holder); err != nil {
		t.log.Warn("the lease of the schedules and sensors was not given back; it ends by itself", "error", err)
	}
}
