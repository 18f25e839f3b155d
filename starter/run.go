package starter

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/wire"
)

// Await waits for a run's end and returns its result. A run that ended otherwise than in SUCCESS has
// its result in the error: a *RunError. Every other error says that its end is not known: ctx ended, or Temporal
// could not be reached.
func (s *Starter) Await(ctx context.Context, id string) (wire.RunResult, error) {
	var result wire.RunResult
	err := s.Temporal.GetWorkflow(ctx, id, "").Get(ctx, &result)
	if err == nil {
		return result, nil
	}
	return wire.RunResult{}, runError(id, err)
}

// RunError is a run that ended without success.
type RunError struct {
	// Result says how, as far as the run came; only RunID and Status are set of a run that was terminated.
	Result wire.RunResult
	// Problems are set when the request was refused.
	Problems wire.Problems
	Cause    error
}

func (e *RunError) Error() string {
	if len(e.Problems) > 0 {
		return fmt.Sprintf("run %q was refused: %v", e.Result.RunID, e.Problems)
	}
	return fmt.Sprintf("run %q ended %s: %v", e.Result.RunID, e.Result.Status, e.Cause)
}

func (e *RunError) Unwrap() error { return e.Cause }

func runError(id string, err error) error {
	failed := &RunError{Result: wire.RunResult{RunID: id, Status: wire.RunFailure}, Cause: err}
	var (
		application *temporal.ApplicationError
		canceled    *temporal.CanceledError
		notFound    *serviceerror.NotFound
		ended       *temporal.WorkflowExecutionError
	)
	switch {
	case errors.As(err, &notFound):
		return fmt.Errorf("no run %q on Temporal: %w", id, err)
	case !errors.As(err, &ended):
		return fmt.Errorf("wait for run %q: %w", id, err)
	case errors.As(err, &application) && application.Type() == wire.FailureRunFailed:
		failed.Cause = errors.New(application.Message())
		if detailErr := application.Details(&failed.Result); detailErr != nil {
			failed.Cause = errors.Join(failed.Cause, detailErr)
		}
	case errors.As(err, &application) && application.Type() == wire.FailureInvalidRequest:
		var refusal wire.Refusal
		if detailErr := application.Details(&refusal); detailErr == nil {
			failed.Problems = refusal.Problems
		}
	case errors.As(err, &canceled):
		failed.Result.Status = wire.RunCanceled
		if canceled.HasDetails() {
			if detailErr := canceled.Details(&failed.Result); detailErr != nil {
				failed.Cause = errors.Join(failed.Cause, detailErr)
			}
		}
	}
	return failed
}

// CancelRun asks a run to stop: its steps are told, and it ends as CANCELED. Cancelling a run that
// has ended is an error that says so.
func (s *Starter) CancelRun(ctx context.Context, id string) error {
	// Temporal takes the cancel of a closed execution in silence.
	described, err := s.Temporal.DescribeWorkflowExecution(ctx, id, "")
	if _, unknown := errors.AsType[*serviceerror.NotFound](err); unknown {
		return fmt.Errorf("no run %q on Temporal: %w", id, err)
	}
	if err != nil {
		return fmt.Errorf("look at run %q: %w", id, err)
	}
	if status := described.GetWorkflowExecutionInfo().GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return fmt.Errorf("run %q has ended (%s in Temporal): there is nothing to cancel", id, status)
	}
	if err := s.Temporal.CancelWorkflow(ctx, id, ""); err != nil {
		return fmt.Errorf("cancel run %q: %w", id, err)
	}
	return nil
}
