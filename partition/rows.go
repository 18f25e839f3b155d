package partition

import "slices"

// row is a part of a grid: every position of a range of the outer dimension with the same positions
// of the inner one.
type row struct {
	outer span
	inner spans
}

// rows are a set of a grid's positions: ranges of the outer dimension, ascending and disjoint, none
// with nothing inside, and none touching one with the same inside. A value never changes.
type rows []row

func rowsOf(outer, inner spans) rows {
	if len(inner) == 0 {
		return nil
	}
	result := make(rows, 0, len(outer))
	for _, s := range outer {
		result = append(result, row{s, inner})
	}
	return result
}

// with appends a row that begins at or after the end of the last.
func (r rows) with(next row) rows {
	if len(next.inner) == 0 {
		return r
	}
	if last := len(r) - 1; last >= 0 && r[last].outer.high == next.outer.low && slices.Equal(r[last].inner, next.inner) {
		r[last].outer.high = next.outer.high
		return r
	}
	return append(r, next)
}

// combine makes a set of two in one pass.
func (r rows) combine(other rows, keep operation) rows {
	var result rows
	sweep(len(r), len(other),
		func(i int) span { return r[i].outer }, func(i int) span { return other[i].outer },
		func(part span, a, b int) {
			var inA, inB spans
			if a >= 0 {
				inA = r[a].inner
			}
			if b >= 0 {
				inB = other[b].inner
			}
			result = result.with(row{part, inA.combine(inB, keep)})
		})
	return result
}

// uniteRows is the union of many, halving the list so that each row is looked at few times.
func uniteRows(parts []rows) rows {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	middle := len(parts) / 2
	return uniteRows(parts[:middle]).combine(uniteRows(parts[middle:]), either)
}

func (r rows) count() int {
	n := 0
	for _, one := range r {
		n += one.outer.size() * one.inner.count()
	}
	return n
}

func (r rows) has(outer, inner int) bool {
	i, _ := slices.BinarySearchFunc(r, outer, func(one row, outer int) int {
		switch {
		case one.outer.high <= outer:
			return -1
		case one.outer.low > outer:
			return 1
		default:
			return 0
		}
	})
	return i < len(r) && r[i].outer.low <= outer && outer < r[i].outer.high && r[i].inner.has(inner)
}

// side is the positions that any member has in one dimension: 0 is the outer.
func (r rows) side(dimension int) spans {
	var ranges []span
	for _, one := range r {
		if dimension == 0 {
			ranges = append(ranges, one.outer)
		} else {
			ranges = append(ranges, one.inner...)
		}
	}
	return spansOf(ranges)
}
