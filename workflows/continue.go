package workflows

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// drainPatience is how long nothing new is started so that a run may continue as new.
	drainPatience = 3 * time.Second
	// stragglerAge is the age from which a step in flight is not expected to end within a drain.
	stragglerAge = 10 * time.Second
	// eventsPerStep is what a step in flight may still add to the history, workflow tasks included.
	eventsPerStep = 6
	// forceSize is the history's size, in bytes, at which a run must continue as new; Temporal ends it at 50 MB.
	forceSize = 40 << 20
)

// carry is what a run takes along when it continues as new. It lies in histories: fields are only added.
type carry struct {
	V int `json:"v"`
	// Walk is as plan.EncodeWalk writes it, State as plan.EncodeState.
	Walk     []byte                 `json:"walk"`
	State    []byte                 `json:"state"`
	Failures []wire.StepFailureInfo `json:"failures,omitempty"`
	// Hooks are still to be called, Delayed the remote steps between two attempts.
	Hooks   []dueHook     `json:"hooks,omitempty"`
	Delayed []delayedStep `json:"delayed,omitempty"`
	// Unpolled are the queues of which the records say that nobody polls them.
	Unpolled []string `json:"unpolled,omitempty"`
	// Deadline is when the run has taken too long; zero is never.
	Deadline time.Time `json:"deadline,omitzero"`
	// Queued is what a run waits for that may not begin yet.
	Queued string `json:"queued,omitempty"`
}

func (r *run) restore(carried carry) error {
	if carried.V > wire.Version {
		return fmt.Errorf("what run %q carried along has version %d, this worker reads up to %d: upgrade it", r.id, carried.V, wire.Version)
	}
	walk, err := plan.DecodeWalk(carried.Walk)
	if err != nil {
		return fmt.Errorf("what run %q carried along: %w", r.id, err)
	}
	state, err := plan.DecodeState(carried.State)
	if err != nil {
		return fmt.Errorf("what run %q carried along: %w", r.id, err)
	}
	progress, err := plan.RestoreProgress(walk, state)
	if err != nil {
		return fmt.Errorf("what run %q carried along: %w", r.id, err)
	}
	r.encoded = carried.Walk
	r.begin(walk, progress)
	r.failures, r.deadline, r.hooks.due = carried.Failures, carried.Deadline, carried.Hooks
	r.look.unpolled = carried.Unpolled
	if carried.Queued != "" {
		r.status, r.queuedFor = wire.RunQueued, carried.Queued
	}
	for _, step := range carried.Delayed {
		r.delayed[step.Step] = step
	}
	r.begun = true
	return nil
}

// continueAsNew starts the run's next execution when the history has grown and nothing is in flight,
// for an activity does not survive it. Long before Temporal's limit it only tries: it holds back new steps for a few
// seconds, unless a step in flight has already run longer than that. Near the limit it waits for as long as it takes.
func (r *run) continueAsNew(ctx workflow.Context) error {
	events := workflow.GetInfo(ctx).GetCurrentHistoryLength()
	limits := r.walkPlan.Limits
	force := events >= limits.ForceAfter-eventsPerStep*len(r.pending) || !hasRoom(ctx)
	if (events < r.nextContinue && !force) || !r.advanced || r.progress.Done() {
		return nil
	}
	drained := r.isDrained()
	switch {
	case drained:
	case force:
		drained = r.drain(ctx, 0)
	case !r.hasStraggler(ctx):
		drained = r.drain(ctx, drainPatience)
	}
	if !drained {
		r.nextContinue = events + limits.ContinueAfter
		return nil
	}
	return r.continued(ctx)
}

// isDrained says whether nothing is in flight that the next execution would not hear of.
func (r *run) isDrained() bool {
	return r.inFlight() == 0 && len(r.hooks.running) == 0 && r.local.checkpoint == nil && r.slots.asking == nil
}

func (r *run) hasStraggler(ctx workflow.Context) bool {
	for _, p := range r.pending {
		if p.inFlight() && p.begun() && workflow.Now(ctx).Sub(p.scheduledAt) > stragglerAge {
			return true
		}
	}
	return false
}

// drain waits until nothing is in flight, at most for patience; 0 waits without bound. It says whether
// that came about. Cancellation ends it early, and so does the run's own time.
func (r *run) drain(ctx workflow.Context, patience time.Duration) bool {
	until := workflow.Now(ctx).Add(patience)
	for !r.isDrained() && r.err == nil && !r.isOverdue() {
		if patience == 0 {
			if hasRoom(ctx) {
				r.recordDecided(ctx)
			}
			r.showDetails(ctx)
			if workflow.Await(ctx, r.somethingEnded) != nil {
				return false
			}
		} else if ended, err := workflow.AwaitWithTimeout(ctx, until.Sub(workflow.Now(ctx)), r.drainGoesOn); err != nil || !ended {
			return false
		}
		r.collect(ctx)
		r.recordComputed()
	}
	return r.err == nil && ctx.Err() == nil && !r.isOverdue() && !r.progress.Done()
}

// drainGoesOn says whether there is reason to look again in a drain that has little time: everything has ended that was in
// flight, or a step of several activities goes on to its next.
func (r *run) drainGoesOn() bool {
	if r.isOverdue() {
		return true
	}
	everything := (r.local.checkpoint == nil || r.local.checkpointEnded()) && (r.slots.asking == nil || r.slots.asking.IsReady())
	for _, running := range r.hooks.running {
		everything = everything && running.IsReady()
	}
	for _, p := range r.pending {
		if p.remote != nil && p.ended() {
			return true
		}
		everything = everything && (!p.inFlight() || p.ended())
	}
	return everything
}

// recordComputed has the results recorded of what other programs have computed: these are not left to the next execution.
func (r *run) recordComputed() {
	free := r.places()
	for _, p := range r.pending {
		if p.isComputed() {
			r.beginRemote(p, &free)
		}
	}
}

// hasRoom says whether the history may grow by more than what is in flight.
func hasRoom(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetCurrentHistorySize() < forceSize
}

func (r *run) continued(ctx workflow.Context) error {
	// What there is no room to record travels along.
	if err := r.awaitRecords(ctx, func() bool { return hasRoom(ctx) }); err != nil {
		return err
	}
	// Who cancels one step hears how it ended: also a step that did not hold up the drain, and is being closed now.
	settled := func() bool { return r.isDrained() && workflow.AllHandlersFinished(ctx) }
	for !settled() && ctx.Err() == nil && r.err == nil && !r.isOverdue() {
		// The error is the cancellation.
		_ = workflow.Await(ctx, func() bool { return settled() || r.somethingEnded() })
		r.collect(ctx)
	}
	if ctx.Err() == nil && r.err == nil && !r.isOverdue() {
		return r.nextExecution(ctx)
	}
	// Cancelled or overdue meanwhile: this execution is the one that records it.
	return nil
}

func (r *run) nextExecution(ctx workflow.Context) error {
	if r.shown == nil {
		shown, err := showable(r.request)
		if err != nil {
			return fmt.Errorf("show the request of run %q to its next execution: %w", r.id, err)
		}
		r.shown = shown
	}
	state := r.progress.State()
	state.Decided = slices.Concat(r.decided, state.Decided)
	encoded, err := plan.EncodeState(state)
	if err != nil {
		return fmt.Errorf("continue run %q as new: %w", r.id, err)
	}
	next := carry{
		V: wire.Version, Walk: r.encoded, State: encoded, Failures: r.failures, Hooks: r.hooks.due, Deadline: r.deadline,
		Unpolled: r.look.unpolled, Queued: r.queuedFor,
	}
	for _, p := range r.pending {
		if p.remote != nil && p.remote.scheduled != 0 {
			r.delayed[p.step] = delayedStep{Step: p.step, Scheduled: p.remote.scheduled, Until: p.remote.until}
		}
	}
	for step := range r.progress.Len() {
		if delayed, ok := r.delayed[step]; ok {
			next.Delayed = append(next.Delayed, delayed)
		}
	}
	return workflow.NewContinueAsNewError(ctx, wire.RunWorkflow, r.shown, next)
}

// maxShown is how much of a request the executions after the first show, in bytes of JSON.
const maxShown = 4 << 10

// showable is what is worth reading of a request that has been planned, in Temporal's Web UI: nothing else reads it.
func showable(request wire.RunRequest) (json.RawMessage, error) {
	request.Config = nil
	data, err := json.Marshal(request)
	if err != nil || len(data) <= maxShown {
		return data, err
	}
	return json.Marshal(wire.RunRequest{Job: request.Job, Priority: request.Priority, Title: request.Title, Cause: request.Cause})
}
