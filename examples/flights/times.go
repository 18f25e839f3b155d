package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// HourlyDelays and WeekdayDelays say when flights are late.
var (
	HourlyDelays = definitions.Asset("hourly_delays", definitions.Bind1(hourlyDelays, everyDay(JoinedFlights)),
		insight, definitions.Description("Delays by hour of departure."))
	WeekdayDelays = definitions.Asset("weekday_delays", definitions.Bind2(weekdayDelays, everyDay(JoinedFlights), Holidays),
		insight, definitions.Description("Delays by day of the week; holidays are counted apart."))
)

// HourlyDelay is about the flights that leave within one hour of the day.
type HourlyDelay struct {
	Hour int `description:"0 to 23, the airport's own time"`
	Delays
}

func hourlyDelays(_ definitions.Context, flights []JoinedFlight) ([]HourlyDelay, error) {
	var hours []HourlyDelay
	for hour, group := range groupBy(flights, func(f JoinedFlight) int { return f.DepartedAt.Hour() }) {
		hours = append(hours, HourlyDelay{hour, delaysOf(group)})
	}
	slices.SortFunc(hours, func(a, b HourlyDelay) int { return cmp.Compare(a.Hour, b.Hour) })
	return hours, nil
}

// WeekdayDelay is about the flights of one day of the week.
type WeekdayDelay struct {
	Weekday string `description:"Monday to Sunday, or Holiday"`
	Delays
}

func weekdayDelays(_ definitions.Context, flights []JoinedFlight, holidays []Holiday) ([]WeekdayDelay, error) {
	free := map[string]bool{}
	for _, holiday := range holidays {
		free[holiday.Date] = true
	}
	groups := groupBy(flights, func(f JoinedFlight) string {
		if free[f.DepartedAt.Format(time.DateOnly)] {
			return "Holiday"
		}
		return f.DepartedAt.Weekday().String()
	})
	var weekdays []WeekdayDelay
	for _, day := range []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Holiday"} {
		if group := groups[day]; len(group) > 0 {
			weekdays = append(weekdays, WeekdayDelay{day, delaysOf(group)})
		}
	}
	return weekdays, nil
}
