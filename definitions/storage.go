package definitions

import (
	"fmt"
	"reflect"
)

// StorageOption is what [StoredBy] returns.
type StorageOption interface {
	AssetOption
	OutputOption
	ExternalOption
}

// StoredBy chooses where an asset's value lies: an IO manager is a resource like any other. io is a resource whose
// function returns [IOManager] or, better, a type that implements it: see [Accepts]. Without StoredBy,
// the instance's default storage keeps the value.
func StoredBy[M IOManager](io Source[M]) StorageOption {
	s := &storage{need: needOf(io)}
	s.open = func(scope *scope) (IOManager, error) { return take(scope, io) }
	if typ := reflect.TypeFor[M](); typ.Kind() != reflect.Interface {
		s.zero = func() IOManager {
			if typ.Kind() == reflect.Pointer {
				manager, _ := reflect.TypeAssert[IOManager](reflect.New(typ.Elem()))
				return manager
			}
			var zero M
			return zero
		}
	}
	return s
}

// storage is where an asset's value lies.
type storage struct {
	need need
	open func(*scope) (IOManager, error)
	// zero makes the zero value of the IO manager's type; nil when only the interface is known.
	zero func() IOManager
}

func (s *storage) apply(a *asset) {
	a.options.once(&a.declared, "stored_by", "StoredBy")
	a.store = s
	if s.need.kind == needInvalid {
		a.wrong("stored_by", "StoredBy is given no declared resource", "declare the IO manager with Resource")
	}
}

func (s *storage) applyAsset(a *asset)    { s.apply(a) }
func (s *storage) applyOutput(a *asset)   { s.apply(a) }
func (s *storage) applyExternal(a *asset) { s.apply(a) }

// resource is the one resource behind the storage; nil when there is none, or several.
func (s *storage) resource() *resource {
	var found []*resource
	s.need.each(nil, func(n need) {
		if n.kind == needResource {
			found = append(found, n.resource)
		}
	})
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// refuses asks whether values of a type can be stored, without opening anything. known is false when
// nobody can tell before the manager is opened.
func (s *storage) refuses(typ reflect.Type) (known bool, refusal error) {
	if r := s.resource(); r != nil && r.accepts != nil {
		return true, ask(r.accepts, typ)
	}
	if s.zero != nil {
		return true, ask(s.zero().Accepts, typ)
	}
	return false, nil
}

func ask(accepts func(reflect.Type) error, typ reflect.Type) (refusal error) {
	defer func() {
		if value := recover(); value != nil {
			refusal = fmt.Errorf("asking whether it accepts %v panicked (%v): Accepts must work on the zero value, without a connection, or the resource needs the option Accepts", typ, value)
		}
	}()
	return accepts(typ)
}
