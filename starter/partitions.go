package starter

import (
	"context"
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// AddPartitions adds keys to a dynamic partition set of the deployment; that a key is there already is no problem. It returns
// wire.Problems with every key that no set, or none that is a grid's dimension, can have; nothing is added then.
func (s *Starter) AddPartitions(ctx context.Context, change metadata.PartitionChange) (metadata.PartitionsChanged, error) {
	problems := changeProblems(change)
	grid, err := s.gridOf(ctx, change.Name)
	if err != nil {
		return metadata.PartitionsChanged{}, err
	}
	for i, key := range change.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		switch err := partition.CheckKey(key); {
		case err != nil:
			problems = append(problems, wire.Problem{Path: path, Code: wire.CodeInvalid, Message: fmt.Sprintf("%q can be no key: %s", key, err)})
		case grid != "" && strings.Contains(key, "|"):
			problems = append(problems, wire.Problem{
				Path: path, Code: wire.CodeInvalid,
				Message: fmt.Sprintf(`%q holds "|", which parts the keys of the grid of %s`, key, grid), Fix: `leave "|" out`,
			})
		}
	}
	if len(problems) > 0 {
		return metadata.PartitionsChanged{}, problems
	}
	return s.Store.AddPartitions(ctx, change)
}

// RemovePartitions removes keys from a dynamic partition set; that one is not there is no problem. What was made of them stays.
func (s *Starter) RemovePartitions(ctx context.Context, change metadata.PartitionChange) (metadata.PartitionsChanged, error) {
	if problems := changeProblems(change); len(problems) > 0 {
		return metadata.PartitionsChanged{}, problems
	}
	return s.Store.RemovePartitions(ctx, change)
}

func changeProblems(change metadata.PartitionChange) wire.Problems {
	var problems wire.Problems
	if err := partition.CheckKey(change.Name); err != nil {
		problems = append(problems, wire.Problem{Path: "name", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q names no partition set: %s", change.Name, err)})
	}
	if len(change.Keys) == 0 {
		problems = append(problems, wire.Problem{Path: "keys", Code: wire.CodeMissing, Message: "no keys are given", Fix: "give at least one"})
	}
	return problems
}

// gridOf names an asset or a job, of any location's active definitions, with a grid that has the dynamic set as a dimension; ""
// when there is none.
func (s *Starter) gridOf(ctx context.Context, set string) (string, error) {
	locations, err := s.Store.Locations(ctx)
	if err != nil {
		return "", err
	}
	has := func(definition *partition.Definition) bool {
		if definition == nil {
			return false
		}
		for _, dimension := range definition.Grid {
			if dimension.Dynamic == set {
				return true
			}
		}
		return false
	}
	for _, location := range locations {
		snapshot, err := s.snapshot(ctx, location.Location)
		if err != nil {
			return "", err
		}
		for _, asset := range snapshot.Assets {
			if has(asset.Partitions) {
				return "asset " + asset.Key, nil
			}
		}
		for _, job := range snapshot.Jobs {
			if has(job.Partitions) {
				return "job " + job.Name, nil
			}
		}
	}
	return "", nil
}

// WipeAsset forgets what was materialized of an asset that the location defines, so that it is missing again: of the wipe's
// partitions, or, without any, of all of it. Keys that do not exist any more can be wiped, too. It returns wire.Problems when
// the asset is not there, or its partitions are not what it has; nothing was wiped then.
func (s *Starter) WipeAsset(ctx context.Context, location string, wipe metadata.Wipe) (metadata.Wiped, error) {
	snapshot, err := s.snapshot(ctx, location)
	if err != nil {
		return metadata.Wiped{}, err
	}
	asset, problems := definedAsset(snapshot, wipe.Asset)
	switch {
	case problems != nil:
		return metadata.Wiped{}, problems
	case asset.Partitions == nil && len(wipe.Partitions) > 0:
		return metadata.Wiped{}, wire.Problems{{
			Path: "partitions", Code: wire.CodeConflict, Message: fmt.Sprintf("asset %q is not partitioned", wipe.Asset), Fix: "leave the partitions out",
		}}
	}
	for i, key := range wipe.Partitions {
		if err := partition.CheckKey(key); err != nil {
			problems = append(problems, wire.Problem{Path: fmt.Sprintf("partitions[%d]", i), Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no key: %s", key, err)})
		}
	}
	if len(problems) > 0 {
		return metadata.Wiped{}, problems
	}
	wipe.CodeLocation = location
	return s.Store.WipeAsset(ctx, wipe)
}

// definedAsset finds an asset of a snapshot.
func definedAsset(snapshot *plan.Snapshot, key string) (plan.Asset, wire.Problems) {
	keys := make([]string, len(snapshot.Assets))
	for i, asset := range snapshot.Assets {
		if asset.Key == key {
			return asset, nil
		}
		keys[i] = asset.Key
	}
	return plan.Asset{}, wire.Problems{{
		Path: "asset", Code: wire.CodeUnknown, Message: fmt.Sprintf("location %q has no asset %q", snapshot.Location, key), Fix: wire.FixUnknown(key, keys),
	}}
}
