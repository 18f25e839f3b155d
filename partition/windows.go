package partition

import (
	"fmt"
	"time"
)

// windows are compiled [TimeWindows]. A window's number is its position among those that are not
// excluded: 0 is the first from the start on. Numbers below 0 and after the last existing window are
// of windows that the cron would have there.
type windows struct {
	normalized TimeWindows
	cron       Cron
	zone       *time.Location
	layout     string
	start, end int64     // end is maxInstant when there is none
	all        *sequence // every tick of the cron: a window ends at the next of these
	kept       *sequence // the ticks at which windows begin
	// exclusions is the same for two that exclude the same.
	exclusions string
	hasOffset  bool // layout writes the offset from UTC
}

// existing is how many windows exist at a time: those that have ended and do not end after the
// set's end, give or take the end offset.
func (w *windows) existing(now time.Time) int {
	n := w.endedBy(now.Unix()) + w.normalized.EndOffset
	if w.end < maxInstant {
		n = min(n, w.endedBy(w.end))
	}
	return max(n, 0)
}

// endedBy is the number of windows that have ended at an instant, negative before the start.
func (w *windows) endedBy(instant int64) int {
	begun, ok := w.all.floor(min(max(instant, minInstant), maxInstant-1))
	if !ok {
		return w.kept.index(instant)
	}
	return w.kept.index(begun)
}

// startOf is when the window of a number begins, and false beyond the calendar.
func (w *windows) startOf(number int) (int64, bool) { return w.kept.at(number) }

// endOf is when the window ends that begins at an instant.
func (w *windows) endOf(start int64) int64 {
	end, ok := w.all.ceil(start + 1)
	if !ok {
		return maxInstant
	}
	return end
}

// overlapping gives the numbers, as a half-open range, of the windows that overlap [start, end).
func (w *windows) overlapping(start, end int64) span {
	first, ok := w.all.floor(start)
	if !ok {
		first = start
	}
	return span{w.kept.index(first), w.kept.index(end)}
}

// beginning gives the numbers of the windows that begin in [start, end).
func (w *windows) beginning(start, end int64) span {
	return span{w.kept.index(start), w.kept.index(end)}
}

// runs yields the spans of time that the windows of a range of numbers cover: one, unless windows
// between them are excluded.
func (w *windows) runs(numbers span) func(yield func(start, end int64) bool) {
	return func(yield func(start, end int64) bool) {
		for at := numbers.low; at < numbers.high; {
			start, ok := w.startOf(at)
			if !ok {
				return
			}
			last := numbers.high - 1
			if w.all != w.kept {
				last = w.lastOfRun(at, start, numbers.high)
			}
			lastStart, ok := w.startOf(last)
			for !ok { // the calendar ends within the range
				last = w.kept.index(maxInstant) - 1
				lastStart, ok = w.startOf(last)
			}
			if !yield(start, w.endOf(lastStart)) {
				return
			}
			at = last + 1
		}
	}
}

// lastOfRun is the last number below limit with no excluded window since the one at number from.
func (w *windows) lastOfRun(from int, start int64, limit int) int {
	first := w.all.index(start)
	unbroken := func(number int) bool {
		tick, ok := w.startOf(number)
		return ok && w.all.index(tick)-first == number-from
	}
	// Runs are mostly short: look nearby before looking anywhere.
	reach := 1
	for from+reach < limit && unbroken(from+reach) {
		reach *= 2
	}
	low, high := from+reach/2, min(from+reach, limit) // unbroken at low, not at high
	for high-low > 1 {
		if middle := low + (high-low)/2; unbroken(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// keyAt is the key of the window of a number.
func (w *windows) keyAt(number int) string {
	start, _ := w.startOf(number)
	return w.keyOf(start)
}

// keyOf writes the key of the window that begins at an instant.
func (w *windows) keyOf(start int64) string {
	t := time.Unix(start, 0).In(w.zone)
	if w.hasOffset || w.zone == time.UTC {
		return t.Format(w.layout)
	}
	if w.cron.everyHour() {
		if repeated(start, w.zone) {
			return t.Format(w.layout) + t.Format(offsetLayout)
		}
		return t.Format(w.layout)
	}
	if meant, moved := w.movedFrom(start); moved {
		return meant.Format(w.layout)
	}
	return t.Format(w.layout)
}

// movedFrom gives the local time for which a tick stands behind a gap in the clocks, when that is of
// an earlier date: that date's window has its key, which would else be there twice.
func (w *windows) movedFrom(start int64) (time.Time, bool) {
	before, after := offsetAt(start-1, w.zone), offsetAt(start, w.zone)
	if after <= before || hasTickAt(w.cron, start+after) {
		return time.Time{}, false
	}
	for local := range localTicks(w.cron, start+before, start+after) {
		date, _ := split(local)
		now, _ := split(start + after)
		return time.Unix(local, 0).UTC(), date < now
	}
	return time.Time{}, false
}

const offsetLayout = "-0700"

// parse finds the tick, excluded or not, whose key this is. near is then, and when there is none
// but the key can be read, the tick nearest to what it says.
func (w *windows) parse(key string) (tick, near int64, readable bool) {
	const none = beyond
	t, err := time.ParseInLocation(w.layout, key, time.UTC)
	exact := w.hasOffset
	if err != nil && !w.hasOffset {
		t, err = time.Parse(w.layout+offsetLayout, key)
		exact = true
	}
	if err != nil {
		return none, none, false
	}
	first, second := t.Unix(), t.Unix()
	if !exact {
		first, second = instantsOf(t.Unix(), w.zone)
	}
	near = none
	for _, instant := range []int64{first, second} {
		found, ok := w.all.ceil(instant)
		if ok && near == none {
			near = found
		}
		// The first tick may be one that a gap has moved here from the date before.
		for range 2 {
			if ok && w.keyOf(found) == key {
				return found, found, true
			}
			found, ok = w.all.ceil(found + 1)
		}
	}
	return none, near, true
}

// numberOf is the number of the window that begins at a tick, and false when it is excluded.
func (w *windows) numberOf(tick int64) (int, bool) {
	number := w.kept.index(tick)
	if w.all == w.kept {
		return number, true
	}
	found, ok := w.startOf(number)
	return number, ok && found == tick
}

// sameKeys is whether a key means the same window in both, if it exists in both.
func (w *windows) sameKeys(other *windows) bool {
	return w.cron == other.cron && w.zoneName() == other.zoneName() && w.layout == other.layout
}

func (w *windows) zoneName() string { return w.normalized.Zone }

// String is a description for messages.
func (w *windows) String() string {
	what := "time windows " + w.normalized.Cron
	switch w.normalized.Cron {
	case "0 * * * *":
		what = "hourly partitions"
	case "0 0 * * *":
		what = "daily partitions"
	case "0 0 * * 0":
		what = "weekly partitions"
	case "0 0 1 * *":
		what = "monthly partitions"
	}
	text := fmt.Sprintf("%s from %s", what, w.normalized.Start)
	if w.normalized.End != "" {
		text += " until " + w.normalized.End
	}
	return fmt.Sprintf("%s (%s)", text, w.normalized.Zone)
}
