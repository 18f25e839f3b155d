package backfill

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/partition"
)

// Backfill is how far a backfill is, and what it starts next. It is not safe for concurrent use.
type Backfill struct {
	assets []*asset // each after those that it needs
	byKey  map[string]*asset
	groups []*group
	again  []Again
	// apart are units that could run with others only all at once, and cannot any more.
	apart map[string]bool
}

// Run is a run to start.
type Run struct {
	// Assets are the keys of what it makes, sorted.
	Assets []string
	// Subset is the partitions that it makes of each; of assets without partitions the one partition "".
	Subset partition.Subset
	// Ranged says that the assets have a policy: the run is then for a range, also of one partition.
	Ranged bool
	// Again is the earlier run that it executes again; "" is none. It makes then what of the Subset is in the target.
	Again string
}

// Next gives the runs that can start now, at most that many, those of what is needed first. They count as requested from
// then on.
func (b *Backfill) Next(most int) ([]Run, error) {
	b.split()
	runs := b.nextAgain(most)
	for _, g := range b.groups {
		if len(runs) >= most {
			break
		}
		if err := g.look(); err != nil {
			return nil, err
		}
		if !g.changed {
			continue
		}
		found, err := g.next(most - len(runs))
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			runs = append(runs, c.run())
			for _, a := range c.members {
				a.requested = a.requested.Union(c.subset)
				a.ready = a.ready.Difference(c.subset)
			}
		}
		g.changed = len(runs) >= most
	}
	return runs, nil
}

// nextAgain gives the runs that execute earlier ones again.
func (b *Backfill) nextAgain(most int) []Run {
	var runs []Run
	for _, one := range b.again {
		if len(runs) >= most {
			break
		}
		fresh := false
		for _, key := range one.Assets {
			if a := b.byKey[key]; a != nil {
				wanted := one.Subset.Intersection(a.Target)
				fresh = fresh || !wanted.Difference(a.requested).IsEmpty()
				a.requested = a.requested.Union(wanted)
			}
		}
		if fresh {
			runs = append(runs, Run{Assets: one.Assets, Subset: one.Subset, Ranged: one.Subset.Count() > 1, Again: one.RunID})
		}
	}
	return runs
}

func (c cell) run() Run {
	run := Run{Subset: c.subset, Ranged: c.members[0].ranged()}
	for _, a := range c.members {
		run.Assets = append(run.Assets, a.Key)
	}
	slices.Sort(run.Assets)
	return run
}

// look finds out which of what has changed can be requested.
func (g *group) look() error {
	for _, a := range g.members {
		candidates := a.check.Intersection(a.pending())
		a.check = a.Target.Set().None()
		if candidates.IsEmpty() {
			continue
		}
		for _, n := range a.up {
			if !n.outside() {
				continue
			}
			waiting, err := n.waiting(candidates, n.up.made)
			if err != nil {
				return err
			}
			candidates = candidates.Difference(waiting)
		}
		a.ready = a.ready.Union(candidates)
		g.changed = g.changed || !candidates.IsEmpty()
	}
	return nil
}

// waiting is which of some partitions need targeted ones that are not there.
func (n *need) waiting(candidates, there partition.Subset) (partition.Subset, error) {
	none := n.down.Target.Set().None()
	if candidates.IsEmpty() {
		return none, nil
	}
	needed, err := n.link.Upstream(candidates, n.up.Target.Set())
	if err != nil {
		return none, fmt.Errorf("what %q needs of %q: %w", n.down.Key, n.up.Key, err)
	}
	open := needed.Subset.Intersection(n.up.Target).Difference(there)
	waiting, err := n.affected(open)
	return waiting.Intersection(candidates), err
}

// affected is which targeted partitions need any of some upstream ones.
func (n *need) affected(upstream partition.Subset) (partition.Subset, error) {
	if upstream.IsEmpty() {
		return n.down.Target.Set().None(), nil
	}
	found, err := n.link.Downstream(upstream, n.down.Target.Set())
	if err != nil {
		return found, fmt.Errorf("what of %q needs %q: %w", n.down.Key, n.up.Key, err)
	}
	return found.Intersection(n.down.Target), nil
}

// next gives the cells of the next runs.
func (g *group) next(most int) ([]cell, error) {
	var ready, waiting partition.Subset
	for _, a := range g.members {
		ready = ready.Union(a.ready)
		waiting = waiting.Union(a.pending().Difference(a.ready))
	}
	ready = ready.Difference(waiting)
	if ready.IsEmpty() {
		return nil, nil
	}
	size := g.members[0].most()
	var found []cell
	for _, c := range g.cells() {
		if size == 1 {
			// Every partition is a run of its own: what waits need not be looked at.
			c.subset = c.subset.Intersection(ready)
		}
		if err := g.cut(c, size, ready, most, &found); err != nil {
			return nil, err
		}
		if len(found) == most {
			break
		}
	}
	return found, nil
}

// cut adds those pieces of a cell that can run.
func (g *group) cut(c cell, size int, ready partition.Subset, most int, found *[]cell) error {
	if c.subset.Intersection(ready).IsEmpty() {
		return nil
	}
	for piece := range c.subset.Pieces(size) {
		if len(*found) == most {
			return nil
		}
		if !piece.Difference(ready).IsEmpty() {
			continue
		}
		one := cell{c.members, piece}
		if can, err := one.canRun(); err != nil {
			return err
		} else if can {
			*found = append(*found, one)
		}
	}
	return nil
}

// canRun says whether the partitions that members need of each other are made, or in the cell.
func (c cell) canRun() (bool, error) {
	for _, a := range c.members {
		for _, n := range a.up {
			inCell := slices.Contains(c.members, n.up)
			if n.outside() || inCell && n.link.OneToOne() {
				continue
			}
			there := n.up.made
			if inCell {
				there = there.Union(c.subset)
			}
			waiting, err := n.waiting(c.subset, there)
			if err != nil || !waiting.IsEmpty() {
				return false, err
			}
		}
	}
	return true, nil
}

// Counts are how many partitions of an asset are where.
type Counts struct {
	Targeted int `json:"targeted"`
	// InProgress are requested and have not ended.
	InProgress   int `json:"in_progress"`
	Materialized int `json:"materialized"`
	Failed       int `json:"failed"`
	// Blocked need a partition that failed.
	Blocked int `json:"blocked"`
	// Skipped were left out by an optional asset, or need one that was.
	Skipped int `json:"skipped"`
}

// AssetCounts are an asset's.
type AssetCounts struct {
	Asset string `json:"asset"`
	Counts
}

// Counts are those of each asset, those that others need first.
func (b *Backfill) Counts() []AssetCounts {
	counts := make([]AssetCounts, len(b.assets))
	for i, a := range b.assets {
		counts[i] = AssetCounts{a.Key, Counts{
			Targeted: a.Target.Count(), InProgress: a.inProgress().Count(), Materialized: a.made.Count(),
			Failed: a.failed.Count(), Blocked: a.blocked.Count(), Skipped: a.skipped.Count(),
		}}
	}
	return counts
}

func (a *asset) inProgress() partition.Subset {
	return a.requested.Difference(a.made).Difference(a.failed).Difference(a.skipped)
}

// Left is what can never be requested although nothing is in progress and nothing has failed: it needs itself, by way of
// other partitions. It is the key of such an asset, "" when there is none.
func (b *Backfill) Left() string {
	for _, a := range b.assets {
		if !a.pending().IsEmpty() {
			return a.Key
		}
	}
	return ""
}

// Failed is whether any partition has failed.
func (b *Backfill) Failed() bool {
	for _, a := range b.assets {
		if !a.failed.IsEmpty() {
			return true
		}
	}
	return false
}
