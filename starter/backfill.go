package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// NewBackfill is a backfill to start.
type NewBackfill struct {
	// Location is the code location's name.
	Location string
	// ID is the backfill's id, which becomes Temporal's workflow id; "" makes one.
	ID      string
	Request wire.BackfillRequest
}

// StartBackfill works the request out, so that problems are known at once, and starts the backfill. It returns
// wire.Problems, with everything that is wrong, when it cannot be done; nothing was started then.
func (s *Starter) StartBackfill(ctx context.Context, asked NewBackfill) (StartedRun, error) {
	asked.ID = cmp.Or(asked.ID, newID("backfill"))
	if existing, err := s.Store.Backfill(ctx, asked.ID); err == nil {
		return StartedRun{}, wire.Problems{metadata.BackfillExists(existing.ID, existing.Status, existing.CreatedAt)}
	} else if !errors.Is(err, metadata.ErrNotFound) {
		return StartedRun{}, err
	}
	// What only the location's own code can evaluate is found out there.
	if _, err := s.TryBackfill(ctx, asked); err != nil && !wire.ProblemsOf(err).OnlyNotHere() {
		return StartedRun{}, err
	}
	queue := wire.Queue(s.Deployment, asked.Location)
	run := asked.Request.Run()
	if run.RetryOf = asked.Request.RetryOf; run.RetryOf != nil {
		run.Title = cmp.Or(run.Title, "again "+run.RetryOf.RunID)
	}
	started, err := s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: asked.ID, TaskQueue: queue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary(run),
		Priority:                                 temporal.Priority{PriorityKey: int(asked.Request.Priority), FairnessKey: backfillKey(s.Deployment, asked.ID)},
	}, wire.BackfillWorkflow, asked.Request)
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return StartedRun{}, wire.Problems{exists(asked.ID, "")}
	}
	if err != nil {
		return StartedRun{}, fmt.Errorf("start backfill %q: %w", asked.ID, err)
	}
	polled, err := s.polled(ctx, queue)
	if err != nil {
		return StartedRun{}, fmt.Errorf("backfill %q is started, but asking who polls queue %q failed: %w", asked.ID, queue, err)
	}
	return StartedRun{ID: asked.ID, Queue: queue, Polled: polled, FirstRunID: started.GetRunID()}, nil
}

// TryBackfill is what a backfill would do, by what Postgres knows of the location; nothing is started.
func (s *Starter) TryBackfill(ctx context.Context, asked NewBackfill) (*PlannedBackfill, error) {
	snapshot, err := s.snapshot(ctx, asked.Location)
	if err != nil {
		return nil, err
	}
	planner, err := plan.NewPlanner(snapshot, nil)
	if err != nil {
		return nil, err
	}
	planned, err := s.PlanBackfill(ctx, Definitions{Snapshot: snapshot, Planner: planner}, asked.ID, asked.Request)
	return planned, leftToItsLocation(err)
}

// RetryBackfill starts a backfill that makes again what an earlier one has not made, or all of it. request has what is
// given beside the earlier one's: Config, Tags, Priority, MaxConcurrentRuns, Title, Note. id "" makes one.
func (s *Starter) RetryBackfill(ctx context.Context, earlier string, from wire.RetryFrom, id string, request wire.BackfillRequest) (StartedRun, error) {
	parent, err := s.Store.Backfill(ctx, earlier)
	if errors.Is(err, metadata.ErrNotFound) {
		return StartedRun{}, wire.Problems{unknownBackfill(earlier)}
	}
	if err != nil {
		return StartedRun{}, err
	}
	request.RetryOf = &wire.RetryOf{RunID: earlier, From: from}
	return s.StartBackfill(ctx, NewBackfill{Location: parent.Location, ID: id, Request: request})
}

// PauseBackfill has a backfill start no more runs; those that are open end as they would. ResumeBackfill has it go on.
func (s *Starter) PauseBackfill(ctx context.Context, id string) error {
	return s.signalBackfill(ctx, id, wire.PauseSignal)
}

// ResumeBackfill has a paused backfill start runs again.
func (s *Starter) ResumeBackfill(ctx context.Context, id string) error {
	return s.signalBackfill(ctx, id, wire.ResumeSignal)
}

func (s *Starter) signalBackfill(ctx context.Context, id, signal string) error {
	if err := s.openBackfill(ctx, id); err != nil {
		return err
	}
	if err := s.Temporal.SignalWorkflow(ctx, id, "", signal, nil); err != nil {
		return fmt.Errorf("%s backfill %q: %w", signal, id, err)
	}
	return nil
}

// SetConcurrency changes how many runs of a backfill are open at once.
func (s *Starter) SetConcurrency(ctx context.Context, id string, runs int) (wire.BackfillProgress, error) {
	var progress wire.BackfillProgress
	if err := s.openBackfill(ctx, id); err != nil {
		return progress, err
	}
	handle, err := s.Temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: wire.SetConcurrencyUpdate, WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{wire.SetConcurrencyInput{MaxConcurrentRuns: runs}},
	})
	if err == nil {
		err = handle.Get(ctx, &progress)
	}
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok && application.Type() == wire.FailureInvalidRequest {
		var refusal wire.Refusal
		if application.Details(&refusal) == nil {
			return progress, refusal.Problems
		}
	}
	if err != nil {
		return progress, fmt.Errorf("change how many runs of backfill %q are open at once: %w", id, err)
	}
	return progress, nil
}

// CancelBackfill asks a backfill to stop: it starts no more runs, its open ones are cancelled, and it ends as CANCELED.
func (s *Starter) CancelBackfill(ctx context.Context, id string) error {
	if err := s.openBackfill(ctx, id); err != nil {
		return err
	}
	if err := s.Temporal.CancelWorkflow(ctx, id, ""); err != nil {
		return fmt.Errorf("cancel backfill %q: %w", id, err)
	}
	return nil
}

// openBackfill says why nothing can be done about a backfill that has ended.
func (s *Starter) openBackfill(ctx context.Context, id string) error {
	row, err := s.Store.Backfill(ctx, id)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		return s.openUnplanned(ctx, id)
	case err != nil:
		return err
	case row.Status.Ended():
		return wire.Problems{{Path: "id", Code: wire.CodeConflict, Message: fmt.Sprintf("backfill %q has ended (%s)", id, row.Status)}}
	}
	return nil
}

// openUnplanned says why nothing can be done about a backfill that has no row: only one that waits for a worker to plan it is
// open.
func (s *Starter) openUnplanned(ctx context.Context, id string) error {
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, id, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return wire.Problems{unknownBackfill(id)}
	}
	if err != nil {
		return fmt.Errorf("look at backfill %q: %w", id, err)
	}
	info := described.GetWorkflowExecutionInfo()
	switch {
	case info.GetType().GetName() != wire.BackfillWorkflow:
		return wire.Problems{unknownBackfill(id)}
	case info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return wire.Problems{{
			Path: "id", Code: wire.CodeConflict, Message: fmt.Sprintf("backfill %q has ended (%s in Temporal) without having begun", id, info.GetStatus()),
		}}
	}
	return nil
}

func unknownBackfill(id string) wire.Problem {
	return wire.Problem{
		Path: "retry_of.run_id", Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no backfill %q", id), Fix: "`perdure backfill list` names those there are",
	}
}

// BackfillError is a backfill that ended without success.
type BackfillError struct {
	// Result says how; only BackfillID is set of one that was terminated.
	Result wire.BackfillResult
	// Problems are set when the request was refused.
	Problems wire.Problems
	Cause    error
}

func (e *BackfillError) Error() string {
	if len(e.Problems) > 0 {
		return fmt.Sprintf("backfill %q was refused: %v", e.Result.BackfillID, e.Problems)
	}
	return fmt.Sprintf("backfill %q ended %s: %v", e.Result.BackfillID, e.Result.Status, e.Cause)
}

func (e *BackfillError) Unwrap() error { return e.Cause }

// AwaitBackfill waits for a backfill's end and returns its result. One that ended otherwise than in COMPLETED_SUCCESS has its
// result in the error: a *BackfillError. Every other error says that its end is not known.
func (s *Starter) AwaitBackfill(ctx context.Context, id string) (wire.BackfillResult, error) {
	var result wire.BackfillResult
	err := s.Temporal.GetWorkflow(ctx, id, "").Get(ctx, &result)
	if err == nil {
		return result, nil
	}
	failed := &BackfillError{Result: wire.BackfillResult{BackfillID: id}, Cause: err}
	if _, ended := errors.AsType[*temporal.WorkflowExecutionError](err); !ended {
		return result, fmt.Errorf("wait for backfill %q: %w", id, err)
	}
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		var refusal wire.Refusal
		switch {
		case application.Type() == wire.FailureBackfillFailed && application.Details(&failed.Result) == nil:
			failed.Cause = errors.New(application.Message())
		case application.Type() == wire.FailureInvalidRequest && application.Details(&refusal) == nil:
			failed.Problems = refusal.Problems
		}
	}
	if canceled, ok := errors.AsType[*temporal.CanceledError](err); ok {
		failed.Result.Status = wire.BackfillCanceled
		if canceled.HasDetails() {
			if err := canceled.Details(&failed.Result); err != nil {
				failed.Cause = errors.Join(failed.Cause, err)
			}
		}
	}
	return result, failed
}
