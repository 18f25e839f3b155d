package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// remoteClaim is what the end of a remote step must know of its beginning: the attempt that both belong to.
type remoteClaim struct {
	Scheduled int64 `json:"scheduled"`
	Started   int64 `json:"started"`
	Attempt   int   `json:"attempt"`
}

// maxRemoteInput bounds what a remote step's program is given, in bytes of JSON: one workflow task passes several on.
const maxRemoteInput = 64 << 10

// BeginRemote claims a step that another program computes, and answers what that is given. All attempts are one
// scheduling, which the first of them names. A claim that nobody gave back is one under which the program died.
func (a *Activities) BeginRemote(ctx context.Context, input wire.BeginRemoteInput) (wire.BeginRemoteResult, error) {
	defer keepAlive(ctx)()
	info := activity.GetInfo(ctx)
	scheduled := info.ScheduledTime
	if input.Scheduled != 0 {
		scheduled = time.Unix(0, input.Scheduled)
	}
	begun := wire.BeginRemoteResult{Scheduled: scheduled.UnixNano()}
	code, ok := a.Runtime.RemoteCode(input.Type, nil, nil)
	if !ok {
		done, err := a.handBack(ctx, wire.StepInput{Run: input.Run, Step: input.Step}, scheduled, a.unknownHere(input.Type))
		begun.Done = &done
		return begun, err
	}
	record := &ledger{store: a.Store}
	id := step.Identity{Run: input.Run, Step: input.Step, Scheduled: scheduled, Started: info.StartedTime}
	claim, err := record.Claim(ctx, wire.ClaimRequest{
		Run: id.Run, Step: id.Step, Scheduled: scheduled.UnixNano(), Started: info.StartedTime.UnixNano(),
		Type: code.Type, Shape: code.Shape, Worker: "the program on queue " + input.Queue, Build: a.Build,
	})
	switch {
	case err != nil:
		return wire.BeginRemoteResult{}, stepFailure(err)
	case claim.Outcome == wire.ClaimDone:
		begun.Done = &wire.StepResult{}
		if claim.Result != nil {
			begun.Done = claim.Result
		}
		return begun, nil
	case claim.Outcome == wire.ClaimOtherShape:
		done, err := a.handBack(ctx, wire.StepInput{Run: input.Run, Step: input.Step}, scheduled, step.Refusal(id, code, claim).Error())
		begun.Done = &done
		return begun, err
	case claim.Outcome != wire.ClaimGranted:
		if claim.Outcome == wire.ClaimWaiting && info.Attempt%lookAtHolderEvery == 0 {
			a.freeDeadHolder(ctx, *claim.Holder)
		}
		return wire.BeginRemoteResult{}, stepFailure(step.Refusal(id, code, claim))
	}
	return a.begun(ctx, record, id, claim, begun)
}

// begun is the answer to a claim that was granted.
func (a *Activities) begun(ctx context.Context, record *ledger, id step.Identity, claim wire.Claim, begun wire.BeginRemoteResult) (wire.BeginRemoteResult, error) {
	input, err := step.RemoteInput(id, claim)
	if err == nil {
		begun.Input, err = json.Marshal(input)
	}
	if err == nil && len(begun.Input) > maxRemoteInput {
		err = fmt.Errorf("what its program is to be given takes %d KB, at most %d are: give it less config or fewer inputs", len(begun.Input)>>10, maxRemoteInput>>10)
	}
	if err == nil {
		begun.Claim, err = json.Marshal(remoteClaim{Scheduled: begun.Scheduled, Started: id.Started.UnixNano(), Attempt: claim.Attempt})
	}
	if err == nil {
		return begun, nil
	}
	fence := wire.Fence{Run: id.Run, Step: id.Step, Scheduled: begun.Scheduled, Token: claim.Token}
	if _, failErr := record.Fail(ctx, wire.Failure{
		Fence: fence, Final: true, Attempt: claim.Attempt, Worker: a.Worker, Error: wire.ErrorInfo{Message: err.Error()},
	}); failErr != nil {
		return wire.BeginRemoteResult{}, stepFailure(failErr)
	}
	return wire.BeginRemoteResult{}, recorded(err.Error(), "")
}

// EndRemote records what became of a remote step: it stores the values that the program gave, and commits; or it records
// the failure, and answers when the step is tried again. Called again after a worker died it records nothing twice.
func (a *Activities) EndRemote(ctx context.Context, input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
	var claim remoteClaim
	if err := json.Unmarshal(input.Claim, &claim); err != nil {
		return wire.EndRemoteResult{}, temporal.NewNonRetryableApplicationError(fmt.Sprintf("the claim of step %s: %s", input.Step, err), wire.FailureInvalidRequest, err)
	}
	var failure error
	if input.Error != nil {
		failure = step.RemoteFailure(input.Error)
	}
	code, ok := a.Runtime.RemoteCode(input.Type, input.Result, failure)
	if !ok {
		done, err := a.handBack(ctx, wire.StepInput{Run: input.Run, Step: input.Step}, time.Unix(0, claim.Scheduled), a.unknownHere(input.Type))
		return wire.EndRemoteResult{Done: &done}, err
	}
	record := &endedLedger{ledger: &ledger{store: a.Store}, attempt: claim.Attempt}
	stepCtx, beat := newHeartbeat(ctx, a.Client, a.Log, record.concede)
	defer beat.cancel(nil)
	result, err := a.run(stepCtx, code, record, step.Identity{
		Run: input.Run, Step: input.Step, Scheduled: time.Unix(0, claim.Scheduled), Started: time.Unix(0, claim.Started),
	}, beat)
	failed, isFailure := errors.AsType[*step.FailedError](err)
	otherShape, isOtherShape := errors.AsType[*step.OtherShapeError](err)
	switch {
	case err == nil:
		return wire.EndRemoteResult{Done: &result}, nil
	case isOtherShape:
		done, err := a.handBack(ctx, wire.StepInput{Run: input.Run, Step: input.Step}, time.Unix(0, claim.Scheduled), otherShape.Error())
		return wire.EndRemoteResult{Done: &done}, err
	case errors.Is(err, errRecordedBefore):
		return wire.EndRemoteResult{Retry: soon}, nil
	case isFailure && !failed.Final:
		return wire.EndRemoteResult{Retry: max(failed.Delay, soon)}, nil
	default:
		return wire.EndRemoteResult{}, stepFailure(err)
	}
}

// errRecordedBefore means that the failure which is to be recorded is: an earlier attempt at that has died since.
var errRecordedBefore = errors.New("the failure is recorded")

// endedLedger claims for the attempt that began a remote step, which holds it still.
type endedLedger struct {
	*ledger
	attempt int
}

// Claim asks again in the name of the attempt that began. A grant of a later attempt means that this one's failure has
// been recorded; it is given back.
func (l *endedLedger) Claim(ctx context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	claim, err := l.ledger.Claim(ctx, request)
	if err != nil || claim.Outcome != wire.ClaimGranted || claim.Attempt == l.attempt {
		return claim, err
	}
	fence := wire.Fence{Run: request.Run, Step: request.Step, Scheduled: request.Scheduled, Token: claim.Token}
	if err := l.store.Release(ctx, fence, wire.FailureOfUser, "waits for its next attempt"); err != nil {
		return wire.Claim{}, ledgerError(err)
	}
	return wire.Claim{}, errRecordedBefore
}
