package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// cancel ends a run that was cancelled: steps in flight have been told, and are waited for.
func (r *run) cancel(ctx workflow.Context) (wire.RunResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	r.status = wire.RunCanceling
	for len(r.pending) > 0 {
		// What a failure left behind before the cancel is recorded as that, not as cancelled.
		r.recordDecided(ctx)
		r.showDetails(ctx)
		if err := workflow.Await(ctx, r.somethingEnded); err != nil {
			return wire.RunResult{}, err
		}
		r.collect(ctx)
		if r.err != nil {
			return wire.RunResult{}, r.err
		}
	}
	r.progress.CancelRest()
	result, err := r.record(ctx, wire.RunCanceled)
	if err != nil {
		return wire.RunResult{}, err
	}
	return wire.RunResult{}, temporal.NewCanceledError(result)
}

// end records a run whose steps have all ended, and fails the workflow when one of them failed.
func (r *run) end(ctx workflow.Context) (wire.RunResult, error) {
	_, _, _, counts := r.progress.Counts()
	status := wire.RunSuccess
	switch {
	case counts.Failed > 0:
		status = wire.RunFailure
	case counts.Canceled > 0:
		// A step that a person cancelled is not a success, and what needs it was left out.
		status = wire.RunFailure
	}
	// A cancel that arrives now comes too late: the run's end is being recorded.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	result, err := r.record(ctx, status)
	if err != nil {
		return wire.RunResult{}, err
	}
	if status == wire.RunFailure {
		return wire.RunResult{}, temporal.NewNonRetryableApplicationError(failureMessage(result), wire.FailureRunFailed, nil, result)
	}
	return result, nil
}

func (r *run) record(ctx workflow.Context, status wire.RunStatus) (wire.RunResult, error) {
	if err := r.awaitRecords(ctx, func() bool { return true }); err != nil {
		return wire.RunResult{}, err
	}
	var result wire.RunResult
	err := workflow.ExecuteActivity(controlOptions(ctx, r.queue, "end"), wire.EndRunActivity, wire.EndRunInput{
		RunID: r.id, FirstRunID: r.firstRunID, Status: status,
	}).Get(ctx, &result)
	if err != nil {
		return wire.RunResult{}, fmt.Errorf("record the end of run %q: %w", r.id, err)
	}
	r.status = status
	r.showDetails(ctx)
	if err := r.markStatus(ctx); err != nil {
		return wire.RunResult{}, err
	}
	return result, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// failureMessage names the first failed steps.
func failureMessage(result wire.RunResult) string {
	const named = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d steps failed", result.Steps.Failed, result.Steps.Failed+result.Steps.Succeeded+result.Steps.Skipped+result.Steps.Canceled)
	if result.Steps.Failed == 0 {
		b.Reset()
		fmt.Fprintf(&b, "%d steps were cancelled", result.Steps.Canceled)
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
