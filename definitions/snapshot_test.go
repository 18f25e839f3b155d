package definitions_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func hashOf(t *testing.T, definitions *d.Definitions) string {
	t.Helper()
	snapshot, err := definitions.Snapshot()
	require.NoError(t, err)
	hash, err := snapshot.Hash()
	require.NoError(t, err)
	return hash
}

func TestSnapshotDoesNotDependOnTheOrderOfDeclarations(t *testing.T) {
	t.Parallel()
	list := []d.Definition{Warehouse, Tables, Flights, Airports, RouteDelays, Split, Report, DelayJob, Nightly, Arrivals}
	want := hashOf(t, Location)
	for range 20 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		require.Equal(t, want, hashOf(t, d.New("flights", list...)))
	}
	require.Equal(t, want, hashOf(t, d.Merge("flights", d.New("a", list[:5]...), d.New("b", list[3:]...))), "what two parts share is there once")

	unordered := func(kinds d.Kinds, owners d.Owners, tags d.Tags, after ...d.Orderable) string {
		return hashOf(t, d.New("x", a1, a2, d.Asset("b", d.Bind0(one), kinds, owners, tags, d.After(after...))))
	}
	require.Equal(t,
		unordered(d.Kinds{"x", "y"}, d.Owners{"team:a", "team:b"}, d.Tags{"k": "v", "l": "w"}, a1, a2),
		unordered(d.Kinds{"y", "x"}, d.Owners{"team:b", "team:a"}, d.Tags{"l": "w", "k": "v"}, a2, a1, a2))
}

var a1, a2 = constant("a1"), constant("a2")

func TestSnapshotCarriesEveryOption(t *testing.T) {
	t.Parallel()
	a := d.External[float64]("raw/a")
	b := d.Asset("b", d.Bind1(func(d.Context, float64) (int, error) { return 0, nil }, a),
		d.Group("g"), d.Description("text"), d.Owners{"team:z", "ann@example.com"}, d.Tags{"k": "v"}, d.Kinds{"x"}, d.CodeVersion("3"),
		d.Metadata{d.AssetRef("from", a)}, d.Queue("gpu"), d.Pool("api"), d.Timeout(time.Minute),
		d.Retries{Max: 2, Delay: time.Second, Backoff: d.Linear, Jitter: d.PlusMinusJitter})
	job := d.AssetJob("j", d.Select(" b  or raw/a "), d.Description("all"), d.Tags{"x": "y"}, d.Priority(2), d.Retries{Max: 1}, d.RunConfig(` {} `))
	snapshot, err := d.New("x", a, b, job).Snapshot()
	require.NoError(t, err)
	for i := range snapshot.Assets {
		require.Regexp(t, `^definitions/snapshot_test\.go:\d+$`, snapshot.Assets[i].At)
		snapshot.Assets[i].At = ""
	}
	snapshot.Computes[0].At, snapshot.Jobs[0].At = "", ""
	shape, err := plan.ShapeOf(&plan.Compute{Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"raw/a"}}}, Outputs: []string{"b"}}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, &plan.Snapshot{
		V: plan.SnapshotVersion, Location: "x",
		Assets: []plan.Asset{
			{
				Key: "b", Group: "g", Description: "text", Owners: []string{"ann@example.com", "team:z"}, Tags: map[string]string{"k": "v"}, Kinds: []string{"x"},
				CodeVersion: "3", Metadata: []wire.Metadatum{{Label: "from", Type: wire.MetadataAsset, Value: json.RawMessage(`"raw/a"`)}}, Compute: "b", Type: "int",
			},
			{Key: "raw/a", Group: "default", Type: "float64"},
		},
		Computes: []plan.Compute{{
			Name: "b", Outputs: []string{"b"}, Inputs: []plan.Input{{Kind: plan.InputValue, Assets: []string{"raw/a"}}}, Queue: "gpu", Pool: "api",
			Retries: &plan.Retries{Max: 2, Delay: time.Second, Backoff: plan.BackoffLinear, Jitter: plan.JitterPlusMinus}, Timeout: time.Minute, Shape: shape, Tags: map[string]string{"k": "v"},
		}},
		Jobs: []plan.Job{{
			Name: "j", Description: "all", Selection: wire.AssetSelection{Expression: "b or raw/a"}, Config: json.RawMessage(`{}`), Tags: map[string]string{"x": "y"},
			Retries: &plan.Retries{Max: 1}, Priority: 2,
		}},
	}, snapshot)
}

func TestSelections(t *testing.T) {
	t.Parallel()
	a, b, c := constant("a"), constant("or"), constant("raw/c")
	for want, selection := range map[string]d.Selection{
		`a or key:"or"`:      d.Assets(a, b, a),
		`(a or raw/c)+`:      d.Assets(a, c).Downstream(),
		`+a`:                 d.Assets(a).Upstream(),
		`+(group:x or a)`:    d.Select("group:x").Or(d.Assets(a)).Upstream(),
		`(a or b) and not c`: d.Select("a or b").Except(d.Select("c")),
		`a and (b or c)`:     d.Select("a").And(d.Select("b or c")),
		`a and`:              d.Select("a and"),
	} {
		require.Equal(t, want, selection.String())
	}
}

// TestTwoBuildsInDifferentDirectoriesAgree builds one program in two modules and compares what they print.
func TestTwoBuildsInDifferentDirectoriesAgree(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	const program = `package main

import (
	"fmt"

	"github.com/perdure-io/perdure/definitions"
)

var A = definitions.Asset("a", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil }))

func main() {
	snapshot, err := definitions.New("x", A).Snapshot()
	if err != nil {
		panic(err)
	}
	hash, _ := snapshot.Hash()
	fmt.Println(snapshot.Assets[0].At, hash)
}
`
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	gosum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	printed := map[string]bool{}
	for _, folder := range []string{"here", "somewhere/else"} {
		module := filepath.Join(t.TempDir(), folder)
		require.NoError(t, os.MkdirAll(filepath.Join(module, "cmd/worker"), 0o750))
		header := fmt.Sprintf("module example.com/flights\n\nrequire github.com/perdure-io/perdure v0.0.0\n\nreplace github.com/perdure-io/perdure => %s\n", root)
		_, rest, _ := strings.Cut(string(gomod), "\n")
		require.NoError(t, os.WriteFile(filepath.Join(module, "go.mod"), []byte(header+rest), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(module, "go.sum"), gosum, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(module, "cmd/worker/main.go"), []byte(program), 0o600))
		run := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", "./cmd/worker")
		run.Dir = module
		out, err := run.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Regexp(t, `^worker/main\.go:9 [0-9a-f]{64}\n$`, string(out))
		printed[string(out)] = true
	}
	require.Len(t, printed, 1)
}

func TestSnapshotCarriesSchedulesAndSensors(t *testing.T) {
	t.Parallel()
	store, unused := d.Resource("store", d.Bind0(one), d.NoClose), d.Resource("unused", d.Bind0(one), d.NoClose)
	outer := d.Resource("outer", d.Bind1(plusOne, store), d.NoClose)
	daily, names := constant("daily", d.PartitionedBy(d.Daily("2001-01-01"))), constant("names", d.PartitionedBy(d.GridOf("day", d.Daily("2001-01-01"), "name", d.Dynamic("names"))))
	job, dailyJob, namesJob := d.AssetJob("job", d.Assets(a1)), d.AssetJob("daily", d.Assets(daily)), d.AssetJob("names", d.Assets(names))
	common := d.Metadata{d.Int("n", 1)}
	snapshot, err := d.New("x", a1, a2, daily, names, store, unused, outer, job, dailyJob, namesJob,
		d.Schedule("c", job, d.Cron{Expr: "@daily", Zone: "Europe/Berlin"}, d.AlsoAt("0 6-7 * * mon", "0 0 * * *"), d.Evaluate(noRunsOf(outer)), d.Description("text"),
			d.Tags{"k": "v"}, d.Owners{"team:z", "ann@example.com"}, common, d.Timeout(time.Second), d.AllMissed, d.TickJitter(time.Minute), d.CancelOther, d.PauseOnFailure{}, d.DefaultRunning{}),
		d.Schedule("b", job, d.Cron{Expr: "* * * * *", Zone: "UTC"}),
		d.PartitionedSchedule("a", namesJob, d.AtHour(3), d.TerminateOther),
		d.Sensor("z", []*d.Job{job, dailyJob, job}, noTick(d.All(d.View(d.Events[string](), func(events []d.Event[string]) int { return len(events) }), outer)), d.Description("text"),
			d.Tags{"k": "v"}, d.Owners{"team:z", "ann@example.com"}, common, d.Timeout(time.Second), d.Every(time.Hour), d.MinInterval(time.Minute), d.DefaultRunning{}),
		d.AssetSensor("y", []d.AnyAsset{a2, a1, a2}, nil, always(d.Tick[d.Nothing]{}), d.OnlyActs{}, d.WhenAll{}),
		d.RunStatusSensor("w", []d.RunStatus{d.RunStarted, d.RunFailed, d.RunStarted}, hears(d.TheRun), d.MonitorAll{}, d.Targets(job)),
	).Snapshot()
	require.NoError(t, err)
	for i := range snapshot.Schedules {
		require.Regexp(t, `^definitions/snapshot_test\.go:\d+$`, snapshot.Schedules[i].At)
		snapshot.Schedules[i].At = ""
	}
	for i := range snapshot.Sensors {
		require.Regexp(t, `^definitions/snapshot_test\.go:\d+$`, snapshot.Sensors[i].At)
		snapshot.Sensors[i].At = ""
	}
	metadata := []wire.Metadatum{{Label: "n", Type: wire.MetadataInt, Value: json.RawMessage(`1`)}}
	owners := []string{"ann@example.com", "team:z"}
	require.Equal(t, []plan.Schedule{
		{Name: "a", Job: "names", Crons: []string{"0 3 * * *"}, Partitioned: true, Dynamic: []string{"names"}, CatchUp: 5, Overlap: plan.OverlapTerminateOther},
		{Name: "b", Job: "job", Crons: []string{"* * * * *"}, CatchUp: 1},
		{
			Name: "c", Description: "text", Tags: map[string]string{"k": "v"}, Owners: owners, Metadata: metadata, Job: "job", Crons: []string{"0 0 * * *", "0 6-7 * * 1"}, Zone: "Europe/Berlin",
			Computed: true, Resources: []string{"outer", "store"}, Running: true, CatchUp: -1, Jitter: time.Minute, Overlap: plan.OverlapCancelOther, PauseOnFailure: true, Timeout: time.Second,
		},
	}, snapshot.Schedules)
	require.Equal(t, []plan.Sensor{
		{Name: "w", Kind: plan.SensorOfRuns, Jobs: []string{"job"}, Statuses: []wire.RunStatus{wire.RunFailure, wire.RunStarted}, AllLocations: true},
		{Name: "y", Kind: plan.SensorOfAssets, Assets: []string{"a1", "a2"}, All: true},
		{
			Name: "z", Kind: plan.SensorOfEvents, Description: "text", Tags: map[string]string{"k": "v"}, Owners: owners, Metadata: metadata, Jobs: []string{"daily", "job"}, Events: true, EventType: "string",
			CursorType: "string", Every: time.Hour, MinInterval: time.Minute, Timeout: time.Second, Resources: []string{"outer", "store"}, Running: true,
		},
	}, snapshot.Sensors)

	data, err := snapshot.Encode()
	require.NoError(t, err)
	read, err := plan.DecodeSnapshot(data)
	require.NoError(t, err)
	require.Equal(t, snapshot.Schedules, read.Schedules)
	require.Equal(t, snapshot.Sensors, read.Sensors)
}

func TestSnapshotOfScheduleDoesNotDependOnHowItIsWritten(t *testing.T) {
	t.Parallel()
	job := d.AssetJob("job", d.Assets(a1))
	of := func(crons ...string) string {
		return hashOf(t, d.New("x", a1, job, d.Schedule("s", job, d.Cron{Expr: crons[0]}, d.AlsoAt(crons[1:]...))))
	}
	require.Equal(t, of("@daily", "0 6 * * MON-FRI"), of("0 6 * * 1,2,3,4,5", "0 0 * * *", "0 0 * * *"))
	require.NotEqual(t, of("@daily"), of("@hourly"))
}
