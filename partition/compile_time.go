package partition

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// localLayouts are how a local time may be written besides the format of keys; the first is the one
// form in which definitions are compared.
var localLayouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

func compileWindows(t TimeWindows, problems *Problems) *windows {
	before := len(*problems)
	w := &windows{end: maxInstant}
	expression := t.expression(problems)
	if expression != "" {
		cron, err := ParseCron(expression)
		if err != nil {
			problems.add("time.cron", "write five fields, for example 0 6 * * 1-5", "%v", err)
		}
		w.cron = cron
	}
	zone, err := zoneNamed(t.Zone)
	if err != nil {
		problems.add("time.zone", "use an IANA name, for example Europe/Berlin, or leave it out for UTC", "%q is not a time zone: %v", t.Zone, err)
		zone = time.UTC
	}
	w.zone = zone
	w.layout = t.Format
	if w.layout == "" {
		w.layout = time.DateOnly
		if w.cron.timesPerDay() > 1 {
			w.layout = "2006-01-02-15:04"
		}
	}
	if len(*problems) == before { // what a key must say depends on the cron
		for _, problem := range layoutProblems(w.layout, w.cron) {
			problems.add("time.format", "use a layout of Go's time package, for example 2006-01-02-15:04", "%q %s", w.layout, problem)
		}
	}
	w.hasOffset = writesOffset(w.layout)
	startText := w.bound("time.start", t.Start, &w.start, problems)
	endText := ""
	if t.End != "" {
		endText = w.bound("time.end", t.End, &w.end, problems)
		if len(*problems) == before && w.end <= w.start {
			problems.add("time.end", "give a later end, or none", "end %s is not after start %s", t.End, t.Start)
		}
	}
	const mostOffset = 1_000_000
	if t.EndOffset > mostOffset || t.EndOffset < -mostOffset {
		problems.add("time.end_offset", "use a smaller number", "%d windows are more than %d", t.EndOffset, mostOffset)
	}
	if len(*problems) > before {
		return nil
	}
	w.all = newSequence(newTicker(w.cron, nil, zone), w.start)
	w.kept = w.all
	w.normalized = TimeWindows{
		Cron: w.cron.String(), Start: startText, End: endText, Zone: zone.String(), Format: w.layout, EndOffset: t.EndOffset,
	}
	w.exclude(t.Exclude, problems)
	if len(*problems) > before {
		return nil
	}
	return w
}

// expression is the cron that the fields mean; "" when they mean none.
func (t TimeWindows) expression(problems *Problems) string {
	before := len(*problems)
	inRange := func(field string, value, low, high int) {
		if value < low || value > high {
			problems.add("time."+field, fmt.Sprintf("use %d to %d", low, high), "%s %d is out of range", field, value)
		}
	}
	unused := func(field string, value int, reason string) {
		if value != 0 {
			problems.add("time."+field, "leave "+field+" out", "%s is given, but %s", field, reason)
		}
	}
	day := "*"
	expression := ""
	switch t.Every {
	case "":
		for field, value := range map[string]int{"minute": t.Minute, "hour": t.Hour, "day": t.Day} {
			unused(field, value, "the cron says when windows begin")
		}
		if t.Cron == "" {
			problems.add("time.every", "give every (hourly, daily, weekly or monthly) or cron", "nothing says when windows begin")
		}
		sortProblems(*problems, before)
		return t.Cron
	case Hourly:
		unused("hour", t.Hour, "windows begin in every hour")
		unused("day", t.Day, "windows begin on every day")
		inRange("minute", t.Minute, 0, 59)
		expression = fmt.Sprintf("%d * * * *", t.Minute)
	case Daily, Weekly, Monthly:
		inRange("minute", t.Minute, 0, 59)
		inRange("hour", t.Hour, 0, 23)
		switch t.Every {
		case Weekly:
			inRange("day", t.Day, 0, 6)
			day = fmt.Sprint(t.Day)
		case Monthly:
			inRange("day", t.Day, 0, 31)
		default:
			unused("day", t.Day, "windows begin on every day")
		}
		expression = fmt.Sprintf("%d %d * * %s", t.Minute, t.Hour, day)
		if t.Every == Monthly {
			expression = fmt.Sprintf("%d %d %d * *", t.Minute, t.Hour, max(t.Day, 1))
		}
	default:
		problems.add("time.every", "use hourly, daily, weekly or monthly, or give a cron", "%q is not known", t.Every)
	}
	if t.Cron != "" {
		problems.add("time.cron", "give only one of the two", "both every and cron say when windows begin")
	}
	if len(*problems) > before {
		return ""
	}
	return expression
}

func sortProblems(problems Problems, from int) {
	slices.SortFunc(problems[from:], func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
}

// bound reads a local time, and gives it in its one form. A time in a gap of the clocks is the first
// moment after the gap; of a repeated one the first is meant.
func (w *windows) bound(field, text string, into *int64, problems *Problems) string {
	for _, layout := range append([]string{w.layout}, localLayouts...) {
		if writesOffset(layout) {
			continue
		}
		if local, err := time.Parse(layout, text); err == nil {
			*into, _ = instantsOf(local.Unix(), w.zone)
			return local.Format(localLayouts[0])
		}
	}
	problem := fmt.Sprintf("%q is not a time", text)
	if text == "" {
		problem = "is missing"
	} else if _, err := time.Parse(time.RFC3339, text); err == nil {
		problem = fmt.Sprintf("%q has an offset from UTC, but is a local time of the zone", text)
	}
	problems.add(field, "write 2001-01-31 or 2001-01-31T15:04", "%s", problem)
	return ""
}

// exclude takes windows out, and completes the normalized definition.
func (w *windows) exclude(e Exclusions, problems *Problems) {
	before := len(*problems)
	var crons []Cron
	for i, text := range e.Crons {
		cron, err := ParseCron(text)
		if err != nil {
			problems.add(fmt.Sprintf("time.exclude.crons[%d]", i), "write five fields, for example 0 0 * * 6", "%v", err)
			continue
		}
		if !slices.Contains(crons, cron) {
			crons = append(crons, cron)
		}
	}
	if len(crons) > maxExcludedCrons {
		problems.add("time.exclude.crons", "write some of them as one", "%d crons are more than %d", len(crons), maxExcludedCrons)
	}
	var instants []int64
	for i, key := range e.Keys {
		tick, near, readable := w.parse(key)
		field := fmt.Sprintf("time.exclude.keys[%d]", i)
		switch {
		case !readable:
			problems.add(field, "write it as "+w.keyAt(0), "%q is not a key of the form %s", key, w.layout)
		case tick == beyond && near == beyond:
			problems.add(field, "remove it", "no window begins at %q or later", key)
		case tick == beyond:
			problems.add(field, "write "+w.keyOf(near), "no window begins at %q", key)
		default:
			instants = append(instants, tick)
		}
	}
	if len(*problems) > before || len(crons)+len(instants) == 0 {
		return
	}
	kept := newTicker(w.cron, crons, w.zone)
	if !kept.anyLeft() {
		problems.add("time.exclude.crons", "exclude less", "every window is excluded")
		return
	}
	slices.SortFunc(crons, func(a, b Cron) int { return strings.Compare(a.String(), b.String()) })
	var excluded Exclusions
	for _, cron := range crons {
		excluded.Crons = append(excluded.Crons, cron.String())
	}
	slices.Sort(instants)
	for _, instant := range slices.Compact(instants) {
		excluded.Keys = append(excluded.Keys, w.keyOf(instant))
	}
	w.kept = newSequence(newTicker(w.cron, crons, w.zone), w.start)
	w.kept.drop(instants)
	w.normalized.Exclude = excluded
	w.exclusions = strings.Join(append(slices.Clone(excluded.Crons), excluded.Keys...), "\n")
}

// anyLeft is whether the excluded crons leave a tick in the 400 years after which the calendar
// comes again.
func (k ticker) anyLeft() bool {
	for m := month(2000 * 12); m < 2400*12; m++ {
		if k.inMonth(m) > 0 {
			return true
		}
	}
	return false
}

// layoutProblems says why keys in a layout would not tell the windows of a cron apart.
func layoutProblems(layout string, cron Cron) []string {
	var problems []string
	differ := func(what string, times ...time.Time) {
		seen := make(map[string]bool, len(times))
		for _, t := range times {
			seen[t.Format(layout)] = true
		}
		if len(seen) < len(times) {
			problems = append(problems, "does not write the "+what+": two windows would have one key")
		}
	}
	at := func(year, month, day, hour, minute int) time.Time {
		return time.Date(year, time.Month(month), day, hour, minute, 0, 0, time.UTC)
	}
	each := func(low, high int, timeOf func(int) time.Time) []time.Time {
		var times []time.Time
		for value := low; value <= high; value++ {
			times = append(times, timeOf(value))
		}
		return times
	}
	differ("year in four digits", at(1904, 1, 1, 0, 0), at(2004, 1, 1, 0, 0), at(2005, 1, 1, 0, 0))
	if cron.months&(cron.months-1) != 0 {
		differ("month", each(1, 12, func(m int) time.Time { return at(2004, m, 15, 0, 0) })...)
	}
	if cron.days&(cron.days-1) != 0 || cron.weekdays != allWeekdays {
		differ("day", each(1, 31, func(d int) time.Time { return at(2004, 1, d, 0, 0) })...)
	}
	if cron.hours&(cron.hours-1) != 0 {
		differ("hour of 24", each(0, 23, func(h int) time.Time { return at(2004, 1, 15, h, 0) })...)
	}
	if cron.minutes&(cron.minutes-1) != 0 {
		differ("minute", each(0, 59, func(m int) time.Time { return at(2004, 1, 15, 0, m) })...)
	}
	if strings.Contains(layout, "MST") {
		problems = append(problems, "writes the zone's abbreviation, which cannot be read back: use -0700")
	}
	example := at(2004, 11, 28, 13, 45).Format(layout)
	if err := CheckKey(example); err != nil {
		problems = append(problems, fmt.Sprintf("makes keys that cannot be: %v", err))
	}
	if err := readBack(layout, example); err != nil {
		problems = append(problems, fmt.Sprintf("makes keys that cannot be read back: %v", err))
	}
	return problems
}

var errReadsOther = errors.New("they read as another time")

func readBack(layout, example string) error {
	t, err := time.Parse(layout, example)
	if err != nil {
		return err
	}
	if t.Format(layout) != example {
		return errReadsOther
	}
	return nil
}

// writesOffset is whether a layout writes the offset from UTC.
func writesOffset(layout string) bool {
	t := time.Date(2004, 1, 15, 12, 0, 0, 0, time.FixedZone("", 5*3600+45*60))
	u := time.Date(2004, 1, 15, 12, 0, 0, 0, time.FixedZone("", 6*3600))
	return t.Format(layout) != u.Format(layout)
}
