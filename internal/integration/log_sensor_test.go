package integration

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// heardWithinBudget is how soon a listener hears whose wake was lost.
const heardWithinBudget = 10 * time.Second

// heard is what the function of a sensor that reads the log was given.
type heard struct {
	mu    sync.Mutex
	runs  []d.MonitoredRun
	made  [][]d.Materialization
	fails func() error
}

func (h *heard) run(run d.MonitoredRun) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = append(h.runs, run)
	if h.fails != nil {
		return h.fails()
	}
	return nil
}

func (h *heard) materializations(made []d.Materialization) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = append(h.made, made)
	if h.fails != nil {
		return h.fails()
	}
	return nil
}

func (h *heard) theRuns() []d.MonitoredRun {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.runs)
}

// all are the materializations of all ticks.
func (h *heard) all() []d.Materialization {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.made...)
}

// awaitRuns waits for n runs.
func (h *heard) awaitRuns(t *testing.T, n int) []d.MonitoredRun {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.theRuns()) >= n }, time.Minute, often, "the sensor heard of fewer than %d runs", n)
	require.Len(t, h.theRuns(), n)
	return h.theRuns()
}

func (h *heard) awaitMade(t *testing.T, n int) []d.Materialization {
	t.Helper()
	require.Eventually(t, func() bool { return len(h.all()) >= n }, time.Minute, often, "the sensor saw fewer than %d materializations", n)
	require.Len(t, h.all(), n)
	return h.all()
}

// acts is a function that only looks at runs.
func (h *heard) acts(_ d.Context, run d.MonitoredRun) (d.Nothing, error) {
	return d.Nothing{}, h.run(run)
}

// start starts a run of a job, and returns its id.
func (b *bundle) start(t *testing.T, location, id string, request wire.RunRequest) string {
	t.Helper()
	started, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: location, ID: location + "-" + id, Request: request})
	require.NoError(t, err)
	return started.ID
}

// wakes has the test's own store wake who listens, as that of every program does.
func (b *bundle) wakes(t *testing.T) {
	t.Helper()
	waker := starter.NewWaker(b.temporal, b.store, testLog())
	t.Cleanup(waker.Close)
}

// listening waits until a sensor listens.
func (b *bundle) listening(t *testing.T, location, sensor string) metadata.SensorID {
	t.Helper()
	id := metadata.SensorID{Location: location, Sensor: sensor}
	require.Eventually(t, func() bool {
		row, err := b.store.Trigger(t.Context(), id.Trigger())
		return err == nil && row.Applied != ""
	}, time.Minute, often, "%s was not brought in step", id)
	return id
}

func (b *bundle) runOf(t *testing.T, job string) (run metadata.Run) {
	t.Helper()
	require.Eventually(t, func() bool {
		page, err := b.store.Runs(t.Context(), metadata.RunFilter{Job: job, Statuses: []wire.RunStatus{wire.RunSuccess}}, "", 10)
		if err == nil && len(page.Rows) > 0 {
			run = page.Rows[0]
			return true
		}
		return false
	}, time.Minute, often, "no run of job %q", job)
	return run
}

func TestAnAssetSensorStartsRunsOfWhatWasMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wakes(t)
	h := &heard{}
	landed, report := d.Asset("landed", d.Bind0(numbers)), d.Asset("report", d.Bind0(numbers))
	job := d.AssetJob("daily_report", d.Assets(report))
	sensor := d.AssetSensor("on_landed", []d.AnyAsset{landed}, []*d.Job{job}, d.Bind1(func(_ d.Context, made []d.Materialization) (d.Tick[d.Nothing], error) {
		if err := h.materializations(made); err != nil {
			return d.Tick[d.Nothing]{}, err
		}
		return d.Tick[d.Nothing]{Runs: []d.RunRequest{job.Request()}}, nil
	}, d.NewMaterializations), d.DefaultRunning{})
	b.serve(t, d.New("made", landed, report, job, sensor))
	id := b.listening(t, "made", "on_landed")

	first := b.start(t, "made", "r1", wire.RunRequest{Assets: wire.AssetSelection{Expression: "landed"}})
	made := h.awaitMade(t, 1)[0]
	require.Equal(t, "landed", made.Asset)
	require.Equal(t, first, made.Run)
	started := b.runOf(t, "daily_report")
	made1, err := b.store.Run(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, made1.Cause, started.Cause, "it was led to by the same event")
	tick := b.awaitTick(t, id, succeeded)
	require.JSONEq(t, fmt.Sprintf(`{"events":0,"records":1,"from":%[1]d,"upto":%[1]d}`, made.Position), string(tick.Consumed))

	// A report from elsewhere counts, and of a burst nothing is lost.
	const burst = 40
	for i := range burst {
		_, err := b.starter.Report(t.Context(), starter.NewReport{Location: "made", ID: string(rune('a'+i/26)) + string(rune('a'+i%26)), Request: wire.ReportRequest{Asset: "landed", Type: wire.ReportMaterialization}})
		require.NoError(t, err)
	}
	h.awaitMade(t, 1+burst)
	positions := map[int64]bool{}
	for _, made := range h.all() {
		require.False(t, positions[made.Position], "position %d was seen twice", made.Position)
		positions[made.Position] = true
	}
}

func TestAnAssetSensorBeginsWithTheNewestAndTriesAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.wakes(t)
	h := &heard{}
	x, y := d.Asset("x", d.Bind0(numbers)), d.Asset("y", d.Bind0(numbers))
	once := sync.OnceValue(func() error { return errors.New("not today") })
	called := 0
	h.fails = func() error {
		if called++; called == 1 {
			return once()
		}
		return nil
	}
	look := d.Bind1(func(_ d.Context, made []d.Materialization) (d.Tick[d.Nothing], error) {
		return d.Tick[d.Nothing]{}, h.materializations(made)
	}, d.NewMaterializations)
	sensor := d.AssetSensor("both", []d.AnyAsset{x, y}, nil, look, d.WhenAll{}, d.OnlyActs{})
	b.serve(t, d.New("newest", x, y, sensor))
	id := b.listening(t, "newest", "both")
	report := func(asset, report string) {
		t.Helper()
		_, err := b.starter.Report(t.Context(), starter.NewReport{Location: "newest", ID: report, Request: wire.ReportRequest{Asset: asset, Type: wire.ReportMaterialization, Cause: report}})
		require.NoError(t, err)
	}
	causes := func(made []d.Materialization) (all []string) {
		for _, one := range made {
			all = append(all, one.Cause)
		}
		return all
	}
	report("x", "x1")
	report("x", "x2")
	report("y", "y1")
	_, changed, err := b.starter.SwitchSensor(t.Context(), starter.SensorOrder{SensorID: id}, wire.TriggerRunning)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, []string{"x2", "y1", "x2", "y1"}, causes(h.awaitMade(t, 4)), "it failed the first time, and was given the same again")
	failed := b.awaitTick(t, id, func(tick metadata.Tick) bool { return tick.Status == wire.TickFailure })
	require.Contains(t, failed.Error.Message, "not today")

	report("x", "x3")
	report("x", "x4")
	tick, err := b.starter.TickSensor(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, tick.Skip, `nothing new of "y"`)
	report("y", "y2")
	require.Equal(t, []string{"x3", "x4", "y2"}, causes(h.awaitMade(t, 7))[4:])
}

func TestAFailureSensorOfAnotherLocationHearsOfWhatBeganBeforeIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	called, fail := make(chan struct{}), make(chan struct{})
	work := d.Asset("fragile", d.Bind0(func(ctx d.Context) ([]int, error) {
		close(called)
		select {
		case <-fail:
		case <-ctx.Done():
		}
		return nil, errors.New("no more paper")
	}))
	b.serve(t, d.New("working", work, d.AssetJob("print", d.Assets(work))))
	run := b.start(t, "working", "r1", wire.RunRequest{Job: "print", Tags: map[string]string{"team": "press"}})
	<-called

	// Several that watch, deployed after it began.
	listed, all, other, jobs := &heard{}, &heard{}, &heard{}, &heard{}
	own := d.Asset("own", d.Bind0(numbers))
	ownJob := d.AssetJob("own_job", d.Assets(own))
	b.serve(t, d.New("watching", own, ownJob,
		d.RunFailureSensor("listed", d.Bind1(listed.acts, d.TheRun), d.MonitorLocations("working"), d.DefaultRunning{}),
		d.RunFailureSensor("all", d.Bind1(all.acts, d.TheRun), d.MonitorAll{}, d.DefaultRunning{}),
		d.RunFailureSensor("other", d.Bind1(other.acts, d.TheRun), d.DefaultRunning{}),
		d.RunStatusSensor("jobs", []d.RunStatus{d.RunSucceeded}, d.Bind1(jobs.acts, d.TheRun), d.Monitor(ownJob), d.DefaultRunning{})))
	for _, sensor := range []string{"listed", "all", "other", "jobs"} {
		b.listening(t, "watching", sensor)
	}
	close(fail)
	for _, h := range []*heard{listed, all} {
		heard := h.awaitRuns(t, 1)[0]
		require.Equal(t, run, heard.ID)
		require.Equal(t, "working", heard.Location)
		require.Equal(t, "print", heard.Job)
		require.Equal(t, d.RunFailed, heard.Status)
		require.Equal(t, "press", heard.Tags["team"])
		require.Len(t, heard.Failures, 1)
		require.Equal(t, "fragile", heard.Failures[0].Step)
		require.Contains(t, heard.Failures[0].Message, "no more paper")
		require.Equal(t, b.config.Temporal.UIAddress+"/namespaces/default/workflows/"+run, heard.URL)
		require.False(t, heard.WillRetry)
	}
	require.Eventually(t, func() bool { return b.reactions(t, run) == 2 }, time.Minute, often, "each reaction is on the run")
	b.awaitRun(t, b.start(t, "watching", "r2", wire.RunRequest{Assets: wire.AssetSelection{Expression: "own"}}))
	b.awaitRun(t, b.start(t, "watching", "r3", wire.RunRequest{Job: "own_job"}))
	require.Equal(t, "watching-r3", jobs.awaitRuns(t, 1)[0].ID)
	require.Empty(t, other.theRuns())
}

func (b *bundle) reactions(t *testing.T, run string) int {
	t.Helper()
	events, err := b.store.Events(t.Context(), 0, metadata.EventFilter{Run: run, Types: []metadata.EventType{metadata.EventSensorReacted}}, 100)
	require.NoError(t, err)
	return len(events)
}

func TestAFailureSensorHearsOfAChainOfRetriesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	work := d.Asset("hopeless", d.Bind0(func(d.Context) ([]int, error) { return nil, errors.New("no") }))
	once, every := &heard{}, &heard{}
	b.serve(t, d.New("retrying", work, d.AssetJob("try", d.Assets(work)),
		d.RunFailureSensor("once", d.Bind1(once.acts, d.TheRun), d.DefaultRunning{}),
		d.RunStatusSensor("every", []d.RunStatus{d.RunFailed}, d.Bind1(every.acts, d.TheRun), d.DefaultRunning{})))
	b.listening(t, "retrying", "once")
	b.listening(t, "retrying", "every")
	run := b.start(t, "retrying", "r1", wire.RunRequest{Job: "try", Tags: map[string]string{
		"perdure/max_retries": "1", "perdure/retry_on_asset_or_op_failure": "true",
	}})
	both := every.awaitRuns(t, 2)
	require.Equal(t, []string{run, run + "~1"}, []string{both[0].ID, both[1].ID})
	require.Equal(t, []bool{true, false}, []bool{both[0].WillRetry, both[1].WillRetry})
	require.Equal(t, run+"~1", once.awaitRuns(t, 1)[0].ID)
}

func TestARunSensorMovesOnWhenItsFunctionFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := &heard{}
	h.fails = func() error {
		if len(h.runs) == 1 {
			return errors.New("the mail server is away")
		}
		return nil
	}
	work := d.Asset("work", d.Bind0(numbers))
	job := d.AssetJob("work_job", d.Assets(work))
	b.serve(t, d.New("moving", work, job, d.RunStatusSensor("ended", []d.RunStatus{d.RunSucceeded}, d.Bind1(h.acts, d.TheRun), d.DefaultRunning{})))
	id := b.listening(t, "moving", "ended")
	first := b.start(t, "moving", "r1", wire.RunRequest{Job: "work_job"})
	failed := b.awaitTick(t, id, func(tick metadata.Tick) bool { return tick.Status == wire.TickFailure })
	require.Contains(t, failed.Error.Message, "the mail server is away")
	second := b.start(t, "moving", "r2", wire.RunRequest{Job: "work_job"})
	heard := h.awaitRuns(t, 2)
	require.Equal(t, []string{first, second}, []string{heard[0].ID, heard[1].ID})
	require.Eventually(t, func() bool { return b.reactions(t, second) == 1 }, time.Minute, often)
	require.Equal(t, 1, b.reactions(t, first))
}

func TestARunThatASensorRequestedNeedNotGoRound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := &heard{}
	work := d.Asset("work", d.Bind0(numbers))
	job := d.AssetJob("again", d.Assets(work))
	sensor := d.RunStatusSensor("echo", []d.RunStatus{d.RunSucceeded}, d.Bind1(func(_ d.Context, run d.MonitoredRun) ([]d.RunRequest, error) {
		if err := h.run(run); err != nil || run.RequestedBy == "echo" {
			return nil, err
		}
		return []d.RunRequest{job.Request(d.RunKey(run.ID))}, nil
	}, d.TheRun), d.MonitorAll{}, d.Targets(job), d.DefaultRunning{})
	b.serve(t, d.New("round", work, job, sensor))
	b.listening(t, "round", "echo")
	b.start(t, "round", "r1", wire.RunRequest{Job: "again"})
	heard := h.awaitRuns(t, 2)
	require.Equal(t, []string{"", "echo"}, []string{heard[0].RequestedBy, heard[1].RequestedBy})
	b.start(t, "round", "r2", wire.RunRequest{Job: "again"})
	require.Equal(t, "round-r2", h.awaitRuns(t, 4)[2].ID)
}

// The store of the test wakes nobody, as one whose process is killed between the commit and the wake.
func TestALostWakeIsMadeUpFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := &heard{}
	x := d.Asset("x", d.Bind0(numbers))
	look := d.Bind1(func(_ d.Context, made []d.Materialization) (d.Tick[d.Nothing], error) {
		return d.Tick[d.Nothing]{}, h.materializations(made)
	}, d.NewMaterializations)
	b.serve(t, d.New("lost", x, d.AssetSensor("seen", []d.AnyAsset{x}, nil, look, d.OnlyActs{}, d.DefaultRunning{})))
	id := b.listening(t, "lost", "seen")
	workflow := wire.SensorID("", id.Location, id.Sensor)
	b.watched(t)
	for n, lost := range []func(){
		func() {}, // the first may come before it has read for the first time
		func() {},
		// Its workflow is gone as well: it is started.
		func() { require.NoError(t, b.temporal.TerminateWorkflow(t.Context(), workflow, "", "a test")) },
	} {
		lost()
		began := time.Now()
		_, err := b.starter.Report(t.Context(), starter.NewReport{Location: "lost", ID: string(rune('a' + n)), Request: wire.ReportRequest{Asset: "x", Type: wire.ReportMaterialization}})
		require.NoError(t, err)
		h.awaitMade(t, n+1)
		t.Logf("heard after %s", time.Since(began))
		require.Less(t, time.Since(began), heardWithinBudget)
	}
}
