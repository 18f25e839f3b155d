package definitions

import (
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// In is what the op gave in the result of [RunJob], or of [Materialize] when one graph asset is made of it; of a
// [Collect] all of the fan. An error says why there is nothing. What runs once for each element of a fan is read through
// the fan that [Map] returns.
func (v *Value[T]) In(r *Result) (T, error) {
	var value T
	n := v.op()
	switch {
	case n == nil:
		return value, errors.New("the op's handle was never declared")
	case v.out.kind == needCollect:
		return v.readAll(r)
	case v.out.kind == needElement || n.over != nil:
		return value, fmt.Errorf("op %q runs once for each element of %q: read the fan that Map returns", n.name, n.fan().name)
	}
	c, number, err := r.ran(n)
	switch {
	case err != nil:
	case len(c.outs) > 0:
		err = r.read(c.outs[0], r.plan.Steps[number].Partition, &value)
	case n.noValue() && r.progress.Status(number) == wire.StepSuccess:
	default:
		err = r.readValue(c, number, &value)
	}
	if err != nil {
		return value, fmt.Errorf("op %q has no value: %w", n.name, err)
	}
	return value, nil
}

// In is what the fan gave in the result of [RunJob], or of [Materialize] when one graph asset is made of it, by key. What
// failed or was not emitted is not in it; an error says why there is nothing.
func (f *Fan[T]) In(r *Result) (map[string]T, error) {
	n := f.op()
	if n == nil {
		return nil, errors.New("the fan's handle was never declared")
	}
	values, keys, err := readFan[T](r, n)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]T, len(values))
	for i, key := range keys {
		byKey[key] = values[i]
	}
	return byKey, nil
}

// readFan reads all of a fan, in the order of emission.
func readFan[T any](r *Result, n *node) (values []T, keys []string, err error) {
	c, number, err := r.ran(n)
	if err == nil && !n.noValue() {
		for _, stored := range r.ledger.stored(c.name) {
			var value T
			if err = r.memory.Load(nil, Slot(step.ValueSlot(stored)), &value); err != nil {
				break
			}
			key := stored.Key
			if _, mapped, ok := plan.SplitMappedKey(stored.Step); ok {
				key = mapped
			}
			values, keys = append(values, value), append(keys, key)
		}
	}
	if err == nil && len(values) == 0 && r.progress.Status(number) != wire.StepSuccess {
		err = r.ended(number)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("op %q has no values: %w", n.name, err)
	}
	return values, keys, nil
}

func (r *Result) readValue(c *compute, number int, into any) error {
	stored := r.ledger.stored(c.name)
	switch {
	case len(stored) > 0:
		return r.memory.Load(nil, Slot(step.ValueSlot(stored[0])), into)
	case r.progress.Status(number) == wire.StepSuccess:
		return errors.New("it gave nothing")
	default:
		return r.ended(number)
	}
}

// ended says how a step ended that gave nothing.
func (r *Result) ended(number int) error {
	if err := r.failures[number]; err != nil {
		return err
	}
	return fmt.Errorf("its step ended as %s", r.progress.Status(number))
}

// ran is the step that ran an op.
func (r *Result) ran(n *node) (c *compute, number int, err error) {
	if r.refused != nil {
		return nil, 0, r.refused
	}
	for _, one := range r.definitions.computes {
		if one.node != n {
			continue
		}
		found, planned := r.progress.Find(one.name)
		switch {
		case !planned:
		case c != nil:
			return nil, 0, fmt.Errorf("it ran as %q and as %q: ask for one of the two", c.name, one.name)
		default:
			c, number = one, found
		}
	}
	if c == nil {
		return nil, 0, errors.New("it did not run")
	}
	return c, number, nil
}

// OpStatus is how an op's step ended: SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED or CANCELED; of one that runs once for
// each element of a fan, whether that began: see [Result.StepStatus] for each. It is "" when there was no step.
func (r *Result) OpStatus(op AnyValue) wire.StepStatus {
	n := opOf(op)
	if n == nil {
		return ""
	}
	_, number, err := r.ran(n)
	if err != nil {
		return ""
	}
	return r.progress.Status(number)
}

// StepStatus is how the step of a key ended, as it is called in a real run: "route_delays", "etl.clean",
// "etl.clean[page_3]". It is "" when there was no such step.
func (r *Result) StepStatus(key string) wire.StepStatus {
	if r.progress == nil {
		return ""
	}
	number, ok := r.progress.Find(key)
	if !ok {
		return ""
	}
	return r.progress.Status(number)
}
