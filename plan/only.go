package plan

import (
	"errors"
	"fmt"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// PartitionStates are the partitions of one asset by what has become of them. A zero Subset is none; a subset may be of any
// Set of the asset's definition, or of one that it had before.
type PartitionStates struct {
	// Materialized have a materialization that counts.
	Materialized partition.Subset
	// Failed were last attempted without success, or left out because of that.
	Failed partition.Subset
	// Stale are materialized from code or inputs that are no longer the current ones.
	Stale partition.Subset
}

// StatesNeeded are the assets whose states [Planner.Narrow] and [Facts] need for a request, sorted; nil when it is not
// narrowed, and for a request that cannot be planned.
func (p *Planner) StatesNeeded(request wire.RunRequest) []string {
	if request.Only == "" || request.RetryOf != nil {
		return nil
	}
	found, problems := p.resolve(request)
	if len(problems) > 0 {
		return nil
	}
	return p.keysOf(found.assets)
}

// Narrow leaves of a target what is in the state that a request is narrowed to; "" leaves all of it. An asset without
// states has never been made. Of a multi-asset that is made as a whole, what is left of one asset is left of all. That
// nothing is left is a problem of the code [wire.CodeNothingLeft].
func (p *Planner) Narrow(t Target, only wire.OnlyPartitions, states map[string]PartitionStates, existing *Existing) (Target, wire.Problems) {
	found := t.found
	if problems := p.narrow(&found, only, states, existing); len(problems) > 0 {
		return Target{}, problems
	}
	return p.export(found, existing), nil
}

func (p *Planner) narrow(found *target, only wire.OnlyPartitions, states map[string]PartitionStates, existing *Existing) wire.Problems {
	if only == "" || len(found.assets) == 0 {
		return nil
	}
	subsets := make(map[int]partition.Subset, len(found.assets))
	asked := 0
	for i, a := range found.assets {
		subset := found.subset(i, existing)
		asked += subset.Count()
		left, err := states[p.snapshot.Assets[a].Key].narrow(subset, only)
		if err != nil {
			return wire.Problems{{
				Path: "only", Code: wire.CodeInvalid, Message: fmt.Sprintf("asset %q: what has become of its partitions cannot be read: %s", p.snapshot.Assets[a].Key, err),
			}}
		}
		subsets[a] = left
	}
	keys := p.keysOf(found.assets)
	p.setSubsets(found, subsets)
	if len(found.assets) > 0 {
		return nil
	}
	return wire.Problems{{
		Path: "only", Code: wire.CodeNothingLeft,
		Message: fmt.Sprintf("nothing is %s: %d partitions of %s were looked at", only, asked, listed(keys)), Fix: `there is nothing to do; leave "only" out to make them again`,
	}}
}

// narrow is what of a subset is in a state.
func (s PartitionStates) narrow(subset partition.Subset, only wire.OnlyPartitions) (partition.Subset, error) {
	materialized, err := rebased(s.Materialized, subset.Set())
	if err != nil {
		return partition.Subset{}, err
	}
	missing := subset.Difference(materialized)
	switch only {
	case wire.OnlyFailed:
		failed, err := rebased(s.Failed, subset.Set())
		return subset.Intersection(failed), err
	case wire.OnlyStale:
		stale, err := rebased(s.Stale, subset.Set())
		return subset.Intersection(stale).Union(missing), err
	default:
		return missing, nil
	}
}

// rebased is what of a subset there is in a set; of one whose keys meant something else it is nothing.
func rebased(subset partition.Subset, set *partition.Set) (partition.Subset, error) {
	if subset.IsEmpty() || set == nil {
		return partition.Subset{}, nil
	}
	if subset.Set() == set {
		return subset, nil
	}
	data, err := subset.MarshalJSON()
	if err != nil {
		return partition.Subset{}, err
	}
	same, _, err := set.Decode(data)
	if _, changed := errors.AsType[*partition.ChangedError](err); changed {
		return partition.Subset{}, nil
	}
	return same, err
}
