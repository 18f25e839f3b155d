package workflows_test

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/wire"
)

// The system's activities besides planning and recording, as a run meets them.

func (w *world) cancelingRun(_ context.Context, input wire.CancelingInput) (wire.CancelingResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.canceling = append(w.canceling, input)
	result := wire.CancelingResult{Status: wire.RunCanceling}
	for _, status := range w.recorded {
		if status == wire.StepSuccess || status == wire.StepFailed {
			result.Ended++
		}
	}
	return result, nil
}

func (w *world) checkpoint(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkpoints++
	return nil
}

func (w *world) pollers(_ context.Context, input wire.PollersInput) (wire.PollersResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked = append(w.looked, input)
	return wire.PollersResult{Unpolled: w.unpolled}, nil
}

func (w *world) localStep(ctx context.Context, input wire.LocalStepInput) (any, error) {
	return w.do(ctx, input.Step)
}

func (w *world) runHooks(ctx context.Context, input wire.RunHooksInput) error {
	w.mu.Lock()
	w.hooked = append(w.hooked, input)
	w.tokens["hooks:"+input.Step] = activity.GetInfo(ctx).TaskToken
	hooking := w.hooking
	w.mu.Unlock()
	if hooking != nil {
		return hooking(ctx, input)
	}
	return nil
}

func (w *world) beginRemote(_ context.Context, input wire.BeginRemoteInput) (wire.BeginRemoteResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = append(w.began, input)
	if w.beginning != nil {
		return w.beginning(input)
	}
	scheduled := input.Scheduled
	if scheduled == 0 {
		scheduled = 17
	}
	// The world's remote program takes what every step does.
	return wire.BeginRemoteResult{
		Scheduled: scheduled, Claim: []byte(`{"token":1}`), Input: []byte(`{"run":"` + input.Run + `","step":"` + input.Step + `"}`),
	}, nil
}

func (w *world) endRemote(_ context.Context, input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results = append(w.results, input)
	if w.ending != nil {
		return w.ending(input)
	}
	w.recordLocked(input.Step, wire.StepSuccess, "")
	return wire.EndRemoteResult{Done: &wire.StepResult{Recorded: true}}, nil
}
