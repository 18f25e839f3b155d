package schedule_test

import (
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan/schedule"
)

// temporal fires as Temporal's schedules do. It follows the server's own way of going through local times (version 1.29,
// service/worker/scheduler/calendar.go), its treatment of repeated hours included.
type temporal struct {
	zone      *time.Location
	calendars []schedule.Calendar
	moments   []time.Time
}

func newTemporal(t *testing.T, wakes schedule.Wakes) *temporal {
	t.Helper()
	zone, err := time.LoadLocation(wakes.Zone)
	require.NoError(t, err)
	return &temporal{zone: zone, calendars: wakes.Calendars, moments: wakes.Moments}
}

// next is the first firing after a time; zero is none.
func (s *temporal) next(after time.Time) time.Time {
	var next time.Time
	take := func(at time.Time) {
		if !at.IsZero() && at.After(after) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, calendar := range s.calendars {
		take(s.nextOf(calendar, after))
	}
	for _, moment := range s.moments {
		take(moment)
	}
	return next
}

func fits(ranges []schedule.Range, n int) bool {
	for _, r := range ranges {
		if r.Start <= n && n <= r.End {
			return true
		}
	}
	return len(ranges) == 0
}

func daysIn(m time.Month, y int) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// walk is a local time on the way to the next that fits.
type walk struct {
	calendar  schedule.Calendar
	zone      *time.Location
	y         int
	mo        time.Month
	d, h, m   int
	s         int
	dstoffset time.Duration
}

func (s *temporal) nextOf(calendar schedule.Calendar, after time.Time) time.Time {
	after = after.In(s.zone)
	w := walk{calendar: calendar, zone: s.zone}
	w.y, w.mo, w.d = after.Date()
	w.h, w.m, w.s = after.Clock()
	if after.Add(-time.Hour).Hour() == w.h {
		w.dstoffset = time.Hour
	}
	w.s++
	for w.y <= 2100 {
		w.normalize()
		if w.y > 2100 || !w.fit() {
			continue
		}
		found := w.date(w.h, w.m)
		if found.Hour() != w.h {
			w.h, w.m, w.s = w.h+1, 0, 0
			continue
		}
		return found.Add(w.dstoffset)
	}
	return time.Time{}
}

func (w *walk) date(h, m int) time.Time { return time.Date(w.y, w.mo, w.d, h, m, w.s, 0, w.zone) }

func (w *walk) normalize() {
	if w.s >= 60 {
		w.m, w.s = w.m+1, 0
	}
	if w.m >= 60 {
		before := time.Date(w.y, w.mo, w.d, w.h, 0, 0, 0, w.zone)
		w.h, w.m = w.h+1, 0
		if next := time.Date(w.y, w.mo, w.d, w.h, 0, 0, 0, w.zone); w.dstoffset == 0 && next.Sub(before) > time.Hour {
			w.h, w.dstoffset = w.h-1, time.Hour
		} else {
			w.dstoffset = 0
		}
	}
	if w.h >= 24 {
		w.d, w.h = w.d+1, 0
	}
	if w.d > daysIn(w.mo, w.y) {
		w.mo, w.d = w.mo+1, 1
	}
	if w.mo > time.December {
		w.y, w.mo = w.y+1, time.January
	}
}

// fit goes on to the first local time that fits; false is that a field has run over and is to be carried.
func (w *walk) fit() bool {
	if !fits(w.calendar.Year, w.y) {
		w.y, w.mo, w.d, w.h, w.m, w.s, w.dstoffset = w.y+1, time.January, 1, 0, 0, 0, 0
		return false
	}
	for !fits(w.calendar.Month, int(w.mo)) {
		if w.mo, w.d, w.h, w.m, w.s, w.dstoffset = w.mo+1, 1, 0, 0, 0, 0; w.mo > time.December {
			return false
		}
	}
	for !fits(w.calendar.DayOfMonth, w.d) || !fits(w.calendar.DayOfWeek, int(w.date(w.h, w.m).Weekday())) {
		if w.d, w.h, w.m, w.s, w.dstoffset = w.d+1, 0, 0, 0, 0; w.d > daysIn(w.mo, w.y) {
			return false
		}
	}
	for !fits(w.calendar.Hour, w.h) {
		if w.h, w.m, w.s, w.dstoffset = w.h+1, 0, 0, 0; w.h >= 24 {
			return false
		}
	}
	for !fits(w.calendar.Minute, w.m) {
		if w.m, w.s = w.m+1, 0; w.m >= 60 {
			return false
		}
	}
	if w.s != 0 {
		w.s = 60
		return false
	}
	return true
}

// changesOf are the moments at which a zone's clocks change.
func changesOf(zone *time.Location, from, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for at := from; at.Before(until); at = at.Add(15 * time.Minute) {
			_, before := at.In(zone).Zone()
			if _, after := at.Add(15 * time.Minute).In(zone).Zone(); before != after && !yield(at.Add(15*time.Minute)) {
				return
			}
		}
	}
}
