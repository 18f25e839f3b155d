//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// sensing is a fixture with one asset and the sensor "arrivals".
func sensing(t *testing.T, sensor testlocation.Sensor) (*fixture, metadata.SensorID) {
	t.Helper()
	f := newFixture(t, []testlocation.Asset{asset("source")})
	sensor.Name = "arrivals"
	f.spec.Sensors = []testlocation.Sensor{sensor}
	return f, metadata.SensorID{Location: f.spec.Location, Sensor: sensor.Name}
}

// awaitSensor waits until a sensor's workflow runs.
func (f *fixture) awaitSensor(t *testing.T, id metadata.SensorID) (workflow string) {
	t.Helper()
	workflow = wire.SensorID("", id.Location, id.Sensor)
	require.Eventually(t, func() bool {
		_, err := f.Temporal.DescribeWorkflowExecution(t.Context(), workflow, "")
		return err == nil
	}, longEnough, often)
	return workflow
}

func numbered(n int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"id":"e%d","payload":{"n":%d}}`, n, n))
}

// signalCount is how many events a client sends as fast as it can: PERDURE_TEST_SIGNALS says another number, such as 15000.
func signalCount(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("PERDURE_TEST_SIGNALS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return 1500
}

// Events are signalled as fast as one client can, what is refused again, while the worker is killed twice and stopped for a while: each
// is taken in once, and in order.
func TestSignalsOutliveTheirWorkers(t *testing.T) {
	t.Parallel()
	f, id := sensing(t, testlocation.Sensor{})
	worker := f.worker(t, "b1")
	workflow := f.awaitSensor(t, id)
	n := signalCount(t)
	sent := make(chan int, n)
	failed := make(chan error, 1)
	go func() {
		defer close(sent)
		for i := 1; i <= n; i++ {
			// The SDK itself tries again what is refused for a moment; an execution that has heard all that it may is at its end for longer.
			for {
				err := f.Temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, numbered(i))
				if err == nil {
					break
				}
				select {
				case <-t.Context().Done():
					failed <- err
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
			sent <- i
		}
	}()
	until := func(count int) {
		for i := range sent {
			if i >= count {
				return
			}
		}
	}
	until(n / 5)
	require.NoError(t, worker.Kill())
	worker = f.worker(t, "b1")
	until(2 * n / 5)
	require.NoError(t, worker.Kill())
	// Nobody is there for a while.
	until(3 * n / 5)
	f.worker(t, "b1")
	until(n)
	for range sent {
		continue
	}
	select {
	case err := <-failed:
		require.NoError(t, err)
	default:
	}
	var row metadata.Trigger
	require.Eventually(t, func() bool {
		var err error
		row, err = f.Store.Trigger(t.Context(), id.Trigger())
		require.NoError(t, err)
		return string(row.Cursor) == fmt.Sprint(n)
	}, longEnough, often, "the cursor is that of the last event, which comes after all others")
	require.Zero(t, row.Waiting)
	require.Equal(t, n, f.count(t, "select count(*) from sensor_events where location = $1 and tick_id is not null", id.Location))
	require.Zero(t, f.count(t, "select count(*) from ticks where location = $1 and status = 'FAILURE'", id.Location), "none came out of order")
}

// A worker dies while it evaluates: another does, and starts each run once.
func TestAWorkerDiesWhileItEvaluates(t *testing.T) {
	t.Parallel()
	f, id := sensing(t, testlocation.Sensor{Runs: true})
	worker := f.worker(t, "b1")
	workflow := f.awaitSensor(t, id)
	f.hold(t, testlocation.SensorKey("arrivals"))
	require.NoError(t, f.Temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, numbered(1)))
	f.awaitNotes(t, testlocation.Called, testlocation.SensorKey("arrivals"), 1)
	require.NoError(t, f.Temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, numbered(2)))
	require.NoError(t, worker.Kill())
	f.release(t, testlocation.SensorKey("arrivals"))
	f.worker(t, "b1")
	require.Eventually(t, func() bool {
		row, err := f.Store.Trigger(t.Context(), id.Trigger())
		require.NoError(t, err)
		return string(row.Cursor) == "2"
	}, longEnough, often)
	var page metadata.Page[metadata.Tick]
	require.Eventually(t, func() bool {
		var err error
		page, err = f.Store.Ticks(t.Context(), metadata.TickFilter{TriggerID: id.Trigger()}, "", 10)
		require.NoError(t, err)
		return !slices.ContainsFunc(page.Rows, func(tick metadata.Tick) bool { return !tick.Status.Ended() })
	}, longEnough, often, "what a tick has decided is started")
	runs := 0
	for _, tick := range page.Rows {
		for _, run := range tick.Runs {
			runs++
			_, err := f.await(t, run.RunID)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, runs)
	require.Equal(t, 2, f.count(t, "select count(*) from runs where trigger_name = 'arrivals'"))
}

// What Temporal had taken, and a workflow had not written when it was terminated, is found in its history.
func TestNoEventOfATerminatedWorkflowIsLost(t *testing.T) {
	t.Parallel()
	f, id := sensing(t, testlocation.Sensor{})
	worker := f.worker(t, "b1")
	workflow := f.awaitSensor(t, id)
	require.NoError(t, f.Temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, numbered(1)))
	require.Eventually(t, func() bool {
		row, err := f.Store.Trigger(t.Context(), id.Trigger())
		require.NoError(t, err)
		return string(row.Cursor) == "1"
	}, longEnough, often)
	require.NoError(t, worker.Kill())
	for i := 2; i <= 20; i++ {
		require.NoError(t, f.Temporal.SignalWorkflow(t.Context(), workflow, "", wire.EventSignal, numbered(i)))
	}
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), workflow, "", "a test"))
	f.worker(t, "b1")
	require.Eventually(t, func() bool {
		row, err := f.Store.Trigger(t.Context(), id.Trigger())
		require.NoError(t, err)
		return string(row.Cursor) == "20"
	}, longEnough, often)
}

func TestTwoDeploymentsOfASensorDoNotTouchEachOther(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("twins-%d", fixtures.Add(1))
	var seen [2]*sensed
	var ids [2]metadata.SensorID
	var bundles [2]*bundle
	for i, deployment := range []string{"", "pr42"} {
		seen[i] = &sensed{}
		bundles[i] = setup(t, func(c *config.Config) {
			if deployment != "" {
				c.Deployment = deployment
			}
		})
		bundles[i].starter.Deployment = bundles[i].config.Deployment
		bundles[i].serve(t, sensorLocation(name, seen[i]))
		ids[i] = metadata.SensorID{Location: name, Sensor: "arrivals"}
		bundles[i].syncSensors(t, name)
	}
	require.NoError(t, bundles[1].temporal.SignalWorkflow(t.Context(), "pr42:sensor:"+name+":arrivals", "", wire.EventSignal, json.RawMessage(`{"id":"e1","payload":{"flight":"AA"}}`)))
	tick := bundles[1].awaitTick(t, ids[1], succeeded)
	require.Regexp(t, `^pr42:arrivals-`, tick.Runs[0].RunID)
	require.NoError(t, bundles[0].temporal.SignalWorkflow(t.Context(), "sensor:"+name+":arrivals", "", wire.EventSignal, json.RawMessage(`{"id":"e1","payload":{"flight":"AA"}}`)))
	tick = bundles[0].awaitTick(t, ids[0], succeeded)
	require.Regexp(t, `^arrivals-`, tick.Runs[0].RunID)
	require.Equal(t, []string{"e1"}, seen[0].seen())
	require.Equal(t, []string{"e1"}, seen[1].seen())
}
