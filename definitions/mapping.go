package definitions

import (
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/partition"
)

// Mapping says which partitions of an upstream asset a partition needs. The zero Mapping is inferred from the partitions on both
// sides: everything, where one side has none; windows that overlap, between windows of time; the one dimension that fits,
// between a grid and another set; otherwise the same key. [ByKey], [At] and [Mapped] take one.
type Mapping struct {
	lowered partition.Mapping
	// customs are the functions that it calls, faults what is wrong with it from the start.
	customs []*customMapping
	faults  []fault
}

// EveryPartition needs all upstream partitions that exist. LastPartition needs the last one that exists. SamePartition needs the
// one of the same key, also between sets that only share their keys.
var (
	EveryPartition = Mapping{lowered: partition.Mapping{Kind: partition.MapAll}}
	LastPartition  = Mapping{lowered: partition.Mapping{Kind: partition.MapLast}}
	SamePartition  = Mapping{lowered: partition.Mapping{Kind: partition.MapIdentity}}
)

// Offset needs the windows of time that overlap the partition's own, which is first shifted: its start by start, its end by end, both
// counted in downstream partitions. Offset(-1, -1) is the partition before, Offset(-1, 0) the last two. What lies outside of the
// upstream's partitions by the shift alone is not needed.
func Offset(start, end int) Mapping {
	return Mapping{lowered: partition.Mapping{Kind: partition.MapTime, StartOffset: start, EndOffset: end}}
}

// AllowNonexistent makes windows of time need only what exists upstream: otherwise a run is refused for upstream windows that it
// needs and that do not exist.
func (m Mapping) AllowNonexistent() Mapping {
	if m.lowered.Kind == "" {
		m.lowered.Kind = partition.MapTime
	}
	if m.lowered.Kind != partition.MapTime {
		m.faults = append(slices.Clone(m.faults), fault{"mapping", "AllowNonexistent is for windows of time alone", "leave it out, or use it with Offset"})
	}
	m.lowered.AllowNonexistent = true
	return m
}

// Specific needs the upstream partitions of these keys, whichever the downstream partition.
func Specific(keys ...string) Mapping {
	m := Mapping{lowered: partition.Mapping{Kind: partition.MapSpecific, Keys: slices.Clone(keys)}}
	if len(keys) == 0 {
		m.faults = []fault{{"mapping", "Specific names no keys", "name at least one, or use After with an asset that is needed for its order"}}
	}
	return m
}

// StaticMapping gives the downstream keys of upstream keys; both sides are [Static]. An upstream key that is not in it is needed
// by nothing.
func StaticMapping(downstreamOf map[string][]string) Mapping {
	table := maps.Clone(downstreamOf)
	for upstream, keys := range table {
		table[upstream] = slices.Clone(keys)
	}
	return Mapping{lowered: partition.Mapping{Kind: partition.MapStatic, Static: table}}
}

// ThroughDimension maps between a grid and another set through that dimension of the grid; every partition of the other dimension
// counts. through is how that dimension maps to the other side; without it, it is inferred.
func ThroughDimension(name string, through ...Mapping) Mapping {
	m := Mapping{lowered: partition.Mapping{Kind: partition.MapDimension, Dimension: name}}
	if name == "" {
		m.faults = append(m.faults, fault{"mapping", "ThroughDimension names no dimension", "name one of the grid"})
	}
	switch len(through) {
	case 0:
	case 1:
		inner := through[0].lowered
		m.lowered.Through, m.customs = &inner, through[0].customs
		m.faults = append(m.faults, through[0].faults...)
	default:
		m.faults = append(m.faults, fault{"mapping", fmt.Sprintf("ThroughDimension is given %d mappings", len(through)), "give at most one"})
	}
	return m
}

// DimensionPair ties a dimension of an upstream grid to one of a downstream grid.
type DimensionPair struct {
	Upstream, Downstream string
	// Mapping is between the two; the zero Mapping is inferred.
	Mapping Mapping
}

// GridMapping maps between two grids, dimension by dimension. A dimension that is in no pair is mapped all to all.
func GridMapping(pairs ...DimensionPair) Mapping {
	m := Mapping{lowered: partition.Mapping{Kind: partition.MapGrid}}
	for _, pair := range pairs {
		m.lowered.Dimensions = append(m.lowered.Dimensions,
			partition.DimensionMapping{Upstream: pair.Upstream, Downstream: pair.Downstream, Mapping: pair.Mapping.lowered})
		m.customs = append(m.customs, pair.Mapping.customs...)
		m.faults = append(m.faults, pair.Mapping.faults...)
	}
	return m
}

// CustomMapping is a mapping by plain functions, which only this code location can call: what plans without it, as a dry run of
// the CLI, says so. upstream gives the keys of the upstream partitions that the partition of a key needs. downstream gives the
// keys of those that need the upstream partition of a key; nil asks upstream of every downstream partition. Both must be pure.
// name is letters, digits, "_", "." and "-", one for each mapping of a location.
func CustomMapping(name string, upstream, downstream func(key string) ([]string, error)) Mapping {
	custom := &customMapping{declared: declared{what: "mapping", name: name, at: place()}, upstream: upstream, downstream: downstream}
	if upstream == nil {
		custom.wrong("function", "its function is nil", "give the function that names the upstream keys of a key")
	}
	return Mapping{lowered: partition.Mapping{Kind: partition.MapCustom, Function: name}, customs: []*customMapping{custom}}
}

// customMapping is a mapping by functions.
type customMapping struct {
	declared
	upstream, downstream func(key string) ([]string, error)
}

var _ partition.Evaluator = (*Runtime)(nil)

// UpstreamKeys evaluates a custom mapping of this location: see [partition.Evaluator].
func (r *Runtime) UpstreamKeys(function string, downstream partition.Subset, _ *partition.Set) ([]string, error) {
	custom, err := r.customMapping(function)
	if err != nil {
		return nil, err
	}
	var all []string
	for key := range downstream.Keys() {
		keys, err := custom.call(custom.upstream, key)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return once(all), nil
}

// DownstreamKeys evaluates a custom mapping of this location: see [partition.Evaluator].
func (r *Runtime) DownstreamKeys(function string, upstream partition.Subset, downstream *partition.Set) ([]string, error) {
	custom, err := r.customMapping(function)
	if err != nil {
		return nil, err
	}
	var all []string
	if custom.downstream != nil {
		for key := range upstream.Keys() {
			keys, err := custom.call(custom.downstream, key)
			if err != nil {
				return nil, err
			}
			all = append(all, keys...)
		}
		return once(all), nil
	}
	for key := range downstream.All().Keys() {
		keys, err := custom.call(custom.upstream, key)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, upstream.Has) {
			all = append(all, key)
		}
	}
	return all, nil
}

func (r *Runtime) customMapping(function string) (*customMapping, error) {
	custom, ok := r.mappings[function]
	if !ok {
		return nil, partition.ErrNoEvaluator
	}
	return custom, nil
}

// call calls one of the mapping's functions.
func (c *customMapping) call(fn func(string) ([]string, error), key string) (keys []string, err error) {
	err = guarded(func() (err error) {
		keys, err = fn(key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s of the key %q: %w", c.object(), key, err)
	}
	return keys, nil
}

// customMappings are those of the definitions by name: of two under one name, the first.
func (d *Definitions) customMappings() map[string]*customMapping {
	found := map[string]*customMapping{}
	d.eachMapping(func(_ *compute, m Mapping) {
		for _, custom := range m.customs {
			if found[custom.name] == nil {
				found[custom.name] = custom
			}
		}
	})
	return found
}

// eachMapping visits the mappings of all inputs.
func (d *Definitions) eachMapping(visit func(*compute, Mapping)) {
	for _, c := range d.computes {
		for _, n := range c.needs {
			n.each(nil, func(n need) {
				if n.kind == needAsset {
					visit(c, n.part.mapping)
				}
			})
		}
		for _, one := range c.after {
			visit(c, one.mapping)
		}
	}
}
