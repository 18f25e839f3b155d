package definitions_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/plan"
)

func TestHowStepsAndJobsRunIsLowered(t *testing.T) {
	t.Parallel()
	subprocess := d.ExecuteAs(d.Subprocess{MemoryLimit: 512 * d.MiB})
	a := constant("a", d.StallTimeout(time.Minute), d.Order(7), subprocess, d.Tags{"db": "x"})
	left, right := d.Output[int]("left", d.Tags{"db": "x", "own": "1"}), d.Output[int]("right", d.Tags{"db": "x", "own": "2", "more": ""})
	multi := d.MultiAsset("multi", d.Outs{left, right}, d.Bind0(func(d.Context) (d.Outputs, error) { return nil, nil }),
		d.ExecuteAs(d.LocalActivity{}), d.Order(1), d.StallTimeout(time.Hour))
	op := d.Op("op", d.Bind0(one), d.ExecuteAs(d.InWorker{}), d.Order(-1), d.StallTimeout(time.Second), d.Tags{"db": "y"})
	job := d.OpJob("job", []d.AnyValue{op}, d.MaxConcurrentSteps(5), d.RunTimeout(time.Hour), subprocess,
		d.TagLimit{Key: "db", PerValue: true, Limit: 2}, d.TagLimit{Key: "db", Value: "x", Limit: 1})
	graph := d.GraphAsset("graph", d.Op("last", d.Bind1(double, op)), d.Order(3), d.ExecuteAs(d.LocalActivity{}))
	snapshot, err := d.New("x", a, multi, graph, job).Snapshot()
	require.NoError(t, err)
	type control struct {
		executor *plan.Executor
		order    int
		stall    time.Duration
		tags     map[string]string
	}
	computes := map[string]control{}
	for _, c := range snapshot.Computes {
		computes[c.Name] = control{c.Executor, c.Order, c.StallTimeout, c.Tags}
	}
	local := &plan.Executor{Kind: plan.ExecutorLocalActivity}
	require.Equal(t, map[string]control{
		"a":          {&plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 512 << 20}, 7, time.Minute, map[string]string{"db": "x"}},
		"multi":      {local, 1, time.Hour, map[string]string{"db": "x"}},
		"op":         {&plan.Executor{Kind: plan.ExecutorActivity}, -1, time.Second, map[string]string{"db": "y"}},
		"graph.op":   {&plan.Executor{Kind: plan.ExecutorActivity}, -1, time.Second, map[string]string{"db": "y"}},
		"graph.last": {local, 3, 0, nil},
	}, computes)
	lowered := snapshot.Jobs[0]
	require.Equal(t, &plan.Executor{Kind: plan.ExecutorSubprocess, MemoryLimit: 512 << 20}, lowered.Executor)
	require.Equal(t, 5, lowered.MaxConcurrentSteps)
	require.Equal(t, time.Hour, lowered.Timeout)
	require.Equal(t, []plan.TagLimit{{Key: "db", PerValue: true, Limit: 2}, {Key: "db", Value: "x", Limit: 1}}, lowered.TagLimits)
}

func TestWrongControlIsAProblem(t *testing.T) {
	t.Parallel()
	a := constant("a", d.StallTimeout(0), d.StallTimeout(-1), d.Order(1), d.Order(2), d.ExecuteAs(nil))
	b := constant("b", d.StallTimeout(time.Hour), d.Timeout(time.Minute), d.ExecuteAs(d.LocalActivity{}), d.Queue("gpu"))
	c := constant("c", d.ExecuteAs(d.Subprocess{MemoryLimit: -1}), d.ExecuteAs(d.InWorker{}))
	job := d.AssetJob("job", d.Assets(a), d.MaxConcurrentSteps(501), d.MaxConcurrentSteps(0), d.RunTimeout(-time.Second), d.ExecuteAs(d.Subprocess{MemoryLimit: -2}),
		d.TagLimit{Key: "db", Limit: 0}, d.TagLimit{Key: "db", Limit: 1}, d.TagLimit{Key: "x y", Limit: 1}, d.TagLimit{Key: "v", Value: "1", PerValue: true, Limit: 1})
	problems := strings.Join(problemsOf(t, d.New("x", a, b, c, job)), "\n")
	for _, want := range []string{
		`asset "a" (definitions/validate_test.go:N), stall_timeout: the option StallTimeout is given twice`,
		`asset "a" (definitions/validate_test.go:N), stall_timeout: the stall timeout is -1ns`,
		`asset "a" (definitions/validate_test.go:N), order: the option Order is given twice`,
		`asset "a" (definitions/validate_test.go:N), executor: ExecuteAs is given nil`,
		`asset "b" (definitions/validate_test.go:N), stall_timeout: the stall timeout of 1h0m0s is not shorter than the timeout of 1m0s`,
		`asset "b" (definitions/validate_test.go:N), executor: it is a local activity, which runs on the worker that walks the run, and has the queue "gpu"`,
		`asset "c" (definitions/validate_test.go:N), executor: the option ExecuteAs is given twice`,
		`job "job" (definitions/control_test.go:N), max_concurrent_steps: at most 0 steps are to run at once`,
		`job "job" (definitions/control_test.go:N), timeout: the run timeout is -1s`,
		`job "job" (definitions/control_test.go:N), executor: the memory limit is -2 bytes`,
		`job "job" (definitions/control_test.go:N), tag_limits: the limit of the tag "db" is 0`,
		`job "job" (definitions/control_test.go:N), tag_limits: the tag "db" has two limits`,
		`job "job" (definitions/control_test.go:N), tag_limits: the limit of the tag "v" is for the value "1", and PerValue`,
		`"x y"`,
	} {
		require.Contains(t, problems, want)
	}
}

func TestTagLimitsAndOrderHoldInProcess(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	var mutex sync.Mutex
	var began []string
	step := func(name string) d.Compute[int] {
		return d.Bind0(func(d.Context) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			mutex.Lock()
			defer mutex.Unlock()
			began = append(began, name)
			return 1, nil
		})
	}
	var results []d.AnyValue
	for i := range 6 {
		name := fmt.Sprint("s", i)
		results = append(results, d.Op(name, step(name), d.Order(i), d.Tags{"db": "x"}))
	}
	for name, option := range map[string]d.JobOption{"by tag": d.TagLimit{Key: "db", Limit: 1}, "at all": d.MaxConcurrentSteps(1)} {
		began, most = nil, atomic.Int32{}
		job := d.OpJob("job", results, option)
		require.NoError(t, d.RunJob(t.Context(), d.New("x", job), job).Err())
		require.Equal(t, int32(1), most.Load(), name)
		require.Equal(t, []string{"s5", "s4", "s3", "s2", "s1", "s0"}, began, name)
	}
}

// assetsOnly is a storage that keeps no outputs of ops.
type assetsOnly struct{ anything }

func (assetsOnly) AcceptsOps() error { return errors.New("a table holds an asset") }

func TestStoragesThatKeepNoOutputsOfOpsAreProblems(t *testing.T) {
	t.Parallel()
	tables := d.Resource("tables", d.Bind0(func(d.Context) (assetsOnly, error) { return assetsOnly{}, nil }), d.NoClose)
	op := d.Op("op", d.Bind0(one), d.StoredBy(tables))
	asset := constant("asset", d.StoredBy(tables))
	graph := d.GraphAsset("graph", d.Op("last", d.Bind0(one), d.StoredBy(tables)))
	job := d.OpJob("job", []d.AnyValue{op})
	require.Equal(t, []string{
		`op "op" (definitions/control_test.go:N), stored_by: its IO manager keeps no outputs of ops: a table holds an asset; store it with one that does, or leave StoredBy out`,
	}, problemsOf(t, d.New("x", tables, asset, graph, job)), "a graph asset's last op stores the asset")

	_, err := d.NewRuntime(d.New("x", d.OpJob("job", []d.AnyValue{d.Op("op", d.Bind0(one))})), d.Environment{Storage: assetsOnly{}})
	require.ErrorContains(t, err, "the default storage keeps no outputs of ops: a table holds an asset")

	called := false
	late := d.Resource("late", d.Bind0(func(d.Context) (d.IOManager, error) { return assetsOnly{}, nil }), d.NoClose, d.Accepts(func(reflect.Type) error { return nil }))
	op = d.Op("op", d.Bind0(func(d.Context) (int, error) { called = true; return 1, nil }), d.StoredBy(late))
	runtime := runtimeOf(t, late, d.OpJob("job", []d.AnyValue{op}))
	at := attempt(t.Context(), "op", nil)
	at.Plan = plan.Step{Key: "op", Type: "op", Op: true}
	_, err = codeOf(t, runtime, "op").Compute(at)
	require.ErrorContains(t, err, "keeps no outputs of ops: a table holds an asset")
	require.False(t, called, "it is found before the op runs")
}
