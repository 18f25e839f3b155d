package partition

import (
	"math/bits"
	"time"
)

// ticker is when a cron fires in a zone, less the times at which any of the excluded crons does. It
// counts by months and days with bit masks, so that nothing grows with the number of ticks.
type ticker struct {
	cron     Cron
	excluded []Cron
	zone     *time.Location
	// days are the times of a day, by which excluded crons hold on that day (bit i: excluded[i]).
	days []dayTimes
}

// dayTimes are the times of one day: a mask of minutes for each hour.
type dayTimes struct {
	minutes [24]uint64
	count   int
}

// maxExcludedCrons bounds ticker.days.
const maxExcludedCrons = 8

func newTicker(cron Cron, excluded []Cron, zone *time.Location) ticker {
	k := ticker{cron: cron, excluded: excluded, zone: zone, days: make([]dayTimes, 1<<len(excluded))}
	for holding := range k.days {
		times := &k.days[holding]
		for hour := range 24 {
			if cron.hours&(1<<hour) == 0 {
				continue
			}
			minutes := cron.minutes
			for i, other := range excluded {
				if holding&(1<<i) != 0 && other.hours&(1<<hour) != 0 {
					minutes &^= other.minutes
				}
			}
			times.minutes[hour] = minutes
			times.count += bits.OnesCount64(minutes)
		}
	}
	return k
}

// stretch is a part of time in which ticks are counted in one way: either the offset from UTC is
// constant and no clock change is near, or it lies around a change and its few ticks are listed.
type stretch struct {
	from, to int64
	offset   int64
	around   bool
	ticks    []int64 // when around
	n        int     // number of ticks
	index    int     // of its first tick; set by who keeps stretches
}

// stretchAt is the stretch that holds an instant. It is at most a year long, so that counting in it
// looks at a dozen months.
func (k ticker) stretchAt(instant int64) stretch {
	p := periodAt(instant, k.zone)
	from, to := p.calm()
	switch {
	case instant < from:
		_, start := periodAt(p.from-1, k.zone).calm()
		return k.aroundChange(start, p.from, from, p.before, p.offset)
	case instant >= to:
		end, _ := periodAt(p.to, k.zone).calm()
		return k.aroundChange(to, p.to, end, p.offset, p.after)
	}
	day, _ := split(instant + p.offset)
	m, _ := monthOf(day)
	january := m - m%12
	s := stretch{
		from:   max(from, january.firstDay()*secondsPerDay-p.offset),
		to:     min(to, (january+12).firstDay()*secondsPerDay-p.offset),
		offset: p.offset,
	}
	s.n = k.countLocal(s.from+s.offset, s.to+s.offset)
	return s
}

// aroundChange lists the ticks from an instant until another, between which the offset changes.
func (k ticker) aroundChange(from, change, to, before, after int64) stretch {
	ticks := ticksAroundChange(k.cron, from, change, to, before, after)
	for _, other := range k.excluded {
		gone := ticksAroundChange(other, from, change, to, before, after)
		ticks = without(ticks, gone)
	}
	return stretch{from: from, to: to, around: true, ticks: ticks, n: len(ticks)}
}

// without takes from an ascending list what an ascending list holds.
func without(ticks, gone []int64) []int64 {
	var kept []int64
	for _, tick := range ticks {
		for len(gone) > 0 && gone[0] < tick {
			gone = gone[1:]
		}
		if len(gone) == 0 || gone[0] != tick {
			kept = append(kept, tick)
		}
	}
	return kept
}

// ticksAroundChange is where the rules of [Cron.Next] for a change of the clocks are kept.
func ticksAroundChange(cron Cron, from, change, to, before, after int64) []int64 {
	var ticks []int64
	list := func(from, to, offset int64) {
		for local := range localTicks(cron, from+offset, to+offset) {
			ticks = append(ticks, local-offset)
		}
	}
	if cron.everyHour() || after > before {
		list(from, change, before) // else these local times come again: their second time counts
	}
	if !cron.everyHour() && after > before {
		for range localTicks(cron, change+before, change+after) {
			ticks = append(ticks, change)
			break
		}
		if len(ticks) > 0 && ticks[len(ticks)-1] == change && hasTickAt(cron, change+after) {
			ticks = ticks[:len(ticks)-1]
		}
	}
	list(change, to, after)
	return ticks
}

// localTicks yields the local times from one until another that fit the cron, with no regard to any
// zone. It is for stretches of hours.
func localTicks(cron Cron, from, to int64) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for hour := floorDiv(from, 3600); hour*3600 < to; hour++ {
			day, second := split(hour * 3600)
			m, date := monthOf(day)
			if cron.hours&(1<<(second/3600)) == 0 || cron.daysIn(m)&(1<<date) == 0 {
				continue
			}
			for minutes := cron.minutes; minutes != 0; minutes &= minutes - 1 {
				local := hour*3600 + int64(bits.TrailingZeros64(minutes))*60
				if local >= from && local < to && !yield(local) {
					return
				}
			}
		}
	}
}

func hasTickAt(cron Cron, local int64) bool {
	for range localTicks(cron, local, local+1) {
		return true
	}
	return false
}

// count is how many ticks of the stretch are before an instant in it.
func (k ticker) count(s stretch, instant int64) int {
	switch {
	case instant >= s.to:
		return s.n
	case !s.around:
		return k.countLocal(s.from+s.offset, instant+s.offset)
	}
	n := 0
	for n < len(s.ticks) && s.ticks[n] < instant {
		n++
	}
	return n
}

// cut keeps the part of a stretch between two instants. Beyond a zone's table, the ends of periods that
// are no change of its offset are not seen from both sides: there, a stretch begins before the last
// one ended.
func (k ticker) cut(s stretch, from, to int64) stretch {
	if s.from >= from && s.to <= to {
		return s
	}
	low, high := k.count(s, max(s.from, from)), k.count(s, min(s.to, to))
	if s.around {
		s.ticks = s.ticks[low:high]
	}
	s.from, s.to, s.n = max(s.from, from), min(s.to, to), high-low
	return s
}

// nth is the n-th tick of the stretch, from 0; the stretch must have that many.
func (k ticker) nth(s stretch, n int) int64 {
	if s.around {
		return s.ticks[n]
	}
	return k.nthLocal(s.from+s.offset, n) - s.offset
}

// countLocal counts the local times from one until another that fit.
func (k ticker) countLocal(from, to int64) int {
	first, before := k.beginning(from)
	last, until := k.beginning(to)
	n := until - before
	for m := first; m < last; m++ {
		n += k.inMonth(m)
	}
	return n
}

// beginning gives a local time's month and the number of its ticks before that time.
func (k ticker) beginning(local int64) (month, int) {
	day, second := split(local)
	m, date := monthOf(day)
	days := k.cron.daysIn(m)
	n := k.inDays(m, days&below(date))
	if days&(1<<date) == 0 {
		return m, n
	}
	times := &k.days[k.holding(m, date)]
	hour, minute := int(second/3600), int(second%3600+59)/60 // of the first whole minute not before
	for h := range hour {
		n += bits.OnesCount64(times.minutes[h])
	}
	return m, n + bits.OnesCount64(times.minutes[hour]&below(minute))
}

func (k ticker) inMonth(m month) int { return k.inDays(m, k.cron.daysIn(m)) }

// inDays counts the ticks of some days of a month.
func (k ticker) inDays(m month, days uint64) int {
	if len(k.excluded) == 0 {
		return bits.OnesCount64(days) * k.days[0].count
	}
	n := 0
	for ; days != 0; days &= days - 1 {
		n += k.days[k.holding(m, bits.TrailingZeros64(days))].count
	}
	return n
}

// holding is which excluded crons hold on a day.
func (k ticker) holding(m month, date int) int {
	holding := 0
	for i, other := range k.excluded {
		if other.daysIn(m)&(1<<date) != 0 {
			holding |= 1 << i
		}
	}
	return holding
}

// nthLocal is the n-th local time not before from that fits, n from 0.
func (k ticker) nthLocal(from int64, n int) int64 {
	m, before := k.beginning(from)
	n += before
	for ; n >= k.inMonth(m); m++ {
		n -= k.inMonth(m)
	}
	days := k.cron.daysIn(m)
	date := bits.TrailingZeros64(days)
	if len(k.excluded) == 0 {
		date = nthBit(days, n/k.days[0].count)
		n %= k.days[0].count
	} else {
		for n >= k.days[k.holding(m, date)].count {
			n -= k.days[k.holding(m, date)].count
			days &= days - 1
			date = bits.TrailingZeros64(days)
		}
	}
	times := &k.days[k.holding(m, date)]
	hour := 0
	for n >= bits.OnesCount64(times.minutes[hour]) {
		n -= bits.OnesCount64(times.minutes[hour])
		hour++
	}
	minute := nthBit(times.minutes[hour], n)
	return (m.firstDay()+int64(date)-1)*secondsPerDay + int64(hour)*3600 + int64(minute)*60
}
