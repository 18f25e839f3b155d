package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// removedGrace is how long Temporal keeps, paused, what the active build has lost: a rollback finds it there.
const removedGrace = time.Hour

// Synced is what was brought in step with Temporal.
type Synced struct {
	// Hash is that of the snapshot whose schedules and sensors these are.
	Hash string
}

// SyncTriggers brings Temporal in step with the schedules and sensors of a location's active build, and with what people have
// decided: what is new is made, what has changed is changed in place, what is absent is paused, and deleted after an hour. What a
// person has paused by Temporal's own means is written down as if it had been ordered here. One process at a time does it. Those
// that fail keep no others from being brought in step.
func (s *Starter) SyncTriggers(ctx context.Context, location string) (Synced, error) {
	snapshot, hash, _, err := s.Store.ActiveSnapshot(ctx, location)
	if err != nil {
		return Synced{}, err
	}
	defined, err := definedTriggers(snapshot)
	if err != nil {
		return Synced{}, err
	}
	rows, err := s.Store.SyncTriggers(ctx, location, defined)
	if err != nil {
		return Synced{}, err
	}
	listed, err := s.listSchedules(ctx, rows)
	if err != nil {
		return Synced{}, err
	}
	var failures []error
	for _, row := range rows {
		switch row.Kind {
		case wire.TriggerSchedule:
			err = s.syncSchedule(ctx, row, listed[wire.ScheduleID(s.Deployment, location, row.Name)])
		case wire.TriggerSensor:
			err = s.SyncSensor(ctx, row)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return Synced{Hash: hash}, errors.Join(failures...)
}

// definedTriggers are the schedules and sensors of a snapshot.
func definedTriggers(snapshot *plan.Snapshot) ([]metadata.DefinedTrigger, error) {
	var defined []metadata.DefinedTrigger
	add := func(kind wire.TriggerKind, name string, running bool, definition any) error {
		data, err := json.Marshal(definition)
		if err != nil {
			return fmt.Errorf("write down %s %q: %w", kind, name, err)
		}
		declared := wire.TriggerStopped
		if running {
			declared = wire.TriggerRunning
		}
		defined = append(defined, metadata.DefinedTrigger{Kind: kind, Name: name, Definition: data, Declared: declared})
		return nil
	}
	var failures []error
	for _, one := range snapshot.Schedules {
		failures = append(failures, add(wire.TriggerSchedule, one.Name, one.Running, one))
	}
	for _, one := range snapshot.Sensors {
		failures = append(failures, add(wire.TriggerSensor, one.Name, one.Running, one))
	}
	return defined, errors.Join(failures...)
}

// listSchedules is what Temporal's list says of the schedules among some rows.
func (s *Starter) listSchedules(ctx context.Context, rows []metadata.Trigger) (map[string]temporalSchedule, error) {
	listed := map[string]temporalSchedule{}
	if !slices.ContainsFunc(rows, func(row metadata.Trigger) bool { return row.Kind == wire.TriggerSchedule }) {
		return listed, nil
	}
	entries, err := s.Temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 1000})
	if err != nil {
		return nil, fmt.Errorf("list the schedules of Temporal: %w", err)
	}
	prefix := wire.Name(s.Deployment, "schedule") + ":"
	for entries.HasNext() {
		entry, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("list the schedules of Temporal: %w", err)
		}
		if strings.HasPrefix(entry.ID, prefix) {
			listed[entry.ID] = temporalSchedule{found: true, paused: entry.Paused, note: entry.Note}
		}
	}
	return listed, nil
}

// SwitchSchedule starts or stops a schedule: its row, and Temporal at once. Status "" is for as it is declared. The error is
// wire.Problems when there is none of that name.
func (s *Starter) SwitchSchedule(ctx context.Context, to metadata.TriggerSwitch) (metadata.Trigger, error) {
	row, _, err := s.Store.SwitchTrigger(ctx, to)
	if errors.Is(err, metadata.ErrNotFound) {
		return row, s.unknownTrigger(ctx, to.TriggerID)
	}
	if err != nil || !row.RemovedAt.IsZero() {
		return row, err
	}
	if err := s.syncSchedule(ctx, row, temporalSchedule{}); err != nil {
		return row, fmt.Errorf("%s is written down as %s, and Temporal hears of it within some seconds: now it could not: %w", row.TriggerID, row.Status, err)
	}
	return row, nil
}

func (s *Starter) unknownTrigger(ctx context.Context, id metadata.TriggerID) error {
	known, err := s.Store.Triggers(ctx, id.Location, id.Kind)
	if err != nil {
		return err
	}
	names := make([]string, len(known))
	for i, row := range known {
		names[i] = row.Name
	}
	return wire.Problems{{
		Path: string(id.Kind), Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no %s %q", id.Location, id.Kind, id.Name), Fix: wire.FixUnknown(id.Name, names),
	}}
}

// PauseFailed stops a schedule that is to pause on failure when one of its runs has failed since it was started, after all retries. Whoever
// keeps Temporal in step does the rest.
func (s *Starter) PauseFailed(ctx context.Context, row metadata.Trigger) (metadata.Trigger, error) {
	var definition plan.Schedule
	if err := json.Unmarshal(row.Definition, &definition); err != nil {
		return row, fmt.Errorf("read the definition of %s: %w", row.TriggerID, err)
	}
	if !definition.PauseOnFailure || row.Status != wire.TriggerRunning {
		return row, nil
	}
	run, err := s.Store.FailedTriggerRun(ctx, row.TriggerID, row.Since)
	if err != nil || run == "" {
		return row, err
	}
	stopped, _, err := s.Store.SwitchTrigger(ctx, metadata.TriggerSwitch{
		TriggerID: row.TriggerID, Status: wire.TriggerStopped, Who: byPerdure, Why: fmt.Sprintf("run %s failed, and the schedule pauses on failure", run),
	})
	return stopped, err
}

// ResumeSchedule has somebody evaluate what is due of a schedule, and start what was decided and is not started yet. While
// somebody does so because of an earlier call, it changes nothing.
func (s *Starter) ResumeSchedule(ctx context.Context, id metadata.TriggerID) error {
	_, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: wire.ScheduleTickID(s.Deployment, id.Location, id.Name) + ":resumed", TaskQueue: wire.Queue(s.Deployment, id.Location),
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, StaticSummary: wire.Summary("schedule " + id.Name),
		Priority: temporal.Priority{PriorityKey: int(wire.PriorityHigh)},
	}, wire.ScheduleTickWorkflow, wire.ScheduleTickRequest{Schedule: id.Name})
	if err != nil {
		return fmt.Errorf("have %s evaluated: %w", id, err)
	}
	return nil
}

// TriggerSchedule evaluates a schedule once more, at a nominal time, RFC 3339, or now for "", and waits for the answer. The error is
// wire.Problems when there is none of that name.
func (s *Starter) TriggerSchedule(ctx context.Context, id metadata.TriggerID, at string) (wire.ScheduleTickResult, error) {
	var result wire.ScheduleTickResult
	request := wire.ScheduleTickRequest{Schedule: id.Name, Manual: true, At: at}
	return result, s.executeTrigger(ctx, id, newID(wire.ScheduleTickID(s.Deployment, id.Location, id.Name)+":manual"), wire.ScheduleTickWorkflow, request, &result)
}

// PreviewSchedule evaluates a schedule as at a nominal time, RFC 3339, or the next one for "". It starts and records nothing. The error is
// wire.Problems when there is none of that name.
func (s *Starter) PreviewSchedule(ctx context.Context, id metadata.TriggerID, at string) (wire.PreviewResult, error) {
	var result wire.PreviewResult
	request := wire.PreviewRequest{Schedule: id.Name, At: at}
	return result, s.executeTrigger(ctx, id, newID(wire.Name(s.Deployment, "preview", id.Location, id.Name)), wire.PreviewWorkflow, request, &result)
}

func removedTrigger(id metadata.TriggerID) error {
	return wire.Problems{{Path: string(id.Kind), Code: wire.CodeUnknown, Message: fmt.Sprintf("the active build has no %s %q any more", id.Kind, id.Name)}}
}

// executeTrigger runs a workflow about a schedule or sensor and reads its result.
func (s *Starter) executeTrigger(ctx context.Context, id metadata.TriggerID, workflow, workflowType string, request, result any) error {
	row, err := s.Store.Trigger(ctx, id)
	if errors.Is(err, metadata.ErrNotFound) {
		return s.unknownTrigger(ctx, id)
	}
	if err != nil {
		return err
	}
	if !row.RemovedAt.IsZero() {
		return removedTrigger(id)
	}
	queue := wire.Queue(s.Deployment, id.Location)
	polled, err := s.polled(ctx, queue)
	if err != nil {
		return fmt.Errorf("ask who polls queue %q: %w", queue, err)
	}
	if !polled {
		return fmt.Errorf("no worker polls queue %q: start one of location %q, which has the function of %s", queue, id.Location, id)
	}
	started, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflow, TaskQueue: queue, StaticSummary: wire.Summary(string(id.Kind) + " " + id.Name), Priority: temporal.Priority{PriorityKey: int(wire.PriorityHigh)},
	}, workflowType, request)
	if err != nil {
		return fmt.Errorf("have %s evaluated: %w", id, err)
	}
	err = started.Get(ctx, result)
	application, ok := errors.AsType[*temporal.ApplicationError](err)
	if ok && application.Type() == wire.FailureInvalidRequest {
		var refusal wire.Refusal
		if application.Details(&refusal) == nil && len(refusal.Problems) > 0 {
			return refusal.Problems
		}
	}
	if ok {
		return errors.New(application.Message())
	}
	if err != nil {
		return fmt.Errorf("wait until %s is evaluated (workflow %s): %w", id, workflow, err)
	}
	return nil
}
