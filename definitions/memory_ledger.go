package definitions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// memoryLedger records one in-process run, in which no attempt is ever overtaken.
type memoryLedger struct {
	mutex sync.Mutex
	// job and tags are the run's.
	job          string
	tags         map[string]string
	steps        map[string]plan.Step
	attempts     map[string]int
	token        int64
	materialized map[step.AssetPartition]materialized
	// values are what ops stored, by step: one, or those of a dynamic output in the order of emission. keys are those of
	// the steps with a dynamic output that have ended.
	values map[string][]wire.StepValue
	keys   map[string][]string
	// loaded are the assets that ops' steps have loaded.
	loaded map[string][]wire.InputVersion
	// committed are the outputs of the steps that have succeeded.
	committed map[string][]wire.CommittedOutput
}

// materialized is what a commit recorded of an asset.
type materialized struct {
	output wire.CommittedOutput
	number int64
}

func newMemoryLedger(p *plan.Plan) *memoryLedger {
	l := &memoryLedger{
		steps: map[string]plan.Step{}, attempts: map[string]int{}, materialized: map[step.AssetPartition]materialized{},
		values: map[string][]wire.StepValue{}, keys: map[string][]string{}, committed: map[string][]wire.CommittedOutput{},
		loaded: map[string][]wire.InputVersion{},
	}
	if p.Job != jobName {
		l.job, l.tags = p.Job, p.Tags
	}
	for _, planned := range p.Steps {
		l.steps[planned.Key] = planned
	}
	return l
}

// Claim always grants, to an attempt of a step in the plan.
func (l *memoryLedger) Claim(_ context.Context, request wire.ClaimRequest) (wire.Claim, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	planned, ok := l.steps[request.Step]
	mappingKey := ""
	if template, key, mapped := plan.SplitMappedKey(request.Step); mapped && !ok {
		planned, ok = l.steps[template]
		mappingKey = key
	}
	if !ok {
		return wire.Claim{Outcome: wire.ClaimUnknown}, nil
	}
	data, err := json.Marshal(planned)
	if err != nil {
		return wire.Claim{}, fmt.Errorf("write the plan of %s: %w", request.Step, err)
	}
	l.token++
	claim := wire.Claim{Outcome: wire.ClaimGranted, Token: l.token, Attempt: l.attempts[request.Step] + 1, Plan: data, Cause: request.Run, Job: l.job, Tags: l.tags, MappingKey: mappingKey}
	for _, input := range planned.Inputs {
		partitions := input.Partitions
		if partitions == nil {
			partitions = []string{""}
		}
		for _, partition := range partitions {
			if made, ok := l.materialized[step.AssetPartition{Asset: input.Asset, Partition: partition}]; ok {
				claim.Inputs = append(claim.Inputs, wire.InputVersion{
					Asset: input.Asset, Partition: partition, Token: made.output.SlotToken, DataVersion: made.output.DataVersion, Position: made.number,
				})
			}
		}
	}
	for _, value := range planned.Values {
		claim.Values = append(claim.Values, l.valuesOf(value, mappingKey)...)
	}
	claim.Loaded = l.loadedBy(planned.MadeOf)
	return claim, nil
}

// loadedBy is what ops have loaded, each partition of an asset once: here nobody else materializes it meanwhile.
func (l *memoryLedger) loadedBy(ops []string) []wire.InputVersion {
	var loaded []wire.InputVersion
	for _, op := range ops {
		loaded = append(loaded, l.loaded[op]...)
		for _, key := range l.keys[l.steps[op].Over] {
			loaded = append(loaded, l.loaded[plan.MappedKey(op, key)]...)
		}
	}
	slices.SortFunc(loaded, func(a, b wire.InputVersion) int {
		return cmp.Or(strings.Compare(a.Asset, b.Asset), strings.Compare(a.Partition, b.Partition))
	})
	return slices.CompactFunc(loaded, func(a, b wire.InputVersion) bool { return a.Asset == b.Asset && a.Partition == b.Partition })
}

// valuesOf are the stored outputs of ops that a step loads.
func (l *memoryLedger) valuesOf(input plan.ValueInput, mappingKey string) []wire.StepValue {
	source := l.steps[input.Step]
	switch input.Take {
	case plan.TakeKey:
		if source.Over != "" {
			return l.values[plan.MappedKey(input.Step, mappingKey)]
		}
		for _, value := range l.values[input.Step] {
			if value.Key == mappingKey {
				return []wire.StepValue{value}
			}
		}
		return nil
	case plan.TakeAll:
		if source.Over != "" {
			var all []wire.StepValue
			for _, key := range l.keys[source.Over] {
				all = append(all, l.values[plan.MappedKey(input.Step, key)]...)
			}
			return all
		}
	}
	return l.values[input.Step]
}

// CheckToken always holds.
func (l *memoryLedger) CheckToken(context.Context, wire.TokenCheck) (wire.TokenState, error) {
	return wire.TokenState{Holds: true}, nil
}

// Commit records the outputs.
func (l *memoryLedger) Commit(_ context.Context, commit wire.Commit) (wire.Committed, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.keys[commit.Step] = commit.Result.Keys
	l.committed[commit.Step] = commit.Outputs
	l.loaded[commit.Step] = commit.Loaded
	for _, output := range commit.Outputs {
		if output.Asset == "" {
			l.values[commit.Step] = append(l.values[commit.Step], wire.StepValue{
				Run: commit.Run, Step: commit.Step, Key: output.Key, Token: output.SlotToken, Location: output.Location, DataVersion: output.DataVersion,
			})
			continue
		}
		l.materialized[step.AssetPartition{Asset: output.Asset, Partition: output.Partition}] = materialized{output, int64(len(l.materialized) + 1)}
	}
	return wire.Committed{Result: commit.Result}, nil
}

// Fail counts the attempt.
func (l *memoryLedger) Fail(_ context.Context, failure wire.Failure) (bool, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.attempts[failure.Step]++
	return false, nil
}

// Release does nothing: the next claim is granted anyhow.
func (l *memoryLedger) Release(context.Context, wire.Fence, error) error { return nil }

// output is what was recorded of a partition of an asset.
func (l *memoryLedger) output(of step.AssetPartition) (wire.CommittedOutput, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	made, ok := l.materialized[of]
	return made.output, ok
}

// assets are those that were materialized, sorted.
func (l *memoryLedger) assets() []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	keys := map[string]bool{}
	for of := range l.materialized {
		keys[of.Asset] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// stored are the stored outputs of an op's step, or of all steps mapped by a template.
func (l *memoryLedger) stored(step string) []wire.StepValue {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.valuesOf(plan.ValueInput{Step: step, Take: plan.TakeAll}, "")
}
