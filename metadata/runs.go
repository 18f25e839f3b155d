package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// orEmpty makes a nil slice an empty one: null and [] differ in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// nanoseconds is a time as the SQL functions take it; 0 for the zero time.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

type closingStep struct {
	Step        string          `json:"step"`
	Status      wire.StepStatus `json:"status"`
	Error       *wire.ErrorInfo `json:"error,omitempty"`
	Unscheduled bool            `json:"unscheduled,omitempty"`
}

// CloseSteps records the end of steps that no attempt records: failed, skipped, left behind or
// cancelled. scheduled is Temporal's ScheduledTime of the activity that closes them: attempts that
// were scheduled before it can neither claim nor commit any more, and a step that was scheduled later,
// by a reset, stays open; the zero time closes whatever is open. Steps that turn out to be committed stay so and are
// returned, and so are those that have failed, with the error that is recorded. Closed steps keep their first end; but one
// that is now skipped or left behind was never scheduled since, and loses the end that it had before a reset; so does one
// that is cancelled and marked as never scheduled. [ErrNotFound] says that there is no such run.
func (s *Store) CloseSteps(ctx context.Context, run string, scheduled time.Time, steps []wire.ClosedStep) (wire.CloseStepsResult, error) {
	operation := fmt.Sprintf("close %d steps of run %q", len(steps), run)
	closing := make([]closingStep, len(steps))
	for i, step := range steps {
		closing[i] = closingStep{Step: step.Step, Status: step.Status, Unscheduled: step.Unscheduled}
		if step.Error != "" {
			closing[i].Error = &wire.ErrorInfo{Message: step.Error}
		}
	}
	answer, err := call[struct {
		wire.CloseStepsResult
		Found    bool               `json:"found"`
		Admitted []wire.AdmittedRun `json:"admitted"`
	}](ctx, s, operation, "close_steps_v1", struct {
		Run       string        `json:"run"`
		Scheduled int64         `json:"scheduled"`
		Steps     []closingStep `json:"steps"`
	}{run, nanoseconds(scheduled), closing})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	answer.CloseStepsResult.Admitted = answer.Admitted
	return answer.CloseStepsResult, err
}

// RunEnd is how a run ended.
type RunEnd struct {
	// RunID and FirstRunID are as in [NewRun].
	RunID, FirstRunID string
	// Status is SUCCESS, FAILURE or CANCELED.
	Status wire.RunStatus
	// Reason says why, when the steps do not: "terminated by …", "ran longer than 1h".
	Reason string
	// Own says that a reason is given by the run's own workflow: it ran too long. Any other reason comes from somebody who
	// found that the workflow ended without recording it, and changes nothing on a run that has ended.
	Own bool
	// Execution is Temporal's id of the execution whose own end this is; "" when somebody else found that it ended. Asked again
	// for the same one the end that is recorded stands, whatever Status says.
	Execution string
	// Scheduled is Temporal's time of the end: when the workflow decided it, or the time the
	// execution was closed; zero is now. What Temporal scheduled later comes from a reset and reopens the run.
	Scheduled time.Time
}

// EndRun ends a run: closes as cancelled what is still open, frees what it writes, hands its place in the queue and its slots on,
// and sets its row. Also a run that waits in the queue is ended so.
// Counts, failures and what was materialized are those of the rows. A second time it changes nothing
// and returns the same. [ErrNotFound] says that no run has both ids, [ErrConflict] that a reset has
// begun steps anew since.
func (s *Store) EndRun(ctx context.Context, end RunEnd) (wire.RunResult, error) {
	operation := fmt.Sprintf("record the end of run %q", end.RunID)
	answer, err := call[struct {
		wire.RunResult
		Found      bool               `json:"found"`
		Superseded bool               `json:"superseded"`
		Admitted   []wire.AdmittedRun `json:"admitted"`
	}](ctx, s, operation, "end_run_v1", struct {
		Run        string         `json:"run"`
		FirstRunID string         `json:"first_run_id"`
		Scheduled  int64          `json:"scheduled"`
		Status     wire.RunStatus `json:"status"`
		Reason     string         `json:"reason"`
		Own        bool           `json:"own"`
		Execution  string         `json:"execution"`
	}{end.RunID, end.FirstRunID, nanoseconds(end.Scheduled), end.Status, end.Reason, end.Own, end.Execution})
	switch {
	case err != nil:
		return wire.RunResult{}, err
	case !answer.Found:
		return wire.RunResult{}, fmt.Errorf("%s: there is no such run with first execution %q: %w", operation, end.FirstRunID, ErrNotFound)
	case answer.Superseded:
		return wire.RunResult{}, fmt.Errorf("%s: its steps were scheduled anew since: %w", operation, ErrConflict)
	}
	answer.RunID = end.RunID
	answer.RunResult.Admitted = answer.Admitted
	return answer.RunResult, nil
}

// Refuse remembers a refused request, once for each execution.
func (s *Store) Refuse(ctx context.Context, refusal wire.RefuseInput) error {
	refusal.Problems = orEmpty(refusal.Problems)
	_, err := call[struct{}](ctx, s, fmt.Sprintf("remember the refused request of %q", refusal.WorkflowID), "refuse_request_v1", refusal)
	return err
}
