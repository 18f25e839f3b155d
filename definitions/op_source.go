package definitions

import (
	"fmt"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
)

// outputID is the identity of an output as a source: two handles of one Collect are the same source.
type outputID struct {
	kind needKind
	node *node
}

func valueOf[T any](kind needKind, n *node) *Value[T] {
	return &Value[T]{out: output{kind, n}, get: func(s *scope) (T, error) {
		var value T
		err := s.loadOutput(n, kind, &value)
		return value, err
	}}
}

func (v *Value[T]) carries(T) {}

func (v *Value[T]) need() need {
	n := v.op()
	if n == nil {
		return invalidNeed("a parameter is bound to an op's handle that was never declared", "declare it with Op, Maybe, Collect, Map or Graph")
	}
	return need{kind: v.out.kind, id: outputID{v.out.kind, n}, node: n}
}

func (v *Value[T]) load(s *scope) (T, error) { return v.get(s) }

// peer is the compute of an op in the graph that this compute is a part of.
func (c *compute) peer(n *node) *compute {
	if c.family == nil {
		return n.compute
	}
	return c.family.computes[n]
}

// take says which of an op's outputs a source needs.
func (n *node) take(kind needKind) plan.Take {
	switch {
	case kind == needCollect:
		return plan.TakeAll
	case kind == needElement || n.over != nil:
		return plan.TakeKey
	}
	return ""
}

// outputsOf are the stored outputs of an op that this step loads.
func (s *scope) outputsOf(n *node, kind needKind) []step.Slot {
	values := s.attempt.ValuesOf(s.stepOf(s.compute.peer(n)), n.take(kind))
	slots := make([]step.Slot, len(values))
	for i, value := range values {
		slots[i] = step.ValueSlot(value)
	}
	return once(slots) // one that is bound for itself and in a Collect, too, is there twice
}

// stepOf is the key of the step of another op that this step loads: that of the same partition, where there are several.
func (s *scope) stepOf(peer *compute) string {
	for _, input := range s.attempt.Plan.Values {
		if computeOf(input.Step) == peer.name {
			return input.Step
		}
	}
	return peer.name
}

// loadOutput fills into, a *T, with an op's value.
func (s *scope) loadOutput(n *node, kind needKind, into any) error {
	peer := s.compute.peer(n)
	if len(peer.outs) > 0 {
		return s.loadAsset(peer.outs[0], into)
	}
	if n.noValue() {
		return nil
	}
	slots := s.outputsOf(n, kind)
	if len(slots) == 0 {
		return fmt.Errorf("load the value of op %q: this run has stored none", peer.name)
	}
	return s.loadSlot(peer, slots[0], into)
}

func (s *scope) loadSlot(of *compute, slot step.Slot, into any) error {
	reader, err := s.opened(of.store, of.object(), s.runtime.inProcess != nil)
	if err == nil {
		err = reader.Load(s.context, Slot(slot), into)
	}
	if err == nil {
		return nil
	}
	name := slot.Step
	if slot.Key != "" {
		name += "[" + slot.Key + "]"
	}
	return fmt.Errorf("load the value of op %q: %w", name, err)
}

// loadersAtOnce bounds how many elements of a fan are loaded at the same time.
const loadersAtOnce = 16

// collect loads all of a fan, in the order of emission.
func collect[T any](s *scope, n *node) ([]T, error) {
	peer, slots := s.compute.peer(n), s.outputsOf(n, needCollect)
	values, problems := make([]T, len(slots)), make([]error, len(slots))
	places := make(chan struct{}, loadersAtOnce)
	var loading sync.WaitGroup
	for i, slot := range slots {
		places <- struct{}{}
		loading.Go(func() {
			defer func() { <-places }()
			problems[i] = guarded(func() error { return s.loadSlot(peer, slot, &values[i]) })
		})
	}
	loading.Wait()
	for _, problem := range problems {
		if problem != nil {
			return nil, problem
		}
	}
	return values, nil
}

// MappingKey is the key of the element that a mapped op runs for. Bound outside the body of a [Map] it is a problem.
var MappingKey Source[string] = mappingKey{}

type mappingKey struct{}

func (mappingKey) carries(string) {}
func (m mappingKey) need() need   { return need{kind: needMappingKey, id: m} }
func (mappingKey) load(s *scope) (string, error) {
	return s.attempt.MappingKey, nil
}

// OrElse is a source with a value for what was not emitted: by an optional asset, by a [Maybe], or by nothing in a fan
// that is collected. Its step is then not skipped. What failed stops the step all the same.
func OrElse[T any](source Source[T], fallback T) Source[T] {
	return &orElse[T]{source: source, fallback: fallback, part: needOf(source)}
}

type orElse[T any] struct {
	source   Source[T]
	fallback T
	part     need
}

func (o *orElse[T]) carries(T)  {}
func (o *orElse[T]) need() need { return need{kind: needOrElse, id: o, parts: []need{o.part}} }

func (o *orElse[T]) load(s *scope) (T, error) {
	if s.nothingOf(o.part) {
		return o.fallback, nil
	}
	return take(s, o.source)
}

// Literal is a source of a value that is always the same: for a parameter that only other bindings of its function vary.
func Literal[T any](value T) Source[T] { return &literal[T]{value} }

type literal[T any] struct{ value T }

func (l *literal[T]) carries(T)              {}
func (l *literal[T]) need() need             { return need{kind: needLiteral, id: l} }
func (l *literal[T]) load(*scope) (T, error) { return l.value, nil }
