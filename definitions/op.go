package definitions

import (
	"reflect"
	"sync/atomic"

	"github.com/perdure-io/perdure/internal/step"
)

// Value is the handle of one value in a graph of ops: a [Source] for the ops that need it. [Op] and [Maybe] declare one;
// [Collect] makes one of a [Fan], and the bodies of [Map] and [Graph] are given one.
type Value[T any] struct {
	out output
	get func(*scope) (T, error)
	// readAll reads a Collect from a result; nil for others.
	readAll func(r *Result, partition *string) (T, error)
}

// Fan is the handle of a dynamic output: many values, each under a key, known only when its op has run. It is no
// Source: [Map] runs ops for each of its elements, and [Collect] makes one value of all. [FanOut] declares one.
type Fan[T any] struct{ out output }

// Keyed is one element of a [Fan]. Key is at most 100 letters, digits and "_", and is unique in its fan.
type Keyed[T any] struct {
	Key   string
	Value T
}

// AnyValue is the handle of an op's output whose type does not matter: any *[Value] or *[Fan].
type AnyValue interface {
	Orderable
	// Name is the op's name, after those of the graphs that it lies in: "etl.clean".
	Name() string
	op() *node
}

// output is what a handle of a graph stands for.
type output struct {
	// kind is needOp for what the node gives, needElement for one element of it, needCollect for all of them.
	kind needKind
	node *node
}

// node is an op without its value type. Its compute is the step of op jobs; a graph asset has a copy of its own.
type node struct {
	*compute
	// own is its name without those of the graphs that it lies in.
	own string
	// number is the place in the order of declaration: what is declared while the body of a Graph or Map runs has a
	// greater one than what was declared before.
	number int64
	// typ is the type of its value, of one element for a dynamic one.
	typ reflect.Type
	// optional ops may give nothing; fanOut ones give elements.
	optional, fanOut bool
	// over is the op with the dynamic output that this one is mapped over.
	over *node
	// graph is the innermost one that it lies in.
	graph *graph
	// broken stands for what could not be declared, and only has faults.
	broken bool
}

// declarations numbers nodes in the order of their declaration.
var declarations atomic.Int64

// Op declares an op: one step of a graph. Its value is for the ops that bind it, and belongs to the run; for an asset,
// see [GraphAsset].
//
// name is letters, digits, "_" and "-", and stands once in its graph: to use a function twice, give two ops two names.
func Op[T any](name string, fn Compute[T], opts ...OpOption) *Value[T] {
	n := newNode[T](name, fn.bound, fn.faultsOf(), opts)
	n.run = func(s *scope) ([]step.Output, error) {
		value, err := fn.run(s)
		if err != nil {
			return nil, err
		}
		return s.compute.emit(value), nil
	}
	return valueOf[T](needOp, n)
}

// Maybe declares an op that may give nothing, as a branch that is not taken: when fn returns nil, the op succeeds, and
// what needs its value is skipped. See [OrElse] for a value in its place.
func Maybe[T any](name string, fn Compute[*T], opts ...OpOption) *Value[T] {
	n := newNode[T](name, fn.bound, fn.faultsOf(), opts)
	n.optional = true
	n.run = func(s *scope) ([]step.Output, error) {
		value, err := fn.run(s)
		if err != nil || value == nil {
			return nil, err
		}
		return s.compute.emit(*value), nil
	}
	return valueOf[T](needOp, n)
}

// FanOut declares an op with a dynamic output, of at most 50,000 elements. None at all is an empty fan: what is mapped
// over it does not run, and what collects it gets an empty slice.
func FanOut[T any](name string, fn Compute[[]Keyed[T]], opts ...OpOption) *Fan[T] {
	n := newNode[T](name, fn.bound, fn.faultsOf(), opts)
	n.fanOut = true
	n.run = func(s *scope) ([]step.Output, error) {
		elements, err := fn.run(s)
		if err != nil {
			return nil, err
		}
		return elementsOf(elements), nil
	}
	return &Fan[T]{output{needOp, n}}
}

func elementsOf[T any](elements []Keyed[T]) []step.Output {
	outputs := make([]step.Output, len(elements))
	for i, e := range elements {
		outputs[i] = step.Output{Key: e.Key, Value: e.Value}
	}
	return outputs
}

func newNode[T any](name string, fn bound, faults []fault, opts []OpOption) *node {
	n := &node{own: name, number: declarations.Add(1), typ: reflect.TypeFor[T]()}
	n.compute = &compute{declared: declared{what: "op", name: name, at: place(), faults: faults}, needs: fn.needs, node: n, remote: fn.remote}
	for _, o := range opts {
		if o == nil {
			n.nilOption()
			continue
		}
		o.applyOp(n.compute)
	}
	return n
}

// brokenNode remembers what is wrong with something that has no node of its own.
func brokenNode(what, name, field, message, fix string) *node {
	n := &node{number: declarations.Add(1), broken: true, typ: reflect.TypeFor[Nothing]()}
	n.compute = &compute{declared: declared{what: what, name: name, at: place()}, node: n}
	n.wrong(field, message, fix)
	return n
}

// emit is a value as this compute's output: the asset that a graph asset's last op makes, or the op's own.
func (c *compute) emit(value any) []step.Output {
	if len(c.outs) > 0 {
		return []step.Output{{Asset: c.outs[0].name, Value: value}}
	}
	return []step.Output{{Value: value}}
}

// noValue says whether there is nothing to store.
func (n *node) noValue() bool { return n.typ == reflect.TypeFor[Nothing]() && !n.fanOut }

// fan is the op whose dynamic output decides for which keys this one, or what is mapped over it, runs; nil when its
// output is a plain one.
func (n *node) fan() *node {
	if n.fanOut {
		return n
	}
	return n.over
}

// Name is the op's name, after those of the graphs that it lies in.
func (v *Value[T]) Name() string { return nameOf(v.op()) }

// Name is the op's name, after those of the graphs that it lies in.
func (f *Fan[T]) Name() string { return nameOf(f.op()) }

func nameOf(n *node) string {
	if n == nil {
		return ""
	}
	return n.name
}

// op is nil for a handle that no constructor made.
func (v *Value[T]) op() *node {
	if v == nil {
		return nil
	}
	return v.out.node
}

func (f *Fan[T]) op() *node {
	if f == nil {
		return nil
	}
	return f.out.node
}

// opOf is a handle's op; nil also when the handle itself is nil.
func opOf(v AnyValue) *node {
	if v == nil {
		return nil
	}
	return v.op()
}
