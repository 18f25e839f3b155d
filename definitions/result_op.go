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
// the fan that [Map] returns. What ran for several partitions is read with InPartition.
func (v *Value[T]) In(r *Result) (T, error) { return v.inStep(r, nil) }

// InPartition is as In, of a partition.
func (v *Value[T]) InPartition(r *Result, key string) (T, error) { return v.inStep(r, &key) }

// inStep reads the value of the op's only step, or of that of a partition.
func (v *Value[T]) inStep(r *Result, partition *string) (T, error) {
	var value T
	n := v.op()
	switch {
	case n == nil:
		return value, errors.New("the op's handle was never declared")
	case v.out.kind == needCollect:
		return v.readAll(r, partition)
	case v.out.kind == needElement || n.over != nil:
		return value, fmt.Errorf("op %q runs once for each element of %q: read the fan that Map returns", n.name, n.fan().name)
	}
	c, number, err := r.ran(n, partition)
	switch {
	case err != nil:
	case len(c.outs) > 0:
		err = r.read(c.outs[0], r.plan.Steps[number].Partition, &value)
	case n.noValue() && r.progress.Status(number) == wire.StepSuccess:
	default:
		err = r.readValue(number, &value)
	}
	if err != nil {
		return value, fmt.Errorf("op %q has no value: %w", n.name, err)
	}
	return value, nil
}

// In is what the fan gave in the result of [RunJob], or of [Materialize] when one graph asset is made of it, by key. What
// failed or was not emitted is not in it; an error says why there is nothing. What ran for several partitions is read with
// InPartition.
func (f *Fan[T]) In(r *Result) (map[string]T, error) { return f.inStep(r, nil) }

// InPartition is as In, of a partition.
func (f *Fan[T]) InPartition(r *Result, key string) (map[string]T, error) { return f.inStep(r, &key) }

func (f *Fan[T]) inStep(r *Result, partition *string) (map[string]T, error) {
	n := f.op()
	if n == nil {
		return nil, errors.New("the fan's handle was never declared")
	}
	values, keys, err := readFan[T](r, n, partition)
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
func readFan[T any](r *Result, n *node, partition *string) (values []T, keys []string, err error) {
	_, number, err := r.ran(n, partition)
	if err == nil && !n.noValue() {
		for _, stored := range r.ledger.stored(r.plan.Steps[number].Key) {
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

func (r *Result) readValue(number int, into any) error {
	stored := r.ledger.stored(r.plan.Steps[number].Key)
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

// ran is the step that ran an op: the only one, or that of a partition.
func (r *Result) ran(n *node, partition *string) (c *compute, number int, err error) {
	if r.refused != nil {
		return nil, 0, r.refused
	}
	for _, one := range r.definitions.computes {
		if one.node != n {
			continue
		}
		for found := range r.plan.Steps {
			planned := &r.plan.Steps[found]
			switch {
			case planned.Type != one.name || partition != nil && planned.Partition != *partition:
			case c == one:
				return nil, 0, errors.New("it ran for several partitions: read each with InPartition")
			case c != nil:
				return nil, 0, fmt.Errorf("it ran as %q and as %q: ask for one of the two", c.name, one.name)
			default:
				c, number = one, found
			}
		}
	}
	if c == nil {
		return nil, 0, errors.New("it did not run")
	}
	return c, number, nil
}

// OpStatus is how an op's step ended: SUCCESS, FAILED, SKIPPED, UPSTREAM_FAILED or CANCELED; of one that runs once for
// each element of a fan, whether that began, and of several partitions "": see [Result.StepStatus] for each. It is "" when there
// was no step.
func (r *Result) OpStatus(op AnyValue) wire.StepStatus {
	n := opOf(op)
	if n == nil {
		return ""
	}
	_, number, err := r.ran(n, nil)
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
