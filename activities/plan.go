package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// PlanRun turns a request into the walk of its plan, from the location's active snapshot, and records
// run and plan in one transaction. Called again for the same execution it returns the same walk, whatever the
// definitions have become. A request with problems is refused with all of them; the one row that remembers it is all that changes.
func (a *Activities) PlanRun(ctx context.Context, input wire.PlanRunInput) (wire.PlanRunResult, error) {
	defer keepAlive(ctx)()
	snapshot, hash, build, err := a.Store.ActiveSnapshot(ctx, a.Location)
	if err != nil {
		return wire.PlanRunResult{}, planFailure(fmt.Errorf("read the definitions of location %q: %w", a.Location, err))
	}
	planner, err := a.planners.of(hash, snapshot, a.Runtime)
	if err != nil {
		return wire.PlanRunResult{}, planFailure(err)
	}
	facts, err := a.facts(ctx, planner, input)
	if err != nil {
		return wire.PlanRunResult{}, planFailure(err)
	}
	planned, err := planner.Plan(input.Request, facts)
	if problems := wire.ProblemsOf(err); problems != nil {
		return a.replanOrRefuse(ctx, input, problems)
	}
	if err != nil {
		return wire.PlanRunResult{}, planFailure(err)
	}
	if input.Request.DryRun {
		return a.dryRun(ctx, input, planned)
	}
	planned.Walk.Pools = planned.Walk.HasPool()
	planned.Walk.Attributes = a.attributes.of(ctx, a.Client, a.Namespace, a.Log)
	planned.Walk.Started = planned.Walk.StartedWith(input.Attributes)
	walk, err := plan.EncodeWalk(&planned.Walk)
	if errors.Is(err, plan.ErrTooLarge) {
		return a.replanOrRefuse(ctx, input, wire.Problems{{Path: "assets", Code: wire.CodeTooLarge, Message: err.Error()}})
	}
	if err != nil {
		return wire.PlanRunResult{}, planFailure(err)
	}
	outcome, err := a.Store.PlanRun(ctx, metadata.NewRun{
		ID: input.RunID, FirstRunID: input.FirstRunID, Scheduled: scheduledAt(ctx, input.At),
		Execution: activity.GetInfo(ctx).WorkflowExecution.RunID, Location: a.Location, Build: build, SnapshotHash: hash,
		Queue: input.Queue, Request: planned.Request, Plan: planned, Walk: walk,
	})
	if err != nil {
		return wire.PlanRunResult{}, planFailure(fmt.Errorf("record the plan of run %q: %w", input.RunID, err))
	}
	if problems := outcome.Problems(input.RunID); len(problems) > 0 {
		return wire.PlanRunResult{}, a.refuse(ctx, input, problems)
	}
	return a.answer(outcome), nil
}

// facts are what planning needs to know of the instance, and of the run that is executed again. One that is not there is
// a problem of the request.
func (a *Activities) facts(ctx context.Context, planner *plan.Planner, input wire.PlanRunInput) (plan.Facts, error) {
	facts := plan.Facts{RunID: input.RunID, Limits: a.Starter.Limits, Executor: a.Starter.Executor, MaxRuntime: a.Starter.MaxRuntime}
	// By Temporal's time, which is the same however often this is tried.
	now := activity.GetInfo(ctx).ScheduledTime
	err := assetstatus.Facts(ctx, a.Store, planner, input.Request, now, &facts)
	if err != nil || input.Request.RetryOf == nil {
		return facts, err
	}
	facts.Parent, err = a.Store.ParentRun(ctx, input.Request.RetryOf.RunID)
	if err != nil && !errors.Is(err, metadata.ErrNotFound) {
		return plan.Facts{}, fmt.Errorf("read run %q, which %q executes again: %w", input.Request.RetryOf.RunID, input.RunID, err)
	}
	return facts, nil
}

// replanOrRefuse is for a request that cannot be planned. A run that was planned before goes on with the plan that it has:
// a deploy since, say one that removed an asset, changes no open run, and a reset plans nothing anew.
func (a *Activities) replanOrRefuse(ctx context.Context, input wire.PlanRunInput, problems wire.Problems) (wire.PlanRunResult, error) {
	outcome, err := a.Store.ReplanRun(ctx, input.RunID, input.FirstRunID, scheduledAt(ctx, input.At), activity.GetInfo(ctx).WorkflowExecution.RunID)
	if err != nil {
		return wire.PlanRunResult{}, planFailure(err)
	}
	if outcome.Outcome == metadata.Replanned {
		return a.answer(outcome), nil
	}
	if err := a.lacks(problems, scheduledAt(ctx, input.At)); err != nil {
		return wire.PlanRunResult{}, err
	}
	return wire.PlanRunResult{}, a.refuse(ctx, input, problems)
}

// answer is that to a run that has begun, or waits in the queue.
func (a *Activities) answer(planned metadata.PlannedRun) wire.PlanRunResult {
	result := wire.PlanRunResult{Queued: planned.Queued}
	if !planned.Began.IsZero() {
		result.Began = planned.Began.UnixNano()
	}
	if result.Queued != "" {
		a.lookAfterQueue()
	}
	if json.Valid(planned.Walk) {
		result.Walk = planned.Walk
	} else {
		result.Packed = planned.Walk
	}
	return result
}

func (a *Activities) dryRun(ctx context.Context, input wire.PlanRunInput, planned *plan.Plan) (wire.PlanRunResult, error) {
	missing, err := a.Store.MissingInputs(ctx, planned.Outside)
	if err != nil {
		return wire.PlanRunResult{}, planFailure(fmt.Errorf("look up the inputs of run %q: %w", input.RunID, err))
	}
	if len(missing) > 0 {
		return wire.PlanRunResult{}, a.refuse(ctx, input, metadata.MissingProblems(missing))
	}
	result, problems, err := dryRunResult(planned)
	if err != nil {
		return wire.PlanRunResult{}, fmt.Errorf("the dry run of %q: %w", input.RunID, err)
	}
	if problems != nil {
		return wire.PlanRunResult{}, a.refuse(ctx, input, problems)
	}
	return result, nil
}

// maxDryRun bounds the answer to a dry run, in bytes of JSON: Temporal refuses a result of more than 2 MB, and the activity
// would be tried again for ever.
const maxDryRun = 3 << 19

func dryRunResult(planned *plan.Plan) (wire.PlanRunResult, wire.Problems, error) {
	result := wire.PlanRunResult{DryRun: planned.PlannedSteps()}
	data, err := json.Marshal(result)
	if err != nil {
		return wire.PlanRunResult{}, nil, err
	}
	if len(data) > maxDryRun {
		return wire.PlanRunResult{}, wire.Problems{{
			Path: "assets", Code: wire.CodeTooLarge,
			Message: fmt.Sprintf("the plan of %d steps takes %.1f MB as the answer to a dry run, and Temporal takes at most %.1f", len(result.DryRun), float64(len(data))/(1<<20), float64(maxDryRun)/(1<<20)),
			Fix:     "select fewer assets, or plan with `perdure asset materialize --dry-run`, which has no limit",
		}}, nil
	}
	return result, nil, nil
}

func (a *Activities) refuse(ctx context.Context, input wire.PlanRunInput, problems wire.Problems) error {
	request, err := json.Marshal(input.Request)
	if err != nil {
		return fmt.Errorf("remember the refused request of %q: %w", input.RunID, err)
	}
	refused := wire.RefuseInput{
		WorkflowID: input.RunID, FirstRunID: input.FirstRunID, WorkflowType: wire.RunWorkflow, Input: string(request), Problems: problems,
	}
	if trigger := input.Request.Trigger; trigger != nil && !input.Request.DryRun {
		refused.Run = &wire.RefusedRun{
			Location: a.Location, Job: input.Request.Job, Selection: input.Request.Assets.String(), Partition: input.Request.Partition, Cause: cmp.Or(input.Request.Cause, input.RunID), Tags: input.Request.Tags,
			TriggerKind: trigger.Kind, TriggerName: trigger.Name, Reason: bounded("it was refused: " + problems.Error()),
		}
	}
	return a.refused(ctx, refused)
}

// refused remembers a request that was refused, and is the failure that says so.
func (a *Activities) refused(ctx context.Context, refused wire.RefuseInput) error {
	if err := a.Refuse(ctx, refused); err != nil {
		return err
	}
	return temporal.NewNonRetryableApplicationError(refused.Problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: refused.Problems})
}

// Refuse remembers a request that was refused.
func (a *Activities) Refuse(ctx context.Context, input wire.RefuseInput) error {
	defer keepAlive(ctx)()
	if err := a.Store.Refuse(ctx, input); err != nil {
		return planFailure(fmt.Errorf("remember the refused request of %q: %w", input.WorkflowID, err))
	}
	return nil
}

// lacks hands planning to a worker of another build when the active definitions name a function that this one does not have.
// When none has taken it for DeployGrace, the problems say so.
func (a *Activities) lacks(problems wire.Problems, since time.Time) error {
	if !problems.NotHere() {
		return nil
	}
	if time.Since(since) < a.DeployGrace {
		return retryable(fmt.Sprintf("build %s of location %q lacks a function of the active build: %s: waiting for a worker that has it", a.Build, a.Location, problems),
			wire.FailureNotOnThisBuild, handBackDelay)
	}
	for i := range problems {
		if problems[i].Code == wire.CodeNotHere {
			problems[i].Fix = fmt.Sprintf("for %s no worker of the active build took it: start one, or activate the build that runs", a.DeployGrace)
		}
	}
	return nil
}

// scheduledAt is when a planning or recording activity was scheduled, by Temporal's clock.
func scheduledAt(ctx context.Context, at int64) time.Time {
	if at != 0 {
		return time.Unix(0, at)
	}
	return activity.GetInfo(ctx).ScheduledTime
}

// planFailure names the kind of a planning or recording failure; all of them are tried again.
func planFailure(err error) error {
	if errors.Is(err, partition.ErrNoEvaluator) {
		return retryable(err.Error()+": waiting for a worker of the active build", wire.FailureNotOnThisBuild, handBackDelay)
	}
	if metadata.IsUnavailable(err) {
		return temporal.NewApplicationErrorWithOptions(err.Error(), wire.FailureStoreUnavailable, temporal.ApplicationErrorOptions{})
	}
	return err
}

// plannerCache keeps the planner of the snapshot that was used last: its indexes are built once.
type plannerCache struct {
	mu      sync.Mutex
	hash    string
	planner *plan.Planner
}

func (c *plannerCache) of(hash string, snapshot *plan.Snapshot, evaluator partition.Evaluator) (*plan.Planner, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planner != nil && c.hash == hash {
		return c.planner, nil
	}
	planner, err := plan.NewPlanner(snapshot, evaluator)
	if err != nil {
		return nil, err
	}
	c.hash, c.planner = hash, planner
	return planner, nil
}
