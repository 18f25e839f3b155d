package assetstatus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// graph makes the assets the location's: each loads what its inputs say.
func (b *bench) graph(assets ...node) {
	b.Helper()
	snapshot := &plan.Snapshot{V: plan.SnapshotVersion, Location: "flights"}
	for _, one := range assets {
		defined := plan.Asset{Key: one.key, CodeVersion: one.code, Partitions: one.partitions}
		if !one.external {
			defined.Compute = one.key
			compute := plan.Compute{Name: one.key, Outputs: []string{one.key}, Shape: shape}
			for _, input := range one.inputs {
				lowered := plan.Input{Kind: plan.InputAll, Assets: []string{input.key}}
				if input.mapping.Kind != "" {
					lowered.Parts = []plan.InputPart{{Mapping: input.mapping, Take: plan.TakePartitionsByKey}}
				}
				compute.Inputs = append(compute.Inputs, lowered)
			}
			snapshot.Computes = append(snapshot.Computes, compute)
		}
		snapshot.Assets = append(snapshot.Assets, defined)
	}
	var err error
	b.planner, err = plan.NewPlanner(snapshot, nil)
	require.NoError(b, err)
}

type node struct {
	key, code  string
	partitions *partition.Definition
	inputs     []nodeInput
	external   bool
}

type nodeInput struct {
	key     string
	mapping partition.Mapping
}

func from(keys ...string) []nodeInput {
	inputs := make([]nodeInput, len(keys))
	for i, key := range keys {
		inputs[i] = nodeInput{key: key}
	}
	return inputs
}

// compute makes a partition of an asset in a run of its own, from inputs.
func (b *bench) compute(asset, key, code, version string, inputs ...wire.InputVersion) wire.InputVersion {
	b.Helper()
	id := fmt.Sprintf("run-%d", b.next())
	s := plan.Step{Key: asset, Type: asset, Shape: shape, Partition: key, Outputs: []plan.Output{{Asset: asset}}, MaxLostWorkers: 3}
	_, err := b.store.PlanRun(b.Context(), metadata.NewRun{
		ID: id, FirstRunID: id, Scheduled: time.Unix(0, b.next()), Location: "flights", Walk: []byte("{}"),
		Plan: &plan.Plan{Assets: []string{asset}, Steps: []plan.Step{s}, Tags: map[string]string{}},
	})
	require.NoError(b, err)
	at := b.next()
	claim, err := b.store.Claim(b.Context(), wire.ClaimRequest{Run: id, Step: asset, Scheduled: at, Started: at, Shape: shape, Worker: "w"})
	require.NoError(b, err)
	require.Equal(b, wire.ClaimGranted, claim.Outcome)
	committed, err := b.store.Commit(b.Context(), wire.Commit{
		Fence: wire.Fence{Run: id, Step: asset, Scheduled: at, Token: claim.Token}, Attempt: 1, Result: wire.StepResult{Materialized: []string{asset}},
		Outputs: []wire.CommittedOutput{{Asset: asset, Partition: key, SlotToken: claim.Token, DataVersion: version, CodeVersion: code, Inputs: inputs}},
	})
	require.NoError(b, err)
	require.False(b, committed.Refused)
	b.end(id, wire.RunSuccess)
	made, err := b.store.MadeAt(b.Context(), asset, []string{key})
	require.NoError(b, err)
	return wire.InputVersion{Asset: asset, Partition: key, DataVersion: version, Position: made[key]}
}

func (b *bench) report(asset, key string) {
	b.Helper()
	_, err := b.store.Report(b.Context(), metadata.Report{
		ID: fmt.Sprint(b.next()), Asset: asset, Type: wire.ReportMaterialization, Partitions: []string{key}, DataVersion: fmt.Sprint(b.next()),
	})
	require.NoError(b, err)
}

// requireCauses holds the causes of a partition, and that it is among the stale ones exactly when it has any.
func (b *bench) requireCauses(asset, key string, want ...assetstatus.Cause) {
	b.Helper()
	reader, err := assetstatus.NewReader(b.Context(), b.store, b.planner, now)
	require.NoError(b, err)
	causes, err := reader.Causes(b.Context(), asset, key)
	require.NoError(b, err)
	require.Equal(b, append([]assetstatus.Cause(nil), want...), append([]assetstatus.Cause(nil), causes...))
	status, err := reader.Read(b.Context(), asset)
	require.NoError(b, err)
	stale, err := reader.Stale(b.Context(), status)
	require.NoError(b, err)
	require.Equal(b, len(want) > 0, stale.Has(key))
}

func newMaterialization(of string, partitions ...string) assetstatus.Cause {
	return assetstatus.Cause{Category: assetstatus.CauseData, Reason: "has a new dependency materialization", Dependency: of, Partitions: partitions}
}

func TestWhatMakesStale(t *testing.T) {
	t.Parallel()
	code := assetstatus.Cause{Category: assetstatus.CauseCode, Reason: "has a new code version"}
	newInput := assetstatus.Cause{Category: assetstatus.CauseData, Reason: "has a new input", Dependency: "up"}
	up, down := node{key: "up"}, node{key: "down", inputs: from("up")}
	for name, test := range map[string]struct {
		nodes []node
		do    func(b *bench)
		want  []assetstatus.Cause
	}{
		"nothing has changed": {[]node{up, down}, func(b *bench) { b.compute("down", "", "", "d", b.compute("up", "", "", "1")) }, nil},
		"never made":          {[]node{up, down}, func(b *bench) { b.compute("up", "", "", "1") }, nil},
		"another code version": {
			[]node{up, {key: "down", code: "2", inputs: from("up")}},
			func(b *bench) { b.compute("down", "", "1", "d", b.compute("up", "", "", "1")) },
			[]assetstatus.Cause{code},
		},
		"the same code version": {
			[]node{up, {key: "down", code: "2", inputs: from("up")}},
			func(b *bench) { b.compute("down", "", "2", "d", b.compute("up", "", "", "1")) }, nil,
		},
		"no code version is declared any more": {
			[]node{up, down}, func(b *bench) { b.compute("down", "", "1", "d", b.compute("up", "", "", "1")) }, nil,
		},
		"a dependency is removed": {
			[]node{up, {key: "down"}},
			func(b *bench) { b.compute("down", "", "", "d", b.compute("up", "", "", "1")) },
			[]assetstatus.Cause{{Category: assetstatus.CauseDependencies, Reason: "removed dependency on up", Dependency: "up"}},
		},
		"a dependency is new": {
			[]node{up, {key: "more"}, {key: "down", inputs: from("up", "more")}},
			func(b *bench) { b.compute("down", "", "", "d", b.compute("up", "", "", "1")) },
			[]assetstatus.Cause{{Category: assetstatus.CauseDependencies, Reason: "has a new dependency on more", Dependency: "more"}},
		},
		"a dependency is made anew": {
			[]node{up, down},
			func(b *bench) {
				b.compute("down", "", "", "d", b.compute("up", "", "", "1"))
				b.compute("up", "", "", "2")
			},
			[]assetstatus.Cause{newMaterialization("up")},
		},
		"a dependency of a code version has new data": {
			[]node{{key: "up", code: "1"}, down},
			func(b *bench) {
				b.compute("down", "", "", "d", b.compute("up", "", "1", "1"))
				b.compute("up", "", "1", "2")
			},
			[]assetstatus.Cause{{Category: assetstatus.CauseData, Reason: "has a new dependency data version", Dependency: "up"}},
		},
		"a dependency is made anew with the same data": {
			[]node{{key: "up", code: "1"}, down}, func(b *bench) {
				b.compute("down", "", "", "d", b.compute("up", "", "1", "1"))
				b.compute("up", "", "1", "1")
			}, nil,
		},
		"it is not transitive": {
			[]node{{key: "top", code: "9"}, {key: "up", inputs: from("top")}, down},
			func(b *bench) {
				b.compute("down", "", "", "d", b.compute("up", "", "", "1", b.compute("top", "", "1", "1")))
				b.compute("top", "", "9", "2")
			}, nil,
		},
		"reported before what it is made from": {
			[]node{up, down}, func(b *bench) { b.report("down", ""); b.compute("up", "", "", "1") }, []assetstatus.Cause{newMaterialization("up")},
		},
		"reported after what it is made from":  {[]node{up, down}, func(b *bench) { b.compute("up", "", "", "1"); b.report("down", "") }, nil},
		"reported, what it is made from never": {[]node{up, down}, func(b *bench) { b.report("down", "") }, []assetstatus.Cause{newInput}},
		"reported, and made from something external": {
			[]node{{key: "up", external: true}, down}, func(b *bench) { b.report("down", ""); b.report("up", "") }, nil,
		},
		"reported, whatever the code version": {
			[]node{up, {key: "down", code: "2", inputs: from("up")}}, func(b *bench) { b.compute("up", "", "", "1"); b.report("down", "") }, nil,
		},
		"external": {[]node{up, {key: "down", external: true}}, func(b *bench) { b.report("down", "") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, letters())
			b.graph(test.nodes...)
			test.do(b)
			b.requireCauses("down", "", test.want...)
		})
	}
}

func numbers(n int) *partition.Definition {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%03d", i)
	}
	return &partition.Definition{Static: keys}
}

func TestAPartitionIsStaleByThePartitionsThatItNeeds(t *testing.T) {
	t.Parallel()
	b := newBench(t, letters())
	ten := numbers(10)
	b.graph(node{key: "up", partitions: ten}, node{key: "down", partitions: ten, inputs: []nodeInput{{"up", partition.Mapping{Kind: partition.MapIdentity}}}})
	for _, key := range []string{"001", "002"} {
		b.compute("down", key, "", "d", b.compute("up", key, "", "1"))
	}
	b.compute("up", "002", "", "2")
	b.requireCauses("down", "001")
	b.requireCauses("down", "002", newMaterialization("up", "002"))
	b.report("down", "003")
	b.requireCauses("down", "003", assetstatus.Cause{Category: assetstatus.CauseData, Reason: "has a new input", Dependency: "up", Partitions: []string{"003"}})
	b.compute("up", "004", "", "1")
	b.report("down", "004")
	b.requireCauses("down", "004")
	b.compute("up", "004", "", "1")
	b.requireCauses("down", "004", newMaterialization("up", "004"))
}

// Along an edge to 100 partitions and more a new version of one says little, and so does one of an asset's own many.
func TestManyUpstreamPartitionsMakeNothingStale(t *testing.T) {
	t.Parallel()
	for count, stale := range map[int]bool{99: true, 100: false} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, letters())
			many := numbers(count)
			specific := partition.Mapping{Kind: partition.MapSpecific, Keys: many.Static}
			b.graph(node{key: "up", partitions: many}, node{key: "down", inputs: []nodeInput{{"up", specific}}})
			b.report("down", "")
			b.compute("up", "007", "", "1")
			reader, err := assetstatus.NewReader(t.Context(), b.store, b.planner, now)
			require.NoError(t, err)
			causes, err := reader.Causes(t.Context(), "down", "")
			require.NoError(t, err)
			require.Equal(t, stale, len(causes) > 0)
		})
	}
}
