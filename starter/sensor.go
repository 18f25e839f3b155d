package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// startSensor are the options with which the workflow of a sensor is started. One that runs stays; one that was closed, however,
// begins anew: all that it knew is in the rows.
func (s *Starter) startSensor(id metadata.SensorID) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: wire.SensorID(s.Deployment, id.Location, id.Sensor), TaskQueue: wire.Queue(s.Deployment, id.Location),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            wire.Summary("sensor " + id.Sensor + " of " + id.Location),
	}
}

// SyncSensor brings the workflow of a sensor in step with its row: it is started when it is not there, and told when the row has
// changed. That of a sensor that the active build has lost is told after an hour, and ends; a rollback finds it there.
func (s *Starter) SyncSensor(ctx context.Context, row metadata.Trigger) error {
	id := metadata.SensorID{Location: row.Location, Sensor: row.Name}
	applied := wire.ShortHash(string(row.Definition) + string(row.Status))
	if row.Applied != applied {
		if err := s.ListenSensor(ctx, row); err != nil {
			return err
		}
	}
	if !row.RemovedAt.IsZero() {
		if applied = "removed"; row.Applied == applied || time.Since(row.RemovedAt) <= removedGrace {
			return nil
		}
		err := s.Temporal.SignalWorkflow(ctx, wire.SensorID(s.Deployment, id.Location, id.Sensor), "", wire.WakeSignal, nil)
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("end the workflow of sensor %q: %w", id.Sensor, err)
		}
		return s.Store.NoteApplied(ctx, row.TriggerID, applied, true)
	}
	started, err := s.EnsureSensor(ctx, row)
	if err != nil || row.Applied == applied {
		return err
	}
	if !started {
		if err := s.wakeSensor(ctx, id); err != nil {
			return err
		}
	}
	return s.Store.NoteApplied(ctx, row.TriggerID, applied, row.Status != wire.TriggerRunning)
}

// EnsureSensor starts the workflow of a sensor that has none; started says that it had none. A sensor that the active build has lost
// is left alone.
func (s *Starter) EnsureSensor(ctx context.Context, trigger metadata.Trigger) (started bool, err error) {
	if !trigger.RemovedAt.IsZero() {
		return false, nil
	}
	id := metadata.SensorID{Location: trigger.Location, Sensor: trigger.Name}
	workflow := wire.SensorID(s.Deployment, id.Location, id.Sensor)
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, workflow, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); err != nil && !unknown {
		return false, fmt.Errorf("look at the workflow of sensor %q: %w", id.Sensor, err)
	}
	if info := described.GetWorkflowExecutionInfo(); err == nil {
		if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return false, nil
		}
		if err := s.salvage(ctx, id, info.GetExecution().GetRunId()); err != nil {
			return false, err
		}
	}
	if _, err := s.Temporal.ExecuteWorkflow(ctx, s.startSensor(id), wire.SensorWorkflow, wire.SensorRequest{}); err != nil {
		return false, fmt.Errorf("start the workflow of sensor %q: %w", id.Sensor, err)
	}
	return true, nil
}

// wakeSensor has the workflow of a sensor look at the rows; it is started when it is not there.
func (s *Starter) wakeSensor(ctx context.Context, id metadata.SensorID) error {
	options := s.startSensor(id)
	if _, err := s.Temporal.SignalWithStartWorkflow(ctx, options.ID, wire.WakeSignal, nil, options, wire.SensorWorkflow, wire.SensorRequest{}); err != nil {
		return fmt.Errorf("wake the workflow of sensor %q: %w", id.Sensor, err)
	}
	return nil
}

// SensorOrder is what a person wants of a sensor.
type SensorOrder struct {
	metadata.SensorID
	// Who wants it, and Why, for people.
	Who, Why string
}

// SwitchSensor starts a sensor, stops it, or, with "", leaves it as it is declared. changed says whether its status is another one
// now. It is done in Postgres: a workflow that cannot be told meanwhile reads it there.
func (s *Starter) SwitchSensor(ctx context.Context, order SensorOrder, status wire.TriggerStatus) (trigger metadata.Trigger, changed bool, err error) {
	trigger, changed, err = s.Store.SwitchTrigger(ctx, metadata.TriggerSwitch{TriggerID: order.Trigger(), Status: status, Who: order.Who, Why: order.Why})
	if err != nil {
		return trigger, false, s.unknownSensor(ctx, order.SensorID, err)
	}
	if err := s.ListenSensor(ctx, trigger); err != nil {
		return trigger, changed, err
	}
	return trigger, changed, s.wakeSensor(ctx, order.SensorID)
}

// SetSensorCursor sets the cursor of a sensor; nil takes it away.
func (s *Starter) SetSensorCursor(ctx context.Context, order SensorOrder, cursor []byte) (metadata.Trigger, error) {
	input := wire.SetCursorInput{Cursor: cursor, Clear: cursor == nil, By: order.Who, Why: order.Why}
	if problems := input.Check(); len(problems) > 0 {
		return metadata.Trigger{}, problems
	}
	trigger, err := s.Store.SetCursor(ctx, metadata.NewCursor{SensorID: order.SensorID, Cursor: cursor, Who: order.Who, Why: order.Why})
	if err != nil {
		return trigger, s.unknownSensor(ctx, order.SensorID, err)
	}
	return trigger, s.wakeSensor(ctx, order.SensorID)
}

// TickSensor has a sensor evaluated, also one that is stopped, and waits for the tick.
func (s *Starter) TickSensor(ctx context.Context, id metadata.SensorID) (wire.SensorTick, error) {
	var tick wire.SensorTick
	row, err := s.Store.Trigger(ctx, id.Trigger())
	if err != nil {
		return tick, s.unknownSensor(ctx, id, err)
	}
	if !row.RemovedAt.IsZero() {
		return tick, removedTrigger(row.TriggerID)
	}
	options := s.startSensor(id)
	start := s.Temporal.NewWithStartWorkflowOperation(options, wire.SensorWorkflow, wire.SensorRequest{})
	update, err := s.Temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			WorkflowID: options.ID, UpdateName: wire.TickUpdate, Args: []any{wire.TickRequest{}}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	if err == nil {
		err = update.Get(ctx, &tick)
	}
	if err != nil {
		return tick, fmt.Errorf("have sensor %q evaluated: %w", id.Sensor, err)
	}
	return tick, nil
}

// PreviewSensor has a sensor evaluated to see what it would start. nil events are those that wait, and a nil cursor is its own.
func (s *Starter) PreviewSensor(ctx context.Context, id metadata.SensorID, events []wire.SensorEvent, cursor []byte) (wire.PreviewResult, error) {
	var result wire.PreviewResult
	request := wire.PreviewRequest{Sensor: id.Sensor, Events: events, Cursor: cursor}
	return result, s.executeTrigger(ctx, id.Trigger(), newID(wire.Name(s.Deployment, "preview", id.Location, id.Sensor)), wire.PreviewWorkflow, request, &result)
}

// unknownSensor makes wire.Problems of what says that no build has ever had a sensor.
func (s *Starter) unknownSensor(ctx context.Context, id metadata.SensorID, err error) error {
	if !errors.Is(err, metadata.ErrNotFound) {
		return err
	}
	if _, locationErr := s.snapshot(ctx, id.Location); locationErr != nil {
		return locationErr
	}
	triggers, listErr := s.Store.Triggers(ctx, id.Location, wire.TriggerSensor)
	if listErr != nil {
		return listErr
	}
	names := make([]string, len(triggers))
	for i, trigger := range triggers {
		names[i] = trigger.Name
	}
	return wire.Problems{{
		Path: "sensor", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no sensor %q", id.Location, id.Sensor), Fix: wire.FixUnknown(id.Sensor, names),
	}}
}

// wakeEvery is how often the workflow of a sensor is woken while many events are sent to it.
const wakeEvery = 200 * time.Millisecond

const (
	// sendEvents is how many events are written in one transaction, sendBytes how large they are together, but for one.
	sendEvents = 500
	sendBytes  = 1 << 20
)

// NewEventID is the id of an event that was sent without one.
func NewEventID() string { return newID("event") }

// EventOfLine is the id of an event without one that stands in a line of a file, counted from 1: sent again, it is known.
func EventOfLine(file string, line int, data []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", file, line, data))
	return fmt.Sprintf("line-%d-%s", line, hex.EncodeToString(sum[:16]))
}

// EventSender writes events into the inbox of a sensor, past Temporal: many of them, at thousands a second. Make it with
// [Starter.SendTo], and call Close at the end. It is not safe for concurrent use.
type EventSender struct {
	starter *Starter
	id      metadata.SensorID
	// batch are events that are not written yet, bytes how large they are.
	batch []wire.SentEvent
	bytes int
	sent  metadata.WrittenEvents
	// woken is when the workflow was told last, stale that it does not know of all.
	woken time.Time
	stale bool
	// silent tells it nothing.
	silent bool
}

// SendTo begins to send events to a sensor, which must have been defined by some build.
func (s *Starter) SendTo(ctx context.Context, id metadata.SensorID) (*EventSender, error) {
	if _, err := s.Store.Trigger(ctx, id.Trigger()); err != nil {
		return nil, s.unknownSensor(ctx, id, err)
	}
	return &EventSender{starter: s, id: id}, nil
}

// Send takes an event as a service would signal it, {"id","payload"}; what is wrong with it is recorded with it. fallback is its id when it
// has none. It is in the inbox once Flush or Close has returned.
func (e *EventSender) Send(ctx context.Context, data []byte, fallback string) error {
	return e.add(ctx, wire.Sent(data, fallback, time.Now()))
}

func (e *EventSender) add(ctx context.Context, event wire.SentEvent) error {
	if e.bytes += len(event.Payload); len(e.batch) >= sendEvents || e.bytes > sendBytes && len(e.batch) > 0 {
		if err := e.write(ctx); err != nil {
			return err
		}
		e.bytes = len(event.Payload)
	}
	e.batch = append(e.batch, event)
	return nil
}

// Flush writes what was sent until now.
func (e *EventSender) Flush(ctx context.Context) error { return e.write(ctx) }

func (e *EventSender) write(ctx context.Context) error {
	if len(e.batch) == 0 {
		return nil
	}
	written, _, err := e.starter.Store.SendEvents(ctx, e.id, e.batch)
	if err != nil {
		return err
	}
	e.batch, e.bytes = nil, 0
	e.sent.New += written.New
	e.sent.Known += written.Known
	e.sent.Rejected += written.Rejected
	e.stale = e.stale || written.New > 0
	if !e.silent && e.stale && time.Since(e.woken) >= wakeEvery {
		return e.wake(ctx)
	}
	return nil
}

func (e *EventSender) wake(ctx context.Context) error {
	if err := e.starter.wakeSensor(ctx, e.id); err != nil {
		return err
	}
	e.woken, e.stale = time.Now(), false
	return nil
}

// Close writes what is left and tells the sensor's workflow. It returns what has become of all events, also beside an error:
// those are written.
func (e *EventSender) Close(ctx context.Context) (metadata.WrittenEvents, error) {
	if err := e.write(ctx); err != nil {
		return e.sent, err
	}
	if e.stale {
		if err := e.wake(ctx); err != nil {
			return e.sent, fmt.Errorf("the events are written, and the sensor evaluates them when it is woken next: %w", err)
		}
	}
	return e.sent, nil
}
