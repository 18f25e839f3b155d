package partition

import (
	"cmp"
	"iter"
	"slices"
	"sort"
)

// span is a half-open range of positions.
type span struct{ low, high int }

func (s span) size() int { return max(s.high-s.low, 0) }

func (s span) clip(to span) span { return span{max(s.low, to.low), min(s.high, to.high)} }

// spans is a set of positions: ranges that are not empty, ascending, and neither overlap nor touch.
// A value never changes.
type spans []span

// spansOf makes a set of ranges in any order.
func spansOf(ranges []span) spans {
	ranges = slices.DeleteFunc(ranges, func(s span) bool { return s.size() == 0 })
	slices.SortFunc(ranges, func(a, b span) int { return cmp.Compare(a.low, b.low) })
	var merged spans
	for _, s := range ranges {
		merged = merged.with(s)
	}
	return merged
}

// with appends a range that does not begin before the last one.
func (s spans) with(next span) spans {
	if last := len(s) - 1; last >= 0 && next.low <= s[last].high {
		s[last].high = max(s[last].high, next.high)
		return s
	}
	return append(s, next)
}

func (s spans) count() int {
	n := 0
	for _, one := range s {
		n += one.size()
	}
	return n
}

func (s spans) has(position int) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i].high > position })
	return i < len(s) && s[i].low <= position
}

// nth is the n-th position of the set, n from 0.
func (s spans) nth(n int) (int, bool) {
	for _, one := range s {
		if n < one.size() {
			return one.low + n, true
		}
		n -= one.size()
	}
	return 0, false
}

// all yields the positions in ascending order.
func (s spans) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, one := range s {
			for position := one.low; position < one.high; position++ {
				if !yield(position) {
					return
				}
			}
		}
	}
}

// clip keeps what lies in a range.
func (s spans) clip(to span) spans {
	if to.size() == 0 {
		return nil
	}
	return s.combine(spans{to}, both)
}

// operation says whether a position is in the result, by whether it is in either operand. It is
// false for what is in neither.
type operation func(inA, inB bool) bool

func either(inA, inB bool) bool   { return inA || inB }
func both(inA, inB bool) bool     { return inA && inB }
func onlyLeft(inA, inB bool) bool { return inA && !inB }

// combine makes a set of two in one pass.
func (s spans) combine(other spans, keep operation) spans {
	var result spans
	sweep(len(s), len(other),
		func(i int) span { return s[i] }, func(i int) span { return other[i] },
		func(part span, a, b int) {
			if keep(a >= 0, b >= 0) {
				result = result.with(part)
			}
		})
	return result
}

// sweep goes through the ranges of two sets in ascending order, and visits each longest part of them
// that lies in the same ranges throughout, with the number of that range, -1 for none.
func sweep(lengthA, lengthB int, rangeA, rangeB func(int) span, visit func(part span, a, b int)) {
	a, b, at := 0, 0, 0
	started := false
	for a < lengthA || b < lengthB {
		const none = int(^uint(0) >> 1)
		nextA, nextB := span{none, none}, span{none, none}
		if a < lengthA {
			nextA = rangeA(a)
		}
		if b < lengthB {
			nextB = rangeB(b)
		}
		if !started {
			at, started = min(nextA.low, nextB.low), true
		}
		at = max(at, min(nextA.low, nextB.low))
		inA, inB := nextA.low <= at, nextB.low <= at
		end := none
		numberA, numberB := -1, -1
		if inA {
			end, numberA = min(end, nextA.high), a
		} else {
			end = min(end, nextA.low)
		}
		if inB {
			end, numberB = min(end, nextB.high), b
		} else {
			end = min(end, nextB.low)
		}
		visit(span{at, end}, numberA, numberB)
		at = end
		if inA && nextA.high == end {
			a++
		}
		if inB && nextB.high == end {
			b++
		}
	}
}
