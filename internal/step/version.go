package step

import (
	"crypto/sha256"
	"encoding/hex"
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

// opVersion is the data version of an op's output. It says only what went in: the code version of a graph asset stands for
// all of its ops.
func (a *Attempt) opVersion() string {
	return dataVersion("", inputVersions(a.Plan, a.Inputs), a.Values)
}

// inputVersions are the versions of everything the step loads, in the plan's order, which is by key.
func inputVersions(step plan.Step, found map[string]wire.InputVersion) []wire.InputVersion {
	versions := make([]wire.InputVersion, 0, len(step.Inputs))
	for _, input := range step.Inputs {
		version, ok := found[input.Asset]
		if !ok {
			version = wire.InputVersion{Asset: input.Asset, DataVersion: initialVersion}
		}
		versions = append(versions, version)
	}
	return versions
}
