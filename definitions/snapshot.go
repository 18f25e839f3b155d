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
	s.Graphs = l.graphs()
	for _, r := range d.resources {
		s.Resources = append(s.Resources, l.resource(r))
	}
	for _, logger := range d.loggers {
		s.Loggers = append(s.Loggers, plan.Logger{Name: logger.name, Config: l.config(logger.needs), At: logger.at})
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
	slices.SortFunc(s.Loggers, func(a, b plan.Logger) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(s.Jobs, func(a, b plan.Job) int { return cmp.Compare(a.Name, b.Name) })
	return s, l.triggers(s)
}

func (l *lowering) asset(a *asset) (plan.Asset, error) {
	metadata, _, err := lowerMetadata(withColumns(a))
	if err != nil {
		return plan.Asset{}, fmt.Errorf("%s: %w", a.object(), err)
	}
	lowered := plan.Asset{
		Key: a.name, Group: cmp.Or(a.group, defaultGroup), Description: a.description,
		Owners: sorted(a.owners), Tags: maps.Clone(a.tags), Kinds: sorted(a.kinds), CodeVersion: a.codeVersion,
		Metadata: metadata, Optional: a.optional, Partitions: a.partitions.lower(), Backfill: a.backfill, Type: a.typ.String(), At: a.at,
	}
	if lowered.TypeCheck, err = a.ofType.lower(); err != nil {
		return plan.Asset{}, fmt.Errorf("%s: %w", a.object(), err)
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
	needs := l.needs(c)
	lowered := plan.Compute{
		Name: c.name, Outputs: []string{}, CanSubset: c.canSubset, Inputs: l.inputs(c), Resources: l.resources(c),
		Config: l.config(needs), Queue: c.queue, Pool: c.pool, Retries: c.retries.lower(), Description: c.description,
		Tags: maps.Clone(c.tags), Remote: c.remote, Ranged: c.ranged, At: c.at,
	}
	partitions := l.definitions.partitionsOf(c).lower()
	if len(c.outs) == 0 {
		lowered.Partitions = partitions
	}
	if c.timeout != nil {
		lowered.Timeout = c.timeout.duration()
	}
	optional := map[string]bool{}
	for _, out := range c.outs {
		lowered.Outputs = append(lowered.Outputs, out.name)
		optional[out.name] = out.optional
	}
	if c.node != nil {
		l.op(c, &lowered)
	}
	l.control(c, &lowered)
	var err error
	if lowered.TypeCheck, err = c.control.ofType.lower(); err != nil {
		return plan.Compute{}, fmt.Errorf("%s: %w", c.object(), err)
	}
	lowered.Shape, err = plan.ShapeOf(&lowered, optional, partitions)
	if err != nil {
		return plan.Compute{}, fmt.Errorf("%s: %w", c.object(), err)
	}
	return lowered, nil
}

// needs are a compute's; none in process, when what it gives was given.
func (l *lowering) needs(c *compute) []need {
	if l.inProcess.gives(c) {
		return nil
	}
	return c.needs
}

func (l *lowering) skip(n need) bool {
	_, replaced := l.inProcess.given(n.id)
	return replaced
}

// addResources adds the names of the resources that are bound, and of those that they need.
func (l *lowering) addResources(names map[string]bool, needs []need) {
	for _, n := range needs {
		n.each(l.skip, func(n need) {
			if n.kind == needResource && !names[n.resource.name] {
				names[n.resource.name] = true
				l.addResources(names, n.resource.needs)
			}
		})
	}
}

// resources are the names of all that a step may open: what its function binds, the IO managers of what it stores and
// loads, and what these need.
func (l *lowering) resources(c *compute) []string {
	names := map[string]bool{}
	add := func(needs []need) { l.addResources(names, needs) }
	addAsset := func(a *asset) {
		if a.store != nil && !l.inProcess.keeps(a) {
			add([]need{a.store.need})
		}
	}
	addOp := func(of *compute) {
		if len(of.outs) > 0 {
			addAsset(of.outs[0])
		} else if of.store != nil && l.inProcess == nil {
			add([]need{of.store.need})
		}
	}
	needs := l.needs(c)
	add(needs)
	for _, h := range c.control.hooks {
		add(h.run.needs)
	}
	for _, a := range c.outs {
		addAsset(a)
	}
	if c.node != nil {
		addOp(c)
	}
	for _, n := range needs {
		n.each(l.skip, func(n need) {
			if n.asset != nil {
				addAsset(n.asset)
			}
			if n.node != nil {
				addOp(c.peer(n.node))
			}
		})
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
	var selection wire.AssetSelection
	if !j.isOps {
		selection = j.selection.lower()
	}
	lowered := plan.Job{
		Name: j.name, Description: j.description, Selection: selection, Ops: l.jobOps(j), Config: config, Tags: maps.Clone(j.tags),
		Retries: j.retries.lower(), Priority: wire.Priority(j.priority), Partitions: j.partitions.lower(), At: j.at,
	}
	l.jobControl(j, &lowered)
	return lowered, nil
}

// sorted is a sorted copy; nil stays nil.
func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(list))
}
