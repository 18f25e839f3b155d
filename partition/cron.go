package partition

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a parsed cron expression; two that mean the same times are equal (==). The zero Cron
// never fires: make one with [ParseCron].
type Cron struct {
	minutes  uint64 // bit 0 to 59
	hours    uint32 // bit 0 to 23
	days     uint32 // bit 1 to 31
	months   uint16 // bit 1 to 12
	weekdays uint8  // bit 0 (Sunday) to 6
}

const (
	allMinutes  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 2
	allMonths   = 1<<13 - 2
	allWeekdays = 1<<7 - 1
)

// cronField is what one of the five fields may hold.
type cronField struct {
	name  string
	low   int
	high  int
	names []string // of low, low+1 …
	holds string   // what a value may be, for messages
}

var cronFields = [5]cronField{
	{name: "minute", low: 0, high: 59, holds: "0 to 59"},
	{name: "hour", low: 0, high: 23, holds: "0 to 23"},
	{name: "day of month", low: 1, high: 31, holds: "1 to 31"},
	{name: "month", low: 1, high: 12, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"), holds: "1 to 12 or JAN to DEC"},
	{name: "day of week", low: 0, high: 7, names: strings.Fields("SUN MON TUE WED THU FRI SAT"), holds: "0 to 7 (0 and 7 are Sunday) or SUN to SAT"},
}

var cronAliases = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// ParseCron reads an expression of five fields (minute, hour, day of month, month, day of week) of
// *, numbers, names (JAN, MON), ranges (1-5), steps (*/15, 10-40/10) and lists of these, or one of
// @hourly, @daily, @weekly, @monthly and @yearly. When day of month and day of week are both
// restricted, a day that fits either counts, as in cron. The error names the field and what it may
// hold; an expression that never fires is refused.
func ParseCron(text string) (Cron, error) {
	trimmed := strings.TrimSpace(text)
	if expansion, isAlias := cronAliases[strings.ToLower(trimmed)]; isAlias {
		trimmed = expansion
	}
	fields := strings.Fields(trimmed)
	if len(fields) != len(cronFields) {
		return Cron{}, fmt.Errorf("cron %q has %d fields: write five, minute hour day-of-month month day-of-week, or @daily and the like", text, len(fields))
	}
	var sets [5]uint64
	for i, field := range cronFields {
		set, err := field.parse(fields[i])
		if err != nil {
			return Cron{}, fmt.Errorf("cron %q: %w", text, err)
		}
		sets[i] = set
	}
	weekdays := sets[4] | sets[4]>>7 // 7 is a Sunday, too
	c := Cron{minutes: sets[0], hours: uint32(sets[1]), days: uint32(sets[2]), months: uint16(sets[3]), weekdays: uint8(weekdays & allWeekdays)}
	if !c.fires() {
		return Cron{}, fmt.Errorf("cron %q never fires: none of its months has such a day", text)
	}
	return c, nil
}

func (f cronField) parse(text string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, hasStep := strings.Cut(part, "/")
		step := 1
		if hasStep {
			parsed, err := strconv.Atoi(stepText)
			if err != nil || parsed < 1 || strings.HasPrefix(stepText, "+") {
				return 0, fmt.Errorf("the step of %s %q must be a number from 1", f.name, part)
			}
			step = min(parsed, f.high+1) // any longer step does the same
		}
		low, high := f.low, f.high
		if span != "*" {
			from, to, isRange := strings.Cut(span, "-")
			var err error
			if low, err = f.value(from); err != nil {
				return 0, err
			}
			switch {
			case isRange:
				if high, err = f.value(to); err != nil {
					return 0, err
				}
			case !hasStep: // 5/10 is 5, 15, 25 …
				high = low
			}
			if high < low {
				return 0, fmt.Errorf("%s %q is a reversed range: write two ranges, or the smaller one first", f.name, span)
			}
		}
		for value := low; value <= high; value += step {
			set |= 1 << value
		}
	}
	return set, nil
}

func (f cronField) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.low + i, nil
		}
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < f.low || value > f.high || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%s is %q: it may be %s, a range, a step or a list", f.name, text, f.holds)
	}
	return value, nil
}

// fires is whether any day of the calendar fits.
func (c Cron) fires() bool {
	if c.weekdays != allWeekdays {
		return true // any weekday falls on any day of any month some year; both restricted: either counts
	}
	for m := range 13 {
		if c.months&(1<<m) == 0 {
			continue
		}
		days := uint32(allDays)
		switch m {
		case 2:
			days = 1<<30 - 2
		case 4, 6, 9, 11:
			days = 1<<31 - 2
		}
		if c.days&days != 0 {
			return true
		}
	}
	return false
}

// everyHour is whether the expression fires in all hours of a day. Such crons tick on absolute
// time through a change of the clocks; others keep one tick per local time.
func (c Cron) everyHour() bool { return c.hours == allHours }

// timesPerDay is how often a day that fits has a tick.
func (c Cron) timesPerDay() int {
	return bits.OnesCount32(c.hours) * bits.OnesCount64(c.minutes)
}

// daysIn is the days of the month that fit, bit 1 for the first.
func (c Cron) daysIn(m month) uint64 {
	if c.months&(1<<(int(m)%12+1)) == 0 {
		return 0
	}
	first := m.firstDay()
	inMonth := below(int((m+1).firstDay()-first)+1) &^ 1
	byDay := uint64(c.days) & inMonth
	if c.weekdays == allWeekdays {
		return byDay
	}
	weekday := weekdayOf(first)
	fromFirst := uint64(c.weekdays)>>weekday | uint64(c.weekdays)<<(7-weekday)
	fromFirst &= allWeekdays
	const sixWeeks = 1 | 1<<7 | 1<<14 | 1<<21 | 1<<28 | 1<<35
	byWeekday := (fromFirst * sixWeeks) << 1 & inMonth
	if c.days == allDays {
		return byWeekday
	}
	return byDay | byWeekday
}

// String is the expression in one form for all that mean the same: * or numbers and ranges.
func (c Cron) String() string {
	return strings.Join([]string{
		fieldText(c.minutes, allMinutes), fieldText(uint64(c.hours), allHours), fieldText(uint64(c.days), allDays),
		fieldText(uint64(c.months), allMonths), fieldText(uint64(c.weekdays), allWeekdays),
	}, " ")
}

func fieldText(set, all uint64) string {
	if set == all {
		return "*"
	}
	var parts []string
	for set != 0 {
		low := bits.TrailingZeros64(set)
		length := bits.TrailingZeros64(^(set >> low))
		if length > 1 {
			parts = append(parts, fmt.Sprintf("%d-%d", low, low+length-1))
		} else {
			parts = append(parts, strconv.Itoa(low))
		}
		set &^= below(length) << low
	}
	return strings.Join(parts, ",")
}

// Next is the first time after the given one at which the cron fires in the zone. Where the clocks
// change: a cron that fires in all 24 hours follows absolute time, so the hour that is left out has
// no tick and the one that is repeated has two. Any other fires once a local time: at the first
// moment after a gap that swallows it, and the second time where it is repeated. It is false from
// the year 10000 on.
func (c Cron) Next(after time.Time, zone *time.Location) (time.Time, bool) {
	k := newTicker(c, nil, zone)
	from := max(after.Unix()+1, minInstant)
	for from < maxInstant {
		s := k.stretchAt(from)
		if before := k.count(s, from); before < s.n {
			return time.Unix(k.nth(s, before), 0).In(zone), true
		}
		from = s.to
	}
	return time.Time{}, false
}

// Previous is the last time before the given one at which the cron fires in the zone, by the same
// rules as Next. It is false before the year 1.
func (c Cron) Previous(before time.Time, zone *time.Location) (time.Time, bool) {
	k := newTicker(c, nil, zone)
	to := before.Unix()
	if before.Nanosecond() > 0 {
		to++
	}
	to = min(to, maxInstant)
	for to > minInstant {
		s := k.stretchAt(to - 1)
		if n := k.count(s, to); n > 0 {
			return time.Unix(k.nth(s, n-1), 0).In(zone), true
		}
		to = s.from
	}
	return time.Time{}, false
}

// Shows says whether the cron names the local time that a clock shows, to the minute. Where the clocks change, it fires at
// other times than those: see Next.
func (c Cron) Shows(clock time.Time) bool {
	hour, minute, second := clock.Clock()
	if second != 0 || c.hours&(1<<hour) == 0 || c.minutes&(1<<minute) == 0 {
		return false
	}
	year, m, date := clock.Date()
	return c.daysIn(month(year*12+int(m)-1))&(1<<date) != 0
}
