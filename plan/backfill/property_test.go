package backfill_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/backfill"
)

// one is a partition of an asset.
type one struct{ asset, key string }

// stand is how a partition is in the reference.
type stand int

const (
	pending stand = iota
	open
	made
	failed
	skipped
)

// reference simulates a backfill key by key.
type reference struct {
	t        *rapid.T
	graph    backfill.Graph
	assets   map[string]backfill.Asset
	stands   map[one]stand
	needs    map[one][]one // targeted ones, of other steps
	openRuns []backfill.Run
	ended    []backfill.Run
}

func newReference(t *rapid.T, graph backfill.Graph) *reference {
	r := &reference{t: t, graph: graph, assets: map[string]backfill.Asset{}, stands: map[one]stand{}, needs: map[one][]one{}}
	for _, a := range graph.Assets {
		r.assets[a.Key] = a
		for key := range a.Target.Keys() {
			r.stands[one{a.Key, key}] = pending
		}
	}
	for _, need := range graph.Needs {
		down := r.assets[need.Downstream]
		for key := range down.Target.Keys() {
			single, err := down.Target.Set().Of(key)
			require.NoError(t, err)
			upstream, err := need.Link.Upstream(single, need.Set)
			require.NoError(t, err)
			for needed := range upstream.Subset.Keys() {
				if r.has(one{need.Upstream, needed}) {
					r.needs[one{need.Downstream, key}] = append(r.needs[one{need.Downstream, key}], one{need.Upstream, needed})
				}
			}
		}
	}
	return r
}

func (r *reference) has(p one) bool { _, targeted := r.stands[p]; return targeted }

func (r *reference) policy(key string) (ranged bool, most int) {
	a := r.assets[key]
	if a.Policy == nil || a.Target.Set().Partitions().Kind() == partition.KindSingle {
		return false, 1
	}
	return true, a.Policy.MaxPartitions
}

// start checks runs that the backfill starts.
func (r *reference) start(runs []backfill.Run) {
	for _, run := range runs {
		in := map[one]bool{}
		ranged, most := r.policy(run.Assets[0])
		require.Equal(r.t, ranged, run.Ranged)
		require.True(r.t, most == 0 || run.Subset.Count() <= most, "at most %d partitions", most)
		require.Len(r.t, slices.Collect(run.Subset.Pieces(0)), 1, "consecutive")
		for _, asset := range run.Assets {
			otherRanged, otherMost := r.policy(asset)
			require.True(r.t, ranged == otherRanged && most == otherMost, "one policy")
			for key := range run.Subset.Keys() {
				in[one{asset, key}] = true
			}
		}
		for p := range in {
			require.Equal(r.t, pending, r.stands[p], "%v is started once, and only if targeted", p)
			require.True(r.t, r.has(p))
			require.False(r.t, r.lost(p, failed) || r.lost(p, skipped), "%v needs what is not made", p)
			for _, need := range r.needs[p] {
				require.True(r.t, in[need] || r.stands[need] == made, "%v needs %v", p, need)
			}
		}
		for p := range in {
			r.stands[p] = open
		}
		r.openRuns = append(r.openRuns, run)
	}
}

// lost says whether a partition that is not started needs, by way of others, one that ended so.
func (r *reference) lost(p one, how stand) bool {
	seen := map[one]bool{}
	var visit func(p one) bool
	visit = func(p one) bool {
		for _, need := range r.needs[p] {
			if r.stands[need] == how {
				return true
			}
			if r.stands[need] == pending && !seen[need] {
				seen[need] = true
				if visit(need) {
					return true
				}
			}
		}
		return false
	}
	return r.stands[p] == pending && visit(p)
}

// end ends a run: what is made of it is drawn, within the order in which its steps would run.
func (r *reference) end(b *backfill.Backfill, run backfill.Run) {
	end := backfill.End{Assets: run.Assets, Subset: run.Subset, Succeeded: rapid.Bool().Draw(r.t, "succeeds")}
	if !end.Succeeded || rapid.IntRange(0, 5).Draw(r.t, "leaves out") == 0 {
		end.Made = map[string]partition.Subset{}
		for _, asset := range run.Assets {
			var keys []string
			for key := range run.Subset.Keys() {
				if r.stands[one{asset, key}] == made || rapid.Bool().Draw(r.t, "made") {
					keys = append(keys, key)
				}
			}
			subset, err := run.Subset.Set().Of(keys...)
			require.NoError(r.t, err)
			end.Made[asset] = subset
		}
	}
	require.NoError(r.t, b.End(end))
	for _, asset := range run.Assets {
		for key := range run.Subset.Keys() {
			switch {
			case end.Made == nil || end.Made[asset].Has(key):
				r.stands[one{asset, key}] = made
			case end.Succeeded:
				r.stands[one{asset, key}] = skipped
			default:
				r.stands[one{asset, key}] = failed
			}
		}
	}
	r.ended = append(r.ended, run)
}

// check compares the counts with those of the reference.
func (r *reference) check(b *backfill.Backfill) {
	want := map[string]backfill.Counts{}
	anyFailed := false
	for p, stand := range r.stands {
		counts := want[p.asset]
		counts.Targeted++
		switch stand {
		case open:
			counts.InProgress++
		case made:
			counts.Materialized++
		case failed:
			counts.Failed++
			anyFailed = true
		case skipped:
			counts.Skipped++
		case pending:
			switch {
			case r.lost(p, failed) && r.lost(p, skipped):
				return // either may be said of it
			case r.lost(p, failed):
				counts.Blocked++
			case r.lost(p, skipped):
				counts.Skipped++
			}
		}
		want[p.asset] = counts
	}
	for _, got := range b.Counts() {
		require.Equal(r.t, want[got.Asset], got.Counts, got.Asset)
	}
	require.Equal(r.t, anyFailed, b.Failed())
}

// full checks that nothing waits without a reason when there is room for more: an asset without policy, of which all
// needs are made, is started.
func (r *reference) full() {
	for p, stand := range r.stands {
		if ranged, _ := r.policy(p.asset); ranged || stand != pending || r.lost(p, failed) || r.lost(p, skipped) {
			continue
		}
		waits := false
		for _, other := range r.assets {
			// Those of one step, and those made from it by the same run, wait for each other.
			for _, need := range r.needs[one{other.Key, p.key}] {
				waits = waits || r.stands[need] != made
			}
		}
		require.True(r.t, waits || len(r.needs[p]) > 0 && slices.ContainsFunc(r.needs[p], func(need one) bool { return r.stands[need] != made }),
			"%v waits for nothing", p)
	}
}

func anyGraph(tb testing.TB, t *rapid.T) *builder {
	tb.Helper()
	g := newGraph(tb)
	definitions := []partition.Definition{single, days, weeks, static, days, {Grid: []partition.Dimension{
		{Name: "day", Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-25"}}, {Name: "kind", Static: static.Static},
	}}}
	policies := []*plan.BackfillPolicy{nil, nil, inOne(), upTo(1), upTo(3), upTo(40)}
	count := rapid.IntRange(1, 6).Draw(t, "assets")
	for i := range count {
		key := fmt.Sprintf("a%d", i)
		definition := rapid.SampledFrom(definitions).Draw(t, "definition")
		policy := rapid.SampledFrom(policies).Draw(t, "policy")
		set := g.set(definition)
		var keys []string
		if rapid.Bool().Draw(t, "some") {
			for key := range set.All().Keys() {
				if rapid.Bool().Draw(t, key) {
					keys = append(keys, key)
				}
			}
		}
		g.asset(key, definition, policy, keys...)
		for up := range i {
			if rapid.IntRange(0, 2).Draw(t, "needs") != 0 {
				continue
			}
			mappings := []partition.Mapping{{}, {}, {Kind: partition.MapAll}, {Kind: partition.MapLast}}
			upstream := g.of[fmt.Sprintf("a%d", up)]
			if upstream.Partitions().Kind() == partition.KindTime && set.Partitions().Kind() == partition.KindTime {
				mappings = append(mappings, yesterday, partition.Mapping{Kind: partition.MapTime, StartOffset: -2})
			}
			mapping := rapid.SampledFrom(mappings).Draw(t, "mapping")
			if _, err := mapping.Between(upstream.Partitions(), set.Partitions(), nil); err == nil {
				g.need(fmt.Sprintf("a%d", up), key, mapping)
			}
		}
		if set.Partitions().Kind() == partition.KindTime && rapid.IntRange(0, 3).Draw(t, "self") == 0 {
			g.need(key, key, yesterday)
		}
	}
	return g
}

// resumed is the backfill as another process takes it up.
func resumed(t *rapid.T, graph backfill.Graph, b *backfill.Backfill) *backfill.Backfill {
	state, err := b.State()
	require.NoError(t, err)
	data, err := json.Marshal(state)
	require.NoError(t, err)
	var stored backfill.State
	require.NoError(t, json.Unmarshal(data, &stored))
	again, err := backfill.New(graph)
	require.NoError(t, err)
	require.NoError(t, again.Restore(stored))
	require.Equal(t, b.Counts(), again.Counts())
	return again
}

func TestABackfillStartsWhatAReferenceWould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		graph := anyGraph(t, rt).graph
		b, err := backfill.New(graph)
		if err != nil {
			rt.Skip("a partition does not exist")
		}
		r := newReference(rt, graph)
		for {
			if rapid.Bool().Draw(rt, "resume") {
				b = resumed(rt, graph, b)
			}
			most := rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "room")
			runs, err := b.Next(most)
			require.NoError(rt, err)
			require.LessOrEqual(rt, len(runs), most)
			r.start(runs)
			r.check(b)
			if len(runs) < most {
				r.full()
				if len(r.openRuns) == 0 {
					break
				}
			}
			if len(r.openRuns) == 0 {
				continue
			}
			i := rapid.IntRange(0, len(r.openRuns)-1).Draw(rt, "ends")
			run := r.openRuns[i]
			r.openRuns = slices.Delete(r.openRuns, i, i+1)
			r.end(b, run)
			if rapid.IntRange(0, 9).Draw(rt, "retried") == 0 {
				// A person runs one again that has ended: what it makes now is there.
				again := r.ended[rapid.IntRange(0, len(r.ended)-1).Draw(rt, "again")]
				r.end(b, again)
			}
			r.check(b)
		}
		require.Empty(rt, b.Left())
		for p, stand := range r.stands {
			require.True(rt, stand != pending || r.lost(p, failed) || r.lost(p, skipped), "%v was forgotten", p)
		}
	})
}
