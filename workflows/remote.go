package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// remoteStep is a step that another program computes: an activity of ours claims it, the program's activity, whose type is
// the compute's name and whose id is the step's key, computes it, and one of ours records what came of it.
type remoteStep struct {
	phase remotePhase
	// scheduled is the scheduling that all attempts belong to; 0 before the first.
	scheduled int64
	// outcome is what the program's activity came to.
	outcome wire.EndRemoteInput
	// until is when the next attempt may begin.
	until time.Time
}

type remotePhase int

const (
	remoteWaiting   remotePhase = iota // for a place among those that are claimed
	remoteBeginning                    // it is being claimed
	remoteComputing                    // the program has it, or it lies in its queue
	remoteComputed                     // waits for a place among those that are recorded
	remoteEnding                       // it is being recorded
	remoteDelayed                      // waits for the next attempt
)

// delayedStep is a remote step between two attempts, as it travels along when a run continues as new.
type delayedStep struct {
	Step      int       `json:"step"`
	Scheduled int64     `json:"scheduled"`
	Until     time.Time `json:"until"`
}

// maxRemoteResult is how much a remote step may answer, in bytes of JSON.
const maxRemoteResult = 512 << 10

func (p *pendingStep) isDelayed() bool {
	return p.closing == nil && p.remote != nil && p.remote.phase == remoteDelayed
}

func (p *pendingStep) isComputed() bool { return p.remote != nil && p.remote.phase == remoteComputed }

func (s *remoteStep) outcomeSize() int { return len(s.outcome.Result) + len(s.outcome.Claim) }

// beginRemote goes on with a remote step that waits for a place.
func (r *run) beginRemote(p *pendingStep, free *places) {
	if p.remote == nil {
		p.remote = &remoteStep{}
		if before, ok := r.delayed[p.step]; ok {
			p.remote.scheduled = before.Scheduled
			delete(r.delayed, p.step)
			if wait := before.Until.Sub(workflow.Now(p.ctx)); wait > 0 {
				r.delay(p, wait)
				return
			}
		}
	}
	key := r.key(p.step)
	switch {
	case p.remote.phase == remoteWaiting && free.begins > 0:
		free.begins--
		p.remote.phase = remoteBeginning
		r.started(p, workflow.ExecuteActivity(serviceOptions(p.ctx, r.queue, "begin:"+key, key), wire.BeginRemoteActivity, wire.BeginRemoteInput{
			Run: r.id, Step: key, Type: r.progress.Step(p.step).ActivityType(),
			Queue: wire.NamedQueue(r.queue, r.kind(p.step).Queue), Scheduled: p.remote.scheduled,
		}))
	case p.remote.phase == remoteComputed && (free.ends == maxEnds || p.remote.outcomeSize() <= free.ends):
		free.ends -= p.remote.outcomeSize()
		p.remote.phase = remoteEnding
		// What was computed is recorded, also when the run is being cancelled meanwhile.
		ctx, _ := workflow.NewDisconnectedContext(p.ctx)
		r.started(p, workflow.ExecuteActivity(serviceOptions(ctx, r.queue, "end:"+key, key), wire.EndRemoteActivity, p.remote.outcome))
	}
}

func (r *run) delay(p *pendingStep, wait time.Duration) {
	p.remote.phase = remoteDelayed
	p.remote.until = workflow.Now(p.ctx).Add(wait)
	r.started(p, workflow.NewTimerWithOptions(p.ctx, wait, workflow.TimerOptions{Summary: summary("retry of " + r.key(p.step))}))
}

func (r *run) settleRemote(ctx workflow.Context, p *pendingStep) bool {
	switch p.remote.phase {
	case remoteBeginning:
		return r.settleBegun(ctx, p)
	case remoteComputing:
		return r.settleComputed(ctx, p)
	case remoteEnding:
		return r.settleEnded(ctx, p)
	default:
		err := p.future.Get(ctx, nil)
		if err != nil {
			return r.settleFailed(ctx, p, err)
		}
		p.again()
		return false
	}
}

// again lets the step wait for its next attempt's place.
func (p *pendingStep) again() { p.future, p.remote.phase = nil, remoteWaiting }

func (r *run) settleBegun(ctx workflow.Context, p *pendingStep) bool {
	var begun wire.BeginRemoteResult
	if err := p.future.Get(ctx, &begun); err != nil {
		return r.settleFailed(ctx, p, err)
	}
	if begun.Done != nil {
		r.done(p.step, *begun.Done)
		return true
	}
	step, key := r.progress.Step(p.step), r.key(p.step)
	p.remote.scheduled = begun.Scheduled
	p.remote.outcome = wire.EndRemoteInput{Run: r.id, Step: key, Type: step.ActivityType(), Claim: begun.Claim}
	p.remote.phase = remoteComputing
	r.started(p, workflow.ExecuteActivity(
		remoteOptions(p.ctx, r.queue, key, summaryOf(step), r.kind(p.step)), step.ActivityType(), begun.Input))
	return false
}

// settleComputed takes what the program's activity came to. A program that died is not its function's failure: the step is
// claimed anew, which counts it.
func (r *run) settleComputed(ctx workflow.Context, p *pendingStep) bool {
	var raw converter.RawValue
	err := p.future.Get(ctx, &raw)
	outcome := &p.remote.outcome
	if err != nil && wasCanceled(err) {
		return r.settleFailed(ctx, p, err)
	}
	var timeout *temporal.TimeoutError
	lost := errors.As(err, &timeout) && timeout.TimeoutType() != enums.TIMEOUT_TYPE_START_TO_CLOSE
	switch {
	case lost:
		p.again()
		return false
	case timeout != nil:
		outcome.Error = &wire.RemoteError{Message: fmt.Sprintf("took longer than its timeout of %s", r.kind(p.step).Timeout)}
	case err != nil:
		outcome.Error = remoteError(err)
	default:
		outcome.Result, outcome.Error = remoteResult(raw)
	}
	p.future, p.remote.phase = nil, remoteComputed
	return false
}

// remoteResult is the JSON that a program answered.
func remoteResult(raw converter.RawValue) (json.RawMessage, *wire.RemoteError) {
	data := inputOf(raw)
	switch {
	case len(data) == 0:
		return json.RawMessage("null"), nil
	case len(data) > maxRemoteResult:
		return nil, &wire.RemoteError{
			Message:      fmt.Sprintf("its program answered %d KB, at most %d are taken: let it store the value and answer where it lies", len(data)>>10, maxRemoteResult>>10),
			NonRetryable: true,
		}
	case !json.Valid(data):
		return nil, &wire.RemoteError{
			Message:      fmt.Sprintf("its program answered what is not JSON (encoding %q)", raw.Payload().GetMetadata()[converter.MetadataEncoding]),
			NonRetryable: true,
		}
	default:
		return data, nil
	}
}

func remoteError(err error) *wire.RemoteError {
	found := &wire.RemoteError{Message: cut(cause(err), maxText)}
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		found.Type, found.NonRetryable, found.RetryAfter = application.Type(), application.NonRetryable(), application.NextRetryDelay()
	}
	return found
}

func (r *run) settleEnded(ctx workflow.Context, p *pendingStep) bool {
	var ended wire.EndRemoteResult
	if err := p.future.Get(ctx, &ended); err != nil {
		return r.settleFailed(ctx, p, err)
	}
	p.remote.outcome = wire.EndRemoteInput{}
	switch {
	case ended.Done != nil:
		r.done(p.step, *ended.Done)
		return true
	case ended.Retry > 0:
		r.delay(p, ended.Retry)
	default:
		p.again()
	}
	return false
}
