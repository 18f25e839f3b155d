package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

// RestoredBackfill is a backfill as its row has it, by a location's definitions of now.
type RestoredBackfill struct {
	Engine   *backfill.Backfill
	snapshot *plan.Snapshot
	existing *plan.Existing
	job      string
}

// UnreadableError is a record of a backfill that nobody can read: trying again does not help.
type UnreadableError struct{ Cause error }

func (e *UnreadableError) Error() string { return "its records cannot be read: " + e.Cause.Error() }

func (e *UnreadableError) Unwrap() error { return e.Cause }

// RestoreBackfill makes the engine of a backfill from definitions. Its error is wire.Problems when these do not fit any more,
// and an *UnreadableError when the row makes no sense.
func (s *Starter) RestoreBackfill(ctx context.Context, definitions Definitions, row metadata.BackfillState) (*RestoredBackfill, error) {
	existing, err := s.Existing(ctx, definitions.Planner, row.AsOf)
	if err != nil {
		return nil, err
	}
	r := &RestoredBackfill{snapshot: definitions.Snapshot, existing: existing, job: row.Request.Job}
	targets, problems, err := StoredTarget(definitions.Snapshot, existing, row)
	if err != nil {
		return nil, &UnreadableError{err}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	graph := backfill.GraphOf(definitions.Snapshot, definitions.Planner, existing, r.job, targets)
	for _, one := range row.Again {
		subset, err := r.SubsetOf(one.BackfillUnit)
		if err != nil {
			return nil, err
		}
		graph.Again = append(graph.Again, backfill.Again{RunID: one.RunID, Assets: one.Assets, Subset: subset})
	}
	if r.Engine, err = backfill.New(graph); err != nil {
		return nil, err
	}
	var state backfill.State
	if err := json.Unmarshal(row.State, &state); err != nil {
		return nil, &UnreadableError{fmt.Errorf("read the state: %w", err)}
	}
	err = r.Engine.Restore(state)
	if err != nil && wire.ProblemsOf(err) == nil {
		err = &UnreadableError{err}
	}
	return r, err
}

// SubsetOf is the partitions of a run. Its error is an *UnreadableError.
func (r *RestoredBackfill) SubsetOf(unit metadata.BackfillUnit) (backfill.Subset, error) {
	if len(unit.Assets) == 0 {
		return backfill.Subset{}, &UnreadableError{fmt.Errorf("a run has no assets")}
	}
	set := backfill.SetOf(r.snapshot, r.existing, r.job, unit.Assets[0])
	if set == nil {
		return backfill.Subset{}, &UnreadableError{fmt.Errorf("%s is not made by the definitions any more", unit.Assets[0])}
	}
	subset, err := unit.Partitions.Subset(set)
	if err != nil {
		err = &UnreadableError{err}
	}
	return subset, err
}

// MadeBy is what a run has made of the assets of one of the backfill's: of itself, or of the one that it executes again. Its
// error is an *UnreadableError.
func (r *RestoredBackfill) MadeBy(unit metadata.BackfillUnit, run metadata.EndedRun) (backfill.Made, error) {
	made := backfill.Made{}
	if len(run.Assets) == 0 && run.Status == wire.RunSuccess {
		subset, err := r.SubsetOf(unit)
		for _, key := range unit.Assets {
			made[key] = subset
		}
		return made, err
	}
	for _, asset := range run.Assets {
		set := backfill.SetOf(r.snapshot, r.existing, r.job, asset.Asset)
		if set == nil {
			continue
		}
		subset, err := madeOf(set, asset)
		if err != nil {
			return nil, &UnreadableError{fmt.Errorf("what run %q made of %q: %w", run.Run, asset.Asset, err)}
		}
		made[asset.Asset] = subset
	}
	return made, nil
}

func madeOf(set *partition.Set, asset metadata.EndedAsset) (partition.Subset, error) {
	planned := set.All()
	if asset.Planned != nil {
		var err error
		if planned, _, err = set.Decode(asset.Planned); err != nil {
			return planned, err
		}
	}
	var missing []string
	for _, list := range [][]string{asset.Failed, asset.UpstreamFailed, asset.Skipped, asset.Canceled} {
		for _, key := range list {
			if planned.Has(key) {
				missing = append(missing, key)
			}
		}
	}
	not, err := set.Of(missing...)
	return planned.Difference(not), err
}

// IsWhole says whether a run that succeeded has made all that it was for.
func IsWhole(run metadata.EndedRun, unit metadata.BackfillUnit) bool {
	if len(run.Assets) != len(unit.Assets) {
		return len(run.Assets) == 0 // of ops
	}
	return !slices.ContainsFunc(run.Assets, func(asset metadata.EndedAsset) bool {
		return len(asset.Failed)+len(asset.UpstreamFailed)+len(asset.Skipped)+len(asset.Canceled) > 0
	})
}
