package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
)

// Edge is that one asset is made from another one, by partitions.
type Edge struct {
	// Upstream is what the Downstream asset needs; both are the same key where partitions need earlier ones of their own asset.
	Upstream, Downstream string
	// Link says which partitions need which. Of two assets that are not partitioned it is between their only ones.
	Link *partition.Link
}

// Parents are the edges to what an asset is made from, by way of any ops between, in the order of declaration: one for each
// mapping to an upstream asset. External assets are among them, and the asset itself where it needs earlier partitions of
// its own. There are none for a key that the snapshot does not have.
func (p *Planner) Parents(asset string) []Edge {
	a, known := p.assets[asset]
	if !known {
		return nil
	}
	return slices.Clone(p.edges[a])
}

// Children are the edges to what is made from an asset, as for Parents.
func (p *Planner) Children(asset string) []Edge {
	a, known := p.assets[asset]
	if !known {
		return nil
	}
	return slices.Clone(p.children[a])
}

// Together are the keys of the assets that can only be made together with an asset, in the order of declaration: itself,
// and the others of a multi-asset that is made as a whole.
func (p *Planner) Together(asset string) []string {
	a, known := p.assets[asset]
	if !known {
		return nil
	}
	c := p.computeOf[a]
	if c < 0 || p.snapshot.Computes[c].CanSubset {
		return []string{asset}
	}
	return slices.Clone(p.snapshot.Computes[c].Outputs)
}

// Partitions are the compiled partitions of an asset: of one that is not partitioned, or not there, those of the zero
// Definition.
func (p *Planner) Partitions(asset string) *partition.Partitions {
	if a, known := p.assets[asset]; known {
		return p.partitionsOf(a)
	}
	return p.single
}

func (p *Planner) partitionsOf(asset int) *partition.Partitions {
	return orSingle(p.assetParts[asset], p.single)
}

func orSingle(parts, single *partition.Partitions) *partition.Partitions {
	if parts == nil {
		return single
	}
	return parts
}

// DynamicSets names the dynamic sets whose keys [Planner.Existing] needs, sorted.
func (p *Planner) DynamicSets() []string {
	var names []string
	for _, parts := range p.definitions {
		names = append(names, parts.Dynamic()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// partition compiles every definition once, and ties the mapping of every need to the two it is between.
func (p *Planner) partition(evaluator partition.Evaluator) []error {
	single, err := partition.New(partition.Definition{})
	if err != nil {
		return []error{err}
	}
	p.single = single
	if p.singleLink, err = (partition.Mapping{}).Between(single, single, nil); err != nil {
		return []error{err}
	}
	problems := p.compile()
	if len(problems) == 0 {
		problems = p.inherit()
	}
	if len(problems) == 0 {
		problems = p.link(evaluator)
	}
	return problems
}

// compile compiles the definitions of assets, op jobs and their ops.
func (p *Planner) compile() []error {
	s := p.snapshot
	var problems []error
	compiled := map[string]*partition.Partitions{}
	same := map[string]*partition.Partitions{} // by fingerprint
	of := func(what, name string, definition *partition.Definition) *partition.Partitions {
		if definition == nil {
			return nil
		}
		text, err := json.Marshal(definition)
		if parts, known := compiled[string(text)]; known && err == nil {
			return parts
		}
		parts, compileErr := partition.New(*definition)
		if err := errors.Join(err, compileErr); err != nil {
			problems = append(problems, fmt.Errorf("%s %q: its partitions: %w", what, name, err))
			return nil
		}
		if first := same[parts.Fingerprint()]; first != nil {
			parts = first
		} else if parts.Kind() == partition.KindSingle {
			parts = nil
		} else {
			same[parts.Fingerprint()] = parts
			p.definitions = append(p.definitions, parts)
		}
		compiled[string(text)] = parts
		return parts
	}
	p.assetParts = make([]*partition.Partitions, len(s.Assets))
	for a := range s.Assets {
		p.assetParts[a] = of("asset", s.Assets[a].Key, s.Assets[a].Partitions)
	}
	p.computeParts = make([]*partition.Partitions, len(s.Computes))
	for c := range s.Computes {
		p.computeParts[c] = of("op", s.Computes[c].Name, s.Computes[c].Partitions)
	}
	p.jobParts = make([]*partition.Partitions, len(s.Jobs))
	for j := range s.Jobs {
		p.jobParts[j] = of("job", s.Jobs[j].Name, s.Jobs[j].Partitions)
	}
	return problems
}

// inherit gives every compute the partitions of what it makes, or of what is made with it.
func (p *Planner) inherit() []error {
	s := p.snapshot
	var problems []error
	for c, outputs := range p.outputs {
		for _, a := range outputs {
			if parts := p.assetParts[a]; p.computeParts[c] == nil && a == outputs[0] {
				p.computeParts[c] = parts
			} else if p.computeParts[c] != parts {
				problems = append(problems, fmt.Errorf("compute %q makes the asset %q, which is partitioned otherwise than it", s.Computes[c].Name, s.Assets[a].Key))
			}
		}
	}
	for c, outputs := range p.outputs {
		if parts := p.computeParts[c]; parts != nil && len(outputs) > 0 {
			for _, op := range p.withOps([]int{c}) {
				if p.computeParts[op] == nil {
					p.computeParts[op] = parts
				}
			}
		}
	}
	for c := range s.Computes {
		for _, op := range p.opsOf(c) {
			if p.computeParts[op] != p.computeParts[c] {
				problems = append(problems, fmt.Errorf("compute %q takes the output of the op %q, which is partitioned otherwise", s.Computes[c].Name, s.Computes[op].Name))
			}
		}
	}
	for j, ops := range p.jobOps {
		for _, op := range ops {
			if p.jobParts[j] != p.computeParts[op] {
				problems = append(problems, fmt.Errorf("job %q has the op %q, which is partitioned otherwise than it", s.Jobs[j].Name, s.Computes[op].Name))
			}
		}
	}
	return problems
}

// link ties the mappings of all needs of assets to their two sides.
func (p *Planner) link(evaluator partition.Evaluator) []error {
	var problems []error
	for c := range p.inputs {
		for i := range p.inputs[c] {
			input, given := &p.inputs[c][i], p.snapshot.Computes[c].Inputs[i].Parts
			for n, a := range input.assets {
				if p.assetParts[a] == nil && p.computeParts[c] == nil {
					continue
				}
				if input.links == nil {
					input.links = make([]*partition.Link, len(input.assets))
					input.takes = make([]TakePartitions, len(input.assets))
				}
				var part InputPart
				if n < len(given) {
					part = given[n]
				}
				link, err := part.Mapping.Between(p.partitionsOf(a), orSingle(p.computeParts[c], p.single), evaluator)
				if err != nil {
					problems = append(problems, fmt.Errorf("%s needs the asset %q, and the mapping between their partitions does not fit: %w", p.made(c), p.snapshot.Assets[a].Key, err))
					continue
				}
				if p.computeOf[a] == c && !earlier(link.Mapping()) {
					problems = append(problems, fmt.Errorf("%s needs itself, and not only earlier windows: map to those that are before, as with an offset of -1 at both ends", p.made(c)))
				}
				input.links[n], input.takes[n] = link, part.Take
			}
		}
	}
	return problems
}

// made names what a compute makes, for messages.
func (p *Planner) made(c int) string {
	switch outputs := p.snapshot.Computes[c].Outputs; len(outputs) {
	case 0:
		return fmt.Sprintf("op %q", p.snapshot.Computes[c].Name)
	case 1:
		return fmt.Sprintf("asset %q", outputs[0])
	default:
		return fmt.Sprintf("multi-asset %q (%s)", p.snapshot.Computes[c].Name, strings.Join(outputs, ", "))
	}
}

// earlier says whether a mapping leads only to windows that are before the one they are for, in one dimension of a grid.
func earlier(mapping partition.Mapping) bool {
	switch mapping.Kind {
	case partition.MapTime:
		return mapping.StartOffset < 0 && mapping.EndOffset < 0
	case partition.MapGrid:
		return slices.ContainsFunc(mapping.Dimensions, func(pair partition.DimensionMapping) bool {
			return pair.Upstream == pair.Downstream && earlier(pair.Mapping)
		})
	default:
		return false
	}
}

// connectParts lists the edges between assets.
func (p *Planner) connectParts() {
	p.edges, p.children = make([][]Edge, len(p.snapshot.Assets)), make([][]Edge, len(p.snapshot.Assets))
	for a := range p.snapshot.Assets {
		c := p.computeOf[a]
		if c < 0 {
			continue
		}
		type need struct {
			asset int
			link  *partition.Link
		}
		seen := map[need]bool{}
		for _, maker := range p.withOps([]int{c}) {
			for i := range p.inputs[maker] {
				input := &p.inputs[maker][i]
				for n, parent := range input.assets {
					link := input.link(n)
					if link == nil {
						link = p.singleLink
					}
					if seen[need{parent, link}] {
						continue
					}
					seen[need{parent, link}] = true
					edge := Edge{Upstream: p.snapshot.Assets[parent].Key, Downstream: p.snapshot.Assets[a].Key, Link: link}
					p.edges[a], p.children[parent] = append(p.edges[a], edge), append(p.children[parent], edge)
				}
			}
		}
	}
}
