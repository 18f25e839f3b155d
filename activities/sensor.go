package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// mostEvents is how many events one evaluation is given at most, mostEventBytes how large they are together, but for one.
	mostEvents     = 1000
	mostEventBytes = 4 << 20
	// removedGrace is how long the workflow of a sensor lives that the active build has lost: a rollback finds it there.
	removedGrace = time.Hour
	// mostSensorEvents is the number of history events from which a sensor continues as new, unless the instance says a lower one.
	mostSensorEvents = 2000
	// sensorDelay is how soon it is looked again for a sensor that is not in the rows yet.
	sensorDelay = time.Second
)

// EvaluateSensor writes the events that a sensor's workflow has heard into the sensor's inbox, and evaluates the sensor when there is
// something to evaluate. Called again it goes on where it was: an event is in the inbox once, a tick is decided once, and its runs
// are started once each.
func (a *Activities) EvaluateSensor(ctx context.Context, input wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
	defer keepAlive(ctx)()
	id, gone, err := a.sensor(ctx)
	if err != nil || gone != "" {
		return wire.EvaluateSensorResult{Gone: gone}, err
	}
	e, err := a.beginEvaluation(ctx, id, input)
	if err != nil {
		return wire.EvaluateSensorResult{}, planFailure(err)
	}
	for _, undone := range e.begun.Undone {
		if _, err := a.carryOut(ctx, undone); err != nil {
			return wire.EvaluateSensorResult{}, err
		}
	}
	result := a.sensorResult(e.begun.Trigger, e.sensor)
	if e.begun.Tick == nil {
		return result, nil
	}
	tick, more, err := e.evaluate(ctx)
	if err != nil {
		return wire.EvaluateSensorResult{}, err
	}
	if tick, err = a.carryOut(ctx, tick); err != nil {
		return wire.EvaluateSensorResult{}, err
	}
	trigger, err := a.Store.Trigger(ctx, id.Trigger())
	if err != nil {
		return wire.EvaluateSensorResult{}, planFailure(err)
	}
	result = a.sensorResult(trigger, e.sensor)
	shown := sensorTick(tick)
	result.Tick, result.LastTick, result.Unread = &shown, &tick.StartedAt, e.reading.unread()
	result.More = more || result.Unread && tick.Status != wire.TickFailure
	return result, nil
}

// TakeEvents writes events into the inbox of a sensor that cannot be evaluated now: it is stopped, or busy, or has to wait.
func (a *Activities) TakeEvents(ctx context.Context, input wire.EvaluateSensorInput) (wire.EvaluateSensorResult, error) {
	defer keepAlive(ctx)()
	id, gone, err := a.sensor(ctx)
	if err != nil || gone != "" {
		return wire.EvaluateSensorResult{Gone: gone}, err
	}
	_, trigger, err := a.Store.SendEvents(ctx, id, input.Events)
	if err != nil {
		return wire.EvaluateSensorResult{}, planFailure(err)
	}
	return a.resultOf(trigger)
}

// SteerSensor does what somebody wants of a sensor.
func (a *Activities) SteerSensor(ctx context.Context, input wire.SteerSensorInput) (wire.EvaluateSensorResult, error) {
	defer keepAlive(ctx)()
	id, gone, err := a.sensor(ctx)
	if err != nil || gone != "" {
		return wire.EvaluateSensorResult{Gone: gone}, err
	}
	var trigger metadata.Trigger
	if input.Status != "" {
		trigger, _, err = a.Store.SwitchTrigger(ctx, metadata.TriggerSwitch{TriggerID: id.Trigger(), Status: input.Status, Who: "a signal"})
	} else if input.Cursor != nil {
		trigger, err = a.Store.SetCursor(ctx, metadata.NewCursor{SensorID: id, Cursor: input.Cursor.Cursor, Who: input.Cursor.By, Why: input.Cursor.Why})
	}
	if err == nil {
		err = a.Starter.ListenSensor(ctx, trigger)
	}
	if err != nil {
		return wire.EvaluateSensorResult{}, planFailure(err)
	}
	return a.resultOf(trigger)
}

// sensorCache remembers which sensor has a workflow's id: nothing ever changes that.
type sensorCache struct {
	mu    sync.Mutex
	known map[string]string
}

func (c *sensorCache) of(workflow string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[workflow]
}

func (c *sensorCache) add(workflow, sensor string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]string{}
	}
	c.known[workflow] = sensor
}

// sensor is the one whose workflow calls. gone says that there is none, and never was for as long as a deploy may take.
func (a *Activities) sensor(ctx context.Context) (id metadata.SensorID, gone string, err error) {
	workflow := activity.GetInfo(ctx).WorkflowExecution.ID
	id.Location = a.Location
	if id.Sensor = a.sensors.of(workflow); id.Sensor != "" {
		return id, "", nil
	}
	triggers, err := a.Store.Triggers(ctx, a.Location, wire.TriggerSensor)
	if err != nil {
		return id, "", planFailure(err)
	}
	ids := make([]string, len(triggers))
	for i, trigger := range triggers {
		ids[i] = wire.SensorID(a.Starter.Deployment, a.Location, trigger.Name)
		a.sensors.add(ids[i], trigger.Name)
	}
	if id.Sensor = a.sensors.of(workflow); id.Sensor != "" {
		return id, "", nil
	}
	message := fmt.Sprintf("location %q has no sensor whose workflow's id is %q", a.Location, workflow)
	if len(ids) > 0 {
		message += ": " + wire.FixUnknown(workflow, ids)
	}
	if time.Since(activity.GetInfo(ctx).ScheduledTime) < a.DeployGrace {
		return id, "", retryable(message+": waiting for a build that has it", wire.FailureNotOnThisBuild, sensorDelay)
	}
	return id, message, nil
}

// resultOf is how a sensor stands by its row.
func (a *Activities) resultOf(trigger metadata.Trigger) (wire.EvaluateSensorResult, error) {
	sensor, err := definedSensor(trigger)
	if err != nil {
		return wire.EvaluateSensorResult{}, err
	}
	return a.sensorResult(trigger, sensor), nil
}

func definedSensor(trigger metadata.Trigger) (plan.Sensor, error) {
	var sensor plan.Sensor
	if err := json.Unmarshal(trigger.Definition, &sensor); err != nil {
		return sensor, fmt.Errorf("read the definition of %s: %w", trigger.TriggerID, err)
	}
	return sensor, nil
}

func (a *Activities) sensorResult(trigger metadata.Trigger, sensor plan.Sensor) wire.EvaluateSensorResult {
	result := wire.EvaluateSensorResult{
		State: wire.SensorState{
			Location: trigger.Location, Sensor: trigger.Name, Status: trigger.Status, Cursor: given(trigger.Cursor), Waiting: trigger.Waiting,
			Failures: trigger.Failures, FailingSince: timeText(trigger.FailingSince), Ticks: []wire.SensorTick{},
		},
		Every: sensor.Every, MinInterval: sensor.MinInterval, ContinueAfter: min(a.Starter.Limits.ContinueAfter, mostSensorEvents),
	}
	if !trigger.RemovedAt.IsZero() && time.Since(trigger.RemovedAt) > removedGrace {
		result.Gone = fmt.Sprintf("the active build of location %q has no sensor %q any more", trigger.Location, trigger.Name)
	}
	if !trigger.LastSuccess.IsZero() {
		result.LastTick = &trigger.LastSuccess
	}
	return result
}

// given is a value as JSON; nil of none, which the row has as null.
func given(value json.RawMessage) json.RawMessage {
	if string(value) == "null" {
		return nil
	}
	return value
}

func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// shownRuns is how many runs of a tick its result lists.
const shownRuns = 100

// sensorTick is what people and services are told of a tick.
func sensorTick(tick metadata.Tick) wire.SensorTick {
	shown := wire.SensorTick{
		Tick: fmt.Sprint(tick.ID), Status: tick.Status, StartedAt: timeText(tick.StartedAt), EndedAt: timeText(tick.EndedAt), Cause: tick.Cause,
		Runs: []wire.SensorRun{}, RunCount: len(tick.Runs), Skip: tick.Skip,
	}
	if tick.Error != nil {
		// The stack is in the tick's record.
		shown.Error = &wire.TickError{Message: storable(tick.Error.Message)}
	}
	var consumed consumedEvents
	if json.Unmarshal(tick.Consumed, &consumed) == nil {
		shown.Events = consumed.Events
	}
	for _, run := range tick.Runs[:min(len(tick.Runs), shownRuns)] {
		shown.Runs = append(shown.Runs, wire.SensorRun{
			RunID: run.RunID, RunKey: run.RunKey, Job: run.Job, Partition: run.Request.Partition, Known: run.Known, Error: run.Error,
		})
	}
	return shown
}

// carryOut records what a decided tick reports, starts its runs, and ends it.
func (a *Activities) carryOut(ctx context.Context, tick metadata.Tick) (metadata.Tick, error) {
	if tick.Status.Ended() {
		return tick, nil
	}
	if len(tick.ReportRequests) > 0 {
		definitions, _, err := a.definitions(ctx)
		if err != nil {
			return tick, err
		}
		for i, report := range tick.ReportRequests {
			// What no longer fits is not recorded, and nobody waits for it: it was right when it was decided.
			if _, err := a.Starter.RecordReport(ctx, definitions.Planner, tick.Reports[i], report); wire.ProblemsOf(err) != nil {
				a.Log.Warn("a report of a sensor was refused", "tick", tick.ID, "sensor", tick.Name, "report", tick.Reports[i], "error", err)
			} else if err != nil {
				return tick, planFailure(fmt.Errorf("record what tick %d of %s reports: %w", tick.ID, tick.TriggerID, err))
			}
		}
	}
	return a.launch(ctx, wire.Queue(a.Starter.Deployment, a.Location), tick)
}

// notHere hands a sensor to a worker of the active build, for as long as a deploy may take: then the failure is the tick's.
func (a *Activities) notHere(ctx context.Context, sensor plan.Sensor, problem string) error {
	message := fmt.Sprintf("build %s of location %q %s sensor %q of the active build", a.Build, a.Location, problem, sensor.Name)
	if time.Since(activity.GetInfo(ctx).ScheduledTime) < a.DeployGrace {
		return retryable(message+": waiting for a worker that has it", wire.FailureNotOnThisBuild, handBackDelay)
	}
	return evaluationFailure(fmt.Errorf("%s, and for %s no worker of it came: start one, or activate the build that runs", message, a.DeployGrace))
}

// broken is what Temporal is told of an evaluation whose context has ended: another worker makes it again, unless nobody wants it
// any more.
func broken(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), ErrDraining) {
		return retryable("the evaluation was broken off: "+ErrDraining.Error(), wire.FailureDraining, soon)
	}
	return temporal.NewCanceledError()
}
