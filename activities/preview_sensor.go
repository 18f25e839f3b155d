package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// previewSensor evaluates a sensor with the events and the cursor that are given, or with those that wait and the one that it has.
// Nothing is taken in.
func (a *Activities) previewSensor(ctx context.Context, request wire.PreviewRequest) (wire.PreviewResult, error) {
	e := &sensorEvaluation{a: a, id: metadata.SensorID{Location: a.Location, Sensor: request.Sensor}}
	var err error
	if e.begun.Trigger, err = a.Store.Trigger(ctx, e.id.Trigger()); errors.Is(err, metadata.ErrNotFound) {
		return wire.PreviewResult{}, a.unknownSensor(ctx, request.Sensor)
	}
	if err != nil {
		return wire.PreviewResult{}, planFailure(err)
	}
	if e.sensor, err = definedSensor(e.begun.Trigger); err != nil {
		return wire.PreviewResult{}, err
	}
	result := wire.PreviewResult{Runs: []wire.PreviewRun{}}
	if err := e.isHere(ctx); err != nil {
		return failedPreview(result, err)
	}
	events, rejected, err := e.previewed(ctx, request)
	if err != nil {
		return failedPreview(result, err)
	}
	result.Rejected, result.Events = rejected, len(events)
	cursor := e.begun.Trigger.Cursor
	if request.Cursor != nil {
		cursor = request.Cursor
	}
	log := newTickLog(a.LogLevel)
	evaluated, plans, err := e.call(ctx, events, cursor, "preview", log)
	result.Log = log.Lines()
	if err != nil {
		return failedPreview(result, err)
	}
	result.Runs = previewRuns(evaluated.Runs, plans)
	result.Skip, result.Cursor, result.AddPartitions, result.RemovePartitions, result.Reports = evaluated.Skip, evaluated.Cursor, evaluated.Add, evaluated.Remove, evaluated.Reports
	return result, nil
}

// previewed are the events that a preview is made with, and those that would be rejected.
func (e *sensorEvaluation) previewed(ctx context.Context, request wire.PreviewRequest) ([]definitions.ReceivedEvent, []wire.PreviewRejected, error) {
	var all []definitions.ReceivedEvent
	for i, event := range request.Events {
		if event.ID == "" {
			event.ID = fmt.Sprintf("preview-%d", i+1)
		}
		all = append(all, definitions.ReceivedEvent{ID: event.ID, At: time.Now(), Payload: event.Payload})
	}
	if request.Events == nil {
		waiting, err := e.a.Store.SensorEvents(ctx, e.id, false, mostEvents)
		if err != nil {
			return nil, nil, planFailure(err)
		}
		for _, event := range waiting {
			all = append(all, definitions.ReceivedEvent{ID: event.ID, At: event.At, Payload: event.Payload})
		}
	}
	misfits, err := e.misfits(all)
	if err != nil {
		return nil, nil, err
	}
	var fit []definitions.ReceivedEvent
	var rejected []wire.PreviewRejected
	for i, event := range all {
		if problem, misfit := misfits[i]; misfit {
			rejected = append(rejected, wire.PreviewRejected{ID: event.ID, Problem: problem})
			continue
		}
		fit = append(fit, event)
	}
	return fit, rejected, nil
}

// unknownSensor refuses what names a sensor that there is not.
func (a *Activities) unknownSensor(ctx context.Context, name string) error {
	triggers, err := a.Store.Triggers(ctx, a.Location, wire.TriggerSensor)
	if err != nil {
		return planFailure(err)
	}
	names := make([]string, len(triggers))
	for i, trigger := range triggers {
		names[i] = trigger.Name
	}
	problems := wire.Problems{{
		Path: "sensor", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no sensor %q", a.Location, name), Fix: wire.FixUnknown(name, names),
	}}
	return temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
}
