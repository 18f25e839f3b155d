package backfill

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// State is how far a backfill is, to be stored.
type State map[string]AssetState

// AssetState is how far an asset is: subsets as their JSON. What is empty is left out.
type AssetState struct {
	Requested    json.RawMessage `json:"requested,omitempty"`
	Materialized json.RawMessage `json:"materialized,omitempty"`
	Failed       json.RawMessage `json:"failed,omitempty"`
	Blocked      json.RawMessage `json:"blocked,omitempty"`
	Skipped      json.RawMessage `json:"skipped,omitempty"`
}

// State is what [Backfill.Restore] needs.
func (b *Backfill) State() (State, error) {
	state := State{}
	for _, a := range b.assets {
		var one AssetState
		for _, field := range one.fields(a) {
			if field.subset.IsEmpty() {
				continue
			}
			data, err := json.Marshal(*field.subset)
			if err != nil {
				return nil, fmt.Errorf("store the state of %q: %w", a.Key, err)
			}
			*field.stored = data
		}
		state[a.Key] = one
	}
	return state, nil
}

type stateField struct {
	subset *partition.Subset
	stored *json.RawMessage
}

func (s *AssetState) fields(a *asset) []stateField {
	return []stateField{
		{&a.requested, &s.Requested}, {&a.made, &s.Materialized}, {&a.failed, &s.Failed}, {&a.blocked, &s.Blocked}, {&a.skipped, &s.Skipped},
	}
}

// Restore goes on from a state, of a backfill of the same graph. Its error is wire.Problems when the definitions do not
// fit it any more.
func (b *Backfill) Restore(state State) error {
	var problems wire.Problems
	for _, key := range slices.Sorted(maps.Keys(state)) {
		a := b.byKey[key]
		if a == nil {
			problems = append(problems, wire.Problem{Path: "assets", Code: wire.CodeUnknown, Message: fmt.Sprintf("%s was targeted and is not there any more", key)})
			continue
		}
		one := state[key]
		for _, field := range one.fields(a) {
			if len(*field.stored) == 0 {
				continue
			}
			subset, err := Decode(key, a.Target.Set(), *field.stored)
			if found := wire.ProblemsOf(err); found != nil {
				problems = append(problems, found...)
			} else if err != nil {
				return err
			}
			*field.subset = subset
		}
	}
	if err := problems.Err(); err != nil {
		return err
	}
	b.regroup()
	return nil
}

// Decode reads a stored subset of an asset. Its error is wire.Problems when the definition does not fit it any more: its
// keys mean something else, or some are gone.
func Decode(key string, set *partition.Set, stored json.RawMessage) (partition.Subset, error) {
	subset, gone, err := set.Decode(stored)
	var changed *partition.ChangedError
	switch {
	case errors.As(err, &changed):
		return set.None(), wire.Problems{{Path: "assets", Code: wire.CodeConflict, Message: fmt.Sprintf("the partitions of %s have changed: %v", key, changed)}}
	case err != nil:
		return set.None(), fmt.Errorf("read the stored partitions of %q: %w", key, err)
	case len(gone) > 0:
		return set.None(), wire.Problems{{
			Path: "assets", Code: wire.CodeConflict,
			Message: fmt.Sprintf("%d targeted partitions of %s do not exist any more: %s", gone.Count(), key, gone),
		}}
	}
	return subset, nil
}
