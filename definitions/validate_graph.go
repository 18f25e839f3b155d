package definitions

import (
	"fmt"
	"slices"
	"strings"
)

// Handles are declared before they are bound, so that an asset cannot need itself, nor a resource. What can
// is a multi-asset: it is declared after its outputs, and may bind what is made of them.

// edge is a need of one compute for an asset, or an op's output, that another makes.
type edge struct {
	from *compute
	// asset is nil for an op's output.
	asset *asset
}

func (e edge) name() string {
	if e.asset == nil {
		return e.from.name
	}
	return e.asset.name
}

// cycles reports the computes that need each other in a circle: of each knot, one shortest circle.
func (v *validation) cycles() {
	v.cyclic = map[*compute]bool{}
	needs := map[*compute][]edge{}
	for _, c := range v.definitions.computes {
		needs[c] = v.edges(c)
	}
	for _, knot := range knots(v.definitions.computes, needs) {
		for _, c := range knot {
			v.cyclic[c] = true
		}
		circle := shortestCircle(knot, needs)
		var path []string
		for _, e := range circle {
			path = append(path, e.name())
		}
		path = append(path, path[0])
		first := circle[slices.IndexFunc(circle, func(e edge) bool { return e.asset != nil })].asset // ops alone make no circle
		var makers []string
		for _, e := range circle {
			if name := fmt.Sprintf("%s makes %s", e.from.object(), e.name()); e.from.multi && !slices.Contains(makers, name) {
				makers = append(makers, name)
			}
		}
		message := "assets need each other in a circle: " + strings.Join(path, " → ")
		if len(makers) > 0 {
			message += " (" + strings.Join(makers, ", ") + ")"
		}
		v.add(first.problem("inputs", message, "take one of these needs out, or split the multi-asset"))
	}
}

// edges are the assets and ops that a compute needs, with what makes each, in a fixed order.
func (v *validation) edges(c *compute) []edge {
	found := map[*asset]bool{}
	for _, n := range c.needs {
		n.each(nil, func(n need) {
			if n.kind == needAsset && !c.ownBefore(n) {
				found[n.asset] = true
			}
		})
	}
	for _, one := range c.after {
		if one.asset.maker != c || !isBefore(one.mapping) {
			found[one.asset] = true
		}
	}
	var edges []edge
	for a := range found {
		if a.maker != nil && v.listed[a] {
			edges = append(edges, edge{a.maker, a})
		}
	}
	if c.node != nil {
		seen := map[*compute]bool{}
		c.eachOp(func(n *node) {
			if peer := c.peer(n); !seen[peer] {
				seen[peer] = true
				edges = append(edges, edge{from: peer})
			}
		})
	}
	slices.SortFunc(edges, func(a, b edge) int { return strings.Compare(a.name(), b.name()) })
	return edges
}

// knots are the groups of computes in which each can be reached from each other (Tarjan's strongly connected
// components), without those that are no circle. A stack of its own keeps it from recursing as deep as the graph.
func knots(computes []*compute, needs map[*compute][]edge) [][]*compute {
	type visit struct {
		compute *compute
		next    int
	}
	number, low := map[*compute]int{}, map[*compute]int{}
	waiting := map[*compute]bool{}
	var stack []*compute
	var found [][]*compute
	begin := func(c *compute) visit {
		number[c] = len(number) + 1
		low[c] = number[c]
		stack = append(stack, c)
		waiting[c] = true
		return visit{compute: c}
	}
	for _, root := range computes {
		if number[root] != 0 {
			continue
		}
		path := []visit{begin(root)}
		for len(path) > 0 {
			top := &path[len(path)-1]
			c := top.compute
			if top.next < len(needs[c]) {
				need := needs[c][top.next].from
				top.next++
				switch {
				case number[need] == 0:
					path = append(path, begin(need))
				case waiting[need]:
					low[c] = min(low[c], number[need])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				above := path[len(path)-1].compute
				low[above] = min(low[above], low[c])
			}
			if low[c] != number[c] {
				continue
			}
			var knot []*compute
			for last := (*compute)(nil); last != c; {
				last = stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				knot = append(knot, last)
				delete(waiting, last)
			}
			if len(knot) > 1 || slices.ContainsFunc(needs[c], func(e edge) bool { return e.from == c }) {
				found = append(found, knot)
			}
		}
	}
	return found
}

// shortestCircle is a shortest circle through the first member of a knot by name, in the direction in which data
// flows. Each edge is an asset and what makes it.
func shortestCircle(knot []*compute, needs map[*compute][]edge) []edge {
	start := slices.MinFunc(knot, func(a, b *compute) int { return strings.Compare(a.name, b.name) })
	// towards is the edge by which a compute was first met, and who needs it.
	type step struct {
		edge edge
		of   *compute
	}
	towards := map[*compute]step{}
	queue := []*compute{start}
	for len(queue) > 0 {
		c := queue[0]
		queue = queue[1:]
		for _, e := range needs[c] {
			if e.from == start {
				circle := []edge{e} // e.asset flows from start to c
				for at := c; at != start; at = towards[at].of {
					circle = append(circle, towards[at].edge)
				}
				return circle
			}
			if _, met := towards[e.from]; !met {
				towards[e.from] = step{e, c}
				queue = append(queue, e.from)
			}
		}
	}
	return nil
}
