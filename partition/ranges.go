package partition

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// KeyRange is consecutive partitions of a set, or a rectangle of a grid: what [Set.Range] of First
// and Last is, where they exist. Of one partition both are its key.
type KeyRange struct {
	First string `json:"first"`
	Last  string `json:"last"`
	// Count is how many partitions are in it.
	Count int `json:"count"`
}

// String is the one key, or "2001-01-01 to 2001-01-31 (31)".
func (r KeyRange) String() string {
	if r.Count == 1 {
		return r.First
	}
	return fmt.Sprintf("%s to %s (%d)", r.First, r.Last, r.Count)
}

// KeyRanges are ranges of keys, often of partitions that do not exist.
type KeyRanges []KeyRange

// Count is how many partitions the ranges hold in all.
func (r KeyRanges) Count() int {
	n := 0
	for _, one := range r {
		n += one.Count
	}
	return n
}

// String lists the first few, and how many more there are.
func (r KeyRanges) String() string {
	const listed = 5
	var parts []string
	for _, one := range r[:min(listed, len(r))] {
		parts = append(parts, one.String())
	}
	if len(r) > listed {
		parts = append(parts, fmt.Sprintf("%d more", r[listed:].Count()))
	}
	return strings.Join(parts, ", ")
}

// Ranges yields the subset as its fewest ranges, in order; for a grid, as rectangles.
func (b Subset) Ranges() iter.Seq[KeyRange] {
	return func(yield func(KeyRange) bool) {
		for _, one := range b.spans {
			if !yield(b.set.rangeOf(one)) {
				return
			}
		}
		for _, one := range b.rows {
			for _, inner := range one.inner {
				if !yield(joinRanges(b.set.sides[0].rangeOf(one.outer), b.set.sides[1].rangeOf(inner))) {
					return
				}
			}
		}
	}
}

// rangeOf names a range of positions. Those of time windows need not exist.
func (s *Set) rangeOf(positions span) KeyRange {
	return KeyRange{s.keyOf(positions.low), s.keyOf(positions.high - 1), positions.size()}
}

func joinRanges(outer, inner KeyRange) KeyRange {
	return KeyRange{outer.First + gridSeparator + inner.First, outer.Last + gridSeparator + inner.Last, outer.Count * inner.Count}
}

// Pieces yields the subset cut into consecutive ranges, or rectangles of a grid, of at most that
// many partitions; 0 or less is no limit. Each is what one run covers.
func (b Subset) Pieces(most int) iter.Seq[Subset] {
	if most <= 0 {
		most = int(^uint(0) >> 1)
	}
	return func(yield func(Subset) bool) {
		for _, one := range b.spans {
			for part := range one.pieces(most) {
				if !yield(Subset{set: b.set, spans: spans{part}}) {
					return
				}
			}
		}
		for _, one := range b.rows {
			for _, inner := range one.inner {
				// Whole lines together while they fit, else each line by itself.
				for outer := range one.outer.pieces(max(most/inner.size(), 1)) {
					for part := range inner.pieces(most) {
						if !yield(Subset{set: b.set, rows: rows{{outer, spans{part}}}}) {
							return
						}
					}
				}
			}
		}
	}
}

func (s span) pieces(most int) iter.Seq[span] {
	return func(yield func(span) bool) {
		for low := s.low; low < s.high; {
			high := s.high
			if high-low > most {
				high = low + most
			}
			if !yield(span{low, high}) {
				return
			}
			low = high
		}
	}
}

// Window is the span of time that the subset's partitions cover, when they are consecutive; excluded
// windows between them do not matter. For a grid with one dimension of time windows it is that
// dimension's. Otherwise it is a [*WindowError].
func (b Subset) Window() (Window, error) {
	if b.set == nil {
		return Window{}, &WindowError{Set: "no set", Detail: "there are no partitions"}
	}
	if b.set.of.kind != KindTime {
		dimension, err := b.set.timeDimension()
		if err != nil {
			return Window{}, err
		}
		return b.on(dimension).Window()
	}
	switch len(b.spans) {
	case 0:
		return Window{}, &WindowError{Set: b.set.String(), Detail: "there are no partitions"}
	case 1:
		w := b.set.of.windows
		first, _ := w.startOf(b.spans[0].low)
		last, _ := w.startOf(b.spans[0].high - 1)
		return Window{Start: time.Unix(first, 0).In(w.zone), End: time.Unix(w.endOf(last), 0).In(w.zone)}, nil
	default:
		return Window{}, &WindowError{Set: b.set.String(), Detail: fmt.Sprintf("the partitions are %d ranges apart from each other", len(b.spans))}
	}
}

func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}
