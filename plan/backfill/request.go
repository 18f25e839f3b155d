package backfill

import (
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// GraphOf is the graph of a target: its assets, and what they are made from. The ops of a job are one asset, under the name
// [JobKey].
func GraphOf(snapshot *plan.Snapshot, planner *plan.Planner, existing *plan.Existing, job string, target map[string]partition.Subset) Graph {
	var graph Graph
	definitions := make(map[string]*plan.Asset, len(target))
	for i := range snapshot.Assets {
		definitions[snapshot.Assets[i].Key] = &snapshot.Assets[i]
	}
	for _, key := range slices.Sorted(maps.Keys(target)) {
		definition, isAsset := definitions[key]
		if !isAsset {
			graph.Assets = append(graph.Assets, Asset{Key: key, Unit: key, Target: target[key]})
			continue
		}
		graph.Assets = append(graph.Assets, Asset{Key: key, Unit: definition.Compute, Target: target[key], Policy: definition.Backfill})
		for _, edge := range planner.Parents(key) {
			graph.Needs = append(graph.Needs, Need{Upstream: edge.Upstream, Downstream: key, Set: existing.Set(edge.Upstream), Link: edge.Link})
		}
	}
	return graph
}

// JobKey is the name under which a graph has the ops of a job. No asset's key has a "(".
func JobKey(job string) string { return "(job) " + job }

// Targets are the subsets of a planner's target by key.
func Targets(target plan.Target) map[string]partition.Subset {
	if !target.Ops.IsEmpty() {
		return map[string]partition.Subset{JobKey(target.Job): target.Ops}
	}
	return target.Assets
}

// SetOf is what exists of what a graph has under a key; nil when the definitions do not have it, or nothing makes it.
func SetOf(snapshot *plan.Snapshot, existing *plan.Existing, job, key string) *partition.Set {
	if job != "" && key == JobKey(job) {
		return existing.JobSet(job)
	}
	for i := range snapshot.Assets {
		if snapshot.Assets[i].Key == key && !snapshot.Assets[i].External() {
			return existing.Set(key)
		}
	}
	return nil
}

// Partitions are the partitions of a run in the words of a request: one of the fields is given, none of assets without
// partitions.
type Partitions struct {
	Partition  string               `json:"partition,omitempty"`
	Range      *wire.PartitionRange `json:"range,omitempty"`
	Partitions []string             `json:"partitions,omitempty"`
}

// Partitions are the run's.
func (r Run) Partitions() Partitions {
	first, _ := r.Subset.First()
	last, _ := r.Subset.Last()
	switch {
	case r.Subset.Set().Partitions().Kind() == partition.KindSingle:
		return Partitions{}
	case !r.Ranged:
		return Partitions{Partition: first}
	case !areWindows(r.Subset.Set()):
		// They have no order but that of a list, in which they may stand elsewhere when the run is planned: a key was added again,
		// or the definitions have one more.
		return Partitions{Partitions: slices.Collect(r.Subset.Keys())}
	default:
		return Partitions{Range: &wire.PartitionRange{Start: first, End: last}}
	}
}

// areWindows says whether partitions are in the order of time, or a grid of such: a range of them stays the same one.
func areWindows(set *partition.Set) bool {
	dimensions, _ := set.Dimensions()
	return set.Partitions().Kind() == partition.KindTime || len(dimensions) > 0 && areWindows(dimensions[0]) && areWindows(dimensions[1])
}

// maxListed is how many partitions a run is asked for by a list of their keys: longer ones would be too long for a request.
const maxListed = 10_000

// Subset is the partitions as a subset of a set; the error names those that the set does not have.
func (p Partitions) Subset(set *partition.Set) (partition.Subset, error) {
	switch {
	case p.Partition != "":
		return set.Of(p.Partition)
	case p.Range != nil:
		return set.Range(p.Range.Start, p.Range.End)
	case len(p.Partitions) > 0:
		return set.Of(p.Partitions...)
	case set.Partitions().Kind() == partition.KindSingle:
		return set.All(), nil
	default:
		return set.None(), fmt.Errorf("no partition of %s is named", set)
	}
}

// Label is the partitions in a run's id: the key, or the first and the last of a range; "" without partitions.
func (p Partitions) Label() string {
	switch {
	case p.Range != nil && p.Range.Start == p.Range.End:
		return p.Range.Start
	case p.Range != nil:
		return p.Range.Start + "..." + p.Range.End
	case len(p.Partitions) == 1:
		return p.Partitions[0]
	case len(p.Partitions) > 1:
		return p.Partitions[0] + "..." + p.Partitions[len(p.Partitions)-1]
	default:
		return p.Partition
	}
}

// RunID is the id of a run of a backfill. Each partition of an asset is requested once in a backfill, so that no other run
// of it has the same.
func RunID(id string, run Run, job string) string {
	parts := []string{id, run.Assets[0]}
	if job != "" && run.Assets[0] == JobKey(job) {
		parts[1] = job
	}
	if run.Again != "" {
		// Several runs may have failed at the same partition, of which each made other assets.
		return wire.Name("", id, "again", run.Again)
	}
	if label := run.Partitions().Label(); label != "" {
		parts = append(parts, label)
	}
	return wire.Name("", parts...)
}
