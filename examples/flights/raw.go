package main

import (
	"embed"
	"errors"
	"time"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/storage/blob"
)

//go:embed data
var data embed.FS

// Files reads the CSV files that come with this program.
var Files = definitions.Resource("files", definitions.Bind0(openFiles), definitions.NoClose)

func openFiles(definitions.Context) (*blob.Files, error) {
	return blob.CSVFiles(data, blob.Paths{"airports": "data/airports.csv", "delivery": "data/flights.csv"}), nil
}

// Airport is a place to fly from or to.
type Airport struct {
	IATA      string  `csv:"iata"`
	Name      string  `csv:"name"`
	City      string  `csv:"city"`
	State     string  `csv:"state"`
	Latitude  float64 `csv:"latitude"`
	Longitude float64 `csv:"longitude"`
}

// Airports are external: somebody else makes the file.
var Airports = definitions.External[[]Airport]("airports", definitions.LoadedBy(Files), definitions.Group("raw"),
	definitions.Description("The airports of the United States."), definitions.Kinds{"csv"})

// Flight is one departure. Times are the airport's own, delays are in minutes; a flight ahead of its time has a
// negative one.
type Flight struct {
	DepartedAt    time.Time `csv:"departed_at" layout:"2006-01-02 15:04:05"`
	Origin        string
	Destination   string
	DistanceMiles int
	DelayMinutes  int
}

// late is so from 15 minutes on.
func (f Flight) late() bool { return f.DelayMinutes >= 15 }

// Delivery is external, too: all flights in one file, as they were delivered, mistakes and all.
var Delivery = definitions.External[[]Flight]("delivery", definitions.LoadedBy(Files), definitions.Group("raw"),
	definitions.Description("20,000 domestic flights of January to March 2001."), definitions.Kinds{"csv"})

// Flights are those that leave in one day.
var Flights = definitions.Asset("flights", definitions.Bind2(departing, Days.Window(), Delivery),
	definitions.PartitionedBy(Days), definitions.Group("raw"), definitions.CodeVersion("1"),
	definitions.Description("The flights of a day, mistakes and all."))

func departing(_ definitions.Context, day definitions.Window, delivery []Flight) ([]Flight, error) {
	flights := []Flight{}
	for _, flight := range delivery {
		if !flight.DepartedAt.Before(day.Start) && flight.DepartedAt.Before(day.End) {
			flights = append(flights, flight)
		}
	}
	return flights, nil
}

// Holidays come from a service that is down now and then, so a failure is tried again. It bears few callers at once: the pool bounds them
// over all runs, see perdure.yaml.
var Holidays = definitions.Asset("holidays", definitions.Bind1(fetchHolidays, HolidayService),
	definitions.Group("raw"), definitions.Owners{"team:network"}, definitions.Pool("holiday_service"),
	definitions.Description("The federal holidays of 2001, from a service that needs a second try."),
	definitions.Retries{Max: 3, Delay: time.Second})

func fetchHolidays(ctx definitions.Context, service *Calendar) ([]Holiday, error) {
	if ctx.Run().Attempt == 1 {
		// On purpose: the first attempt of each run fails, so that you can watch a retry in Temporal's Web UI.
		return nil, errors.New("503 Service Unavailable (simulated: the second attempt succeeds)")
	}
	return service.Holidays(ctx, 2001)
}
