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
	// Walk is as plan.EncodeWalk writes it.
	Walk     []byte                 `json:"walk"`
	State    plan.State             `json:"state"`
	Failures []wire.StepFailureInfo `json:"failures,omitempty"`
}

func (r *run) restore(state carry) error {
	if state.V > wire.Version {
		return fmt.Errorf("what run %q carried along has version %d, this worker reads up to %d: upgrade it", r.id, state.V, wire.Version)
	}
	walk, err := plan.DecodeWalk(state.Walk)
	if err != nil {
		return fmt.Errorf("what run %q carried along: %w", r.id, err)
	}
	progress, err := plan.RestoreProgress(walk, state.State)
	if err != nil {
		return fmt.Errorf("what run %q carried along: %w", r.id, err)
	}
	r.encoded = state.Walk
	r.begin(walk, progress)
	r.failures = state.Failures
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
	drained := len(r.pending) == 0
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

func (r *run) hasStraggler(ctx workflow.Context) bool {
	// The oldest is first.
	return len(r.pending) > 0 && workflow.Now(ctx).Sub(r.pending[0].scheduledAt) > stragglerAge
}

// drain waits until nothing is in flight, at most for patience; 0 waits without bound. It says whether
// that came about. Cancellation ends it early.
func (r *run) drain(ctx workflow.Context, patience time.Duration) bool {
	for len(r.pending) > 0 && r.err == nil {
		if patience == 0 {
			if hasRoom(ctx) {
				r.recordDecided(ctx)
			}
			r.showDetails(ctx)
			if workflow.Await(ctx, r.somethingEnded) != nil {
				return false
			}
		} else if ended, err := workflow.AwaitWithTimeout(ctx, patience, r.everythingEnded); err != nil || !ended {
			return false
		}
		r.collect(ctx)
	}
	return r.err == nil && ctx.Err() == nil && !r.progress.Done()
}

// hasRoom says whether the history may grow by more than what is in flight.
func hasRoom(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetCurrentHistorySize() < forceSize
}

func (r *run) everythingEnded() bool {
	for _, p := range r.pending {
		if !p.ended() {
			return false
		}
	}
	return true
}

func (r *run) continued(ctx workflow.Context) error {
	// What there is no room to record travels along.
	if err := r.awaitRecords(ctx, func() bool { return hasRoom(ctx) }); err != nil {
		return err
	}
	// The error is the cancellation.
	_ = workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	if ctx.Err() == nil {
		return r.nextExecution(ctx)
	}
	// Cancelled meanwhile: this execution is the one that records it.
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
	return workflow.NewContinueAsNewError(ctx, wire.RunWorkflow, r.shown, carry{
		V: wire.Version, Walk: r.encoded, State: state, Failures: r.failures,
	})
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
