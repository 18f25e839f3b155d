package cli

import (
	"context"
	"log/slog"
	"sync"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/worker"
)

// owedWakes are the listeners that a command has to wake which needs Postgres alone: Temporal is dialled only for them.
type owedWakes struct {
	mutex sync.Mutex
	owed  []metadata.Wake
}

func owedBy(store *metadata.Store) *owedWakes {
	o := &owedWakes{}
	store.OnWake(func(listeners []metadata.Wake) {
		o.mutex.Lock()
		defer o.mutex.Unlock()
		o.owed = append(o.owed, listeners...)
	})
	return o
}

// pay wakes them. What fails of it the daemon makes up for: the command has done its work.
func (o *owedWakes) pay(ctx context.Context, settings config.Config) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if len(o.owed) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	temporal, err := worker.Dial(ctx, settings.Temporal, slog.New(slog.DiscardHandler))
	if err != nil {
		return
	}
	defer temporal.Close()
	for _, listener := range o.owed {
		_ = starter.WakeWorkflow(ctx, temporal, listener)
	}
	o.owed = nil
}
