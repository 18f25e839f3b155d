package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// CloseSteps records steps whose end no attempt records: skipped, left behind, cancelled, or lost.
// Steps that turn out to be committed stay so, and are returned.
func (a *Activities) CloseSteps(ctx context.Context, input wire.CloseStepsInput) (wire.CloseStepsResult, error) {
	defer keepAlive(ctx)()
	done, err := a.Store.CloseSteps(ctx, input.RunID, activity.GetInfo(ctx).ScheduledTime, input.Steps)
	if err != nil {
		return wire.CloseStepsResult{}, planFailure(fmt.Errorf("close %d steps of run %q: %w", len(input.Steps), input.RunID, err))
	}
	return done, nil
}

// EndRun records a run's end, closes whatever of it is still open, and returns its result.
func (a *Activities) EndRun(ctx context.Context, input wire.EndRunInput) (wire.RunResult, error) {
	defer keepAlive(ctx)()
	result, err := a.Store.EndRun(ctx, metadata.RunEnd{
		RunID: input.RunID, FirstRunID: input.FirstRunID, Status: input.Status, Scheduled: activity.GetInfo(ctx).ScheduledTime,
	})
	if err != nil {
		return wire.RunResult{}, planFailure(fmt.Errorf("record the end of run %q: %w", input.RunID, err))
	}
	return result, nil
}
