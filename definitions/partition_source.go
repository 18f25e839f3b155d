package definitions

import (
	"errors"
	"fmt"
	"slices"
)

// Window is the span of time of the step's partition, or, in a [RangeAsset], of all its partitions. Where a [Grid] has the set
// as its one dimension, it is that dimension's. Bound by what is not partitioned by the set it is a problem.
func (p *TimePartitions) Window() Source[Window] {
	return newPartitionSource(p.set(), "Window", manyOrOne, func(of partitionsOfStep) (Window, error) {
		return p.def.window(of.keys)
	})
}

// Key is the key of the step's partition; of a [Grid] with the set as its one dimension, that dimension's. A [RangeAsset] takes
// [TimePartitions.Keys].
func (p *TimePartitions) Key() Source[string] { return keyOf(p.set()) }

// Keys are the keys of all partitions that the step makes, in the order of the set: several in a [RangeAsset].
func (p *TimePartitions) Keys() Source[[]string] { return keysOf(p.set()) }

// Key is as [TimePartitions.Key].
func (p *StaticPartitions) Key() Source[string] { return keyOf(p.set()) }

// Keys is as [TimePartitions.Keys].
func (p *StaticPartitions) Keys() Source[[]string] { return keysOf(p.set()) }

// Key is as [TimePartitions.Key].
func (p *DynamicPartitions) Key() Source[string] { return keyOf(p.set()) }

// Keys is as [TimePartitions.Keys].
func (p *DynamicPartitions) Keys() Source[[]string] { return keysOf(p.set()) }

// Key is the key of the step's partition, whole and in its parts. A part alone is the Key of the dimension's own set.
func (g *Grid) Key() Source[GridKey] {
	return newPartitionSource(g.set(), "Key", exactlyOne, func(of partitionsOfStep) (GridKey, error) {
		return GridKey{Key: of.keys[0], Parts: g.def.split(of.keys[0])}, nil
	})
}

// Keys are the keys of all partitions that the step makes: several in a [RangeAsset].
func (g *Grid) Keys() Source[[]GridKey] {
	return newPartitionSource(g.set(), "Keys", manyOrOne, func(of partitionsOfStep) ([]GridKey, error) {
		keys := make([]GridKey, len(of.keys))
		for i, key := range of.keys {
			keys[i] = GridKey{Key: key, Parts: g.def.split(key)}
		}
		return keys, nil
	})
}

func keyOf(set *partitionSet) Source[string] {
	return newPartitionSource(set, "Key", exactlyOne, func(of partitionsOfStep) (string, error) { return of.keys[0], nil })
}

func keysOf(set *partitionSet) Source[[]string] {
	return newPartitionSource(set, "Keys", manyOrOne, func(of partitionsOfStep) ([]string, error) { return of.keys, nil })
}

// howMany says for how many partitions a source is.
type howMany bool

const (
	exactlyOne howMany = false
	manyOrOne  howMany = true
)

// partitionsOfStep are the keys of a step's partitions in the set of a source, at least one.
type partitionsOfStep struct{ keys []string }

// partitionSource is what a step knows of its own partitions.
type partitionSource[T any] struct {
	set  *partitionSet
	name string
	many howMany
	get  func(partitionsOfStep) (T, error)
}

func newPartitionSource[T any](set *partitionSet, name string, many howMany, get func(partitionsOfStep) (T, error)) Source[T] {
	return &partitionSource[T]{set, name, many, get}
}

// partitionID is the identity of such a source: two of one set are the same.
type partitionID struct {
	set  *partitionSet
	name string
}

func (p *partitionSource[T]) carries(T) {}

func (p *partitionSource[T]) need() need {
	if p.set == nil {
		return invalidNeed("a parameter is bound to the "+p.name+" of partitions that were never declared",
			"declare them with Daily, Static, Dynamic or GridOf")
	}
	return need{kind: needPartition, id: partitionID{p.set, p.name}, partitions: p.set, source: p.name, many: p.many}
}

func (p *partitionSource[T]) load(s *scope) (value T, err error) {
	keys, err := s.partitionKeys(p.set)
	if err == nil {
		value, err = p.get(partitionsOfStep{keys})
	}
	if err != nil {
		return value, fmt.Errorf("%s of the %s: %w", p.name, p.set.object(), err)
	}
	return value, nil
}

// partitionKeys are the keys of the step's partitions in a set: its own, or a dimension of its own.
func (s *scope) partitionKeys(set *partitionSet) ([]string, error) {
	keys := s.stepKeys()
	if len(keys) == 0 {
		return nil, errors.New("this step is of no partition: start the run with one")
	}
	own := s.runtime.definitions.partitionsOf(s.compute)
	if !own.isGrid() || set.isGrid() {
		return keys, nil
	}
	dimensions := own.dimensionsLike(set)
	if len(dimensions) != 1 {
		return nil, fmt.Errorf("the %s have no one dimension that is this set", own.object())
	}
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = own.split(key)[dimensions[0]]
	}
	return once(slices.Clone(parts)), nil
}

// stepKeys are the keys of the partitions that the step makes; none of what is not partitioned.
func (s *scope) stepKeys() []string {
	planned := s.attempt.Plan
	if len(planned.Partitions) > 0 {
		return slices.Clone(planned.Partitions)
	}
	if planned.Partition == "" {
		return nil
	}
	return []string{planned.Partition}
}
