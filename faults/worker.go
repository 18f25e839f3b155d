//go:build unix

package main

import (
	"context"
	"errors"
	"sync"

	"github.com/perdure-io/perdure/internal/testlocation"
)

// kept is a worker or a daemon that is started again whenever it ends, as a container platform would.
type kept struct {
	// begin starts one.
	begin func(context.Context) (*testlocation.Worker, error)

	mu       sync.Mutex
	current  *testlocation.Worker
	stopping bool
	done     chan struct{} // closed when nobody starts it again
	failed   error
}

// build is the one build of the marathon.
const build = "marathon"

func keep(ctx context.Context, begin func(context.Context) (*testlocation.Worker, error)) (*kept, error) {
	k := &kept{begin: begin, done: make(chan struct{})}
	if err := k.start(ctx); err != nil {
		return nil, err
	}
	go k.look(context.WithoutCancel(ctx))
	return k, nil
}

// start starts it, unless it is to stop.
func (k *kept) start(ctx context.Context) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopping {
		return nil
	}
	k.current, err = k.begin(ctx)
	return err
}

func (k *kept) look(ctx context.Context) {
	defer close(k.done)
	for {
		<-k.worker().Ended()
		k.mu.Lock()
		stopping := k.stopping
		k.mu.Unlock()
		if stopping {
			return
		}
		if k.failed = k.start(ctx); k.failed != nil {
			return
		}
	}
}

func (k *kept) worker() *testlocation.Worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// isOne says whether a process is the worker, as it was started last.
func (k *kept) isOne(id int) bool { return k.worker().ID() == id }

func (k *kept) kill() error      { return k.worker().Kill() }
func (k *kept) terminate() error { return k.worker().Terminate() }
func (k *kept) freeze() error    { return k.worker().Freeze() }
func (k *kept) thaw() error      { return k.worker().Thaw() }

// awaitServing waits for one that serves, whichever start it is.
func (k *kept) awaitServing(ctx context.Context) error {
	for {
		w := k.worker()
		err := w.AwaitServing(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-w.Ended():
			// It could not reach a server; the next one may.
		default:
			return err
		}
		select {
		case <-k.done:
			return errors.Join(err, k.failed)
		default:
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (k *kept) stop() error {
	k.mu.Lock()
	k.stopping = true
	k.mu.Unlock()
	err := k.worker().Kill()
	<-k.done
	return errors.Join(err, k.failed)
}
