package definitions

import (
	"fmt"
	"regexp"
	"slices"
)

// opForm is stricter than the form of other names: "." joins the names of graphs and ops, and "*", "+" and "[" have a
// meaning where steps are selected.
var opForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const opFix = `use letters, digits, "_" and "-"`

// ops checks every op once, in however many jobs and graph assets it is, and the graphs that they lie in.
func (v *validation) ops() {
	checked := map[*node]bool{}
	graphs := map[*graph]bool{}
	for _, c := range v.definitions.computes {
		n := c.node
		if n == nil || checked[n] {
			continue
		}
		checked[n] = true
		v.problems = append(v.problems, n.problems()...)
		if n.broken {
			continue
		}
		v.opName(&n.declared, n.own)
		v.compute(n.compute)
		v.storage(&n.declared, n.store, n.noValue(), n.typ)
		v.tags(&n.declared, n.tags)
		for g := n.graph; g != nil && !graphs[g]; g = g.parent {
			graphs[g] = true
			v.graph(g)
		}
	}
}

func (v *validation) opName(d *declared, own string) {
	switch {
	case !opForm.MatchString(own):
		v.add(d.problem("name", fmt.Sprintf("%q is no name of %s %s", own, article(d.what), d.what), opFix))
	case len(d.name) > maxKeySize:
		v.add(d.problem("name", fmt.Sprintf("the name has %d characters", len(d.name)), fmt.Sprintf("use at most %d", maxKeySize)))
	case d.what == "graph" && own == "perdure":
		v.add(d.problem("name", `names that begin with "perdure." are Perdure's own`, "choose another name"))
	}
}

func article(what string) string {
	if what == "op" {
		return "an"
	}
	return "a"
}

// graph checks what is one graph's own.
func (v *validation) graph(g *graph) {
	v.problems = append(v.problems, g.problems()...)
	v.opName(&g.declared, g.own)
	for _, m := range g.mappings {
		used := slices.ContainsFunc(g.nodes, func(n *node) bool {
			mapped := n.mappedConfig()
			return mapped != nil && slices.ContainsFunc(mapped.chain, func(one configMapping) bool { return one.inner == m.inner && one.outer == m.outer })
		})
		if !used {
			v.add(g.problem("config", fmt.Sprintf("it maps the config %s (%s), which nothing in it takes", m.inner.name, m.inner.at),
				"leave MapConfig out, or bind that config in one of its ops"))
		}
	}
}

// graphNames checks that graphs have names of their own: their config goes by it, and what selects steps.
func (v *validation) graphNames(names map[string]*declared) {
	seen := map[string]*graph{}
	for _, c := range v.definitions.computes {
		if c.node == nil {
			continue
		}
		for g := c.node.graph; g != nil; g = g.parent {
			name := c.family.named(g.name)
			if seen[name] == g {
				continue
			}
			d := g.declared
			d.name = name
			if seen[name] != nil || names[name] != nil {
				v.first(names, &d, "name")
				continue
			}
			seen[name], names[name] = g, &d
		}
	}
}

// fans checks that what runs once for each element of a fan is bound where it is known for which.
func (v *validation) fans(c *compute) {
	for _, one := range c.needs {
		one.each(nil, func(n need) {
			switch {
			case n.kind == needMappingKey && (c.node == nil || c.node.over == nil):
				v.add(c.problem("inputs", "it binds MappingKey, and is not mapped", "declare it in the body of a Map, or leave MappingKey out"))
			case n.node == nil || n.node.broken:
			case c.node == nil:
				v.add(c.problem("inputs", fmt.Sprintf("it binds the value of op %q (%s), which belongs to a run", n.node.name, n.node.at),
					"make an asset of the graph with GraphAsset, or declare this as an Op"))
			case n.kind == needElement && n.node.fan() != c.node.over:
				v.add(c.problem("inputs", fmt.Sprintf("it binds one element of %q (%s) outside of the body of its Map", n.node.name, n.node.at),
					"declare it in that body, or bind the Collect"))
			case n.kind == needOp && n.node.over != nil && n.node.over != c.node.over:
				v.add(c.problem("inputs", fmt.Sprintf("it binds op %q (%s), which runs once for each element of %q, outside of the body of that Map", n.node.name, n.node.at, n.node.over.name),
					"bind the Collect of what the Map returns"))
			case n.kind == needCollect && !n.node.fanOut && n.node.over != nil && n.node.over == c.node.over:
				v.add(c.problem("inputs", fmt.Sprintf("it binds the Collect of %q (%s), and runs itself once for each element of %q", n.node.name, n.node.at, n.node.over.name),
					"declare it outside of the body of the Map"))
			}
		})
	}
}

// orderedOps checks the ops that an op is ordered after.
func (v *validation) orderedOps(c *compute) {
	loaded := map[*node]bool{}
	for _, one := range c.needs {
		one.each(nil, func(n need) { loaded[n.node] = true })
	}
	for _, n := range once(slices.Clone(c.afterOps)) {
		if loaded[n] {
			v.add(c.problem("after", fmt.Sprintf("%s is bound and named in After, too", n.object()), "leave it out of After: what is bound comes before anyhow"))
		}
	}
}

// families checks what is said for all ops of a graph asset.
func (v *validation) families() {
	for _, a := range v.definitions.assets {
		if f := a.family(); f != nil && f.multi == nil {
			v.shared(f)
		}
	}
	for _, c := range v.definitions.families {
		v.problems = append(v.problems, c.problems()...)
		v.described(c.defaults)
		v.shared(c.parts)
	}
}

func (v *validation) shared(f *family) {
	v.settings(f.shared)
	missing := map[*asset]bool{}
	for _, one := range f.order {
		if !v.listed[one.asset] && !missing[one.asset] {
			missing[one.asset] = true
			v.add(v.unlistedAsset(f.shared, "after", one.asset))
		}
	}
}
