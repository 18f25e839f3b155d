package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// Preview is the workflow that evaluates a schedule to see what it would start. Its input is one wire.PreviewRequest, a second
// argument is refused. Its result is a wire.PreviewResult; that the user's function fails does not fail it.
func Preview(ctx workflow.Context, request, surplus converter.RawValue) (wire.PreviewResult, error) {
	var input wire.PreviewInput
	problems := wire.Decode(inputOf(request), &input.Request)
	if len(problems) == 0 {
		problems = previewProblems(input.Request)
	}
	if surplus.Payload() != nil {
		problems = append(problems, wire.Problem{Code: wire.CodeConflict, Message: "a second argument was given", Fix: "Preview takes one JSON object"})
	}
	if len(problems) > 0 {
		return wire.PreviewResult{}, refuseRequest(ctx, wire.PreviewWorkflow, "preview", request, problems)
	}
	var result wire.PreviewResult
	options := evaluateOptions(ctx, workflow.GetInfo(ctx).TaskQueueName, "preview", input.Request.Schedule)
	if err := workflow.ExecuteActivity(options, wire.PreviewActivity, input).Get(ctx, &result); err != nil {
		return wire.PreviewResult{}, refusedAs("preview", err)
	}
	return result, nil
}

func previewProblems(request wire.PreviewRequest) wire.Problems {
	var problems wire.Problems
	if request.Schedule == "" {
		problems = append(problems, wire.Problem{Path: "schedule", Code: wire.CodeMissing, Message: "no schedule was named", Fix: `give {"schedule":"NAME"}`})
	}
	if request.At == "" {
		return problems
	}
	if _, err := time.Parse(time.RFC3339, request.At); err != nil {
		problems = append(problems, wire.Problem{
			Path: "at", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no time of RFC 3339", request.At), Fix: "give one such as 2001-04-01T06:00:00Z",
		})
	}
	return problems
}
