package step

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// maxRecordedPartitions bounds the partitions of one asset that a materialization records as its inputs: of an asset with as many
// or more, none is recorded.
const maxRecordedPartitions = 100

// lineage is what the outputs of an attempt were made of. A step for many partitions has loaded the inputs of all; what one of
// them has from the partition of the same key alone is its own.
type lineage struct {
	attempt *Attempt
	// shared are the versions that each output was made of, own the assets of which it is only the one under its key.
	shared []wire.InputVersion
	own    []string
	// sharedVersion stands for shared in the data versions of a step for many partitions, however many there are.
	sharedVersion string
}

func (e *execution) lineage() *lineage {
	a := e.attempt
	l := &lineage{attempt: a}
	if len(a.Plan.Partitions) == 0 {
		l.shared = inputVersions(a.Plan, a.Inputs)
		return l
	}
	var shared []plan.StepInput
	for _, inputs := range edges(a.Plan.Inputs) {
		if isOneToOne(inputs, a.Plan.Partitions) {
			l.own = append(l.own, inputs[0].Asset)
		} else {
			shared = append(shared, inputs...)
		}
	}
	l.own = slices.Compact(slices.Sorted(slices.Values(l.own)))
	l.shared = versionsOf(shared, a.Inputs)
	l.sharedVersion = dataVersion("", withLoaded(l.shared, a.Loaded), a.Values)
	return l
}

// edges are the inputs together that take the same keys of one asset: what the run makes of it, and what not. Any other is apart.
func edges(inputs []plan.StepInput) [][]plan.StepInput {
	var found [][]plan.StepInput
	for _, input := range inputs {
		i := slices.IndexFunc(found, func(edge []plan.StepInput) bool {
			return edge[0].Asset == input.Asset && edge[0].SameKey() && input.SameKey()
		})
		if i < 0 {
			found = append(found, []plan.StepInput{input})
		} else {
			found[i] = append(found[i], input)
		}
	}
	return found
}

// isOneToOne says whether each of the step's partitions was made of the upstream partition of the same key.
func isOneToOne(edge []plan.StepInput, partitions []string) bool {
	if !edge[0].SameKey() {
		return false
	}
	keys := make(map[string]bool, len(partitions))
	for _, input := range edge {
		for _, key := range input.Partitions {
			keys[key] = true
		}
	}
	return len(keys) == len(partitions) && !slices.ContainsFunc(partitions, func(key string) bool { return !keys[key] })
}

// inputs are the versions that the output of a partition was made of, sorted.
func (l *lineage) inputs(key string) []wire.InputVersion {
	if len(l.own) == 0 {
		return l.shared
	}
	all := slices.Concat(l.shared, l.ownVersions(key))
	slices.SortStableFunc(all, func(a, b wire.InputVersion) int {
		return cmp.Or(strings.Compare(a.Asset, b.Asset), strings.Compare(a.Partition, b.Partition))
	})
	return slices.Compact(all)
}

func (l *lineage) ownVersions(key string) []wire.InputVersion {
	versions := make([]wire.InputVersion, len(l.own))
	for i, asset := range l.own {
		versions[i] = versionOf(AssetPartition{asset, key}, l.attempt.Inputs)
	}
	return versions
}

// version is the data version of the output of a partition.
func (l *lineage) version(code, key string) string {
	if l.sharedVersion == "" {
		return dataVersion(code, withLoaded(l.shared, l.attempt.Loaded), l.attempt.Values)
	}
	return dataVersion(code+l.sharedVersion, l.ownVersions(key), nil)
}

// recordedInputs leaves out the assets of which too many partitions were loaded.
func recordedInputs(versions []wire.InputVersion) []wire.InputVersion {
	if len(versions) < maxRecordedPartitions {
		return versions
	}
	count := map[string]int{}
	for _, version := range versions {
		count[version.Asset]++
	}
	if slices.Max(slices.Collect(maps.Values(count))) < maxRecordedPartitions {
		return versions
	}
	return slices.DeleteFunc(slices.Clone(versions), func(version wire.InputVersion) bool { return count[version.Asset] >= maxRecordedPartitions })
}
