//go:build unix

package integration

import (
	"context"
	"database/sql"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

const (
	// longEnough is how long a condition is waited for that comes about in seconds on an idle machine.
	longEnough = 3 * time.Minute
	// often is how often it is looked at.
	often = 20 * time.Millisecond
	// noticedWithin is the budget for a dead worker, and heardWithin that for a cancel.
	noticedWithin = 30 * time.Second
	heardWithin   = 5 * time.Second
)

// fixture is one test's instance and location, with worker processes.
type fixture struct {
	*testlocation.Instance
	spec testlocation.Spec
	dsn  string
}

var fixtures atomic.Int64

// newFixture makes an instance on the shared servers.
func newFixture(t *testing.T, assets []testlocation.Asset, settings ...string) *fixture {
	t.Helper()
	return newFixtureOn(t, testenv.Prepared(t, metadata.Migrate), testenv.Temporal(t).Address, assets, settings...)
}

func newFixtureOn(t *testing.T, dsn, temporal string, assets []testlocation.Asset, settings ...string) *fixture {
	t.Helper()
	// The shared PostgreSQL takes a hundred connections.
	settings = append([]string{"PERDURE_POSTGRES_MAX_OPEN_CONNECTIONS=4"}, settings...)
	instance, err := testlocation.Open(t.Context(), t.TempDir(), dsn, temporal, settings...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("PERDURE_TEST_VERBOSE") != "" {
			t.Log(instance.Logs())
		}
		require.NotContains(t, instance.Logs(), "DATA RACE")
		require.NoError(t, instance.Close())
	})
	f := &fixture{Instance: instance, dsn: dsn}
	return f.with(t, assets)
}

// with is another location on the same instance.
func (f *fixture) with(t *testing.T, assets []testlocation.Asset) *fixture {
	t.Helper()
	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(strings.TrimPrefix(t.Name(), "Test"), "-")
	location := name[:min(len(name), 60)] + "-" + strconv.FormatInt(fixtures.Add(1), 10)
	return &fixture{Instance: f.Instance, dsn: f.dsn, spec: testlocation.Spec{Location: location, Assets: assets}}
}

// worker starts a worker that serves, and kills it when the test ends.
func (f *fixture) worker(t *testing.T, build string, settings ...string) *testlocation.Worker {
	t.Helper()
	w, err := f.StartWorker(t.Context(), f.spec, build, settings...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Kill()) })
	require.NoError(t, w.AwaitServing(t.Context()))
	return w
}

func (f *fixture) instruct(t *testing.T, asset string, instruction testlocation.Instruction) {
	t.Helper()
	require.NoError(t, f.Instruct(asset, instruction))
}

func (f *fixture) hold(t *testing.T, assets ...string) {
	t.Helper()
	for _, asset := range assets {
		f.instruct(t, asset, testlocation.Instruction{Hold: true})
	}
}

// release lets go of what is held in any way.
func (f *fixture) release(t *testing.T, assets ...string) {
	t.Helper()
	for _, asset := range assets {
		f.instruct(t, asset, testlocation.Instruction{})
	}
}

func (f *fixture) notes(t *testing.T, what, asset string) []testlocation.Note {
	t.Helper()
	notes, err := f.Notes(what, asset)
	require.NoError(t, err)
	return notes
}

// awaitNotes returns the notes once there are n of them.
func (f *fixture) awaitNotes(t *testing.T, what, asset string, n int) []testlocation.Note {
	t.Helper()
	var notes []testlocation.Note
	require.Eventually(t, func() bool {
		notes = f.notes(t, what, asset)
		return len(notes) >= n
	}, longEnough, often, "%s was not %s %d times", asset, what, n)
	require.Len(t, notes, n, "%s was %s more than %d times", asset, what, n)
	return notes
}

// requireCalls checks how often each function was called: once, but for those named.
func (f *fixture) requireCalls(t *testing.T, run string, others map[string]int) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for _, key := range f.spec.Keys() {
		want[key] = 1
	}
	for key, n := range others {
		want[key] = n
		if n == 0 {
			delete(want, key)
		}
	}
	for _, note := range f.notes(t, testlocation.Called, "") {
		if note.Run == run {
			got[note.Asset]++
		}
	}
	require.Equal(t, want, got)
}

// start starts a run of what is selected.
func (f *fixture) start(t *testing.T, name, selection string) (run string) {
	t.Helper()
	id := f.spec.Location + "-" + name
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{
		Location: f.spec.Location, ID: id, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: selection}},
	})
	require.NoError(t, err)
	return id
}

// await returns how a run ended.
func (f *fixture) await(t *testing.T, run string) (wire.RunResult, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	result, err := f.Starter.Await(ctx, run)
	require.NoError(t, ctx.Err(), "run %s did not end", run)
	return result, err
}

// requireGood waits for a run of every asset of the location, and finds nothing wrong with it.
func (f *fixture) requireGood(t *testing.T, run string) {
	t.Helper()
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, result.Status)
	f.verify(t, run)
}

func (f *fixture) verify(t *testing.T, run string) {
	t.Helper()
	verdict, err := f.Verify(t.Context(), f.spec, run)
	require.NoError(t, err)
	require.Equal(t, testlocation.Verdict{}, verdict)
	require.Zero(t, f.count(t, "select count(*) from writers where run_id = $1", run), "the run has left writers behind")
}

// requireEnd waits for a run that ends as told.
func (f *fixture) requireEnd(t *testing.T, run string, status wire.RunStatus, steps wire.StepCounts) wire.RunResult {
	t.Helper()
	_, err := f.await(t, run)
	var ended *starter.RunError
	require.ErrorAs(t, err, &ended)
	require.Equal(t, status, ended.Result.Status)
	require.Equal(t, steps, ended.Result.Steps)
	row := f.run(t, run)
	require.Equal(t, status, row.Status)
	require.Equal(t, steps, row.Steps)
	require.Zero(t, f.count(t, "select count(*) from writers where run_id = $1", run), "the run has left writers behind")
	return ended.Result
}

func (f *fixture) run(t *testing.T, id string) metadata.Run {
	t.Helper()
	run, err := f.Store.Run(t.Context(), id)
	require.NoError(t, err)
	return run
}

// steps are a run's steps by key.
func (f *fixture) steps(t *testing.T, run string) map[string]metadata.Step {
	t.Helper()
	page, err := f.Store.Steps(t.Context(), run, "", 1000)
	require.NoError(t, err)
	steps := map[string]metadata.Step{}
	for _, step := range page.Rows {
		steps[step.Step] = step
	}
	return steps
}

// awaitStep waits until a step is as told, in Postgres.
func (f *fixture) awaitStep(t *testing.T, run, step string, is func(metadata.Step) bool) metadata.Step {
	t.Helper()
	var found metadata.Step
	require.Eventually(t, func() bool {
		found = f.steps(t, run)[step]
		return is(found)
	}, longEnough, often)
	return found
}

func (f *fixture) events(t *testing.T, run string, types ...metadata.EventType) []metadata.Event {
	t.Helper()
	events, err := f.Store.Events(t.Context(), 0, metadata.EventFilter{Run: run, Types: types}, 1000)
	require.NoError(t, err)
	return events
}

// query reads rows by SQL, for what the store does not show; scan is called for each.
func (f *fixture) query(t *testing.T, query string, scan func(func(...any) error) error, arguments ...any) {
	t.Helper()
	db, err := sql.Open("postgres", f.dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), query, arguments...)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		require.NoError(t, scan(rows.Scan))
	}
	require.NoError(t, rows.Err())
}

func (f *fixture) execute(t *testing.T, statement string) {
	t.Helper()
	f.query(t, statement, func(func(...any) error) error { return nil })
}

func (f *fixture) count(t *testing.T, query string, arguments ...any) (count int) {
	t.Helper()
	f.query(t, query, func(scan func(...any) error) error { return scan(&count) }, arguments...)
	return count
}

// history is one execution's history; firstRun names it, "" is the latest.
func (f *fixture) history(t *testing.T, workflow, execution string) []*history.HistoryEvent {
	t.Helper()
	var events []*history.HistoryEvent
	read := f.Temporal.GetWorkflowHistory(t.Context(), workflow, execution, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for read.HasNext() {
		event, err := read.Next()
		require.NoError(t, err)
		events = append(events, event)
	}
	return events
}

// executions are the executions of a run that continued as new, the first one first.
func (f *fixture) executions(t *testing.T, run string) []string {
	t.Helper()
	found := []string{f.run(t, run).FirstRunID}
	for {
		events := f.history(t, run, found[len(found)-1])
		next := events[len(events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
		if next == "" {
			return found
		}
		found = append(found, next)
	}
}

// asset is short for one asset.
func asset(key string, inputs ...string) testlocation.Asset {
	return testlocation.Asset{Key: key, Inputs: inputs}
}

// diamond is a graph in which middle is one of two ways from source to sink.
func diamond() []testlocation.Asset {
	return []testlocation.Asset{asset("source"), asset("middle", "source"), asset("side", "source"), asset("sink", "middle", "side")}
}
