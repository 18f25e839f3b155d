//go:build unix

package testlocation

import (
	"context"
	"slices"

	"github.com/perdure-io/perdure/metadata"
)

// QueueCheck is what a group of runs was bound by.
type QueueCheck struct {
	// Runs are their ids, of which at most MostRuns may have been in progress at once.
	Runs     []string
	MostRuns int
	// Pool is that of some of their steps.
	Pool string
}

// VerifyQueue looks whether ended runs kept to their limit at every position of the log, and left no slot behind.
func (i *Instance) VerifyQueue(ctx context.Context, check QueueCheck) (Verdict, error) {
	v := &verifier{instance: i}
	var events []metadata.Event
	queued := map[string]bool{}
	for _, run := range check.Runs {
		found, err := i.Store.Events(ctx, 0, metadata.EventFilter{Run: run, Types: []metadata.EventType{
			metadata.EventRunEnqueued, metadata.EventRunStarting, metadata.EventRunStart,
			metadata.EventRunSuccess, metadata.EventRunFailure, metadata.EventRunCanceled,
		}}, pageLimit)
		if err != nil {
			return Verdict{}, err
		}
		events = append(events, found...)
	}
	slices.SortFunc(events, func(a, b metadata.Event) int { return int(a.Position - b.Position) })
	open := map[string]bool{}
	for _, event := range events {
		switch event.Type {
		case metadata.EventRunEnqueued:
			queued[event.Run] = true
		case metadata.EventRunStarting:
			open[event.Run] = true
		case metadata.EventRunStart:
			if queued[event.Run] && !open[event.Run] {
				v.doubled("run %s waited in the queue, and began at position %d without being admitted", event.Run, event.Position)
			}
			open[event.Run] = true
		default:
			delete(open, event.Run)
		}
		if len(open) > check.MostRuns {
			v.doubled("%d runs were in progress at position %d, and %d may be", len(open), event.Position, check.MostRuns)
		}
	}
	use, err := i.Store.PoolUse(ctx, check.Pool, pageLimit)
	if err != nil {
		return Verdict{}, err
	}
	for _, slot := range slices.Concat(use.Steps, use.WaitingSteps) {
		if slices.Contains(check.Runs, slot.RunID) {
			v.lost("step %s of run %s, which has ended, has left its slot of the pool %s behind", slot.Step, slot.RunID, slot.Pool)
		}
	}
	return v.Verdict, nil
}
