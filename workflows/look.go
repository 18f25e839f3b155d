package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// lookAfter is how long a step on a queue of its own is in flight before somebody looks whether the queue has workers,
	// and lookAtMost how long at most it is from one look to the next.
	lookAfter  = 30 * time.Second
	lookAtMost = 5 * time.Minute
)

// look is who looks whether the queues that steps in flight lie in have workers. Steps wait for these without bound, and
// only this tells a person why.
type look struct {
	pause    time.Duration
	timer    workflow.Future
	answer   workflow.Future
	unpolled []string
}

func (l *look) somethingEnded() bool {
	return l.timer != nil && l.timer.IsReady() || l.answer != nil && l.answer.IsReady()
}

func (r *run) lookAtQueues(ctx workflow.Context) {
	if ctx.Err() != nil || r.look.timer != nil || r.look.answer != nil {
		return
	}
	if len(r.ownQueues()) > 0 || len(r.look.unpolled) > 0 {
		r.look.pause = min(max(2*r.look.pause, lookAfter), lookAtMost)
		r.look.timer = workflow.NewTimerWithOptions(ctx, r.look.pause, workflow.TimerOptions{Summary: "look for workers"})
	}
}

// ownQueues are the task queues besides the location's own that steps in flight lie in, sorted.
func (r *run) ownQueues() []string {
	var queues []string
	for _, p := range r.pending {
		name := r.kind(p.step).Queue
		if queue := wire.NamedQueue(r.queue, name); name != "" && p.inFlight() && !slices.Contains(queues, queue) {
			queues = append(queues, queue)
		}
	}
	slices.Sort(queues)
	return queues
}

func (r *run) collectLook(ctx workflow.Context) {
	l := &r.look
	if l.timer != nil && l.timer.IsReady() {
		l.timer = nil
		// When no step lies in a queue of its own any more, the records are told that too.
		if queues := r.ownQueues(); len(queues)+len(l.unpolled) > 0 && ctx.Err() == nil && r.status != wire.RunCanceling {
			l.answer = workflow.ExecuteActivity(controlOptions(ctx, r.queue, "pollers"), wire.PollersActivity, wire.PollersInput{RunID: r.id, Queues: queues})
		}
	}
	if l.answer != nil && l.answer.IsReady() {
		var found wire.PollersResult
		if l.answer.Get(ctx, &found) == nil {
			l.unpolled = found.Unpolled
		}
		l.answer = nil
	}
}

// isUnpolled says whether nobody was seen to take steps from a step's queue.
func (r *run) isUnpolled(step int) (queue string, unpolled bool) {
	name := r.kind(step).Queue
	queue = wire.NamedQueue(r.queue, name)
	return queue, name != "" && slices.Contains(r.look.unpolled, queue)
}
