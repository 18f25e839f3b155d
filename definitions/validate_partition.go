package definitions

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// partitions checks all that has to do with partitions. What is wrong with a set is reported once, where it is declared; what hangs
// on such a set is not checked.
func (v *validation) partitions() {
	d := v.definitions
	checked := map[*partitionSet]bool{}
	check := func(set *partitionSet) {
		if set != nil && !checked[set] {
			checked[set] = true
			v.partitionSet(set)
		}
	}
	for _, a := range d.assets {
		check(a.partitions)
		v.backfill(a)
	}
	for _, j := range d.jobs {
		check(j.partitions)
		v.jobPartitions(j)
	}
	for _, c := range d.computes {
		for _, n := range c.needs {
			n.each(nil, func(n need) { check(n.partitions) })
		}
		v.ownPartitions(c)
		v.mappings(c)
	}
	v.customMappings()
}

// partitionSet reports what is wrong with a set.
func (v *validation) partitionSet(set *partitionSet) {
	v.problems = append(v.problems, set.problems()...)
	if len(set.faults) > 0 {
		return
	}
	_, err := set.compile()
	for _, p := range partitionProblems(err) {
		v.add(set.problem(p.Field, p.Message, p.Fix))
	}
}

// partitionProblems are what an error of package partition lists.
func partitionProblems(err error) partition.Problems {
	if err == nil {
		return nil
	}
	if problems, ok := errors.AsType[partition.Problems](err); ok {
		return problems
	}
	return partition.Problems{{Message: err.Error(), Fix: "correct it"}}
}

func (v *validation) backfill(a *asset) {
	if a.backfill != nil && a.partitions == nil && !a.inherited[optionBackfill] {
		v.add(a.problem("backfill", "it has a backfill policy, and is not partitioned", "leave it out, or give it PartitionedBy"))
	}
}

// jobPartitions checks how a job is sliced.
func (v *validation) jobPartitions(j *Job) {
	if !j.isOps {
		if j.partitions != nil {
			v.add(j.problem("partitions", "it has the option PartitionedBy, and a job of assets is sliced as its assets are", "leave PartitionedBy out, and give it to the assets"))
		}
		return
	}
	for _, n := range j.ops {
		if of := v.definitions.opPartitions[n.compute]; !of.same(j.partitions) && (of == nil || of.valid()) && (j.partitions == nil || j.partitions.valid()) {
			v.add(j.problem("partitions", fmt.Sprintf("%s (%s) is in a job with %s, too, and this one has %s", n.object(), n.at, sliced(of), sliced(j.partitions)),
				"declare the op twice, or give both jobs the same partitions"))
		}
	}
}

func sliced(set *partitionSet) string {
	if set == nil {
		return "no partitions"
	}
	return set.object()
}

// ownPartitions checks what a compute takes of its own partitions.
func (v *validation) ownPartitions(c *compute) {
	own := v.definitions.partitionsOf(c)
	at := c.root()
	if c.ranged && own == nil && !c.outs[0].options[optionPartitions] {
		v.add(at.problem("partitions", "it makes ranges of partitions, and is not partitioned", "give it PartitionedBy, or declare it with Asset"))
	}
	for _, one := range c.needs {
		one.each(nil, func(n need) {
			switch n.kind {
			case needPartition:
				v.ownPartition(c, own, n)
			case needReport:
				if !c.ranged {
					v.add(at.problem("inputs", "it binds ReportByKey, which only a RangeAsset can", "report with the Context"))
				}
			case needPrevious:
				v.add(at.problem("inputs", "it binds Previous, which only an asset with a function or a graph of its own can",
					"bind At with the handle and Offset(-1, -1): an output may be named by its own multi-asset"))
			default:
			}
		})
	}
}

func (v *validation) ownPartition(c *compute, own *partitionSet, n need) {
	at, what := c.root(), fmt.Sprintf("it binds the %s of the %s (%s)", n.source, n.partitions.object(), n.partitions.at)
	switch {
	case own == nil:
		v.add(at.problem("inputs", what+", and is not partitioned", "give it PartitionedBy with them"))
	case !own.valid() || !n.partitions.valid():
	case own.same(n.partitions):
		if c.ranged && !bool(n.many) {
			v.add(at.problem("inputs", what+", and makes many partitions at once", "bind Keys"))
		}
	case !own.isGrid() || n.partitions.isGrid():
		v.add(at.problem("inputs", fmt.Sprintf("%s, and is partitioned by the %s (%s)", what, own.object(), own.at), "bind the "+n.source+" of its own partitions"))
	default:
		switch names := own.dimensionsLike(n.partitions); {
		case len(names) == 0:
			v.add(at.problem("inputs", fmt.Sprintf("%s, which are no dimension of its own, the %s (%s)", what, own.object(), own.at), "bind the "+n.source+" of one of its dimensions, or of the grid"))
		case len(names) > 1:
			v.add(at.problem("inputs", fmt.Sprintf("%s, which are both dimensions of its own, the %s", what, own.object()), "bind the Key of the grid, and take its Parts"))
		case c.ranged && !bool(n.many):
			v.add(at.problem("inputs", what+", and makes many partitions at once", "bind Keys"))
		}
	}
}

// mappings checks that each input gives the partitions that its parameter takes.
func (v *validation) mappings(c *compute) {
	own := v.definitions.partitionsOf(c)
	if own != nil && !own.valid() {
		return
	}
	checked := map[string]bool{}
	check := func(a *asset, part assetPart, field string, order bool) {
		key := fmt.Sprintf("%p %s %v %s", a, part.name, part.mapping.lowered, field)
		if checked[key] || a.partitions != nil && !a.partitions.valid() {
			return
		}
		checked[key] = true
		v.mapping(c, own, a, part, field, order)
	}
	for _, n := range c.needs {
		n.each(nil, func(n need) {
			if n.kind == needAsset && v.listed[n.asset] {
				check(n.asset, n.part, "inputs", false)
			}
		})
	}
	for _, one := range c.after {
		if v.listed[one.asset] {
			check(one.asset, assetPart{mapping: one.mapping, name: "After"}, "after", true)
		}
	}
}

func (v *validation) mapping(c *compute, own *partitionSet, a *asset, part assetPart, field string, order bool) {
	at := c.root()
	if part.name == "Previous" && !v.previous(c, own, a) {
		return
	}
	upstream, downstream := compiledOf(a.partitions), compiledOf(own)
	link, err := part.mapping.lowered.Between(upstream, downstream, nil)
	if err != nil {
		for _, p := range partitionProblems(err) {
			f := field
			if p.Field != "" {
				f += "." + p.Field
			}
			v.add(at.problem(f, fmt.Sprintf("its mapping to the partitions of %s (%s, %s): %s", a.object(), a.at, sliced(a.partitions), p.Message), p.Fix))
		}
		return
	}
	if order || part.take == plan.TakePartitionsByKey {
		v.ownMapping(c, a, part, field)
		return
	}
	gives := givesOf(a.partitions, own, link.Mapping())
	if c.ranged && a.partitions != nil && dependsOnPartition(link.Mapping()) {
		gives = givesMany
	}
	excluded := ""
	if own != nil && a.partitions != nil && excludesMore(a.partitions.definition.Time, own.definition.Time) {
		excluded = ", of which some are excluded"
	}
	fits := fmt.Sprintf("%s (%s) has %s%s, and this %s", a.object(), a.at, sliced(a.partitions), excluded, sliced(own))
	switch {
	case gives == givesMany && c.ranged:
		v.add(at.problem(field, fmt.Sprintf("it makes many partitions at once, and binds one of %s (%s)", a.object(), a.at), "bind ByKey: a map of all by key"))
	case gives == givesMany && part.take == plan.TakeAtMostOne:
		v.add(at.problem(field, fmt.Sprintf("it binds %s of what can be several partitions: %s", part.name, fits), "bind ByKey: a map of all by key"))
	case gives == givesMany:
		v.add(at.problem(field, "it binds one value of what can be several partitions: "+fits, "bind ByKey: a map of all by key"))
	case gives == givesAtMostOne && part.take == plan.TakeOnePartition:
		v.add(at.problem(field, "it binds a value that is not there for each of its partitions: "+fits, "bind At, which gives nil then"))
	default:
		v.ownMapping(c, a, part, field)
	}
}

// ownMapping checks that what needs partitions of its own needs earlier ones.
func (v *validation) ownMapping(c *compute, a *asset, part assetPart, field string) {
	if a.maker == c && part.mapping.lowered.Kind != "" && !isBefore(part.mapping) {
		v.add(c.root().problem(field, fmt.Sprintf("it needs partitions of %s, which it makes itself, that are not before its own", a.object()),
			"use an Offset whose end is below 0"))
	}
}

// previous checks what Previous is bound by.
func (v *validation) previous(c *compute, own *partitionSet, a *asset) bool {
	at := c.root()
	times := 0
	if own != nil {
		if own.definition.Time != nil {
			times = 1
		}
		for _, dimension := range own.definition.Grid {
			if dimension.Time != nil {
				times++
			}
		}
	}
	switch {
	case own == nil:
		v.add(at.problem("inputs", "it binds Previous, and is not partitioned", "give it PartitionedBy"))
	case a.maker != c:
		v.add(at.problem("inputs", fmt.Sprintf("its %s binds Previous, and another op gives the value of the graph", c.object()),
			"bind Previous in the op that gives it"))
	case c.ranged:
		v.add(at.problem("inputs", "it binds Previous, and makes many partitions at once", "declare it with Asset, which has a step for each"))
	case times != 1:
		v.add(at.problem("inputs", fmt.Sprintf("it binds Previous, and its partitions, the %s, have no one order in time", own.object()), "use windows of time, or a grid with one dimension of them"))
	default:
		found := true
		for _, n := range c.needs {
			n.each(nil, func(n need) {
				if n.kind == needAsset && n.part.name == "Previous" && n.typ != a.typ {
					v.add(at.problem("inputs", fmt.Sprintf("it is a %v, and takes its previous partition as a %v", a.typ, n.typ), fmt.Sprintf("bind Previous[%v]()", a.typ)))
					found = false
				}
			})
		}
		return found
	}
	return false
}

// customMappings checks the names of custom mappings.
func (v *validation) customMappings() {
	known := map[string]*customMapping{}
	checked := map[*customMapping]bool{}
	v.definitions.eachMapping(func(_ *compute, m Mapping) {
		for _, custom := range m.customs {
			if checked[custom] {
				continue
			}
			checked[custom] = true
			v.problems = append(v.problems, custom.problems()...)
			v.name(&custom.declared)
			if other := known[custom.name]; other != nil {
				places := sorted([]string{custom.at, other.at})
				problem := custom.problem("name", fmt.Sprintf("it is declared twice, at %s and at %s", places[0], places[1]), "rename one of the two, or use one value in both places")
				problem.At = places[0]
				v.add(problem)
			}
			known[custom.name] = custom
		}
	})
}

var singlePartition = func() *partition.Partitions {
	compiled, _ := partition.New(partition.Definition{}) // the zero definition is right
	return compiled
}()

// compiledOf is a valid set, compiled; that of one partition where there is none.
func compiledOf(set *partitionSet) *partition.Partitions {
	if set == nil {
		return singlePartition
	}
	compiled, err := set.compile()
	if err != nil {
		return singlePartition
	}
	return compiled
}

// ownBefore says whether a need is for earlier partitions of what the compute itself makes: no circle.
func (c *compute) ownBefore(n need) bool {
	// Previous in an op that does not make the asset is a problem of its own.
	return (n.asset.maker == c || n.part.name == "Previous") && isBefore(n.part.mapping)
}

// isBefore says whether a mapping gives only earlier partitions of the same set.
func isBefore(m Mapping) bool { return before(m.lowered) }

func before(m partition.Mapping) bool {
	switch m.Kind {
	case partition.MapTime:
		return m.EndOffset < 0
	case partition.MapGrid:
		return slices.ContainsFunc(m.Dimensions, func(pair partition.DimensionMapping) bool {
			return pair.Upstream == pair.Downstream && before(pair.Mapping)
		})
	default:
		return false
	}
}
