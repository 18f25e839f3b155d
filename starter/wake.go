package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

const (
	// wakesAtOnce is how many workflows are woken at a time.
	wakesAtOnce = 8
	// wakeTime bounds one wake. One that does not reach its workflow is made up for by the daemon.
	wakeTime = 30 * time.Second
	// lastWakes is how long a program that ends waits for the wakes that it owes.
	lastWakes = 2 * time.Second
)

// Waker wakes the listeners and runs that a store's calls name, in the background: no call waits for it. While one waits to be
// woken, another wake of it is the same one.
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

// NewWaker has those woken that the store's calls name, from now on. Close it before the client.
func NewWaker(temporal client.Client, store *metadata.Store, log *slog.Logger) *Waker {
	w := &Waker{temporal: temporal, log: log, owed: map[string]metadata.Wake{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	store.OnWake(w.Wake)
	return w
}

// Wake has workflows woken soon. It waits for nothing.
func (w *Waker) Wake(workflows []metadata.Wake) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.closed {
		return // the daemon will find them
	}
	for _, wake := range workflows {
		if owed, twice := w.owed[wake.ID]; twice {
			if wake.Admitted != nil && owed.Admitted != nil {
				w.owed[wake.ID] = bothAdmitted(owed, wake)
			}
			continue
		}
		w.owed[wake.ID] = wake
		if w.busy < wakesAtOnce {
			w.busy++
			w.ended.Go(w.work)
		}
	}
}

// bothAdmitted is one wake for two of the same run. One that names no steps has the run ask for everything.
func bothAdmitted(one, other metadata.Wake) metadata.Wake {
	if len(one.Admitted.Steps) == 0 || len(other.Admitted.Steps) == 0 {
		one.Admitted = &wire.AdmittedInput{}
	} else {
		one.Admitted = &wire.AdmittedInput{Steps: slices.Concat(one.Admitted.Steps, other.Admitted.Steps)}
	}
	return one
}

// work wakes until nobody waits for it.
func (w *Waker) work() {
	for {
		woken, ok := w.next()
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(w.ctx, wakeTime)
		err := WakeWorkflow(ctx, w.temporal, woken)
		cancel()
		if err != nil && !errors.Is(err, ErrNobodyToWake) {
			w.log.Warn("a workflow was not woken; the daemon wakes it again in a few seconds", "workflow", woken.ID, "error", err)
		}
	}
}

// next takes one that waits to be woken. One that is named from here on is woken once more.
func (w *Waker) next() (metadata.Wake, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for id, wake := range w.owed {
		delete(w.owed, id)
		return wake, true
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

// ErrNobodyToWake says that a workflow that is to be woken has ended, and that nothing is started in its place.
var ErrNobodyToWake = errors.New("the workflow has ended")

// WakeWorkflow tells a workflow that it has something to read in the event log, or a run that it has got what it waits for. One that
// is not there is started, if the wake says what; else the error is [ErrNobodyToWake].
func WakeWorkflow(ctx context.Context, temporal client.Client, wake metadata.Wake) error {
	var err error
	switch {
	case wake.Admitted != nil:
		err = temporal.SignalWorkflow(ctx, wake.ID, "", wire.AdmittedSignal, wake.Admitted)
	case wake.Workflow != "":
		_, err = temporal.SignalWithStartWorkflow(ctx, wake.ID, wire.WakeSignal, struct{}{},
			client.StartWorkflowOptions{TaskQueue: wake.Queue}, wake.Workflow, struct{}{})
	default:
		err = temporal.SignalWorkflow(ctx, wake.ID, "", wire.WakeSignal, struct{}{})
	}
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone && wake.Workflow == "" {
		return fmt.Errorf("wake %q: %w", wake.ID, ErrNobodyToWake)
	}
	if err != nil {
		return fmt.Errorf("wake %q: %w", wake.ID, err)
	}
	return nil
}

// WakeRunQueue is the wake of the deployment's run queue, which begins with it: something waits.
func WakeRunQueue(deployment string) metadata.Wake {
	return metadata.Wake{ID: wire.RunQueueID(deployment), Workflow: wire.RunQueueWorkflow, Queue: wire.SystemQueue(deployment)}
}
