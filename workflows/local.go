package workflows

import (
	"errors"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// localWindow is how many local activities are in flight at once: in Temporal's SDK each costs more the more there are.
	localWindow = 10
	// What local activities did reaches the history at the end of the workflow task only. These bound how much of it one
	// task brings along, in steps and in bytes: a task that brings more than 4 MB is tried again for ever, and what a
	// worker that dies had not brought runs again.
	checkpointSteps = 1000
	checkpointBytes = 512 << 10
	// bytesOfMarker is what the history keeps of a local activity besides the step's key and result.
	bytesOfMarker = 400
)

// localSteps are the local activities since the last checkpoint: those that have ended.
type localSteps struct {
	steps, bytes int
	// checkpoint is the activity that ends the workflow task.
	checkpoint workflow.Future
}

func (l *localSteps) checkpointEnded() bool { return l.checkpoint != nil && l.checkpoint.IsReady() }

// full says whether the next local activity has to wait for a checkpoint.
func (l *localSteps) full() bool {
	return l.steps >= checkpointSteps || l.bytes >= checkpointBytes
}

func (r *run) startLocal(p *pendingStep, free *places) {
	if r.local.full() || free.local == 0 {
		free.localWaits = true
		return
	}
	free.local--
	p.local, p.scheduledAt = true, workflow.Now(p.ctx)
	key := r.key(p.step)
	r.started(p, workflow.ExecuteLocalActivity(localOptions(p.ctx, key), wire.LocalStepActivity,
		wire.LocalStepInput{Run: r.id, Step: key, Type: r.progress.Step(p.step).ActivityType(), At: p.scheduledAt.UnixNano()}))
}

// settleLocal decides how a local activity ended. What this worker cannot do now, but another one or a later attempt could,
// goes on as an activity: only that one finds other workers, and shows what it waits for.
func (r *run) settleLocal(ctx workflow.Context, p *pendingStep, raw []byte, err error) bool {
	p.local = false
	r.local.steps++
	r.local.bytes += len(raw) + len(r.key(p.step)) + bytesOfMarker
	var handed *temporal.ApplicationError
	switch {
	case err == nil:
		return r.succeed(ctx, p, raw)
	case errors.As(err, &handed) && handed.Type() == wire.FailureHandedOver:
		p.handedOver = true
		r.startActivity(p)
		return false
	default:
		return r.settleFailed(ctx, p, err)
	}
}

// checkpoint ends the workflow task once enough local activities have.
func (r *run) checkpoint(ctx workflow.Context, free places) {
	if free.localWaits && r.local.full() && free.local == localWindow && r.local.checkpoint == nil {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		r.local.checkpoint = workflow.ExecuteActivity(controlOptions(ctx, r.queue, "checkpoint"), wire.CheckpointActivity)
	}
}

func (r *run) collectCheckpoint(ctx workflow.Context) {
	if !r.local.checkpointEnded() {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := r.local.checkpoint.Get(ctx, nil); err != nil && r.err == nil {
		r.err = err
	}
	r.local = localSteps{}
}
