package metadata_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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
	removed, err := b.UnsubscribeBut(t.Context(), "flights", "sensor", []string{"observed"})
	require.NoError(t, err)
	require.Equal(t, []string{"any", "b"}, removed)
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

// Whatever the order in which 32 writers commit, each listener that reads only when it is woken, and becomes clean before it reads,
// sees each event that it listens for once, and is woken at most once before it reads again.
func TestNoListenerMissesAnEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const writers, each, listeners = 32, 12, 4
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	assets := []string{"x", "y", "z"}
	bells := map[string]chan struct{}{}
	rings := map[string]int{}
	var mutex sync.Mutex
	ring := func(woken []metadata.Wake) {
		mutex.Lock()
		defer mutex.Unlock()
		for _, wake := range woken {
			rings[wake.ID]++
			select {
			case bells[wake.ID] <- struct{}{}:
			default:
			}
		}
	}
	watched := func(i int) []string { return assets[:1+i%len(assets)] }
	for i := range listeners {
		id := fmt.Sprintf("listener %d", i)
		bells[id] = make(chan struct{}, 1)
		var subscriptions []metadata.Subscription
		for _, asset := range watched(i) {
			subscriptions = append(subscriptions, materializationOf(asset))
		}
		b.listen(id, subscriptions...)
		b.clean(id)
	}
	b.OnWake(ring)

	seen := make([][]string, listeners)
	cleaned := make([]int, listeners)
	var reading sync.WaitGroup
	wanted := writers * each
	stop := make(chan struct{})
	for i := range listeners {
		id, random := fmt.Sprintf("listener %d", i), rand.New(rand.NewPCG(seed, uint64(1000+i)))
		reading.Go(func() {
			position := int64(0)
			for {
				select {
				case <-bells[id]:
				case <-stop:
					return
				}
				dirty, err := b.CleanListener(t.Context(), id)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				if dirty {
					cleaned[i]++
				}
				<-time.After(time.Duration(random.IntN(1500)) * time.Microsecond)
				events, err := b.Events(t.Context(), position, metadata.EventFilter{Types: []metadata.EventType{metadata.EventMaterialization}}, 1000)
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				mutex.Lock()
				for _, event := range events {
					position = event.Position
					if slices.Contains(watched(i), event.Asset) {
						seen[i] = append(seen[i], event.Cause)
					}
				}
				mutex.Unlock()
			}
		})
	}
	expected := make([][]string, listeners)
	var writing sync.WaitGroup
	for w := range writers {
		random := rand.New(rand.NewPCG(seed, uint64(w)))
		writing.Go(func() {
			for n := range each {
				report := reported(fmt.Sprintf("%d-%d", w, n), "k")
				report.Asset = assets[random.IntN(len(assets))]
				<-time.After(time.Duration(random.IntN(3000)) * time.Microsecond)
				if err := writeSlowly(b, report, random, ring); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				mutex.Lock()
				for i := range listeners {
					if slices.Contains(watched(i), report.Asset) {
						expected[i] = append(expected[i], report.ID)
					}
				}
				mutex.Unlock()
			}
		})
	}
	writing.Wait()
	require.Eventually(t, func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		for i := range listeners {
			if len(seen[i]) < len(expected[i]) {
				return false
			}
		}
		return true
	}, time.Minute, 5*time.Millisecond, "%d events were written, and a listener was not woken for some", wanted)
	close(stop)
	reading.Wait()
	for i := range listeners {
		require.ElementsMatch(t, expected[i], seen[i])
		id := fmt.Sprintf("listener %d", i)
		require.LessOrEqual(t, rings[id], cleaned[i]+1, "%s was woken more often than it read", id)
		require.Positive(t, cleaned[i])
	}
	t.Logf("woken %v, of %d events", rings, wanted)
}

// writeSlowly reports, now and then in a transaction that stays open for a while after that.
func writeSlowly(b *bench, report metadata.Report, random *rand.Rand, ring func([]metadata.Wake)) error {
	if random.IntN(3) > 0 {
		_, err := b.Report(b.Context(), report)
		return err
	}
	tx, err := b.db.BeginTxx(b.Context(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	data, err := json.Marshal(report)
	if err != nil {
		return err
	}
	var raw []byte
	if err := tx.GetContext(b.Context(), &raw, "select report_event_v1($1)", string(data)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(b.Context(), "select pg_sleep($1)", random.Float64()*0.004); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	var answer struct {
		Wakes []metadata.Wake `json:"wakes"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return err
	}
	ring(answer.Wakes)
	return nil
}

// Those who commit, listen, read and steer wait for each other in one order only. A store would try again what lost in a deadlock:
// here it fails.
func TestListenersAndWritersNeverDeadlock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	_, err := b.SyncTriggers(t.Context(), "flights", []metadata.DefinedTrigger{
		{Kind: wire.TriggerSensor, Name: "l0", Definition: json.RawMessage("{}"), Declared: wire.TriggerRunning},
		{Kind: wire.TriggerSensor, Name: "l1", Definition: json.RawMessage("{}"), Declared: wire.TriggerRunning},
	})
	require.NoError(t, err)
	b.listen("l0", materializationOf("x"))
	b.listen("l1", materializationOf(""))
	const rounds = 40
	var work sync.WaitGroup
	for worker := range 12 {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		name := func() string { return fmt.Sprintf("l%d", random.IntN(2)) }
		does := []func(round int) (function string, argument any){
			func(round int) (string, any) { return "report_event_v1", reported(fmt.Sprintf("%d-%d", worker, round), "k") },
			func(round int) (string, any) {
				return "add_partitions_v1", map[string]any{"name": "p", "keys": []string{fmt.Sprintf("%d-%d", worker, round)}}
			},
			func(int) (string, any) { return "clean_listener_v1", map[string]any{"id": name()} },
			func(int) (string, any) {
				id := name()
				return "subscribe_v1", metadata.Listener{
					Wake: metadata.Wake{ID: id}, Location: "flights", Kind: "sensor", Name: id, FromEnd: true,
					Subscriptions: []metadata.Subscription{materializationOf([]string{"", "x", "y"}[random.IntN(3)])},
				}
			},
			func(int) (string, any) { return "unsubscribe_v1", map[string]any{"ids": []string{name()}} },
			func(int) (string, any) {
				return "unheard_v1", map[string]any{"after": 0, "again": 0, "limit": 10}
			},
			func(int) (string, any) { return "unwoken_v1", map[string]any{"ids": []string{"l0", "l1"}} },
			func(int) (string, any) {
				return "switch_trigger_v1", map[string]any{"location": "flights", "kind": "sensor", "name": name(), "status": []string{"RUNNING", "STOPPED"}[random.IntN(2)]}
			},
		}
		work.Go(func() {
			for round := range rounds {
				function, argument := does[random.IntN(len(does))](round)
				data, err := json.Marshal(argument)
				if err == nil {
					_, err = b.db.ExecContext(b.Context(), "select "+function+"($1)", string(data))
				}
				if err != nil {
					t.Errorf("%s: %v", function, err)
					return
				}
				if round%8 == 0 {
					if err := decideWithPartitions(b, name(), fmt.Sprintf("%d-%d", worker, round)); err != nil {
						t.Errorf("a tick: %v", err)
						return
					}
				}
			}
		})
	}
	work.Wait()
}

// decideWithPartitions decides a tick that adds a partition, which is an event.
func decideWithPartitions(b *bench, sensor, key string) error {
	tick, err := b.BeginTick(b.Context(), metadata.NewTick{
		TriggerID: metadata.TriggerID{Location: "flights", Kind: wire.TriggerSensor, Name: sensor}, Key: key, Cause: "c",
	})
	if err != nil {
		return err
	}
	data, err := json.Marshal(metadata.TickDecision{ID: tick.ID, Add: []wire.TickPartitions{{Name: "q", Keys: []string{key}}}})
	if err != nil {
		return err
	}
	_, err = b.db.ExecContext(b.Context(), "select decide_sensor_tick_v1($1)", string(data))
	return err
}
