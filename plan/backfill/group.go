package backfill

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
)

// group is assets that run together: of one definition and one policy, made from each other by the same partition, or
// waiting for the very same. What a group waits for lies in groups before it.
type group struct {
	level   int
	members []*asset // in the order of dependence
	// whole says that some of them need other partitions of each other, and may run together only all at once.
	whole bool
	// ordered says that a member needs other partitions of its own unit: yesterday's.
	ordered bool
	// changed is whether more may be ready than the last look has found.
	changed bool
}

// outside says whether a need is one that must have been made before the run starts.
func (n *need) outside() bool { return n.up.group != n.down.group || n.within() && n.up.most() == 1 }

// regroup makes the groups, for what is not requested yet.
func (b *Backfill) regroup() {
	level, whole := b.levels()
	components := b.components(level, whole)
	b.groups = nil
	shared := map[string]*group{}
	for _, members := range components {
		g := &group{level: level[members[0].Unit], members: members, changed: true}
		for _, a := range members {
			for _, n := range a.up {
				g.ordered = g.ordered || n.within()
				g.whole = g.whole || !n.within() && slices.Contains(members, n.up) && !n.together()
			}
		}
		if signature := b.signature(g); signature != "" {
			if first := shared[signature]; first != nil {
				first.members = append(first.members, g.members...)
				continue
			}
			shared[signature] = g
		}
		b.groups = append(b.groups, g)
	}
	slices.SortStableFunc(b.groups, func(x, y *group) int { return x.level - y.level })
	for _, g := range b.groups {
		slices.SortFunc(g.members, byPlace)
		for _, a := range g.members {
			a.group = g
		}
	}
	for _, a := range b.assets {
		a.check, a.ready = a.pending(), a.Target.Set().None()
	}
}

// levels gives each unit the number of runs that must have ended, one after the other, before it can run; whole names the
// pairs of units that may run together only all at once.
func (b *Backfill) levels() (level map[string]int, whole map[[2]string]bool) {
	level, whole = map[string]int{}, map[[2]string]bool{}
	units := map[string][]*asset{}
	for _, a := range b.assets {
		units[a.Unit] = append(units[a.Unit], a)
	}
	for _, a := range b.assets { // those that a unit needs stand before it
		unit := a.Unit
		if units[unit][0] != a {
			continue
		}
		for _, member := range units[unit] {
			for _, n := range member.up {
				if n.within() {
					continue
				}
				after := level[n.up.Unit] + 1
				switch {
				case n.together():
					after--
				case n.asWhole() && !b.apart[unit] && !b.apart[n.up.Unit]:
					after--
					whole[[2]string{n.up.Unit, unit}] = true
				}
				level[unit] = max(level[unit], after)
			}
		}
	}
	return level, whole
}

// components are the assets of one level that hang together by needs that one run can meet.
func (b *Backfill) components(level map[string]int, whole map[[2]string]bool) [][]*asset {
	parent := map[string]string{}
	var find func(unit string) string
	find = func(unit string) string {
		if up, joined := parent[unit]; joined {
			root := find(up)
			parent[unit] = root
			return root
		}
		return unit
	}
	for _, a := range b.assets {
		for _, n := range a.up {
			if n.within() || level[n.up.Unit] != level[a.Unit] || !n.together() && !whole[[2]string{n.up.Unit, a.Unit}] {
				continue
			}
			if x, y := find(n.up.Unit), find(a.Unit); x != y {
				parent[y] = x
			}
		}
	}
	at := map[string]int{}
	var components [][]*asset
	for _, a := range b.assets {
		root := find(a.Unit)
		i, known := at[root]
		if !known {
			i, at[root] = len(components), len(components)
			components = append(components, nil)
		}
		components[i] = append(components[i], a)
	}
	return components
}

// signature is the same for groups that wait for the same and are cut alike, so that they can run together; "" is of a
// group that runs by itself.
func (b *Backfill) signature(g *group) string {
	if g.whole || g.ordered {
		return ""
	}
	first := g.members[0]
	var waits []string
	for _, a := range g.members {
		for _, n := range a.up {
			if slices.Contains(g.members, n.up) {
				continue
			}
			mapping, err := json.Marshal(n.link.Mapping())
			if err != nil {
				return ""
			}
			waits = append(waits, n.up.Key+" "+string(mapping))
		}
	}
	slices.Sort(waits)
	return fmt.Sprintf("%s %v %d %s", first.Target.Set().Partitions().Fingerprint(), first.ranged(), first.most(), strings.Join(slices.Compact(waits), "\n"))
}

// split lets those of a group that may run together only all at once run apart, when some of it will not be made at all.
func (b *Backfill) split() {
	again := false
	for _, g := range b.groups {
		if !g.whole {
			continue
		}
		pending, given := false, false
		first := g.members[0].Target
		for _, a := range g.members {
			pending = pending || !a.pending().IsEmpty()
			given = given || !a.blocked.IsEmpty() || !a.skipped.IsEmpty() || !a.Target.Equal(first)
		}
		if pending && given {
			again = true
			for _, a := range g.members {
				b.apart[a.Unit] = true
			}
		}
	}
	if again {
		b.regroup()
	}
}

// cell is partitions of which the same members are to be made.
type cell struct {
	members []*asset
	subset  partition.Subset
}

// cells divide what is pending of a group.
func (g *group) cells() []cell {
	var cells []cell
	for _, a := range g.members {
		rest := a.pending()
		var next []cell
		for _, c := range cells {
			if both := c.subset.Intersection(rest); !both.IsEmpty() {
				next = append(next, cell{append(slices.Clone(c.members), a), both})
			}
			if without := c.subset.Difference(rest); !without.IsEmpty() {
				next = append(next, cell{c.members, without})
			}
			rest = rest.Difference(c.subset)
		}
		if !rest.IsEmpty() {
			next = append(next, cell{[]*asset{a}, rest})
		}
		cells = next
	}
	return cells
}
