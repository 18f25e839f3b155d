package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// pendingStep is a step that was taken from those that are ready: its activity, and then perhaps the record of how it ended.
type pendingStep struct {
	step        int
	scheduledAt time.Time
	ctx         workflow.Context
	cancel      workflow.CancelFunc
	// future is what the step waits for; nil while it waits for a place among the steps of its kind.
	future workflow.Future
	// remote is set of a step that another program computes, local while the future is a local activity.
	remote *remoteStep
	local  bool
	// handedOver is set of a local step that goes on as an activity, for another worker.
	handedOver bool
	// closing is set while a failure that no attempt recorded is being recorded.
	closing workflow.Future
	closed  wire.ClosedStep
	// canceled is set when a person cancelled this one step.
	canceled bool
}

func (p *pendingStep) begun() bool { return p.future != nil || p.closing != nil }

func (p *pendingStep) ended() bool {
	switch {
	case p.closing != nil:
		return p.closing.IsReady()
	case p.future != nil:
		return p.future.IsReady()
	default:
		return false
	}
}

// inFlight says whether something of the step would be lost if the execution ended now.
func (p *pendingStep) inFlight() bool { return p.begun() && !p.isDelayed() || p.isComputed() }

func (r *run) inFlight() int {
	count := 0
	for _, p := range r.pending {
		if p.inFlight() {
			count++
		}
	}
	return count
}

// settle decides how a step ended; false means that it goes on, or that its end is still being recorded.
func (r *run) settle(ctx workflow.Context, p *pendingStep) bool {
	switch {
	case p.closing != nil:
		return r.settleClosed(ctx, p)
	case p.remote != nil:
		return r.settleRemote(ctx, p)
	}
	var raw converter.RawValue
	err := p.future.Get(ctx, &raw)
	switch {
	case p.local:
		return r.settleLocal(ctx, p, inputOf(raw), err)
	case err != nil:
		return r.settleFailed(ctx, p, err)
	default:
		return r.succeed(ctx, p, inputOf(raw))
	}
}

// settleFailed decides how a step ended whose activity did not return a result.
func (r *run) settleFailed(ctx workflow.Context, p *pendingStep, err error) bool {
	var failed *temporal.ApplicationError
	switch {
	case errors.As(err, &failed) && failed.Type() == wire.FailureStepFailed:
		r.fail(p.step, failed.Message())
		return true
	case wasCanceled(err) && !p.canceled && (ctx.Err() != nil || r.status == wire.RunCanceling):
		// The whole run is being cancelled: its end closes the step, and what needs it.
		return true
	case wasCanceled(err):
		r.close(ctx, p, wire.ClosedStep{Status: wire.StepCanceled})
	default:
		r.close(ctx, p, wire.ClosedStep{Status: wire.StepFailed, Error: cut(cause(err), maxText)})
	}
	return false
}

// close has a step's end recorded that no attempt recorded. An attempt may still be alive somewhere, so that the step
// counts as ended only when it is closed.
func (r *run) close(ctx workflow.Context, p *pendingStep, how wire.ClosedStep) {
	how.Step = r.key(p.step)
	p.closed = how
	p.closing = r.closeSteps(ctx, []wire.ClosedStep{p.closed})
}

// wasCanceled says whether a step ended because that was asked for: also when the attempt failed before it heard of it,
// and Temporal made no other.
func wasCanceled(err error) bool {
	var ended *temporal.ActivityError
	return temporal.IsCanceledError(err) || errors.As(err, &ended) && ended.RetryState() == enums.RETRY_STATE_CANCEL_REQUESTED
}

// cause is why an activity failed, without Temporal's numbers of its events, which mean nothing to whoever reads it.
func cause(err error) string {
	var (
		ended       *temporal.ActivityError
		application *temporal.ApplicationError
	)
	switch {
	case errors.As(err, &application):
		return application.Message()
	case errors.As(err, &ended) && ended.Unwrap() != nil:
		return ended.Unwrap().Error()
	default:
		return err.Error()
	}
}

func (r *run) settleClosed(ctx workflow.Context, p *pendingStep) bool {
	var result wire.CloseStepsResult
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := p.closing.Get(ctx, &result); err != nil {
		r.err = fmt.Errorf("record how %s of run %q ended: %w", p.closed.Step, r.id, err)
		return true
	}
	switch {
	case len(result.Done) > 0:
		// It had committed after all: its answer was lost on the way here.
		r.done(p.step, result.Done[0].Result)
	case len(result.Failed) > 0:
		// Likewise: its failure had been recorded.
		r.fail(p.step, result.Failed[0].Error)
	case p.closed.Status == wire.StepSuccess:
		r.done(p.step, wire.StepResult{})
	case p.closed.Status == wire.StepCanceled:
		r.progress.Cancel(p.step)
	default:
		r.fail(p.step, p.closed.Error)
	}
	return true
}

// succeed takes a step's result. One that a person gave by `temporal activity complete` may be any
// JSON: the step is recorded as done by hand, with all its outputs taken as emitted.
func (r *run) succeed(ctx workflow.Context, p *pendingStep, raw []byte) (settled bool) {
	var result wire.StepResult
	if json.Unmarshal(raw, &result) == nil && result.Recorded {
		r.done(p.step, result)
		return true
	}
	if r.progress.Step(p.step).Fan {
		// Which steps are mapped over it nobody has said.
		r.close(ctx, p, wire.ClosedStep{
			Status: wire.StepFailed,
			Error:  fmt.Sprintf("%s was completed by hand, which does not say under which keys its dynamic output lies: run it again", r.key(p.step)),
		})
		return false
	}
	r.close(ctx, p, wire.ClosedStep{Status: wire.StepSuccess})
	return false
}

func (r *run) done(step int, result wire.StepResult) {
	r.progress.Succeed(step, result.NotEmitted, result.Keys)
	r.hook(step, wire.StepSuccess, "")
}

func (r *run) fail(step int, message string) {
	if len(r.failures) < maxFailures {
		r.failures = append(r.failures, wire.StepFailureInfo{Step: r.key(step), Message: firstLine(message)})
	}
	r.progress.Fail(step)
	r.hook(step, wire.StepFailed, message)
}
