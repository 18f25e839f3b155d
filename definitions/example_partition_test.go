package definitions_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// thatDay reads what a day brought: its function takes the span of time.
func thatDay(_ definitions.Context, day definitions.Window) ([]Order, error) {
	return []Order{{day.Start.Weekday().String(), float64(day.Start.Day())}}, nil
}

func turnover(_ definitions.Context, days map[string][]Order) (float64, error) {
	sum := 0.0
	for _, orders := range days {
		for _, o := range orders {
			sum += o.Amount
		}
	}
	return sum, nil
}

// february is when the examples run, so that they always find the same partitions.
var february = definitions.AsOf(time.Date(2001, time.February, 1, 12, 0, 0, 0, time.UTC))

// An asset is sliced by days, and learns which from its window. A week takes its days by their keys, whichever these are.
func ExamplePartitionedBy() {
	days, weeks := definitions.Daily("2001-01-01"), definitions.Weekly("2001-01-07")
	orders := definitions.Asset("orders", definitions.Bind1(thatDay, days.Window()), definitions.PartitionedBy(days))
	week := definitions.Asset("week", definitions.Bind1(turnover, definitions.ByKey(orders)), definitions.PartitionedBy(weeks))
	shop := definitions.New("shop", orders, week)

	run := definitions.Materialize(context.Background(), shop, definitions.ForRange("2001-01-07", "2001-01-13"), february)
	day, _ := orders.InPartition(run, "2001-01-08")
	sum, err := week.In(run)
	fmt.Println(day, run.MaterializedPartitions(week), sum, err)
	// Output: [{Monday 8}] [2001-01-07] 70 <nil>
}

// A sum that goes on takes its own value of the day before; the first day has none.
func ExamplePrevious() {
	days := definitions.Daily("2001-01-01")
	running := definitions.Asset("running", definitions.Bind2(func(_ definitions.Context, day string, before *int) (int, error) {
		if before == nil {
			return 1, nil
		}
		return *before + 1, nil
	}, days.Key(), definitions.Previous[int]()), definitions.PartitionedBy(days))

	run := definitions.Materialize(context.Background(), definitions.New("shop", running), definitions.ForRange("2001-01-01", "2001-01-05"), february)
	value, err := running.InPartition(run, "2001-01-05")
	fmt.Println(value, err)
	// Output: 5 <nil>
}

// One partition of another asset, by a mapping: that of the day before.
func ExampleAt() {
	days := definitions.Daily("2001-01-01")
	orders := definitions.Asset("orders", definitions.Bind1(thatDay, days.Window()), definitions.PartitionedBy(days))
	change := definitions.Asset("change", definitions.Bind2(func(_ definitions.Context, today []Order, yesterday *[]Order) (string, error) {
		if yesterday == nil {
			return "nothing before " + today[0].Customer, nil
		}
		return today[0].Customer + " after " + (*yesterday)[0].Customer, nil
	}, orders, definitions.At(orders, definitions.Offset(-1, -1))), definitions.PartitionedBy(days))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, change), definitions.ForRange("2001-01-01", "2001-01-02"), february)
	first, _ := change.InPartition(run, "2001-01-01")
	second, err := change.InPartition(run, "2001-01-02")
	fmt.Printf("%s; %s; %v\n", first, second, err)
	// Output: nothing before Monday; Tuesday after Monday; <nil>
}

// A function that makes a whole range in one call gives each partition by its key, and may report for each.
func ExampleRangeAsset() {
	days := definitions.Daily("2001-01-01")
	report := definitions.RangeAsset("report", definitions.Bind3(
		func(ctx definitions.Context, keys []string, span definitions.Window, each *definitions.PartitionReports) (map[string]int, error) {
			lengths := map[string]int{}
			for i, key := range keys {
				lengths[key] = i
				each.Report(key, definitions.RowCount(i))
			}
			ctx.Report(definitions.Text("span", span.End.Sub(span.Start).String()))
			return lengths, nil
		}, days.Keys(), days.Window(), definitions.ReportByKey),
		definitions.PartitionedBy(days), definitions.SingleRun{})

	run := definitions.Materialize(context.Background(), definitions.New("shop", report), definitions.ForRange("2001-01-01", "2001-01-03"), february)
	value, err := report.InPartition(run, "2001-01-03")
	fmt.Println(run.MaterializedPartitions(report), value, run.PartitionMetadata(report, "2001-01-03")[0].Label, err)
	// Output: [2001-01-01 2001-01-02 2001-01-03] 2 span <nil>
}

// A grid has a partition for each day and region. The dimensions are bound by themselves.
func ExampleGridOf() {
	days, regions := definitions.Daily("2001-01-01"), definitions.Static("east", "west")
	grid := definitions.GridOf("day", days, "region", regions)
	sales := definitions.Asset("sales", definitions.Bind2(func(_ definitions.Context, day definitions.Window, region string) (string, error) {
		return day.Start.Weekday().String() + " in the " + region, nil
	}, days.Window(), regions.Key()), definitions.PartitionedBy(grid))
	regional := definitions.Asset("regional", definitions.Bind1(func(_ definitions.Context, days map[string]string) (int, error) { return len(days), nil },
		definitions.ByKey(sales, definitions.ThroughDimension("region"))), definitions.PartitionedBy(regions))

	run := definitions.Materialize(context.Background(), definitions.New("shop", sales, regional), definitions.Only(sales), definitions.ForPartition("2001-01-02|west"), february)
	value, err := sales.In(run)
	fmt.Println(value, err)
	// Output: Tuesday in the west <nil>
}

// The keys of a dynamic set are added while the system runs; a test names them.
func ExampleDynamic() {
	customers := definitions.Dynamic("customers")
	letters := definitions.Asset("letters", definitions.Bind1(func(_ definitions.Context, customer string) (string, error) { return "dear " + customer, nil },
		customers.Key()), definitions.PartitionedBy(customers))

	run := definitions.Materialize(context.Background(), definitions.New("shop", letters), definitions.ForAllPartitions{}, definitions.DynamicKeys(customers, "ann", "bob"))
	value, err := letters.InPartition(run, "bob")
	fmt.Println(run.MaterializedPartitions(letters), value, err)
	// Output: [ann bob] dear bob <nil>
}

// A mapping that only a function knows. It is called in this location alone.
func ExampleCustomMapping() {
	teams, people := definitions.Static("red", "blue"), definitions.Static("ann", "bob", "cid")
	members := map[string][]string{"red": {"ann", "cid"}, "blue": {"bob"}}
	hours := definitions.Asset("hours", definitions.Bind1(func(_ definitions.Context, person string) (int, error) { return len(person), nil }, people.Key()),
		definitions.PartitionedBy(people))
	byTeam := definitions.CustomMapping("members", func(team string) ([]string, error) { return members[team], nil }, nil)
	team := definitions.Asset("team", definitions.Bind1(func(_ definitions.Context, hours map[string]int) (int, error) { return len(hours), nil },
		definitions.ByKey(hours, byTeam)), definitions.PartitionedBy(teams))

	run := definitions.Materialize(context.Background(), definitions.New("firm", hours, team), definitions.ForAllPartitions{})
	value, err := team.InPartition(run, "red")
	fmt.Println(value, err)
	// Output: 2 <nil>
}

// A job of ops for one partition: its ops take the key, or the window, as an asset's function does.
func ExampleOpJob_partitioned() {
	days := definitions.Daily("2001-01-01").Ending("2001-01-04")
	letter := definitions.Op("letter", definitions.Bind1(func(_ definitions.Context, day string) (string, error) { return "the news of " + day, nil }, days.Key()))
	news := definitions.OpJob("news", []definitions.AnyValue{letter}, definitions.PartitionedBy(days))

	run := definitions.RunJob(context.Background(), definitions.New("paper", news), news, definitions.ForPartition("2001-01-02"))
	value, err := letter.In(run)
	fmt.Println(value, err)
	// Output: the news of 2001-01-02 <nil>
}

// Some partitions are given, and the rest of the graph is computed from them.
func ExampleGivenPartition() {
	days, months := definitions.Daily("2001-01-01").Ending("2001-01-03"), definitions.Monthly("2001-01-01")
	orders := definitions.Asset("orders", definitions.Bind1(thatDay, days.Window()), definitions.PartitionedBy(days))
	month := definitions.Asset("month", definitions.Bind1(turnover, definitions.ByKey(orders, definitions.EveryPartition)), definitions.PartitionedBy(months))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, month), definitions.Only(month), definitions.ForPartition("2001-01-01"),
		definitions.GivenPartition(orders, "2001-01-01", []Order{{"ann", 10}}), definitions.GivenPartition(orders, "2001-01-02", []Order{{"bob", 5}}), february)
	value, err := month.In(run)
	fmt.Println(value, err)
	// Output: 15 <nil>
}

// A mapping for order alone: after the last partition, whichever it is.
func ExampleMapped() {
	days := definitions.Daily("2001-01-01").Ending("2001-01-04")
	var order []string
	orders := definitions.Asset("orders", definitions.Bind1(func(_ definitions.Context, day string) (int, error) {
		order = append(order, day)
		return 1, nil
	}, days.Key()), definitions.PartitionedBy(days))
	clean := definitions.Asset("clean", definitions.Do0(func(definitions.Context) error {
		order = append(order, "clean")
		return nil
	}), definitions.After(definitions.Mapped(orders, definitions.LastPartition)))

	run := definitions.Materialize(context.Background(), definitions.New("shop", orders, clean), definitions.ForPartition("2001-01-03"), february)
	fmt.Println(slices.Clone(order), run.Err())
	// Output: [2001-01-03 clean] <nil>
}
