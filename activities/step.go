package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// lookAtHolderEvery is after how many tries a step that waits for another's writes asks whether that one is alive.
const lookAtHolderEvery = 10

// Step is the one activity that serves every asset: its type is the asset's key, its input a
// wire.StepInput, its result a wire.StepResult. One that this build does not have, or has in another
// shape, is handed back to a worker that fits.
func (a *Activities) Step(ctx context.Context, arguments converter.EncodedValues) (wire.StepResult, error) {
	info := activity.GetInfo(ctx)
	var raw converter.RawValue
	if err := arguments.Get(&raw); err != nil {
		return wire.StepResult{}, temporal.NewNonRetryableApplicationError("a step takes one argument: {\"run\",\"step\"}", wire.FailureInvalidRequest, err)
	}
	var input wire.StepInput
	if problems := wire.Decode(raw.Payload().GetData(), &input); len(problems) > 0 {
		return wire.StepResult{}, temporal.NewNonRetryableApplicationError("the input of step "+info.ActivityID+": "+problems.Error(),
			wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
	}
	scheduled := info.ScheduledTime
	code, ok := a.Runtime.Code(info.ActivityType.Name)
	if !ok {
		return a.handBack(ctx, input, scheduled, a.unknownHere(info.ActivityType.Name))
	}
	if input.Subprocess {
		isolated, end := a.Isolate(code)
		defer end()
		code = isolated
	}
	record := &ledger{store: a.Store}
	stepCtx, beat := newHeartbeat(ctx, a.Client, a.Log, record.concede)
	defer beat.cancel(nil)
	result, err := a.run(stepCtx, code, record, step.Identity{
		Run: input.Run, Step: input.Step, Scheduled: scheduled, Started: info.StartedTime,
	}, beat)
	var (
		otherShape *step.OtherShapeError
		waiting    *step.WaitingError
	)
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &waiting) && info.Attempt%lookAtHolderEvery == 0:
		a.freeDeadHolder(ctx, waiting.Holder)
		return wire.StepResult{}, stepFailure(err)
	case errors.As(err, &otherShape):
		return a.handBack(ctx, input, scheduled, otherShape.Error())
	default:
		return wire.StepResult{}, stepFailure(err)
	}
}

func (a *Activities) unknownHere(activityType string) string {
	return fmt.Sprintf("build %s of location %q has no %q", a.Build, a.Location, activityType)
}

// run makes one attempt at a step, wherever it runs, and keeps what it logged before it ends.
func (a *Activities) run(ctx context.Context, code *step.Code, record step.Ledger, id step.Identity, beat step.Heartbeat) (wire.StepResult, error) {
	runner := &step.Runner{
		Ledger: record, Log: a.Log, Worker: a.Worker, Build: a.Build, Patience: a.CommitPatience, Random: a.Random,
		Lines: a.Lines, Level: a.LogLevel, Printer: a.Printer,
	}
	defer a.Lines.flushOf(ctx, id.Run, id.Step)
	return runner.Run(ctx, code, id, beat)
}

// handBack gives the step to another worker of the queue, and ends it when for DeployGrace none had
// the definition.
func (a *Activities) handBack(ctx context.Context, input wire.StepInput, scheduled time.Time, reason string) (wire.StepResult, error) {
	reason = storable(reason)
	handed, err := a.Store.HandBack(ctx, metadata.HandBack{
		Run: input.Run, Step: input.Step, Scheduled: scheduled, Reason: reason, Grace: a.DeployGrace,
		Failure: fmt.Sprintf("%s, and no other worker of queue %q took the step within %s: start a worker of the build that the run was planned by, or start the run again",
			strings.TrimSuffix(reason, "."), activity.GetInfo(ctx).TaskQueue, a.DeployGrace),
	})
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return wire.StepResult{}, stepFailure(&step.UnknownStepError{Run: input.Run, Step: input.Step})
	case err != nil:
		return wire.StepResult{}, stepFailure(ledgerError(err))
	case !handed.Closed:
		return wire.StepResult{}, retryable(reason+": waiting for a worker that has it", wire.FailureNotOnThisBuild, handBackDelay)
	case handed.Status == wire.StepSuccess && handed.Result != nil:
		return *handed.Result, nil
	case handed.Status == wire.StepFailed && handed.Error != nil:
		return wire.StepResult{}, recorded(handed.Error.Message, handed.Error.Stack)
	default:
		return wire.StepResult{}, stepFailure(&step.SupersededError{Step: input.Step, When: "when it was handed back"})
	}
}
