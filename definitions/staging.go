package definitions

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/perdure-io/perdure/internal/step"
)

func (r *Runtime) stage(c *compute, attempt *step.Attempt, slot step.Slot, value any) (step.Staged, error) {
	k, ok := c.keptIn(slot)
	if !ok {
		return nil, errors.New("this location does not declare it: was the step planned by another build?")
	}
	if elsewhere, stored := value.(storedElsewhere); stored {
		return elsewhere, nil
	}
	if k.nothing {
		return nothingStaged{}, nil
	}
	context := contextOf(attempt)
	manager, err := newScope(r, c, attempt, context).manager(k)
	if err != nil {
		return nil, err
	}
	handle := &staged{context: context}
	err = guarded(func() (err error) {
		handle.staged, err = manager.Stage(context, Slot(slot), value)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case handle.staged == nil:
		return nil, fmt.Errorf("its IO manager (%v) returned neither a staged value nor an error", reflect.TypeOf(manager))
	}
	return handle, handOver(attempt, context.Reported())
}

func (r *Runtime) resume(c *compute, attempt *step.Attempt, slot step.Slot, location string) (step.Staged, error) {
	k, ok := c.keptIn(slot)
	if !ok {
		return nil, step.ErrNotResumable
	}
	if k.nothing {
		return nothingStaged{}, nil
	}
	context := contextOf(attempt)
	manager, err := newScope(r, c, attempt, context).manager(k)
	if err != nil {
		return nil, err
	}
	resumer, ok := manager.(Resumer)
	if !ok {
		return nil, step.ErrNotResumable
	}
	handle := &staged{context: context}
	err = guarded(func() (err error) {
		handle.staged, err = resumer.Resume(context, Slot(slot), location)
		return err
	})
	if errors.Is(err, ErrNotStored) || err == nil && handle.staged == nil {
		return nil, step.ErrNotResumable
	}
	return handle, err
}

// staged is a user's staged value as the step runner knows it.
type staged struct {
	context *stepContext
	staged  Staged
}

func (s *staged) Location() string { return s.staged.Location() }

func (s *staged) Publish(ctx context.Context) error {
	return guarded(func() error { return s.staged.Publish(s.with(ctx)) })
}

func (s *staged) Discard(ctx context.Context) error {
	return guarded(func() error { return s.staged.Discard(s.with(ctx)) })
}

func (s *staged) with(ctx context.Context) Context {
	return newContext(ctx, s.context.log, s.context.run)
}

// nothingStaged is the value of an asset of Nothing.
type nothingStaged struct{}

func (nothingStaged) Location() string              { return "" }
func (nothingStaged) Publish(context.Context) error { return nil }
func (nothingStaged) Discard(context.Context) error { return nil }
