package definitions

import (
	"reflect"
	"sync"
)

// memory keeps the values of an in-process materialization, as they are.
type memory struct {
	mutex  sync.Mutex
	values map[Slot]any
}

func newMemory() *memory { return &memory{values: map[Slot]any{}} }

// Accepts takes every type.
func (m *memory) Accepts(reflect.Type) error { return nil }

// Stage holds the value back until it is published.
func (m *memory) Stage(_ Context, at Slot, value any) (Staged, error) {
	return &memoryStaged{m, at, value}, nil
}

// Load copies the value itself, nothing it refers to.
func (m *memory) Load(_ Context, at Slot, into any) error {
	at.Location = ""
	m.mutex.Lock()
	defer m.mutex.Unlock()
	value, ok := m.values[at]
	if !ok {
		return ErrNotStored
	}
	setTo(into, value)
	return nil
}

// setTo sets what into, a *T, points to.
func setTo(into, value any) {
	target := reflect.ValueOf(into).Elem()
	if value == nil { // of an interface type
		target.SetZero()
		return
	}
	target.Set(reflect.ValueOf(value))
}

type memoryStaged struct {
	memory *memory
	at     Slot
	value  any
}

func (s *memoryStaged) Location() string { return "memory:" + s.at.String() }

func (s *memoryStaged) Publish(Context) error {
	s.memory.mutex.Lock()
	defer s.memory.mutex.Unlock()
	s.memory.values[s.at] = s.value
	return nil
}

func (s *memoryStaged) Discard(Context) error {
	s.memory.mutex.Lock()
	defer s.memory.mutex.Unlock()
	delete(s.memory.values, s.at)
	return nil
}
