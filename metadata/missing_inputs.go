package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// MissingInput is an asset that a run loads, and of which nobody has made all that it loads.
type MissingInput struct {
	Asset string `json:"asset"`
	// Partitions are the first few keys that are missing, Count is how many are. Of an asset without partitions that is
	// the key "".
	Partitions []string `json:"partitions"`
	Count      int      `json:"count"`
	// By are the names of what loads them, sorted.
	By []string `json:"by"`
}

// maxNamed is how many of those that load a missing input its problem names.
const maxNamed = 3

func (m MissingInput) problem() wire.Problem {
	missing := fmt.Sprintf("%s is an input of %s and has no materialization", m.Asset, firstFew(m.By, len(m.By), maxNamed))
	if m.Count == 1 && m.Partitions[0] == "" {
		return wire.Problem{
			Path: "assets", Code: wire.CodeMissing, Message: missing,
			Fix: fmt.Sprintf("select it too, as in %q, or materialize it first", m.Asset),
		}
	}
	what := "partition"
	if m.Count > 1 {
		what = fmt.Sprintf("%d partitions", m.Count)
	}
	return wire.Problem{
		Path: "assets", Code: wire.CodeMissing,
		Message: fmt.Sprintf("%s of %s %s", missing, what, firstFew(m.Partitions, m.Count, len(m.Partitions))),
		Fix:     fmt.Sprintf("materialize these partitions of it first, as a backfill with \"only\": \"missing\" does, or select it for them too, as in %q", m.Asset),
	}
}

// firstFew lists the first few of a list of count.
func firstFew(list []string, count, most int) string {
	few := strings.Join(list[:min(len(list), most)], ", ")
	if more := count - min(len(list), most); more > 0 {
		few += fmt.Sprintf(" and %d more", more)
	}
	return few
}

// MissingProblems are the problems of what a run loads but nobody has made.
func MissingProblems(missing []MissingInput) wire.Problems {
	problems := make(wire.Problems, len(missing))
	for i, input := range missing {
		problems[i] = input.problem()
	}
	return problems
}

// MissingInputs returns which of the partitions nobody has made, by asset, in the order given.
func (s *Store) MissingInputs(ctx context.Context, inputs []plan.AssetPartitions) ([]MissingInput, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	const operation = "look up materializations"
	given, err := json.Marshal(listed(inputs))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[[]MissingInput](ctx, s, operation, "select coalesce(missing_inputs_v1($1), '[]')", string(given))
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// assetPartitions are some partitions of one asset.
type assetPartitions struct {
	Asset      string   `json:"asset"`
	Partitions []string `json:"partitions"`
	By         []string `json:"by"`
}

// listed are the partitions by key.
func listed(list []plan.AssetPartitions) []assetPartitions {
	all := make([]assetPartitions, len(list))
	for i, one := range list {
		all[i] = assetPartitions{Asset: one.Asset, Partitions: []string{""}, By: one.By}
		if !one.Partitions.IsEmpty() {
			all[i].Partitions = slices.Collect(one.Partitions.Keys())
		}
	}
	return all
}
