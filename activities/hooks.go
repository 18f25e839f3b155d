package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// RunHooks calls the hooks of a step that has ended, and records what became of each. One that fails is recorded, and
// changes nothing. Those that are recorded for this scheduling are not called again; one under which the worker died is.
func (a *Activities) RunHooks(ctx context.Context, input wire.RunHooksInput) error {
	defer keepAlive(ctx)()
	info := activity.GetInfo(ctx)
	scheduled := info.ScheduledTime
	ended, err := a.Store.EndedStep(ctx, input.Run, input.Step)
	if errors.Is(err, metadata.ErrNotFound) {
		return temporal.NewNonRetryableApplicationError(err.Error(), wire.FailureInvalidRequest, err)
	}
	if err != nil {
		return planFailure(err)
	}
	done, err := a.Store.HooksDone(ctx, input.Run, input.Step, scheduled)
	if err != nil {
		return planFailure(err)
	}
	if !a.Runtime.HasHooks(ended.Plan.Type, ended.Job) {
		// The step was planned with hooks: a worker of another build has them.
		return retryable(fmt.Sprintf("build %s of location %q has no hooks of %q", a.Build, a.Location, ended.Plan.Type), wire.FailureNotOnThisBuild, handBackDelay)
	}
	told := endedStep(input, ended)
	told.Done = done
	told.Log = a.hookLog(input, ended.Attempt, info.StartedTime)
	defer a.Lines.flushOf(ctx, input.Run, input.Step)
	var failures []error
	told.Each = func(result definitions.HookResult) {
		run := metadata.HookRun{
			Run: input.Run, Step: input.Step, Scheduled: scheduled, Hook: result.Hook, Outcome: metadata.HookOutcome(result.Outcome),
		}
		if result.Err != nil {
			told.Log.Warn("a hook failed, which changes nothing", "hook", result.Hook, "error", result.Err)
			run.Error = &wire.ErrorInfo{Message: storable(result.Err.Error())}
		}
		// What ran is recorded, also when the run is cancelled meanwhile.
		if _, err := a.Store.RecordHook(context.WithoutCancel(ctx), run); err != nil {
			failures = append(failures, planFailure(err))
		}
	}
	a.Runtime.RunHooks(ctx, ended.Plan.Type, ended.Job, told)
	if ctx.Err() != nil && len(failures) == 0 {
		return temporal.NewCanceledError()
	}
	return errors.Join(failures...)
}

// hookLog is what hooks log to: the worker's output, and the lines of their step. They count below zero, and by the time of
// the call, where the attempts at the step have their tokens: no line of theirs is taken for another's.
func (a *Activities) hookLog(input wire.RunHooksInput, attempt int, started time.Time) *slog.Logger {
	of := step.Execution{Run: input.Run, Step: input.Step, Attempt: attempt, Token: -started.UnixMicro()}
	return slog.New(slog.NewMultiHandler(
		a.Log.With("run", input.Run, "step", input.Step).Handler(),
		step.AtLevel(step.Recorder(a.Lines, of), a.LogLevel)))
}

// endedStep is what hooks are told of a step.
func endedStep(input wire.RunHooksInput, ended metadata.EndedStep) definitions.Ended {
	told := definitions.Ended{
		Run: definitions.RunInfo{
			ID: input.Run, Cause: ended.Cause, Attempt: ended.Attempt, Tags: ended.Tags, Job: ended.Job,
		},
		Step: input.Step, Status: input.Status, Config: ended.Plan.Config, Resources: ended.Plan.Resources,
	}
	if input.Status == wire.StepFailed {
		told.Err = errors.New(input.Error)
		if ended.Error != nil {
			told.Err, told.Stack, told.Metadata = errors.New(ended.Error.Message), ended.Error.Stack, ended.Error.Metadata
		}
		return told
	}
	if ended.Result != nil {
		told.Assets = ended.Result.Materialized
	}
	for _, output := range ended.Metadata {
		for _, one := range output {
			same := func(other wire.Metadatum) bool { return other.Label == one.Label }
			if !slices.ContainsFunc(told.Metadata, same) {
				told.Metadata = append(told.Metadata, one)
			}
		}
	}
	return told
}
