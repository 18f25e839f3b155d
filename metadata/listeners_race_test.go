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
	"github.com/perdure-io/perdure/wire"
)

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
			func(round int) (string, any) {
				return "report_event_v1", reported(fmt.Sprintf("%d-%d", worker, round), "k")
			},
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
