package assetstatus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// maxEdge is how many upstream partitions along an edge still make stale: with as many or more of them a new version of one
// says little, and they are not recorded.
const maxEdge = 100

// CauseCategory is a kind of cause.
type CauseCategory string

// The categories of causes.
const (
	CauseCode         CauseCategory = "CODE"
	CauseDependencies CauseCategory = "DEPENDENCIES"
	CauseData         CauseCategory = "DATA"
)

// Cause is why a partition is stale.
type Cause struct {
	Category CauseCategory `json:"category"`
	// Reason says it for people, "has a new code version".
	Reason string `json:"reason"`
	// Dependency is the upstream asset that it is about, and Partitions the first few of its partitions; "" and nil of code.
	Dependency string   `json:"dependency,omitempty"`
	Partitions []string `json:"partitions,omitempty"`
}

// maxNamed is how many partitions a cause names.
const maxNamed = 10

// Stale are the materialized partitions of an asset that were computed by code, or from inputs, that are no longer the current
// ones. Only its direct parents count. It looks at the provenance of every materialized partition.
func (r *Reader) Stale(ctx context.Context, status Status) (partition.Subset, error) {
	judge := r.judge(status.Asset)
	if judge == nil {
		return status.Set.None(), nil
	}
	var stale []string
	for after, first := "", true; ; first = false {
		page, err := r.store.Provenances(ctx, status.Asset, after, first)
		if err != nil {
			return partition.Subset{}, err
		}
		if len(page) == 0 {
			return status.Set.Of(stale...)
		}
		for _, provenance := range page {
			if !status.Materialized.Has(provenance.Partition) {
				continue
			}
			causes, err := judge.causes(ctx, provenance)
			if err != nil {
				return partition.Subset{}, err
			}
			if len(causes) > 0 {
				stale = append(stale, provenance.Partition)
			}
		}
		after = page[len(page)-1].Partition
	}
}

// Causes are why one partition of an asset is stale, sorted; none when it is not, or is missing.
func (r *Reader) Causes(ctx context.Context, asset, key string) ([]Cause, error) {
	judge := r.judge(asset)
	if judge == nil {
		return nil, nil
	}
	provenance, err := r.store.Provenance(ctx, asset, key)
	if err != nil || provenance == nil {
		return nil, err
	}
	return judge.causes(ctx, *provenance)
}

// judge knows what an asset's definition says.
type judge struct {
	store    *metadata.Store
	asset    plan.Asset
	set      *partition.Set
	existing *plan.Existing
	// parents are the edges by upstream key; assets says of each of them what it is; loaded are those whose values are loaded.
	parents map[string][]plan.Edge
	assets  map[string]plan.Asset
	loaded  map[string]bool
}

// judge prepares to look at an asset; nil of an external one, which is never stale.
func (r *Reader) judge(key string) *judge {
	j := &judge{
		store: r.store, existing: r.existing, set: r.existing.Set(key), parents: map[string][]plan.Edge{}, assets: map[string]plan.Asset{}, loaded: map[string]bool{},
	}
	snapshot := r.planner.Snapshot()
	for _, asset := range snapshot.Assets {
		j.assets[asset.Key] = asset
	}
	j.asset = j.assets[key]
	if j.asset.External() {
		return nil
	}
	for _, edge := range r.planner.Parents(key) {
		j.parents[edge.Upstream] = append(j.parents[edge.Upstream], edge)
	}
	computes := map[string]plan.Compute{}
	for _, compute := range snapshot.Computes {
		computes[compute.Name] = compute
	}
	seen := map[string]bool{}
	for todo := []string{j.asset.Compute}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		compute := computes[todo[0]]
		if compute.Over != "" {
			todo = append(todo, compute.Over)
		}
		for _, input := range compute.Inputs {
			todo = append(todo, input.Ops...)
			for _, upstream := range input.Assets {
				j.loaded[upstream] = j.loaded[upstream] || input.Kind != plan.InputAfter
			}
		}
	}
	return j
}

// causes are why what was computed so is stale.
func (j *judge) causes(ctx context.Context, p metadata.Provenance) ([]Cause, error) {
	if !p.Known {
		return j.causesByTime(ctx, p) // a report says nothing of code and inputs
	}
	var causes []Cause
	if j.asset.CodeVersion != "" && j.asset.CodeVersion != p.CodeVersion {
		causes = append(causes, Cause{Category: CauseCode, Reason: "has a new code version"})
	}
	for _, key := range p.Assets {
		if len(j.parents[key]) == 0 {
			causes = append(causes, Cause{Category: CauseDependencies, Reason: "removed dependency on " + key, Dependency: key})
		}
	}
	for key, edges := range j.parents {
		if !j.loaded[key] || j.assets[key].External() || slices.Contains(p.Assets, key) {
			continue
		}
		counts, err := j.counts(p.Partition, edges)
		if err != nil {
			return nil, err
		}
		if counts {
			causes = append(causes, Cause{Category: CauseDependencies, Reason: "has a new dependency on " + key, Dependency: key})
		}
	}
	changed := map[string][]string{}
	for _, edge := range p.Changed {
		if j.tells(edge.Asset) {
			changed[edge.Asset] = append(changed[edge.Asset], edge.Partition)
		}
	}
	for key, partitions := range changed {
		reason := "has a new dependency materialization"
		if upstream := j.assets[key]; upstream.CodeVersion != "" || upstream.External() {
			reason = "has a new dependency data version"
		}
		causes = append(causes, dataCause(reason, key, partitions))
	}
	return sorted(causes), nil
}

func sorted(causes []Cause) []Cause {
	slices.SortFunc(causes, func(a, b Cause) int {
		return cmp.Or(strings.Compare(a.Dependency, b.Dependency), strings.Compare(string(a.Category), string(b.Category)))
	})
	return causes
}

// causesByTime are why what was reported is stale: what it is made from was made later, or never. External assets do not count.
func (j *judge) causesByTime(ctx context.Context, p metadata.Provenance) ([]Cause, error) {
	var causes []Cause
	for key, edges := range j.parents {
		if j.assets[key].External() {
			continue
		}
		needed, err := j.needed(p.Partition, edges)
		if err != nil {
			return nil, err
		}
		if len(needed) == 0 {
			continue
		}
		made, err := j.store.MadeAt(ctx, key, needed)
		if err != nil {
			return nil, err
		}
		never := slices.DeleteFunc(slices.Clone(needed), func(key string) bool { _, ok := made[key]; return ok })
		later := slices.DeleteFunc(slices.Clone(needed), func(key string) bool { return made[key] <= p.Position })
		if len(never) > 0 {
			causes = append(causes, dataCause("has a new input", key, never))
		}
		if len(later) > 0 {
			causes = append(causes, dataCause("has a new dependency materialization", key, later))
		}
	}
	return sorted(causes), nil
}

// dataCause is about partitions of an upstream asset.
func dataCause(reason, dependency string, partitions []string) Cause {
	cause := Cause{Category: CauseData, Reason: reason, Dependency: dependency}
	if partitions[0] != "" {
		slices.Sort(partitions)
		cause.Partitions = partitions[:min(len(partitions), maxNamed)]
	}
	return cause
}

// counts says whether a partition needs some upstream partitions along edges, and not too many.
func (j *judge) counts(key string, edges []plan.Edge) (bool, error) {
	needed, err := j.needed(key, edges)
	return len(needed) > 0, err
}

// needed are the upstream partitions that a partition needs along edges to one asset, but for edges along which they are too
// many to say anything.
func (j *judge) needed(key string, edges []plan.Edge) ([]string, error) {
	one, err := j.set.Of(key)
	if err != nil {
		return nil, nil //nolint:nilerr // the partition exists no longer: nothing makes it stale
	}
	var keys []string
	for _, edge := range edges {
		if edge.Upstream == j.asset.Key && j.set.Count() >= maxEdge {
			continue
		}
		needed, err := edge.Link.Upstream(one, j.existing.Set(edge.Upstream))
		if err != nil {
			return nil, fmt.Errorf("what %s [%s] needs of %s: %w", j.asset.Key, key, edge.Upstream, err)
		}
		if needed.Subset.Count() < maxEdge {
			keys = slices.AppendSeq(keys, needed.Subset.Keys())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// tells says whether a new version of one upstream partition makes stale: not of all of them at once, and not of the asset
// itself where it has many.
func (j *judge) tells(upstream string) bool {
	if upstream == j.asset.Key {
		return j.set.Count() < maxEdge
	}
	for _, edge := range j.parents[upstream] {
		set := j.existing.Set(upstream)
		if edge.Link.Mapping().Kind != partition.MapAll || set == nil || set.Partitions().Kind() == partition.KindSingle {
			return true
		}
	}
	return false
}
