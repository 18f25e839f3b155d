package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// slotWindow is how many steps of one run wait for slots of one pool at a time: a run of 10,000 does not fill the queue.
	slotWindow = 50
	// maxClaims is for how many steps one activity asks.
	maxClaims = 200
	// manyAnswers is after how many answers a run may continue as new although none of its steps has ended.
	manyAnswers = 100
)

// slots is how the steps of pools come by their slots: one local activity asks for all that are ready, at most one at a time.
// Who frees a slot hands it in Postgres to a step that waits, and wakes its run; a slow timer is the last resort.
type slots struct {
	// asking is the activity that asks, for the steps asked; local while it is a local one.
	asking workflow.Future
	ctx    workflow.Context
	local  bool
	asked  []int
	// due are the steps to ask for again.
	due     []int
	answers int
	// reasons are, by pool, who holds the slots.
	reasons map[string]string
	timer   workflow.Future
	pause   time.Duration
}

func (s *slots) somethingEnded() bool {
	return s.asking != nil && s.asking.IsReady() || s.timer != nil && s.timer.IsReady()
}

// askForSlots asks for slots for steps that have become ready, and again for those that somebody may have got one for.
func (r *run) askForSlots(ctx workflow.Context) {
	s := &r.slots
	if ctx.Err() != nil || s.asking != nil || !r.walkPlan.Pools {
		return
	}
	if len(r.hooks.due) < maxDueHooks {
		s.due = append(s.due, r.progress.AskForSlots(min(slotWindow, r.walkPlan.Limits.MaxConcurrentSteps-len(r.pending)))...)
	}
	s.asked = s.asked[:0]
	for len(s.due) > 0 && len(s.asked) < maxClaims {
		if step := s.due[0]; r.progress.NeedsSlot(step) {
			s.asked = append(s.asked, step)
		}
		s.due = s.due[1:]
	}
	if len(s.asked) > 0 {
		s.local, s.ctx = true, ctx
		s.asking = workflow.ExecuteLocalActivity(promptOptions(ctx, wire.ClaimSlotsActivity), wire.ClaimSlotsActivity, r.claim())
	}
	if s.timer == nil && len(r.progress.Asked()) > 0 {
		s.pause = min(max(2*s.pause, firstAsk), lastAsk)
		s.timer = workflow.NewTimerWithOptions(ctx, s.pause, workflow.TimerOptions{Summary: "wait for slots of pools"})
	}
}

func (r *run) claim() wire.ClaimSlotsInput {
	input := wire.ClaimSlotsInput{
		RunID: r.id, FirstRunID: r.firstRunID, Steps: make([]wire.PoolStep, len(r.slots.asked)), At: workflow.Now(r.slots.ctx).UnixNano(),
	}
	for i, step := range r.slots.asked {
		kind := r.kind(step)
		input.Steps[i] = wire.PoolStep{Step: r.key(step), Pool: kind.Pool, Order: kind.Order}
	}
	return input
}

// collectSlots takes in what was answered, and who has woken the run.
func (r *run) collectSlots() {
	r.wakes.takeIn()
	s := &r.slots
	if s.timer != nil && s.timer.IsReady() {
		s.timer = nil
		r.wakes.all = true
	}
	if s.asking != nil && s.asking.IsReady() {
		r.collectClaim()
	}
	if r.wakes.all {
		s.due = r.progress.Asked()
	} else {
		for _, key := range r.wakes.steps {
			if step, ok := r.progress.Find(key); ok && r.progress.WasAsked(step) {
				s.due = append(s.due, step)
			}
		}
	}
	r.wakes.forget()
}

func (r *run) collectClaim() {
	s := &r.slots
	var answer wire.ClaimSlotsResult
	err := s.asking.Get(s.ctx, &answer)
	s.asking = nil
	switch {
	case err == nil:
	case s.ctx.Err() != nil:
		return // the run is being stopped
	case s.local:
		// What cannot be done in a moment goes on as an activity, which tries again for as long as it takes.
		s.local = false
		s.asking = workflow.ExecuteActivity(controlOptions(s.ctx, r.queue, "slots"), wire.ClaimSlotsActivity, r.claim())
		return
	default:
		r.err = fmt.Errorf("ask for slots of pools for run %q: %w", r.id, err)
		return
	}
	for _, key := range answer.Granted {
		if step, ok := r.progress.Find(key); ok {
			r.progress.Grant(step)
			s.pause = 0
		}
	}
	if s.reasons == nil {
		s.reasons = map[string]string{}
	}
	for _, wait := range answer.Waiting {
		s.reasons[wait.Pool] = wait.Reason
	}
	s.answers++
	r.advanced = r.advanced || s.answers >= manyAnswers
}

// slotText is the slot that a step waits for, and who has it.
func (r *run) slotText(step int) string {
	pool := r.kind(step).Pool
	if reason := r.slots.reasons[pool]; reason != "" {
		return strings.TrimPrefix(reason, waitsFor)
	}
	return "a slot of the pool " + pool
}

// waitsFor is how what the records say of what waits begins.
const waitsFor = "waits for "
