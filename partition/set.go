package partition

import (
	"fmt"
	"strings"
	"time"
)

// Set is the partitions of a definition that exist at one moment. It never changes and may be used
// by many goroutines. Get it with [Partitions.At], once for everything that is to agree: subsets
// are combined only with subsets of the very same Set.
type Set struct {
	of    *Partitions
	now   time.Time
	count int
	keys  []string // of a static, dynamic or single set
	sides [2]*Set  // of a grid
	// positions are where keys stand.
	positions map[string]int
}

// Window is the span of time [Start, End) of a partition, or of consecutive ones; both in the
// definition's zone.
type Window struct{ Start, End time.Time }

// At is what exists at a time. Dynamic are the keys of dynamic sets by name, each list in the order
// in which they were added; a set that is not among them has no keys. Keys that cannot be in a
// grid, because they hold "|", are left out of grids.
func (p *Partitions) At(now time.Time, dynamic map[string][]string) *Set {
	s := &Set{of: p, now: now}
	switch p.kind {
	case KindTime:
		s.count = p.windows.existing(now)
		return s
	case KindGrid:
		s.sides = [2]*Set{p.dimensions[0].At(now, dynamic), p.dimensions[1].At(now, dynamic)}
		s.count = s.sides[0].count * s.sides[1].count
		return s
	case KindDynamic:
		s.takeKeys(dynamic[p.dynamic])
	case KindStatic, KindSingle:
		s.keys, s.positions = p.keys, p.positions
	}
	s.count = len(s.keys)
	return s
}

// takeKeys leaves out what is there already, "" and, for a grid, what its keys cannot hold.
func (s *Set) takeKeys(keys []string) {
	s.keys, s.positions = make([]string, 0, len(keys)), make(map[string]int, len(keys))
	for _, key := range keys {
		_, doubled := s.positions[key]
		if doubled || key == "" || s.of.inGrid && strings.Contains(key, gridSeparator) {
			continue
		}
		s.positions[key] = len(s.keys)
		s.keys = append(s.keys, key)
	}
}

// Partitions is the definition that the set is of.
func (s *Set) Partitions() *Partitions { return s.of }

// Count is how many partitions exist.
func (s *Set) Count() int { return s.count }

// Has is whether a partition of the key exists.
func (s *Set) Has(key string) bool {
	_, wrong := s.position(key)
	return wrong == nil
}

// Check says what is wrong with a key: a [*KeyError], or nil when its partition exists.
func (s *Set) Check(key string) error {
	if _, wrong := s.position(key); wrong != nil {
		return wrong
	}
	return nil
}

// Position is the place of a key's partition in the set's order, from 0; the error is a [*KeyError].
func (s *Set) Position(key string) (int, error) {
	position, wrong := s.position(key)
	if wrong != nil {
		return 0, wrong
	}
	return position, nil
}

// Dimensions are a grid's two sets, in the order in which a key has them, with their names; nil for
// other kinds.
func (s *Set) Dimensions() (sets []*Set, names []string) {
	if s.of.kind != KindGrid {
		return nil, nil
	}
	return s.sides[:], s.of.names[:]
}

// Split gives the parts of a grid's key by dimension; the error is a [*KeyError] when the partition
// does not exist, or says that the set is no grid.
func (s *Set) Split(key string) (map[string]string, error) {
	if s.of.kind != KindGrid {
		return nil, fmt.Errorf("%s have no dimensions: only a grid has", s)
	}
	if err := s.Check(key); err != nil {
		return nil, err
	}
	first, second, _ := strings.Cut(key, gridSeparator)
	return map[string]string{s.of.names[0]: first, s.of.names[1]: second}, nil
}

// Window is the span of time of a key's partition; for a grid with one dimension of time windows,
// that dimension's. The error is a [*KeyError], or a [*WindowError] where there is no such span.
func (s *Set) Window(key string) (Window, error) {
	subset, err := s.Of(key)
	if err != nil {
		return Window{}, err
	}
	return subset.Window()
}

// KeyAt is the key of the window that holds a time. It is a [*KeyError] when that window is excluded
// or does not exist, and a [*WindowError] when the set has no time windows.
func (s *Set) KeyAt(t time.Time) (string, error) {
	if s.of.kind != KindTime {
		return "", &WindowError{Set: s.String(), Detail: "it has no time windows"}
	}
	w := s.of.windows
	tick, ok := w.all.floor(min(t.Unix(), maxInstant-1))
	key := t.In(w.zone).Format(w.layout)
	if ok {
		key = w.keyOf(tick)
	}
	if err := s.Check(key); err != nil {
		return "", err
	}
	return key, nil
}

// keyOf is the key at a position, which must exist for all but time windows.
func (s *Set) keyOf(position int) string {
	switch s.of.kind {
	case KindTime:
		return s.of.windows.keyAt(position)
	case KindGrid:
		inner := s.sides[1].count
		return s.sides[0].keyOf(position/inner) + gridSeparator + s.sides[1].keyOf(position%inner)
	default:
		return s.keys[position]
	}
}

// WindowError says that something has no one span of time.
type WindowError struct {
	// Set describes the set.
	Set string
	// Detail says why not.
	Detail string
}

// Error names set and reason.
func (e *WindowError) Error() string { return fmt.Sprintf("no time window in %s: %s", e.Set, e.Detail) }

// String describes the set for messages: "daily partitions from 2001-01-01T00:00:00 (UTC)".
func (s *Set) String() string {
	switch s.of.kind {
	case KindTime:
		return s.of.windows.String()
	case KindDynamic:
		return fmt.Sprintf("the dynamic partitions %q", s.of.dynamic)
	case KindGrid:
		return fmt.Sprintf("the grid %s|%s", s.of.names[0], s.of.names[1])
	case KindSingle:
		return "an asset without partitions"
	case KindStatic:
	}
	const listed = 5
	text := "the static partitions " + strings.Join(s.keys[:min(listed, len(s.keys))], ", ")
	if more := len(s.keys) - listed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
