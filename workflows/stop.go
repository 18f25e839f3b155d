package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// startClock starts the timer of a run that may take only so long; it counts from the run's beginning.
func (r *run) startClock(ctx workflow.Context) {
	if !r.deadline.IsZero() {
		r.overdue = workflow.NewTimerWithOptions(ctx, max(r.deadline.Sub(workflow.Now(ctx)), 0), workflow.TimerOptions{Summary: "longest time of the run"})
	}
}

// isOverdue says whether the run has taken too long. Who asks it of a run that is cancelled asks in vain: that stops the
// clock too.
func (r *run) isOverdue() bool { return r.overdue != nil && r.overdue.IsReady() }

// cancel ends a run that was cancelled: steps in flight have been told, and are waited for.
func (r *run) cancel(ctx workflow.Context) (wire.RunResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := r.stop(ctx, ""); err != nil {
		return wire.RunResult{}, err
	}
	return r.record(ctx, wire.RunCanceled, "")
}

// timeOut ends a run that has taken too long: likewise, but as a failure.
func (r *run) timeOut(ctx workflow.Context) (wire.RunResult, error) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	reason := wire.TooLong(r.walkPlan.Timeout)
	r.reason = reason
	if err := r.stop(ctx, reason); err != nil {
		return wire.RunResult{}, err
	}
	return r.record(ctx, wire.RunFailure, reason)
}

// stop waits until every step in flight has ended that was told to, and counts the others as cancelled.
func (r *run) stop(ctx workflow.Context, reason string) error {
	r.status, r.overdue = wire.RunCanceling, nil
	_, _, _, known := r.progress.Counts()
	canceling := workflow.ExecuteActivity(controlOptions(ctx, r.queue, "canceling"), wire.CancelingActivity,
		wire.CancelingInput{RunID: r.id, FirstRunID: r.firstRunID, Reason: reason})
	r.hooks.due = nil
	for !r.isDrained() {
		// What a failure left behind before the cancel is recorded as that, not as cancelled.
		r.recordDecided(ctx)
		r.showDetails(ctx)
		if err := workflow.Await(ctx, r.somethingEnded); err != nil {
			return err
		}
		r.collect(ctx)
		r.recordComputed()
		if r.err != nil {
			return r.err
		}
	}
	var recorded wire.CancelingResult
	if err := canceling.Get(ctx, &recorded); err != nil {
		return fmt.Errorf("record that run %q is being cancelled: %w", r.id, err)
	}
	if recorded.Ended > known.Succeeded+known.Failed {
		r.coverRest()
	}
	r.progress.CancelRest()
	return nil
}

// coverRest has every step recorded as cancelled that has not ended. The run's end closes what is open, but not what a
// reset undid: the records say how such a step ended before, and only the run knows that this does not count any more.
func (r *run) coverRest() {
	r.unscheduled = map[int]bool{}
	for i := range r.progress.Len() {
		if r.isStep(i) && !r.progress.Status(i).Ended() {
			r.unscheduled[i] = r.progress.Status(i) == wire.StepWaiting
			r.decided = append(r.decided, i)
		}
	}
	for _, p := range r.pending {
		r.unscheduled[p.step] = !p.begun() && (p.remote == nil || p.remote.scheduled == 0)
	}
}
