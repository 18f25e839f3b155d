package definitions

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// Partitions is a set of partitions that an asset, or a job of ops, is sliced by: see [PartitionedBy]. It is a
// *[TimePartitions], a *[StaticPartitions], a *[DynamicPartitions] or a *[Grid]. Two that mean the same are the same, wherever
// they are declared.
type Partitions interface {
	// String describes the set: "daily from 2001-01-01".
	String() string
	set() *partitionSet
}

// Dimension is one side of a [Grid]: any [Partitions] but a grid.
type Dimension interface {
	Partitions
	dimension()
}

// StaticPartitions is a list of keys. Make one with [Static].
type StaticPartitions struct{ def *partitionSet }

// Static is the partitions of these keys, in this order: unique, not empty, without control characters and "...".
func Static(keys ...string) *StaticPartitions {
	const shown = 3
	name := "static " + strings.Join(keys[:min(shown, len(keys))], ", ")
	if more := len(keys) - shown; more > 0 {
		name += fmt.Sprintf(" and %d more", more)
	}
	p := newPartitionSet(name, partition.Definition{Static: slices.Clone(keys)})
	if len(keys) == 0 {
		p.name = "static"
		p.wrong("static", "it lists no keys", "list at least one key, or use Dynamic for keys that come later")
	}
	return &StaticPartitions{p}
}

// DynamicPartitions is a set whose keys are added and removed while the system runs. Make one with [Dynamic].
type DynamicPartitions struct{ def *partitionSet }

// Dynamic is the set of that name; all locations of a deployment that name it share its keys. They are in the order in which
// they were added, with "perdure partition add", by a program or by a sensor.
func Dynamic(name string) *DynamicPartitions {
	p := newPartitionSet("dynamic "+name, partition.Definition{Dynamic: name})
	if name == "" {
		p.wrong("dynamic", "the set has no name", "name it: its keys are added under that name")
	}
	return &DynamicPartitions{p}
}

// Name is the name under which keys are added.
func (p *DynamicPartitions) Name() string {
	if p.set() == nil {
		return ""
	}
	return p.def.definition.Dynamic
}

// Grid is the product of two sets: a partition for each key of the one with each key of the other. Make one with [GridOf].
type Grid struct{ def *partitionSet }

// GridOf is the grid of two dimensions under their names, letters, digits, "_" and "-". A key is the keys of both, joined by
// "|" in the order of the names: of the dimensions "day" and "region", "2001-01-01|west".
func GridOf(nameA string, a Dimension, nameB string, b Dimension) *Grid {
	p := newPartitionSet(fmt.Sprintf("grid %s|%s", min(nameA, nameB), max(nameA, nameB)), partition.Definition{})
	p.sides = map[string]*partitionSet{}
	for _, side := range []struct {
		name string
		of   Dimension
	}{{nameA, a}, {nameB, b}} {
		dimension := partition.Dimension{Name: side.name}
		if set := setOfPartitions(side.of); set == nil {
			p.wrong("grid", fmt.Sprintf("the dimension %q is nil", side.name), "give it Daily, Static, Dynamic or another set")
		} else {
			dimension.Time, dimension.Static, dimension.Dynamic = set.definition.Time, set.definition.Static, set.definition.Dynamic
			p.sides[side.name] = set
			p.faults = append(p.faults, set.faults...)
		}
		p.definition.Grid = append(p.definition.Grid, dimension)
	}
	return &Grid{p}
}

// GridKey is a partition of a grid.
type GridKey struct {
	// Key is the whole key: "2001-01-01|west".
	Key string
	// Parts are the keys by the names of the dimensions.
	Parts map[string]string
}

// String is the whole key.
func (k GridKey) String() string { return k.Key }

func (p *StaticPartitions) set() *partitionSet {
	if p == nil {
		return nil
	}
	return p.def
}

func (p *DynamicPartitions) set() *partitionSet {
	if p == nil {
		return nil
	}
	return p.def
}

func (g *Grid) set() *partitionSet {
	if g == nil {
		return nil
	}
	return g.def
}

func (p *StaticPartitions) dimension()  {}
func (p *DynamicPartitions) dimension() {}

// String describes the set by its first keys.
func (p *StaticPartitions) String() string { return p.set().String() }

// String describes the set by its name.
func (p *DynamicPartitions) String() string { return p.set().String() }

// String describes the grid by the names of its dimensions.
func (g *Grid) String() string { return g.set().String() }

// setOfPartitions is nil for a set that no constructor made.
func setOfPartitions(p Partitions) *partitionSet {
	if p == nil {
		return nil
	}
	return p.set()
}

// partitionSet is a set without its kind.
type partitionSet struct {
	declared
	definition partition.Definition
	// sides are a grid's, by name.
	sides   map[string]*partitionSet
	compile func() (*partition.Partitions, error)
}

func newPartitionSet(name string, definition partition.Definition) *partitionSet {
	p := &partitionSet{declared: declared{what: "partitions", name: name, at: place()}, definition: definition}
	p.compile = sync.OnceValues(func() (*partition.Partitions, error) { return partition.New(p.definition) })
	return p
}

// String describes the set, also one that was never declared.
func (p *partitionSet) String() string {
	if p == nil {
		return "partitions that were never declared"
	}
	return p.name
}

func (p *partitionSet) isGrid() bool { return p != nil && p.sides != nil }

// valid says whether the set can be used.
func (p *partitionSet) valid() bool {
	if p == nil || len(p.faults) > 0 {
		return false
	}
	_, err := p.compile()
	return err == nil
}

// same says whether two sets mean the same; nil, no partitions at all, is like nil alone.
func (p *partitionSet) same(other *partitionSet) bool {
	if p == other {
		return true
	}
	if p == nil || other == nil || !p.valid() || !other.valid() {
		return false
	}
	one, _ := p.compile() // valid has looked
	two, _ := other.compile()
	return one.Fingerprint() == two.Fingerprint()
}

// dimensionsLike are the names of the dimensions of a grid that are a set, sorted.
func (p *partitionSet) dimensionsLike(set *partitionSet) []string {
	var names []string
	for _, dimension := range p.definition.Grid {
		if p.sides[dimension.Name].same(set) {
			names = append(names, dimension.Name)
		}
	}
	slices.Sort(names)
	return names
}

// lower is the definition as data; nil of no partitions.
func (p *partitionSet) lower() *partition.Definition {
	if p == nil {
		return nil
	}
	definition := p.definition
	return &definition
}

// beyondAll is how far ahead of now a step looks for its own partition, which somebody has planned: at a time to come, perhaps.
const beyondAll = 100 * 365 * 24 * time.Hour

// window is the span of time of keys of a set of time windows, or of a grid with one dimension of them.
func (p *partitionSet) window(keys []string) (Window, error) {
	if p.isGrid() {
		return p.gridWindow(keys)
	}
	compiled, err := p.compile()
	if err != nil {
		return Window{}, err
	}
	subset, err := compiled.At(time.Now().Add(beyondAll), nil).Of(keys...)
	if err != nil {
		return Window{}, err
	}
	return subset.Window()
}

func (p *partitionSet) gridWindow(keys []string) (Window, error) {
	var times []string
	for name, side := range p.sides {
		if side.definition.Time != nil {
			times = append(times, name)
		}
	}
	if len(times) != 1 {
		return Window{}, fmt.Errorf("the %s have no one dimension of time", p.object())
	}
	var parts []string
	for _, key := range keys {
		parts = append(parts, p.split(key)[times[0]])
	}
	return p.sides[times[0]].window(once(parts))
}

// split gives the parts of a grid's key by dimension.
func (p *partitionSet) split(key string) map[string]string {
	names := make([]string, 0, len(p.definition.Grid))
	for _, dimension := range p.definition.Grid {
		names = append(names, dimension.Name)
	}
	slices.Sort(names)
	parts := map[string]string{}
	for i, part := range strings.SplitN(key, "|", len(names)) {
		parts[names[i]] = part
	}
	return parts
}
