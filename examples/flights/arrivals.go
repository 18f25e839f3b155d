package main

import (
	"path"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Arrivals is signalled by whoever delivers flights, in any language: see senders. It runs from the first deploy on, and costs
// nothing until something arrives.
var Arrivals = definitions.Sensor("arrivals", []*definitions.Job{DailyDelays},
	definitions.Bind1(arrived, definitions.Events[Arrival]()), definitions.DefaultRunning{},
	definitions.Owners{"team:network"}, definitions.Description("Makes a day again when flights of it have arrived."))

// Arrival is what an event says: {"day":"2001-02-14"} or {"file":"in/2001-02-14.csv"}. An event with other fields is rejected, and
// kept with the reason: perdure sensor show arrivals.
type Arrival struct {
	Day  string `description:"the day that flights have arrived of: 2001-02-14"`
	File string `description:"where they lie, named after the day: 2001-02-14.csv"`
}

// day is "" when the event names none of the example's.
func (a Arrival) day() string {
	day := a.Day
	if day == "" {
		day = strings.TrimSuffix(path.Base(a.File), ".csv")
	}
	if at, err := time.Parse(time.DateOnly, day); err != nil || at.Before(firstDay) || !at.Before(afterLastDay) {
		return ""
	}
	return day
}

// arrived asks for a run for each event. Its id is the run key: an event that comes twice, or whose tick is tried again, is one run.
func arrived(ctx definitions.Context, events []definitions.Event[Arrival]) (definitions.Tick[definitions.Nothing], error) {
	var tick definitions.Tick[definitions.Nothing]
	for _, event := range events {
		day := event.Payload.day()
		if day == "" {
			// An error would have the same events tried again, for ever.
			ctx.Log().Warn("the event names no day of the example", "event", event.ID, "day", event.Payload.Day, "file", event.Payload.File)
			continue
		}
		tick.Runs = append(tick.Runs, DailyDelays.Request(definitions.RunKey(event.ID), definitions.ForPartition(day),
			definitions.Title("flights of "+day+" have arrived"), definitions.Tags{"arrival": event.ID}))
	}
	if len(tick.Runs) == 0 {
		tick.Skip = "no day of the example has arrived"
	}
	return tick, nil
}
