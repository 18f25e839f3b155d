package selection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Node is what a selection can ask about one asset.
type Node struct {
	// Key is the asset's key in text form, "raw/flights". It is unique and not empty.
	Key string
	// Group is the asset's group; "" is a group like any other.
	Group string
	// Tags are the asset's tags; nil when there are none.
	Tags map[string]string
	// Owners are the asset's owners, "team:data" or "ann@example.com".
	Owners []string
	// Kinds are the asset's kinds, "table".
	Kinds []string
	// External marks an asset that is computed elsewhere: only its exact key selects it.
	External bool
	// CodeLocation is the code location that declares the asset.
	CodeLocation string
	// Parents are the keys of the assets it depends on; its own key may be among them and is ignored.
	Parents []string
}

// Index is a graph of assets, prepared for evaluating selections. It never changes and may be used
// by many goroutines. Make it with [NewIndex] once and evaluate as often as you like.
type Index struct {
	keys       []string // sorted: a position in it is what sets and edges hold
	positions  map[string]int
	selectable set // all but external assets
	edges      [2][][]int32
	attributes [attributeCount]map[string][]int32
	tagValues  map[string]map[string][]int32
}

// direction is one of the two ways along a dependency.
type direction int

const (
	upstream direction = iota
	downstream
)

// attributeKind is one of the name spaces that an expression can ask for exactly.
type attributeKind int

const (
	groupNames attributeKind = iota
	kindNames
	ownerNames
	tagNames
	locationNames
	attributeCount
)

// What an attribute is called in an expression, and in [UnknownError].
var (
	filterNames = [attributeCount]string{"group", "kind", "owner", "tag", "code_location"}
	whatNames   = [attributeCount]string{"group", "kind", "owner", "tag", "code location"}
)

// NewIndex prepares nodes, given in any order, in one sort and linear time. Its error joins one
// problem for each empty or doubled key and for each parent that is not among the nodes. It does
// not look for cycles: a graph of valid definitions has none, and evaluation ends in any case.
func NewIndex(nodes []Node) (*Index, error) {
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b Node) int { return strings.Compare(a.Key, b.Key) })
	index := &Index{
		keys:       make([]string, len(sorted)),
		positions:  make(map[string]int, len(sorted)),
		selectable: newSet(len(sorted)),
		tagValues:  make(map[string]map[string][]int32),
	}
	for i := range index.attributes {
		index.attributes[i] = make(map[string][]int32)
	}
	var problems []error
	for position, node := range sorted {
		if node.Key == "" {
			problems = append(problems, errors.New("an asset has an empty key: give it one"))
		} else if _, doubled := index.positions[node.Key]; doubled {
			problems = append(problems, fmt.Errorf("asset %q is there twice: keys must be unique", node.Key))
		}
		index.keys[position] = node.Key
		index.positions[node.Key] = position
		if !node.External {
			index.selectable.add(position)
		}
		index.describe(position, node)
	}
	problems = append(problems, index.connect(sorted)...)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return index, nil
}

// describe enters a node's attributes. An external asset makes its names known, but is not found
// by them.
func (x *Index) describe(position int, node Node) {
	enter := func(names map[string][]int32, name string) {
		found := names[name]
		if !node.External {
			found = append(found, int32(position))
		}
		names[name] = found
	}
	enter(x.attributes[groupNames], node.Group)
	enter(x.attributes[locationNames], node.CodeLocation)
	for _, kind := range node.Kinds {
		enter(x.attributes[kindNames], kind)
	}
	for _, owner := range node.Owners {
		enter(x.attributes[ownerNames], owner)
	}
	for key, value := range node.Tags {
		enter(x.attributes[tagNames], key)
		if x.tagValues[key] == nil {
			x.tagValues[key] = make(map[string][]int32)
		}
		enter(x.tagValues[key], value)
	}
}

func (x *Index) connect(sorted []Node) []error {
	parents, children := make([][]int32, len(sorted)), make([][]int32, len(sorted))
	var problems []error
	for child, node := range sorted {
		for _, key := range node.Parents {
			parent, known := x.positions[key]
			if !known {
				problems = append(problems, fmt.Errorf("asset %q: its parent %q is not in the graph: add it, as external if it is computed elsewhere", node.Key, key))
				continue
			}
			if parent != child {
				parents[child] = append(parents[child], int32(parent))
				children[parent] = append(children[parent], int32(child))
			}
		}
	}
	x.edges = [2][][]int32{upstream: parents, downstream: children}
	return problems
}

func (x *Index) newSet() set { return newSet(len(x.keys)) }

// keysOf gives the keys in ascending order, because positions are.
func (x *Index) keysOf(members set) []string {
	var keys []string
	for position := range members.all() {
		keys = append(keys, x.keys[position])
	}
	return keys
}

// reach gives what lies one to layers steps from start (unlimited: any number), and start's members
// only where a path leads to one of them.
func (x *Index) reach(start set, towards direction, layers int) set {
	reached := x.newSet()
	edges := x.edges[towards]
	var frontier []int32
	for position := range start.all() {
		frontier = append(frontier, int32(position))
	}
	for ; len(frontier) > 0 && layers != 0; layers-- {
		var next []int32
		for _, position := range frontier {
			for _, neighbor := range edges[position] {
				if !reached.has(int(neighbor)) {
					reached.add(int(neighbor))
					next = append(next, neighbor)
				}
			}
		}
		frontier = next
	}
	return reached
}
