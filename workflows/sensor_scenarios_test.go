package workflows_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/wire"
)

// await waits until the world is so.
func (w *sensorWorld) await(r *recorder, is func() bool) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return is()
	}, time.Minute, 5*time.Millisecond)
}

func (r *recorder) update(name, argument string) {
	r.t.Helper()
	update, err := r.UpdateWorkflow(r.t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: r.id, UpdateName: name, Args: []any{payload(argument)}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	require.NoError(r.t, err)
	require.NoError(r.t, update.Get(r.t.Context(), nil))
}

// sensorScenario is a way of a sensor, which ends when it is cancelled.
func sensorScenario(name string, prepare func(*sensorWorld), then func(*recorder, *sensorWorld)) scenario {
	w := newSensorWorld()
	prepare(w)
	return scenario{
		name: name, workflow: wire.SensorWorkflow, request: `{}`, ends: "canceled", serves: func() interface{ register(registry) } { return w },
		then: func(r *recorder) {
			then(r, w)
			require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
		},
	}
}

func sensorScenarios() []scenario {
	continued := sensorScenario("sensor_continued", func(w *sensorWorld) { w.result.ContinueAfter = 30 }, func(r *recorder, w *sensorWorld) {
		for i := range 12 {
			r.signal(wire.EventSignal, event(fmt.Sprint(i)))
			w.await(r, func() bool { return w.taken == i+1 })
		}
	})
	continued.executions = 3
	unknown := newSensorWorld()
	unknown.gone = "no such sensor"
	refused := newSensorWorld()
	return []scenario{
		sensorScenario("sensor_steered", func(w *sensorWorld) { w.result.Every = 2 * time.Second }, func(r *recorder, w *sensorWorld) {
			r.signal(wire.EventSignal, event("a"))
			w.await(r, func() bool { return w.taken == 1 })
			r.signal(wire.PauseSignal, nil)
			w.await(r, func() bool { return w.result.State.Status == wire.TriggerStopped })
			r.signal(wire.EventSignal, "no event")
			w.await(r, func() bool { return len(w.inbox) == 2 })
			r.update(wire.TickUpdate, `{}`)
			r.update(wire.SetCursorUpdate, `{"cursor":7}`)
			r.signal(wire.ResumeSignal, nil)
			w.await(r, func() bool { return w.result.State.Status == wire.TriggerRunning })
			r.signal(wire.WakeSignal, nil)
			w.await(r, func() bool { return w.ticks >= 4 })
		}),
		sensorScenario("sensor_failing", func(w *sensorWorld) { w.fails = true }, func(r *recorder, w *sensorWorld) {
			r.signal(wire.EventSignal, event("a"))
			w.await(r, func() bool { return w.ticks == 3 })
			r.signal(wire.EventSignal, event("b"))
			w.await(r, func() bool { return len(w.takes) == 1 })
		}),
		sensorScenario("sensor_busy", func(w *sensorWorld) {
			w.evaluate = func(ctx context.Context, n int) error {
				ticker := time.NewTicker(10 * time.Millisecond)
				defer ticker.Stop()
				for n == 2 {
					w.mu.Lock()
					beside := len(w.takes) > 0
					w.mu.Unlock()
					if beside {
						return nil
					}
					activity.RecordHeartbeat(ctx)
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-ticker.C:
					}
				}
				return nil
			}
		}, func(r *recorder, w *sensorWorld) {
			r.signal(wire.EventSignal, event("a"))
			w.await(r, func() bool { return len(w.evaluations) == 2 })
			r.signal(wire.EventSignal, event("b"))
			w.await(r, func() bool { return w.taken == 2 })
		}),
		continued,
		{name: "sensor_unknown", workflow: wire.SensorWorkflow, request: `{}`, ends: "no such sensor", serves: func() interface{ register(registry) } { return unknown }},
		{name: "sensor_refused", workflow: wire.SensorWorkflow, request: `{"sensor":"a"}`, ends: "unknown field", serves: func() interface{ register(registry) } { return refused }},
	}
}
