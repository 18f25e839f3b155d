package definitions_test

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// prices is what the schedules and sensors of the examples make, day by day.
var (
	priceDays = definitions.Daily("2001-01-01").InZone("America/New_York")
	prices    = definitions.Asset("prices", definitions.Bind0(func(definitions.Context) (int, error) { return 100, nil }), definitions.PartitionedBy(priceDays))
	priceJob  = definitions.AssetJob("prices", definitions.Assets(prices))
)

// A schedule computes what each tick runs. Its function is plain, and is tested by calling it, or through the schedule.
func ExampleSchedule() {
	nightly := definitions.Schedule("nightly", priceJob, definitions.Cron{Expr: "0 6 * * *", Zone: "America/New_York"},
		definitions.AlsoAt("0 18 * * *"),
		definitions.Evaluate(definitions.Bind1(func(_ definitions.Context, at time.Time) (definitions.Requests, error) {
			if at.Weekday() == time.Sunday {
				return definitions.Requests{Skip: "the exchange is closed on Saturdays"}, nil
			}
			day := at.AddDate(0, 0, -1).Format(time.DateOnly)
			return definitions.Requests{Runs: []definitions.RunRequest{priceJob.Request(definitions.ForPartition(day), definitions.Title("prices of "+day))}}, nil
		}, definitions.ScheduledTime)))
	shop := definitions.New("shop", prices, priceJob, nightly)

	newYork, _ := time.LoadLocation("America/New_York")
	for _, day := range []int{3, 4} {
		tick, err := definitions.EvaluateSchedule(context.Background(), shop, nightly, time.Date(2001, 2, day, 6, 0, 0, 0, newYork))
		fmt.Println(tick.Runs, tick.Skip, err)
	}
	// Output:
	// [prices [2001-02-02]]  <nil>
	// [] the exchange is closed on Saturdays <nil>
}

// Without a function a schedule starts its job as it is, or what it always requests.
func ExampleRequesting() {
	report := definitions.Asset("report", definitions.Bind1(func(_ definitions.Context, of region) (string, error) { return of.Name, nil },
		definitions.Literal(region{"west"})))
	job := definitions.AssetJob("report", definitions.Assets(report))
	weekly := definitions.Schedule("weekly", job, definitions.Cron{Expr: "0 7 * * MON"},
		definitions.Requesting(job.Request(definitions.Tags{"team": "sales"}, definitions.HighPriority), job.Request(definitions.StaleOnly{})),
		definitions.SkipTick, definitions.PauseOnFailure{}, definitions.CatchUp(3), definitions.TickJitter(10*time.Minute),
		definitions.DefaultRunning{}, definitions.Description("What the sales team reads on Mondays."), definitions.Owners{"team:sales"})
	tick, err := definitions.EvaluateSchedule(context.Background(), definitions.New("shop", report, job, weekly), weekly, time.Date(2001, 2, 5, 7, 0, 0, 0, time.UTC))
	fmt.Println(tick.Runs, tick.Runs[0].Tags, err)
	// Output: [report report stale only] map[team:sales] <nil>
}

type region struct{ Name string }

// A schedule over a partitioned job runs each partition once it exists. Its times follow from the partitions: here an hour after a
// day has ended, in the zone of the days.
func ExamplePartitionedSchedule() {
	each := definitions.PartitionedSchedule("each_day", priceJob, definitions.AtHour(1))
	tick, err := definitions.EvaluateSchedule(context.Background(), definitions.New("shop", prices, priceJob, each), each, time.Date(2001, 2, 3, 6, 0, 0, 0, time.UTC))
	fmt.Println(tick.Runs, err)

	tick, err = definitions.EvaluateSchedule(context.Background(), definitions.New("shop", prices, priceJob, each), each, time.Date(2001, 1, 1, 6, 0, 0, 0, time.UTC))
	fmt.Println(tick.Skip, err)
	// Output:
	// [prices [2001-02-02] key 2001-02-02] <nil>
	// no partition exists yet of daily partitions from 2001-01-01T00:00:00 (America/New_York) <nil>
}

// Partitions that are no windows of time are run at the times of a Cron, each in a run of its own.
func ExamplePartitionedSchedule_dynamic() {
	customers := definitions.Dynamic("customers")
	bill := definitions.Asset("bill", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.PartitionedBy(customers))
	job := definitions.AssetJob("bill", definitions.Assets(bill))
	monthly := definitions.PartitionedSchedule("monthly_bills", job, definitions.Cron{Expr: "@monthly"})
	tick, err := definitions.EvaluateSchedule(context.Background(), definitions.New("shop", bill, job, monthly), monthly,
		time.Date(2001, 2, 1, 0, 0, 0, 0, time.UTC), definitions.DynamicKeys(customers, "ann", "bob"))
	fmt.Println(tick.Runs, err)
	// Output: [bill [ann] key ann bill [bob] key bob] <nil>
}
