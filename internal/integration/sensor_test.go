//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// arrival is an event's payload.
type arrival struct {
	Flight string `config:"required"`
	Delay  int
}

// sensed is what the sensor of a test has seen and does.
type sensed struct {
	mu    sync.Mutex
	ids   []string
	ticks int
	// before is called first, answer says what it answers; nil is a run for each event.
	before func(ctx context.Context, events []d.Event[arrival]) error
	answer func(job *d.Job, events []d.Event[arrival], cursor int) d.Tick[int]
}

// seen are the ids of the events whose evaluation has ended.
func (s *sensed) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.ids...)
}

func (s *sensed) evaluations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ticks
}

// sensorLocation has an asset, a job of it, and the sensor "arrivals".
func sensorLocation(name string, s *sensed, options ...d.SensorOption) *d.Definitions {
	landed := d.Asset("landed", d.Bind0(numbers))
	job := d.AssetJob("land", d.Assets(landed))
	function := func(ctx d.Context, events []d.Event[arrival], cursor int) (d.Tick[int], error) {
		s.mu.Lock()
		s.ticks++
		s.mu.Unlock()
		if s.before != nil {
			if err := s.before(ctx, events); err != nil {
				return d.Tick[int]{}, err
			}
		}
		ctx.Log().Info("evaluated", "events", len(events))
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, event := range events {
			s.ids = append(s.ids, event.ID)
		}
		if s.answer != nil {
			return s.answer(job, events, cursor), nil
		}
		tick := d.Tick[int]{Cursor: cursor + len(events)}
		for _, event := range events {
			tick.Runs = append(tick.Runs, job.Request(d.RunKey(event.ID)))
		}
		if len(events) == 0 {
			tick.Skip = "nothing landed"
		}
		return tick, nil
	}
	sensor := d.Sensor("arrivals", []*d.Job{job}, d.Bind2(function, d.Events[arrival](), d.CursorOf[int]()), append(options, d.DefaultRunning{})...)
	return d.New(name, landed, job, sensor)
}

// sensing serves a location with the sensor "arrivals".
func (b *bundle) sensing(t *testing.T, name string, s *sensed, options ...d.SensorOption) metadata.SensorID {
	t.Helper()
	// The tests share Temporal's namespace, and a sensor's workflow outlives its test.
	name = fmt.Sprintf("%s-%d", name, fixtures.Add(1))
	b.serve(t, sensorLocation(name, s, options...))
	id := metadata.SensorID{Location: name, Sensor: "arrivals"}
	b.syncSensors(t, name)
	return id
}

// syncSensors does at once what a worker does every few seconds.
func (b *bundle) syncSensors(t *testing.T, location string) {
	t.Helper()
	_, err := b.starter.SyncTriggers(t.Context(), location)
	require.NoError(t, err)
}

func (b *bundle) sensorState(t *testing.T, id metadata.SensorID) wire.SensorState {
	t.Helper()
	var state wire.SensorState
	answer, err := b.temporal.QueryWorkflow(t.Context(), wire.SensorID(b.config.Deployment, id.Location, id.Sensor), "", wire.StateQuery)
	require.NoError(t, err)
	require.NoError(t, answer.Get(&state))
	return state
}

// ticksOf are a sensor's ticks, the newest first.
func (b *bundle) ticksOf(t *testing.T, id metadata.SensorID) []metadata.Tick {
	t.Helper()
	page, err := b.store.Ticks(t.Context(), metadata.TickFilter{TriggerID: id.Trigger()}, "", 100)
	require.NoError(t, err)
	return page.Rows
}

// awaitTick waits for a tick that is as told.
func (b *bundle) awaitTick(t *testing.T, id metadata.SensorID, is func(metadata.Tick) bool) metadata.Tick {
	t.Helper()
	var found metadata.Tick
	require.Eventually(t, func() bool {
		for _, tick := range b.ticksOf(t, id) {
			if tick.Status.Ended() && is(tick) {
				found = tick
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond)
	return found
}

func succeeded(tick metadata.Tick) bool { return tick.Status == wire.TickSuccess }

func (b *bundle) awaitRun(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, b.temporal.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil))
}

func TestEveryShellSignalsASensor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	id := b.sensing(t, "signalled", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	require.Equal(t, "sensor:"+id.Location+":arrivals", workflow)

	temporalCLI(t, "workflow", "signal", "--workflow-id", workflow, "--name", "event", "--input", `{"id":"e1","payload":{"flight":"AA1","delay":7}}`).ok(t)
	tick := b.awaitTick(t, id, succeeded)
	require.Equal(t, "e1", tick.Cause)
	require.Len(t, tick.Runs, 1)
	require.Regexp(t, `^arrivals-\d{8}T\d{6}-[0-9a-f]{6}-1$`, tick.Runs[0].RunID)
	b.awaitRun(t, tick.Runs[0].RunID)
	run, err := b.store.Run(t.Context(), tick.Runs[0].RunID)
	require.NoError(t, err)
	require.Equal(t, "e1", run.Cause)
	require.Equal(t, wire.PriorityLow, run.Priority)
	require.JSONEq(t, `1`, string(tick.CursorAfter))
	require.Equal(t, "evaluated", tick.Log[0].Message)
	require.JSONEq(t, `{"events":1}`, string(tick.Log[0].Attributes))

	// The same event again, by curl, starts nothing; another one does; a signal without a request id is one.
	call(t, "/workflows/"+workflow+"/signal/event", `{"requestId":"a","input":[{"id":"e1","payload":{"flight":"AA1"}}]}`).ok(t)
	call(t, "/workflows/"+workflow+"/signal/event", `{"requestId":"b","input":[{"id":"e2","payload":{"flight":"AA2"}}]}`).ok(t)
	call(t, "/workflows/"+workflow+"/signal/event", `{"requestId":"b","input":[{"id":"e2","payload":{"flight":"AA2"}}]}`).ok(t)
	call(t, "/workflows/"+workflow+"/signal/event", `{"requestId":"c","input":[{"payload":{"flight":"AA3"}}]}`).ok(t)
	require.Eventually(t, func() bool { return len(s.seen()) == 3 }, time.Minute, 20*time.Millisecond)
	require.Equal(t, []string{"e1", "e2"}, s.seen()[:2])
	require.True(t, strings.HasPrefix(s.seen()[2], "signal-"))

	// The update answers with what it started.
	var answered struct {
		Outcome struct {
			Success []wire.SensorTick `json:"success"`
		} `json:"outcome"`
	}
	body := call(t, "/workflows/"+workflow+"/update/tick", `{"waitPolicy":{"lifecycleStage":"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},"request":{"meta":{},"input":{"args":[{}]}}}`).ok(t)
	require.NoError(t, json.Unmarshal([]byte(body), &answered), body)
	require.Equal(t, wire.TickSkipped, answered.Outcome.Success[0].Status)
	require.Equal(t, "nothing landed", answered.Outcome.Success[0].Skip)

	state := b.sensorState(t, id)
	require.Equal(t, wire.TriggerRunning, state.Status)
	require.JSONEq(t, `3`, string(state.Cursor))
	require.Zero(t, state.Waiting)
	require.Equal(t, wire.TickSkipped, state.Ticks[0].Status)
	require.Contains(t, temporalCLI(t, "workflow", "metadata", "--workflow-id", workflow).ok(t), "nothing landed")
}

func TestWhatIsNoEventIsRejected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	id := b.sensing(t, "rejecting", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	signal := func(event any) {
		require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, event))
	}
	signal(nil)
	signal("text")
	signal(json.RawMessage(`{"id":"odd","payload":{"flight":"AA1"},"more":1}`))
	signal(json.RawMessage(`{"id":"misfit","payload":{"flight":7}}`))
	signal([]byte(`{"id":"broken",`))
	signal(json.RawMessage(`{"id":"good","payload":{"flight":"AA1"}}`))
	signal(json.RawMessage(`{"id":"huge","payload":{"flight":"` + strings.Repeat("x", wire.MaxEvent) + `"}}`))
	require.Eventually(t, func() bool { return len(s.seen()) == 1 }, time.Minute, 20*time.Millisecond)
	var rejected []metadata.SensorEvent
	require.Eventually(t, func() bool {
		var err error
		rejected, err = b.store.SensorEvents(t.Context(), id, true, 0)
		require.NoError(t, err)
		return len(rejected) == 6
	}, time.Minute, 20*time.Millisecond)
	problems := map[string]string{}
	for _, event := range rejected {
		problems[event.ID] = event.Problem
	}
	require.Contains(t, problems["odd"], `unknown field "more"`)
	require.Contains(t, problems["misfit"], "flight")
	require.Equal(t, []string{"good"}, s.seen())
	require.Zero(t, b.sensorState(t, id).Failures)
	require.Equal(t, "RUNNING", string(b.sensorState(t, id).Status))
}

func TestAStoppedSensorLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	id := b.sensing(t, "stopped", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.PauseSignal, nil))
	require.Eventually(t, func() bool { return b.sensorState(t, id).Status == wire.TriggerStopped }, time.Minute, 20*time.Millisecond)
	for i := range 3 {
		require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, json.RawMessage(fmt.Sprintf(`{"id":"e%d","payload":{"flight":"AA"}}`, i))))
	}
	require.Eventually(t, func() bool { return b.sensorState(t, id).Waiting == 3 }, time.Minute, 20*time.Millisecond)
	require.Zero(t, s.evaluations())

	// A terminated one neither: the rows say what was, and whoever keeps Temporal in step starts it again.
	require.NoError(t, b.temporal.TerminateWorkflow(t.Context(), workflow, "", "a test"))
	b.syncSensors(t, id.Location)
	require.Eventually(t, func() bool { return b.sensorState(t, id).Waiting == 3 }, time.Minute, 20*time.Millisecond)
	trigger, changed, err := b.starter.SwitchSensor(t.Context(), starter.SensorOrder{SensorID: id, Who: "ann"}, wire.TriggerRunning)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, wire.TriggerRunning, trigger.Status)
	require.Eventually(t, func() bool { return len(s.seen()) == 3 }, time.Minute, 20*time.Millisecond)
	require.Equal(t, []string{"e0", "e1", "e2"}, s.seen())
}

func TestAFailingSensorKeepsItsCursorAndItsEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failing := true
	s := &sensed{}
	s.before = func(context.Context, []d.Event[arrival]) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if failing {
			if s.ticks > 1 {
				panic("no tower")
			}
			return errors.New("no radar")
		}
		return nil
	}
	id := b.sensing(t, "failing", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, json.RawMessage(`{"id":"e1","payload":{"flight":"AA"}}`)))
	failed := b.awaitTick(t, id, func(tick metadata.Tick) bool {
		return tick.Error != nil && strings.Contains(tick.Error.Message, "no tower")
	})
	require.Contains(t, failed.Error.Stack, "sensor_test.go")
	require.Empty(t, failed.Runs)
	ticks := b.ticksOf(t, id)
	require.Contains(t, ticks[len(ticks)-1].Error.Message, "no radar")
	require.Eventually(t, func() bool {
		state := b.sensorState(t, id)
		return state.Failures >= 2 && state.Waiting == 1 && state.FailingSince != ""
	}, time.Minute, 20*time.Millisecond)
	s.mu.Lock()
	failing = false
	s.mu.Unlock()
	tick, err := b.starter.TickSensor(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.TickSuccess, tick.Status)
	require.Equal(t, 1, tick.Events)
	require.Equal(t, 1, tick.RunCount)
	require.Zero(t, b.sensorState(t, id).Failures)
}

func TestACursorIsSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	hold := make(chan struct{})
	s.before = func(ctx context.Context, _ []d.Event[arrival]) error {
		if s.evaluations() > 1 {
			return nil
		}
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	id := b.sensing(t, "cursors", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, json.RawMessage(`{"id":"e1","payload":{"flight":"AA"}}`)))
	require.Eventually(t, func() bool { return s.evaluations() == 1 }, time.Minute, 10*time.Millisecond)
	// While it is evaluated.
	update, err := b.temporal.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: workflow, UpdateName: wire.SetCursorUpdate, Args: []any{json.RawMessage(`{"cursor":100,"by":"ann"}`)}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	var state wire.SensorState
	require.NoError(t, update.Get(t.Context(), &state))
	require.JSONEq(t, `100`, string(state.Cursor))
	close(hold)
	tick := b.awaitTick(t, id, succeeded)
	require.JSONEq(t, `100`, string(tick.CursorBefore))
	require.JSONEq(t, `101`, string(tick.CursorAfter))
	overtaken := b.awaitTick(t, id, func(tick metadata.Tick) bool { return tick.Status == wire.TickSkipped })
	require.Equal(t, "the cursor was set meanwhile", overtaken.Skip)

	update, err = b.temporal.UpdateWorkflow(t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: workflow, UpdateName: wire.SetCursorUpdate, Args: []any{json.RawMessage(`{"curser":1}`)}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(t, err)
	require.ErrorContains(t, update.Get(t.Context(), nil), `unknown field "curser"`)
}

func TestManyEventsAreSentPastTemporal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{answer: func(_ *d.Job, events []d.Event[arrival], cursor int) d.Tick[int] {
		return d.Tick[int]{Cursor: cursor + len(events)}
	}}
	id := b.sensing(t, "bulk", s)
	sender, err := b.starter.SendTo(t.Context(), id)
	require.NoError(t, err)
	const n = 3000
	want := make([]string, n)
	for i := range n {
		want[i] = fmt.Sprintf("e%04d", i)
		require.NoError(t, sender.Send(t.Context(), []byte(fmt.Sprintf(`{"id":%q,"payload":{"flight":"AA"}}`, want[i])), ""))
	}
	require.NoError(t, sender.Send(t.Context(), []byte(`{"id":"e0000","payload":{"flight":"AA"}}`), ""))
	require.NoError(t, sender.Send(t.Context(), []byte(`oops`), "line-3002"))
	counts, err := sender.Close(t.Context())
	require.NoError(t, err)
	require.Equal(t, metadata.WrittenEvents{New: n, Known: 1, Rejected: 1}, counts)
	require.Eventually(t, func() bool { return len(s.seen()) == n }, time.Minute, 20*time.Millisecond)
	require.Equal(t, want, s.seen())

	_, err = b.starter.SendTo(t.Context(), metadata.SensorID{Location: id.Location, Sensor: "arival"})
	require.ErrorContains(t, err, `no sensor "arival"`)
}

func TestASensorContinuesAsNew(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Run.ContinueAfterEvents = 60 })
	s := &sensed{answer: func(_ *d.Job, events []d.Event[arrival], cursor int) d.Tick[int] {
		return d.Tick[int]{Cursor: cursor + len(events)}
	}}
	id := b.sensing(t, "continuing", s)
	workflow := wire.SensorID("", id.Location, id.Sensor)
	const n = 60
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("e%02d", i))
		require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, json.RawMessage(fmt.Sprintf(`{"id":%q,"payload":{"flight":"AA"}}`, want[i]))))
		if i%3 == 0 {
			require.Eventually(t, func() bool { return len(s.seen()) == i+1 }, time.Minute, 5*time.Millisecond, "event %d", i)
		}
	}
	require.Eventually(t, func() bool { return len(s.seen()) == n }, time.Minute, 20*time.Millisecond)
	require.Equal(t, want, s.seen())
	described, err := b.temporal.DescribeWorkflowExecution(t.Context(), workflow, "")
	require.NoError(t, err)
	info := described.GetWorkflowExecutionInfo()
	require.NotEqual(t, info.GetFirstRunId(), info.GetExecution().GetRunId())
	require.Less(t, info.GetHistoryLength(), int64(150))
}

func TestAPreviewOfASensorStartsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	id := b.sensing(t, "previewed", s)
	var result wire.PreviewResult
	var err error
	require.Eventually(t, func() bool {
		result, err = b.starter.PreviewSensor(t.Context(), id, []wire.SensorEvent{
			{ID: "e1", Payload: json.RawMessage(`{"flight":"AA1"}`)}, {ID: "e2", Payload: json.RawMessage(`{"flight":7}`)},
		}, []byte(`41`))
		return err == nil || !strings.Contains(err.Error(), "no worker polls")
	}, time.Minute, 100*time.Millisecond, "the worker begins to poll")
	require.NoError(t, err)
	require.Nil(t, result.Error)
	require.Equal(t, 1, result.Events)
	require.Len(t, result.Runs, 1)
	require.Equal(t, "land", result.Runs[0].Job)
	require.Equal(t, 1, result.Runs[0].Steps)
	require.JSONEq(t, `42`, string(result.Cursor))
	require.Len(t, result.Rejected, 1)
	require.Equal(t, "evaluated", result.Log[0].Message)
	require.Empty(t, b.ticksOf(t, id))
	_, err = b.starter.PreviewSensor(t.Context(), metadata.SensorID{Location: id.Location, Sensor: "arival"}, nil, nil)
	require.ErrorContains(t, err, `no sensor "arival"`)
}

// What a sensor asks for and may not have is its tick's failure, all of it at once; nothing of it happens.
func TestWhatASensorMayNotAskForFailsItsTick(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{answer: func(job *d.Job, _ []d.Event[arrival], cursor int) d.Tick[int] {
		return d.Tick[int]{Cursor: cursor + 1, Runs: []d.RunRequest{job.Request(d.ForPartition("2001-01-01")), job.Request()}}
	}}
	id := b.sensing(t, "asking", s)
	tick, err := b.starter.TickSensor(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, wire.TickFailure, tick.Status)
	require.Contains(t, tick.Error.Message, "runs[0]")
	require.Zero(t, tick.RunCount)
	row, err := b.store.Trigger(t.Context(), id.Trigger())
	require.NoError(t, err)
	require.Equal(t, "null", string(row.Cursor))
	require.Equal(t, 1, row.Failures)
}
