package step

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// stagedStep is a step whose outputs are all written and not yet published.
type stagedStep struct {
	handles []Staged
	record  *StagedOutputs
}

// slotToken is what the values are stored under: one attempt has staged them all. 0 when there are none.
func (s *stagedStep) slotToken() int64 {
	if len(s.record.Outputs) == 0 {
		return 0
	}
	return s.record.Outputs[0].SlotToken
}

// stage writes every output under the attempt's token. What it wrote is discarded when one fails.
func (e *execution) stage(ctx context.Context, outputs []Output) (*stagedStep, error) {
	given, err := e.check(outputs)
	if err != nil {
		return nil, err
	}
	record := &StagedOutputs{
		Attempt: e.attempt.Number, Events: e.attempt.live.recorded(),
		Result: wire.StepResult{Recorded: true, NotEmitted: given.notEmitted, Keys: given.keys},
	}
	ofOp := e.attempt.Plan.Op && len(e.attempt.Plan.Outputs) == 0
	reported := e.attempt.reported
	if ofOp && (e.attempt.Plan.NoValue || e.attempt.Plan.FanOut) {
		// There is not one output that it could stand with.
		if record.Events, err = withMetadata(record.Events, reported); err != nil {
			return nil, err
		}
		reported = nil
	}
	if ofOp && e.attempt.Plan.NoValue {
		outputs = nil
	}
	if ofOp {
		record.Loaded = recordedInputs(inputVersions(e.attempt.Plan, e.attempt.Inputs))
	}
	lineage := e.lineage()
	staged := &stagedStep{record: record, handles: make([]Staged, len(outputs))}
	record.Outputs = make([]wire.CommittedOutput, len(outputs))
	err = inParallel(len(outputs), func(i int) error {
		output := outputs[i]
		// What the store reports is about this output alone.
		own := *e.attempt
		own.reported, own.dataVersion = nil, ""
		handle, err := e.code.Stage(&own, e.slotOf(output), output.Value)
		if err != nil {
			return fmt.Errorf("store %s: %w", e.nameOf(output.Asset, output.Partition, output.Key), err)
		}
		staged.handles[i] = handle
		output.Metadata = slices.Concat(own.reported, reported, output.Metadata)
		output.DataVersion = cmp.Or(output.DataVersion, own.dataVersion)
		record.Outputs[i] = e.describe(output, handle, lineage)
		return nil
	})
	if err != nil {
		e.discard(ctx, staged.handles)
		return nil, err
	}
	for _, output := range record.Outputs {
		if output.Asset != "" && !slices.Contains(record.Result.Materialized, output.Asset) {
			record.Result.Materialized = append(record.Result.Materialized, output.Asset)
		}
	}
	e.carried.store(record)
	return staged, nil
}

// eventStepOutput tells what was reported by a step whose outputs cannot show it.
const eventStepOutput = "STEP_OUTPUT"

// withMetadata adds the event that shows reported metadata, if there is any.
func withMetadata(events []wire.StepEvent, reported []wire.Metadatum) ([]wire.StepEvent, error) {
	if len(reported) == 0 {
		return events, nil
	}
	body, err := json.Marshal(map[string]any{"metadata": lastOfEachLabel(reported)})
	if err != nil {
		return nil, fmt.Errorf("write the reported metadata: %w", err)
	}
	return append(events, wire.StepEvent{Type: eventStepOutput, Body: body}), nil
}

// slotOf is where an output of this attempt goes.
func (e *execution) slotOf(output Output) Slot {
	slot := Slot{Asset: output.Asset, Partition: e.partitionOf(output), Token: e.attempt.Token}
	if output.Asset == "" {
		slot.Partition, slot.Run, slot.Step, slot.Key = "", e.attempt.Run, e.attempt.Step, output.Key
	}
	return slot
}

// partitionOf is the key of the partition that an output is of.
func (e *execution) partitionOf(output Output) string {
	return cmp.Or(output.Partition, e.attempt.Plan.Partition)
}

// nameOf is an output in a message.
func (e *execution) nameOf(asset, partition, key string) string {
	switch {
	case asset != "" && partition != "":
		return fmt.Sprintf("partition %q of %q", partition, asset)
	case asset != "":
		return strconv.Quote(asset)
	case key != "":
		return fmt.Sprintf("element %q of op %q", key, e.attempt.Step)
	}
	return fmt.Sprintf("the value of op %q", e.attempt.Step)
}

func (e *execution) describe(output Output, handle Staged, lineage *lineage) wire.CommittedOutput {
	described := wire.CommittedOutput{
		Asset: output.Asset, Key: output.Key, SlotToken: e.attempt.Token, Location: handle.Location(),
		Metadata:    lastOfEachLabel(output.Metadata),
		DataVersion: cmp.Or(output.DataVersion, e.attempt.dataVersion),
	}
	if output.Asset == "" {
		described.DataVersion = cmp.Or(described.DataVersion, e.attempt.opVersion())
		return described
	}
	partition := e.partitionOf(output)
	described.Inputs = recordedInputs(withLoaded(lineage.inputs(partition), e.attempt.Loaded))
	for _, planned := range e.attempt.Plan.Outputs {
		if planned.Asset == output.Asset {
			described.Partition, described.CodeVersion = partition, planned.CodeVersion
		}
	}
	if described.DataVersion == "" {
		described.DataVersion = lineage.version(cmp.Or(described.CodeVersion, e.attempt.Run), partition)
	}
	return described
}

// previous is what a lost attempt of the same scheduling had staged; nil when nothing.
func (e *execution) previous() *StagedOutputs {
	previous := e.heartbeat.Previous()
	if previous == nil {
		return nil
	}
	unpacked, err := previous.unpacked()
	if err != nil {
		e.log.Warn("what an earlier attempt left in its heartbeat is not readable, computing again", "error", err)
		return nil
	}
	if len(unpacked.Outputs) == 0 {
		return nil
	}
	return unpacked
}

// resume takes over what a lost attempt of the same scheduling had staged, so that its work is
// published and not done again. nil means that there is nothing to take over.
func (e *execution) resume(ctx context.Context) (*stagedStep, error) {
	previous := e.previous()
	if previous == nil {
		return nil, nil
	}
	staged := &stagedStep{record: previous, handles: make([]Staged, len(previous.Outputs))}
	err := inParallel(len(previous.Outputs), func(i int) (err error) {
		output := previous.Outputs[i]
		slot := e.slotOf(Output{Asset: output.Asset, Key: output.Key})
		slot.Partition, slot.Token = output.Partition, output.SlotToken
		if staged.handles[i], err = e.code.Resume(e.attempt, slot, output.Location); err != nil {
			return fmt.Errorf("find again what an earlier attempt staged of %s: %w", e.nameOf(output.Asset, output.Partition, output.Key), err)
		}
		return nil
	})
	switch {
	case err == nil:
		e.attempt.Log.Info("publishing what an earlier attempt had staged")
		return staged, nil
	case ctx.Err() != nil:
		return nil, e.interrupted(ctx)
	case errors.Is(err, ErrUnavailable):
		return nil, e.fail(ctx, err)
	case !errors.Is(err, ErrNotResumable):
		e.attempt.Log.Warn("what an earlier attempt staged is not usable, computing again", "error", err)
	}
	e.carried.store(nil)
	return nil, nil
}

// publish makes the outputs visible and commits. A refused commit leaves nothing that anybody reads:
// published values are named by token, and only a commit names a token.
func (e *execution) publish(ctx context.Context, staged *stagedStep) (wire.StepResult, error) {
	if time.Since(e.claimedAt) > trustClaim {
		var state wire.TokenState
		err := e.patiently(ctx, "check the token of", e.runner.Patience, func() (err error) {
			state, err = e.runner.Ledger.CheckToken(ctx, wire.TokenCheck{Fence: e.fence, SlotToken: staged.slotToken()})
			return err
		})
		if err == nil && !state.Holds {
			err = &SupersededError{Step: e.id.Step, When: "before publishing"}
		}
		if err != nil {
			e.release(ctx, err)
			e.abandon(ctx, staged, state.Orphaned)
			return wire.StepResult{}, err
		}
	}
	err := inParallel(len(staged.handles), func(i int) error {
		if err := staged.handles[i].Publish(ctx); err != nil {
			output := staged.record.Outputs[i]
			return fmt.Errorf("publish %s: %w", e.nameOf(output.Asset, output.Partition, output.Key), err)
		}
		return nil
	})
	if err != nil {
		return wire.StepResult{}, e.fail(ctx, err)
	}
	return e.commit(ctx, staged)
}

func (e *execution) commit(ctx context.Context, staged *stagedStep) (wire.StepResult, error) {
	var committed wire.Committed
	unheard := false // a try whose answer was lost may have been the one that committed
	err := e.patiently(ctx, "commit", e.runner.Patience, func() (err error) {
		committed, err = e.runner.Ledger.Commit(ctx, wire.Commit{
			Fence: e.fence, Outputs: staged.record.Outputs, Result: staged.record.Result,
			Build: e.runner.Build, Worker: e.runner.Worker, Attempt: staged.record.Attempt, Events: staged.record.Events,
			Loaded: staged.record.Loaded,
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
		if committed.Orphaned || !unheard {
			e.abandon(ctx, staged, committed.Orphaned)
		}
		return wire.StepResult{}, &SupersededError{Step: e.id.Step, When: "at the commit"}
	}
	e.settle(ctx, staged)
	return committed.Result, nil
}

// settle tells the stores which values are recorded now. The step is done: what fails is mended later, so it is logged.
func (e *execution) settle(ctx context.Context, staged *stagedStep) {
	if e.code.Settle == nil {
		return
	}
	for _, output := range staged.record.Outputs {
		if output.Asset == "" {
			continue
		}
		err := e.code.Settle(e.attempt, Slot{
			Asset: output.Asset, Partition: output.Partition, Token: output.SlotToken, Location: output.Location,
		})
		if err != nil && ctx.Err() == nil {
			e.attempt.Log.Warn("the store did not settle the recorded value", "asset", output.Asset, "location", output.Location, "error", err)
		}
	}
}

// abandon discards what was staged for nothing, unless another attempt may have found it by the heartbeat: that one
// publishes and commits the very same values, which are then no longer this attempt's to remove. isOrphaned says that the
// ledger knows of nobody who did, and that nobody can any more.
func (e *execution) abandon(ctx context.Context, staged *stagedStep, isOrphaned bool) {
	if e.carried.withdraw() || isOrphaned {
		e.discard(ctx, staged.handles)
	}
}

// discard removes staged values; what cannot be removed is only left behind, so it is logged.
func (e *execution) discard(ctx context.Context, handles []Staged) {
	ctx = context.WithoutCancel(ctx)
	_ = inParallel(len(handles), func(i int) error { // none returns an error: the others are still to be discarded
		if handles[i] == nil {
			return nil
		}
		if err := handles[i].Discard(ctx); err != nil {
			e.attempt.Log.Warn("staged output was not discarded", "location", handles[i].Location(), "error", err)
		}
		return nil
	})
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
