package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// end records a run whose steps have all ended, and fails the workflow when one of them failed.
func (r *run) end(ctx workflow.Context) (wire.RunResult, error) {
	// A cancel that arrives now comes too late: the run's end is being recorded.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	// A step that a person cancelled is not a success either, and what needs it was left out.
	if _, _, _, counts := r.progress.Counts(); counts.Failed > 0 || counts.Canceled > 0 {
		return r.record(ctx, wire.RunFailure, "")
	}
	return r.record(ctx, wire.RunSuccess, "")
}

// record records how the run ends, and ends its workflow the same way: a run that failed fails it. What stands in the records
// already is how it ends, also when it came about otherwise: a workflow task whose answer Temporal did not take had recorded
// it, say because a cancel arrived just then.
func (r *run) record(ctx workflow.Context, status wire.RunStatus, reason string) (wire.RunResult, error) {
	if err := r.awaitRecords(ctx, func() bool { return true }); err != nil {
		return wire.RunResult{}, err
	}
	var result wire.RunResult
	err := r.promptly(ctx, "end", wire.EndRunActivity, wire.EndRunInput{
		RunID: r.id, FirstRunID: r.firstRunID, Status: status, Reason: reason,
		Execution: workflow.GetInfo(ctx).WorkflowExecution.RunID, At: workflow.Now(ctx).UnixNano(),
	}, &result)
	if err != nil {
		return wire.RunResult{}, fmt.Errorf("record the end of run %q: %w", r.id, err)
	}
	r.status = result.Status
	r.showDetails(ctx)
	if err := r.markStatus(ctx); err != nil {
		return wire.RunResult{}, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return wire.RunResult{}, err
	}
	switch result.Status {
	case wire.RunFailure:
		return wire.RunResult{}, temporal.NewNonRetryableApplicationError(failureMessage(result), wire.FailureRunFailed, nil, result)
	case wire.RunCanceled:
		return wire.RunResult{}, temporal.NewCanceledError(result)
	default:
		return result, nil
	}
}

// failureMessage names the first failed steps.
func failureMessage(result wire.RunResult) string {
	const named = 3
	var b strings.Builder
	if result.Reason != "" {
		b.WriteString(result.Reason + "; ")
	}
	if result.Steps.Failed == 0 {
		fmt.Fprintf(&b, "%d steps were cancelled", result.Steps.Canceled)
	} else {
		fmt.Fprintf(&b, "%d of %d steps failed", result.Steps.Failed, result.Steps.Failed+result.Steps.Succeeded+result.Steps.Skipped+result.Steps.Canceled)
	}
	for i, failure := range result.Failures {
		if i == named {
			fmt.Fprintf(&b, "; and %d more", result.Steps.Failed-named)
			break
		}
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + failure.Step + ": " + firstLine(failure.Message))
	}
	return b.String()
}

// maxLine is how much of a failure's first line is shown and carried along, in bytes: a user's message may be of any length.
const maxLine = 1000

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > maxLine {
		return cut(line, maxLine) + "…"
	}
	return line
}
