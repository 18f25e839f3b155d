package step

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ranged is a step for so many partitions, p000 and on.
func ranged(count int) (b *bundle, keys []string) {
	b = newBundle(plan.Output{Asset: "route_delays", CodeVersion: "2"})
	for i := range count {
		keys = append(keys, fmt.Sprintf("p%03d", i))
	}
	b.plan.Partitions = keys
	b.compute = func(a *Attempt) ([]Output, error) {
		outputs := make([]Output, 0, count)
		for _, key := range a.Plan.Partitions {
			outputs = append(outputs, Output{Asset: "route_delays", Partition: key, Metadata: []wire.Metadatum{{Label: "key", Value: []byte(`"` + key + `"`)}}})
		}
		return outputs, nil
	}
	return b, keys
}

func version(asset, key, version string) wire.InputVersion {
	return wire.InputVersion{Asset: asset, Partition: key, DataVersion: version}
}

func TestEachPartitionOfAStepIsMadeOfItsOwn(t *testing.T) {
	t.Parallel()
	b, keys := ranged(3)
	b.plan.Inputs = []plan.StepInput{
		{Asset: "airports"},
		{Asset: "flights", Partitions: keys[:1]},
		{Asset: "flights", Partitions: keys[1:], InRun: true},
		{Asset: "trailing", Partitions: []string{"o", "p000"}, Mapping: partition.Mapping{Kind: partition.MapTime, StartOffset: -1}},
	}
	b.claim.Inputs = []wire.InputVersion{
		version("airports", "", "a"), version("flights", "p000", "f0"), version("flights", "p001", "f1"), version("flights", "p002", "f2"),
		version("trailing", "o", "t"), version("trailing", "p000", "t0"),
	}
	result, err := b.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"route_delays"}, result.Materialized)
	require.Len(t, b.commits[0].Outputs, 3)
	seen := map[string]bool{}
	for i, output := range b.commits[0].Outputs {
		require.Equal(t, keys[i], output.Partition)
		require.Equal(t, []wire.InputVersion{
			version("airports", "", "a"), version("flights", keys[i], fmt.Sprintf("f%d", i)), version("trailing", "o", "t"), version("trailing", "p000", "t0"),
		}, output.Inputs)
		require.False(t, seen[output.DataVersion], "another flight is another version")
		seen[output.DataVersion] = true
	}

	again, _ := ranged(3)
	again.plan.Inputs = b.plan.Inputs
	again.claim.Inputs = slices.Clone(b.claim.Inputs)
	again.claim.Inputs[2].DataVersion = "changed"
	_, err = again.run(t.Context())
	require.NoError(t, err)
	require.Equal(t, b.commits[0].Outputs[0].DataVersion, again.commits[0].Outputs[0].DataVersion)
	require.NotEqual(t, b.commits[0].Outputs[1].DataVersion, again.commits[0].Outputs[1].DataVersion)
}

func TestTooManyPartitionsOfAnInputAreNotRecorded(t *testing.T) {
	t.Parallel()
	run := func(count int, last string) wire.CommittedOutput {
		b := newBundle(plan.Output{Asset: "route_delays", CodeVersion: "2"})
		var keys []string
		for i := range count {
			keys = append(keys, fmt.Sprintf("p%03d", i))
			b.claim.Inputs = append(b.claim.Inputs, version("flights", keys[i], "f"))
		}
		b.claim.Inputs[count-1].DataVersion = last
		b.plan.Inputs = []plan.StepInput{{Asset: "airports", External: true}, {Asset: "flights", Partitions: keys, Mapping: partition.Mapping{Kind: partition.MapAll}}}
		_, err := b.run(t.Context())
		require.NoError(t, err)
		return b.commits[0].Outputs[0]
	}
	require.Len(t, run(99, "f").Inputs, 100)
	require.Equal(t, []wire.InputVersion{version("airports", "", "INITIAL")}, run(100, "f").Inputs)
	require.NotEqual(t, run(100, "f").DataVersion, run(100, "g").DataVersion, "what is not recorded counts all the same")
}

func TestPartitionsThatWereNotAskedForFailTheStep(t *testing.T) {
	t.Parallel()
	for want, outputs := range map[string][]Output{
		`did not return partition "p001" of output "route_delays"`:                {{Asset: "route_delays", Partition: "p000"}},
		`returned partition "p000" of output "route_delays" twice`:                {{Asset: "route_delays", Partition: "p000"}, {Asset: "route_delays", Partition: "p000"}},
		`returned partition "p002" of output "route_delays", which was not requ`:  {{Asset: "route_delays", Partition: "p002"}},
		`returned partition "" of output "route_delays", which was not requested`: {{Asset: "route_delays"}},
	} {
		b, _ := ranged(2)
		b.compute = func(*Attempt) ([]Output, error) { return outputs, nil }
		_, err := b.run(t.Context())
		require.ErrorContains(t, err, want)
		require.Empty(t, b.stored)
		require.Empty(t, b.commits)
	}
}

func TestThousandsOfPartitionsAreCarriedByTheHeartbeat(t *testing.T) {
	t.Parallel()
	const count = 10_000
	staged := &StagedOutputs{Attempt: 2, Result: wire.StepResult{Recorded: true}}
	for i := range count {
		staged.Outputs = append(staged.Outputs, wire.CommittedOutput{
			Asset: "flights", Partition: fmt.Sprintf("2001-01-01-%d", i), SlotToken: 7, DataVersion: dataVersion(fmt.Sprint(i), nil, nil),
			Location: fmt.Sprintf("s3://bucket/flights/2001-01-01-%d/7.parquet", i),
		})
	}
	packed := staged.packed()
	require.Empty(t, packed.Outputs)
	require.Less(t, len(packed.Packed)*4/3, 1_500_000, "Temporal takes 2 MB")
	unpacked, err := packed.unpacked()
	require.NoError(t, err)
	require.Equal(t, staged, unpacked)

	few := &StagedOutputs{Outputs: staged.Outputs[:3]}
	require.Same(t, few, few.packed())
	_, err = (&StagedOutputs{Packed: []byte("no")}).unpacked()
	require.Error(t, err)
}

func TestALostStepOfManyPartitionsIsTakenOver(t *testing.T) {
	t.Parallel()
	b, keys := ranged(60)
	b.resumable = true
	staged := &StagedOutputs{Attempt: 1, Result: wire.StepResult{Recorded: true, Materialized: []string{"route_delays"}}}
	for _, key := range keys {
		staged.Outputs = append(staged.Outputs, wire.CommittedOutput{Asset: "route_delays", Partition: key, SlotToken: 5, Location: "at/" + key})
	}
	b.previous = staged.packed()
	_, err := b.run(t.Context())
	require.NoError(t, err)
	require.Zero(t, b.calls, "it is published, and not computed again")
	require.Len(t, b.commits[0].Outputs, 60)
	require.Len(t, b.resumed, 60)
	require.ElementsMatch(t, keys, func() (of []string) {
		for _, slot := range b.resumed {
			require.Equal(t, int64(5), slot.Token)
			of = append(of, slot.Partition)
		}
		return of
	}())
}
