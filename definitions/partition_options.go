package definitions

import (
	"fmt"

	"github.com/perdure-io/perdure/plan"
)

// PartitionOption is what [PartitionedBy] returns.
type PartitionOption interface {
	AssetOption
	ExternalOption
	MultiAssetOption
	JobOption
}

// PartitionedBy slices an asset, all outputs of a multi-asset, all ops of a graph asset, or a job of ops: each run makes the
// partitions that it is asked for. The function learns which by a Window or Key of the set, as a parameter. A job of assets is
// sliced as its assets are.
func PartitionedBy(p Partitions) PartitionOption { return partitionedBy{setOfPartitions(p)} }

type partitionedBy struct{ set *partitionSet }

func (p partitionedBy) apply(d *declared, options *optionNames, partitions **partitionSet) {
	options.once(d, "partitions", optionPartitions)
	*partitions = p.set
	if p.set == nil {
		d.wrong("partitions", "PartitionedBy is given a set that was never declared", "declare it with Daily, Static, Dynamic or GridOf, or leave PartitionedBy out")
	}
}

func (p partitionedBy) applyAsset(a *asset)    { p.apply(&a.declared, &a.options, &a.partitions) }
func (p partitionedBy) applyExternal(a *asset) { p.applyAsset(a) }

func (p partitionedBy) applyMultiAsset(c *compute) {
	p.apply(&c.defaults.declared, &c.defaults.options, &c.defaults.partitions)
}

func (p partitionedBy) applyJob(j *Job) { p.apply(&j.declared, &j.options, &j.partitions) }

// BackfillOption is how a backfill cuts partitions into runs: [SingleRun] or [MultiRun]. Without one, a run makes one partition.
type BackfillOption interface {
	AssetOption
	MultiAssetOption
}

// SingleRun has one run of a backfill make all partitions that are consecutive: of those that are no windows of time, at most 10,000.
type SingleRun struct{}

// MultiRun has one run of a backfill make at most so many consecutive partitions.
type MultiRun struct {
	// MaxPartitions is how many; 0 is 1.
	MaxPartitions int
}

var _ = []BackfillOption{SingleRun{}, MultiRun{}}

func (a *asset) setBackfill(policy plan.BackfillPolicy) {
	if a.options[optionBackfill] {
		a.wrong("backfill", "it is given two backfill policies", "give one of SingleRun and MultiRun, once")
	}
	a.options.add(optionBackfill)
	a.backfill = &policy
}

func (v MultiRun) set(a *asset) {
	if v.MaxPartitions < 0 {
		a.wrong("backfill", fmt.Sprintf("MaxPartitions is %d", v.MaxPartitions), "use at least 1, or SingleRun for no bound")
	}
	a.setBackfill(plan.BackfillPolicy{MaxPartitions: max(v.MaxPartitions, 1)})
}

func (SingleRun) applyAsset(a *asset)        { a.setBackfill(plan.BackfillPolicy{}) }
func (SingleRun) applyMultiAsset(c *compute) { c.defaults.setBackfill(plan.BackfillPolicy{}) }
func (v MultiRun) applyAsset(a *asset)       { v.set(a) }
func (v MultiRun) applyMultiAsset(c *compute) {
	v.set(c.defaults)
}

// partitionsOf is how a compute is sliced; nil is not at all.
func (d *Definitions) partitionsOf(c *compute) *partitionSet {
	switch {
	case c == nil:
		return nil
	case c.family != nil:
		return c.family.partitions()
	case c.multi:
		return c.defaults.partitions
	case c.node != nil:
		return d.opPartitions[c]
	case len(c.outs) > 0:
		return c.outs[0].partitions
	}
	return nil
}

// partitions is how a graph asset is sliced.
func (f *family) partitions() *partitionSet {
	if f.multi != nil {
		return f.multi.defaults.partitions
	}
	return f.shared.outs[0].partitions
}

// findOpPartitions finds how the ops of jobs are sliced: where two jobs differ, which is a problem, as in the first.
func (d *Definitions) findOpPartitions() {
	d.opPartitions = map[*compute]*partitionSet{}
	for _, j := range d.jobs {
		for _, n := range j.ops {
			if _, known := d.opPartitions[n.compute]; !known {
				d.opPartitions[n.compute] = j.partitions
			}
		}
	}
}
