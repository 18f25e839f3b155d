package schedule

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// wakesReach is how far back and ahead the moments are listed at which Temporal must be told to wake besides: a person may fill in
// what is past, and who keeps Temporal in step tells it of those to come long before.
const wakesReach = 400 * 24 * time.Hour

// Wakes is when Temporal is to wake somebody, so that each tick is evaluated in time: at all ticks, and at a few other moments,
// which do no harm.
type Wakes struct {
	// Zone is that of the Calendars, an IANA name.
	Zone string
	// Calendars fire at the local times that fit all fields of one of them.
	Calendars []Calendar
	// Moments are those that no calendar can name.
	Moments []time.Time
}

// Calendar is a calendar of Temporal's schedules; its second is 0.
type Calendar struct {
	Minute, Hour, DayOfMonth, Month, DayOfWeek []Range
	// Year is empty for every year.
	Year []Range
	// Comment says what it is, for people.
	Comment string
}

// Range is the numbers from Start until End.
type Range struct{ Start, End int }

// Wakes are those around now. Temporal fires at local times, as a clock shows them: not at those that are left out when the clocks
// go forward, twice at those that are repeated. It wants both days to fit, where in a cron one is enough. The rest are
// entries of their own, for some years around now: see [Times.Next] for when a schedule is due.
func (t *Times) Wakes(now time.Time) Wakes {
	w := Wakes{Zone: t.zone.String()}
	for _, cron := range t.crons {
		w.Calendars = append(w.Calendars, calendarsOf(cron)...)
	}
	for change, end := nextChange(now.Add(-wakesReach), t.zone), now.Add(wakesReach); !change.IsZero() && change.Before(end); change = nextChange(change, t.zone) {
		t.aroundChange(change, &w)
	}
	return w
}

// aroundChange adds what the calendars miss of the ticks near a change of the clocks.
func (t *Times) aroundChange(change time.Time, w *Wakes) {
	_, before := change.Add(-time.Second).In(t.zone).Zone()
	_, after := change.In(t.zone).Zone()
	// From times that are no full hours Temporal goes on with the next one.
	var rest time.Duration
	if change.In(t.zone).Minute() != 0 {
		rest = time.Hour
	}
	switch jump := time.Duration(after-before) * time.Second; {
	case jump < 0:
		// How Temporal goes through repeated times depends on the zone, and some it leaves out.
		t.moments(change.Add(jump), change.Add(-jump+rest), w)
	case t.byWeekday() && change.In(t.zone).Day() != change.Add(-jump).In(t.zone).Day():
		// There is no midnight: Temporal takes the weekday of the day before for that of all the day.
		t.moments(change, change.Add(24*time.Hour), w)
	case rest > 0:
		t.moments(change, change.Add(rest), w)
	case t.Is(change) && !t.Shown(change):
		// What falls into the gap is due at its end.
		w.Calendars = append(w.Calendars, exactly(change.In(t.zone)))
	}
}

// moments adds the ticks from one time until another.
func (t *Times) moments(from, until time.Time, w *Wakes) {
	for tick, ok := t.Next(from.Add(-time.Second)); ok && tick.Before(until); tick, ok = t.Next(tick) {
		w.Moments = append(w.Moments, tick.UTC())
	}
}

// byWeekday says whether a cron restricts the day of the week.
func (t *Times) byWeekday() bool {
	return slices.ContainsFunc(t.crons, func(cron partition.Cron) bool { return !strings.HasSuffix(cron.String(), " *") })
}

// exactly is a calendar that fires once.
func exactly(local time.Time) Calendar {
	one := func(n int) []Range { return []Range{{n, n}} }
	return Calendar{
		Minute: one(local.Minute()), Hour: one(local.Hour()), DayOfMonth: one(local.Day()), Month: one(int(local.Month())),
		DayOfWeek: []Range{{0, 6}}, Year: one(local.Year()),
		Comment: "the clocks go forward over a tick at " + local.Format(time.RFC3339),
	}
}

// nextChange is the next instant after a time at which a zone's offset from UTC becomes another; zero when there is none in
// the time that matters.
func nextChange(after time.Time, zone *time.Location) time.Time {
	for at := after; at.Sub(after) < 4*wakesReach; {
		_, end := at.In(zone).ZoneBounds()
		if end.IsZero() || !end.After(at) {
			return time.Time{}
		}
		_, before := end.Add(-time.Second).In(zone).Zone()
		if _, offset := end.In(zone).Zone(); offset != before {
			return end
		}
		at = end
	}
	return time.Time{}
}

// calendarsOf are one or two calendars: a cron that restricts both days fires on a day that fits either.
func calendarsOf(cron partition.Cron) []Calendar {
	text := cron.String()
	fields := strings.Fields(text)
	whole := Calendar{
		Minute: rangesOf(fields[0], 0, 59), Hour: rangesOf(fields[1], 0, 23), DayOfMonth: rangesOf(fields[2], 1, 31),
		Month: rangesOf(fields[3], 1, 12), DayOfWeek: rangesOf(fields[4], 0, 6), Comment: text,
	}
	if fields[2] == "*" || fields[4] == "*" {
		return []Calendar{whole}
	}
	byDate, byWeekday := whole, whole
	byDate.DayOfWeek, byDate.Comment = []Range{{0, 6}}, text+" (day of month)"
	byWeekday.DayOfMonth, byWeekday.Comment = []Range{{1, 31}}, text+" (day of week)"
	return []Calendar{byDate, byWeekday}
}

// rangesOf reads a field as [partition.Cron.String] writes it.
func rangesOf(field string, low, high int) []Range {
	if field == "*" {
		return []Range{{low, high}}
	}
	var ranges []Range
	for part := range strings.SplitSeq(field, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		start, startErr := strconv.Atoi(from)
		end, endErr := strconv.Atoi(to)
		if startErr != nil || endErr != nil {
			panic("a cron wrote itself as " + field)
		}
		ranges = append(ranges, Range{start, end})
	}
	return ranges
}
