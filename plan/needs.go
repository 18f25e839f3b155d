package plan

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/wire"
)

// partsNeeded are the partitions of one upstream asset that a node needs, in the order of their set.
type partsNeeded struct {
	// inside are made by nodes of the same run: those of makers, one for each key. What the node makes itself is left out.
	inside []string
	makers []int
	// outside are made by none.
	outside []string
}

// connect finds which partitions of assets the nodes of a compute need, where any side is partitioned. full says that this
// run cannot be laid out because it is too large.
func (b *builder) connect(c int) (problems wire.Problems, full bool) {
	inputs := b.planner.inputs[c]
	for i := range inputs {
		if inputs[i].links == nil {
			continue
		}
		if b.needed[c] == nil {
			b.needed[c] = make([][][]partsNeeded, len(inputs))
		}
		b.needed[c][i] = make([][]partsNeeded, len(inputs[i].assets))
		for k := range inputs[i].assets {
			needed, problem := b.connectAsset(c, &inputs[i], k)
			if problem != nil {
				problems = append(problems, *problem)
				if problem.Code == wire.CodeTooLarge {
					return problems, true
				}
			}
			b.needed[c][i][k] = needed
		}
	}
	return problems, false
}

// connectAsset finds what the nodes of a compute need of the k-th asset of an input.
func (b *builder) connectAsset(c int, input *planInput, k int) ([]partsNeeded, *wire.Problem) {
	p, w := b.planner, &b.work[c]
	a, link := input.assets[k], input.links[k]
	upstream := b.existing.of(p.assetParts[a])
	subset := b.existing.single.All()
	if p.computeParts[c] != nil {
		subset = w.subset
	}
	all, err := link.Upstream(subset, upstream)
	if err != nil {
		return nil, b.linkError(c, a, err)
	}
	if len(all.Missing) > 0 {
		return nil, b.missingProblem(c, a, link, upstream, all.Missing)
	}
	s := splitter{b: b, asset: a, self: -1, made: b.madeOfAsset(a)}
	if p.computeOf[a] >= 0 && b.wanted[a] {
		s.maker = &b.work[p.computeOf[a]]
	}
	b.outside = append(b.outside, outsideNeed{c, input.kind, a, all.Subset.Difference(s.made)})
	needed := make([]partsNeeded, w.count)
	if link.OneToOne() && w.keys != nil {
		b.loaded += w.count
		s.oneToOne(w, needed)
		return needed, b.tooLoaded(c)
	}
	var last partition.Subset
	for i := range w.count {
		n := &b.nodes[w.first+i]
		of, err := b.partitions(n)
		if err != nil {
			return nil, b.linkError(c, a, err)
		}
		need, err := link.Upstream(of, upstream)
		if err != nil {
			return nil, b.linkError(c, a, err)
		}
		if problem := b.takeProblem(n, input, k, need.Subset.Count()); problem != nil {
			return nil, problem
		}
		b.loaded += need.Subset.Count()
		if problem := b.tooLoaded(c); problem != nil {
			return nil, problem
		}
		if i > 0 && p.computeOf[a] != c && need.Subset.Equal(last) {
			needed[i] = needed[i-1] // one list for all that need the same
			continue
		}
		last, s.self = need.Subset, -1
		if p.computeOf[a] == c {
			s.self = w.first + i
		}
		if needed[i], err = s.split(need.Subset); err != nil {
			return nil, b.linkError(c, a, err)
		}
	}
	return needed, nil
}

// madeOfAsset is what the run makes of an asset.
func (b *builder) madeOfAsset(a int) partition.Subset {
	if b.planner.assetParts[a] == nil && b.wanted[a] {
		return b.existing.single.All()
	}
	return b.made[a]
}

func (b *builder) tooLoaded(c int) *wire.Problem {
	if b.loaded <= maxLoaded {
		return nil
	}
	problem := b.tooMany(c, fmt.Sprintf("the steps of the run would load more than %d partitions", maxLoaded))
	return &problem
}

func (b *builder) linkProblem(c, a int, what, fix string) *wire.Problem {
	return &wire.Problem{Path: b.linkPath(), Code: wire.CodeInvalid, Message: b.needOf(c, a) + ": " + what, Fix: fix}
}

// linkError is that what is needed cannot be found out.
func (b *builder) linkError(c, a int, err error) *wire.Problem {
	problem := MappingProblem(b.linkPath(), b.needOf(c, a), err)
	return &problem
}

func (b *builder) needOf(c, a int) string {
	return fmt.Sprintf("%s, what it needs of %q", b.planner.made(c), b.planner.snapshot.Assets[a].Key)
}

func (b *builder) linkPath() string {
	if b.again.parent != nil {
		return "retry_of.run_id"
	}
	if path := partitionsPath(b.again.target); path != "" {
		return path
	}
	return b.path()
}

// missingProblem names the first partition that needs some which do not exist, and these.
func (b *builder) missingProblem(c, a int, link *partition.Link, upstream *partition.Set, missing partition.KeyRanges) *wire.Problem {
	what, key := "", b.planner.snapshot.Assets[a].Key
	for i := range b.work[c].count {
		n := &b.nodes[b.work[c].first+i]
		of, err := b.partitions(n)
		if err != nil {
			continue
		}
		if need, err := link.Upstream(of, upstream); err == nil && len(need.Missing) > 0 {
			if name := b.nodeName(n); name != "" {
				what = fmt.Sprintf("partition %s needs ", name)
			}
			break
		}
	}
	return b.linkProblem(c, a, fmt.Sprintf("%sthe partitions %s of %q, which do not exist among %s", what, missing, key, upstream),
		"ask for partitions whose inputs exist, or wait until they do")
}

// nodeName names the partitions of a node; "" when it is not partitioned.
func (b *builder) nodeName(n *node) string {
	switch {
	case !n.subset.IsEmpty():
		first, _ := n.subset.First()
		last, _ := n.subset.Last()
		return partition.KeyRange{First: first, Last: last, Count: n.subset.Count()}.String()
	case n.partition != "":
		return n.partition
	default:
		return ""
	}
}

// takeProblem refuses to give a function several partitions of an asset where it takes one.
func (b *builder) takeProblem(n *node, input *planInput, k, count int) *wire.Problem {
	if input.kind == InputAfter || count == 1 {
		return nil
	}
	switch input.takes[k] {
	case TakePartitionsByKey:
		return nil
	case TakeAtMostOne:
		if count == 0 {
			return nil
		}
	default:
		if count == 0 && input.fallback {
			return nil
		}
	}
	what, fix := fmt.Sprintf("it takes one partition, and the mapping gives %d", count), "take all of them, by key"
	if count == 0 {
		fix = "map to one that exists, or take at most one"
	}
	if name := b.nodeName(n); name != "" {
		what = fmt.Sprintf("partition %s: %s", name, what)
	}
	return b.linkProblem(n.compute, input.assets[k], what, fix)
}

// outsideNeed is what a compute needs of an asset and nothing in the run makes.
type outsideNeed struct {
	compute int
	kind    InputKind
	asset   int
	subset  partition.Subset
}

// splitter tells the partitions of an asset that are made in the run from the others.
type splitter struct {
	b     *builder
	asset int
	// maker is nil when nothing in the run makes any.
	maker *work
	made  partition.Subset
	// self is the node that needs them, of the very compute that makes them; -1 otherwise.
	self int
}

// oneToOne gives every node of a compute with a step a partition the partition of the same key.
func (s *splitter) oneToOne(w *work, needed []partsNeeded) {
	makers := make([]int, len(w.keys))
	for i, key := range w.keys {
		keys := w.keys[i : i+1 : i+1]
		place, inside := 0, false
		switch {
		case s.maker == nil:
		case s.maker.keys != nil && i < len(s.maker.keys) && s.maker.keys[i] == key:
			place, inside = i, s.made.Count() == len(s.maker.keys) || s.made.Has(key)
		default:
			if inside = s.made.Has(key); inside {
				place, inside = s.maker.find(s.b, key)
			}
		}
		if !inside {
			needed[i] = partsNeeded{outside: keys}
			continue
		}
		makers[i] = s.maker.first + place
		needed[i] = partsNeeded{inside: keys, makers: makers[i : i+1 : i+1]}
	}
}

// find is the place of the node that makes a partition.
func (w *work) find(b *builder, key string) (int, bool) {
	if w.keys != nil || w.count == 0 || w.grid(b) {
		return w.place(b, key)
	}
	position, err := w.subset.Set().Position(key)
	if err != nil {
		return 0, false
	}
	return w.at(b, position), true
}

func (w *work) grid(b *builder) bool {
	parts := b.planner.computeParts[b.nodes[w.first].compute]
	return parts == nil || parts.Kind() == partition.KindGrid
}

// at is the place of the range with the partition at a position.
func (w *work) at(b *builder, position int) int {
	if w.starts == nil {
		w.starts = make([]int, w.count)
		for i := range w.count {
			first, _ := b.nodes[w.first+i].subset.First()
			w.starts[i], _ = w.subset.Set().Position(first)
		}
	}
	place, exact := slices.BinarySearch(w.starts, position)
	if !exact {
		place--
	}
	return place
}

// split tells what a node needs apart.
func (s *splitter) split(need partition.Subset) (partsNeeded, error) {
	var parts partsNeeded
	switch {
	case s.maker == nil:
		parts.outside = slices.Collect(need.Keys())
	case s.maker.keys == nil && !s.maker.grid(s.b):
		return s.splitRanges(need)
	default:
		whole := s.made.Count() == s.maker.subset.Count()
		for key := range need.Keys() {
			place, inside := s.maker.place(s.b, key)
			if inside && !whole {
				inside = s.made.Has(key)
			}
			switch {
			case !inside:
				parts.outside = append(parts.outside, key)
			case s.maker.first+place != s.self:
				parts.inside, parts.makers = append(parts.inside, key), append(parts.makers, s.maker.first+place)
			}
		}
	}
	return parts, nil
}

// splitRanges is split where ranges make the asset: it looks at the ends of ranges.
func (s *splitter) splitRanges(need partition.Subset) (partsNeeded, error) {
	inside, outside := need.Intersection(s.made), need.Difference(s.made)
	parts := partsNeeded{outside: s.b.keysOf(outside)}
	if inside.IsEmpty() {
		return parts, nil
	}
	parts.inside = s.b.keysOf(inside)
	parts.makers = make([]int, 0, len(parts.inside))
	own := false
	for r := range inside.Ranges() {
		first, err := inside.Set().Position(r.First)
		if err != nil {
			return parts, err
		}
		for position := first; position < first+r.Count; position++ {
			maker := s.maker.first + s.maker.at(s.b, position)
			own = own || maker == s.self
			parts.makers = append(parts.makers, maker)
		}
	}
	if !own {
		return parts, nil
	}
	var others partsNeeded
	for i, maker := range parts.makers {
		if maker != s.self {
			others.inside, others.makers = append(others.inside, parts.inside[i]), append(others.makers, maker)
		}
	}
	others.outside = parts.outside
	return others, nil
}

// rangeKey names consecutive partitions of a set.
type rangeKey struct {
	set   *partition.Set
	first string
	count int
}

// keysOf are the keys of a subset in the order of its set. Those of a range, which are many and which other steps have too,
// are listed once in a plan.
func (b *builder) keysOf(subset partition.Subset) []string {
	count := subset.Count()
	if count == 0 {
		return nil
	}
	listed := func() []string { return slices.AppendSeq(make([]string, 0, count), subset.Keys()) }
	if subset.Set().Partitions().Kind() == partition.KindGrid {
		return listed()
	}
	for first := range subset.Ranges() {
		if first.Count < count {
			break
		}
		at := rangeKey{subset.Set(), first.First, count}
		keys, known := b.ranges[at]
		if !known {
			keys = listed()
			b.ranges[at] = keys
		}
		return keys
	}
	return listed()
}
