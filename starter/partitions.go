package starter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// AddPartitions adds keys to a dynamic partition set of the deployment, which assets of any location may have. Those that it has
// already are no error. Temporal may be nil. The error is wire.Problems with everything that is wrong; nothing was changed then.
func (s *Starter) AddPartitions(ctx context.Context, change metadata.PartitionChange) (metadata.PartitionsChanged, error) {
	problems := keyProblems(change.Keys)
	declared, err := s.dynamicSets(ctx)
	if err != nil {
		return metadata.PartitionsChanged{}, err
	}
	inGrid, known := declared[change.Name]
	if !known {
		problems = append(problems, unknownSet(change.Name, declared))
	}
	for i, key := range change.Keys {
		if inGrid && strings.Contains(key, "|") {
			problems = append(problems, wire.Problem{
				Path: fmt.Sprintf("keys[%d]", i), Code: wire.CodeInvalid, Message: fmt.Sprintf("%q holds |, and the set %q is a dimension of a grid", key, change.Name), Fix: "use another character",
			})
		}
	}
	if len(problems) > 0 {
		return metadata.PartitionsChanged{}, problems.Err()
	}
	return s.Store.AddPartitions(ctx, change)
}

// RemovePartitions removes keys from a dynamic set. What was made of them stays recorded, and counts again when they are added
// again. Keys that it does not have are no error. Temporal may be nil. The error is wire.Problems as for AddPartitions.
func (s *Starter) RemovePartitions(ctx context.Context, change metadata.PartitionChange) (metadata.PartitionsChanged, error) {
	declared, err := s.dynamicSets(ctx)
	if err != nil {
		return metadata.PartitionsChanged{}, err
	}
	if _, known := declared[change.Name]; !known {
		// One that no definitions have any more can still be emptied.
		keys, err := s.Store.DynamicKeys(ctx, []string{change.Name})
		if err != nil {
			return metadata.PartitionsChanged{}, err
		}
		if len(keys) == 0 {
			return metadata.PartitionsChanged{}, wire.Problems{unknownSet(change.Name, declared)}
		}
	}
	if problems := keyProblems(change.Keys); len(problems) > 0 {
		return metadata.PartitionsChanged{}, problems.Err()
	}
	return s.Store.RemovePartitions(ctx, change)
}

func keyProblems(keys []string) wire.Problems {
	var problems wire.Problems
	if len(keys) == 0 {
		problems = append(problems, wire.Problem{Path: "keys", Code: wire.CodeMissing, Message: "no key is given", Fix: "give at least one"})
	}
	for i, key := range keys {
		if err := partition.CheckKey(key); err != nil {
			problems = append(problems, wire.Problem{Path: fmt.Sprintf("keys[%d]", i), Code: wire.CodeInvalid, Message: err.Error()})
		}
	}
	return problems
}

func unknownSet(name string, declared map[string]bool) wire.Problem {
	names := slices.Sorted(maps.Keys(declared))
	return wire.Problem{
		Path: "name", Code: wire.CodeUnknown, Message: fmt.Sprintf("no code location has a dynamic partition set %q", name), Fix: wire.FixUnknown(name, names),
	}
}

// dynamicSets are the dynamic sets that the active definitions of all locations name, and whether one is a dimension of a grid.
func (s *Starter) dynamicSets(ctx context.Context) (map[string]bool, error) {
	locations, err := s.Store.Locations(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the locations: %w", err)
	}
	sets := map[string]bool{}
	for _, location := range locations {
		snapshot, err := s.Store.Snapshot(ctx, location.Hash)
		if err != nil {
			return nil, fmt.Errorf("read the definitions of location %q: %w", location.Location, err)
		}
		for _, definition := range partitionsOf(snapshot) {
			if _, known := sets[definition.Dynamic]; definition.Dynamic != "" && !known {
				sets[definition.Dynamic] = false
			}
			for _, dimension := range definition.Grid {
				if dimension.Dynamic != "" {
					sets[dimension.Dynamic] = true
				}
			}
		}
	}
	return sets, nil
}

// partitionsOf are the definitions of partitions of assets, ops and jobs.
func partitionsOf(snapshot *plan.Snapshot) []partition.Definition {
	var found []partition.Definition
	add := func(definition *partition.Definition) {
		if definition != nil {
			found = append(found, *definition)
		}
	}
	for _, asset := range snapshot.Assets {
		add(asset.Partitions)
	}
	for _, compute := range snapshot.Computes {
		add(compute.Partitions)
	}
	for _, job := range snapshot.Jobs {
		add(job.Partitions)
	}
	return found
}
