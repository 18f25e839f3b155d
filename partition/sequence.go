package partition

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// sequence numbers the ticks of a ticker: 0 is the first at or after its anchor, those before are
// negative. It remembers the stretches it has come across, some three for each year, and may be used
// by many goroutines.
type sequence struct {
	ticker
	// dropped are the numbers of single ticks that are taken out, in the numbering without that,
	// ascending and not negative; droppedAt their instants.
	dropped   []int
	droppedAt []int64

	known  atomic.Pointer[stretches]
	extend sync.Mutex
}

// stretches lie side by side: after[0] holds the anchor, before[0] ends where it begins.
type stretches struct{ after, before []stretch }

func newSequence(k ticker, anchor int64) *sequence {
	q := &sequence{ticker: k}
	first := k.stretchAt(anchor)
	first.index = -k.count(first, anchor)
	q.known.Store(&stretches{after: []stretch{first}})
	return q
}

// drop takes single ticks out; what is not a tick from the anchor on is ignored. It is for making
// the sequence only.
func (q *sequence) drop(instants []int64) {
	slices.Sort(instants)
	for _, instant := range slices.Compact(instants) {
		if n := q.number(instant); n >= 0 && q.instant(n) == instant {
			q.dropped = append(q.dropped, n)
			q.droppedAt = append(q.droppedAt, instant)
		}
	}
}

// index is the number of the first tick at or after an instant.
func (q *sequence) index(instant int64) int {
	instant = min(max(instant, minInstant), maxInstant)
	gone := sort.Search(len(q.droppedAt), func(i int) bool { return q.droppedAt[i] >= instant })
	return q.number(instant) - gone
}

// at is the tick of a number, and false beyond the calendar.
func (q *sequence) at(index int) (int64, bool) {
	gone := sort.Search(len(q.dropped), func(i int) bool { return q.dropped[i]-i > index })
	tick := q.instant(index + gone)
	return tick, tick != beyond
}

// floor is the last tick at or before an instant, and false when there is none.
func (q *sequence) floor(instant int64) (int64, bool) { return q.at(q.index(instant+1) - 1) }

// ceil is the first tick at or after an instant, and false when there is none.
func (q *sequence) ceil(instant int64) (int64, bool) { return q.at(q.index(instant)) }

// beyond stands for an instant outside the calendar.
const beyond = maxInstant

// number is index without regard to what was dropped.
func (q *sequence) number(instant int64) int {
	for {
		known := q.known.Load()
		first, last := q.ends(known)
		switch {
		case instant >= last.to && last.to < maxInstant:
			q.grow(known, true)
		case instant < first.from && first.from > minInstant:
			q.grow(known, false)
		case instant >= last.to:
			return last.index + last.n
		default:
			s := known.find(func(s stretch) bool { return s.from <= instant })
			return s.index + q.count(s, instant)
		}
	}
}

// instant is at without regard to what was dropped; beyond when there is none.
func (q *sequence) instant(number int) int64 {
	for {
		known := q.known.Load()
		first, last := q.ends(known)
		switch {
		case number >= last.index+last.n:
			if last.to >= maxInstant {
				return beyond
			}
			q.grow(known, true)
		case number < first.index:
			if first.from <= minInstant {
				return beyond
			}
			q.grow(known, false)
		default:
			// Of several that begin with this number, all but the last are empty.
			s := known.find(func(s stretch) bool { return s.index <= number })
			return q.nth(s, number-s.index)
		}
	}
}

func (*sequence) ends(known *stretches) (first, last stretch) {
	first = known.after[0]
	if n := len(known.before); n > 0 {
		first = known.before[n-1]
	}
	return first, known.after[len(known.after)-1]
}

// find is the last stretch that has begun, of those that are known.
func (s *stretches) find(begun func(stretch) bool) stretch {
	if begun(s.after[0]) {
		return s.after[sort.Search(len(s.after), func(i int) bool { return !begun(s.after[i]) })-1]
	}
	return s.before[sort.Search(len(s.before), func(i int) bool { return begun(s.before[i]) })]
}

// grow adds as many stretches as there are, so that adding costs little in all. Who has read an
// older list goes on reading it: nothing in it changes.
func (q *sequence) grow(seen *stretches, forward bool) {
	q.extend.Lock()
	defer q.extend.Unlock()
	if q.known.Load() != seen {
		return
	}
	grown := *seen
	if forward {
		for range min(len(seen.after)+3, 512) {
			last := grown.after[len(grown.after)-1]
			if last.to >= maxInstant {
				break
			}
			next := q.cut(q.stretchAt(last.to), last.to, maxInstant)
			next.index = last.index + last.n
			grown.after = append(grown.after, next)
		}
	} else {
		for range min(len(seen.before)+3, 512) {
			first, _ := q.ends(&grown)
			if first.from <= minInstant {
				break
			}
			next := q.cut(q.stretchAt(first.from-1), minInstant, first.from)
			next.index = first.index - next.n
			grown.before = append(grown.before, next)
		}
	}
	q.known.Store(&grown)
}
