package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// mostAwaited is how many of the open runs a tick listens for: it waits for all of them, and looks again as one ends.
const mostAwaited = 20

// overlapGate decides what becomes of ticks while runs of their schedule are open, one tick after the other.
type overlapGate struct {
	*scheduleWork
	// waits is the first tick that waits, and reason why.
	waits  string
	reason string
}

// others are the open runs of the schedule that a tick has not asked for itself.
func (g *overlapGate) others(ctx context.Context, tick metadata.Tick) ([]metadata.TriggerRun, error) {
	open, err := g.a.Store.OpenTriggerRuns(ctx, g.id)
	if err != nil {
		return nil, planFailure(err)
	}
	return slices.DeleteFunc(open, func(run metadata.TriggerRun) bool {
		return slices.ContainsFunc(tick.Runs, func(own wire.TickRun) bool { return own.RunID == run.RunID && !own.Known })
	}), nil
}

// skips says why a tick is not even evaluated; "" is that it is.
func (g *overlapGate) skips(ctx context.Context) (string, error) {
	switch g.definition.Overlap {
	case plan.OverlapSkip:
		open, err := g.others(ctx, metadata.Tick{})
		if err != nil || len(open) == 0 {
			return "", err
		}
		return fmt.Sprintf("%s, and overlap is skip", openRuns(open)), nil
	case plan.OverlapBufferOne:
		if g.waits != "" {
			return fmt.Sprintf("the tick of %s waits already, and overlap is buffer_one", g.waits), nil
		}
	case plan.OverlapAllowAll, plan.OverlapBufferAll, plan.OverlapCancelOther, plan.OverlapTerminateOther:
	}
	return "", nil
}

// mayWait says whether a tick of the schedule may have to wait for the ends of runs.
func (w *scheduleWork) mayWait() bool {
	return w.definition.Overlap != plan.OverlapAllowAll && w.definition.Overlap != plan.OverlapSkip
}

// readsRuns says that the open runs are about to be read: an end from now on wakes the workflow, if it listens.
func (w *scheduleWork) readsRuns(ctx context.Context) error {
	if !w.mayWait() {
		return nil
	}
	_, err := w.a.Store.CleanListener(ctx, activity.GetInfo(ctx).WorkflowExecution.ID)
	return planFailure(err)
}

// listen has the workflow woken when a run that a tick waits for ends or is refused. The first time it is woken at once: one may have
// ended since it was read.
func (w *scheduleWork) listen(ctx context.Context) error {
	if !w.mayWait() {
		return nil
	}
	workflow := activity.GetInfo(ctx).WorkflowExecution.ID
	if w.result.Waiting == "" {
		return planFailure(w.a.Store.Unsubscribe(ctx, workflow))
	}
	listener := metadata.Listener{Wake: metadata.Wake{ID: workflow}, Location: w.id.Location, Kind: string(w.id.Kind), Name: w.id.Name}
	for _, run := range w.awaited {
		for _, end := range []metadata.EventType{metadata.EventRunSuccess, metadata.EventRunFailure, metadata.EventRunCanceled, metadata.EventRunRefused} {
			listener.Subscriptions = append(listener.Subscriptions, metadata.Subscription{Type: end, Run: run})
		}
	}
	_, err := w.a.Store.Subscribe(ctx, listener)
	return planFailure(err)
}

// holds says what the runs of a tick wait for; "" is nothing.
func (g *overlapGate) holds(ctx context.Context, tick metadata.Tick) (string, error) {
	policy := g.definition.Overlap
	if !g.mayWait() {
		return "", nil
	}
	if g.waits != "" {
		return fmt.Sprintf("waits for the tick of %s before it", g.waits), nil
	}
	open, err := g.others(ctx, tick)
	if err != nil || len(open) == 0 {
		return "", err
	}
	reason := fmt.Sprintf("waits: %s, and overlap is %s", openRuns(open), policy)
	if policy == plan.OverlapCancelOther || policy == plan.OverlapTerminateOther {
		if err := g.stop(ctx, tick, open); err != nil {
			return "", err
		}
	}
	g.waits, g.reason = g.inZone(tick.Nominal), reason
	for _, run := range open[:min(len(open), mostAwaited)] {
		g.awaited = append(g.awaited, run.RunID)
	}
	return reason, nil
}

// stop cancels or terminates the open runs.
func (g *overlapGate) stop(ctx context.Context, tick metadata.Tick, open []metadata.TriggerRun) error {
	for _, run := range open {
		var err error
		switch {
		case g.definition.Overlap == plan.OverlapTerminateOther:
			err = g.a.Client.TerminateWorkflow(ctx, run.RunID, "", fmt.Sprintf("the tick of %s of schedule %s takes its place", g.inZone(tick.Nominal), g.id.Name))
			if err == nil || gone(err) {
				_, _, err = g.a.Starter.EndDeadRun(ctx, run.RunID)
			}
		case run.Status != wire.RunCanceling:
			err = g.a.Client.CancelWorkflow(ctx, run.RunID, "")
		}
		if err != nil && !gone(err) && !errors.Is(err, metadata.ErrNotFound) {
			return planFailure(fmt.Errorf("end run %q for the next tick of %s: %w", run.RunID, g.id, err))
		}
	}
	return nil
}

// gone says that Temporal has no open execution of that id.
func gone(err error) bool {
	_, is := errors.AsType[*serviceerror.NotFound](err)
	return is
}

// openRuns names open runs in a sentence.
func openRuns(open []metadata.TriggerRun) string {
	text := fmt.Sprintf("run %s is open", open[0].RunID)
	if open[0].Status != "" {
		text += fmt.Sprintf(" (%s)", open[0].Status)
	}
	if len(open) > 1 {
		text += fmt.Sprintf(", and %d more are", len(open)-1)
	}
	return text
}
