package step

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// initialVersion stands for an external asset of which nothing is recorded.
const initialVersion = "INITIAL"

// dataVersion is the SHA-256 of what stands for the code, and then the data versions of the inputs, ordered by key, and of
// the op outputs that were loaded. For the code stands its version or, without one, the run's id, so that every run
// gives a new version.
func dataVersion(code string, inputs []wire.InputVersion, values []wire.StepValue) string {
	var text strings.Builder
	text.WriteString(code)
	for _, input := range inputs {
		text.WriteString(input.DataVersion)
	}
	for _, value := range values {
		text.WriteString(value.DataVersion)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
}

// withLoaded adds what ops before this step have loaded, by key. Of an asset that was loaded twice it keeps the older
// materialization: with it, the newer one is a reason to compute again.
func withLoaded(own, before []wire.InputVersion) []wire.InputVersion {
	if len(before) == 0 {
		return own
	}
	all := slices.Concat(own, before)
	slices.SortStableFunc(all, func(a, b wire.InputVersion) int {
		return cmp.Or(strings.Compare(a.Asset, b.Asset), strings.Compare(a.Partition, b.Partition), cmp.Compare(a.Position, b.Position))
	})
	return slices.CompactFunc(all, func(a, b wire.InputVersion) bool {
		return a.Asset == b.Asset && a.Partition == b.Partition
	})
}

// opVersion is the data version of an op's output. It says only what went in: the code version of a graph asset stands for
// all of its ops.
func (a *Attempt) opVersion() string {
	return dataVersion("", inputVersions(a.Plan, a.Inputs), a.Values)
}

// inputVersions are the versions of everything the step loads, each once, in the plan's order, which is by key.
func inputVersions(step plan.Step, found map[AssetPartition]wire.InputVersion) []wire.InputVersion {
	return versionsOf(step.Inputs, found)
}

func versionsOf(inputs []plan.StepInput, found map[AssetPartition]wire.InputVersion) []wire.InputVersion {
	versions := make([]wire.InputVersion, 0, len(inputs))
	seen := make(map[AssetPartition]bool, len(inputs))
	for _, input := range inputs {
		partitions := input.Partitions
		if partitions == nil {
			partitions = []string{""}
		}
		for _, partition := range partitions {
			of := AssetPartition{input.Asset, partition}
			if !seen[of] {
				seen[of] = true
				versions = append(versions, versionOf(of, found))
			}
		}
	}
	return versions
}

func versionOf(of AssetPartition, found map[AssetPartition]wire.InputVersion) wire.InputVersion {
	if version, ok := found[of]; ok {
		return version
	}
	return wire.InputVersion{Asset: of.Asset, Partition: of.Partition, DataVersion: initialVersion}
}
