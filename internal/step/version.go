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

// dataVersion is the SHA-256 of the code version and then the inputs' data versions, ordered by key.
// Without a code version the run's id stands in, so that every run gives a new one.
func dataVersion(codeVersion, run string, inputs []wire.InputVersion) string {
	var text strings.Builder
	if codeVersion == "" {
		text.WriteString(run)
	} else {
		text.WriteString(codeVersion)
	}
	for _, input := range inputs {
		text.WriteString(input.DataVersion)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:])
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
