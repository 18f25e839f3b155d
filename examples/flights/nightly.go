package main

import (
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Two schedules of one job. They are stopped until somebody starts them: perdure schedule start replay.
var (
	// DailyDelays makes a day of routes and of airports, and what they are made of.
	DailyDelays = definitions.AssetJob("daily_delays", definitions.Select("+route_delays or +airport_delays"),
		definitions.Tags{"team": "network"}, definitions.Description("Makes a day: its flights, routes and airports."))

	// Nightly takes from the job which day a tick is for: the one that ended last. The days of the example end with March 2001, so
	// tonight's tick says that it has none; try it as of then: perdure schedule preview nightly --at 2001-02-15T04:00:00Z.
	Nightly = definitions.PartitionedSchedule("nightly", DailyDelays, definitions.AtHour(4), definitions.PauseOnFailure{},
		definitions.Owners{"team:network"}, definitions.Description("Makes each day at four in the morning of the next."))

	// Replay has a function that says what a tick is for.
	Replay = definitions.Schedule("replay", DailyDelays, definitions.Cron{Expr: "* * * * *"}, definitions.SkipTick,
		definitions.Evaluate(definitions.Bind1(replayed, definitions.ScheduledTime)),
		definitions.Owners{"team:network"}, definitions.Description("Makes the ninety days again and again, one each minute."))
)

// replayed maps a minute of our time to a day of 2001. It looks at the nominal time and never at the clock: whenever it is called
// for a tick, it gives the same.
func replayed(_ definitions.Context, at time.Time) ([]definitions.RunRequest, error) {
	days := int64(afterLastDay.Sub(firstDay) / (24 * time.Hour))
	day := firstDay.AddDate(0, 0, int(at.Unix()/60%days)).Format(time.DateOnly)
	return []definitions.RunRequest{DailyDelays.Request(definitions.ForPartition(day), definitions.Title("replay of "+day))}, nil
}
