package workflows

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// ReportEvent is the workflow that records what happened elsewhere, under its own id. Its input is one wire.ReportRequest, a
// second argument is refused. Its result is a wire.ReportResult. It fails with wire.FailureInvalidRequest when the request is
// refused; a cancel comes too late.
func ReportEvent(ctx workflow.Context, request, more converter.RawValue) (wire.ReportResult, error) {
	// What was reported is recorded, or remembered as refused, even when it is cancelled meanwhile.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	info := workflow.GetInfo(ctx)
	input := wire.ReportInput{ReportID: info.WorkflowExecution.ID, FirstRunID: info.FirstRunID}
	problems := wire.Decode(inputOf(request), &input.Request)
	if more.Payload() != nil {
		problems = append(problems, wire.Problem{Code: wire.CodeConflict, Message: "a second argument was given", Fix: "ReportEvent takes one JSON object"})
	}
	if len(problems) > 0 {
		return wire.ReportResult{}, refuseReport(ctx, request, problems)
	}
	var result wire.ReportResult
	err := workflow.ExecuteActivity(controlOptions(ctx, info.TaskQueueName, "report"), wire.ReportActivity, input).Get(ctx, &result)
	if err != nil {
		return wire.ReportResult{}, refusedAs("report", err)
	}
	return result, nil
}

func refuseReport(ctx workflow.Context, request converter.RawValue, problems wire.Problems) error {
	info, input := workflow.GetInfo(ctx), inputOf(request)
	err := workflow.ExecuteActivity(controlOptions(ctx, info.TaskQueueName, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: info.WorkflowExecution.ID, FirstRunID: info.FirstRunID, WorkflowType: wire.ReportEventWorkflow,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return refusal("report", problems)
}
