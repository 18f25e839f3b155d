package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/selection"
)

// Planner plans runs over one snapshot. What it needs to know of the graph it works out once, so that a plan costs
// time linear in the steps and edges it looks at. It may be used by many goroutines.
type Planner struct {
	snapshot *Snapshot
	index    *selection.Index
	// assets, computes, resources and jobs give positions in the snapshot's lists.
	assets    map[string]int
	computes  map[string]int
	resources map[string]int
	jobs      map[string]int
	// computeOf is the position of what makes the asset at a position; -1 for an external one.
	computeOf []int
	// outputs are the positions of the assets that each compute makes, in the order they are declared.
	outputs [][]int
	// order are the positions of the computes, each after those whose assets it needs: by layers, by name in a layer.
	order []int
	// inputs are the needs of each compute by position; over is the one with the dynamic output that each is mapped over, -1
	// for what is not mapped.
	inputs [][]planInput
	over   []int
	// parents are, for each asset, the keys of the assets that it is made from, by way of any ops between.
	parents [][]string
	// jobOps are the positions of the ops of each job; nil for an asset job.
	jobOps [][]int
	// schemas are those of all that takes config.
	schemas schemas
	// single is the partitions of what is not partitioned, and singleLink what is between two such.
	single     *partition.Partitions
	singleLink *partition.Link
	// definitions are the distinct partitions of the snapshot, single not among them. assetParts and computeParts are those
	// of each asset and compute, jobParts those of op jobs; nil for what is not partitioned.
	definitions  []*partition.Partitions
	assetParts   []*partition.Partitions
	computeParts []*partition.Partitions
	jobParts     []*partition.Partitions
	// parts are, for each asset, what it is made from by partitions, itself too; children the other way round.
	edges    [][]Edge
	children [][]Edge
}

// planInput is an [Input] whose assets and ops are positions.
type planInput struct {
	kind   InputKind
	assets []int
	ops    []int
	// fallback says that the function has a value of its own for what was not emitted.
	fallback bool
	// links and takes are those of each asset; a link is nil where neither side is partitioned.
	links []*partition.Link
	takes []TakePartitions
}

// link is that of an input's i-th asset; nil where neither side is partitioned.
func (in *planInput) link(i int) *partition.Link {
	if in.links == nil {
		return nil
	}
	return in.links[i]
}

// NewPlanner prepares a snapshot, which must not change afterwards. evaluator evaluates the custom mappings of the
// snapshot; it is nil where nobody can, and planning what hangs on one is an error then. NewPlanner fails, with every
// reason at once, when the snapshot contradicts itself: names that are not there or are there twice, needs that run in a
// circle, partitions that are none, or mappings that do not fit the two assets they are between.
func NewPlanner(snapshot *Snapshot, evaluator partition.Evaluator) (*Planner, error) {
	p := &Planner{snapshot: snapshot}
	problems := p.number()
	if len(problems) == 0 {
		problems = p.connect()
	}
	if len(problems) == 0 {
		problems = append(p.connectOps(), p.connectJobs()...)
	}
	if len(problems) == 0 {
		problems = p.partition(evaluator)
	}
	if len(problems) == 0 {
		problems = p.layers()
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("location %q cannot be planned: %w", snapshot.Location, errors.Join(problems...))
	}
	index, err := selection.NewIndex(p.nodes())
	if err != nil {
		return nil, fmt.Errorf("location %q cannot be planned: %w", snapshot.Location, err)
	}
	p.index = index
	p.connectParts()
	p.schemas = snapshot.schemas()
	return p, nil
}

// number gives every name its position.
func (p *Planner) number() []error {
	s := p.snapshot
	var problems []error
	p.assets = positions(&problems, "asset", s.Assets, func(a Asset) string { return a.Key })
	p.computes = positions(&problems, "compute", s.Computes, func(c Compute) string { return c.Name })
	p.resources = positions(&problems, "resource", s.Resources, func(r Resource) string { return r.Name })
	p.jobs = positions(&problems, "job", s.Jobs, func(j Job) string { return j.Name })
	return problems
}

func positions[T any](problems *[]error, what string, list []T, name func(T) string) map[string]int {
	numbered := make(map[string]int, len(list))
	for i, item := range list {
		if _, doubled := numbered[name(item)]; doubled {
			*problems = append(*problems, fmt.Errorf("there are two %ss %q", what, name(item)))
		}
		numbered[name(item)] = i
	}
	return numbered
}

// connect turns the names by which computes, assets and resources hang together into positions.
func (p *Planner) connect() []error {
	s := p.snapshot
	var problems []error
	p.computeOf = make([]int, len(s.Assets))
	for i := range p.computeOf {
		p.computeOf[i] = -1
	}
	p.inputs = make([][]planInput, len(s.Computes))
	p.outputs = make([][]int, len(s.Computes))
	for c, compute := range s.Computes {
		for _, key := range compute.Outputs {
			a, known := p.assets[key]
			if !known || s.Assets[a].Compute != compute.Name || p.computeOf[a] >= 0 {
				problems = append(problems, fmt.Errorf("compute %q and its output %q do not name each other once", compute.Name, key))
				continue
			}
			p.computeOf[a] = c
			p.outputs[c] = append(p.outputs[c], a)
		}
		for _, input := range compute.Inputs {
			numbered := planInput{kind: input.Kind, fallback: input.Default}
			for _, key := range input.Assets {
				a, known := p.assets[key]
				if !known {
					problems = append(problems, fmt.Errorf("compute %q needs the asset %q, which is not there", compute.Name, key))
					continue
				}
				numbered.assets = append(numbered.assets, a)
			}
			p.inputs[c] = append(p.inputs[c], numbered)
		}
		for _, name := range compute.Resources {
			if _, known := p.resources[name]; !known {
				problems = append(problems, fmt.Errorf("compute %q uses the resource %q, which is not there", compute.Name, name))
			}
		}
	}
	for i, asset := range s.Assets {
		if !asset.External() && p.computeOf[i] < 0 {
			problems = append(problems, fmt.Errorf("asset %q is made by the compute %q, which does not make it", asset.Key, asset.Compute))
		}
	}
	return problems
}

// needsOf calls visit for every compute that compute c needs; it may name one more than once. That a partition needs
// earlier ones of the same compute is left out.
func (p *Planner) needsOf(c int, visit func(need int)) {
	for _, input := range p.inputs[c] {
		for i, asset := range input.assets {
			if need := p.computeOf[asset]; need >= 0 && (need != c || input.link(i) == nil) {
				visit(need)
			}
		}
		for _, need := range input.ops {
			visit(need)
		}
	}
	if over := p.over[c]; over >= 0 {
		visit(over)
	}
}

// layers orders the computes: first those that need none, then those that need only these, and so on.
func (p *Planner) layers() []error {
	n := len(p.snapshot.Computes)
	unmet, next, layer := make([]int, n), make([][]int, n), make([]int, n)
	for c := range n {
		p.needsOf(c, func(need int) {
			unmet[c]++
			next[need] = append(next[need], c)
		})
	}
	p.order = make([]int, 0, n)
	for c := range n {
		if unmet[c] == 0 {
			p.order = append(p.order, c)
		}
	}
	for done := 0; done < len(p.order); done++ {
		c := p.order[done]
		for _, follower := range next[c] {
			layer[follower] = max(layer[follower], layer[c]+1)
			if unmet[follower]--; unmet[follower] == 0 {
				p.order = append(p.order, follower)
			}
		}
	}
	if len(p.order) < n {
		return []error{fmt.Errorf("these need each other in a circle: %s", strings.Join(p.circle(unmet), " → "))}
	}
	slices.SortFunc(p.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(layer[a], layer[b]), cmp.Compare(p.snapshot.Computes[a].Name, p.snapshot.Computes[b].Name))
	})
	return nil
}

// circle finds one circle among the computes that still have unmet needs: from each a step leads to another such one.
func (p *Planner) circle(unmet []int) []string {
	c := slices.IndexFunc(unmet, func(count int) bool { return count > 0 })
	seenAt := map[int]int{}
	var path []int
	for {
		if first, seen := seenAt[c]; seen {
			path = append(path[first:], c)
			break
		}
		seenAt[c] = len(path)
		path = append(path, c)
		from := c
		p.needsOf(from, func(need int) {
			if unmet[need] > 0 {
				c = need
			}
		})
	}
	slices.Reverse(path) // from what is needed to what needs it
	names := make([]string, len(path))
	for i, c := range path {
		names[i] = p.snapshot.Computes[c].Name
	}
	return names
}

// nodes is the graph as the selection language sees it.
func (p *Planner) nodes() []selection.Node {
	p.parents = make([][]string, len(p.snapshot.Assets))
	nodes := make([]selection.Node, len(p.snapshot.Assets))
	for i, asset := range p.snapshot.Assets {
		if c := p.computeOf[i]; c >= 0 {
			for _, maker := range p.withOps([]int{c}) {
				for _, input := range p.inputs[maker] {
					for _, parent := range input.assets {
						if p.computeOf[parent] != c {
							p.parents[i] = append(p.parents[i], p.snapshot.Assets[parent].Key)
						}
					}
				}
			}
		}
		nodes[i] = selection.Node{
			Key: asset.Key, Group: asset.Group, Tags: asset.Tags, Owners: asset.Owners, Kinds: asset.Kinds,
			External: asset.External(), CodeLocation: p.snapshot.Location, Parents: p.parents[i],
		}
	}
	return nodes
}

// Snapshot is what the planner plans over; it must not be changed.
func (p *Planner) Snapshot() *Snapshot { return p.snapshot }
