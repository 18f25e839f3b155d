package definitions

import (
	"cmp"
	"slices"

	"github.com/perdure-io/perdure/plan"
)

// op adds what only ops have.
func (l *lowering) op(c *compute, lowered *plan.Compute) {
	n := c.node
	lowered.Op, lowered.Optional, lowered.FanOut, lowered.NoValue = true, n.optional, n.fanOut, n.noValue()
	if n.over != nil {
		lowered.Over = c.peer(n.over).name
	}
	if mapped := n.mappedConfig(); mapped != nil && !l.inProcess.gives(c) && !l.given(mapped) {
		lowered.Config = nil
		lowered.ConfigUnder = c.family.named(mapped.graph.name)
	}
}

// given says whether the config that a graph would make was given, in process: the op's own, or the graph's.
func (l *lowering) given(mapped *mappedConfig) bool {
	_, outer := l.inProcess.given(mapped.outer)
	_, inner := l.inProcess.given(mapped.chain[len(mapped.chain)-1].inner)
	return outer || inner
}

// graphs are those whose config is mapped to their ops.
func (l *lowering) graphs() []plan.Graph {
	var graphs []plan.Graph
	seen := map[string]bool{}
	for _, c := range l.definitions.computes {
		mapped := c.mappedConfig()
		if mapped == nil || l.inProcess.gives(c) || l.given(mapped) {
			continue
		}
		if name := c.family.named(mapped.graph.name); !seen[name] {
			seen[name] = true
			graphs = append(graphs, plan.Graph{Name: name, Config: mapped.outer.lower(), At: mapped.graph.at})
		}
	}
	slices.SortFunc(graphs, func(a, b plan.Graph) int { return cmp.Compare(a.Name, b.Name) })
	return graphs
}

// mappedConfig is nil when the compute's config is its own.
func (c *compute) mappedConfig() *mappedConfig {
	if c.node == nil {
		return nil
	}
	return c.node.mappedConfig()
}

// jobOps are the names of an op job's computes, sorted; without those that only what was given needs.
func (l *lowering) jobOps(j *Job) []string {
	if !j.isOps {
		return nil
	}
	names := []string{}
	seen := map[*node]bool{}
	waiting := slices.Clone(j.results)
	for len(waiting) > 0 {
		n := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		names = append(names, n.name)
		l.eachOp(n.compute, func(needed *node) { waiting = append(waiting, needed) })
	}
	slices.Sort(names)
	return names
}

// eachOp visits the ops that a compute hangs on here.
func (l *lowering) eachOp(c *compute, visit func(*node)) {
	for _, one := range l.needs(c) {
		one.each(l.skip, func(n need) {
			if n.node != nil {
				visit(n.node)
			}
		})
	}
	if c.node.over != nil {
		visit(c.node.over)
	}
	for _, n := range c.afterOps {
		visit(n)
	}
}
