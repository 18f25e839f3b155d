package partition

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// The reference does everything minute by minute and window by window: slow, and plain to see.

// around is the span that the reference knows: weeks around a change of the clocks.
type around struct {
	zone     *time.Location
	from, to int64
	// instants are those at which a clock in the zone shows a local time, ascending. Local times are
	// seconds, as if the clock showed UTC.
	instants map[int64][]int64
}

func (a *around) local(instant int64) int64 {
	_, offset := time.Unix(instant, 0).In(a.zone).Zone()
	return instant + int64(offset)
}

func newAround(zone *time.Location, middle time.Time, days int) *around {
	a := &around{zone: zone, instants: map[int64][]int64{}}
	a.from = middle.Unix() - int64(days)*secondsPerDay
	a.from -= a.from % 60
	a.to = middle.Unix() + int64(days)*secondsPerDay
	for instant := a.from; instant < a.to; instant += 60 {
		local := a.local(instant)
		a.instants[local] = append(a.instants[local], instant)
	}
	return a
}

func fits(cron Cron, local time.Time) bool {
	inMonth := cron.months&(1<<int(local.Month())) != 0
	byDay, byWeekday := cron.days&(1<<local.Day()) != 0, cron.weekdays&(1<<int(local.Weekday())) != 0
	day := byDay && byWeekday
	if cron.days != allDays && cron.weekdays != allWeekdays {
		day = byDay || byWeekday
	}
	return inMonth && day && cron.hours&(1<<local.Hour()) != 0 && cron.minutes&(1<<local.Minute()) != 0
}

// ticks are when a cron fires within the span, less a margin of two days at its ends.
func (a *around) ticks(cron Cron) []int64 {
	var ticks []int64
	if cron.hours == allHours {
		for instant := a.from; instant < a.to; instant += 60 {
			if fits(cron, unix(a.local(instant))) {
				ticks = append(ticks, instant)
			}
		}
	} else {
		for local := a.local(a.from); local <= a.local(a.to-60); local += 60 {
			if !fits(cron, unix(local)) {
				continue
			}
			if shown := a.instants[local]; len(shown) > 0 {
				ticks = append(ticks, shown[len(shown)-1])
				continue
			}
			for later := local; ; later += 60 {
				if shown := a.instants[later]; len(shown) > 0 {
					ticks = append(ticks, shown[0])
					break
				}
			}
		}
	}
	slices.Sort(ticks)
	ticks = slices.Compact(ticks)
	return slices.DeleteFunc(ticks, func(tick int64) bool {
		return tick < a.from+2*secondsPerDay || tick >= a.to-2*secondsPerDay
	})
}

// plain are windows in a list, as far as the reference's span goes.
type plain struct {
	starts, ends []int64
	first        int   // the number of windows before the start of the set
	existing     int   // and how many exist from there
	from, to     int64 // what the list covers
}

func (a *around) windows(d TimeWindows, cron Cron, excluded []Cron, excludedAt []int64, start, end int64, now time.Time) plain {
	ticks := a.ticks(cron)
	gone := map[int64]bool{}
	for _, other := range excluded {
		for _, tick := range a.ticks(other) {
			gone[tick] = true
		}
	}
	for _, tick := range excludedAt {
		gone[tick] = true
	}
	if len(ticks) == 0 {
		return plain{}
	}
	p := plain{from: ticks[0], to: ticks[len(ticks)-1]}
	ended := 0
	endedByEnd := 0
	for i, tick := range ticks {
		if gone[tick] {
			continue
		}
		if tick < start {
			p.first++
		}
		if i == len(ticks)-1 {
			break // its end is not known
		}
		p.starts, p.ends = append(p.starts, tick), append(p.ends, ticks[i+1])
		if ticks[i+1] <= now.Unix() {
			ended++
		}
		if ticks[i+1] <= end {
			endedByEnd++
		}
	}
	p.existing = ended - p.first + d.EndOffset
	if end < maxInstant {
		p.existing = min(p.existing, endedByEnd-p.first)
	}
	p.existing = max(p.existing, 0)
	return p
}

var changingZones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Atlantic/Azores"}

// drawAround is a span around a change of the clocks, or anywhere.
func drawAround(t *rapid.T, days int) *around {
	name := rapid.SampledFrom(append([]string{"UTC", "Asia/Kolkata"}, changingZones...)).Draw(t, "zone")
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(rapid.Int64Range(631152000, 4102444800).Draw(t, "middle")/60*60, 0).In(zone) // 1990 to 2100
	if _, end := at.ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "atChange") {
		at = end.Add(time.Duration(rapid.IntRange(-48, 48).Draw(t, "hoursOff")) * time.Hour)
	}
	return newAround(zone, at, days)
}

// drawCron is an expression that fires every few days at least.
func drawCron(t *rapid.T, label string) Cron {
	common := []string{
		"0 * * * *", "30 * * * *", "*/15 * * * *", "0 0 * * *", "15 0 * * *", "0 2 * * *", "30 2 * * *", "30 1 * * *", "0 */2 * * *", "0,30 1,2 * * *",
		"0 11 * * *", "0 0 * * 0", "0 0 * * 1-5", "0 0 1,11,21 * *", "0 0 */3 * 1", "59 23 * * *", "0 3 * * *", "0 2,3 * * *", "0 * * * 6,0", "*/20 0-4 * * *",
	}
	text := rapid.OneOf(rapid.SampledFrom(common), rapid.Custom(func(t *rapid.T) string {
		minute := rapid.SampledFrom([]string{"0", "30", "45", "5-7", "*/30", "0,59"}).Draw(t, "minute")
		hour := rapid.SampledFrom([]string{"*", "0", "1", "2", "3", "23", "0-3", "*/6", "1,2,3", "0,12"}).Draw(t, "hour")
		day := rapid.SampledFrom([]string{"*", "*", "*/2", "1-28/3"}).Draw(t, "day")
		weekday := rapid.SampledFrom([]string{"*", "*", "0", "MON-FRI", "6,7"}).Draw(t, "weekday")
		return strings.Join([]string{minute, hour, day, "*", weekday}, " ")
	})).Draw(t, label)
	cron, err := ParseCron(text)
	if err != nil {
		t.Fatal(err)
	}
	return cron
}

// drawWindows is a definition, and the same as a list.
func drawWindows(t *rapid.T, a *around, label string) (TimeWindows, *windows, plain, time.Time) {
	cron := drawCron(t, label+"Cron")
	d := TimeWindows{Cron: cron.String(), Zone: a.zone.String(), EndOffset: rapid.SampledFrom([]int{0, 0, 0, 1, 2, -1}).Draw(t, label+"EndOffset")}
	instant := func(label string) int64 {
		days := (a.to - a.from) / secondsPerDay
		// So far from the beginning that each cron has fired before.
		return a.from + rapid.Int64Range(14*1440, (days-4)*1440).Draw(t, label)*60
	}
	start := instant(label + "Start")
	d.Start = unix(a.local(start)).Format(localLayouts[0])
	end := int64(maxInstant)
	if rapid.Bool().Draw(t, label+"HasEnd") {
		end = instant(label + "End")
		d.End = unix(a.local(end)).Format(localLayouts[0])
	}
	if d.End != "" && d.End <= d.Start {
		d.End, end = "", maxInstant
	}
	// A repeated local time means the first.
	start = a.instants[a.local(start)][0]
	if d.End != "" {
		end = a.instants[a.local(end)][0]
	}
	var excluded []Cron
	if rapid.IntRange(0, 3).Draw(t, label+"Excludes") == 0 {
		for i := range rapid.IntRange(1, 2).Draw(t, label+"Excluded") {
			other := drawCron(t, fmt.Sprintf("%sExcluded%d", label, i))
			excluded = append(excluded, other)
			d.Exclude.Crons = append(d.Exclude.Crons, other.String())
		}
	}
	if rapid.IntRange(0, 3).Draw(t, label+"ExcludesKeys") == 0 {
		// Keys are written by the definition without exclusions.
		bare := d
		bare.Exclude = Exclusions{}
		var problems Problems
		w := compileWindows(bare, &problems)
		if w == nil {
			t.Skip(problems)
		}
		for i := range rapid.IntRange(1, 3).Draw(t, label+"Keys") {
			d.Exclude.Keys = append(d.Exclude.Keys, w.keyAt(rapid.IntRange(0, 5).Draw(t, fmt.Sprintf("%sKey%d", label, i))))
		}
	}
	var problems Problems
	w := compileWindows(d, &problems)
	if w == nil {
		t.Skip(problems) // end before start in a repeated hour; everything excluded
	}
	now := time.Unix(instant(label+"Now"), 0)
	var excludedAt []int64
	for _, key := range d.Exclude.Keys {
		tick, _, _ := w.parse(key)
		excludedAt = append(excludedAt, tick)
	}
	p := a.windows(d, cron, excluded, excludedAt, start, end, now)
	if p.first+p.existing > len(p.starts) {
		t.Skip("the end offset leads out of the span that the reference knows")
	}
	return d, w, p, now
}
