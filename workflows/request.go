package workflows

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// inputOf is an argument's JSON; nil when none was given.
func inputOf(argument converter.RawValue) []byte {
	payload := argument.Payload()
	if payload == nil {
		return nil
	}
	if isNull(payload) {
		return []byte("null")
	}
	return payload.GetData()
}

func isNull(payload *commonpb.Payload) bool {
	return string(payload.GetMetadata()[converter.MetadataEncoding]) == converter.MetadataEncodingNil
}

// rememberedInput is how much of a refused input is remembered, in bytes: as text in JSON the whole of a large one may
// be more than Temporal takes.
const rememberedInput = 64 << 10

// decode reads the request or, instead, what an earlier execution of the run carried along. A request that
// is refused is remembered by one row and nothing else.
func (r *run) decode(ctx workflow.Context, request, carried converter.RawValue) error {
	if carried.Payload() != nil && workflow.GetInfo(ctx).ContinuedExecutionRunID != "" {
		r.shown = inputOf(request)
		var state carry
		if err := converter.GetDefaultDataConverter().FromPayload(carried.Payload(), &state); err != nil {
			return fmt.Errorf("read what run %q carried along: %w", r.id, err)
		}
		return r.restore(state)
	}
	problems := wire.Decode(inputOf(request), &r.request)
	if carried.Payload() != nil {
		problems = append(problems, wire.Problem{
			Code: wire.CodeConflict, Message: "a second argument was given", Fix: "Run takes one JSON object",
		})
	}
	if len(problems) > 0 {
		return r.refuse(ctx, request, problems)
	}
	return nil
}

func (r *run) refuse(ctx workflow.Context, request converter.RawValue, problems wire.Problems) error {
	// What was asked for is remembered even when it is cancelled meanwhile.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	input := inputOf(request)
	err := workflow.ExecuteActivity(controlOptions(ctx, r.queue, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: r.id, FirstRunID: r.firstRunID, WorkflowType: wire.RunWorkflow,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return invalidRequest(problems)
}
