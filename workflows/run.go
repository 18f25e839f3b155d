package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Run is the workflow of a run: it has the request planned, and walks the plan. Its input is one
// wire.RunRequest; the second argument is what an execution that continued as new carries along, and
// refused from anybody else. Its result is a wire.RunResult.
//
// It fails with wire.FailureInvalidRequest when the request is refused, with wire.FailureRunFailed when a step failed,
// and ends as cancelled when it was cancelled.
func Run(ctx workflow.Context, request, carried converter.RawValue) (wire.RunResult, error) {
	r, err := newRun(ctx, request, carried)
	if err != nil {
		return wire.RunResult{}, err
	}
	if done, err := r.plan(ctx); done != nil || err != nil {
		return resultOf(done), err
	}
	if r.queuedFor != "" {
		if ended, err := r.awaitAdmission(ctx); ended != nil || err != nil {
			return resultOf(ended), err
		}
	}
	return r.walk(ctx)
}

// run is the state of one run's execution.
type run struct {
	id         string
	firstRunID string
	queue      string
	request    wire.RunRequest

	// shown is the request as the next execution's input shows it.
	shown json.RawMessage

	// encoded is the walk as planning encoded it: the next execution gets the same bytes.
	encoded  []byte
	walkPlan *plan.Walk
	progress *plan.Progress
	pending  []*pendingStep    // in the order they became ready
	decided  []int             // steps that will not run and are to be recorded
	records  []workflow.Future // at most maxRecords
	// unscheduled says, of the decided steps that are cancelled with the run, which it never scheduled.
	unscheduled map[int]bool
	hooks       hooks
	local       localSteps
	look        look
	slots       slots
	wakes       wakes
	failures    []wire.StepFailureInfo
	status      wire.RunStatus
	// deadline is when the run has taken too long; zero is never. overdue fires then.
	deadline time.Time
	overdue  workflow.Future
	// queuedFor is what the run waits for in the run queue; "" when it may begin.
	queuedFor string
	// reason is why the run is stopped; "" is that somebody asked for it.
	reason string
	// delayed are the remote steps that wait for another attempt, by step, as the execution before left them.
	delayed map[int]delayedStep
	// begun is whether the walk was taken over from the execution before.
	begun bool
	// advanced is whether a step has ended in this execution: one in which none has does not continue as new, whatever
	// the limits say, or the run would for ever.
	advanced bool
	// nextContinue is the number of history events from which continuing as new is tried.
	nextContinue int
	// firstOpen is below every step that has not ended, for details.
	firstOpen int
	err       error
}

// maxFailures is how many failed steps a result names.
const maxFailures = 20

func newRun(ctx workflow.Context, request, carried converter.RawValue) (*run, error) {
	info := workflow.GetInfo(ctx)
	r := &run{
		id: info.WorkflowExecution.ID, firstRunID: info.FirstRunID, queue: info.TaskQueueName,
		status: wire.RunStarting, delayed: map[int]delayedStep{}, wakes: newWakes(ctx),
	}
	if err := r.handle(ctx); err != nil {
		return nil, err
	}
	if err := r.decode(ctx, request, carried); err != nil {
		return nil, err
	}
	return r, nil
}

// plan has the request planned, unless the plan was carried along. A result means that there is nothing to walk.
func (r *run) plan(ctx workflow.Context) (*wire.RunResult, error) {
	if r.begun {
		return nil, nil
	}
	var planned wire.PlanRunResult
	// A cancel does not leave a half-made run behind: planning takes milliseconds, and the walk sees the cancel.
	planning, _ := workflow.NewDisconnectedContext(ctx)
	err := r.promptly(planning, "plan", wire.PlanRunActivity, wire.PlanRunInput{
		RunID: r.id, FirstRunID: r.firstRunID, Queue: r.queue, Request: r.request, At: workflow.Now(ctx).UnixNano(),
		Attributes: ownAttributes(ctx),
	}, &planned)
	if err != nil {
		if unmarked := r.markRefused(ctx); unmarked != nil {
			return nil, unmarked
		}
		return nil, activityFailure(err)
	}
	if planned.DryRun != nil {
		return &wire.RunResult{RunID: r.id, Status: wire.RunNotStarted, Plan: planned.DryRun, Materialized: []string{}}, nil
	}
	encoded := []byte(planned.Walk)
	if planned.Packed != nil {
		encoded = planned.Packed
	}
	walk, err := plan.DecodeWalk(encoded)
	if err != nil {
		return nil, fmt.Errorf("the plan of run %q: %w", r.id, err)
	}
	r.encoded = encoded
	r.begin(walk, plan.NewProgress(walk))
	switch {
	case planned.Queued != "":
		r.status, r.queuedFor = wire.RunQueued, planned.Queued
	case walk.Timeout > 0 && planned.Began > 0:
		r.deadline = time.Unix(0, planned.Began).Add(walk.Timeout)
	case walk.Timeout > 0:
		r.deadline = workflow.GetInfo(ctx).WorkflowStartTime.Add(walk.Timeout)
	}
	return nil, r.describe(ctx)
}

func (r *run) begin(walk *plan.Walk, progress *plan.Progress) {
	r.walkPlan, r.progress = walk, progress
	r.status = wire.RunStarted
	r.nextContinue = walk.Limits.ContinueAfter
}

// key is a step's key, kind how it is scheduled; both also of the steps that a dynamic output has added.
func (r *run) key(step int) string { return r.progress.Key(step) }

func (r *run) kind(step int) plan.Kind { return r.walkPlan.Kinds[r.progress.Step(step).Kind] }

// activityFailure takes the failure that an activity returned out of Temporal's wrapping, so that the
// workflow fails with the same type, message and details.
func activityFailure(err error) error { return refusedAs("run request", err) }

func refusedAs(what string, err error) error {
	var application *temporal.ApplicationError
	if errors.As(err, &application) && application.Type() == wire.FailureInvalidRequest {
		var refused wire.Refusal
		if application.HasDetails() && application.Details(&refused) == nil {
			return refusal(what, refused.Problems)
		}
	}
	return err
}

func invalidRequest(problems wire.Problems) error {
	return refusal("run request", problems)
}

// refusal is how every entry point refuses what it was given.
func refusal(what string, problems wire.Problems) error {
	return temporal.NewNonRetryableApplicationError("invalid "+what+": "+problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
}

func resultOf(result *wire.RunResult) wire.RunResult {
	if result == nil {
		return wire.RunResult{}
	}
	return *result
}
