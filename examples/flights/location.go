package main

import "github.com/perdure-io/perdure/definitions"

// Two jobs of assets: everything, and a report that shows the days of the week. DepartureReport is one of ops.
var (
	Refresh = definitions.AssetJob("refresh", definitions.Select("*"), definitions.Tags{"team": "network"},
		definitions.Description("Materializes everything."))
	WeekdayReport = definitions.AssetJob("weekday_report", definitions.Assets(WeekdayDelays, Report),
		definitions.Description("Materializes the report with a bar for each day of the week, from the days that are there."),
		definitions.Configure(ReportConfig, reportConfig{Chart: "weekdays", MinFlights: 30}))
)

// Location is everything this program defines.
var Location = definitions.New("flights",
	Files, Tables, HolidayService,
	Airports, Delivery, Flights, Holidays,
	SplitFlights, JoinedFlights,
	RouteDelays, BusiestRoutes, AirportDelays, AirportPunctuality, WorstAirports, HourlyDelays, WeekdayDelays, Report,
	WeeklyDelays, MonthlyDelays, RunningTotal, DistanceDelays, WatchedDelays,
	Refresh, WeekdayReport, DepartureReport, DailyDelays, Distances, Watch,
	Watchlist, Nightly, Replay, Arrivals, NewFiles, NewDays, Failures)
