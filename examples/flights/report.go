package main

import (
	"fmt"
	"strconv"

	"github.com/perdure-io/perdure/definitions"
)

// Report is a chart, stored as a picture, with the worst airports beside it as metadata.
var (
	Report = definitions.Asset("report",
		definitions.Bind5(report, HourlyDelays, WeekdayDelays, WorstAirports, everyDay(RejectedFlights), ReportConfig),
		definitions.Group("insights"), definitions.Owners{"team:network", "ops@flights.example"}, definitions.Kinds{"svg"},
		definitions.Tags{"audience": "everyone"}, definitions.CodeVersion("1"), announce,
		definitions.Description("When flights are late, as a chart; and the airports where they are."))
	ReportConfig = definitions.Config(reportConfig{Chart: "hours", MinFlights: 30})
)

type reportConfig struct {
	Chart      string `enum:"hours,weekdays" description:"what the bars stand for"`
	MinFlights int    `description:"a bar for fewer flights is left out"`
}

func report(ctx definitions.Context, hours []HourlyDelay, weekdays []WeekdayDelay, worst []WorstAirport, rejected []RejectedFlight, c reportConfig) (SVG, error) {
	ctx.Report(
		definitions.Table("worst airports", worst),
		definitions.Markdown("summary", summary(worst, len(rejected))))

	var bars []bar
	if c.Chart == "weekdays" {
		for _, d := range weekdays {
			bars = append(bars, bar{d.Weekday[:3], d.Delays})
		}
		return chart("Mean delay in minutes, by weekday of departure", c.MinFlights, bars), nil
	}
	for _, h := range hours {
		bars = append(bars, bar{strconv.Itoa(h.Hour), h.Delays})
	}
	return chart("Mean delay in minutes, by hour of departure", c.MinFlights, bars), nil
}

func summary(worst []WorstAirport, rejected int) string {
	if len(worst) == 0 {
		return "No airport has enough flights to be judged."
	}
	first := worst[0]
	return fmt.Sprintf("Flights leave **%s** (%s) latest: %.1f minutes on average. %d flights were rejected.",
		first.City, first.Airport, first.MeanDelay, rejected)
}
