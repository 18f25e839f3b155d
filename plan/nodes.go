package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

const (
	// maxRange is how many partitions one step of a ranged compute makes at most.
	maxRange = 10_000
	// maxSteps is far above what the walk of one run can be, and maxLoaded is how many partitions all steps of a run load at
	// most: beyond that it is not worth while to lay them out.
	maxSteps  = 200_000
	maxLoaded = 4_000_000
)

// node is a step that a run could have: a compute's, for its partition.
type node struct {
	compute int
	// key is the step's.
	key string
	// partition is the key of the one partition; "" of what is not partitioned, or makes a range.
	partition string
	// subset is that of a ranged compute.
	subset partition.Subset
	// outputs are the assets that the step is asked for; nil where they are all that the run wants of the compute.
	outputs []int
	// place is the node's among those of its compute.
	place int
	// number is the step's in the plan; -1 when the plan does not have it.
	number int
}

// work is the nodes of one compute, one after the other.
type work struct {
	// first is a place in builder.nodes; count is 0 for what is not in the run.
	first, count int
	// subset is what is to be made of a compute that is partitioned, keys the same of one with a step a partition, in the order
	// of the nodes.
	subset partition.Subset
	keys   []string
	// places give the node of each key, relative to first; nil until somebody asks. For a range of a set that is no grid it is
	// starts: the position of the first partition of each node.
	places map[string]int
	starts []int
}

// choose finds what runs: what makes the assets, the ops, and the ops upstream of them, a node for each partition or range of
// partitions; and what of each other they need.
func (b *builder) choose() wire.Problems {
	p, wanted := b.planner, b.target
	for i, a := range wanted.assets {
		b.wanted[a] = true
		if wanted.subsets != nil && p.assetParts[a] != nil {
			b.made[a] = wanted.subsets[i]
		}
	}
	in := make([]bool, len(b.work))
	for _, c := range p.computesOf(wanted) {
		in[c] = true
	}
	b.spread(in)
	steps := 0
	for c := range b.work {
		if !in[c] {
			continue
		}
		if steps += b.countSteps(c); steps > maxSteps {
			return wire.Problems{b.tooMany(c, fmt.Sprintf("the run would have more than %d steps", maxSteps))}
		}
	}
	b.nodes = make([]node, 0, steps)
	for _, c := range p.order {
		if in[c] {
			b.computes = append(b.computes, c)
			b.cut(c)
		}
	}
	for n := range b.nodes {
		b.nodes[n].number = n
	}
	var problems wire.Problems
	for _, c := range b.computes {
		found, full := b.connect(c)
		if problems = append(problems, found...); full {
			break
		}
	}
	return problems
}

// spread gives every compute in the run the partitions that are to be made by it.
func (b *builder) spread(in []bool) {
	p := b.planner
	if b.target.subsets == nil && b.target.opSubset.IsEmpty() {
		return
	}
	for _, op := range b.target.ops {
		b.work[op].subset = b.target.opSubset
	}
	for c := range b.work {
		if !in[c] || p.computeParts[c] == nil || len(p.outputs[c]) == 0 {
			continue
		}
		for _, a := range p.outputs[c] {
			b.work[c].subset = b.work[c].subset.Union(b.made[a])
		}
	}
	// What takes an op's output takes that of the same partition.
	for _, c := range slices.Backward(p.order) {
		for _, op := range p.opsOf(c) {
			if in[c] && in[op] && p.computeParts[op] != nil {
				b.work[op].subset = b.work[op].subset.Union(b.work[c].subset)
			}
		}
	}
}

// countSteps is about how many steps a compute has.
func (b *builder) countSteps(c int) int {
	if b.planner.computeParts[c] == nil {
		return 1
	}
	count := b.work[c].subset.Count()
	if b.mostOf(c) > 1 {
		return count/maxRange + 1
	}
	return count
}

// mostOf is how many partitions one step of a compute makes at most.
func (b *builder) mostOf(c int) int {
	if !b.planner.snapshot.Computes[c].Ranged || (b.planner.computeParts[c].Kind() == partition.KindGrid && b.planner.needsItself(c)) {
		return 1
	}
	return maxRange
}

func (b *builder) tooMany(c int, what string) wire.Problem {
	path := partitionsPath(b.again.target)
	if path == "" {
		path = b.path()
	}
	if b.again.parent != nil {
		path = "retry_of.run_id"
	}
	return wire.Problem{
		Path: path, Code: wire.CodeTooLarge, Message: fmt.Sprintf("%s: %s", b.planner.made(c), what),
		Fix: "ask for fewer partitions, start a Backfill, which makes them in many runs, or make it a RangeAsset, which makes many in one step",
	}
}

// cut makes the nodes of a compute: one; or one for each partition, those first that others of the same compute need; or
// one for each range.
func (b *builder) cut(c int) {
	compute, w := &b.planner.snapshot.Computes[c], &b.work[c]
	w.first = len(b.nodes)
	switch {
	case b.planner.computeParts[c] == nil:
		b.nodes = append(b.nodes, node{compute: c, key: compute.Name})
	case compute.Ranged:
		b.cutRanges(c)
	default:
		w.keys = make([]string, 0, w.subset.Count())
		w.keys = slices.AppendSeq(w.keys, w.subset.Keys())
		b.inTime(c, w.keys)
		classes := b.classes(c)
		for _, key := range w.keys {
			n := node{compute: c, partition: key, key: stepKey(compute.Name, key, "")}
			for _, class := range classes {
				if class.subset.Has(key) {
					n.outputs = class.outputs
				}
			}
			b.nodes = append(b.nodes, n)
		}
	}
	if w.count = len(b.nodes) - w.first; w.count == 1 {
		b.nodes[w.first].key = compute.Name
	}
	for place := range w.count {
		b.nodes[w.first+place].place = place
	}
}

// cutRanges makes the nodes of a ranged compute.
func (b *builder) cutRanges(c int) {
	name, w := b.planner.snapshot.Computes[c].Name, &b.work[c]
	classes := b.classes(c)
	if classes == nil {
		classes = []class{{subset: w.subset}}
	}
	for _, class := range classes {
		for piece := range class.subset.Pieces(b.mostOf(c)) {
			first, _ := piece.First()
			last, _ := piece.Last()
			n := node{compute: c, subset: piece, outputs: class.outputs, key: stepKey(name, first, last)}
			b.nodes = append(b.nodes, n)
		}
	}
	nodes := b.nodes[w.first:]
	set := w.subset.Set()
	isGrid := set.Partitions().Kind() == partition.KindGrid
	if len(classes) > 1 || isGrid {
		byFirst := make(map[string]int, len(nodes))
		for i := range nodes {
			first, _ := nodes[i].subset.First()
			byFirst[nodes[i].key], _ = set.Position(first)
		}
		slices.SortStableFunc(nodes, func(x, y node) int { return byFirst[x.key] - byFirst[y.key] })
	}
	if isGrid && b.planner.needsItself(c) {
		keys := make([]string, len(nodes))
		at := make(map[string]node, len(nodes))
		for i := range nodes {
			keys[i], _ = nodes[i].subset.First()
			at[keys[i]] = nodes[i]
		}
		b.inTime(c, keys)
		for i, key := range keys {
			nodes[i] = at[key]
		}
	}
}

// inTime orders the keys of a grid by time, where some need earlier ones; those of other sets are in order.
func (b *builder) inTime(c int, keys []string) {
	parts := b.planner.computeParts[c]
	if parts.Kind() != partition.KindGrid || !b.planner.needsItself(c) {
		return
	}
	set := b.existing.of(parts)
	at := make(map[string]int64, len(keys))
	for _, key := range keys {
		if window, err := set.Window(key); err == nil {
			at[key] = window.Start.Unix()
		}
	}
	slices.SortStableFunc(keys, func(x, y string) int {
		switch {
		case at[x] < at[y]:
			return -1
		case at[x] > at[y]:
			return 1
		default:
			return 0
		}
	})
}

// needsItself says whether partitions of a compute need earlier ones of it.
func (p *Planner) needsItself(c int) bool {
	for _, input := range p.inputs[c] {
		for i, a := range input.assets {
			if p.computeOf[a] == c && input.link(i) != nil {
				return true
			}
		}
	}
	return false
}

// class is partitions of a compute of which the same assets are to be made.
type class struct {
	subset  partition.Subset
	outputs []int
}

// classes tells the partitions of a multi-asset apart by which of its assets are wanted of each; nil when they do not differ.
func (b *builder) classes(c int) []class {
	var outputs []int
	differ := false
	for _, a := range b.planner.outputs[c] {
		if b.wanted[a] {
			outputs = append(outputs, a)
			differ = differ || !b.made[a].Equal(b.work[c].subset)
		}
	}
	if !differ {
		return nil
	}
	classes := []class{{subset: b.work[c].subset}}
	for _, a := range outputs {
		var split []class
		for _, one := range classes {
			with, without := one.subset.Intersection(b.made[a]), one.subset.Difference(b.made[a])
			if !with.IsEmpty() {
				split = append(split, class{with, append(slices.Clone(one.outputs), a)})
			}
			if !without.IsEmpty() {
				split = append(split, class{without, one.outputs})
			}
		}
		classes = split
	}
	return classes
}

// stepKey is the key of a compute's step for a partition, or for a range of them: "flights@2001-01-01", "flights@a...c". A key
// with brackets is quoted, for they are what tells a mapped step. Of what is too long for an id of Temporal's a hash stays.
func stepKey(compute, first, last string) string {
	const longest, hashed = 250, 8 // bytes
	of := quotedKey(first)
	if last != "" && last != first {
		of += "..." + quotedKey(last)
	}
	if len(of) > longest {
		sum := sha256.Sum256([]byte(of))
		kept := strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(of[:longest-2*hashed-1])
		of = strings.ToValidUTF8(kept, "") + "~" + hex.EncodeToString(sum[:hashed])
	}
	return compute + "@" + of
}

func quotedKey(key string) string {
	if strings.ContainsAny(key, `[]"`) {
		return fmt.Sprintf("%q", key)
	}
	return key
}

// nodeOf is the node of an op for the same partition as another one's; -1 when it is not in the run.
func (b *builder) nodeOf(op int, of *node) int {
	w := &b.work[op]
	switch {
	case w.count == 0:
		return -1
	case b.planner.computeParts[op] == nil:
		return w.first
	}
	place, known := w.place(b, of.partition)
	if !known {
		return -1
	}
	return w.first + place
}

// place is the place among the nodes of the one that makes a partition. It is for computes with a step a partition, and for
// ranges of grids.
func (w *work) place(b *builder, key string) (int, bool) {
	if w.places == nil {
		w.places = make(map[string]int, w.count)
		for i := range w.count {
			n := &b.nodes[w.first+i]
			if n.subset.IsEmpty() {
				w.places[n.partition] = i
				continue
			}
			for key := range n.subset.Keys() {
				w.places[key] = i
			}
		}
	}
	place, known := w.places[key]
	return place, known
}

// partitions is what a node makes, as a subset.
func (b *builder) partitions(n *node) (partition.Subset, error) {
	parts := b.planner.computeParts[n.compute]
	switch {
	case parts == nil:
		return b.existing.single.All(), nil
	case !n.subset.IsEmpty():
		return n.subset, nil
	default:
		return b.existing.of(parts).Of(n.partition)
	}
}
