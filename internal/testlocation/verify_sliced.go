//go:build unix

package testlocation

import (
	"context"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// slicedVerifier collects what is wrong with one run over partitions.
type slicedVerifier struct {
	verifier
	// made are the materializations of the run, by asset and partition, values what they are of.
	made   map[string][]metadata.Materialization
	values map[string]Value
}

// VerifySliced looks at a run that was to make these partitions of assets, and nothing else: it must have succeeded, with one
// materialization of each, loadable, right, made of the partitions that the definitions say and of the values that are
// recorded, and with one event for each thing that happened.
func (i *Instance) VerifySliced(ctx context.Context, spec Spec, run string, partitions map[string][]string) (Verdict, error) {
	v := &slicedVerifier{
		verifier: verifier{instance: i, spec: spec}, made: map[string][]metadata.Materialization{}, values: map[string]Value{},
	}
	if err := v.read(ctx, run); err != nil {
		return Verdict{}, err
	}
	v.checkSlicedEnd()
	for _, of := range v.recorded.materializations {
		for _, one := range of {
			name := Value{Asset: one.Asset, Partition: one.Partition}.name()
			v.made[name] = append(v.made[name], one)
		}
	}
	for _, asset := range slices.Sorted(maps.Keys(partitions)) {
		for _, key := range partitions[asset] {
			v.load(ctx, Value{Asset: asset, Partition: key}.name())
		}
	}
	for _, asset := range slices.Sorted(maps.Keys(partitions)) {
		for _, key := range partitions[asset] {
			v.checkPartition(asset, key)
		}
	}
	for name := range v.made {
		v.doubled("%s was made, which was not asked for", name)
	}
	return v.Verdict, nil
}

func (v *slicedVerifier) checkSlicedEnd() {
	run := v.recorded.run
	if run.Status != wire.RunSuccess || run.EndedAt.IsZero() {
		v.unfinished("run %s is %s (%s), not SUCCESS", run.ID, run.Status, run.Reason)
	}
	v.countEvents()
	for _, step := range v.recorded.steps {
		if step.Status != wire.StepSuccess || step.InheritedFrom != "" {
			v.unfinished("step %s is %s (%s)", step.Step, step.Status, step.Reason)
		}
		v.expect(step.Step, metadata.EventStepStart, metadata.EventStepSuccess)
		v.expectNone(step.Step, metadata.EventStepFailure)
	}
	if want := (wire.StepCounts{Succeeded: len(v.recorded.steps)}); run.Steps != want {
		v.unfinished("run %s counts the steps %+v, not %+v", run.ID, run.Steps, want)
	}
}

// load loads the value of what was made once.
func (v *slicedVerifier) load(ctx context.Context, name string) {
	of := v.made[name]
	switch {
	case len(of) == 0:
		v.lost("%s has no materialization", name)
		return
	case len(of) > 1:
		v.doubled("%s has %d materializations", name, len(of))
	}
	value, err := v.instance.Load(ctx, of[0])
	if err != nil {
		v.lost("%s: its value is not there: %v", name, err)
		return
	}
	v.values[name] = value
}

// checkPartition follows a value back to what it was made of.
func (v *slicedVerifier) checkPartition(asset, key string) {
	name := Value{Asset: asset, Partition: key}.name()
	value, isThere := v.values[name]
	delete(v.made, name)
	if !isThere {
		return // said already
	}
	if value.name() != name {
		v.lost("%s: its value is that of %s", name, value.name())
	}
	loaded := v.spec.Loaded(asset, key)
	if got := slices.Sorted(maps.Keys(value.Inputs)); !slices.Equal(got, loaded) {
		v.lost("%s is made of %q, not %q", name, got, loaded)
		return
	}
	sums := make([]string, 0, len(loaded))
	for _, input := range loaded {
		of, here := v.values[input]
		if !here {
			return // another run made it
		}
		if of.Call != value.Inputs[input] {
			v.lost("%s was computed from %s by call %s, not %s, which is the recorded one", name, input, value.Inputs[input], of.Call)
		}
		sums = append(sums, of.Sum)
	}
	if sum := sumOf(name, sums); sum != value.Sum {
		v.lost("%s: its value is %+v, not that of sum %s", name, value, sum)
	}
}
