package definitions

import (
	"slices"
	"sync"
	"time"

	"github.com/perdure-io/perdure/partition"
)

// gives is how many upstream partitions a mapping gives for one downstream partition.
type gives int

const (
	givesOne gives = iota
	// givesAtMostOne is none for some.
	givesAtMostOne
	givesMany
)

// givesOf says how many partitions of an upstream set a mapping can give, in which nothing is left to be inferred. What only a
// function knows is taken for one: the step finds out.
func givesOf(upstream, downstream *partitionSet, m partition.Mapping) gives {
	return givesBetween(definitionOf(upstream), definitionOf(downstream), m)
}

func definitionOf(set *partitionSet) partition.Definition {
	if set == nil {
		return partition.Definition{}
	}
	return set.definition
}

func givesBetween(upstream, downstream partition.Definition, m partition.Mapping) gives {
	switch m.Kind {
	case partition.MapAll:
		if upstream.Kind() != partition.KindSingle {
			return givesMany
		}
	case partition.MapSpecific:
		if len(m.Keys) > 1 {
			return givesMany
		}
	case partition.MapStatic:
		return givesOfTable(downstream.Static, m.Static)
	case partition.MapTime:
		return givesOfWindows(upstream.Time, downstream.Time, m)
	case partition.MapDimension:
		if upstream.Kind() == partition.KindGrid {
			return givesMany // every partition of the other dimension counts
		}
		if dimension, ok := dimensionOf(downstream, m.Dimension); ok && m.Through != nil {
			return givesBetween(upstream, dimension, *m.Through)
		}
	case partition.MapGrid:
		return givesOfGrid(upstream, downstream, m)
	default:
	}
	return givesOne
}

func givesOfTable(downstream []string, table map[string][]string) gives {
	upstreamOf := map[string]int{}
	for _, keys := range table {
		for _, key := range once(slices.Clone(keys)) {
			upstreamOf[key]++
		}
	}
	found := givesOne
	for _, key := range downstream {
		switch {
		case upstreamOf[key] > 1:
			return givesMany
		case upstreamOf[key] == 0:
			found = givesAtMostOne
		}
	}
	return found
}

func givesOfGrid(upstream, downstream partition.Definition, m partition.Mapping) gives {
	found := givesOne
	for _, dimension := range upstream.Grid {
		i := slices.IndexFunc(m.Dimensions, func(pair partition.DimensionMapping) bool { return pair.Upstream == dimension.Name })
		if i < 0 {
			return givesMany
		}
		pair := m.Dimensions[i]
		up, _ := dimensionOf(upstream, pair.Upstream)
		down, _ := dimensionOf(downstream, pair.Downstream)
		found = max(found, givesBetween(up, down, pair.Mapping))
	}
	return found
}

// dimensionOf is a dimension of a grid as a set of its own.
func dimensionOf(grid partition.Definition, name string) (partition.Definition, bool) {
	for _, d := range grid.Grid {
		if d.Name == name {
			return partition.Definition{Time: d.Time, Static: d.Static, Dynamic: d.Dynamic}, true
		}
	}
	return partition.Definition{}, false
}

// comparedTicks is how many windows of two sets are compared: eight years of days, and centuries of months.
const comparedTicks = 3_000

// compared are the answers of withinOne: many assets are sliced by the same few sets.
var compared sync.Map

// crons is what compared is by.
type crons struct {
	up, down         partition.Cron
	upZone, downZone string
}

// givesOfWindows says whether a downstream window, shifted, always lies within one upstream window: when each upstream window begins
// where a downstream window does, too.
func givesOfWindows(upstream, downstream *partition.TimeWindows, m partition.Mapping) gives {
	found := givesOne
	if m.AllowNonexistent || m.StartOffset < 0 || m.EndOffset > 0 || excludesMore(upstream, downstream) {
		found = givesAtMostOne
	}
	if m.StartOffset != m.EndOffset {
		return givesMany
	}
	up, upZone, okUp := cronOf(upstream)
	down, downZone, okDown := cronOf(downstream)
	if !okUp || !okDown || up == down && upZone.String() == downZone.String() {
		return found
	}
	key := crons{up, down, upZone.String(), downZone.String()}
	within, known := compared.Load(key)
	if !known {
		within, _ = compared.LoadOrStore(key, withinOne(up, down, upZone, downZone))
	}
	if within != true {
		return givesMany
	}
	return found
}

// excludesMore says whether an upstream window may be excluded where a downstream one is not: this one needs none then. Where the
// windows are not the same, that is so of any.
func excludesMore(upstream, downstream *partition.TimeWindows) bool {
	if upstream == nil || downstream == nil {
		return false
	}
	up, down := upstream.Exclude, downstream.Exclude
	if len(up.Crons)+len(up.Keys) == 0 {
		return false
	}
	same := func(a, b string) bool {
		first, err := partition.ParseCron(a)
		second, otherErr := partition.ParseCron(b)
		return err == nil && otherErr == nil && first == second
	}
	upCron, _, okUp := cronOf(upstream)
	downCron, _, okDown := cronOf(downstream)
	if !okUp || !okDown || upCron != downCron || len(up.Keys) > 0 && upstream.Format != downstream.Format {
		return true
	}
	return slices.ContainsFunc(up.Keys, func(key string) bool { return !slices.Contains(down.Keys, key) }) ||
		slices.ContainsFunc(up.Crons, func(cron string) bool {
			return !slices.ContainsFunc(down.Crons, func(other string) bool { return same(cron, other) })
		})
}

// withinOne says whether a downstream window begins wherever an upstream one does.
func withinOne(up, down partition.Cron, upZone, downZone *time.Location) bool {
	t := time.Date(2000, time.January, 1, 0, 0, 0, 0, upZone)
	for range comparedTicks {
		next, ok := up.Next(t, upZone)
		if !ok {
			break
		}
		if begins, ok := down.Next(next.Add(-time.Second), downZone); !ok || !begins.Equal(next) {
			return false
		}
		t = next
	}
	return true
}

func cronOf(windows *partition.TimeWindows) (partition.Cron, *time.Location, bool) {
	if windows == nil {
		return partition.Cron{}, nil, false
	}
	compiled, err := partition.New(partition.Definition{Time: windows})
	if err != nil {
		return partition.Cron{}, nil, false
	}
	return compiled.Cron()
}

// dependsOnPartition says whether a mapping gives other upstream partitions to other downstream ones.
func dependsOnPartition(m partition.Mapping) bool {
	switch m.Kind {
	case partition.MapAll, partition.MapLast, partition.MapSpecific:
		return false
	default:
		return true
	}
}
