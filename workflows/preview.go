package workflows

import (
	"cmp"
	"fmt"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// Preview is the workflow that evaluates a schedule or a sensor to see what it would start. Its input is one wire.PreviewRequest, a second
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
	options := evaluateOptions(ctx, workflow.GetInfo(ctx).TaskQueueName, "preview", cmp.Or(input.Request.Schedule, input.Request.Sensor))
	if err := workflow.ExecuteActivity(options, wire.PreviewActivity, input).Get(ctx, &result); err != nil {
		return wire.PreviewResult{}, refusedAs("preview", err)
	}
	return result, nil
}

func previewProblems(request wire.PreviewRequest) wire.Problems {
	var problems wire.Problems
	switch {
	case request.Schedule == "" && request.Sensor == "":
		problems = append(problems, wire.Problem{
			Path: "schedule", Code: wire.CodeMissing, Message: "no schedule or sensor was named", Fix: `give {"schedule":"NAME"}, or {"sensor":"NAME"}`,
		})
	case request.Schedule != "" && request.Sensor != "":
		problems = append(problems, wire.Problem{Path: "sensor", Code: wire.CodeConflict, Message: `"schedule" and "sensor" are given`, Fix: "give one of them"})
	case request.Sensor == "" && (request.Events != nil || request.Cursor != nil):
		problems = append(problems, wire.Problem{Path: "events", Code: wire.CodeConflict, Message: "events and a cursor are for a sensor", Fix: "leave them out"})
	case request.Sensor != "" && request.At != "":
		problems = append(problems, wire.Problem{Path: "at", Code: wire.CodeConflict, Message: "a sensor is not evaluated at a time", Fix: "leave it out"})
	}
	if len(request.Events) > eventBatch {
		problems = append(problems, wire.Problem{
			Path: "events", Code: wire.CodeTooLarge, Message: fmt.Sprintf("%d events are given, and an evaluation is given %d", len(request.Events), eventBatch), Fix: "give fewer",
		})
	}
	for i, event := range request.Events {
		if event.Payload == nil {
			problems = append(problems, wire.Problem{Path: wire.ItemPath("events", i) + ".payload", Code: wire.CodeMissing, Message: "there is no payload", Fix: "give one"})
		}
	}
	if request.At != "" {
		problems = append(problems, timeProblems(request.At)...)
	}
	return problems
}
