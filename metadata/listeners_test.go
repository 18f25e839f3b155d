package metadata_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// wakes collects who is woken.
type wakes struct {
	mutex sync.Mutex
	woken []metadata.Wake
}

func (b *bench) collect() *wakes {
	collected := &wakes{}
	b.OnWake(func(woken []metadata.Wake) {
		collected.mutex.Lock()
		defer collected.mutex.Unlock()
		collected.woken = append(collected.woken, woken...)
	})
	return collected
}

// take returns the ids of those that were woken since the last call, sorted.
func (w *wakes) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	ids := make([]string, 0, len(w.woken))
	for _, wake := range w.woken {
		ids = append(ids, wake.ID)
	}
	slices.Sort(ids)
	w.woken = nil
	return ids
}

func (b *bench) listen(id string, subscriptions ...metadata.Subscription) {
	b.Helper()
	changed, err := b.Subscribe(b.Context(), metadata.Listener{
		Wake: metadata.Wake{ID: id, Workflow: "Sensor", Queue: "flights"}, Location: "flights", Kind: "sensor", Name: id, Subscriptions: subscriptions,
	})
	require.NoError(b, err)
	require.True(b, changed)
}

func (b *bench) clean(id string) bool {
	b.Helper()
	dirty, err := b.CleanListener(b.Context(), id)
	require.NoError(b, err)
	return dirty
}

func materializationOf(asset string) metadata.Subscription {
	return metadata.Subscription{Type: metadata.EventMaterialization, Asset: asset}
}

func (b *bench) report(id, asset string) {
	b.Helper()
	report := reported(id, "k")
	report.Asset = asset
	_, err := b.Report(b.Context(), report)
	require.NoError(b, err)
}

func TestACommitWakesWhoListensForIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	woken := b.collect()
	b.listen("a", materializationOf("x"))
	b.listen("any", materializationOf(""))
	b.listen("b", materializationOf("y"))
	b.listen("observed", metadata.Subscription{Type: metadata.EventObservation, Asset: "x"})
	require.Equal(t, []string{"a", "any", "b", "observed"}, woken.take(), "there may be something for them already")
	b.report("e1", "x")
	require.Empty(t, woken.take(), "they are dirty still")
	for _, id := range []string{"a", "any", "b", "observed"} {
		require.True(t, b.clean(id))
		require.False(t, b.clean(id))
	}

	b.report("e2", "x")
	require.Equal(t, []string{"a", "any"}, woken.take())
	b.report("e3", "x")
	b.report("e4", "z")
	require.Empty(t, woken.take(), "once until they read")
	require.True(t, b.clean("a"))
	b.begin("r1", step("s", "x", "y"), step("o", "x"))
	fence := b.granted("r1", "s", 1, 1)
	commit := commitOf(fence, "x", "y")
	commit.Events = []wire.StepEvent{{Type: string(metadata.EventObservation), Asset: "x", Body: json.RawMessage("{}")}}
	_, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "observed"}, woken.take())

	// Nobody knows whether the first caller came to wake them.
	require.True(t, b.clean("b"))
	before := b.dump()
	_, err = b.Commit(t.Context(), commit)
	require.NoError(t, err)
	b.report("e2", "x")
	require.Equal(t, []string{"a", "a", "any", "any", "observed"}, woken.take())
	require.Equal(t, before, b.dump())

	require.NoError(t, b.Unsubscribe(t.Context(), "a", "nobody"))
	require.True(t, b.clean("any"))
	b.report("e5", "x")
	require.Equal(t, []string{"any"}, woken.take())
	require.NoError(t, b.Unsubscribe(t.Context(), "any", "b"))
	require.Equal(t, 1, b.count("select count(*) from log_head where listened = '{ASSET_OBSERVATION}'"))
	require.False(t, b.clean("any"), "it does not listen")
}

func TestRunsWakeWhoListensForThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	woken := b.collect()
	ofJob := func(event metadata.EventType, location, job, run string) metadata.Subscription {
		return metadata.Subscription{Type: event, Location: location, Job: job, Run: run}
	}
	listeners := map[string]metadata.Subscription{
		"started": ofJob(metadata.EventRunStart, "", "", ""), "daily failed": ofJob(metadata.EventRunFailure, "flights", "daily", ""),
		"here failed": ofJob(metadata.EventRunFailure, "flights", "", ""), "elsewhere failed": ofJob(metadata.EventRunFailure, "trains", "", ""),
		"canceling": ofJob(metadata.EventRunCanceling, "", "", ""), "r1 ended": ofJob(metadata.EventRunFailure, "", "", "r1"),
		"canceled": ofJob(metadata.EventRunCanceled, "", "", ""), "starting": ofJob(metadata.EventRunStarting, "", "", ""),
	}
	for id, subscription := range listeners {
		b.listen(id, subscription)
		require.True(t, b.clean(id))
	}
	woken.take()
	daily := newRun("r1", step("a"))
	daily.Plan.Job = "daily"
	_, err := b.PlanRun(t.Context(), daily)
	require.NoError(t, err)
	require.Equal(t, []string{"started"}, woken.take())
	b.end("r1", 9, wire.RunFailure)
	require.Equal(t, []string{"daily failed", "here failed", "r1 ended"}, woken.take())
	b.end("r1", 9, wire.RunFailure)
	require.Equal(t, []string{"daily failed", "here failed", "r1 ended"}, woken.take(), "whoever recorded it may not have come to it")
	b.clean("here failed")
	b.begin("r2", step("a"))
	canceling := metadata.Canceling{RunID: "r2", FirstRunID: "first-r2", Reason: "no more"}
	_, err = b.MarkCanceling(t.Context(), canceling)
	require.NoError(t, err)
	_, err = b.MarkCanceling(t.Context(), canceling)
	require.NoError(t, err)
	require.Equal(t, []string{"canceling"}, woken.take())
	b.end("r2", 9, wire.RunCanceled)
	require.Equal(t, []string{"canceled"}, woken.take())
	_, err = b.NoteRun(t.Context(), metadata.NotedRun{ID: "r3", FirstRunID: "first-r3", Location: "flights", Queue: "flights", Reason: "no worker"})
	require.NoError(t, err)
	require.Equal(t, []string{"starting"}, woken.take())
}

func TestASensorListensForWhatItWatches(t *testing.T) {
	t.Parallel()
	of := func(event metadata.EventType, asset, location, job string) metadata.Subscription {
		return metadata.Subscription{Type: event, Asset: asset, Location: location, Job: job}
	}
	for name, c := range map[string]struct {
		sensor plan.Sensor
		wanted []metadata.Subscription
	}{
		"events": {plan.Sensor{Kind: plan.SensorOfEvents}, nil},
		"assets": {
			plan.Sensor{Kind: plan.SensorOfAssets, Assets: []string{"x", "y"}},
			[]metadata.Subscription{of(metadata.EventMaterialization, "x", "", ""), of(metadata.EventMaterialization, "y", "", "")},
		},
		"runs of its location": {
			plan.Sensor{Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunFailure, wire.RunQueued}},
			[]metadata.Subscription{of(metadata.EventRunFailure, "", "flights", ""), of(metadata.EventRunEnqueued, "", "flights", "")},
		},
		"runs of its jobs": {
			plan.Sensor{Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunStarted}, MonitoredJobs: []string{"a", "b"}},
			[]metadata.Subscription{of(metadata.EventRunStart, "", "flights", "a"), of(metadata.EventRunStart, "", "flights", "b")},
		},
		"runs of other locations": {
			plan.Sensor{Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunCanceled}, MonitoredLocations: []string{"trains"}},
			[]metadata.Subscription{of(metadata.EventRunCanceled, "", "trains", "")},
		},
		"all runs": {
			plan.Sensor{Kind: plan.SensorOfRuns, Statuses: []wire.RunStatus{wire.RunSuccess, wire.RunStarting, wire.RunCanceling}, AllLocations: true},
			[]metadata.Subscription{of(metadata.EventRunSuccess, "", "", ""), of(metadata.EventRunStarting, "", "", ""), of(metadata.EventRunCanceling, "", "", "")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.wanted, metadata.SensorSubscriptions("flights", c.sensor))
		})
	}
}

func TestSubscribingAgainChangesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	woken := b.collect()
	_, err := b.SyncTriggers(t.Context(), "flights", []metadata.DefinedTrigger{
		{Kind: wire.TriggerSensor, Name: "failed", Definition: json.RawMessage("{}"), Declared: wire.TriggerRunning},
		{Kind: wire.TriggerSensor, Name: "made", Definition: json.RawMessage("{}"), Declared: wire.TriggerRunning},
	})
	require.NoError(t, err)
	b.report("e1", "x")
	position := func(name string) *int64 {
		trigger, err := b.Trigger(t.Context(), metadata.TriggerID{Location: "flights", Kind: wire.TriggerSensor, Name: name})
		require.NoError(t, err)
		return trigger.Position
	}
	failed := metadata.Listener{
		Wake: metadata.Wake{ID: "sensor:flights:failed", Workflow: "Sensor", Queue: "flights"}, Location: "flights", Kind: "sensor", Name: "failed",
		FromEnd: true, Subscriptions: []metadata.Subscription{{Type: metadata.EventRunFailure}},
	}
	subscribe := func(listener metadata.Listener, wantChanged bool, wantWoken ...string) {
		t.Helper()
		changed, err := b.Subscribe(t.Context(), listener)
		require.NoError(t, err)
		require.Equal(t, wantChanged, changed)
		require.ElementsMatch(t, wantWoken, woken.take())
	}
	subscribe(failed, true, failed.ID)
	require.Equal(t, int64(1), *position("failed"), "it begins at the end")
	require.Nil(t, position("made"))
	b.clean(failed.ID)
	b.report("e2", "x")
	before := b.dump()
	subscribe(failed, false)
	failed.Queue = "other"
	subscribe(failed, true)
	require.False(t, b.clean(failed.ID), "nothing is new for it")
	require.Equal(t, before, b.dump())
	failed.Subscriptions = append(failed.Subscriptions, materializationOf("x"), materializationOf("x"))
	subscribe(failed, true, failed.ID)
	require.Equal(t, int64(1), *position("failed"), "it goes on where it was")
	failed.Subscriptions = failed.Subscriptions[:1]
	b.clean(failed.ID)
	subscribe(failed, true)
	require.Equal(t, 1, b.count("select count(*) from subscriptions"))
}

func TestWhoStaysDirtyIsWokenAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	unheard := func() (ids []string) {
		t.Helper()
		found, err := b.Unheard(t.Context(), 3*time.Second, 30*time.Second, 10)
		require.NoError(t, err)
		for _, wake := range found {
			require.Equal(t, metadata.Wake{ID: wake.ID, Workflow: "Sensor", Queue: "flights"}, wake)
			ids = append(ids, wake.ID)
		}
		return ids
	}
	b.setClock("2026-01-01 00:00:00Z")
	b.listen("a", materializationOf("x"))
	b.listen("b", materializationOf("x"))
	b.clean("b")
	b.setClock("2026-01-01 00:00:03Z")
	require.Empty(t, unheard())
	b.setClock("2026-01-01 00:00:04Z")
	require.Equal(t, []string{"a"}, unheard())
	require.Empty(t, unheard(), "another daemon has it")
	require.NoError(t, b.Unwoken(t.Context(), []string{"a"}))
	require.Equal(t, []string{"a"}, unheard(), "it could not be woken")
	b.report("e1", "x")
	b.setClock("2026-01-01 00:00:35Z")
	require.ElementsMatch(t, []string{"a", "b"}, unheard())
	b.clean("a")
	b.clean("b")
	b.setClock("2026-01-01 01:00:00Z")
	require.Empty(t, unheard())
}
