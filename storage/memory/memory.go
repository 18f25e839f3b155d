// Package memory keeps the values of assets in the process: for tests, and for graphs that run in process.
package memory

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/perdure-io/perdure/definitions"
)

// Storage is an IO manager that keeps every value it was given, of any type. Values are not copied: who
// loads one gets what was stored, and must not change it. They are gone with the process, so it suits only
// runs whose steps all happen in one.
type Storage struct {
	mu        sync.RWMutex
	staged    map[definitions.Slot]any
	published map[definitions.Slot]any
}

var (
	_ definitions.IOManager = (*Storage)(nil)
	_ definitions.Resumer   = (*Storage)(nil)
)

// New makes an empty storage.
func New() *Storage {
	return &Storage{staged: map[definitions.Slot]any{}, published: map[definitions.Slot]any{}}
}

// Put stores the value of an external asset, which is loaded while Perdure knows no materialization of it.
func (s *Storage) Put(asset string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published[definitions.Slot{Asset: asset}] = value
}

// Accepts takes every type.
func (*Storage) Accepts(reflect.Type) error { return nil }

// Stage keeps the value under its slot; Load does not see it before it is published.
func (s *Storage) Stage(_ definitions.Context, at definitions.Slot, value any) (definitions.Staged, error) {
	if at.Token <= 0 {
		return nil, fmt.Errorf("store %s: the token is %d: only tokens above 0 can be stored", at, at.Token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged[at] = value
	return &staged{storage: s, at: at}, nil
}

// Resume finds what was staged in this storage, or published by it. The error wraps [definitions.ErrNotStored]
// when it is not here.
func (s *Storage) Resume(_ definitions.Context, at definitions.Slot, location string) (definitions.Staged, error) {
	found := &staged{storage: s, at: at}
	if want := found.Location(); location != want {
		return nil, fmt.Errorf("resume %s: it was staged as %s, which in memory would be %s", at, location, want)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, isStaged := s.staged[at]
	_, isPublished := s.published[at]
	if !isStaged && !isPublished {
		return nil, fmt.Errorf("resume %s: %w at %s in this process", at, definitions.ErrNotStored, location)
	}
	return found, nil
}

// Load sets *into to the published value of the slot. The error wraps [definitions.ErrNotStored] when there is none.
func (s *Storage) Load(_ definitions.Context, at definitions.Slot, into any) error {
	at.Location = ""
	s.mu.RLock()
	value, ok := s.published[at]
	s.mu.RUnlock()
	if !ok {
		return fmt.Errorf("load %s: %w at %s: another process materialized it, or this one before a restart; materialize it again",
			at, definitions.ErrNotStored, locate(at))
	}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("load %s: a pointer is needed to load into, not %T", at, into)
	}
	target = target.Elem()
	if value == nil {
		target.SetZero()
		return nil
	}
	source := reflect.ValueOf(value)
	if !source.Type().AssignableTo(target.Type()) {
		return fmt.Errorf("load %s: the stored value is a %v, a %v is asked for: materialize it again", at, source.Type(), target.Type())
	}
	target.Set(source)
	return nil
}

// staged is one value of a storage, published or not.
type staged struct {
	storage *Storage
	at      definitions.Slot
}

func (v *staged) Location() string { return locate(v.at) }

func (v *staged) Publish(definitions.Context) error {
	s := v.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.staged[v.at]
	if !ok {
		if _, ok := s.published[v.at]; ok {
			return nil
		}
		return fmt.Errorf("publish %s: %w at %s: it was discarded", v.at, definitions.ErrNotStored, v.Location())
	}
	s.published[v.at] = value
	delete(s.staged, v.at)
	return nil
}

func (v *staged) Discard(definitions.Context) error {
	v.storage.mu.Lock()
	defer v.storage.mu.Unlock()
	delete(v.storage.staged, v.at)
	delete(v.storage.published, v.at)
	return nil
}

// Remove forgets the value of a slot. What is already gone is no error.
func (s *Storage) Remove(ctx definitions.Context, at definitions.Slot) error {
	at.Location = ""
	return (&staged{storage: s, at: at}).Discard(ctx)
}

func locate(at definitions.Slot) string { return fmt.Sprintf("memory:%s#%d", at, at.Token) }
