package metadata_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

var arriving = metadata.SensorID{Location: "flights", Sensor: "arrivals"}

func sent(ids ...string) []wire.SentEvent {
	events := make([]wire.SentEvent, len(ids))
	for i, id := range ids {
		events[i] = wire.SentEvent{ID: id, Payload: json.RawMessage(`{"n":"` + id + `"}`), At: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	}
	return events
}

func (b *bench) beginSensor(key string, change func(*metadata.NewSensorTick), events ...string) metadata.BegunSensorTick {
	b.Helper()
	tick := metadata.NewSensorTick{SensorID: arriving, Events: sent(events...), Key: key, Cause: "cause-" + key, Most: 1000, Bytes: 1 << 20}
	if change != nil {
		change(&tick)
	}
	begun, err := b.BeginSensorTick(b.Context(), tick)
	require.NoError(b, err)
	return begun
}

func idsOf(events []metadata.InboxEvent) []string {
	ids := make([]string, len(events))
	for i, event := range events {
		ids[i] = event.ID
	}
	return ids
}

func numbersOf(events []metadata.InboxEvent) []int64 {
	numbers := make([]int64, len(events))
	for i, event := range events {
		numbers[i] = event.Number
	}
	return numbers
}

func (b *bench) decideSensor(begun metadata.BegunSensorTick, runs ...wire.TickRun) (metadata.Tick, bool) {
	b.Helper()
	tick, _, decided, err := b.DecideSensorTick(b.Context(), metadata.SensorDecision{
		TickDecision: metadata.TickDecision{ID: begun.Tick.ID, Runs: runs, Cursor: json.RawMessage(`"` + begun.Tick.Key + `"`)}, Numbers: numbersOf(begun.Events),
	})
	require.NoError(b, err)
	return tick, decided
}

func (b *bench) waiting() int {
	b.Helper()
	trigger, err := b.Trigger(b.Context(), arriving.Trigger())
	require.NoError(b, err)
	events, err := b.SensorEvents(b.Context(), arriving, false, 1000)
	require.NoError(b, err)
	require.Len(b, events, trigger.Waiting, "the count is that of the rows")
	return trigger.Waiting
}

func TestEventsAreTakenInOnceAndInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)

	first := b.beginSensor("1", nil, "c", "a", "b", "a")
	require.Equal(t, metadata.WrittenEvents{New: 3, Known: 1}, first.WrittenEvents)
	require.Equal(t, []string{"c", "a", "b"}, idsOf(first.Events), "as they came")
	require.Equal(t, "cause-1", first.Tick.Cause)
	require.JSONEq(t, `{"n":"c"}`, string(first.Events[0].Payload))
	require.Equal(t, 3, b.waiting(), "they wait until the tick is decided")

	// The worker died: the same activity is tried again, with the same events, and one that came meanwhile is there, too.
	_, _, err := b.SendEvents(t.Context(), arriving, sent("d"))
	require.NoError(t, err)
	again := b.beginSensor("1", nil, "c", "a", "b", "a")
	require.Equal(t, metadata.WrittenEvents{Known: 4}, again.WrittenEvents)
	require.Equal(t, first.Tick.ID, again.Tick.ID)
	require.Equal(t, []string{"c", "a", "b", "d"}, idsOf(again.Events))

	tick, decided := b.decideSensor(again, tickRun("r1", ""))
	require.True(t, decided)
	require.Equal(t, wire.TickStarted, tick.Status)
	require.Zero(t, b.waiting())
	// The worker was only frozen: what it decides is too late.
	late, decided := b.decideSensor(first, tickRun("r2", ""))
	require.False(t, decided)
	require.Equal(t, "r1", late.Runs[0].RunID)

	// Nothing waits: there is nothing to evaluate. The decided tick is for whoever comes to start its runs.
	next := b.beginSensor("2", nil, "a", "d")
	require.Nil(t, next.Tick)
	require.Equal(t, metadata.WrittenEvents{Known: 2}, next.WrittenEvents)
	require.Len(t, next.Undone, 1)
	require.Equal(t, tick.ID, next.Undone[0].ID)

	// Unless it is due.
	due := b.beginSensor("3", func(tick *metadata.NewSensorTick) { tick.Due = true })
	require.NotNil(t, due.Tick)
	require.Empty(t, due.Events)
	require.JSONEq(t, `"1"`, string(due.Tick.CursorBefore))
	// One event is its tick's cause.
	one := b.beginSensor("4", nil, "e")
	require.Equal(t, "e", one.Tick.Cause)
	_, decided = b.decideSensor(due)
	require.False(t, decided, "a later evaluation took over")
	_, decided = b.decideSensor(one)
	require.True(t, decided)
}

func TestAStoppedSensorTakesEventsAndIsNotEvaluated(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	_, _, err := b.SwitchTrigger(t.Context(), metadata.TriggerSwitch{TriggerID: arrivals, Status: wire.TriggerStopped})
	require.NoError(t, err)
	begun := b.beginSensor("1", func(tick *metadata.NewSensorTick) { tick.Due = true }, "a")
	require.Nil(t, begun.Tick)
	require.Equal(t, 1, b.waiting())
	require.Equal(t, wire.TriggerStopped, begun.Trigger.Status)
	by := b.beginSensor("2", func(tick *metadata.NewSensorTick) { tick.Manual = true })
	require.Equal(t, []string{"a"}, idsOf(by.Events), "a person may have it evaluated")
	require.True(t, by.Tick.Manual)

	b.defined()
	removed := b.beginSensor("3", func(tick *metadata.NewSensorTick) { tick.Manual = true }, "b")
	require.Nil(t, removed.Tick, "nobody has the function of one that was removed")
	require.Equal(t, 2, b.waiting())
	b.defined(arrivals)
	back := b.beginSensor("4", func(tick *metadata.NewSensorTick) { tick.Manual = true })
	require.Equal(t, []string{"a", "b"}, idsOf(back.Events))
}

func TestATickTakesInNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	few := b.beginSensor("1", func(tick *metadata.NewSensorTick) { tick.Most = 2 }, "a", "b", "c")
	require.Equal(t, []string{"a", "b"}, idsOf(few.Events))
	small := b.beginSensor("2", func(tick *metadata.NewSensorTick) { tick.Bytes = 24 })
	require.Equal(t, []string{"a", "b"}, idsOf(small.Events), "two of ten bytes each")
	one := b.beginSensor("3", func(tick *metadata.NewSensorTick) { tick.Bytes = 1 })
	require.Equal(t, []string{"a"}, idsOf(one.Events), "one is always taken in")
}

func TestWhatWasRejectedMayBeSentAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	bad := wire.SentEvent{ID: "bad", Payload: json.RawMessage(`"{oops"`), At: time.Now(), Problem: "is not JSON"}
	counts, trigger, err := b.SendEvents(t.Context(), arriving, append(sent("a", "misfit"), bad))
	require.NoError(t, err)
	require.Equal(t, metadata.WrittenEvents{New: 2, Rejected: 1}, counts)
	require.Equal(t, 2, trigger.Waiting)
	begun := b.beginSensor("1", nil)
	require.Equal(t, []string{"a", "misfit"}, idsOf(begun.Events))
	require.NoError(t, b.RejectEvents(t.Context(), arriving, []metadata.RejectedEvent{{Number: begun.Events[1].Number, Problem: "n must be a number"}}))
	require.Equal(t, 1, b.waiting())
	rejected, err := b.SensorEvents(t.Context(), arriving, true, 0)
	require.NoError(t, err)
	require.Len(t, rejected, 2)
	require.Equal(t, "is not JSON", rejected[0].Problem)
	require.JSONEq(t, `"{oops"`, string(rejected[0].Payload))
	require.Equal(t, "n must be a number", rejected[1].Problem)

	counts, _, err = b.SendEvents(t.Context(), arriving, append(sent("misfit", "a"), bad))
	require.NoError(t, err)
	require.Equal(t, metadata.WrittenEvents{New: 1, Known: 2}, counts)
	again := b.beginSensor("2", nil)
	require.Equal(t, []string{"a", "misfit"}, idsOf(again.Events))
}

func TestSettingTheCursorOvertakesAnEvaluation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	begun := b.beginSensor("1", nil, "a")
	trigger, err := b.SetCursor(t.Context(), metadata.NewCursor{SensorID: arriving, Cursor: json.RawMessage(`{"at":7}`), Who: "ann"})
	require.NoError(t, err)
	require.JSONEq(t, `{"at":7}`, string(trigger.Cursor))
	tick, decided := b.decideSensor(begun)
	require.False(t, decided)
	require.Equal(t, wire.TickSkipped, tick.Status)
	require.Equal(t, 1, b.waiting(), "its events are for the next one")
	next := b.beginSensor("2", nil)
	require.JSONEq(t, `{"at":7}`, string(next.Tick.CursorBefore))
	require.Equal(t, []string{"a"}, idsOf(next.Events))

	_, err = b.SetCursor(t.Context(), metadata.NewCursor{SensorID: metadata.SensorID{Location: "flights", Sensor: "departures"}})
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestNoEventIsLostBetweenManyWriters(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 100
	b := newBench(t)
	b.defined(arrivals)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				_, _, err := b.SendEvents(context.WithoutCancel(t.Context()), arriving, sent(fmt.Sprintf("%d-%d", w, i)))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	seen := map[string]int{}
	last := map[byte]int{}
	for tick := 0; ; tick++ {
		over := false
		select {
		case <-done:
			over = true
		default:
		}
		begun := b.beginSensor(fmt.Sprint(tick), func(tick *metadata.NewSensorTick) { tick.Most = 50 })
		if begun.Tick == nil {
			if over {
				break
			}
			continue
		}
		for _, event := range begun.Events {
			seen[event.ID]++
			var n int
			_, err := fmt.Sscanf(event.ID[2:], "%d", &n)
			require.NoError(t, err)
			require.Equal(t, last[event.ID[0]], n, "each writer's are in order")
			last[event.ID[0]]++
		}
		_, decided := b.decideSensor(begun)
		require.True(t, decided)
	}
	require.Len(t, seen, writers*each)
	for id, times := range seen {
		require.Equal(t, 1, times, id)
	}
}

func TestOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.defined(arrivals)
	begun := b.beginSensor("1", nil, "a", "b")
	_, _, decided, err := b.DecideSensorTick(t.Context(), metadata.SensorDecision{TickDecision: metadata.TickDecision{ID: begun.Tick.ID}, Numbers: numbersOf(begun.Events[:1])})
	require.NoError(t, err)
	require.True(t, decided)
	deleted, err := b.PurgeEvents(t.Context(), time.Now().Add(-time.Hour), 10)
	require.NoError(t, err)
	require.Zero(t, deleted)
	deleted, err = b.PurgeEvents(t.Context(), time.Now().Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, deleted, "what waits is never forgotten")
	counts, _, err := b.SendEvents(t.Context(), arriving, sent("a", "b"))
	require.NoError(t, err)
	require.Equal(t, metadata.WrittenEvents{New: 1, Known: 1}, counts)
}
