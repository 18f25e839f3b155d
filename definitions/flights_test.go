package definitions_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
)

// The call sites of a whole location, one of each: what wrong programs are made from, too.

type (
	Flight struct {
		Day, From, To string
		Delay         int
	}
	Airport    struct{ Code, Region string }
	RouteDelay struct {
		Route string
		Mean  float64
	}
)

type warehouseConfig struct {
	DSN      definitions.Secret
	MaxConns int `config:"required"`
}

var (
	WarehouseConfig = definitions.Config(warehouseConfig{DSN: definitions.FromEnv("WAREHOUSE_DSN")})
	Warehouse       = definitions.Resource("warehouse", definitions.Bind1(openWarehouse, WarehouseConfig), (*warehouse).Close)
	Tables          = definitions.Resource("tables", definitions.Bind1(newTables, Warehouse), definitions.NoClose)
)

// warehouse stands for a database.
type warehouse struct{ dsn string }

func (*warehouse) Close() error { return nil }

func openWarehouse(ctx definitions.Context, c warehouseConfig) (*warehouse, error) {
	return &warehouse{c.DSN.Reveal(ctx)}, nil
}

type tables struct{ in *warehouse }

func newTables(_ definitions.Context, in *warehouse) (definitions.IOManager, error) {
	return tables{in}, nil
}

func (tables) Accepts(t reflect.Type) error {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("a table holds a slice of structs, not %v", t)
	}
	return nil
}

func (tables) Stage(definitions.Context, definitions.Slot, any) (definitions.Staged, error) {
	return nil, errors.ErrUnsupported
}

func (tables) Load(definitions.Context, definitions.Slot, any) error { return errors.ErrUnsupported }

var Flights = definitions.Asset("flights", definitions.Bind1(readFlights, Warehouse),
	definitions.Group("raw"), definitions.StoredBy(Tables),
	definitions.Retries{Max: 3, Delay: 2 * time.Second, Backoff: definitions.Exponential})

func readFlights(ctx definitions.Context, _ *warehouse) ([]Flight, error) {
	flights := []Flight{{"2001-01-01", "RNO", "SMF", 12}, {"2001-01-01", "RNO", "LAX", 4}}
	ctx.Report(definitions.RowCount(len(flights)))
	return flights, nil
}

var Airports = definitions.External[[]Airport]("airports", definitions.Group("raw"))

type delayConfig struct{ MinFlights int }

var DelayConfig = definitions.Config(delayConfig{MinFlights: 1})

var RouteDelays = definitions.Asset("route_delays", definitions.Bind3(routeDelays, Flights, Airports, DelayConfig),
	definitions.Group("delays"), definitions.Queue("large"))

func routeDelays(_ definitions.Context, flights []Flight, _ []Airport, c delayConfig) ([]RouteDelay, error) {
	sum, n := map[string]int{}, map[string]int{}
	for _, f := range flights {
		sum[f.From+"-"+f.To] += f.Delay
		n[f.From+"-"+f.To]++
	}
	var out []RouteDelay
	for route := range n {
		if n[route] >= c.MinFlights {
			out = append(out, RouteDelay{route, float64(sum[route]) / float64(n[route])})
		}
	}
	return out, nil
}

var (
	Clean    = definitions.Output[[]Flight]("clean_flights", definitions.Group("clean"))
	Rejected = definitions.Output[[]Flight]("rejected_flights", definitions.Group("clean"))
	Split    = definitions.MultiAsset("split_flights", definitions.Outs{Clean, Rejected},
		definitions.Bind2(split, Flights, definitions.Requested), definitions.CanSubset{})
)

func split(_ definitions.Context, flights []Flight, want definitions.Subset) (definitions.Outputs, error) {
	var good, bad []Flight
	for _, f := range flights {
		if f.Delay < 10 {
			good = append(good, f)
		} else {
			bad = append(bad, f)
		}
	}
	var out definitions.Outputs
	if want.Has(Clean) {
		out = append(out, Clean.Of(good, definitions.RowCount(len(good))))
	}
	if want.Has(Rejected) {
		out = append(out, Rejected.Of(bad))
	}
	return out, nil
}

var Report = definitions.Asset("report",
	definitions.Bind2(report, definitions.All(Clean, Rejected), definitions.View(Airports, func(a []Airport) int { return len(a) })),
	definitions.After(RouteDelays))

func report(_ definitions.Context, both [][]Flight, airports int) (string, error) {
	return fmt.Sprintf("%d good, %d bad, %d airports", len(both[0]), len(both[1]), airports), nil
}

var DelayJob = definitions.AssetJob("delays", definitions.Assets(Flights).Downstream(), definitions.Tags{"team": "network"},
	definitions.Configure(DelayConfig, delayConfig{MinFlights: 2}))

var Nightly = definitions.Schedule("nightly", DelayJob, definitions.Cron{Expr: "0 6 * * *", Zone: "America/New_York"},
	definitions.Evaluate(definitions.Bind1(nightly, definitions.ScheduledTime)))

func nightly(_ definitions.Context, at time.Time) ([]definitions.RunRequest, error) {
	return []definitions.RunRequest{DelayJob.Request(definitions.Title("delays of " + at.Format(time.DateOnly)))}, nil
}

type arrived struct{ File string }

var Arrivals = definitions.Sensor("arrivals", []*definitions.Job{DelayJob},
	definitions.Bind3(onArrivals, definitions.Events[arrived](), definitions.CursorOf[string](), Warehouse),
	oneConnection)

// oneConnection is for what opens the warehouse: the sensor itself, and the runs that it requests.
var oneConnection = definitions.Configure(WarehouseConfig, warehouseConfig{DSN: definitions.FromEnv("WAREHOUSE_DSN"), MaxConns: 1})

func onArrivals(_ definitions.Context, events []definitions.Event[arrived], last string, _ *warehouse) (definitions.Tick[string], error) {
	tick := definitions.Tick[string]{Cursor: last}
	for _, e := range events {
		tick.Runs = append(tick.Runs, DelayJob.Request(definitions.RunKey(e.ID), definitions.Tags{"file": e.Payload.File}, oneConnection))
		tick.Cursor = e.Payload.File
	}
	return tick, nil
}

var Location = definitions.New("flights", Warehouse, Tables, Flights, Airports, RouteDelays, Split, Report, DelayJob, Nightly, Arrivals)

func TestASensorsFunctionIsPlain(t *testing.T) {
	t.Parallel()
	tick, err := onArrivals(definitions.NewContext(t.Context()), []definitions.Event[arrived]{{ID: "e1", Payload: arrived{"a.csv"}}}, "", nil)
	require.NoError(t, err)
	require.Len(t, tick.Runs, 1)
	require.Equal(t, "e1", tick.Runs[0].Key())

	ticked, err := definitions.EvaluateSensor(t.Context(), Location, Arrivals, definitions.Signal("e1", `{"file":"a.csv"}`), definitions.Given(Warehouse, (*warehouse)(nil)))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"file": "a.csv"}, ticked.Runs[0].Tags)
	require.Equal(t, "a.csv", ticked.Cursor)
}

func TestRouteDelaysIsAPlainFunction(t *testing.T) {
	t.Parallel()
	got, err := routeDelays(definitions.NewContext(t.Context()), []Flight{{"", "RNO", "SMF", 10}}, nil, delayConfig{MinFlights: 1})
	require.NoError(t, err)
	require.Equal(t, []RouteDelay{{"RNO-SMF", 10}}, got)
}

func TestTheWholeLocationInProcess(t *testing.T) {
	t.Parallel()
	run := definitions.Materialize(t.Context(), Location,
		definitions.Given(Airports, []Airport{{"RNO", "west"}}),
		definitions.Given(Warehouse, (*warehouse)(nil)))
	require.NoError(t, run.Err())

	delays, err := RouteDelays.In(run)
	require.NoError(t, err)
	require.ElementsMatch(t, []RouteDelay{{"RNO-SMF", 12}, {"RNO-LAX", 4}}, delays)
	text, err := Report.In(run)
	require.NoError(t, err)
	require.Equal(t, "1 good, 1 bad, 1 airports", text)
	require.Equal(t, []definitions.Metadatum{definitions.RowCount(2)}, run.Metadata(Flights))
	require.Equal(t, []string{"clean_flights", "flights", "rejected_flights", "report", "route_delays"}, run.Materialized())
}
