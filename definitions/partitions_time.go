package definitions

import (
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// Window is the span of time [Start, End) of a partition, or of consecutive ones; both in the zone of its set.
type Window = partition.Window

// TimePartitions is consecutive windows of time. Make one with [Hourly], [Daily], [Weekly], [Monthly] or [CronPartitions];
// its methods give copies that differ in one thing. A partition exists once its window has ended, see
// [TimePartitions.EndOffset]; its key is the window's start, see [TimePartitions.Format].
type TimePartitions struct{ def *partitionSet }

// Hourly is a window for each hour from start on: the local time as "2001-01-31" or "2001-01-31T15:04", in UTC unless InZone
// says otherwise. A key is "2001-01-31-15:00".
func Hourly(start string) *TimePartitions { return every(partition.Hourly, start) }

// Daily is a window for each day from start on, which is as for [Hourly]. A key is "2001-01-31".
func Daily(start string) *TimePartitions { return every(partition.Daily, start) }

// Weekly is a window for each week from start on, which is as for [Hourly]; weeks begin on Sunday unless OnWeekday says
// otherwise. A key is the first day, "2001-01-28".
func Weekly(start string) *TimePartitions { return every(partition.Weekly, start) }

// Monthly is a window for each month from start on, which is as for [Hourly]; months begin on the 1st unless OnDay says
// otherwise. A key is the first day, "2001-01-01".
func Monthly(start string) *TimePartitions { return every(partition.Monthly, start) }

// CronPartitions is a window from each tick of a cron expression to the next, from start on, which is as for [Hourly].
// expression has five fields: "0 6 * * MON-FRI". A key is "2001-01-31" when all ticks are at one time of the day, and
// "2001-01-31-06:00" otherwise.
func CronPartitions(expression, start string) *TimePartitions {
	p := newPartitionSet(fmt.Sprintf("cron %s from %s", expression, start),
		partition.Definition{Time: &partition.TimeWindows{Cron: expression, Start: start}})
	if expression == "" {
		p.wrong("time.cron", "the cron expression is empty", `write one, as "0 6 * * *", or use Hourly, Daily, Weekly or Monthly`)
	}
	return &TimePartitions{p}
}

func every(every partition.Every, start string) *TimePartitions {
	return &TimePartitions{newPartitionSet(fmt.Sprintf("%s from %s", every, start),
		partition.Definition{Time: &partition.TimeWindows{Every: every, Start: start}})}
}

// with is a copy that is changed.
func (p *TimePartitions) with(change func(*partitionSet, *partition.TimeWindows)) *TimePartitions {
	if p.set() == nil {
		return nil
	}
	windows := *p.def.definition.Time
	windows.Exclude.Keys, windows.Exclude.Crons = slices.Clone(windows.Exclude.Keys), slices.Clone(windows.Exclude.Crons)
	next := newPartitionSet(p.def.name, partition.Definition{Time: &windows})
	next.at, next.faults = p.def.at, slices.Clone(p.def.faults)
	change(next, &windows)
	return &TimePartitions{next}
}

// InZone has the windows begin at local times of a zone, an IANA name: "America/New_York".
func (p *TimePartitions) InZone(zone string) *TimePartitions {
	return p.with(func(set *partitionSet, w *partition.TimeWindows) {
		w.Zone = zone
		set.name += " in " + zone
		if zone == "" {
			set.wrong("time.zone", "the zone is empty", `name one, as "Europe/Berlin", or leave InZone out for UTC`)
		}
	})
}

// Ending has the last window end at that local time at the latest, written like the start.
func (p *TimePartitions) Ending(end string) *TimePartitions {
	return p.with(func(set *partitionSet, w *partition.TimeWindows) {
		w.End = end
		set.name += " to " + end
		if end == "" {
			set.wrong("time.end", "the end is empty", "name a time, or leave Ending out for windows without end")
		}
	})
}

// Format is how a window's start is written as its key, as a layout of package time: "2006-01-02".
func (p *TimePartitions) Format(layout string) *TimePartitions {
	return p.with(func(set *partitionSet, w *partition.TimeWindows) {
		w.Format = layout
		if layout == "" {
			set.wrong("time.format", "the format is empty", `write a layout, as "2006-01-02", or leave Format out`)
		}
	})
}

// EndOffset makes that many windows exist before they have ended, 1 that which runs now; or, negative, that many that have
// ended not exist yet.
func (p *TimePartitions) EndOffset(windows int) *TimePartitions {
	return p.with(func(_ *partitionSet, w *partition.TimeWindows) { w.EndOffset = windows })
}

// AtMinute has each window begin at that minute of the hour. It is not for [CronPartitions].
func (p *TimePartitions) AtMinute(minute int) *TimePartitions {
	return p.with(func(_ *partitionSet, w *partition.TimeWindows) { w.Minute = minute })
}

// AtHour has each window begin at that hour of the day. It is not for [Hourly] and [CronPartitions].
func (p *TimePartitions) AtHour(hour int) *TimePartitions {
	return p.with(func(_ *partitionSet, w *partition.TimeWindows) { w.Hour = hour })
}

// OnWeekday has each week begin on that day. It is for [Weekly] alone.
func (p *TimePartitions) OnWeekday(day time.Weekday) *TimePartitions {
	return p.with(func(set *partitionSet, w *partition.TimeWindows) {
		w.Day = int(day)
		if w.Every != partition.Weekly {
			set.wrong("time.day", "OnWeekday is for weekly windows alone", "leave it out, or use Weekly")
		}
	})
}

// OnDay has each month begin on that day, 1 to 31; a month without it begins no window. It is for [Monthly] alone.
func (p *TimePartitions) OnDay(day int) *TimePartitions {
	return p.with(func(set *partitionSet, w *partition.TimeWindows) {
		w.Day = day
		switch {
		case w.Every != partition.Monthly:
			set.wrong("time.day", "OnDay is for monthly windows alone", "leave it out, or use Monthly")
		case day == 0:
			set.wrong("time.day", "the day is 0", "use 1 to 31")
		}
	})
}

// ExcludingKeys takes windows out by their keys. Their neighbors do not grow: a gap remains.
func (p *TimePartitions) ExcludingKeys(keys ...string) *TimePartitions {
	return p.with(func(_ *partitionSet, w *partition.TimeWindows) { w.Exclude.Keys = append(w.Exclude.Keys, keys...) })
}

// ExcludingCrons takes out each window that begins at a tick of one of these cron expressions, in the set's zone: "0 0 * * SAT,SUN".
func (p *TimePartitions) ExcludingCrons(expressions ...string) *TimePartitions {
	return p.with(func(_ *partitionSet, w *partition.TimeWindows) {
		w.Exclude.Crons = append(w.Exclude.Crons, expressions...)
	})
}

func (p *TimePartitions) set() *partitionSet {
	if p == nil {
		return nil
	}
	return p.def
}

func (p *TimePartitions) dimension() {}

// String describes the set: "daily from 2001-01-01 in America/New_York".
func (p *TimePartitions) String() string { return p.set().String() }
