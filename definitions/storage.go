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
	MultiAssetOption
	OpOption
}

// StoredBy chooses where the value of an asset or an op lies: an IO manager is a resource like any other. io is a resource whose
// function returns [IOManager] or, better, a type that implements it: see [Accepts]. Without StoredBy,
// the instance's default storage keeps the value. On a multi-asset it is for the outputs that have none of their own.
func StoredBy[M IOManager](io Source[M]) StorageOption {
	return storedBy{newStorage(io, "StoredBy", "stored_by")}
}

// LoadedBy chooses what reads an external asset, where that can only read: files that somebody else delivers, an API.
// io is a resource whose function returns [InputManager] or, better, a type that implements it: see [Accepts].
// An IO manager can read, too; it is given with LoadedBy or [StoredBy] alike.
func LoadedBy[M InputManager](io Source[M]) ExternalOption {
	return loadedBy{newStorage(io, "LoadedBy", "loaded_by")}
}

// storage is where an asset's value lies.
type storage struct {
	// option is what it was given with; field is what problems call it.
	option, field string
	need          need
	open          func(*scope) (InputManager, error)
	// zero makes the zero value of the manager's type; nil when only the interface is known.
	zero func() InputManager
}

func newStorage[M InputManager](io Source[M], option, field string) *storage {
	s := &storage{option: option, field: field, need: needOf(io)}
	s.open = func(scope *scope) (InputManager, error) { return take(scope, io) }
	if typ := reflect.TypeFor[M](); typ.Kind() != reflect.Interface {
		s.zero = func() InputManager {
			if typ.Kind() == reflect.Pointer {
				manager, _ := reflect.TypeAssert[InputManager](reflect.New(typ.Elem()))
				return manager
			}
			var zero M
			return zero
		}
	}
	return s
}

func (s *storage) apply(a *asset) { s.applyTo(&a.declared, &a.store, &a.options) }

func (s *storage) applyTo(d *declared, store **storage, options *optionNames) {
	switch earlier := *store; {
	case earlier == nil:
	case earlier.option == s.option:
		d.wrong(s.field, fmt.Sprintf("the option %s is given twice", s.option), "give it once")
	default:
		d.wrong(s.field, fmt.Sprintf("it has both %s and %s", earlier.option, s.option), "leave one of them out")
	}
	options.add(optionStorage)
	*store = s
	if s.need.kind == needInvalid {
		d.wrong(s.field, s.option+" is given no declared resource", "declare the IO manager with Resource")
	}
}

type storedBy struct{ *storage }

func (s storedBy) applyAsset(a *asset)        { s.apply(a) }
func (s storedBy) applyOutput(a *asset)       { s.apply(a) }
func (s storedBy) applyExternal(a *asset)     { s.apply(a) }
func (s storedBy) applyMultiAsset(c *compute) { s.apply(c.defaults) }

type loadedBy struct{ *storage }

func (s loadedBy) applyExternal(a *asset) { s.apply(a) }

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

// refusesOps is like refuses, for the outputs of ops.
func (s *storage) refusesOps() error {
	if s.zero == nil {
		return nil
	}
	return askForOps(s.zero())
}

// askForOps says why a manager keeps no outputs of ops.
func askForOps(manager InputManager) error {
	accepter, ok := manager.(OpAccepter)
	if !ok {
		return nil
	}
	return ask(func(reflect.Type) error { return accepter.AcceptsOps() }, nil)
}

func ask(accepts func(reflect.Type) error, typ reflect.Type) (refusal error) {
	defer func() {
		if value := recover(); value != nil {
			refusal = fmt.Errorf("asking whether it accepts %v panicked (%v): Accepts must work on the zero value, without a connection, or the resource needs the option Accepts", typ, value)
		}
	}()
	return accepts(typ)
}
