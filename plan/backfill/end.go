package backfill

import (
	"github.com/perdure-io/perdure/partition"
)

// End is how a run of the backfill ended, with all that retried it.
type End struct {
	// Assets and Subset are the [Run]'s.
	Assets []string
	Subset partition.Subset
	// Succeeded says that nothing of it failed. What is not made then was left out.
	Succeeded bool
	// Again says that another run is going to make what this one has not: it has not failed yet.
	Again bool
	// Made is what it made of each asset; nil is all of it.
	Made Made
}

// Subset is some partitions of an asset, Made what was made of each asset by key.
type (
	Subset = partition.Subset
	Made   = map[string]partition.Subset
)

// End takes in that a run has ended. A second end of the same run replaces the first: what failed and was made since has
// not failed any more, and holds back nothing.
func (b *Backfill) End(end End) error {
	recovered := false // something was given up for another reason
	var failed, skipped []delta
	for _, key := range end.Assets {
		a := b.byKey[key]
		if a == nil {
			continue // of a run that is executed again for some of its assets
		}
		subset := end.Subset.Intersection(a.Target)
		made := subset
		if end.Made != nil {
			made = subset.Intersection(end.Made[key])
		}
		fresh := made.Difference(a.made)
		missing := subset.Difference(made).Difference(a.made)
		a.requested = a.requested.Union(subset)
		a.made = a.made.Union(made)
		recovered = recovered || !a.failed.Intersection(made).IsEmpty() || !a.skipped.Intersection(made).IsEmpty()
		a.failed, a.skipped = a.failed.Difference(made), a.skipped.Difference(made)
		switch {
		case end.Again:
		case end.Succeeded:
			recovered = recovered || !a.failed.Intersection(missing).IsEmpty()
			a.failed = a.failed.Difference(missing)
			skipped = append(skipped, delta{a, missing.Difference(a.skipped)})
			a.skipped = a.skipped.Union(missing)
		default:
			recovered = recovered || !a.skipped.Intersection(missing).IsEmpty()
			failed = append(failed, delta{a, missing.Difference(a.failed)})
			a.failed = a.failed.Union(missing)
			a.skipped = a.skipped.Difference(missing)
		}
		if err := a.changed(fresh); err != nil {
			return err
		}
	}
	if recovered {
		return b.holdBackAnew()
	}
	return b.holdBack(failed, skipped)
}

// changed has those looked at again that need what was made.
func (a *asset) changed(made partition.Subset) error {
	if made.IsEmpty() {
		return nil
	}
	for _, n := range a.down {
		n.down.group.changed = true
		if !n.outside() {
			continue
		}
		found, err := n.affected(made)
		if err != nil {
			return err
		}
		n.down.check = n.down.check.Union(found)
	}
	return nil
}

// delta is partitions of an asset that others may need.
type delta struct {
	asset  *asset
	subset partition.Subset
}

// holdBack gives up what needs what has failed, or was left out, and is not requested.
func (b *Backfill) holdBack(failed, skipped []delta) error {
	err := b.spread(failed, func(a *asset, more partition.Subset) { a.blocked = a.blocked.Union(more) })
	if err != nil {
		return err
	}
	return b.spread(skipped, func(a *asset, more partition.Subset) { a.skipped = a.skipped.Union(more) })
}

func (b *Backfill) spread(from []delta, add func(*asset, partition.Subset)) error {
	for len(from) > 0 {
		next := from[0]
		from = from[1:]
		if next.subset.IsEmpty() {
			continue
		}
		for _, n := range next.asset.down {
			found, err := n.affected(next.subset)
			if err != nil {
				return err
			}
			found = found.Intersection(n.down.pending())
			if found.IsEmpty() {
				continue
			}
			add(n.down, found)
			n.down.ready = n.down.ready.Difference(found)
			n.down.group.changed = true
			from = append(from, delta{n.down, found})
		}
	}
	return nil
}

// holdBackAnew works out from the start what is given up: something that had failed is there after all.
func (b *Backfill) holdBackAnew() error {
	var failed, skipped []delta
	before := make([]partition.Subset, len(b.assets))
	for i, a := range b.assets {
		before[i] = a.pending()
		a.blocked = a.Target.Set().None()
		a.skipped = a.skipped.Intersection(a.requested)
		failed, skipped = append(failed, delta{a, a.failed}), append(skipped, delta{a, a.skipped})
	}
	if err := b.holdBack(failed, skipped); err != nil {
		return err
	}
	for i, a := range b.assets {
		again := a.pending().Difference(before[i])
		a.check = a.check.Union(again)
		a.group.changed = a.group.changed || !again.IsEmpty()
	}
	return nil
}
