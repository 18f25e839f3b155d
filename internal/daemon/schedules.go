package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/workflow/v1"

	"github.com/perdure-io/perdure/wire"
)

// stuckTick is how old a tick is that has not ended before it is looked whether anybody works on it.
const stuckTick = time.Minute

// resumeTicks has the ticks of schedules gone on with whose workflow was terminated, or deleted, in the middle.
func (d *Daemon) resumeTicks(ctx context.Context) error {
	stuck, err := d.Store.StuckTriggers(ctx, wire.TriggerSchedule, stuckTick)
	if err != nil || len(stuck) == 0 {
		return err
	}
	working, err := d.workingSchedules(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range stuck {
		if slices.ContainsFunc(working, func(workflow string) bool {
			return worksOn(workflow, wire.ScheduleTickID(d.Starter.Deployment, id.Location, id.Name))
		}) {
			continue
		}
		if err := d.Starter.ResumeSchedule(ctx, id); err != nil {
			failures = append(failures, err)
			continue
		}
		d.Log.Info("has ticks gone on with whose workflow was closed", "location", id.Location, "schedule", id.Name)
	}
	return errors.Join(failures...)
}

// worksOn says whether a workflow evaluates the schedule whose workflows' ids begin with that: behind it Temporal writes a time, and
// Perdure ":" and what it is for. Another schedule's name may begin with this one's.
func worksOn(workflow, id string) bool {
	rest, found := strings.CutPrefix(workflow, id)
	if !found {
		return false
	}
	_, err := time.Parse("-"+time.RFC3339, rest)
	return rest == "" || strings.HasPrefix(rest, ":") || err == nil
}

// workingSchedules are the ids of the workflows that evaluate schedules now.
func (d *Daemon) workingSchedules(ctx context.Context) ([]string, error) {
	var ids []string
	err := list(ctx, d.Temporal, fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", wire.ScheduleTickWorkflow),
		func(found []*workflow.WorkflowExecutionInfo) error {
			for _, execution := range found {
				ids = append(ids, execution.GetExecution().GetWorkflowId())
			}
			return nil
		})
	return ids, err
}

// pauseFailed stops the schedules of which a run has failed and that are to rest then.
func (d *Daemon) pauseFailed(ctx context.Context) error {
	rows, err := d.Store.Triggers(ctx, "", wire.TriggerSchedule)
	if err != nil {
		return err
	}
	var failures []error
	for _, row := range rows {
		stopped, err := d.Starter.PauseFailed(ctx, row)
		if failures = append(failures, err); err == nil && stopped.Status != row.Status {
			d.Log.Info("stopped a schedule of which a run has failed", "location", row.Location, "schedule", row.Name, "why", stopped.SwitchedWhy)
		}
	}
	return errors.Join(failures...)
}

// deleteTicks deletes the ticks that are older than the instance keeps them.
func (d *Daemon) deleteTicks(ctx context.Context) error {
	for {
		deleted, err := d.Store.PurgeTicks(ctx, d.Retention.SkippedTicks, d.Retention.Ticks, batch)
		if err != nil || deleted < batch {
			return err
		}
	}
}
