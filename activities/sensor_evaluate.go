package activities

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// sensorEvaluation is one evaluation of a sensor.
type sensorEvaluation struct {
	a      *Activities
	id     metadata.SensorID
	sensor plan.Sensor
	begun  metadata.BegunSensorTick
	// reading is what it has read in the event log; due says that it is evaluated even when that is nothing.
	reading *logReading
	due     bool
}

// consumedEvents is what a tick's record says of the events, and of the log, that it has taken in.
type consumedEvents struct {
	Events int `json:"events"`
	// First and Last are the ids of the first and of the last.
	First string `json:"first,omitempty"`
	Last  string `json:"last,omitempty"`
	consumedRecords
}

func (a *Activities) beginEvaluation(ctx context.Context, id metadata.SensorID, input wire.EvaluateSensorInput) (*sensorEvaluation, error) {
	reading, err := a.readLog(ctx, id)
	if err != nil {
		return nil, err
	}
	e := &sensorEvaluation{a: a, id: id, reading: reading, due: input.Due}
	info := activity.GetInfo(ctx)
	// The same however often Temporal tries it, and another one after a reset of the workflow.
	key := info.WorkflowExecution.RunID + " " + info.ActivityID
	e.begun, err = a.Store.BeginSensorTick(ctx, metadata.NewSensorTick{
		SensorID: id, Events: input.Events, Due: input.Due || reading.news(), Manual: input.Manual, Key: key, Build: a.Build,
		Cause: cmp.Or(reading.cause(), "sensor-"+wire.ShortHash(id.Location+" "+id.Sensor+" "+key)), Most: mostEvents, Bytes: mostEventBytes,
	})
	if err != nil {
		return nil, err
	}
	if e.begun.Tick != nil && !reading.isOf(e.begun.Trigger) {
		// Another evaluation has read on meanwhile. From here on none does that this one does not hear of.
		if e.reading, err = a.readLogAt(ctx, e.begun.Trigger); err != nil {
			return nil, err
		}
	}
	e.sensor, err = definedSensor(e.begun.Trigger)
	return e, err
}

// evaluate evaluates what was begun, and decides. more says that there was more than one evaluation takes in, or that another one
// has to be made in its place.
func (e *sensorEvaluation) evaluate(ctx context.Context) (tick metadata.Tick, more bool, err error) {
	if !e.begun.Tick.DecidedAt.IsZero() || e.begun.Tick.Status.Ended() {
		return *e.begun.Tick, false, nil
	}
	log := newTickLog(e.a.LogLevel)
	var decided bool
	decision, err := e.decide(ctx, log)
	if err == nil {
		decision.ID, decision.Log = e.begun.Tick.ID, log.Lines()
		tick, _, decided, err = e.a.Store.DecideSensorTick(ctx, decision)
		if errors.Is(err, metadata.ErrInvalid) {
			err = evaluationFailure(fmt.Errorf("what it asks for cannot be kept: %w", err))
		}
		err = planFailure(err)
	}
	if failed, ok := errors.AsType[*evaluationError](err); ok {
		end := metadata.TickEnd{ID: e.begun.Tick.ID, Status: wire.TickFailure, Error: &failed.TickError, Log: log.Lines()}
		if reactions := e.reading.reactions(failed.Message); len(reactions) > 0 {
			tick, err = e.a.Store.FailReading(ctx, metadata.FailedReading{TickEnd: end, Position: *e.reading.position(), Reactions: reactions})
		} else {
			tick, err = e.a.Store.EndTick(ctx, end)
		}
		return tick, false, planFailure(err)
	}
	if err != nil {
		return tick, false, err
	}
	return tick, len(e.begun.Events) == mostEvents || !decided && tick.Status.Ended(), nil
}

// decide is what the function asks for, checked.
func (e *sensorEvaluation) decide(ctx context.Context, log *tickLog) (metadata.SensorDecision, error) {
	var decision metadata.SensorDecision
	if err := e.isHere(ctx); err != nil {
		return decision, err
	}
	fit, received, err := e.fitting(ctx)
	if err != nil {
		return decision, err
	}
	for _, event := range fit {
		decision.Numbers = append(decision.Numbers, event.Number)
	}
	if rejected := len(e.begun.Events) - len(fit); rejected > 0 && len(fit) == 0 {
		decision.Skip = fmt.Sprintf("all %d events were rejected", rejected)
		return decision, nil
	}
	if e.nothingNew() {
		decision.Skip = e.reading.noNews()
		return decision, nil
	}
	tick := e.begun.Tick
	evaluated, _, err := e.call(ctx, received, tick.CursorBefore, fmt.Sprint(tick.ID), log)
	if err != nil {
		return decision, err
	}
	consumed := consumedEvents{Events: len(fit), consumedRecords: e.reading.consumedRecords()}
	if len(fit) > 0 {
		consumed.First, consumed.Last = fit[0].ID, fit[len(fit)-1].ID
	}
	if decision.Consumed, err = json.Marshal(consumed); err != nil {
		return decision, fmt.Errorf("say what tick %d has taken in: %w", e.begun.Tick.ID, err)
	}
	name := e.name()
	for i, run := range evaluated.Runs {
		run.RunID = wire.Name(e.a.Starter.Deployment, fmt.Sprintf("%s-%d", name, i+1))
		run.Request.Cause = tick.Cause
		decision.Runs = append(decision.Runs, run)
	}
	for i, report := range evaluated.Reports {
		report.Cause = tick.Cause
		decision.Reports = append(decision.Reports, fmt.Sprintf("%s-report-%d", name, i+1))
		decision.ReportRequests = append(decision.ReportRequests, report)
	}
	decision.Acted = len(evaluated.Runs) == 0 && evaluated.Skip == ""
	decision.Skip, decision.Cursor, decision.Add, decision.Remove = evaluated.Skip, evaluated.Cursor, evaluated.Add, evaluated.Remove
	decision.Position, decision.Reactions = e.reading.position(), e.reading.reactions("")
	return decision, nil
}

// nothingNew says that an evaluation that somebody wants of a sensor that reads the log has nothing to call its function with.
func (e *sensorEvaluation) nothingNew() bool {
	return e.reading != nil && len(e.reading.records) == 0 && len(e.reading.read.Waiting) == 0 && (!e.due || e.sensor.Kind == plan.SensorOfRuns)
}

// call calls the function, and checks what it asks for; plans are those of its runs.
func (e *sensorEvaluation) call(ctx context.Context, events []definitions.ReceivedEvent, cursor json.RawMessage, tick string, log *tickLog) (definitions.Evaluated, []*plan.Plan, error) {
	trigger := e.begun.Trigger
	evaluated, err := e.a.Runtime.EvaluateSensor(ctx, e.id.Sensor, definitions.Evaluation{
		Events: events, Records: e.reading.all(), Cursor: given(cursor), LastTick: trigger.LastSuccess, LastRunKey: trigger.LastRunKey,
		First: trigger.LastSuccess.Before(trigger.Since), Log: slog.New(log),
	})
	if err != nil && ctx.Err() != nil {
		return evaluated, nil, broken(ctx)
	}
	e.reading.take(evaluated.Consumed)
	if err != nil {
		return evaluated, nil, evaluationFailure(err)
	}
	plans, err := e.a.checkEvaluated(ctx, e.sensor, wire.RunTrigger{Kind: wire.TriggerSensor, Name: e.id.Sensor, Tick: tick}, &evaluated)
	if len(evaluated.Runs) == 0 && evaluated.Skip == "" && len(e.sensor.Jobs) > 0 {
		evaluated.Skip = nothingRequested
	}
	return evaluated, plans, err
}

// name is what the ids of the tick's runs and reports begin with, "arrivals-20010101T060000-1a2b3c": readable, and never met twice, also
// not by a deployment whose rows were made anew, while Temporal knows the runs of the old ones.
func (e *sensorEvaluation) name() string {
	var random [3]byte
	_, _ = rand.Read(random[:]) // it never fails
	return e.id.Sensor + "-" + e.begun.Tick.StartedAt.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(random[:])
}

// isHere says whether this build has the sensor as the active one has it.
func (e *sensorEvaluation) isHere(ctx context.Context) error {
	sensors := e.a.Runtime.Snapshot().Sensors
	i := slices.IndexFunc(sensors, func(sensor plan.Sensor) bool { return sensor.Name == e.sensor.Name })
	if i < 0 {
		return e.a.notHere(ctx, e.sensor, "lacks")
	}
	if !reflect.DeepEqual(shapeOf(sensors[i]), shapeOf(e.sensor)) {
		return e.a.notHere(ctx, e.sensor, "has another")
	}
	return nil
}

// shapeOf is what of a sensor its function and its cursor go by.
func shapeOf(sensor plan.Sensor) plan.Sensor {
	return plan.Sensor{
		Name: sensor.Name, Kind: sensor.Kind, Jobs: sensor.Jobs, Events: sensor.Events, EventType: sensor.EventType, CursorType: sensor.CursorType,
		Assets: sensor.Assets, All: sensor.All, Statuses: sensor.Statuses, MonitoredJobs: sensor.MonitoredJobs,
		MonitoredLocations: sensor.MonitoredLocations, AllLocations: sensor.AllLocations, AfterRetries: sensor.AfterRetries,
	}
}

// misfits says of events which the function cannot be given, and why, by their place.
func (e *sensorEvaluation) misfits(events []definitions.ReceivedEvent) (map[int]string, error) {
	if len(events) == 0 {
		return nil, nil
	}
	if !e.sensor.Events {
		misfits := make(map[int]string, len(events))
		for i := range events {
			misfits[i] = fmt.Sprintf("sensor %q takes no events", e.sensor.Name)
		}
		return misfits, nil
	}
	misfits, err := e.a.Runtime.CheckEvents(e.sensor.Name, events)
	if err != nil {
		return nil, evaluationFailure(err)
	}
	return misfits, nil
}

// fitting are the events that the function can be given. The others are rejected.
func (e *sensorEvaluation) fitting(ctx context.Context) (fit []metadata.InboxEvent, received []definitions.ReceivedEvent, err error) {
	all := make([]definitions.ReceivedEvent, len(e.begun.Events))
	for i, event := range e.begun.Events {
		all[i] = definitions.ReceivedEvent{ID: event.ID, At: event.At, Payload: event.Payload}
	}
	misfits, err := e.misfits(all)
	if err != nil {
		return nil, nil, err
	}
	var rejected []metadata.RejectedEvent
	for i, event := range e.begun.Events {
		if problem, misfit := misfits[i]; misfit {
			rejected = append(rejected, metadata.RejectedEvent{Number: event.Number, Problem: storable(problem)})
			continue
		}
		fit, received = append(fit, event), append(received, all[i])
	}
	if len(rejected) > 0 {
		e.a.Log.Warn("a sensor has rejected events", "sensor", e.id.Sensor, "events", len(rejected), "problem", rejected[0].Problem)
		if err := e.a.Store.RejectEvents(ctx, e.id, rejected); err != nil {
			return nil, nil, planFailure(err)
		}
	}
	return fit, received, nil
}
