package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// signalSamples is how many signals one measurement takes the median of.
const signalSamples = 50

const (
	signalName          = "signal_to_step"
	signalLocation      = "signal"
	plainSignalWorkflow = "PlainSignal"
	plainSignalActivity = "plainStartRun"
)

// servePlainSignal is what plain Temporal needs for the same: a workflow that waits for signals, and has an activity start a
// workflow for each.
func (b *bench) servePlainSignal(w sdkworker.Worker) {
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		for {
			var id string
			if workflow.GetSignalChannel(ctx, wire.EventSignal).Receive(ctx, &id); id == "" {
				return nil
			}
			if err := workflow.ExecuteActivity(ctx, plainSignalActivity, id).Get(ctx, nil); err != nil {
				return err
			}
		}
	}, workflow.RegisterOptions{Name: plainSignalWorkflow})
	w.RegisterActivityWithOptions(func(ctx context.Context, id string) error {
		_, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: plainQueue, EnableEagerStart: true}, plainStartWorkflow)
		return err
	}, activity.RegisterOptions{Name: plainSignalActivity})
}

// signalToStep is the time from the call that signals an event to the first line of user code of the run that it starts.
func signalToStep(ctx context.Context, b *bench) (ours, plain time.Duration, err error) {
	if err := b.serve(ctx, signalLocation, b.signalled); err != nil {
		return 0, 0, err
	}
	sensor := wire.SensorID("", signalLocation, "arrivals")
	if err := b.awaitSensor(ctx, metadata.SensorID{Location: signalLocation, Sensor: "arrivals"}); err != nil {
		return 0, 0, err
	}
	waiting, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: plainQueue}, plainSignalWorkflow)
	if err != nil {
		return 0, 0, err
	}
	var oursAll, plainAll []float64
	for range signalSamples {
		id := b.newID("event")
		event, err := json.Marshal(wire.SensorEvent{ID: id, Payload: json.RawMessage(`{}`)})
		if err != nil {
			return 0, 0, err
		}
		took, err := b.untilSignalled(ctx, sensor, json.RawMessage(event))
		if err != nil {
			return 0, 0, err
		}
		oursAll = append(oursAll, float64(took))
		if err := b.awaitSignalled(ctx, sensor, id); err != nil {
			return 0, 0, err
		}
		if took, err = b.untilSignalled(ctx, waiting.GetID(), id); err != nil {
			return 0, 0, err
		}
		plainAll = append(plainAll, float64(took))
	}
	b.samples[signalName] = append(b.samples[signalName], oursAll...)
	if err := b.temporal.SignalWorkflow(ctx, waiting.GetID(), "", wire.EventSignal, ""); err != nil {
		return 0, 0, err
	}
	return time.Duration(median(oursAll)), time.Duration(median(plainAll)), waiting.Get(ctx, nil)
}

// signalled is a location with a sensor that starts a run of one step for each event.
func (b *bench) signalled() *definitions.Definitions {
	first := definitions.Asset("landed", definitions.Bind0(func(definitions.Context) (int, error) {
		b.reached <- time.Now()
		return 1, nil
	}), definitions.StoredBy(values))
	job := definitions.AssetJob("land", definitions.Assets(first))
	arrivals := func(_ definitions.Context, events []definitions.Event[struct{}]) (definitions.Tick[definitions.Nothing], error) {
		var tick definitions.Tick[definitions.Nothing]
		for _, event := range events {
			tick.Runs = append(tick.Runs, job.Request(definitions.RunKey(event.ID)))
		}
		return tick, nil
	}
	return definitions.New(signalLocation, first, job, values,
		definitions.Sensor("arrivals", []*definitions.Job{job}, definitions.Bind1(arrivals, definitions.Events[struct{}]()), definitions.DefaultRunning{}))
}

// awaitSensor waits until the sensor is evaluated when it is signalled.
func (b *bench) awaitSensor(ctx context.Context, id metadata.SensorID) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		var state wire.SensorState
		answer, err := b.temporal.QueryWorkflow(ctx, wire.SensorID("", id.Location, id.Sensor), "", wire.StateQuery)
		if err == nil && answer.Get(&state) == nil && state.Status == wire.TriggerRunning {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("sensor %s does not run: %w", id, ctx.Err())
		}
	}
}

// awaitSignalled waits for the end of the run that an event has started: the next one writes the same asset.
func (b *bench) awaitSignalled(ctx context.Context, sensor, event string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var state wire.SensorState
		answer, err := b.temporal.QueryWorkflow(ctx, sensor, "", wire.StateQuery)
		if err == nil {
			err = answer.Get(&state)
		}
		if err != nil {
			return fmt.Errorf("look for the run that event %s has started: %w", event, err)
		}
		if len(state.Ticks) > 0 && len(state.Ticks[0].Runs) > 0 && state.Ticks[0].Runs[0].RunKey == event {
			return b.temporal.GetWorkflow(ctx, state.Ticks[0].Runs[0].RunID, "").Get(ctx, nil)
		}
	}
}

func (b *bench) untilSignalled(ctx context.Context, workflowID string, signal any) (time.Duration, error) {
	began := time.Now()
	if err := b.temporal.SignalWorkflow(ctx, workflowID, "", wire.EventSignal, signal); err != nil {
		return 0, err
	}
	select {
	case reached := <-b.reached:
		return reached.Sub(began), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
