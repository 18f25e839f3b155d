package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// One workflow task may bring Temporal 4 MB of commands at most: what brings more is retried for ever. A failure can
// decide the whole graph at once, so that its steps are recorded a piece at a time. Together the pieces in flight are
// at most 512 KB; as many steps as may be pending, each with a key of the greatest length, are 1 MB.
const (
	// maxRecords is how many pieces are in flight at once.
	maxRecords = 4
	// maxRecordedSteps and maxRecordedBytes bound one piece.
	maxRecordedSteps = 1000
	maxRecordedBytes = 128 << 10
	// bytesOfClosed is what a closed step's JSON is besides its key, at most.
	bytesOfClosed = 50
	// maxText is how much is kept of why a step failed that no attempt recorded, in bytes: hundreds may end at once.
	maxText = 1000
)

// recordDecided has the steps recorded that will not run: skipped, left behind by a failure, or by a cancel. What is more than may
// be in flight stays in decided, until one of those has ended.
func (r *run) recordDecided(ctx workflow.Context) {
	r.decided = append(r.decided, r.progress.TakeDecided()...)
	for len(r.decided) > 0 && len(r.records) < maxRecords {
		var steps []wire.ClosedStep
		size := 0
		for _, i := range r.decided {
			key := r.key(i)
			if size += len(key) + bytesOfClosed; len(steps) == maxRecordedSteps || size > maxRecordedBytes {
				break
			}
			steps = append(steps, wire.ClosedStep{Step: key, Status: r.progress.Status(i), Unscheduled: r.unscheduled[i]})
		}
		r.decided = r.decided[len(steps):]
		r.records = append(r.records, r.closeSteps(ctx, steps))
	}
}

func (r *run) closeSteps(ctx workflow.Context, steps []wire.ClosedStep) workflow.Future {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return workflow.ExecuteActivity(controlOptions(ctx, r.queue, "close:"+steps[0].Step), wire.CloseStepsActivity,
		wire.CloseStepsInput{RunID: r.id, Steps: steps})
}

func (r *run) somethingRecorded() bool {
	for _, recorded := range r.records {
		if recorded.IsReady() {
			return true
		}
	}
	return false
}

func (r *run) collectRecords(ctx workflow.Context) {
	open := r.records[:0]
	for _, recorded := range r.records {
		if !recorded.IsReady() {
			open = append(open, recorded)
		} else if err := recorded.Get(ctx, nil); err != nil && r.err == nil {
			r.err = fmt.Errorf("record the skipped steps of run %q: %w", r.id, err)
		}
	}
	clear(r.records[len(open):])
	r.records = open
}

// awaitRecords waits until nothing is being recorded; more asks after each piece whether to begin others. A cancel
// does not end it.
func (r *run) awaitRecords(ctx workflow.Context, more func() bool) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	for {
		r.collectRecords(ctx)
		if r.err != nil {
			return r.err
		}
		if more() {
			r.recordDecided(ctx)
		}
		if len(r.records) == 0 {
			return nil
		}
		if err := workflow.Await(ctx, r.somethingRecorded); err != nil {
			return err
		}
	}
}
