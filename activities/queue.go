package activities

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// AdmitRun asks whether a run that waits in the queue may begin.
func (a *Activities) AdmitRun(ctx context.Context, input wire.AdmitRunInput) (wire.AdmitRunResult, error) {
	defer keepAlive(ctx)()
	admission, err := a.Store.AdmitRun(ctx, metadata.Asking{
		RunID: input.RunID, FirstRunID: input.FirstRunID, Scheduled: scheduledAt(ctx, input.At), Execution: input.Execution,
	})
	if err != nil {
		return wire.AdmitRunResult{}, queueFailure(err)
	}
	if !admission.Admitted && !admission.Status.Ended() {
		a.lookAfterQueue()
	}
	return wire.AdmitRunResult{Admitted: admission.Admitted, Reason: admission.Reason, Status: admission.Status}, nil
}

// ClaimSlots asks for slots of pools for steps that are ready.
func (a *Activities) ClaimSlots(ctx context.Context, input wire.ClaimSlotsInput) (wire.ClaimSlotsResult, error) {
	defer keepAlive(ctx)()
	claims, err := a.Store.ClaimSlots(ctx, metadata.SlotClaim{RunID: input.RunID, Scheduled: scheduledAt(ctx, input.At), Steps: input.Steps})
	if err != nil {
		return wire.ClaimSlotsResult{}, queueFailure(err)
	}
	if len(claims.Waiting) > 0 {
		a.lookAfterQueue()
	}
	return wire.ClaimSlotsResult{Granted: claims.Granted, Waiting: poolWaits(claims.Waiting)}, nil
}

// poolWaits says of each pool why steps wait for it: for all of one pool that is the same.
func poolWaits(waiting []wire.WaitingSlot) []wire.PoolWait {
	var waits []wire.PoolWait
	known := map[string]bool{}
	for _, slot := range waiting {
		if !known[slot.Pool] {
			known[slot.Pool] = true
			waits = append(waits, wire.PoolWait{Pool: slot.Pool, Reason: slot.Reason})
		}
	}
	return waits
}

// lookAfterQueue sees to it that somebody looks after what waits. It waits for nothing: a daemon finds that nobody does.
func (a *Activities) lookAfterQueue() {
	a.Wake([]metadata.Wake{starter.WakeRunQueue(a.Starter.Deployment)})
}

// queueFailure is of a run that asks for something. One that has no row asks in vain, however often.
func queueFailure(err error) error {
	if errors.Is(err, metadata.ErrNotFound) {
		return temporal.NewNonRetryableApplicationError(err.Error(), wire.FailureSuperseded, err)
	}
	return planFailure(fmt.Errorf("ask the run queue: %w", err))
}
