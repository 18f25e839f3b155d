package partition

import (
	"fmt"
	"time"
	_ "time/tzdata" // so that a definition means the same on a machine without a zone database
)

// Instants are counted in seconds from 1970, from the year 1 until the year 10000, which a key could
// not be written with.
const (
	minInstant = -62135596800
	maxInstant = 253402300800
)

// zoneNamed loads an IANA zone; "" is UTC. The machine's own zone is refused: it would mean something
// else on each machine.
func zoneNamed(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, fmt.Errorf("zone %q differs from machine to machine", name)
	}
	return time.LoadLocation(name)
}

func offsetAt(instant int64, zone *time.Location) int64 {
	_, offset := time.Unix(instant, 0).In(zone).Zone()
	return int64(offset)
}

// period is a stretch of time with one offset from UTC. The periods beside it may have the same.
type period struct {
	from, to      int64 // to is the first instant after it
	offset        int64
	before, after int64 // the offsets beside it; its own where it has no end
}

func periodAt(instant int64, zone *time.Location) period {
	t := time.Unix(instant, 0).In(zone)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		// Beyond the zone's table, package time ends the last period of a year after 365 days, in leap
		// years too.
		end = time.Date(t.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	p := period{from: minInstant, to: maxInstant, offset: int64(offset), before: int64(offset), after: int64(offset)}
	if !start.IsZero() && start.Unix() > minInstant {
		p.from = start.Unix()
		p.before = offsetAt(p.from-1, zone)
	}
	if !end.IsZero() && end.Unix() < maxInstant {
		p.to = end.Unix()
		p.after = offsetAt(p.to, zone)
	}
	return p
}

// calm is the part of the period in which local time is neither repeated nor near a gap. Periods
// shorter than the jumps at their ends, which no zone has had for decades, are split in the middle.
func (p period) calm() (from, to int64) {
	middle := p.from + (p.to-p.from)/2
	return min(p.from+distance(p.before, p.offset), middle), max(p.to-distance(p.offset, p.after), middle)
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// repeated is whether the local time at an instant has been there before, because the clocks went back.
func repeated(instant int64, zone *time.Location) bool {
	p := periodAt(instant, zone)
	return p.before > p.offset && instant < p.from+p.before-p.offset
}

// instantsOf gives the instants that a clock in the zone shows as a local time: one; two where the
// clocks go back; where it is in a gap, the first moment after the gap.
func instantsOf(local int64, zone *time.Location) (first, second int64) {
	// Clocks have jumped by up to a day, at a change of the date line.
	const reach = 36 * 60 * 60
	early, late := offsetAt(local-reach, zone), offsetAt(local+reach, zone)
	fits := func(offset int64) bool { return offsetAt(local-offset, zone) == offset }
	switch {
	case fits(early) && fits(late):
		return min(local-early, local-late), max(local-early, local-late)
	case fits(early):
		return local - early, local - early
	case fits(late):
		return local - late, local - late
	default:
		change := periodAt(local-early, zone).from
		return change, change
	}
}
