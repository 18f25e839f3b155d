package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

const (
	// wakesAtOnce is how many listeners are woken at a time.
	wakesAtOnce = 8
	// wakeTime bounds one wake. One that does not reach its workflow is made up for by the daemon.
	wakeTime = 5 * time.Second
	// lastWakes is how long a program that ends waits for the wakes that it owes.
	lastWakes = 2 * time.Second
)

// Waker wakes the listeners that a store's calls name, in the background: no call waits for it. While a listener waits to be woken,
// another wake of it is the same one.
type Waker struct {
	temporal client.Client
	log      *slog.Logger

	ctx  context.Context //nolint:containedctx // wakes outlive the calls that ask for them
	stop context.CancelFunc

	mutex  sync.Mutex
	owed   map[string]metadata.Wake
	busy   int
	closed bool
	ended  sync.WaitGroup
}

// NewWaker has the listeners woken that the store's calls name, from now on. Close it before the client.
func NewWaker(temporal client.Client, store *metadata.Store, log *slog.Logger) *Waker {
	w := &Waker{temporal: temporal, log: log, owed: map[string]metadata.Wake{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	store.OnWake(w.Wake)
	return w
}

// Wake has listeners woken soon. It waits for nothing.
func (w *Waker) Wake(listeners []metadata.Wake) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.closed {
		return // the daemon will find them
	}
	for _, listener := range listeners {
		if _, owed := w.owed[listener.ID]; owed {
			continue
		}
		w.owed[listener.ID] = listener
		if w.busy < wakesAtOnce {
			w.busy++
			w.ended.Go(w.work)
		}
	}
}

// work wakes until nobody waits for it.
func (w *Waker) work() {
	for {
		listener, ok := w.next()
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(w.ctx, wakeTime)
		err := WakeListener(ctx, w.temporal, listener)
		cancel()
		if err != nil {
			w.log.Warn("a listener was not woken; the daemon wakes it again in a few seconds", "listener", listener.ID, "error", err)
		}
	}
}

// next takes a listener that waits to be woken. One that is named from here on is woken once more.
func (w *Waker) next() (metadata.Wake, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for id, listener := range w.owed {
		delete(w.owed, id)
		return listener, true
	}
	w.busy--
	return metadata.Wake{}, false
}

// Close waits a moment for the wakes that are owed, and wakes nobody from then on.
func (w *Waker) Close() {
	w.mutex.Lock()
	w.closed = true
	w.mutex.Unlock()
	late := time.AfterFunc(lastWakes, w.stop)
	w.ended.Wait()
	late.Stop()
	w.stop()
}

// WakeListener tells a workflow that it has something to read in the event log. One that is not there is started, if the listener
// says what; else there is nobody to tell.
func WakeListener(ctx context.Context, temporal client.Client, listener metadata.Wake) error {
	var err error
	if listener.Workflow != "" {
		_, err = temporal.SignalWithStartWorkflow(ctx, listener.ID, wire.WakeSignal, struct{}{},
			client.StartWorkflowOptions{TaskQueue: listener.Queue}, listener.Workflow, struct{}{})
	} else {
		err = temporal.SignalWorkflow(ctx, listener.ID, "", wire.WakeSignal, struct{}{})
		if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("wake %q: %w", listener.ID, err)
	}
	return nil
}
