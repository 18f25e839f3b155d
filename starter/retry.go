package starter

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RetrySettings say when a run that failed is started again by itself. A run's tags go before them: perdure/max_retries,
// perdure/retry_strategy and perdure/retry_on_asset_or_op_failure. The zero value starts none again.
type RetrySettings struct {
	// MaxRetries is how many runs may follow the first one.
	MaxRetries int
	// OnStepFailure says whether that is so too when a step failed, and not the run as a whole: terminated, or timed out.
	OnStepFailure bool
}

// RetryFailedRun starts a run again that ended FAILURE, when its tags or the settings say so: once, however often it is
// called, also when the caller died in the middle of an earlier call. Whether it is started again is recorded with it. It
// does nothing for any other run. The new run's id, which it returns, is the first run's and a number, "r1~1"; "" is none.
func (s *Starter) RetryFailedRun(ctx context.Context, id string) (retry string, err error) {
	run, err := s.Store.Run(ctx, id)
	if err != nil {
		return "", fmt.Errorf("look up whether run %q is started again: %w", id, err)
	}
	if run.Status != wire.RunFailure {
		return "", nil
	}
	most, from, err := mostRetries(run, s.Retries)
	if err != nil {
		return "", err
	}
	decided, err := s.Store.DecideRetry(ctx, id, most)
	if err != nil || !decided.WillRetry {
		return "", err
	}
	retry = retryID(decided.Root, decided.Number)
	_, err = s.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: retry, TaskQueue: run.Queue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            fmt.Sprintf("retry %d of %s", decided.Number, decided.Root),
		Priority:                                 s.retryPriority(run),
	}, wire.RunWorkflow, wire.RunRequest{
		RetryOf: &wire.RetryOf{RunID: id, From: from}, Title: run.Title, Cause: run.Cause, Priority: run.Priority,
	})
	if _, started := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); started {
		return retry, nil
	}
	if err != nil {
		return "", fmt.Errorf("start run %q again: %w", id, err)
	}
	return retry, nil
}

// mostRetries is how many runs may follow a failed one, and what of it they run. Its tags were checked when it was planned.
func mostRetries(run metadata.Run, settings RetrySettings) (most int, from wire.RetryFrom, err error) {
	from = wire.RetryFailure
	if strategy, tagged := run.Tags[plan.TagRetryStrategy]; tagged {
		from = wire.RetryFrom(strategy)
	}
	if text, tagged := run.Tags[plan.TagMaxRetries]; tagged {
		if settings.MaxRetries, err = strconv.Atoi(text); err != nil {
			return 0, from, fmt.Errorf("tag %s of run %q: %w", plan.TagMaxRetries, run.ID, err)
		}
	}
	if text, tagged := run.Tags[plan.TagRetryOnStepFailure]; tagged {
		if settings.OnStepFailure, err = strconv.ParseBool(text); err != nil {
			return 0, from, fmt.Errorf("tag %s of run %q: %w", plan.TagRetryOnStepFailure, run.ID, err)
		}
	}
	// A run that ended for a reason of its own, terminated or timed out, may have failed steps as well.
	if run.Steps.Failed > 0 && run.Reason == "" && !settings.OnStepFailure {
		return 0, from, nil
	}
	return settings.MaxRetries, from, nil
}

// retryID is the id of a run in a chain of retries.
func retryID(root string, number int) string { return fmt.Sprintf("%s~%d", root, number) }

// Reexecution is a run that executes an earlier one again.
type Reexecution struct {
	// RunID is the earlier run, From what of it runs again, and Ops its steps when that is a selection.
	RunID string
	From  wire.RetryFrom
	Ops   string
	// ID is the new run's id; "" is the first run's of the chain and a number, so that of two who ask at once only one
	// starts it.
	ID string
	// Request has what the new run is given beside the earlier one's: Config, Tags, Priority, Title, Note.
	Request wire.RunRequest
}

// Reexecute starts a run that executes an earlier one again. What is wrong is wire.Problems; nothing was started then.
func (s *Starter) Reexecute(ctx context.Context, again Reexecution) (StartedRun, error) {
	run, err := s.newRun(ctx, again)
	if err != nil {
		return StartedRun{}, err
	}
	return s.StartRun(ctx, run)
}

// PlanReexecution is what [Starter.Reexecute] would do; nothing is started.
func (s *Starter) PlanReexecution(ctx context.Context, again Reexecution) (*plan.Plan, error) {
	run, err := s.newRun(ctx, again)
	if err != nil {
		return nil, err
	}
	return s.Plan(ctx, run)
}

func (s *Starter) newRun(ctx context.Context, again Reexecution) (NewRun, error) {
	earlier, err := s.Store.Run(ctx, again.RunID)
	if errors.Is(err, metadata.ErrNotFound) {
		return NewRun{}, wire.Problems{{
			Path: "retry_of.run_id", Code: wire.CodeUnknown, Message: fmt.Sprintf("there is no run %q", again.RunID), Fix: "`perdure run list` names those there are",
		}}
	}
	if err != nil {
		return NewRun{}, err
	}
	if again.ID == "" {
		root := earlier.RootRunID
		if root == "" {
			root = earlier.ID
		}
		if err := s.refuseTwice(ctx, root, again.RunID); err != nil {
			return NewRun{}, err
		}
		number, err := s.Store.NextRetryNumber(ctx, root)
		if err != nil {
			return NewRun{}, err
		}
		again.ID = retryID(root, number)
	}
	request := again.Request
	request.RetryOf, request.Ops = &wire.RetryOf{RunID: again.RunID, From: again.From}, again.Ops
	return NewRun{Location: earlier.Location, ID: again.ID, Request: request}, nil
}

// refuseTwice refuses to execute a run again while another run does that: who asks twice means one.
func (s *Starter) refuseTwice(ctx context.Context, root, id string) error {
	group, err := s.Store.RunGroup(ctx, root)
	if err != nil {
		return err
	}
	for _, run := range group {
		if run.ParentRunID == id && !run.Status.Ended() {
			return wire.Problems{{
				Path: "retry_of.run_id", Code: wire.CodeExists, Message: fmt.Sprintf("%s executes %s again by now (%s)", run.ID, id, run.Status),
				Fix: "wait for its end, cancel it, or give the new run an id of its own",
			}}
		}
	}
	return nil
}
