package definitions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/internal/step"
)

// Remover is an [IOManager] that can remove values that nothing needs any more: Perdure removes what a later
// materialization replaced, after a grace of a day (the instance's retention.superseded_values). Without it they stay.
type Remover interface {
	// Remove removes the value of a slot; its Location is what Stage's handle gave. What is already gone is no error.
	Remove(ctx Context, at Slot) error
}

// Settler is an [IOManager] that has something to do once a value is recorded as an asset's current one, such as to
// keep a copy under a fixed name for readers outside.
type Settler interface {
	// Settle is told of a recorded value, and now and then of the current one again: what was missed is made up for. It may
	// be called late, so that a slot with a smaller Token than one it was told of before changes nothing.
	Settle(ctx Context, at Slot) error
}

// ErrNotRemovable says that an IO manager removes nothing, or that this location has none for the value.
var ErrNotRemovable = errors.New("the stored value cannot be removed")

// Remove removes a stored value that nothing needs any more: an asset's, or the output of an op's step. The error wraps
// [ErrNotRemovable] when no IO manager of this location can.
func (r *Runtime) Remove(ctx context.Context, at Slot) error {
	manager, s, err := r.managerOf(ctx, at)
	if err != nil {
		return fmt.Errorf("remove %s: %w", at, err)
	}
	remover, ok := manager.(Remover)
	if !ok {
		return fmt.Errorf("remove %s: %w: its IO manager has no method Remove", at, ErrNotRemovable)
	}
	if err := guarded(func() error { return remover.Remove(s.context, at) }); err != nil {
		return fmt.Errorf("remove %s: %w", at, err)
	}
	return nil
}

// Settle tells an asset's IO manager of its current value, if it wants to hear that.
func (r *Runtime) Settle(ctx context.Context, at Slot) error {
	manager, s, err := r.managerOf(ctx, at)
	if errors.Is(err, ErrNotRemovable) {
		return nil
	}
	if err == nil {
		err = settle(s.context, manager, at)
	}
	if err != nil {
		return fmt.Errorf("settle %s: %w", at, err)
	}
	return nil
}

func settle(context Context, manager IOManager, at Slot) error {
	settler, ok := manager.(Settler)
	if !ok {
		return nil
	}
	return guarded(func() error { return settler.Settle(context, at) })
}

// settle is what a step does once its value is recorded.
func (r *Runtime) settle(c *compute, attempt *step.Attempt, slot step.Slot) error {
	k, ok := c.keptIn(slot)
	if !ok || k.nothing {
		return nil
	}
	context := contextOf(attempt)
	manager, err := newScope(r, c, attempt, context).manager(k)
	if err != nil {
		return err
	}
	return settle(context, manager, Slot(slot))
}

// managerOf is the IO manager that stores a slot. The default storage keeps what is not defined here any more.
func (r *Runtime) managerOf(ctx context.Context, at Slot) (IOManager, *scope, error) {
	s := &scope{context: newContext(ctx, r.environment.Log, RunInfo{ID: at.Run, Attempt: 1}), runtime: r}
	for _, c := range r.computes {
		if at.Asset == "" && c.name != computeOf(at.Step) {
			continue
		}
		k, ok := c.keptIn(step.Slot(at))
		if !ok {
			continue
		}
		if k.nothing {
			return nil, nil, fmt.Errorf("%w: nothing is stored for it", ErrNotRemovable)
		}
		manager, err := s.manager(k)
		return manager, s, err
	}
	if r.environment.Storage == nil {
		return nil, nil, fmt.Errorf("%w: this location does not define it", ErrNotRemovable)
	}
	return r.environment.Storage, s, nil
}

// computeOf is the name of the compute whose step has that key: of several partitions it goes on with "@" and the partition, and a
// mapped one's ends with its key in brackets.
func computeOf(step string) string {
	if end := strings.IndexAny(step, "@["); end >= 0 {
		return step[:end]
	}
	return step
}
