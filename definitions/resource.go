package definitions

import (
	"reflect"
)

// ResourceOf is the typed handle of a resource: a [Source] wherever a function takes an R. Declare one with
// [Resource].
type ResourceOf[R any] struct{ def *resource }

// resource is a resource without its type.
type resource struct {
	declared
	typ     reflect.Type
	needs   []need
	open    func(*scope) (any, error)
	shut    func(any) error
	accepts Accepts
	options optionNames
}

// ResourceOption is an option of [Resource].
type ResourceOption interface{ applyResource(*resource) }

// Accepts says which types an [IOManager] or [InputManager] keeps, without opening it, so that a type which does not fit
// is found when the definitions are validated. A resource needs it when its function returns the interface itself, or
// when what is accepted depends on how the manager was made; else the zero value of the concrete type is asked.
// Where neither is possible, the manager is asked when a step opens it, before the step's function runs.
type Accepts func(reflect.Type) error

func (v Accepts) applyResource(r *resource) {
	r.options.once(&r.declared, "accepts", "Accepts")
	r.accepts = v
}

// Resource declares something that steps share: opened by a bound function when the first step needs it, once in a
// worker process for each config it is asked for with, and closed when the process drains, in the reverse order of
// opening. open may bind other resources and one [Config].
//
// shut is mandatory, so that nobody forgets it: (*sql.DB).Close, or [NoClose]. The Context that open gets
// lives as long as the resource.
func Resource[R any](name string, open Compute[R], shut func(R) error, opts ...ResourceOption) *ResourceOf[R] {
	r := &resource{
		declared: declared{what: "resource", name: name, at: place(), faults: open.faultsOf()},
		typ:      reflect.TypeFor[R](), needs: open.needs,
	}
	if open.stepOnly {
		r.wrong("function", "it is opened by a Command or Remote, which only a step runs", "open it with a function")
	}
	if shut == nil {
		r.wrong("close", "its close function is nil", "give the function that closes it, or NoClose when it holds nothing")
	}
	for _, o := range opts {
		if o == nil {
			r.nilOption()
			continue
		}
		o.applyResource(r)
	}
	r.open = func(s *scope) (any, error) { return open.run(s) }
	r.shut = func(value any) error {
		typed, _ := value.(R) // what open returned; a nil interface stays nil
		return shut(typed)
	}
	return &ResourceOf[R]{r}
}

// NoClose is for a resource that holds nothing to be closed.
func NoClose[R any](R) error { return nil }

// Name is the resource's name.
func (r *ResourceOf[R]) Name() string {
	if r == nil || r.def == nil {
		return ""
	}
	return r.def.name
}

func (r *ResourceOf[R]) carries(R) {}

func (r *ResourceOf[R]) need() need {
	if r == nil || r.def == nil {
		return invalidNeed("a parameter is bound to a resource handle that was never declared", "declare it with Resource")
	}
	return need{kind: needResource, id: r.def, resource: r.def}
}

func (r *ResourceOf[R]) load(s *scope) (R, error) {
	value, err := s.loadResource(r.def)
	typed, _ := value.(R) // a nil interface stays nil
	return typed, err
}

func (r *ResourceOf[R]) definitions() []*declaration {
	if r == nil || r.def == nil {
		return nil
	}
	return []*declaration{{resource: r.def}}
}
