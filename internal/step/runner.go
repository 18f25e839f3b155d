package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	beatInterval = time.Second
	// trustClaim is how long a claim is believed without asking: Temporal gives a step to another attempt
	// only after a heartbeat timeout, which is longer.
	trustClaim = 5 * time.Second
	// abandonAfter is how long a function that ignores its context is waited for.
	abandonAfter = 10 * time.Second
	// claimPatience is how long a claim waits in place for a ledger that is away. An attempt that did not hear the answer
	// and asks again is known; the next one would take it for a worker that died.
	claimPatience = 25 * time.Second
	// claimTimeout bounds one such try, so that there is a second one.
	claimTimeout = 8 * time.Second
	// closePrintsTimeout bounds how long the end of a step waits for its output to be stored.
	closePrintsTimeout = 10 * time.Second
	// releaseTimeout bounds giving a claim back.
	releaseTimeout = 5 * time.Second
	// The pauses between tries while the ledger is away.
	firstPause = time.Second
	maxPause   = 10 * time.Second
)

// Runner runs attempts at steps.
type Runner struct {
	Ledger Ledger
	Log    *slog.Logger
	// Worker names host and process, Build the build id, in the records.
	Worker, Build string
	// Patience is how long a commit waits in place for a ledger that is away.
	Patience time.Duration
	// Random is from [0, 1), for jitter.
	Random func() float64
	// Lines records what steps log, beside Log; nil records nothing. Level is the least level of what it records where the
	// run's config says nothing; the zero value is INFO.
	Lines Lines
	Level slog.Level
	// Printer takes what steps print; nil is the process's own output.
	Printer Printer
}

// Identity says which attempt this is. Scheduled and Started are the activity's times.
type Identity struct {
	Run, Step          string
	Scheduled, Started time.Time
}

// Run makes one attempt: it returns what the step materialized, now or in an earlier attempt, or one
// of the package's errors.
func (r *Runner) Run(ctx context.Context, code *Code, id Identity, heartbeat Heartbeat) (result wire.StepResult, err error) {
	e := &execution{runner: r, code: code, id: id, heartbeat: heartbeat, live: &live{}, log: r.Log.With("run", id.Run, "step", id.Step)}
	// Until it is known to be of no use, the heartbeat keeps what an earlier attempt had staged.
	e.carried.inherit(e.previous())
	stop := e.keepBeating(ctx)
	defer stop()
	defer func() {
		if value := recover(); value != nil {
			result, err = wire.StepResult{}, e.fail(ctx, &panicError{value: value, stack: string(debug.Stack())})
		}
	}()
	defer e.closePrints(ctx)
	done, err := e.claim(ctx)
	if err != nil || done != nil {
		return resultOf(done), err
	}
	return e.run(ctx)
}

func resultOf(result *wire.StepResult) wire.StepResult {
	if result == nil {
		return wire.StepResult{}
	}
	return *result
}

// execution is the state of one attempt.
type execution struct {
	runner    *Runner
	code      *Code
	id        Identity
	heartbeat Heartbeat
	log       *slog.Logger

	attempt   *Attempt
	fence     wire.Fence
	claimedAt time.Time
	released  bool
	carried   carried
	// live is what the function tells while it runs.
	live *live
}

// claim asks for the step. A non-nil result means that it is already done.
func (e *execution) claim(ctx context.Context) (*wire.StepResult, error) {
	var claim wire.Claim
	err := e.patiently(ctx, "claim", claimPatience, func() (err error) {
		try, cancel := context.WithTimeoutCause(ctx, claimTimeout, errNoAnswer)
		defer cancel()
		claim, err = e.runner.Ledger.Claim(try, wire.ClaimRequest{
			Run: e.id.Run, Step: e.id.Step,
			Scheduled: e.id.Scheduled.UnixNano(), Started: e.id.Started.UnixNano(),
			Type: e.code.Type, Shape: e.code.Shape,
			Worker: e.runner.Worker, Build: e.runner.Build,
		})
		if err != nil && errors.Is(context.Cause(try), errNoAnswer) {
			err = fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	switch claim.Outcome {
	case wire.ClaimGranted:
		return nil, e.begin(ctx, claim)
	case wire.ClaimDone:
		if claim.Result == nil {
			return &wire.StepResult{}, nil
		}
		return claim.Result, nil
	default:
		return nil, Refusal(e.id, e.code, claim)
	}
}

// Refusal is why a claim was not granted, as one of the package's errors.
func Refusal(id Identity, code *Code, claim wire.Claim) error {
	switch claim.Outcome {
	case wire.ClaimWaiting:
		return &WaitingError{Step: id.Step, Holder: *claim.Holder}
	case wire.ClaimOtherShape:
		return &OtherShapeError{Step: id.Step, Type: code.Type, Shape: code.Shape}
	case wire.ClaimLost:
		return &LostError{Step: id.Step, Workers: claim.Workers}
	case wire.ClaimUnknown:
		return &UnknownStepError{Run: id.Run, Step: id.Step}
	case wire.ClaimSuperseded:
		return &SupersededError{Step: id.Step, When: "at the claim"}
	default:
		return fmt.Errorf("claim %s: the ledger answered %q, which this build does not know: upgrade the worker", id.Step, claim.Outcome)
	}
}

func (e *execution) begin(ctx context.Context, claim wire.Claim) error {
	e.fence = wire.Fence{Run: e.id.Run, Step: e.id.Step, Scheduled: e.id.Scheduled.UnixNano(), Token: claim.Token}
	var step plan.Step
	if err := json.Unmarshal(claim.Plan, &step); err != nil {
		err = fmt.Errorf("read the plan of %s: %w", e.id.Step, err)
		e.release(ctx, err)
		return err
	}
	e.claimedAt = time.Now()
	claimed := &Attempt{
		Context: ctx, Plan: step, Run: e.id.Run, Cause: claim.Cause, Tags: claim.Tags, Job: claim.Job,
		Step: e.id.Step, MappingKey: claim.MappingKey,
		Number: claim.Attempt, Token: claim.Token, Inputs: InputsByPartition(claim.Inputs), Values: claim.Values, Loaded: claim.Loaded,
		live: e.live,
	}
	claimed.prints = &prints{printer: e.runner.Printer, of: claimed.execution()}
	var err error
	if claimed.Log, err = e.logger(claimed); err != nil {
		claimed.Log = e.log
	}
	e.attempt = claimed
	if err != nil {
		return e.fail(ctx, err)
	}
	return nil
}

// keepBeating beats until the returned function is called.
func (e *execution) keepBeating(ctx context.Context) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(beatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.heartbeat.Beat(Beat{StagedOutputs: e.carried.carry(), Progress: e.live.shown()})
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}

func (e *execution) run(ctx context.Context) (wire.StepResult, error) {
	staged, err := e.resume(ctx)
	if err != nil {
		return wire.StepResult{}, err
	}
	if staged == nil {
		outputs, err := e.compute(ctx)
		if err != nil {
			return wire.StepResult{}, e.fail(ctx, err)
		}
		if staged, err = e.stage(ctx, outputs); err != nil {
			return wire.StepResult{}, e.fail(ctx, err)
		}
	}
	return e.publish(ctx, staged)
}

// closePrints keeps what was printed.
func (e *execution) closePrints(ctx context.Context) {
	if e.attempt == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePrintsTimeout)
	defer cancel()
	if err := e.attempt.prints.close(ctx); err != nil {
		e.log.Warn("some of what the step printed is not stored", "error", err)
	}
}

// fail ends an attempt that went wrong: it records what is the user's, and passes on what is not.
func (e *execution) fail(ctx context.Context, cause error) error {
	if e.attempt == nil {
		return fmt.Errorf("claim %s: %w", e.id.Step, cause)
	}
	if ctx.Err() != nil {
		return e.interrupted(ctx)
	}
	if isOutage(cause) {
		e.release(ctx, cause)
		return fmt.Errorf("%s: %w", e.id.Step, cause)
	}
	failed := &FailedError{Step: e.id.Step, Attempt: e.attempt.Number, Cause: cause, Metadata: metadataOf(cause)}
	failed.Final, failed.Delay = e.decide(cause)
	failed.Stack = stackOf(cause)
	record := wire.Failure{
		Fence: e.fence, Final: failed.Final, Delay: failed.Delay, Attempt: e.attempt.Number, Worker: e.runner.Worker,
		Error:  wire.ErrorInfo{Message: cause.Error(), Stack: failed.Stack, Metadata: failed.Metadata},
		Events: e.live.recorded(),
	}
	var refused bool
	err := e.patiently(ctx, "record the failure of", e.runner.Patience, func() (err error) {
		refused, err = e.runner.Ledger.Fail(ctx, record)
		return err
	})
	switch {
	case err != nil:
		e.release(ctx, cause)
		return fmt.Errorf("%w (the failure itself: %w)", err, cause)
	case refused:
		return &SupersededError{Step: e.id.Step, When: "when recording a failure"}
	}
	return failed
}

// patiently calls the ledger again and again while it is away, for as long as patience
// lasts; the heartbeat goes on meanwhile.
func (e *execution) patiently(ctx context.Context, what string, patience time.Duration, call func() error) error {
	deadline := time.Now().Add(patience)
	pause := firstPause
	for {
		err := call()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			// What the call says then is only that.
			return e.interrupted(ctx)
		}
		if !errors.Is(err, ErrUnavailable) || time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("%s %s: %w", what, e.id.Step, err)
		}
		e.log.Warn("the ledger is away, waiting", "error", err)
		select {
		case <-ctx.Done():
			return e.interrupted(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// interrupted gives the claim back, so that its end does not count as a lost worker.
func (e *execution) interrupted(ctx context.Context) error {
	cause := context.Cause(ctx)
	e.release(ctx, cause)
	return &InterruptedError{Step: e.id.Step, Cause: cause}
}

// release is a courtesy: a claim that is not given back is taken over, and counted as lost.
func (e *execution) release(ctx context.Context, cause error) {
	if e.fence.Token == 0 || e.released {
		return // nothing was granted, or it is given back
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := e.runner.Ledger.Release(ctx, e.fence, cause); err != nil {
		e.log.Warn("the claim was not given back", "error", err)
		return
	}
	e.released = true
}
