package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/wire"
)

// Preview evaluates a schedule as it would be evaluated at a time, or a sensor with some events, and starts and records nothing.
func (a *Activities) Preview(ctx context.Context, input wire.PreviewInput) (wire.PreviewResult, error) {
	defer keepAlive(ctx)()
	if input.Request.Sensor != "" {
		return a.previewSensor(ctx, input.Request)
	}
	return a.previewSchedule(ctx, input.Request)
}

func (a *Activities) previewSchedule(ctx context.Context, request wire.PreviewRequest) (wire.PreviewResult, error) {
	defined, _, err := a.definitions(ctx)
	if err != nil {
		return wire.PreviewResult{}, err
	}
	definition, found := scheduleOf(defined.Snapshot, request.Schedule)
	if !found {
		return wire.PreviewResult{}, unknownSchedule(defined.Snapshot, request.Schedule)
	}
	unfit, err := a.fitsSchedule(ctx, definition)
	if unfit != "" {
		err = temporal.NewNonRetryableApplicationError(unfit, wire.FailureNotOnThisBuild, nil)
	}
	if err != nil {
		return wire.PreviewResult{}, err
	}
	times, err := schedule.Of(definition)
	if err != nil {
		return wire.PreviewResult{}, err
	}
	at, _ := times.Next(time.Now())
	if request.At != "" {
		if at, err = time.Parse(time.RFC3339, request.At); err != nil {
			return wire.PreviewResult{}, fmt.Errorf("the time of the preview: %w", err)
		}
	}
	at = at.In(times.Zone())
	result := wire.PreviewResult{At: at.Format(time.RFC3339), Runs: []wire.PreviewRun{}}
	log := newTickLog(a.LogLevel)
	before, err := a.Store.Trigger(ctx, metadata.TriggerID{Location: a.Location, Kind: wire.TriggerSchedule, Name: definition.Name})
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return wire.PreviewResult{}, planFailure(err)
	}
	evaluated, err := a.evaluateSchedule(ctx, definition, before, at, log)
	result.Log = log.Lines()
	if err != nil {
		return failedPreview(result, err)
	}
	trigger := wire.RunTrigger{Kind: wire.TriggerSchedule, Name: definition.Name, Tick: "preview", ScheduledAt: result.At}
	runs, plans, err := a.checkRuns(ctx, defined, definition.Job, at, trigger, evaluated.Runs)
	if err != nil {
		return failedPreview(result, err)
	}
	result.Runs = previewRuns(runs, plans)
	if result.Skip = evaluated.Skip; len(runs) == 0 && result.Skip == "" {
		result.Skip = nothingLeftToRun
	}
	return result, nil
}

// previewRuns are runs that would be asked for, with their plans.
func previewRuns(runs []wire.TickRun, plans []*plan.Plan) []wire.PreviewRun {
	shown := make([]wire.PreviewRun, len(runs))
	for i, run := range runs {
		run.Request.Trigger = nil
		shown[i] = wire.PreviewRun{Job: run.Job, RunKey: run.RunKey, Request: run.Request, Steps: len(plans[i].Steps), Assets: plans[i].Assets}
	}
	return shown
}

// failedPreview shows what the user's function, or what it asks for, is to blame for.
func failedPreview(result wire.PreviewResult, err error) (wire.PreviewResult, error) {
	failed, ok := errors.AsType[*evaluationError](err)
	if !ok {
		return wire.PreviewResult{}, err
	}
	result.Error = &failed.TickError
	return result, nil
}
