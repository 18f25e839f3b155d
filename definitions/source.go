package definitions

import "reflect"

// Source is anything that a parameter of type T can be bound to: an asset's value ([AssetOf]), a resource
// ([ResourceOf]), config ([ConfigOf]), an op's output ([Value]), several sources as a slice ([All]), a part of another
// source ([View]), a value for what was not emitted ([OrElse]), one that is always the same ([Literal]), what a step is for
// ([Requested], [MappingKey], the Window and Key of [Partitions]), partitions of an asset ([ByKey], [At], [Previous]), or what a
// schedule or sensor knows ([ScheduledTime], [TheTick], [Events], [CursorOf], [NewMaterializations], [TheRun]). The interface is
// sealed: only this package's types are sources.
type Source[T any] interface {
	// carries is never called. It makes the compiler name both types where a source does not fit:
	// "have carries([]Airport), want carries([]Flight)".
	carries(T)
	need() need
	load(*scope) (T, error)
}

// needKind says what a source needs.
type needKind int

const (
	needInvalid needKind = iota
	needAsset
	needAll
	needView
	needResource
	needConfig
	needRequested
	// needOp is what an op gives, needElement one element of a dynamic or mapped output, needCollect all of them.
	needOp
	needElement
	needCollect
	needMappingKey
	needSuccess
	needFailure
	needOrElse
	needLiteral
	// needPartition is what a step knows of its own partitions, needPrevious the partition before in a compute that is not known
	// yet, needReport where a step reports for single partitions.
	needPartition
	needPrevious
	needReport
	// needTick is what a schedule or sensor knows of its tick.
	needTick
)

// need is a source as data: what must be there before it can be loaded.
type need struct {
	kind needKind
	// id is the source's identity, by which [Given] replaces it.
	id    any
	asset *asset
	// part says which partitions of the asset.
	part assetPart
	// partitions is the set of a needPartition, source what it takes of it, many whether that may be several keys.
	partitions *partitionSet
	source     string
	many       howMany
	// typ is the type that a needPrevious expects, or the cursor's of a needTick.
	typ reflect.Type
	// tick is what a needTick takes, payload the type of its events.
	tick     tickSource
	payload  *payload
	resource *resource
	config   *config
	node     *node
	// parts are what All, View and OrElse are made of.
	parts []need
	fault fault
}

// each visits every need below n, itself first; skip leaves out a need and what is below it.
func (n need) each(skip func(need) bool, visit func(need)) {
	if skip != nil && skip(n) {
		return
	}
	visit(n)
	for _, part := range n.parts {
		part.each(skip, visit)
	}
}

func invalidNeed(message, fix string) need {
	return need{kind: needInvalid, fault: fault{"inputs", message, fix}}
}

// needOf is a source's need, also of one that is nil.
func needOf[T any](source Source[T]) need {
	if source == nil {
		return invalidNeed("a parameter is bound to nil", "bind it to an asset, a resource, config, or another source")
	}
	return source.need()
}

// take loads a source, or what was given in its place.
func take[T any](s *scope, source Source[T]) (T, error) {
	if value, ok := s.given(source.need()); ok {
		typed, _ := value.(T) // Given has checked the type; a nil interface stays nil
		return typed, nil
	}
	return source.load(s)
}

// All is fan-in: several sources of one type as one slice, in their order. A member that an optional asset or op
// did not emit is left out; the step is skipped only when there is no other.
func All[T any](sources ...Source[T]) Source[[]T] {
	all := &fanIn[T]{sources: sources}
	if len(sources) == 0 {
		all.parts = []need{invalidNeed("All is given no sources", "name at least one source")}
	}
	for _, source := range sources {
		all.parts = append(all.parts, needOf(source))
	}
	return all
}

type fanIn[T any] struct {
	sources []Source[T]
	parts   []need
}

func (f *fanIn[T]) carries([]T) {}
func (f *fanIn[T]) need() need  { return need{kind: needAll, id: f, parts: f.parts} }

func (f *fanIn[T]) load(s *scope) ([]T, error) {
	values := make([]T, 0, len(f.sources))
	for i, source := range f.sources {
		if s.leftOut(f.parts[i]) {
			continue
		}
		value, err := take(s, source)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// View adapts a source to what a function takes: an interface of the function's own, or a part of the value.
// view must be pure; it is called once for each step.
func View[T, V any](source Source[T], view func(T) V) Source[V] {
	v := &viewOf[T, V]{source: source, view: view, part: needOf(source)}
	if view == nil {
		v.part = invalidNeed("View is given a nil function", "give the function that takes the part out of the value")
	}
	return v
}

type viewOf[T, V any] struct {
	source Source[T]
	view   func(T) V
	part   need
}

func (v *viewOf[T, V]) carries(V) {}
func (v *viewOf[T, V]) need() need {
	return need{kind: needView, id: v, parts: []need{v.part}}
}

func (v *viewOf[T, V]) load(s *scope) (V, error) {
	value, err := take(s, v.source)
	if err != nil {
		var none V
		return none, err
	}
	return v.view(value), nil
}
