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

// pendingStep is a step in flight: its activity, and then perhaps the record of how it ended.
type pendingStep struct {
	step        int
	scheduledAt time.Time
	future      workflow.Future
	cancel      workflow.CancelFunc
	// closing is set while a failure that no attempt recorded is being recorded.
	closing workflow.Future
	closed  wire.ClosedStep
	// canceled is set when a person cancelled this one step.
	canceled bool
}

// walk starts each step the moment its last need is met, until nothing is left or the run is cancelled.
func (r *run) walk(ctx workflow.Context) (wire.RunResult, error) {
	for {
		r.collect(ctx)
		if r.err != nil {
			return wire.RunResult{}, r.err
		}
		if ctx.Err() != nil {
			return r.cancel(ctx)
		}
		if err := r.continueAsNew(ctx); err != nil {
			return wire.RunResult{}, err
		}
		if r.err != nil {
			return wire.RunResult{}, r.err
		}
		r.dispatch(ctx)
		r.recordDecided(ctx)
		r.showDetails(ctx)
		if r.progress.Done() && len(r.pending) == 0 {
			return r.end(ctx)
		}
		// The error is the cancellation, which the next round sees in ctx.
		_ = workflow.Await(ctx, r.somethingEnded)
	}
}

// somethingEnded scans instead of selecting: with hundreds of futures that is much the cheaper way. Whoever awaits it
// must collect, and then recordDecided.
func (r *run) somethingEnded() bool {
	for _, p := range r.pending {
		if p.ended() {
			return true
		}
	}
	return r.somethingRecorded()
}

func (p *pendingStep) ended() bool {
	if p.closing != nil {
		return p.closing.IsReady()
	}
	return p.future.IsReady()
}

func (r *run) dispatch(ctx workflow.Context) {
	for ctx.Err() == nil && len(r.pending) < r.walkPlan.Limits.MaxConcurrentSteps {
		i, ok := r.progress.NextReady()
		if !ok {
			return
		}
		r.schedule(ctx, i)
	}
}

func (r *run) schedule(ctx workflow.Context, i int) {
	step := r.walkPlan.Steps[i]
	stepCtx, cancel := workflow.WithCancel(ctx)
	future := workflow.ExecuteActivity(
		stepOptions(stepCtx, r.queue, step, r.walkPlan.Kinds[step.Kind]), step.ActivityType(),
		wire.StepInput{Run: r.id, Step: step.Key})
	r.pending = append(r.pending, &pendingStep{step: i, scheduledAt: workflow.Now(ctx), future: future, cancel: cancel})
}

// collect takes in every step, and every record of decided ones, that ended since the last look.
func (r *run) collect(ctx workflow.Context) {
	r.collectRecords(ctx)
	open := r.pending[:0]
	for _, p := range r.pending {
		if !p.ended() || !r.settle(ctx, p) {
			open = append(open, p)
		}
	}
	r.advanced = r.advanced || len(open) < len(r.pending)
	clear(r.pending[len(open):])
	r.pending = open
}

// settle decides how a step ended; false means that this is still being recorded.
func (r *run) settle(ctx workflow.Context, p *pendingStep) bool {
	if p.closing != nil {
		return r.settleClosed(ctx, p)
	}
	var raw converter.RawValue
	err := p.future.Get(ctx, &raw)
	if err == nil {
		return r.succeed(ctx, p, inputOf(raw))
	}
	var failed *temporal.ApplicationError
	switch {
	case errors.As(err, &failed) && failed.Type() == wire.FailureStepFailed:
		r.fail(p.step, failed.Message())
		return true
	case wasCanceled(err) && !p.canceled && (ctx.Err() != nil || r.status == wire.RunCanceling):
		// The whole run is being cancelled: its end closes the step, and what needs it.
		return true
	case wasCanceled(err):
		p.closed = wire.ClosedStep{Step: r.walkPlan.Steps[p.step].Key, Status: wire.StepCanceled}
	default:
		p.closed = wire.ClosedStep{Step: r.walkPlan.Steps[p.step].Key, Status: wire.StepFailed, Error: cut(cause(err), maxText)}
	}
	// Nobody recorded this end, and an attempt may still be alive somewhere: close the step before it counts as ended.
	p.closing = r.closeSteps(ctx, []wire.ClosedStep{p.closed})
	return false
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
		r.progress.Succeed(p.step, result.Done[0].Result.NotEmitted, result.Done[0].Result.Keys)
	case p.closed.Status == wire.StepSuccess:
		r.progress.Succeed(p.step, nil, nil)
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
	if json.Unmarshal(raw, &result) != nil || !result.Recorded {
		p.closed = wire.ClosedStep{Step: r.walkPlan.Steps[p.step].Key, Status: wire.StepSuccess}
		p.closing = r.closeSteps(ctx, []wire.ClosedStep{p.closed})
		return false
	}
	r.progress.Succeed(p.step, result.NotEmitted, result.Keys)
	return true
}

func (r *run) fail(step int, message string) {
	if len(r.failures) < maxFailures {
		r.failures = append(r.failures, wire.StepFailureInfo{Step: r.walkPlan.Steps[step].Key, Message: firstLine(message)})
	}
	r.progress.Fail(step)
}
