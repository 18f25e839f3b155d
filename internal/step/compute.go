package step

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// compute runs the user's side in a goroutine of its own, so that a function which ignores its
// context holds neither the heartbeat nor the worker's slot for ever.
func (e *execution) compute(ctx context.Context) ([]Output, error) {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if limit := e.attempt.Plan.Timeout; limit > 0 {
		cause := fmt.Errorf("took longer than its timeout of %s", limit)
		bounded, cancel = context.WithTimeoutCause(ctx, limit, cause)
	}
	defer cancel()
	bounded, stop := e.watch(bounded)
	defer stop()
	// The function gets its own copy: one that is left behind may still write to it.
	inner := *e.attempt
	inner.Context = bounded

	type answer struct {
		outputs []Output
		err     error
		left    bool
	}
	answers := make(chan answer, 1)
	go func() {
		outputs, err := call(e.code, &inner)
		answers <- answer{outputs: outputs, err: err}
	}()
	var got answer
	select {
	case got = <-answers:
	case <-bounded.Done():
		if ctx.Err() != nil {
			// At once: a worker that stops may be gone before a function that ignores its context is given up.
			e.release(ctx, context.Cause(ctx))
		}
		select {
		case got = <-answers:
		case <-time.After(abandonAfter):
			got = answer{err: fmt.Errorf("did not stop within %s after its context ended: it is left behind", abandonAfter), left: true}
		}
	}
	if bounded.Err() != nil && ctx.Err() == nil {
		// The timeout holds even when the function ignored it and returned a value.
		return nil, errors.Join(context.Cause(bounded), got.err)
	}
	if !got.left {
		e.attempt.reported, e.attempt.dataVersion = inner.reported, inner.dataVersion
	}
	return got.outputs, got.err
}

// watch ends the context when the function has reported no progress for the stall timeout.
func (e *execution) watch(ctx context.Context) (watched context.Context, stop func()) {
	limit := e.attempt.Plan.StallTimeout
	if limit <= 0 {
		return ctx, func() {}
	}
	watched, cancel := context.WithCancelCause(ctx)
	e.live.move()
	var done sync.WaitGroup
	done.Go(func() {
		for {
			idle := e.live.idle()
			if idle >= limit {
				cancel(fmt.Errorf("reported no progress for its stall timeout of %s: it hangs, or it must call Progress more often", limit))
				return
			}
			select {
			case <-time.After(limit - idle):
			case <-watched.Done():
				return
			}
		}
	})
	return watched, func() { cancel(nil); done.Wait() }
}

func call(code *Code, attempt *Attempt) (outputs []Output, err error) {
	defer func() {
		if value := recover(); value != nil {
			outputs, err = nil, &panicError{value: value, stack: string(debug.Stack())}
		}
	}()
	return code.Compute(attempt)
}
