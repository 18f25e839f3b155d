package definitions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// defaultGroup is the group of assets that name none.
const defaultGroup = "default"

// Snapshot validates the definitions and gives them as data, sorted: two programs that define the same, in whatever
// order and wherever they are built, have the same snapshot. The error is [ProblemList].
func (d *Definitions) Snapshot() (*plan.Snapshot, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return (&lowering{definitions: d}).snapshot()
}

// lowering turns definitions into a snapshot. In process, replaced sources are no needs, nor are IO managers in whose
// place memory keeps the values.
type lowering struct {
	definitions *Definitions
	inProcess   *inProcess
	// without leaves out what cannot be lowered, where definitions are not valid: needs by compute, of
	// assets that are not there or in a cycle.
	without func(*compute, *asset) bool
}

func (l *lowering) snapshot() (*plan.Snapshot, error) {
	d := l.definitions
	s := &plan.Snapshot{V: plan.SnapshotVersion, Location: d.location.name, Assets: []plan.Asset{}, Computes: []plan.Compute{}}
	for _, a := range d.assets {
		lowered, err := l.asset(a)
		if err != nil {
			return nil, err
		}
		s.Assets = append(s.Assets, lowered)
	}
	for _, c := range d.computes {
		lowered, err := l.compute(c)
		if err != nil {
			return nil, err
		}
		s.Computes = append(s.Computes, lowered)
	}
	for _, r := range d.resources {
		s.Resources = append(s.Resources, l.resource(r))
	}
	for _, j := range d.jobs {
		lowered, err := l.job(j)
		if err != nil {
			return nil, err
		}
		s.Jobs = append(s.Jobs, lowered)
	}
	slices.SortFunc(s.Assets, func(a, b plan.Asset) int { return cmp.Compare(a.Key, b.Key) })
	slices.SortFunc(s.Computes, func(a, b plan.Compute) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Resources, func(a, b plan.Resource) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Jobs, func(a, b plan.Job) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

func (l *lowering) asset(a *asset) (plan.Asset, error) {
	metadata, _, err := lowerMetadata(withColumns(a))
	if err != nil {
		return plan.Asset{}, fmt.Errorf("%s: %w", a.object(), err)
	}
	lowered := plan.Asset{
		Key: a.name, Group: cmp.Or(a.group, defaultGroup), Description: a.description,
		Owners: sorted(a.owners), Tags: maps.Clone(a.tags), Kinds: sorted(a.kinds), CodeVersion: a.codeVersion,
		Metadata: metadata, Optional: a.optional, Type: a.typ.String(), At: a.at,
	}
	if a.maker != nil {
		lowered.Compute = a.maker.name
	}
	if a.store != nil && !l.inProcess.keeps(a) {
		if r := a.store.resource(); r != nil {
			lowered.StoredBy = r.name
		}
	}
	return lowered, nil
}

func (l *lowering) compute(c *compute) (plan.Compute, error) {
	lowered := plan.Compute{
		Name: c.name, Outputs: []string{}, CanSubset: c.canSubset, Inputs: l.inputs(c), Resources: l.resources(c),
		Config: l.config(c.needs), Queue: c.queue, Pool: c.pool, Retries: c.retries.lower(), At: c.at,
	}
	if c.timeout != nil {
		lowered.Timeout = c.timeout.duration()
	}
	optional := map[string]bool{}
	for _, out := range c.outs {
		lowered.Outputs = append(lowered.Outputs, out.name)
		optional[out.name] = out.optional
	}
	var err error
	lowered.Shape, err = plan.ShapeOf(&lowered, optional)
	if err != nil {
		return plan.Compute{}, fmt.Errorf("%s: %w", c.object(), err)
	}
	return lowered, nil
}

// inputs are a compute's needs of assets, each once and sorted: in which parameter a value arrives is the
// function's own affair, and no reason to hand a step back to another build.
func (l *lowering) inputs(c *compute) []plan.Input {
	var inputs []plan.Input
	add := func(kind plan.InputKind, assets ...*asset) {
		input := plan.Input{Kind: kind}
		for _, a := range assets {
			if l.without == nil || !l.without(c, a) {
				input.Assets = append(input.Assets, a.name)
			}
		}
		if len(input.Assets) > 0 {
			inputs = append(inputs, input)
		}
	}
	for _, n := range c.needs {
		eachInput(n, l.skip, add)
	}
	for _, a := range c.after {
		if _, replaced := l.inProcess.given(a); !replaced {
			add(plan.InputAfter, a)
		}
	}
	slices.SortFunc(inputs, func(a, b plan.Input) int {
		return cmp.Or(cmp.Compare(slices.Index(inputKinds, a.Kind), slices.Index(inputKinds, b.Kind)), slices.Compare(a.Assets, b.Assets))
	})
	return slices.CompactFunc(inputs, func(a, b plan.Input) bool { return a.Kind == b.Kind && slices.Equal(a.Assets, b.Assets) })
}

var inputKinds = []plan.InputKind{plan.InputValue, plan.InputAll, plan.InputAfter}

// eachInput visits a source's needs of assets: one by one, and those of a fan-in together.
func eachInput(n need, skip func(need) bool, visit func(plan.InputKind, ...*asset)) {
	switch {
	case skip(n):
	case n.kind == needAsset:
		visit(plan.InputValue, n.asset)
	case n.kind == needAll:
		var members []*asset
		n.each(skip, func(part need) {
			if part.kind == needAsset {
				members = append(members, part.asset)
			}
		})
		if len(members) > 0 {
			visit(plan.InputAll, members...)
		}
	default:
		for _, part := range n.parts {
			eachInput(part, skip, visit)
		}
	}
}

func (l *lowering) skip(n need) bool {
	_, replaced := l.inProcess.given(n.id)
	return replaced
}

// resources are the names of all that a step may open: what its function binds, the IO managers of what it stores and
// loads, and what these need.
func (l *lowering) resources(c *compute) []string {
	names := map[string]bool{}
	var add func([]need)
	add = func(needs []need) {
		for _, n := range needs {
			n.each(l.skip, func(n need) {
				if n.kind == needResource && !names[n.resource.name] {
					names[n.resource.name] = true
					add(n.resource.needs)
				}
			})
		}
	}
	add(c.needs)
	stores := slices.Clone(c.outs)
	for _, n := range c.needs {
		n.each(l.skip, func(n need) {
			if n.kind == needAsset {
				stores = append(stores, n.asset)
			}
		})
	}
	for _, a := range stores {
		if a.store != nil && !l.inProcess.keeps(a) {
			add([]need{a.store.need})
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (l *lowering) config(needs []need) *plan.ConfigSchema {
	c := configOf(needs)
	if _, replaced := l.inProcess.given(c); replaced {
		return nil
	}
	return c.lower()
}

func (l *lowering) resource(r *resource) plan.Resource {
	lowered := plan.Resource{Name: r.name, Config: l.config(r.needs), At: r.at}
	for _, needed := range resourcesOf(r.needs) {
		lowered.Needs = append(lowered.Needs, needed.name)
	}
	slices.Sort(lowered.Needs)
	return lowered
}

func (l *lowering) job(j *Job) (plan.Job, error) {
	config, err := l.definitions.runConfig(j.runConfig, j.configured)
	if err != nil {
		return plan.Job{}, fmt.Errorf("%s: %w", j.object(), err)
	}
	return plan.Job{
		Name: j.name, Description: j.description, Selection: j.selection.lower(), Config: config, Tags: maps.Clone(j.tags),
		Retries: j.retries.lower(), Priority: wire.Priority(j.priority), At: j.at,
	}, nil
}

// sorted is a sorted copy; nil stays nil.
func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(list))
}
