package definitions_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// priceFile is what a service signals when a file of prices has come.
type priceFile struct {
	File string `config:"required"`
	Size int
}

// A sensor is called with what services have signalled, and with what it has remembered itself.
func ExampleSensor() {
	deliveries := definitions.Sensor("deliveries", []*definitions.Job{priceJob},
		definitions.Bind2(func(ctx definitions.Context, events []definitions.Event[priceFile], last string) (definitions.Tick[string], error) {
			tick := definitions.Tick[string]{Cursor: last}
			for _, e := range events {
				tick.Runs = append(tick.Runs, priceJob.Request(definitions.RunKey(e.ID), definitions.ForPartition(strings.TrimSuffix(e.Payload.File, ".csv"))))
				tick.Cursor = max(tick.Cursor, e.Payload.File)
			}
			if len(tick.Runs) == 0 {
				tick.Skip = "nothing since " + last
			}
			return tick, nil
		}, definitions.Events[priceFile](), definitions.CursorOf[string]()))
	shop := definitions.New("shop", prices, priceJob, deliveries)

	tick, err := definitions.EvaluateSensor(context.Background(), shop, deliveries, february, definitions.Signal("e1", `{"file":"2001-01-05.csv","size":300}`))
	fmt.Println(tick.Runs, tick.Cursor, err)
	tick, err = definitions.EvaluateSensor(context.Background(), shop, deliveries, definitions.Given(definitions.CursorOf[string](), "2001-01-05.csv"))
	fmt.Println(tick.Skip, err)
	_, err = definitions.EvaluateSensor(context.Background(), shop, deliveries, definitions.Signal("e2", `{"size":"large"}`))
	fmt.Println(err)
	// Output:
	// [prices [2001-01-05] key e1] 2001-01-05.csv <nil>
	// nothing since 2001-01-05.csv <nil>
	// event "e2" is rejected: file: is required (give it a value); size: must be a whole number, not "large"
}

// A sensor that polls is called at an interval. Here it adds the customers that it finds, and bills each of them once.
func ExampleEvery() {
	customers := definitions.Dynamic("customers")
	bill := definitions.Asset("bill", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }), definitions.PartitionedBy(customers))
	register := definitions.External[[]string]("register")
	job := definitions.AssetJob("bill", definitions.Assets(bill))
	service := definitions.Resource("crm", definitions.Bind0(func(definitions.Context) (crm, error) { return nil, nil }), definitions.NoClose)
	newcomers := definitions.Sensor("newcomers", []*definitions.Job{job},
		definitions.Bind2(func(_ definitions.Context, crm crm, known int) (definitions.Tick[int], error) {
			tick := definitions.Tick[int]{Cursor: len(crm)}
			for _, name := range crm[known:] {
				tick.Partitions = append(tick.Partitions, customers.Add(name))
				tick.Runs = append(tick.Runs, job.Request(definitions.RunKey(name), definitions.ForPartition(name)))
			}
			tick.Reports = append(tick.Reports, definitions.AssetReport{Asset: register, Observed: true, Metadata: []definitions.Metadatum{definitions.RowCount(len(crm))}})
			return tick, nil
		}, service, definitions.CursorOf[int]()),
		definitions.Every(time.Minute), definitions.Timeout(10*time.Second))

	tick, err := definitions.EvaluateSensor(context.Background(), definitions.New("shop", bill, register, job, service, newcomers), newcomers,
		definitions.Given(service, crm{"ann", "bob"}), definitions.Given(definitions.CursorOf[int](), 1), definitions.DynamicKeys(customers, "ann"))
	fmt.Println(tick.Runs, tick.Added, tick.Reports[0].Asset, tick.Cursor, err)
	// Output: [bill [bob] key bob] map[customers:[bob]] register 2 <nil>
}

type crm []string

// An asset sensor is called with what was materialized, here once there is something new of both assets.
func ExampleAssetSensor() {
	east, west := definitions.External[int]("east"), definitions.External[int]("west")
	both := definitions.AssetSensor("both", []definitions.AnyAsset{east, west}, []*definitions.Job{priceJob},
		definitions.Bind1(func(_ definitions.Context, seen []definitions.Materialization) (definitions.Tick[definitions.Nothing], error) {
			last := seen[len(seen)-1]
			return definitions.Tick[definitions.Nothing]{Runs: []definitions.RunRequest{priceJob.Request(definitions.RunKey(last.Run), definitions.ForPartition("2001-01-05"))}}, nil
		}, definitions.NewMaterializations), definitions.WhenAll{})
	shop := definitions.New("shop", prices, east, west, priceJob, both)

	for _, seen := range [][]definitions.Materialization{{{Asset: "east", Run: "r1"}}, {{Asset: "east", Run: "r1"}, {Asset: "west", Run: "r2"}}} {
		tick, err := definitions.EvaluateSensor(context.Background(), shop, both, february, definitions.Given(definitions.NewMaterializations, seen))
		fmt.Println(tick.Runs, tick.Skip, err)
	}
	// Output:
	// [] nothing new of "west" <nil>
	// [prices [2001-01-05] key r2]  <nil>
}

// A failure sensor is called for each run that has failed. This one tells somebody, and requests nothing.
func ExampleRunFailureSensor() {
	tell := definitions.RunFailureSensor("tell", definitions.Do1(func(_ definitions.Context, run definitions.MonitoredRun) error {
		fmt.Println(run.Job, run.Partition, "failed:", run.Failures[0].Step, run.Failures[0].Message)
		return nil
	}, definitions.TheRun), definitions.Monitor(priceJob))
	_, err := definitions.EvaluateSensor(context.Background(), definitions.New("shop", prices, priceJob, tell), tell,
		definitions.Given(definitions.TheRun, definitions.MonitoredRun{
			ID: "r1", Job: "prices", Partition: "2001-01-05", Status: definitions.RunFailed,
			Failures: []definitions.StepFailure{{Step: "prices", Message: "the exchange is closed"}},
		}))
	fmt.Println(err)
	// Output:
	// prices 2001-01-05 failed: prices the exchange is closed
	// <nil>
}

// A run-status sensor starts one job when another has ended, of this or another location.
func ExampleRunStatusSensor() {
	after := definitions.RunStatusSensor("after_import", []definitions.RunStatus{definitions.RunSucceeded},
		definitions.Bind1(func(_ definitions.Context, run definitions.MonitoredRun) (definitions.Requests, error) {
			if run.Job != "import" {
				return definitions.Requests{Skip: run.Job + " is not what prices are made of"}, nil
			}
			return definitions.Requests{Runs: []definitions.RunRequest{priceJob.Request(definitions.RunKey(run.ID), definitions.ForPartition(run.Partition))}}, nil
		}, definitions.TheRun), definitions.MonitorLocations("warehouse"), definitions.Targets(priceJob))
	shop := definitions.New("shop", prices, priceJob, after)
	tick, err := definitions.EvaluateSensor(context.Background(), shop, after, february,
		definitions.Given(definitions.TheRun, definitions.MonitoredRun{ID: "r1", Location: "warehouse", Job: "import", Partition: "2001-01-05"}))
	fmt.Println(tick.Runs, err)
	// Output: [prices [2001-01-05] key r1] <nil>
}

// What is wrong with the requests of a tick is told for all of them at once.
func ExampleJob_Request() {
	other := definitions.AssetJob("other", definitions.Assets(prices))
	both := definitions.Sensor("both", []*definitions.Job{priceJob},
		definitions.Bind0(func(definitions.Context) (definitions.Tick[definitions.Nothing], error) {
			return definitions.Tick[definitions.Nothing]{Runs: []definitions.RunRequest{
				other.Request(definitions.ForPartition("2001-01-05")),
				priceJob.Request(definitions.ForPartition("2001-01-05"), definitions.Priority(7)),
			}}, nil
		}))
	_, err := definitions.EvaluateSensor(context.Background(), definitions.New("shop", prices, priceJob, other, both), both, february)
	fmt.Println(strings.ReplaceAll(err.Error(), "; ", "\n"))
	// Output:
	// runs[0] (job "other", partition "2001-01-05").job: job "other" is no target of sensor "both" (request a run of "prices", or list the job as a target)
	// runs[1] (job "prices", partition "2001-01-05").priority: priority 7 is not allowed (give 1 to 5, 1 first)
}
