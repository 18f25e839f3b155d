package definitions

import (
	"maps"
	"slices"

	"github.com/perdure-io/perdure/plan"
)

// asked are the assets that Materialize is asked for.
func (m *materialization) asked() []*asset {
	listed := setOf(m.definitions.assets)
	var asked []*asset
	if !m.isOnly {
		for _, a := range m.definitions.assets {
			if !a.external {
				asked = append(asked, a)
			}
		}
		return asked
	}
	for _, handle := range m.only {
		a := baseOf(handle)
		switch {
		case a == nil:
			m.fail("Only names an asset handle that was never declared: declare it first")
		case !listed[a]:
			m.fail("Only names %s (%s), which is not among the definitions: add it to New(%q, …)", a.object(), a.at, m.definitions.location.name)
		case a.external && !m.isReplaced(a):
			m.fail("Only names %s, which is external: nothing here makes it", a.object())
		default:
			asked = append(asked, a)
		}
	}
	return asked
}

// wanted are the keys of all that must be computed, sorted: what is asked for and not given and, withUpstream, what of
// its upstream is not given. Without it, that is missing.
func (m *materialization) wanted(snapshot *plan.Snapshot, asked []*asset, withUpstream bool) []string {
	computes := make(map[string]*plan.Compute, len(snapshot.Computes))
	for i := range snapshot.Computes {
		computes[snapshot.Computes[i].Name] = &snapshot.Computes[i]
	}
	wanted := map[string]bool{}
	missing := map[*asset]*plan.Compute{}
	queue := slices.Clone(asked)
	for len(queue) > 0 {
		a := queue[0]
		queue = queue[1:]
		if wanted[a.name] || m.isReplaced(a) {
			continue
		}
		outs := []*asset{a}
		if !a.maker.canSubset {
			outs = a.maker.outs // made together, whether given or not
		}
		for _, out := range outs {
			wanted[out.name] = true
		}
		for _, c := range withOps(computes, a.maker.name) {
			need := m.loads
			if withUpstream {
				need = m.needs
			}
			need(c, func(needed *asset) {
				if withUpstream {
					queue = append(queue, needed)
				} else if missing[needed] == nil {
					missing[needed] = c
				}
			})
		}
	}
	for _, a := range m.definitions.assets {
		if c := missing[a]; c != nil && !wanted[a.name] {
			m.notMade(c, a)
		}
	}
	return slices.Sorted(maps.Keys(wanted))
}

// withOps are a compute and all ops that it hangs on by way of their outputs.
func withOps(computes map[string]*plan.Compute, name string) []*plan.Compute {
	found := []*plan.Compute{computes[name]}
	seen := map[string]bool{name: true}
	for done := 0; done < len(found); done++ {
		for _, needed := range opsOf(found[done]) {
			if !seen[needed] {
				seen[needed] = true
				found = append(found, computes[needed])
			}
		}
	}
	return found
}

func opsOf(c *plan.Compute) []string {
	var names []string
	for _, input := range c.Inputs {
		names = append(names, input.Ops...)
	}
	if c.Over != "" {
		names = append(names, c.Over)
	}
	return names
}

// loads visits the assets that a compute loads and somebody here makes, and refuses external ones that nothing loads.
func (m *materialization) loads(c *plan.Compute, visit func(*asset)) {
	m.each(c, func(kind plan.InputKind, needed *asset) {
		switch {
		case kind == plan.InputAfter:
		case !needed.external:
			visit(needed)
		case !m.inProcess.loads[needed] && !m.isReplaced(needed):
			m.fail("%s loads %s (%s), which is external: give it with Given, or have its own manager read it with LoadExternal",
				m.nameOf(c), needed.object(), needed.at)
		}
	})
}

// needs visits the assets that come before a compute, and refuses external ones that nothing loads.
func (m *materialization) needs(c *plan.Compute, visit func(*asset)) {
	m.loads(c, visit)
	m.each(c, func(kind plan.InputKind, needed *asset) {
		if kind == plan.InputAfter && !needed.external {
			visit(needed)
		}
	})
}

func (m *materialization) each(c *plan.Compute, visit func(plan.InputKind, *asset)) {
	if m.byKey == nil {
		m.byKey = make(map[string]*asset, len(m.definitions.assets))
		for _, a := range m.definitions.assets {
			m.byKey[a.name] = a
		}
	}
	for _, input := range c.Inputs {
		for _, key := range input.Assets {
			visit(input.Kind, m.byKey[key])
		}
	}
}

func (m *materialization) notMade(c *plan.Compute, needed *asset) {
	m.fail("%s loads %s (%s), which %s does not make: give it with Given", m.nameOf(c), needed.object(), needed.at, m.job.object())
}

// nameOf names a compute in a message.
func (m *materialization) nameOf(c *plan.Compute) string {
	for _, one := range m.definitions.computes {
		if one.name == c.Name {
			return one.object()
		}
	}
	return c.Name
}

func (m *materialization) isReplaced(a *asset) bool {
	return m.inProcess.replaces(a)
}
