package definitions_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrongPrelude is what the wrong programs refer to.
const wrongPrelude = `package wrong

import (
	"database/sql"
	"reflect"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

type (
	Flight  struct{ From string }
	Airport struct{ Code string }
)

var (
	Flights   = definitions.Asset("flights", definitions.Bind0(read))
	Airports  = definitions.External[[]Airport]("airports")
	Clean     = definitions.Output[[]Flight]("clean")
	Warehouse = definitions.Resource("warehouse", definitions.Bind0(open), (*sql.DB).Close)
	Limit     = definitions.Config(limit{})
	Files     = definitions.Resource("files", definitions.Bind0(openFiles), definitions.NoClose)
	Delivered = definitions.External[int]("delivered", definitions.LoadedBy(Files))
	Pages     = definitions.FanOut("pages", definitions.Bind1(pages, Flights))
	Total     = definitions.Op("total", definitions.Bind1(count, Flights))
	Days      = definitions.Daily("2001-01-01")
	Regions   = definitions.Static("east", "west")
	Grid      = definitions.GridOf("day", Days, "region", Regions)
	Job       = definitions.AssetJob("job", definitions.Assets(Flights))
	Sense     = definitions.Bind2(sense, definitions.Events[Flight](), definitions.CursorOf[string]())
	Arrivals  = definitions.Sensor("arrivals", []*definitions.Job{Job}, Sense)
	Nightly   = definitions.Schedule("nightly", Job, definitions.Cron{Expr: "@daily"}, definitions.Evaluate(definitions.Bind1(runs, definitions.ScheduledTime)))
	Tell      = definitions.RunFailureSensor("tell", definitions.Do1(tell, definitions.TheRun))
)

type files struct{}

func (*files) Accepts(reflect.Type) error                             { return nil }
func (*files) Load(definitions.Context, definitions.Slot, any) error  { return nil }
func openFiles(definitions.Context) (*files, error)                   { return &files{}, nil }

type limit struct{ Size int }

func read(definitions.Context) ([]Flight, error)                       { return nil, nil }
func open(definitions.Context) (*sql.DB, error)                        { return nil, nil }
func count(definitions.Context, []Flight) (int, error)                 { return 0, nil }
func join(definitions.Context, []Flight, []Airport) (int, error)       { return 0, nil }
func outputs(definitions.Context, []Flight) (definitions.Outputs, error) { return nil, nil }
func pages(definitions.Context, []Flight) ([]definitions.Keyed[int], error) { return nil, nil }
func add(definitions.Context, []int) (int, error)                      { return 0, nil }
func next(definitions.Context, int) (int, error)                       { return 0, nil }
func list(definitions.Context) ([]int, error)                          { return nil, nil }
func runs(definitions.Context, time.Time) ([]definitions.RunRequest, error) { return nil, nil }
func sense(definitions.Context, []definitions.Event[Flight], string) (definitions.Tick[string], error) { return definitions.Tick[string]{}, nil }
func tell(definitions.Context, definitions.MonitoredRun) error          { return nil }

`

// TestWrongProgramsDoNotCompile checks programs that must not compile, and that the message names what clashes.
func TestWrongProgramsDoNotCompile(t *testing.T) {
	t.Parallel()
	check := compiler(t)

	require.NoError(t, check(`var X = definitions.Asset("x", definitions.Bind2(join, Flights, Airports))`), "the programs are wrong for the reason given, and for no other")

	for _, wrong := range []struct{ name, code, names, and string }{
		{"an upstream of another type", `var X = definitions.Asset("x", definitions.Bind2(join, Airports, Airports))`, "*definitions.AssetOf[[]Airport]", "definitions.Source[[]Flight]"},
		{"inputs in the wrong order", `var X = definitions.Asset("x", definitions.Bind2(join, Airports, Flights))`, "*definitions.AssetOf[[]Airport]", "definitions.Source[[]Flight]"},
		{"one input too few", `var X = definitions.Asset("x", definitions.Bind1(join, Flights))`, "func(definitions.Context, []Flight, []Airport) (int, error)", "func(definitions.Context, A) (R, error)"},
		{"one value where several are expected", `var X = definitions.Asset("x", definitions.Bind1(count, definitions.All(Flights)))`, "definitions.Source[[][]Flight]", "definitions.Source[[]Flight]"},
		{"several types in a fan-in", `var X = definitions.All(Flights, Airports)`, "[[]Airport]", "[[]Flight]"},
		{"a view of another type", `var X = definitions.View(Flights, func(a []Airport) int { return len(a) })`, "func(a []Airport) int", "func([]Flight) V"},
		{"config of another type", `var X = definitions.Asset("x", definitions.Bind1(count, Limit))`, "*definitions.ConfigOf[limit]", "definitions.Source[[]Flight]"},
		{"an option of computed assets on an external one", `var X = definitions.External[int]("x", definitions.Queue("gpu"))`, "definitions.Queue", "definitions.ExternalOption"},
		{"an option of assets on a multi-asset", `var X = definitions.MultiAsset("x", definitions.Outs{Clean}, definitions.Bind1(outputs, Flights), definitions.Description("d"))`, "definitions.Description", "definitions.MultiAssetOption"},
		{"an asset stored by what only reads", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.StoredBy(Files))`, "*files", "definitions.IOManager"},
		{"an external asset stored by what only reads", `var X = definitions.External[int]("x", definitions.StoredBy(Files))`, "*files", "definitions.IOManager"},
		{"an asset loaded by what something else fills", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.LoadedBy(Files))`, "definitions.ExternalOption", "definitions.AssetOption"},
		{"an option of outputs in a bundle", `var X = definitions.Options{definitions.Optional{}}`, "definitions.Optional", "definitions.AssetOption"},
		{"an option of multi-assets on an asset", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.CanSubset{})`, "definitions.CanSubset", "definitions.AssetOption"},
		{"an option of outputs on an asset", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.Optional{})`, "definitions.Optional", "definitions.AssetOption"},
		{"an option of assets on a job", `var X = definitions.AssetJob("x", definitions.Select("*"), definitions.Group("g"))`, "definitions.Group", "definitions.JobOption"},
		{"a test value of another type", `var X = definitions.Given(Airports, []Flight{})`, "[]Flight", "[]Airport"},
		{"a config value of another type", `var X = definitions.Configure(Limit, struct{ Size string }{})`, "struct{Size string}", "limit"},
		{"a multi-asset output of another type", `var X = Clean.Of([]Airport{})`, "[]Airport", "[]Flight"},
		{"a multi-asset that returns one value", `var X = definitions.MultiAsset("x", definitions.Outs{Clean}, definitions.Bind1(count, Flights))`, "definitions.Compute[int]", "definitions.Compute[definitions.Outputs]"},
		{"an optional asset that always returns a value", `var X = definitions.OptionalAsset[int]("x", definitions.Bind1(count, Flights))`, "definitions.Compute[int]", "definitions.Compute[*int]"},
		{"a resource nobody closes", `var X = definitions.Resource("x", definitions.Bind0(open))`, "definitions.Compute[*sql.DB]", "func(R) error"},
		{"a resource closed as another type", `var X = definitions.Resource("x", definitions.Bind0(open), (*sql.Conn).Close)`, "func(*sql.Conn) error", "func(*sql.DB) error"},
		{"an IO manager resource that is none", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.StoredBy(Warehouse))`, "*sql.DB", "definitions.IOManager"},
		{"a result read as another type", `func g(r *definitions.Result) ([]Airport, error) { return Flights.In(r) }`, "[]Flight", "[]Airport"},
		{"a sensor without target", `var X = definitions.Sensor("x", Sense)`, "definitions.Compute[definitions.Tick[string]]", "[]*definitions.Job"},
		{"a schedule of an asset instead of a job", `var X = definitions.Schedule("x", Flights, definitions.Cron{Expr: "@daily"})`, "*definitions.AssetOf[[]Flight]", "*definitions.Job"},
		{"a schedule without times", `var X = definitions.Schedule("x", Job)`, "*definitions.Job", "definitions.Cron"},
		{"a schedule that computes something else", `var X = definitions.Evaluate(definitions.Bind1(count, Flights))`, "int", "definitions.ScheduleAnswer"},
		{"events of another type", `var X = definitions.Bind2(sense, definitions.Events[Airport](), definitions.CursorOf[string]())`, "[[]definitions.Event[Airport]]", "[[]definitions.Event[Flight]]"},
		{"a cursor of another type", `var X = definitions.Bind2(sense, definitions.Events[Flight](), definitions.CursorOf[int]())`, "definitions.Source[int]", "definitions.Source[string]"},
		{"a sensor that answers with no tick", `var X = definitions.Sensor("x", []*definitions.Job{Job}, definitions.Bind1(count, Flights))`, "definitions.Compute[int]", "definitions.Compute[definitions.Tick[C]]"},
		{"a scheduled time taken for a text", `var X = definitions.Bind1(func(definitions.Context, string) ([]definitions.RunRequest, error) { return nil, nil }, definitions.ScheduledTime)`, "definitions.Source[time.Time]", "definitions.Source[string]"},
		{"a job as a run request", `var X = []definitions.RunRequest{Job}`, "*definitions.Job", "definitions.RunRequest"},
		{"an option of jobs in a request", `var X = Job.Request(definitions.RunTimeout(3))`, "definitions.RunTimeout", "definitions.RequestOption"},
		{"an option of sensors on a schedule", `var X = definitions.Schedule("x", Job, definitions.Cron{}, definitions.Every(3))`, "definitions.Every", "definitions.ScheduleOption"},
		{"an option of schedules on a sensor", `var X = definitions.Sensor("x", []*definitions.Job{Job}, Sense, definitions.SkipTick)`, "definitions.SkipTick", "definitions.SensorOption"},
		{"an interval on a sensor that the log wakes", `var X = definitions.RunFailureSensor("x", definitions.Do1(tell, definitions.TheRun), definitions.Every(3))`, "definitions.Every", "definitions.RunSensorOption"},
		{"a function for a schedule over partitions", `var X = definitions.PartitionedSchedule("x", Job, definitions.Evaluate(definitions.Bind1(runs, definitions.ScheduledTime)))`, "definitions.ScheduleOption", "definitions.PartitionedScheduleOption"},
		{"a run sensor with a cursor", `var X = definitions.RunFailureSensor("x", Sense)`, "definitions.Tick[string]", "definitions.RunSensorAnswer"},
		{"a test's event of another type", `var X = definitions.Given(definitions.Events[Flight](), []definitions.Event[Airport]{})`, "[]definitions.Event[Airport]", "[]definitions.Event[Flight]"},
		{"a run's option in a test of a schedule", `func g() { definitions.EvaluateSchedule(nil, nil, Nightly, time.Time{}, definitions.RetryAtOnce{}) }`, "definitions.RetryAtOnce", "definitions.EvaluateOption"},
		{"a sensor's cursor read as another type", `func g() int { tick, _ := definitions.EvaluateSensor(nil, nil, Arrivals); return tick.Cursor }`, "string", "int"},
		{"a function that forgets its context", `var X = definitions.Asset("x", definitions.Bind1(func(a []Flight) (int, error) { return 0, nil }, Flights))`, "func(a []Flight) (int, error)", "func(definitions.Context, A) (R, error)"},
		{"a function that returns no error", `var X = definitions.Asset("x", definitions.Bind1(func(definitions.Context, []Flight) int { return 0 }, Flights))`, "func(definitions.Context, []Flight) int", "func(definitions.Context, A) (R, error)"},
		{"a job of an asset instead of a selection", `var X = definitions.AssetJob("x", Flights)`, "*definitions.AssetOf[[]Flight]", "definitions.Selection"},
		{"a fan-out used without collect", `var X = definitions.Op("x", definitions.Bind1(add, Pages))`, "*definitions.Fan[int]", "definitions.Source[[]int]"},
		{"an element of a fan-out used without map", `var X = definitions.Op("x", definitions.Bind1(next, Pages))`, "*definitions.Fan[int]", "definitions.Source[int]"},
		{"a fan-out mapped over another element type", `var X = definitions.Map(Pages, func(v *definitions.Value[string]) *definitions.Value[string] { return v })`, "func(v *definitions.Value[string]) *definitions.Value[string]", "func(*definitions.Value[int]) *definitions.Value[B]"},
		{"a map over a plain value", `var X = definitions.Map(Total, func(v *definitions.Value[int]) *definitions.Value[int] { return v })`, "*definitions.Value[int]", "*definitions.Fan[A]"},
		{"a map of a fan-out in a map", `var X = definitions.Map(Pages, func(v *definitions.Value[int]) *definitions.Fan[int] { return Pages })`, "*definitions.Fan[int]", "func(*definitions.Value[A]) *definitions.Value[B]"},
		{"a collect of a plain value", `var X = definitions.Collect(Total)`, "*definitions.Value[int]", "*definitions.Fan[T]"},
		{"a collect where one value is expected", `var X = definitions.Op("x", definitions.Bind1(next, definitions.Collect(Pages)))`, "*definitions.Value[[]int]", "definitions.Source[int]"},
		{"a fan-out that gives no keys", `var X = definitions.FanOut[int]("x", definitions.Bind0(list))`, "definitions.Compute[[]int]", "definitions.Compute[[]definitions.Keyed[int]]"},
		{"a branch that always gives a value", `var X = definitions.Maybe[int]("x", definitions.Bind1(next, Total))`, "definitions.Compute[int]", "definitions.Compute[*int]"},
		{"an asset option on an op", `var X = definitions.Op("x", definitions.Bind1(count, Flights), definitions.Group("g"))`, "definitions.Group", "definitions.OpOption"},
		{"a code version on an op", `var X = definitions.FanOut("x", definitions.Bind1(pages, Flights), definitions.CodeVersion("1"))`, "definitions.CodeVersion", "definitions.OpOption"},
		{"an option of ops on a graph", `var X = definitions.GraphOf("x", func() *definitions.Value[int] { return Total }, definitions.Queue("gpu"))`, "definitions.Queue", "definitions.GraphOption"},
		{"a graph over another type", `var X = definitions.Graph("x", Total, func(v *definitions.Value[string]) *definitions.Value[string] { return v })`, "func(v *definitions.Value[string]) *definitions.Value[string]", "func(*definitions.Value[int]) *definitions.Value[B]"},
		{"a config mapping that gives another type", `var X = definitions.MapConfig(Limit, Limit, func(l limit) int { return l.Size })`, "func(l limit) int", "func(limit) limit"},
		{"a fallback of another type", `var X = definitions.OrElse(Total, "none")`, "\"none\"", "int"},
		{"an asset of a fan-out", `var X = definitions.GraphAsset("x", Pages)`, "*definitions.Fan[int]", "*definitions.Value[T]"},
		{"a graph's output of another type", `var X = definitions.GraphMultiAsset("x", definitions.GraphOuts{Clean.From(Total)})`, "*definitions.Value[int]", "*definitions.Value[[]Flight]"},
		{"an op job of assets", `var X = definitions.OpJob("x", []definitions.AnyValue{Flights})`, "*definitions.AssetOf[[]Flight]", "definitions.AnyValue"},
		{"an asset job of ops", `var X = definitions.AssetJob("x", definitions.Assets(Total))`, "*definitions.Value[int]", "definitions.AnyAsset"},
		{"an op among the definitions", `var X = definitions.New("x", Total)`, "*definitions.Value[int]", "definitions.Definition"},
		{"an op after a resource", `var X = definitions.Op("x", definitions.Bind0(read), definitions.After(Warehouse))`, "*definitions.ResourceOf[*sql.DB]", "definitions.Orderable"},
		{"a fan read as one value", `func g(r *definitions.Result) (int, error) { return Pages.In(r) }`, "map[string]int", "int"},
		{"elements of another type given for a fan", `var X = definitions.GivenFan(Pages, definitions.Keyed[string]{Key: "a"})`, "definitions.Keyed[string]", "definitions.Keyed[int]"},
		{"a hook that gives a value", `var X = definitions.OnSuccess(definitions.Bind0(read))`, "definitions.Compute[[]Flight]", "definitions.Compute[definitions.Nothing]"},
		{"a success hook about a failure", `var X = definitions.OnSuccess(definitions.Do1(func(definitions.Context, definitions.Failure) error { return nil }, definitions.TheSuccess))`, "definitions.Source[definitions.Success]", "definitions.Source[definitions.Failure]"},
		{"a checked source of another type", `var X = definitions.Checked(Flights, definitions.Type[[]Airport]{})`, "definitions.Type[[]Airport]", "[]Flight"},
		{"a log handler that is none", `var X = definitions.Logger("x", definitions.Bind0(open))`, "*sql.DB", "slog.Handler"},
		{"an executor of an external asset", `var X = definitions.External[int]("x", definitions.ExecuteAs(definitions.InWorker{}))`, "definitions.ExecutorOption", "definitions.ExternalOption"},
		{"a job's limit on an asset", `var X = definitions.Asset("x", definitions.Bind1(count, Flights), definitions.RunTimeout(1))`, "definitions.RunTimeout", "definitions.AssetOption"},
		{"a step's order on a job", `var X = definitions.AssetJob("x", definitions.Select("*"), definitions.Order(1))`, "definitions.Order", "definitions.JobOption"},
		{"many partitions where one is expected", `var X = definitions.Asset("x", definitions.Bind1(count, definitions.ByKey(Flights)))`, "definitions.Source[map[string][]Flight]", "definitions.Source[[]Flight]"},
		{"one partition where many are expected", `var X = definitions.Asset("x", definitions.Bind1(func(definitions.Context, map[string][]Flight) (int, error) { return 0, nil }, Flights))`, "*definitions.AssetOf[[]Flight]", "definitions.Source[map[string][]Flight]"},
		{"a partition that may not be there where one is expected", `var X = definitions.Asset("x", definitions.Bind1(count, definitions.At(Flights, definitions.Offset(-1, -1))))`, "definitions.Source[*[]Flight]", "definitions.Source[[]Flight]"},
		{"At without a mapping", `var X = definitions.At(Flights)`, "not enough arguments", "definitions.Mapping"},
		{"a grid of grids", `var X = definitions.GridOf("a", Grid, "b", Regions)`, "*definitions.Grid", "definitions.Dimension"},
		{"a grid of three dimensions", `var X = definitions.GridOf("a", Days, "b", Regions, "c", Regions)`, "too many arguments", "definitions.Dimension"},
		{"the window of keys that are no time", `var X = Regions.Window()`, "Regions.Window", "undefined"},
		{"a key where a window is expected", `var X = definitions.Asset("x", definitions.Bind1(func(definitions.Context, definitions.Window) (int, error) { return 0, nil }, Days.Key()))`, "definitions.Source[string]", "definitions.Source[definitions.Window]"},
		{"the key of a grid as a text", `var X = definitions.Asset("x", definitions.Bind1(func(definitions.Context, string) (int, error) { return 0, nil }, Grid.Key()))`, "definitions.Source[definitions.GridKey]", "definitions.Source[string]"},
		{"an asset sliced by a text", `var X = definitions.Asset("x", definitions.Bind0(read), definitions.PartitionedBy("2001-01-01"))`, "\"2001-01-01\"", "definitions.Partitions"},
		{"an output that is sliced in another way than its multi-asset", `var X = definitions.Output[int]("x", definitions.PartitionedBy(Days))`, "definitions.PartitionOption", "definitions.OutputOption"},
		{"an op that is sliced by itself", `var X = definitions.Op("x", definitions.Bind0(read), definitions.PartitionedBy(Days))`, "definitions.PartitionOption", "definitions.OpOption"},
		{"a backfill policy of an external asset", `var X = definitions.External[int]("x", definitions.SingleRun{})`, "definitions.SingleRun", "definitions.ExternalOption"},
		{"a range that gives one value", `var X = definitions.RangeAsset[int]("x", definitions.Bind1(count, Flights))`, "definitions.Compute[int]", "definitions.Compute[map[string]int]"},
		{"a partition given of another type", `var X = definitions.GivenPartition(Airports, "2001-01-01", []Flight{})`, "[]Flight", "[]Airport"},
		{"a partition read as another type", `func g(r *definitions.Result) ([]Airport, error) { return Flights.InPartition(r, "2001-01-01") }`, "[]Flight", "[]Airport"},
		{"a source of the user's own", "type mine struct{}\nfunc (mine) carries(int) {}\nvar X definitions.Source[int] = mine{}", "mine", "definitions.Source[int]"},
		{"a handle that names itself", `var X = definitions.Asset("x", definitions.Bind1(self, definitions.View(X, func(v int) int { return v })))` + "\nfunc self(definitions.Context, int) (int, error) { return 0, nil }", "X", "itself"},
		{"a function body that names its own handle", `var X = definitions.Asset("x", definitions.Bind1(named, Flights))` + "\nfunc named(definitions.Context, []Flight) (int, error) { _ = X; return 0, nil }", "X", "named"},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			err := check(wrong.code)
			require.Error(t, err, "it compiles")
			require.Contains(t, err.Error(), wrong.names)
			require.Contains(t, err.Error(), wrong.and)
		})
	}
}

// compiler type-checks a program after the prelude, as the Go compiler does. The packages it imports are built once.
func compiler(t *testing.T) func(code string) error {
	t.Helper()
	var stderr strings.Builder
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export", "github.com/perdure-io/perdure/definitions", "database/sql", "reflect", "time")
	list.Stderr = &stderr
	listed, err := list.Output()
	require.NoError(t, err, stderr.String())
	exports := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(listed))); ; {
		var one struct{ ImportPath, Export string }
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		exports[one.ImportPath] = one.Export
	}
	return func(code string) error {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, "wrong.go", wrongPrelude+code, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		var problems []error
		config := types.Config{
			Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }),
			Error:    func(err error) { problems = append(problems, err) },
		}
		// The errors are collected by config.Error; the one returned is the first of them.
		_, _ = config.Check("wrong", files, []*ast.File{file}, nil)
		return errors.Join(problems...)
	}
}
