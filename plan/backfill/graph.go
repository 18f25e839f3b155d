package backfill

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Asset is an asset of the target.
type Asset struct {
	// Key is the asset's, or a name for the ops of a job.
	Key string
	// Unit names what makes it: assets of one unit are made by one step.
	Unit string
	// Target is what is to be made of it; of an asset without partitions the one partition "".
	Target partition.Subset
	// Policy says how many partitions one run makes; nil is one. It means nothing where there are no partitions.
	Policy *plan.BackfillPolicy
}

// Need is that an asset of the target is made from another one.
type Need struct {
	// Upstream is the key of the asset that is needed, which may be outside of the target, and Downstream that of the one
	// that needs it.
	Upstream, Downstream string
	// Set is what exists of Upstream.
	Set *partition.Set
	// Link is between the two.
	Link *partition.Link
}

// Graph is what a backfill works on. It never changes while the backfill lives.
type Graph struct {
	Assets []Asset
	Needs  []Need
	// Again are earlier runs that are executed again, before anything else: what they need was there when they began.
	Again []Again
}

// Again is an earlier run that is executed again, for what of its assets and partitions is in the target.
type Again struct {
	RunID  string
	Assets []string
	Subset partition.Subset
}

// asset is an asset of the target, and how far it is.
type asset struct {
	Asset
	place     int
	up, down  []*need
	group     *group
	requested partition.Subset
	made      partition.Subset
	failed    partition.Subset // requested, and ended without being made
	skipped   partition.Subset // requested, and left out by a run that succeeded; with what needs it
	blocked   partition.Subset // needs what failed
	again     partition.Subset // is made by runs that are executed again
	// ready can be requested; check is to be looked at, because something that it needs has changed.
	ready, check partition.Subset
}

// pending is what is neither requested nor given up.
func (a *asset) pending() partition.Subset {
	return a.Target.Difference(a.requested).Difference(a.blocked).Difference(a.skipped).Difference(a.again)
}

// ranged says whether a run makes several partitions of it.
func (a *asset) ranged() bool { return a.Policy != nil && a.isPartitioned() }

func (a *asset) isPartitioned() bool {
	return a.Target.Set().Partitions().Kind() != partition.KindSingle
}

// most is how many partitions a run makes; 0 is no limit.
func (a *asset) most() int {
	switch {
	case !a.ranged():
		return 1
	case areWindows(a.Target.Set()):
		return a.Policy.MaxPartitions
	case a.Policy.MaxPartitions == 0:
		return maxListed
	default:
		return min(a.Policy.MaxPartitions, maxListed)
	}
}

func (a *asset) samePolicy(b *asset) bool { return a.ranged() == b.ranged() && a.most() == b.most() }

// need is a Need between two assets of the target.
type need struct {
	up, down *asset
	link     *partition.Link
}

// within says whether both are made by the same step, or are the same: the need is then for other partitions.
func (n *need) within() bool { return n.up.Unit == n.down.Unit }

// sameStep says whether the partition itself is needed, of what the same step makes: that is no matter of order.
func (n *need) sameStep() bool { return n.within() && n.link.OneToOne() }

// together says whether a partition of both can be made in one run.
func (n *need) together() bool { return n.link.OneToOne() && n.up.samePolicy(n.down) }

// asWhole says whether both can be made in one run when it makes all that is targeted of both.
func (n *need) asWhole() bool {
	up, down := n.up, n.down
	if up.Target.Set() != down.Target.Set() || !up.ranged() || !up.samePolicy(down) || !up.Target.Equal(down.Target) {
		return false
	}
	return len(slices.Collect(up.Target.Pieces(up.most()))) == 1
}

// New makes a backfill of which nothing has begun. Its error is wire.Problems when a partition of the target needs one
// that does not exist, and anything else when the graph is at fault or a mapping cannot be evaluated.
func New(graph Graph) (*Backfill, error) {
	b := &Backfill{byKey: map[string]*asset{}, apart: map[string]bool{}}
	for _, given := range graph.Assets {
		if given.Target.IsEmpty() {
			continue
		}
		a := &asset{Asset: given}
		none := given.Target.Set().None()
		a.requested, a.made, a.failed, a.skipped, a.blocked, a.again = none, none, none, none, none, none
		b.assets = append(b.assets, a)
	}
	slices.SortFunc(b.assets, func(x, y *asset) int { return strings.Compare(x.Key, y.Key) })
	sets := map[string]*partition.Set{}
	for i, a := range b.assets {
		fingerprint := a.Target.Set().Partitions().Fingerprint()
		if first := sets[fingerprint]; first != nil && first != a.Target.Set() {
			return nil, fmt.Errorf("the target of %q is of another set than other assets with its definition", a.Key)
		}
		sets[fingerprint] = a.Target.Set()
		if b.byKey[a.Key] != nil {
			return nil, fmt.Errorf("the target has %q twice", a.Key)
		}
		a.place, b.byKey[a.Key] = i, a
	}
	for _, one := range graph.Again {
		for _, key := range one.Assets {
			if a := b.byKey[key]; a != nil {
				a.again = a.again.Union(one.Subset.Intersection(a.Target))
			}
		}
	}
	b.again = graph.Again
	if err := b.connect(graph.Needs); err != nil {
		return nil, err
	}
	if err := b.order(); err != nil {
		return nil, err
	}
	b.regroup()
	return b, nil
}

func (b *Backfill) connect(needs []Need) error {
	var problems wire.Problems
	for _, given := range needs {
		down := b.byKey[given.Downstream]
		if down == nil {
			continue
		}
		wanted, err := given.Link.Upstream(down.Target, given.Set)
		if err != nil {
			return fmt.Errorf("what %q needs of %q: %w", given.Downstream, given.Upstream, err)
		}
		if len(wanted.Missing) > 0 {
			problems = append(problems, missing(given, wanted.Missing))
		}
		if up := b.byKey[given.Upstream]; up != nil {
			n := &need{up: up, down: down, link: given.Link}
			if !n.sameStep() {
				up.down, down.up = append(up.down, n), append(down.up, n)
			}
		}
	}
	return problems.Err()
}

func missing(given Need, ranges partition.KeyRanges) wire.Problem {
	return wire.Problem{
		Path: "assets", Code: wire.CodeMissing,
		Message: fmt.Sprintf("%s needs partitions of %s that do not exist: %s", given.Downstream, given.Upstream, ranges),
		Fix:     fmt.Sprintf("choose partitions of %s whose inputs exist, or let its mapping allow those that do not", given.Downstream),
	}
}

// order sorts the assets so that each stands after those that it needs, those of a unit together.
func (b *Backfill) order() error {
	unmet := map[string]int{}
	units := map[string][]*asset{}
	for _, a := range b.assets {
		units[a.Unit] = append(units[a.Unit], a)
		for _, n := range a.up {
			if !n.within() {
				unmet[a.Unit]++
			}
		}
	}
	var ordered []*asset
	var free []string
	for _, a := range b.assets {
		if unmet[a.Unit] == 0 && units[a.Unit][0] == a {
			free = append(free, a.Unit)
		}
	}
	for len(free) > 0 {
		unit := free[0]
		free = free[1:]
		ordered = append(ordered, units[unit]...)
		for _, a := range units[unit] {
			for _, n := range a.down {
				if n.within() {
					continue
				}
				if unmet[n.down.Unit]--; unmet[n.down.Unit] == 0 {
					free = append(free, n.down.Unit)
				}
			}
		}
	}
	if len(ordered) < len(b.assets) {
		return fmt.Errorf("assets of the target need each other in a circle")
	}
	for i, a := range ordered {
		a.place = i
	}
	b.assets = ordered
	return nil
}

func byPlace(x, y *asset) int { return cmp.Compare(x.place, y.place) }
