package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a span as people say it: 0.42 s, 12.3 s, 2 min 05 s, 3 h 07 min, 2 d 4 h.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// Age is how long ago a moment was, in one unit: "just now", "40 s ago", "3 min ago", "5 h ago", "12 d ago"; of one that is still to
// come how soon it is: "in 2 h".
func Age(now, moment time.Time) string {
	switch d := now.Sub(moment); {
	case d >= -time.Minute && d < 2*time.Second:
		return "just now" // also when clocks differ a little
	case d < 0:
		return "in " + oneUnit(-d)
	default:
		return oneUnit(d) + " ago"
	}
}

func oneUnit(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
}

// Clock tells times in the reader's zone.
type Clock struct {
	Now  time.Time
	Zone *time.Location
}

// Moment is a time, absolute in the zone and relative to now: "2026-11-22 14:03:12 (3 min ago)"; "" for the zero time.
func (c Clock) Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(c.Zone).Format(time.DateTime) + " (" + Age(c.Now, t) + ")"
}

// Number groups thousands: 20,000.
func Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return sign + strings.Join(append([]string{digits}, groups...), ",")
}

// Count is a number with its noun: "1 step", "3 steps".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(int64(n)) + " " + noun + "s"
}
