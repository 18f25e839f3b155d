package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// CloseSteps records steps whose end no attempt records: skipped, left behind, cancelled, or lost.
// Steps that turn out to be committed, or to have failed, stay so, and are returned.
func (a *Activities) CloseSteps(ctx context.Context, input wire.CloseStepsInput) (wire.CloseStepsResult, error) {
	defer keepAlive(ctx)()
	result, err := a.Store.CloseSteps(ctx, input.RunID, activity.GetInfo(ctx).ScheduledTime, input.Steps)
	if err != nil {
		return wire.CloseStepsResult{}, planFailure(fmt.Errorf("close %d steps of run %q: %w", len(input.Steps), input.RunID, err))
	}
	return result, nil
}

// Canceling records that a run is being cancelled, at once: its steps may take a while to stop.
func (a *Activities) Canceling(ctx context.Context, input wire.CancelingInput) (wire.CancelingResult, error) {
	defer keepAlive(ctx)()
	result, err := a.Store.MarkCanceling(ctx, metadata.Canceling{
		RunID: input.RunID, FirstRunID: input.FirstRunID, Reason: input.Reason,
		Scheduled: activity.GetInfo(ctx).ScheduledTime, Execution: activity.GetInfo(ctx).WorkflowExecution.RunID,
	})
	if err != nil {
		return wire.CancelingResult{}, planFailure(err)
	}
	return result, nil
}

// EndRun records a run's end, closes whatever of it is still open, and returns its result. One that failed is started
// again, if its tags or the instance say so.
func (a *Activities) EndRun(ctx context.Context, input wire.EndRunInput) (wire.RunResult, error) {
	defer keepAlive(ctx)()
	result, err := a.Store.EndRun(ctx, metadata.RunEnd{
		RunID: input.RunID, FirstRunID: input.FirstRunID, Status: input.Status, Reason: input.Reason, Own: true,
		Execution: input.Execution, Scheduled: scheduledAt(ctx, input.At),
	})
	if err != nil {
		return wire.RunResult{}, planFailure(fmt.Errorf("record the end of run %q: %w", input.RunID, err))
	}
	if result.Status == input.Status {
		result.Reason = input.Reason
	}
	if result.Status == wire.RunFailure {
		if result.RetriedBy, err = a.Starter.RetryFailedRun(ctx, input.RunID); err != nil {
			return wire.RunResult{}, planFailure(err)
		}
	}
	return result, nil
}

// Checkpoint does nothing: that it was called ends a workflow task, and brings to the history what it did.
func (a *Activities) Checkpoint(context.Context) error { return nil }

// Pollers looks which task queues nobody takes activities from, and records that as the reason why the run waits.
func (a *Activities) Pollers(ctx context.Context, input wire.PollersInput) (wire.PollersResult, error) {
	defer keepAlive(ctx)()
	var result wire.PollersResult
	for _, queue := range input.Queues {
		described, err := a.Client.DescribeTaskQueue(ctx, queue, enums.TASK_QUEUE_TYPE_ACTIVITY)
		if err != nil {
			return wire.PollersResult{}, fmt.Errorf("look who polls queue %q: %w", queue, err)
		}
		if len(described.GetPollers()) == 0 {
			result.Unpolled = append(result.Unpolled, queue)
		}
	}
	reason := ""
	if len(result.Unpolled) > 0 {
		reason = fmt.Sprintf("nobody polls %s, where steps of it lie", strings.Join(result.Unpolled, ", "))
	}
	if err := a.Store.SetRunReason(ctx, input.RunID, reason); err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return wire.PollersResult{}, planFailure(err)
	}
	return result, nil
}
