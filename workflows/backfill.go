package workflows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// Backfill is the workflow of a backfill: it has the request planned, and activities work on it until nothing is left. Its
// input is one wire.BackfillRequest; the second argument is what an execution that continued as new carries along, and
// refused from anybody else. Its result is a wire.BackfillResult.
//
// All that matters is in Postgres: the workflow only sees to it that somebody works on it. It fails with
// wire.FailureInvalidRequest when the request is refused, with wire.FailureBackfillFailed when a partition failed or the
// definitions do not fit any more, and ends as cancelled when it was cancelled.
func Backfill(ctx workflow.Context, request, carried converter.RawValue) (wire.BackfillResult, error) {
	b := newBackfill(ctx)
	if err := b.handle(ctx); err != nil {
		return wire.BackfillResult{}, err
	}
	if err := b.decode(ctx, request, carried); err != nil {
		return wire.BackfillResult{}, err
	}
	if dryRun, err := b.plan(ctx); dryRun != nil || err != nil {
		return wire.BackfillResult{BackfillID: b.id, Assets: []wire.BackfillAsset{}, Plan: dryRun}, err
	}
	return b.work(ctx)
}

const (
	// firstPatience is how long the first activity works on a backfill, so that its progress is seen soon; each after it
	// works twice as long, at most mostPatience.
	firstPatience = 5 * time.Second
	mostPatience  = time.Minute
	// backfillTimeout is when an activity that works on a backfill counts as lost although it sends heartbeats.
	backfillTimeout = 10 * time.Minute
	// continueBackfillAfter is the number of history events from which a backfill continues as new, unless planning says another.
	continueBackfillAfter = 2000
	// backfillMaxAge is how long an execution lives at most: long-lived workflows continue as new daily.
	backfillMaxAge = 24 * time.Hour
)

// backfill is the state of one backfill's execution.
type backfill struct {
	id         string
	firstRunID string
	queue      string
	request    wire.BackfillRequest
	shown      json.RawMessage
	progress   wire.BackfillProgress
	begun      bool
	patience   time.Duration
	// oneSteers lets what people want be written down one after the other, so that the last of it stands.
	oneSteers workflow.Mutex
	// continueAfter is the number of history events from which it continues as new.
	continueAfter int
	// asked is how many signals have come, answered how many of them were written down, and askedPaused what the last asks for.
	asked, answered int
	askedPaused     bool
	signals         []workflow.ReceiveChannel
	turns           *turns
	// steers and changes are how many times somebody has wanted something, and that was written.
	steers, changes int
	// activities numbers those that work on it, for their ids.
	activities int
}

func newBackfill(ctx workflow.Context) *backfill {
	info := workflow.GetInfo(ctx)
	return &backfill{
		id: info.WorkflowExecution.ID, firstRunID: info.FirstRunID, queue: info.TaskQueueName, patience: firstPatience, oneSteers: workflow.NewMutex(ctx),
		progress: wire.BackfillProgress{BackfillID: info.WorkflowExecution.ID, Status: wire.BackfillRequested, Assets: []wire.BackfillAsset{}},
	}
}

// carriedBackfill is what a backfill takes along when it continues as new. It lies in histories: fields are only added.
type carriedBackfill struct {
	V             int                   `json:"v"`
	Progress      wire.BackfillProgress `json:"progress"`
	ContinueAfter int                   `json:"continue_after,omitempty"`
}

func (b *backfill) decode(ctx workflow.Context, request, carried converter.RawValue) error {
	if carried.Payload() != nil && workflow.GetInfo(ctx).ContinuedExecutionRunID != "" {
		var state carriedBackfill
		if err := converter.GetDefaultDataConverter().FromPayload(carried.Payload(), &state); err != nil {
			return fmt.Errorf("read what backfill %q carried along: %w", b.id, err)
		}
		if state.V > wire.Version {
			return fmt.Errorf("what backfill %q carried along has version %d, this worker reads up to %d: upgrade it", b.id, state.V, wire.Version)
		}
		b.shown, b.progress, b.begun, b.patience = inputOf(request), state.Progress, true, mostPatience
		b.continueAfter = state.ContinueAfter
		return nil
	}
	problems := wire.Decode(inputOf(request), &b.request)
	if carried.Payload() != nil {
		problems = append(problems, wire.Problem{
			Code: wire.CodeConflict, Message: "a second argument was given", Fix: "Backfill takes one JSON object",
		})
	}
	if len(problems) > 0 {
		return b.refuse(ctx, request, problems)
	}
	return nil
}

func (b *backfill) refuse(ctx workflow.Context, request converter.RawValue, problems wire.Problems) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	input := inputOf(request)
	err := workflow.ExecuteActivity(controlOptions(ctx, b.queue, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: b.id, FirstRunID: b.firstRunID, WorkflowType: wire.BackfillWorkflow,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return refusal("backfill request", problems)
}

// plan has the request planned, unless that was done before. A result is the answer to a dry run.
func (b *backfill) plan(ctx workflow.Context) (*wire.BackfillPlan, error) {
	if b.begun {
		return nil, nil
	}
	var planned wire.PlanBackfillResult
	// As for a run: a cancel does not leave half of it behind.
	planning, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteActivity(controlOptions(planning, b.queue, "plan"), wire.PlanBackfillActivity, wire.PlanBackfillInput{
		BackfillID: b.id, FirstRunID: b.firstRunID, Queue: b.queue, Request: b.request,
	}).Get(planning, &planned)
	if err != nil {
		return nil, refusedAs("backfill request", err)
	}
	if planned.DryRun == nil {
		b.progress, b.continueAfter = planned.Progress, planned.ContinueAfter
		b.begun = true
	}
	return planned.DryRun, nil
}

// work has the backfill worked on until it is done, is cancelled, or cannot go on.
func (b *backfill) work(ctx workflow.Context) (wire.BackfillResult, error) {
	for {
		b.showDetails(ctx)
		switch {
		case b.progress.Status.Ended():
			return b.endAgain(ctx)
		case ctx.Err() != nil || b.progress.Status == wire.BackfillCanceling:
			return b.cancel(ctx)
		case b.progress.Status == wire.BackfillFailing:
			return b.fail(ctx, b.progress.Reason)
		}
		if err := b.continueAsNew(ctx); err != nil {
			return wire.BackfillResult{}, err
		}
		if b.progress.Paused && b.progress.Runs.Open == 0 {
			changes := b.changes
			age, stop := workflow.WithCancel(ctx)
			tooOld := workflow.NewTimerWithOptions(age, backfillMaxAge, workflow.TimerOptions{Summary: "paused"})
			// The error is the cancellation, which the next round sees in ctx.
			_ = workflow.Await(ctx, func() bool { return b.changes != changes || tooOld.IsReady() })
			if !tooOld.IsReady() {
				stop()
				continue
			}
			if err := b.nextExecution(ctx); ctx.Err() == nil {
				return wire.BackfillResult{}, err
			}
			continue
		}
		advanced, err := b.advance(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			return wire.BackfillResult{}, err
		case advanced.Broken != "":
			return b.fail(ctx, advanced.Broken)
		case advanced.Done:
			return b.end(ctx, wire.BackfillSucceeded, "")
		}
	}
}

// advance has an activity work on the backfill for a while. A cancel is written down at once, where the activity reads it.
func (b *backfill) advance(ctx workflow.Context) (wire.AdvanceBackfillResult, error) {
	var advanced wire.AdvanceBackfillResult
	b.activities++
	changes := b.changes
	working, _ := workflow.NewDisconnectedContext(ctx)
	future := workflow.ExecuteActivity(b.options(working, "advance"), wire.AdvanceBackfillActivity, b.input())
	if err := workflow.Await(ctx, future.IsReady); err != nil {
		if _, err := b.steer(working, wire.SteerBackfillInput{Status: wire.BackfillCanceling}); err != nil {
			return advanced, err
		}
	}
	err := future.Get(working, &advanced)
	if err == nil {
		steered := b.progress
		b.progress = advanced.Progress
		if b.changes != changes {
			// The activity may have looked before it was steered, and a backfill that was resumed must not rest.
			b.progress.Status, b.progress.Paused, b.progress.MaxConcurrentRuns = steered.Status, steered.Paused, steered.MaxConcurrentRuns
		}
		b.patience = min(2*b.patience, mostPatience)
	}
	return advanced, err
}

func (b *backfill) input() wire.BackfillInput {
	return wire.BackfillInput{BackfillID: b.id, FirstRunID: b.firstRunID, Patience: b.patience}
}

func (b *backfill) options(ctx workflow.Context, id string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: fmt.Sprintf("%s%s:%d", wire.SystemPrefix, id, b.activities), TaskQueue: wire.ControlQueue(b.queue),
		StartToCloseTimeout: backfillTimeout, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(), WaitForCancellation: true,
	})
}

// cancel ends a backfill that was cancelled: its runs are cancelled, and their ends awaited.
func (b *backfill) cancel(ctx workflow.Context) (wire.BackfillResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := b.stop(ctx, wire.BackfillCanceling, ""); err != nil {
		return wire.BackfillResult{}, err
	}
	result, err := b.record(ctx, wire.BackfillCanceled, "")
	if err != nil {
		return wire.BackfillResult{}, err
	}
	return wire.BackfillResult{}, temporal.NewCanceledError(result)
}

// fail ends a backfill that cannot go on: likewise, but as a failure.
func (b *backfill) fail(ctx workflow.Context, reason string) (wire.BackfillResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := b.stop(ctx, wire.BackfillFailing, reason); err != nil {
		return wire.BackfillResult{}, err
	}
	return b.end(ctx, wire.BackfillBroken, reason)
}

// endAgain ends the workflow as the records say that the backfill has ended: it was reset to before its end.
func (b *backfill) endAgain(ctx workflow.Context) (wire.BackfillResult, error) {
	if b.progress.Status != wire.BackfillCanceled {
		return b.end(ctx, b.progress.Status, b.progress.Reason)
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	result, err := b.record(ctx, b.progress.Status, b.progress.Reason)
	if err != nil {
		return wire.BackfillResult{}, err
	}
	return wire.BackfillResult{}, temporal.NewCanceledError(result)
}

// stop ends the open runs.
func (b *backfill) stop(ctx workflow.Context, status wire.BackfillStatus, reason string) error {
	if _, err := b.steer(ctx, wire.SteerBackfillInput{Status: status, Reason: reason}); err != nil {
		return err
	}
	b.patience = firstPatience
	for {
		b.showDetails(ctx)
		var stopped wire.StopBackfillResult
		b.activities++
		if err := workflow.ExecuteActivity(b.options(ctx, "stop"), wire.StopBackfillActivity, b.input()).Get(ctx, &stopped); err != nil {
			return fmt.Errorf("stop the runs of backfill %q: %w", b.id, err)
		}
		b.progress = stopped.Progress
		if stopped.Stopped {
			return nil
		}
		b.patience = mostPatience
	}
}

// end records a backfill that is over, and fails its workflow when something of it failed.
func (b *backfill) end(ctx workflow.Context, status wire.BackfillStatus, reason string) (wire.BackfillResult, error) {
	// A cancel that arrives now comes too late.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	result, err := b.record(ctx, status, reason)
	if err != nil || result.Status == wire.BackfillSucceeded {
		return result, err
	}
	return wire.BackfillResult{}, temporal.NewNonRetryableApplicationError(backfillMessage(result), wire.FailureBackfillFailed, nil, result)
}

func (b *backfill) record(ctx workflow.Context, status wire.BackfillStatus, reason string) (wire.BackfillResult, error) {
	var result wire.BackfillResult
	err := workflow.ExecuteActivity(controlOptions(ctx, b.queue, "end"), wire.EndBackfillActivity, wire.EndBackfillInput{
		BackfillID: b.id, FirstRunID: b.firstRunID, Status: status, Reason: reason,
	}).Get(ctx, &result)
	if err != nil {
		return result, fmt.Errorf("record the end of backfill %q: %w", b.id, err)
	}
	b.progress.Status, b.progress.Assets, b.progress.Runs = result.Status, result.Assets, result.Runs
	b.progress.Failures, b.progress.Reason, b.progress.TimeLeft = result.Failures, result.Reason, ""
	b.showDetails(ctx)
	return result, workflow.Await(ctx, b.settled(ctx))
}

// settled is whether nothing that somebody asked for is in flight.
func (b *backfill) settled(ctx workflow.Context) func() bool {
	return func() bool {
		for _, signals := range b.signals {
			if signals.Len() > 0 {
				return false
			}
		}
		return b.answered == b.asked && workflow.AllHandlersFinished(ctx)
	}
}

// backfillMessage says in a line what of a backfill failed.
func backfillMessage(result wire.BackfillResult) string {
	failed, blocked := 0, 0
	for _, asset := range result.Assets {
		failed += asset.Failed
		blocked += asset.Blocked
	}
	message := fmt.Sprintf("%d partitions failed, and %d wait for them", failed, blocked)
	if result.Reason != "" {
		message = result.Reason
	}
	if len(result.Failures) > 0 {
		message += ": " + result.Failures[0].RunID + ": " + firstLine(result.Failures[0].Message)
	}
	return message
}

// continueAsNew starts the next execution when the history has grown. Nothing is in flight then, and all that matters is in
// Postgres.
func (b *backfill) continueAsNew(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	age := workflow.Now(ctx).Sub(info.WorkflowStartTime)
	if info.GetCurrentHistoryLength() < cmp.Or(b.continueAfter, continueBackfillAfter) && !info.GetContinueAsNewSuggested() && age < backfillMaxAge {
		return nil
	}
	return b.nextExecution(ctx)
}

func (b *backfill) nextExecution(ctx workflow.Context) error {
	// An update that is being answered, and a signal that is being written down, end in this execution; so does what comes meanwhile.
	for ctx.Err() == nil {
		_ = b.turns.all(ctx) // the errors are the cancellation, which the next round sees
		if b.settled(ctx)() {
			break
		}
		_ = workflow.Await(ctx, b.settled(ctx))
	}
	if ctx.Err() == nil {
		return b.next(ctx)
	}
	return nil
}

func (b *backfill) next(ctx workflow.Context) error {
	if b.shown == nil {
		shown, err := showableBackfill(b.request)
		if err != nil {
			return fmt.Errorf("show the request of backfill %q to its next execution: %w", b.id, err)
		}
		b.shown = shown
	}
	return workflow.NewContinueAsNewError(ctx, wire.BackfillWorkflow, b.shown, carriedBackfill{
		V: wire.Version, Progress: b.progress, ContinueAfter: b.continueAfter,
	})
}

// showableBackfill is what is worth reading of a request that has been planned, as for a run.
func showableBackfill(request wire.BackfillRequest) (json.RawMessage, error) {
	request.Config = nil
	data, err := json.Marshal(request)
	if err != nil || len(data) <= maxShown {
		return data, err
	}
	return json.Marshal(wire.BackfillRequest{Job: request.Job, Priority: request.Priority, Title: request.Title, Cause: request.Cause})
}
