package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/workflow/v1"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// eventsKept is how long the id of an event is known after it was taken in.
const eventsKept = 30 * 24 * time.Hour

// maxRestored bounds what is remembered of executions that were looked at: to forget one costs another look.
const maxRestored = 10_000

// restoreSensors starts the workflows of sensors again that were closed, after what was signalled to them is in the inboxes.
func (d *Daemon) restoreSensors(ctx context.Context) error {
	began := time.Now()
	since := d.sensorsUntil.Add(-visibilityLag)
	if d.sensorsUntil.IsZero() {
		since = began.Add(-firstLook)
	}
	var closed []*workflow.WorkflowExecutionInfo
	err := list(ctx, d.Temporal, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus IN (%s,'Completed') AND CloseTime > '%s'",
		wire.SensorWorkflow, abnormal, since.UTC().Format(time.RFC3339)), func(page []*workflow.WorkflowExecutionInfo) error {
		for _, execution := range page {
			if ours(d.Starter.Deployment, execution.GetTaskQueue()) && !d.restored[execution.GetExecution().GetRunId()] {
				closed = append(closed, execution)
			}
		}
		return nil
	})
	if err != nil || len(closed) == 0 {
		if err == nil {
			d.sensorsUntil = began
		}
		return err
	}
	sensors, err := d.sensors(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, execution := range closed {
		row, known := sensors[execution.GetExecution().GetWorkflowId()]
		if known {
			started, err := d.Starter.RestoreSensor(ctx, row, execution.GetExecution().GetRunId())
			if err != nil {
				failures = append(failures, err)
				continue
			}
			if started {
				d.Log.Info("started the workflow of a sensor again, which was closed", "location", row.Location, "sensor", row.Name)
			}
		}
		if d.restored == nil || len(d.restored) >= maxRestored {
			d.restored = map[string]bool{}
		}
		d.restored[execution.GetExecution().GetRunId()] = true
	}
	if len(failures) == 0 {
		d.sensorsUntil = began
	}
	return errors.Join(failures...)
}

// ensureSensors starts the workflow of every sensor that has none, whatever Temporal's lists say.
func (d *Daemon) ensureSensors(ctx context.Context) error {
	sensors, err := d.sensors(ctx)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(sensors))
	for id := range sensors {
		ids = append(ids, id)
	}
	return d.each(ctx, ids, func(ctx context.Context, id string) error {
		_, err := d.Starter.EnsureSensor(ctx, sensors[id])
		return err
	})
}

// sensors are all of them by the ids of their workflows.
func (d *Daemon) sensors(ctx context.Context) (map[string]metadata.Trigger, error) {
	rows, err := d.Store.Triggers(ctx, "", wire.TriggerSensor)
	if err != nil {
		return nil, err
	}
	sensors := make(map[string]metadata.Trigger, len(rows))
	for _, row := range rows {
		sensors[wire.SensorID(d.Starter.Deployment, row.Location, row.Name)] = row
	}
	return sensors, nil
}
