package definitions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// partitionedSchedule is when the ticks of a PartitionedSchedule are, besides what its job's partitions say.
type partitionedSchedule struct {
	minute, hour *int
	weekday      *time.Weekday
	day          *int
	// cron is given for partitions that are no windows of time.
	cron *Cron
}

// PartitionedScheduleOption is an option of [PartitionedSchedule].
type PartitionedScheduleOption interface{ applyPartitionedSchedule(*ScheduleOf) }

// PartitionedSchedule declares a schedule that runs a partitioned job for its partitions:
//
//   - Of windows of time: whenever a window ends, in the zone of the windows, the last one that exists then; [AtMinute], [AtHour],
//     [OnWeekday] and [OnDay] run it later. A tick whose window was taken out, or lies behind the end of the set, is skipped.
//   - Of a grid with one dimension of time: the same, one run for each key of the other dimension.
//   - Of any other set: one run for each key, at the times of a [Cron].
//
// The partitions of a job of assets are those of the assets that all others are made from. The key is the run's [RunKey], too. For
// the rest see [Schedule].
func PartitionedSchedule(name string, job *Job, opts ...PartitionedScheduleOption) *ScheduleOf {
	s := &ScheduleOf{declared: declared{what: "schedule", name: name, at: place()}, job: job, partitioned: &partitionedSchedule{}}
	for _, o := range opts {
		if o == nil {
			s.nilOption()
			continue
		}
		o.applyPartitionedSchedule(s)
	}
	return s
}

func (c Cron) applyPartitionedSchedule(s *ScheduleOf) {
	s.options.once(&s.declared, "cron", "Cron")
	s.partitioned.cron = &c
}

// AtMinute has a [PartitionedSchedule] run at that minute of the hour.
func AtMinute(minute int) PartitionedScheduleOption { return tickAt{"minute", minute} }

// AtHour has a [PartitionedSchedule] of days, weeks or months run at that hour of the day.
func AtHour(hour int) PartitionedScheduleOption { return tickAt{"hour", hour} }

// OnDay has a [PartitionedSchedule] of months run on that day of the month; a month without it has no tick.
func OnDay(day int) PartitionedScheduleOption { return tickAt{"day", day} }

// OnWeekday has a [PartitionedSchedule] of weeks run on that day of the week.
func OnWeekday(day time.Weekday) PartitionedScheduleOption { return tickAt{"weekday", int(day)} }

// tickAt is a part of when a tick is.
type tickAt struct {
	field string
	value int
}

func (v tickAt) applyPartitionedSchedule(s *ScheduleOf) {
	option := map[string]string{"minute": "AtMinute", "hour": "AtHour", "day": "OnDay", "weekday": "OnWeekday"}[v.field]
	s.options.once(&s.declared, v.field, option)
	switch v.field {
	case "minute":
		s.partitioned.minute = &v.value
	case "hour":
		s.partitioned.hour = &v.value
	case "day":
		s.partitioned.day = &v.value
	default:
		day := time.Weekday(v.value)
		s.partitioned.weekday = &day
	}
}

// later says whether it is said when in the hour, day, week or month it runs.
func (p *partitionedSchedule) later() bool {
	return p.minute != nil || p.hour != nil || p.weekday != nil || p.day != nil
}

// ticks are the cron and the zone of a schedule over partitions; the faults say why there are none.
func (p *partitionedSchedule) ticks(set *partition.Definition) (cron Cron, faults []fault) {
	wrong := func(field, message, fix string) { faults = append(faults, fault{field, message, fix}) }
	windows, _ := timeOf(set)
	if set == nil {
		wrong("job", "its job is not partitioned", "use Schedule")
		return Cron{}, faults
	}
	if windows == nil {
		switch {
		case hasWindows(set):
			wrong("job", "its job has two dimensions of time, and no one last partition", "use Schedule with Evaluate")
		case p.later():
			wrong("cron", "AtMinute, AtHour, OnWeekday and OnDay are for windows of time, and its job has none", "give a Cron instead")
		case p.cron == nil:
			wrong("cron", "its job's partitions are no windows of time, and it is not said when it is due", "give a Cron")
		default:
			cron = *p.cron
		}
		return cron, faults
	}
	if p.cron != nil {
		wrong("cron", "it has a Cron, and its job's partitions say when it is due", "leave it out, or use AtMinute and AtHour to run later")
	}
	if p.weekday != nil && p.day != nil {
		wrong("day", "it has OnWeekday and OnDay", "leave one of the two out")
	}
	at := *windows
	at.Exclude = partition.Exclusions{}
	at.Start, at.End = "2001-01-01", ""
	if at.Every == "" && p.later() {
		wrong("cron", "AtMinute, AtHour, OnWeekday and OnDay are for hourly, daily, weekly and monthly windows, and its job's are of a cron", "leave them out, or use Schedule with Evaluate")
	}
	p.override(&at, wrong)
	if len(faults) > 0 {
		return Cron{}, faults
	}
	compiled, err := partition.New(partition.Definition{Time: &at})
	if problems, ok := errors.AsType[partition.Problems](err); ok {
		for _, p := range problems {
			wrong(strings.TrimPrefix(p.Field, "time."), p.Message, p.Fix)
		}
		return Cron{}, faults
	}
	ticks, zone, _ := compiled.Cron()
	return Cron{Expr: ticks.String(), Zone: zone.String()}, faults
}

// override lays what is said of when it runs over when windows begin.
func (p *partitionedSchedule) override(at *partition.TimeWindows, wrong func(field, message, fix string)) {
	if p.minute != nil {
		at.Minute = *p.minute
	}
	if p.hour != nil {
		at.Hour = *p.hour
		if at.Every == partition.Hourly {
			wrong("hour", "it has AtHour, and a window begins in every hour", "leave it out")
		}
	}
	if p.weekday != nil {
		at.Day = int(*p.weekday)
		if at.Every != partition.Weekly && at.Every != "" {
			wrong("weekday", fmt.Sprintf("it has OnWeekday, and its job's windows are %s", at.Every), "leave it out")
		}
	}
	if p.day != nil {
		at.Day = *p.day
		switch {
		case at.Every != partition.Monthly && at.Every != "":
			wrong("day", fmt.Sprintf("it has OnDay, and its job's windows are %s", at.Every), "leave it out")
		case *p.day == 0:
			wrong("day", "the day is 0", "use 1 to 31")
		}
	}
}

// timeOf are the windows of a set of them, or of a grid with one dimension of them, and the name of that; nil of any other set.
func timeOf(set *partition.Definition) (windows *partition.TimeWindows, dimension string) {
	if set == nil {
		return nil, ""
	}
	windows = set.Time
	for _, d := range set.Grid {
		switch {
		case d.Time == nil:
		case windows != nil:
			return nil, ""
		default:
			windows, dimension = d.Time, d.Name
		}
	}
	return windows, dimension
}

// hasWindows says whether any dimension is of time.
func hasWindows(set *partition.Definition) bool {
	return slices.ContainsFunc(set.Grid, func(d partition.Dimension) bool { return d.Time != nil })
}

// due are the keys that a tick of a schedule over partitions is for. Without any, skip says why.
func due(set *partition.Definition, at time.Time, dynamic map[string][]string) (keys []string, skip string, err error) {
	compiled, err := partition.New(*set)
	if err != nil {
		return nil, "", err
	}
	existing := compiled.At(at, dynamic)
	windows, dimension := timeOf(set)
	if existing.Count() == 0 {
		return nil, fmt.Sprintf("no partition exists yet of %s", existing), nil
	}
	if windows == nil {
		return slices.Collect(existing.All().Keys()), "", nil
	}
	last, err := lastWindow(*windows, at)
	if err != nil {
		return nil, "", err
	}
	if dimension == "" {
		if existing.Has(last) {
			keys = []string{last}
		}
	} else {
		keys = withPart(existing, dimension, last)
	}
	if len(keys) == 0 {
		skip = fmt.Sprintf("there is no partition %q of %s", last, existing)
	}
	return keys, skip, nil
}

// withPart are a grid's keys that have that key of a dimension.
func withPart(grid *partition.Set, dimension, part string) []string {
	sides, names := grid.Dimensions()
	of := slices.Index(names, dimension)
	if !sides[of].Has(part) {
		return nil
	}
	var keys []string
	for other := range sides[1-of].All().Keys() {
		key := []string{part, other}
		if of == 1 {
			slices.Reverse(key)
		}
		keys = append(keys, strings.Join(key, "|"))
	}
	return keys
}

// lastWindow is the key of the last window that has ended, whether it was taken out or not; "" is none.
func lastWindow(windows partition.TimeWindows, at time.Time) (string, error) {
	windows.Exclude, windows.End = partition.Exclusions{}, ""
	all, err := partition.New(partition.Definition{Time: &windows})
	if err != nil {
		return "", err
	}
	last, _ := all.At(at, nil).All().Last()
	return last, nil
}
