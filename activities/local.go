package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// LocalStep runs a step as a local activity, in the worker of its workflow. When that worker dies Temporal knows of no
// attempt: what tells that it is the same scheduling is the execution of the workflow, and when that was first heard of.
//
// The user's retries are made here. What another worker could do, or has to be waited for, is handed over: the step goes on
// as an activity.
func (a *Activities) LocalStep(ctx context.Context, input wire.LocalStepInput) (wire.StepResult, error) {
	code, ok := a.Runtime.Code(input.Type)
	if !ok {
		return wire.StepResult{}, handedOver(a.unknownHere(input.Type))
	}
	scheduled, err := a.executions.seen(ctx, a, input)
	if err != nil {
		return wire.StepResult{}, handedOver(err.Error())
	}
	result, err := a.run(ctx, code, &ledger{store: a.Store}, step.Identity{
		Run: input.Run, Step: input.Step, Scheduled: scheduled, Started: time.Now(),
	}, silent{})
	if err != nil {
		return wire.StepResult{}, localFailure(err)
	}
	return result, nil
}

// localFailure is what the local activity of a step ends with.
func localFailure(err error) error {
	err = stepFailure(err)
	failed, ok := errors.AsType[*temporal.ApplicationError](err)
	switch {
	case !ok && temporal.IsCanceledError(err):
		return err
	case !ok:
		return handedOver(err.Error())
	case failed.Type() == wire.FailureOfUser, failed.NonRetryable() && failed.Type() != wire.FailureSuperseded:
		return err
	default:
		return handedOver(failed.Message())
	}
}

func handedOver(reason string) error {
	return temporal.NewNonRetryableApplicationError(storable(reason), wire.FailureHandedOver, nil)
}

// silent is the heartbeat of a local activity: the workflow's worker has one of its own.
type silent struct{}

// Beat sends nothing.
func (silent) Beat(step.Beat) {}

// Previous is nothing: a next attempt computes again.
func (silent) Previous() *step.StagedOutputs { return nil }

// maxExecutions bounds what is remembered of executions of workflows: each has many steps.
const maxExecutions = 1000

// executionCache knows when executions of workflows were first heard of.
type executionCache struct {
	mu    sync.Mutex
	known map[string]time.Time
}

func (c *executionCache) seen(ctx context.Context, a *Activities, input wire.LocalStepInput) (time.Time, error) {
	execution := activity.GetInfo(ctx).WorkflowExecution.RunID
	c.mu.Lock()
	at, ok := c.known[execution]
	c.mu.Unlock()
	if ok {
		return at, nil
	}
	nanoseconds, err := a.Store.ExecutionSeen(ctx, input.Run, execution, time.Unix(0, input.At))
	if err != nil {
		return time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxExecutions {
		c.known = map[string]time.Time{}
	}
	c.known[execution] = time.Unix(0, nanoseconds)
	return c.known[execution], nil
}
