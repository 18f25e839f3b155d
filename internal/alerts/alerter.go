package alerts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
)

const (
	leaseName = "alerts"
	// leaseTime is for how long one that dies keeps the others from taking over.
	leaseTime = 30 * time.Second
	// roundEvery is how often the log is looked at, and what is due is sent.
	roundEvery = 2 * time.Second
	// roundTime bounds the looking, so that the lease is prolonged in time.
	roundTime = 15 * time.Second
	// sendTimeout bounds one attempt to tell a sink.
	sendTimeout = 10 * time.Second
)

// Options are what an Alerter needs; all are required.
type Options struct {
	Store    *metadata.Store
	Settings config.Alerts
	// Temporal and Deployment are for links and names.
	Temporal   config.Temporal
	Deployment string
	// Lookup reads the environment: the secrets that sinks name.
	Lookup func(name string) (value string, set bool)
	Log    *slog.Logger
}

// Alerter tells sinks of failures. Any number may run; at each time one of them does the work.
type Alerter struct {
	Options
	sinks []*sink

	sending sync.WaitGroup
	mutex   sync.Mutex
	busy    map[string]bool
}

// New makes an Alerter. The error lists what is wrong with the sinks' templates.
func New(options Options) (*Alerter, error) {
	a := &Alerter{Options: options, busy: map[string]bool{}}
	var problems []error
	for _, settings := range options.Settings.Sinks {
		s, err := newSink(settings, options.Lookup)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		a.sinks = append(a.sinks, s)
	}
	return a, errors.Join(problems...)
}

// Test tells one sink of a sample, now and past the database. Its error says no secret.
func (a *Alerter) Test(ctx context.Context, name string, kind Kind) error {
	for _, s := range a.sinks {
		if s.Name == name {
			ctx, cancel := context.WithTimeout(ctx, sendTimeout)
			defer cancel()
			sample := Sample(kind, time.Now())
			sample.Deployment = a.Deployment
			return s.tell(ctx, sample)
		}
	}
	return fmt.Errorf("no sink is called %q", name)
}

// Run works until ctx ends: while another one does the work it waits to take over. What fails is logged, and done again in the
// next round.
func (a *Alerter) Run(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this sender of alerts: %w", err)
	}
	holder := fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:6])
	ticker := time.NewTicker(roundEvery)
	defer ticker.Stop()
	var head *metadata.AlertHead // nil while another one does the work
	for {
		lease, err := a.Store.TakeLease(ctx, leaseName, holder, leaseTime)
		if err != nil || !lease.Held {
			head = nil
		} else {
			head, err = a.round(ctx, head)
		}
		if err != nil && ctx.Err() == nil {
			a.Log.Warn("looking for what is to be told failed, the next round tries again", "error", err)
		}
		if head != nil && len(a.sinks) == 0 {
			// What was to be forgotten is; until the configuration has sinks there is nothing to do.
			<-ctx.Done()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return a.release(context.WithoutCancel(ctx), holder)
		}
	}
}

func (a *Alerter) release(ctx context.Context, holder string) error {
	a.sending.Wait() // at most as long as an attempt takes
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := a.Store.ReleaseLease(ctx, leaseName, holder); err != nil {
		return fmt.Errorf("give the lease of alerts back: %w", err)
	}
	return nil
}

// round looks for what is to be told, and begins to send what is due. It returns how far the log is read; nil is that this has to
// be looked up again.
func (a *Alerter) round(ctx context.Context, head *metadata.AlertHead) (*metadata.AlertHead, error) {
	bounded, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	if head == nil {
		names := make([]string, len(a.sinks))
		for i, s := range a.sinks {
			names[i] = s.Name
		}
		begun, err := a.Store.BeginAlerts(bounded, names)
		if err != nil {
			return nil, err
		}
		head = &begun
	}
	if len(a.sinks) == 0 {
		return head, nil
	}
	position, err := a.gather(bounded, *head)
	switch {
	case errors.Is(err, metadata.ErrConflict):
		head = nil
	case err == nil:
		head.Position = position
	}
	a.sendDue(ctx)
	return head, err
}

// sendDue sends what is due, each sink's alerts beside those of the others: one that hangs holds up no other, and not the round.
func (a *Alerter) sendDue(ctx context.Context) {
	for _, s := range a.sinks {
		a.mutex.Lock()
		busy := a.busy[s.Name]
		a.busy[s.Name] = true
		a.mutex.Unlock()
		if busy {
			continue
		}
		a.sending.Go(func() {
			defer func() {
				a.mutex.Lock()
				defer a.mutex.Unlock()
				a.busy[s.Name] = false
			}()
			if err := a.deliver(ctx, s); err != nil && ctx.Err() == nil {
				a.Log.Warn("sending alerts failed, the next round tries again", "sink", s.Name, "error", err)
			}
		})
	}
}

// hash is a short name of a text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(hex.EncodeToString(sum[:16]))
}
