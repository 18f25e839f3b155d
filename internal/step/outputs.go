package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// progress is what the heartbeat carries, written by the attempt and read by the beating goroutine.
type progress struct {
	mu      sync.Mutex
	staged  *StagedOutputs
	carried bool // a heartbeat may have shown it to a next attempt
}

// store replaces what is to be carried; nil is nothing.
func (p *progress) store(outputs *StagedOutputs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.staged, p.carried = outputs, false
}

// inherit goes on carrying what an earlier attempt's heartbeat did.
func (p *progress) inherit(outputs *StagedOutputs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.staged, p.carried = outputs, outputs != nil
}

// carry is what a heartbeat takes along.
func (p *progress) carry() *StagedOutputs {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.carried = p.carried || p.staged != nil
	return p.staged
}

// withdraw keeps heartbeats from carrying what is staged. False means that one may have done so already: a next attempt
// may publish it, or have published it.
func (p *progress) withdraw() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.carried {
		return false
	}
	p.staged = nil
	return true
}

// stagedStep is a step whose outputs are all written and not yet published.
type stagedStep struct {
	handles []Staged
	record  *StagedOutputs
}

// check compares what the function returned with what the step was asked for.
func (e *execution) check(outputs []Output) (notEmitted []string, err error) {
	var problems []error
	requested := e.attempt.Requested()
	seen := make(map[string]bool, len(outputs))
	for _, output := range outputs {
		switch {
		case !slices.Contains(requested, output.Asset):
			problems = append(problems, fmt.Errorf("returned output %q, which was not requested (requested: %s)", output.Asset, strings.Join(requested, ", ")))
		case seen[output.Asset]:
			problems = append(problems, fmt.Errorf("returned output %q twice", output.Asset))
		}
		seen[output.Asset] = true
	}
	for _, output := range e.attempt.Plan.Outputs {
		switch {
		case seen[output.Asset]:
		case output.Optional:
			notEmitted = append(notEmitted, output.Asset)
		default:
			problems = append(problems, fmt.Errorf("did not return the required output %q", output.Asset))
		}
	}
	return notEmitted, errors.Join(problems...)
}

// stage writes every output under the attempt's token. What it wrote is discarded when one fails.
func (e *execution) stage(ctx context.Context, outputs []Output) (*stagedStep, error) {
	notEmitted, err := e.check(outputs)
	if err != nil {
		return nil, err
	}
	staged := &stagedStep{record: &StagedOutputs{Attempt: e.attempt.Number, Result: wire.StepResult{Recorded: true, NotEmitted: notEmitted}}}
	for _, output := range outputs {
		// What the store reports is about this output alone.
		own := *e.attempt
		own.reported, own.dataVersion = nil, ""
		handle, err := e.code.Stage(&own, Slot{Asset: output.Asset, Token: e.attempt.Token}, output.Value)
		if err != nil {
			e.discard(ctx, staged.handles)
			return nil, fmt.Errorf("store %q: %w", output.Asset, err)
		}
		staged.handles = append(staged.handles, handle)
		output.Metadata = slices.Concat(own.reported, e.attempt.reported, output.Metadata)
		output.DataVersion = cmp.Or(output.DataVersion, own.dataVersion)
		staged.record.Outputs = append(staged.record.Outputs, e.describe(output, handle))
		staged.record.Result.Materialized = append(staged.record.Result.Materialized, output.Asset)
	}
	e.progress.store(staged.record)
	return staged, nil
}

func (e *execution) describe(output Output, handle Staged) wire.CommittedOutput {
	described := wire.CommittedOutput{
		Asset: output.Asset, SlotToken: e.attempt.Token, Location: handle.Location(),
		Metadata: lastOfEachLabel(output.Metadata),
		Inputs:   inputVersions(e.attempt.Plan, e.attempt.Inputs),
	}
	for _, planned := range e.attempt.Plan.Outputs {
		if planned.Asset == output.Asset {
			described.Partition, described.CodeVersion = planned.Partition, planned.CodeVersion
		}
	}
	switch {
	case output.DataVersion != "":
		described.DataVersion = output.DataVersion
	case e.attempt.dataVersion != "":
		described.DataVersion = e.attempt.dataVersion
	default:
		described.DataVersion = dataVersion(described.CodeVersion, e.attempt.Run, described.Inputs)
	}
	return described
}

// resume takes over what a lost attempt of the same scheduling had staged, so that its work is
// published and not done again. nil means that there is nothing to take over.
func (e *execution) resume(ctx context.Context) (*stagedStep, error) {
	previous := e.heartbeat.Previous()
	if previous == nil || len(previous.Outputs) == 0 {
		return nil, nil
	}
	staged := &stagedStep{record: previous}
	for _, output := range previous.Outputs {
		slot := Slot{Asset: output.Asset, Partition: output.Partition, Token: output.SlotToken}
		handle, err := e.code.Resume(e.attempt, slot, output.Location)
		switch {
		case errors.Is(err, ErrNotResumable):
			e.progress.store(nil)
			return nil, nil
		case err != nil && ctx.Err() != nil:
			return nil, e.interrupted(ctx)
		case errors.Is(err, ErrUnavailable):
			return nil, e.fail(ctx, fmt.Errorf("find again what an earlier attempt staged of %q: %w", output.Asset, err))
		case err != nil:
			e.attempt.Log.Warn("what an earlier attempt staged is not usable, computing again", "asset", output.Asset, "error", err)
			e.progress.store(nil)
			return nil, nil
		}
		staged.handles = append(staged.handles, handle)
	}
	e.attempt.Log.Info("publishing what an earlier attempt had staged")
	return staged, nil
}

// publish makes the outputs visible and commits. A refused commit leaves nothing that anybody reads:
// published values are named by token, and only a commit names a token.
func (e *execution) publish(ctx context.Context, staged *stagedStep) (wire.StepResult, error) {
	if time.Since(e.claimedAt) > trustClaim {
		var holds bool
		err := e.patiently(ctx, "check the token of", e.runner.Patience, func() (err error) {
			holds, err = e.runner.Ledger.CheckToken(ctx, e.fence)
			return err
		})
		if err == nil && !holds {
			err = &SupersededError{Step: e.id.Step, When: "before publishing"}
		}
		if err != nil {
			e.release(ctx, err)
			e.abandon(ctx, staged)
			return wire.StepResult{}, err
		}
	}
	for i, handle := range staged.handles {
		if err := handle.Publish(ctx); err != nil {
			return wire.StepResult{}, e.fail(ctx, fmt.Errorf("publish %q: %w", staged.record.Outputs[i].Asset, err))
		}
	}
	return e.commit(ctx, staged)
}

func (e *execution) commit(ctx context.Context, staged *stagedStep) (wire.StepResult, error) {
	var committed wire.Committed
	unheard := false // a try whose answer was lost may have been the one that committed
	err := e.patiently(ctx, "commit", e.runner.Patience, func() (err error) {
		committed, err = e.runner.Ledger.Commit(ctx, wire.Commit{
			Fence: e.fence, Outputs: staged.record.Outputs, Result: staged.record.Result,
			Build: e.runner.Build, Worker: e.runner.Worker, Attempt: staged.record.Attempt,
		})
		unheard = unheard || err != nil
		return err
	})
	if err != nil {
		if _, interrupted := errors.AsType[*InterruptedError](err); interrupted || errors.Is(err, ErrUnavailable) {
			e.release(ctx, err)
			return wire.StepResult{}, err
		}
		// Postgres will not take what the function made, however often it is asked.
		return wire.StepResult{}, e.fail(ctx, err)
	}
	if committed.Refused {
		if !unheard {
			e.abandon(ctx, staged)
		}
		return wire.StepResult{}, &SupersededError{Step: e.id.Step, When: "at the commit"}
	}
	return committed.Result, nil
}

// abandon discards what was staged for nothing, unless another attempt may have found it by the heartbeat: that one
// publishes and commits the very same values, which are then no longer this attempt's to remove.
func (e *execution) abandon(ctx context.Context, staged *stagedStep) {
	if e.progress.withdraw() {
		e.discard(ctx, staged.handles)
	}
}

// discard removes staged values; what cannot be removed is only left behind, so it is logged.
func (e *execution) discard(ctx context.Context, handles []Staged) {
	ctx = context.WithoutCancel(ctx)
	for _, handle := range handles {
		if err := handle.Discard(ctx); err != nil {
			e.attempt.Log.Warn("staged output was not discarded", "location", handle.Location(), "error", err)
		}
	}
}

// lastOfEachLabel keeps what was said last under each label: the function says it of one output after it said it of
// all, and both know better than the store.
func lastOfEachLabel(metadata []wire.Metadatum) []wire.Metadatum {
	kept := make([]wire.Metadatum, 0, len(metadata))
	for i, datum := range metadata {
		later := slices.ContainsFunc(metadata[i+1:], func(other wire.Metadatum) bool { return other.Label == datum.Label })
		if !later {
			kept = append(kept, datum)
		}
	}
	return kept
}
