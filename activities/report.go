package activities

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure-io/perdure/wire"
)

// Report records what happened elsewhere, checked against the location's active snapshot. Called again it changes nothing. A
// request with problems is refused with all of them; the one row that remembers it is all that changes.
func (a *Activities) Report(ctx context.Context, input wire.ReportInput) (wire.ReportResult, error) {
	defer keepAlive(ctx)()
	definitions, _, err := a.definitions(ctx)
	if err != nil {
		return wire.ReportResult{}, err
	}
	result, err := a.Starter.RecordReport(ctx, definitions.Planner, input.ReportID, input.Request)
	if problems := wire.ProblemsOf(err); problems != nil {
		return wire.ReportResult{}, a.refuseReport(ctx, input, problems)
	}
	if err != nil {
		return wire.ReportResult{}, planFailure(fmt.Errorf("record report %q: %w", input.ReportID, err))
	}
	return result, nil
}

func (a *Activities) refuseReport(ctx context.Context, input wire.ReportInput, problems wire.Problems) error {
	request, err := json.Marshal(input.Request)
	if err != nil {
		return fmt.Errorf("remember the refused request of %q: %w", input.ReportID, err)
	}
	return a.refused(ctx, wire.RefuseInput{
		WorkflowID: input.ReportID, FirstRunID: input.FirstRunID, WorkflowType: wire.ReportEventWorkflow, Input: string(request), Problems: problems,
	})
}
