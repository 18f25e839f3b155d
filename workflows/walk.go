package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// walk starts each step the moment its last need is met, until nothing is left, the run is cancelled, or it has taken too
// long.
func (r *run) walk(ctx workflow.Context) (wire.RunResult, error) {
	steps, stopSteps := workflow.WithCancel(ctx)
	r.startClock(ctx)
	for {
		r.collect(ctx)
		if r.err != nil {
			return wire.RunResult{}, r.err
		}
		if ctx.Err() != nil {
			return r.cancel(ctx)
		}
		if r.isOverdue() {
			stopSteps()
			return r.timeOut(ctx)
		}
		if err := r.continueAsNew(steps); err != nil {
			return wire.RunResult{}, err
		}
		if r.err != nil {
			return wire.RunResult{}, r.err
		}
		r.dispatch(steps)
		r.askForSlots(steps)
		r.recordDecided(ctx)
		r.startHooks(steps)
		r.lookAtQueues(steps)
		r.showDetails(ctx)
		if r.progress.Done() && len(r.pending) == 0 && r.hooks.done() {
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
	return r.wakes.pending() || r.slots.somethingEnded() || r.somethingRecorded() || r.hooks.somethingEnded() || r.local.checkpointEnded() || r.look.somethingEnded() || r.isOverdue()
}

// dispatch takes ready steps, at most as many as may be pending, and begins what has a place.
func (r *run) dispatch(ctx workflow.Context) {
	for ctx.Err() == nil && len(r.pending) < r.walkPlan.Limits.MaxConcurrentSteps && len(r.hooks.due) < maxDueHooks {
		i, ok := r.progress.NextReady()
		if !ok {
			break
		}
		stepCtx, cancel := workflow.WithCancel(ctx)
		r.pending = append(r.pending, &pendingStep{step: i, ctx: stepCtx, cancel: cancel})
	}
	r.beginPending(ctx)
}

// beginPending begins the pending steps that wait for a place and find one: the kinds of steps share the places among the
// pending steps, but some are bounded more closely.
func (r *run) beginPending(ctx workflow.Context) {
	p := r.places()
	for _, waiting := range r.pending {
		if !waiting.begun() && ctx.Err() == nil {
			r.beginStep(waiting, &p)
		}
	}
	r.checkpoint(ctx, p)
}

func (r *run) beginStep(p *pendingStep, free *places) {
	switch kind := r.kind(p.step); {
	case kind.Remote:
		r.beginRemote(p, free)
	case kind.Local && !p.handedOver:
		r.startLocal(p, free)
	default:
		r.startActivity(p)
	}
}

func (r *run) startActivity(p *pendingStep) {
	kind, step := r.kind(p.step), r.progress.Step(p.step)
	key := r.key(p.step)
	r.started(p, workflow.ExecuteActivity(
		stepOptions(p.ctx, r.queue, key, summaryOf(step), kind), step.ActivityType(),
		wire.StepInput{Run: r.id, Step: key, Subprocess: kind.Subprocess}))
}

// started notes what a step waits for from now on.
func (r *run) started(p *pendingStep, future workflow.Future) {
	p.future, p.scheduledAt = future, workflow.Now(p.ctx)
}

// collect takes in everything that ended since the last look.
func (r *run) collect(ctx workflow.Context) {
	r.collectRecords(ctx)
	r.collectHooks(ctx)
	r.collectCheckpoint(ctx)
	r.collectLook(ctx)
	r.collectSlots()
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
