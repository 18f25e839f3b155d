package schedule

import (
	"slices"
	"time"
)

const (
	// MostSkipped is how many of the ticks that are left out get a record each: the newest ones.
	MostSkipped = 1000
	// mostCounted bounds the counting of the others.
	mostCounted = 100_000
	// punctual is how late a tick may be evaluated without counting as missed.
	punctual = time.Minute
)

// Due are the ticks of a schedule in a stretch of time, and what becomes of them.
type Due struct {
	// Evaluate are those to evaluate, the earliest first.
	Evaluate []time.Time
	// More says that others are to be evaluated after them.
	More bool
	// Skipped are those that were missed for good, the earliest first. Older stands for what was missed before them.
	Skipped []time.Time
	Older   Older
	// Waiting is the first tick whose time has come, but not its delay, and Until when that is over; zero is none. Those after
	// it wait for it.
	Waiting, Until time.Time
}

// Older is many ticks that were missed; the zero value is none.
type Older struct {
	// First and Last are the earliest and the latest of them.
	First, Last time.Time
	Count       int
	// AtLeast says that there are more than Count.
	AtLeast bool
}

// Due are the ticks after one time and until another, which is now. At most limit are to be evaluated at once.
func (t *Times) Due(after, now time.Time, limit int) Due {
	var due Due
	// What is not yet delayed enough holds up all that comes after it.
	end := now
	for tick, ok := t.Next(later(after, now.Add(-t.jitter-time.Second))); ok && !tick.After(now); tick, ok = t.Next(tick) {
		if until := tick.Add(t.Delay(tick)); until.After(now) {
			due.Waiting, due.Until = tick, until
			end = tick.Add(-time.Second)
			break
		}
	}
	if t.catchUp < 0 {
		for tick, ok := t.Next(after); ok && !tick.After(end); tick, ok = t.Next(tick) {
			if len(due.Evaluate) == limit {
				due.More = true
				return due
			}
			due.Evaluate = append(due.Evaluate, tick)
		}
		return due
	}
	for tick, ok := t.Previous(end.Add(time.Second)); ok && tick.After(after); tick, ok = t.Previous(tick) {
		switch {
		case len(due.Evaluate) < t.catchUp, len(due.Evaluate) == 0 && now.Sub(tick.Add(t.Delay(tick))) < punctual:
			due.Evaluate = append(due.Evaluate, tick)
		case len(due.Skipped) < MostSkipped:
			due.Skipped = append(due.Skipped, tick)
		case due.Older.Count == 0:
			due.Older = Older{First: tick, Last: tick, Count: 1}
		case due.Older.Count < mostCounted:
			due.Older.First = tick
			due.Older.Count++
		default:
			due.Older.AtLeast = true
			if first, found := t.Next(after); found {
				due.Older.First = first
			}
			slices.Reverse(due.Skipped)
			due.cut(limit)
			return due
		}
	}
	slices.Reverse(due.Skipped)
	due.cut(limit)
	return due
}

// cut orders what is to be evaluated, and leaves the first of it.
func (d *Due) cut(limit int) {
	slices.Reverse(d.Evaluate)
	if len(d.Evaluate) > limit {
		d.Evaluate, d.More = d.Evaluate[:limit], true
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
