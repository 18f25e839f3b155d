package plan

import (
	"fmt"
	"time"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// Existing is the partitions of a snapshot's assets that exist at one moment: one [partition.Set] for each distinct
// definition, so that subsets of all assets of one definition can be combined. It never changes, and may be used by many
// goroutines. Make it with [Planner.Existing].
type Existing struct {
	planner *Planner
	at      time.Time
	single  *partition.Set
	sets    map[*partition.Partitions]*partition.Set
}

// Existing is what exists at a time. dynamic are the keys of the dynamic sets that [Planner.DynamicSets] names, each list
// in the order in which they were added.
func (p *Planner) Existing(at time.Time, dynamic map[string][]string) *Existing {
	e := &Existing{planner: p, at: at, single: p.single.At(at, nil), sets: make(map[*partition.Partitions]*partition.Set, len(p.definitions))}
	for _, parts := range p.definitions {
		e.sets[parts] = parts.At(at, dynamic)
	}
	return e
}

// At is the time at which the partitions exist.
func (e *Existing) At() time.Time { return e.at }

// Set is the partitions of an asset. Of one that is not partitioned it is the Set of the zero Definition: one partition
// whose key is "". It is nil for a key that the snapshot does not have.
func (e *Existing) Set(asset string) *partition.Set {
	a, known := e.planner.assets[asset]
	if !known {
		return nil
	}
	return e.of(e.planner.assetParts[a])
}

// JobSet is the partitions of an op job, as Set is those of an asset.
func (e *Existing) JobSet(job string) *partition.Set {
	j, known := e.planner.jobs[job]
	if !known {
		return nil
	}
	return e.of(e.planner.jobParts[j])
}

func (e *Existing) of(parts *partition.Partitions) *partition.Set {
	if parts == nil {
		return e.single
	}
	return e.sets[parts]
}

// AsOf is the time at which a request's partitions must exist: its as_of, or else now.
func AsOf(request wire.RunRequest, now time.Time) (time.Time, wire.Problems) {
	if request.AsOf == "" {
		return now, nil
	}
	at, err := time.Parse(time.RFC3339, request.AsOf)
	if err != nil {
		return now, wire.Problems{{
			Path: "as_of", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no time of RFC 3339", request.AsOf), Fix: "give one such as 2001-04-01T00:00:00Z",
		}}
	}
	return at, nil
}
