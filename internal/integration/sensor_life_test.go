//go:build unix

package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/perdure-io/perdure/config"
	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/daemon"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// statement executes SQL in the rows of the bundle.
func (b *bundle) statement(t *testing.T, query string, arguments ...any) {
	t.Helper()
	dsn, err := b.config.PostgresDSN()
	require.NoError(t, err)
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), query, arguments...)
	require.NoError(t, err)
}

// watched runs a daemon until the test ends.
func (b *bundle) watched(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	watch := &daemon.Daemon{
		Temporal: b.temporal, Store: b.store, Starter: b.starter, Namespace: "default", Log: slog.New(slog.DiscardHandler), Retention: config.Retention{},
	}
	ended := make(chan error, 1)
	go func() { ended <- watch.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// statusOf is how the newest execution of a sensor's workflow stands.
func (b *bundle) statusOf(t *testing.T, id metadata.SensorID) enums.WorkflowExecutionStatus {
	t.Helper()
	described, err := b.temporal.DescribeWorkflowExecution(t.Context(), wire.SensorID(b.config.Deployment, id.Location, id.Sensor), "")
	require.NoError(t, err)
	return described.GetWorkflowExecutionInfo().GetStatus()
}

func (b *bundle) waiting(t *testing.T, id metadata.SensorID) int {
	t.Helper()
	row, err := b.store.Trigger(t.Context(), id.Trigger())
	require.NoError(t, err)
	return row.Waiting
}

// The active build loses a sensor and has it again: in between its workflow ends, events are kept, and nothing is evaluated.
func TestARemovedSensorEndsAndComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &sensed{}
	name := fmt.Sprintf("removing-%d", fixtures.Add(1))
	id := metadata.SensorID{Location: name, Sensor: "arrivals"}
	stop := b.serveBuild(t, sensorLocation(name, s), "b1")
	b.syncSensors(t, name)
	require.Eventually(t, func() bool { return b.sensorState(t, id).Status == wire.TriggerRunning }, longEnough, often)
	stop()

	other := d.Asset("other", d.Bind0(numbers))
	stop = b.serveBuild(t, d.New(name, other), "b2")
	_, err := b.store.ActivateBuild(t.Context(), name, "b2")
	require.NoError(t, err)
	b.syncSensors(t, name)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, b.statusOf(t, id), "a rollback finds it there")
	b.statement(t, "update triggers set removed_at = removed_at - interval '2 hours' where location = $1", name)
	b.syncSensors(t, name)
	require.Eventually(t, func() bool { return b.statusOf(t, id) == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED }, longEnough, often)

	sender, err := b.starter.SendTo(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, sender.Send(t.Context(), []byte(`{"id":"e1","payload":{"flight":"AA1"}}`), ""))
	_, err = sender.Close(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, b.waiting(t, id))
	_, err = b.starter.TickSensor(t.Context(), id)
	require.ErrorContains(t, err, "any more", "who wants it evaluated is told")
	require.Empty(t, s.seen())
	stop()

	b.serveBuild(t, sensorLocation(name, s), "b1")
	_, err = b.store.ActivateBuild(t.Context(), name, "b1")
	require.NoError(t, err)
	b.syncSensors(t, name)
	require.Eventually(t, func() bool { return len(s.seen()) == 1 }, longEnough, often)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, b.statusOf(t, id))
}

// The daemon starts the workflow of a sensor again that was terminated, and finds what was signalled to it, while no worker keeps
// Temporal in step.
func TestTheDaemonRestoresASensor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := fmt.Sprintf("restored-%d", fixtures.Add(1))
	lease, err := b.store.TakeLease(t.Context(), "triggers:"+name, "the test", time.Hour)
	require.NoError(t, err)
	require.True(t, lease.Held)
	s := &sensed{}
	stop := b.serveBuild(t, sensorLocation(name, s), "b1")
	b.syncSensors(t, name)
	id := metadata.SensorID{Location: name, Sensor: "arrivals"}
	require.Eventually(t, func() bool { return b.sensorState(t, id).Status == wire.TriggerRunning }, longEnough, often)
	stop()
	workflow := wire.SensorID("", id.Location, id.Sensor)
	for _, event := range []string{`{"id":"e1","payload":{"flight":"AA1"}}`, `{"payload":{"flight":"AA2"}}`} {
		require.NoError(t, b.temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, json.RawMessage(event)))
	}
	require.NoError(t, b.temporal.TerminateWorkflow(t.Context(), workflow, "", "a test"))
	b.serveBuild(t, sensorLocation(name, s), "b1")
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, b.statusOf(t, id))
	b.watched(t)
	require.Eventually(t, func() bool { return len(s.seen()) == 2 }, longEnough, often)
	require.Equal(t, "e1", s.seen()[0])
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, b.statusOf(t, id))
}

// A cursor that Postgres cannot keep is the tick's failure: it is recorded, and the sensor goes on to be evaluated.
func TestACursorThatCannotBeKeptFailsItsTick(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := fmt.Sprintf("cursors-%d", fixtures.Add(1))
	function := func(d.Context) (d.Tick[json.RawMessage], error) {
		return d.Tick[json.RawMessage]{Cursor: json.RawMessage("1e999999")}, nil
	}
	b.serve(t, d.New(name, d.Sensor("counting", nil, d.Bind0(function), d.OnlyActs{}, d.DefaultRunning{})))
	b.syncSensors(t, name)
	id := metadata.SensorID{Location: name, Sensor: "counting"}
	for n := range 2 {
		tick, err := b.starter.TickSensor(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, wire.TickFailure, tick.Status)
		require.Contains(t, tick.Error.Message, "cannot be kept")
		row, err := b.store.Trigger(t.Context(), id.Trigger())
		require.NoError(t, err)
		require.Equal(t, n+1, row.Failures)
		require.Equal(t, "null", string(row.Cursor))
	}
}

// A failure sensor hears of a run that failed for good after many that are started again: they are passed over, however many.
func TestAFailureSensorHearsBehindManyThatAreRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	work := d.Asset("hopeless", d.Bind0(func(d.Context) ([]int, error) { return nil, errors.New("no") }))
	h := &heard{}
	b.serve(t, d.New("patient", work, d.AssetJob("try", d.Assets(work)), d.RunFailureSensor("last", d.Bind1(h.acts, d.TheRun), d.DefaultRunning{})))
	id := b.listening(t, "patient", "last")
	order := starter.SensorOrder{SensorID: id, Who: "ann"}
	_, _, err := b.starter.SwitchSensor(t.Context(), order, wire.TriggerStopped)
	require.NoError(t, err)
	retried := b.start(t, "patient", "r1", wire.RunRequest{Job: "try", Tags: map[string]string{
		"perdure/max_retries": "1", "perdure/retry_on_asset_or_op_failure": "true",
	}})
	require.Eventually(t, func() bool {
		run, err := b.store.Run(t.Context(), retried+"~1")
		return err == nil && run.Status == wire.RunFailure && run.WillRetry != nil
	}, longEnough, often)
	// As if many had failed so.
	b.statement(t, `select append_events_v1($1, '', (select jsonb_agg('{"type":"RUN_FAILURE","body":{}}'::jsonb) from generate_series(1, 60)))`, retried)
	last := b.start(t, "patient", "r2", wire.RunRequest{Job: "try"})
	require.Eventually(t, func() bool {
		run, err := b.store.Run(t.Context(), last)
		return err == nil && run.Status == wire.RunFailure && run.WillRetry != nil
	}, longEnough, often)
	_, _, err = b.starter.SwitchSensor(t.Context(), order, wire.TriggerRunning)
	require.NoError(t, err)
	runs := h.awaitRuns(t, 2)
	require.Equal(t, []string{retried + "~1", last}, []string{runs[0].ID, runs[1].ID})
}

// What a sensor's tick does besides: it adds keys, asks for a run of one of them, and reports what happened elsewhere. The next one
// removes a key, and asks for what is stale only: when nothing is, nothing is started.
func TestASensorChangesPartitionsReportsAndAsksForWhatIsStale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := fmt.Sprintf("acting-%d", fixtures.Add(1))
	sources := d.Dynamic("sources-" + name)
	read := d.Asset("read", d.Bind1(func(_ d.Context, key string) (string, error) { return key, nil }, sources.Key()), d.PartitionedBy(sources))
	whole := d.Asset("whole", d.Bind0(numbers))
	register := d.Asset("register", d.Bind0(numbers))
	reading, making := d.AssetJob("reading", d.Assets(read)), d.AssetJob("making", d.Assets(whole))
	function := func(_ d.Context, events []d.Event[arrival], cursor int) (d.Tick[int], error) {
		if len(events) == 0 {
			return d.Tick[int]{Skip: "nothing landed"}, nil
		}
		switch events[0].Payload.Flight {
		case "add":
			return d.Tick[int]{
				Cursor: cursor + 1, Partitions: []d.PartitionChange{sources.Add("a", "b")}, Runs: []d.RunRequest{reading.Request(d.ForPartition("a"))},
				Reports: []d.AssetReport{{Asset: register, Metadata: []d.Metadatum{d.RowCount(3)}, Why: "seen"}},
			}, nil
		case "remove":
			return d.Tick[int]{Cursor: cursor + 1, Partitions: []d.PartitionChange{sources.Remove("b")}}, nil
		default:
			return d.Tick[int]{Cursor: cursor + 1, Runs: []d.RunRequest{making.Request(d.StaleOnly{})}}, nil
		}
	}
	b.serve(t, d.New(name, read, whole, register, reading, making, d.Sensor("arrivals", []*d.Job{reading, making},
		d.Bind2(function, d.Events[arrival](), d.CursorOf[int]()), d.DefaultRunning{})))
	b.syncSensors(t, name)
	id := metadata.SensorID{Location: name, Sensor: "arrivals"}
	send := func(n int, what string) metadata.Tick {
		require.NoError(t, b.temporal.SignalWorkflow(t.Context(), wire.SensorID("", name, id.Sensor), "", wire.EventSignal,
			json.RawMessage(fmt.Sprintf(`{"id":"e%d","payload":{"flight":%q}}`, n, what))))
		return b.awaitTick(t, id, func(tick metadata.Tick) bool { return tick.Status.Ended() && string(tick.CursorAfter) == fmt.Sprint(n) })
	}
	tick := send(1, "add")
	require.Equal(t, wire.TickSuccess, tick.Status)
	require.Len(t, tick.Runs, 1)
	b.awaitRun(t, tick.Runs[0].RunID)
	keys, err := b.store.DynamicKeys(t.Context(), []string{"sources-" + name})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, keys["sources-"+name])
	events, err := b.store.Events(t.Context(), 0, metadata.EventFilter{Asset: "register", Types: []metadata.EventType{metadata.EventMaterialization}}, 10)
	require.NoError(t, err)
	require.Len(t, events, 1, "it is reported once")
	require.Equal(t, "e1", events[0].Cause)

	tick = send(2, "remove")
	keys, err = b.store.DynamicKeys(t.Context(), []string{"sources-" + name})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, keys["sources-"+name])
	require.Empty(t, tick.Runs)

	tick = send(3, "stale")
	require.Len(t, tick.Runs, 1, "it was never made")
	b.awaitRun(t, tick.Runs[0].RunID)
	tick = send(4, "stale")
	require.Equal(t, wire.TickSkipped, tick.Status)
	require.Empty(t, tick.Runs)
	require.Contains(t, tick.Skip, "nothing is left")
}
