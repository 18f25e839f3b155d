package partition

import (
	"fmt"
	"iter"
)

// Subset is some of a [Set]'s partitions. It holds ranges, not keys: all of a million partitions
// are one range. A value never changes. The zero Subset is empty and belongs to no set.
//
// Subsets are combined only with the zero Subset and with subsets of the very same Set; anything
// else is a programming error, and panics.
type Subset struct {
	set   *Set
	spans spans // of positions; of all but grids
	rows  rows  // of a grid
}

// All is every partition of the set.
func (s *Set) All() Subset {
	if s.of.kind == KindGrid {
		return Subset{set: s, rows: rowsOf(s.sides[0].All().spans, s.sides[1].All().spans)}
	}
	return s.subset(span{0, s.count})
}

// None is the empty subset.
func (s *Set) None() Subset { return Subset{set: s} }

// Of is the partitions of the given keys, in any order. Its error is a [KeyErrors] with every key
// that is wrong.
func (s *Set) Of(keys ...string) (Subset, error) {
	ranges := make([]span, 0, len(keys))
	var wrong KeyErrors
	for _, key := range keys {
		position, err := s.position(key)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		ranges = append(ranges, span{position, position + 1})
	}
	if len(wrong) > 0 {
		return s.None(), wrong
	}
	return s.ofPositions(spansOf(ranges)), nil
}

// Find is the partitions of those keys that exist, and the keys that do not, in the order given. Where most keys come in the
// order of the set it is much faster than [Set.Has] and [Set.Of].
func (s *Set) Find(keys []string) (found Subset, gone []string) {
	var ranges []span
	next := 0
	for _, key := range keys {
		position := next
		if position >= s.count || s.keyOf(position) != key {
			var err *KeyError
			if position, err = s.position(key); err != nil {
				gone = append(gone, key)
				continue
			}
		}
		next = position + 1
		if last := len(ranges) - 1; last >= 0 && ranges[last].high == position {
			ranges[last].high = next
			continue
		}
		ranges = append(ranges, span{position, next})
	}
	return s.ofPositions(spansOf(ranges)), gone
}

// ofPositions makes a subset of positions in the set's order, a grid's counted row by row.
func (s *Set) ofPositions(positions spans) Subset {
	if s.of.kind != KindGrid {
		return Subset{set: s, spans: positions}
	}
	var result rows
	inner := s.sides[1].count
	for _, one := range positions {
		for at := one.low; at < one.high; {
			outer, from := at/inner, at%inner
			to := min(inner, from+one.high-at)
			cell := rows{{span{outer, outer + 1}, spans{{from, to}}}}
			if last := len(result) - 1; last >= 0 && result[last].outer.low == outer {
				cell[0].inner = result[last].inner.combine(cell[0].inner, either)
				result = result[:last]
			}
			result = append(result, cell...)
			at += to - from
		}
	}
	var merged rows
	for _, one := range result {
		merged = merged.with(one)
	}
	return Subset{set: s, rows: merged}
}

func (s *Set) subset(ranges ...span) Subset { return Subset{set: s, spans: spansOf(ranges)} }

// RangeError says that a range ends before it begins.
type RangeError struct {
	// First and Last are the range's ends as given.
	First, Last string
	// Set describes the set.
	Set string
}

// Error names the range, the set and the fix.
func (e *RangeError) Error() string {
	return fmt.Sprintf("the range %q to %q of %s is reversed: write the earlier key first", e.First, e.Last, e.Set)
}

// Range is the partitions from one key to another, both inside, in the set's order. Of a grid it is
// the rectangle between them: each dimension's range with the other's. The error is a [KeyErrors]
// or a [*RangeError].
func (s *Set) Range(first, last string) (Subset, error) {
	from, wrongFirst := s.position(first)
	to, wrongLast := s.position(last)
	var wrong KeyErrors
	for _, one := range []*KeyError{wrongFirst, wrongLast} {
		if one != nil {
			wrong = append(wrong, one)
		}
	}
	if len(wrong) == 2 && first == last {
		wrong = wrong[:1]
	}
	if len(wrong) > 0 {
		return s.None(), wrong
	}
	if s.of.kind != KindGrid {
		if to < from {
			return s.None(), &RangeError{first, last, s.String()}
		}
		return s.subset(span{from, to + 1}), nil
	}
	width := s.sides[1].count
	outer, inner := span{from / width, to/width + 1}, span{from % width, to%width + 1}
	if outer.size() == 0 || inner.size() == 0 {
		return s.None(), &RangeError{first, last, s.String()}
	}
	return Subset{set: s, rows: rowsOf(spans{outer}, spans{inner})}, nil
}

// Within is the partitions whose windows lie wholly inside a span of time; for a grid, those whose
// time dimension's do. It is a [*WindowError] when there is no time dimension, or two.
func (s *Set) Within(window Window) (Subset, error) {
	if s.of.kind == KindTime {
		w := s.of.windows
		// A window lies inside when it begins inside and has ended by the end.
		inside := span{w.kept.index(ceilSecond(window.Start)), w.endedBy(window.End.Unix())}
		return s.subset(inside.clip(span{0, s.count})), nil
	}
	dimension, err := s.timeDimension()
	if err != nil {
		return s.None(), err
	}
	side, err := s.sides[dimension].Within(window)
	if err != nil {
		return s.None(), err
	}
	return s.ofSide(dimension, side.spans), nil
}

// timeDimension is the grid's one dimension of time windows.
func (s *Set) timeDimension() (int, error) {
	if s.of.kind != KindGrid {
		return 0, &WindowError{Set: s.String(), Detail: "it has no time windows"}
	}
	first, second := s.sides[0].of.kind == KindTime, s.sides[1].of.kind == KindTime
	switch {
	case first && second:
		return 0, &WindowError{Set: s.String(), Detail: "both its dimensions are time windows"}
	case first:
		return 0, nil
	case second:
		return 1, nil
	default:
		return 0, &WindowError{Set: s.String(), Detail: "neither dimension is time windows"}
	}
}

// ofSide is the grid's partitions that have one of the positions in a dimension.
func (s *Set) ofSide(dimension int, positions spans) Subset {
	other := s.sides[1-dimension].All().spans
	if dimension == 0 {
		return Subset{set: s, rows: rowsOf(positions, other)}
	}
	return Subset{set: s, rows: rowsOf(other, positions)}
}

// Set is the set that the subset is of; nil for the zero Subset.
func (b Subset) Set() *Set { return b.set }

// Union is the partitions of either.
func (b Subset) Union(other Subset) Subset { return b.combine(other, either) }

// Intersection is the partitions of both.
func (b Subset) Intersection(other Subset) Subset { return b.combine(other, both) }

// Difference is the partitions that other does not have.
func (b Subset) Difference(other Subset) Subset { return b.combine(other, onlyLeft) }

func (b Subset) combine(other Subset, keep operation) Subset {
	set := b.set
	switch {
	case set == nil:
		set = other.set
	case other.set != nil && other.set != set:
		panic(fmt.Sprintf("partition: subsets of %v and of %v are combined: they must be of the same Set", set, other.set))
	}
	return Subset{set: set, spans: b.spans.combine(other.spans, keep), rows: b.rows.combine(other.rows, keep)}
}

// Equal is whether both have the same partitions; two empty ones are equal whatever their sets.
func (b Subset) Equal(other Subset) bool {
	if b.IsEmpty() || other.IsEmpty() {
		return b.IsEmpty() && other.IsEmpty()
	}
	return b.combine(other, func(inA, inB bool) bool { return inA != inB }).IsEmpty()
}

// IsEmpty is whether there are no partitions.
func (b Subset) IsEmpty() bool { return len(b.spans) == 0 && len(b.rows) == 0 }

// Count is how many partitions there are.
func (b Subset) Count() int { return b.spans.count() + b.rows.count() }

// Has is whether the subset has the partition of a key; false for a text that is no key.
func (b Subset) Has(key string) bool {
	if b.set == nil {
		return false
	}
	position, wrong := b.set.position(key)
	if wrong != nil {
		return false
	}
	if b.set.of.kind == KindGrid {
		inner := b.set.sides[1].count
		return b.rows.has(position/inner, position%inner)
	}
	return b.spans.has(position)
}

// Keys yields the keys in the set's order, a grid's first dimension outermost. Each is made when it
// is asked for.
func (b Subset) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for position := range b.spans.all() {
			if !yield(b.set.keyOf(position)) {
				return
			}
		}
		for _, one := range b.rows {
			for outer := one.outer.low; outer < one.outer.high; outer++ {
				first := b.set.sides[0].keyOf(outer) + gridSeparator
				for inner := range one.inner.all() {
					if !yield(first + b.set.sides[1].keyOf(inner)) {
						return
					}
				}
			}
		}
	}
}

// Nth is the key of the n-th partition in the set's order, from 0; false when there are not as many.
func (b Subset) Nth(n int) (string, bool) {
	if n < 0 {
		return "", false
	}
	if position, ok := b.spans.nth(n); ok {
		return b.set.keyOf(position), true
	}
	for _, one := range b.rows {
		width := one.inner.count()
		if n < width*one.outer.size() {
			inner, _ := one.inner.nth(n % width)
			return b.set.sides[0].keyOf(one.outer.low+n/width) + gridSeparator + b.set.sides[1].keyOf(inner), true
		}
		n -= width * one.outer.size()
	}
	return "", false
}

// First is the key of the first partition; false when there is none.
func (b Subset) First() (string, bool) { return b.Nth(0) }

// Last is the key of the last partition; false when there is none.
func (b Subset) Last() (string, bool) { return b.Nth(b.Count() - 1) }

// on gives the subset's part in a grid's dimension.
func (b Subset) on(dimension int) Subset {
	return Subset{set: b.set.sides[dimension], spans: b.rows.side(dimension)}
}
