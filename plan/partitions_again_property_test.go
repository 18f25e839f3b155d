package plan_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// TestAPartitionedRunIsExecutedAgain lets steps of a run over partitions end at random and executes it again from its
// failure: what was not done runs, under the same keys, and nothing else.
func TestAPartitionedRunIsExecutedAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawPartitioned(t)
		planner, err := plan.NewPlanner(s, nil)
		require.NoError(t, err)
		selected := drawSelection(t, s)
		request := keys(slices.Sorted(maps.Keys(selected))...)
		for key := range selected {
			if planner.Partitions(key).Kind() != partition.KindSingle {
				request.AllPartitions = true
			}
		}
		facts := plan.Facts{RunID: "r1", Now: partitionNow, Dynamic: partitionSites}
		first, err := planner.Plan(request, facts)
		if err != nil {
			t.Skip("not to be planned")
		}
		p := plan.NewProgress(&first.Walk)
		for step, ok := p.NextReady(); ok; step, ok = p.NextReady() {
			if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
				p.Fail(step)
			} else {
				p.Succeed(step, nil, nil)
			}
		}
		require.True(t, p.Done())
		parent := &plan.ParentRun{RunID: "r1", Status: wire.RunFailure, Request: first.Request}
		undone := map[string]bool{}
		for i, step := range first.Steps {
			of := plan.ParentStep{Step: step.Key, Status: p.Status(i), Run: "r1", Compute: step.Type, Partition: step.Partition, Partitions: step.Partitions}
			for _, output := range step.Outputs {
				of.Assets = append(of.Assets, output.Asset)
			}
			parent.Steps = append(parent.Steps, of)
			if p.Status(i) != wire.StepSuccess {
				undone[step.Key] = true
			}
		}
		// Time goes on, and a key is added.
		later := plan.Facts{RunID: "r2", Parent: parent, Now: partitionNow.AddDate(0, 0, 9), Dynamic: map[string][]string{"sites": {"s2", "s1", "b", "s3"}}}
		got, err := planner.Plan(wire.RunRequest{RetryOf: &wire.RetryOf{RunID: "r1"}}, later)
		if len(undone) == 0 {
			require.ErrorContains(t, err, "is done")
			return
		}
		require.NoError(t, err)
		again := plan.NewProgress(&got.Walk)
		running := map[string]bool{}
		for i, step := range got.Steps {
			if !again.Inherited(i) {
				running[step.Key] = true
			}
			for _, input := range step.Inputs {
				if input.From == "" {
					continue
				}
				require.Equal(t, "r1", input.From)
				for _, key := range input.Partitions {
					for j, other := range first.Steps {
						makes := slices.ContainsFunc(other.Outputs, func(o plan.Output) bool { return o.Asset == input.Asset })
						if makes && slices.Contains(partitionsOf(other), key) {
							require.Equal(t, wire.StepSuccess, p.Status(j))
						}
					}
				}
			}
		}
		require.Equal(t, undone, running)
		require.Equal(t, first.Request.AsOf, got.Request.AsOf)
	})
}
