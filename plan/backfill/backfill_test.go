package backfill_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

var now = time.Date(2001, time.January, 29, 0, 0, 0, 0, time.UTC) // four whole weeks

var (
	single = partition.Definition{}
	days   = partition.Definition{Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-01"}}
	weeks  = partition.Definition{Time: &partition.TimeWindows{Every: partition.Weekly, Day: 1, Start: "2001-01-01"}}
	later  = partition.Definition{Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-20"}}
	grid   = partition.Definition{Grid: []partition.Dimension{
		{Name: "day", Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-27"}}, {Name: "kind", Static: []string{"a", "b", "c", "d"}},
	}}
	sites     = partition.Definition{Dynamic: "sites"}
	windows   = partition.Definition{Grid: []partition.Dimension{{Name: "day", Time: later.Time}, {Name: "week", Time: weeks.Time}}}
	static    = partition.Definition{Static: []string{"a", "b", "c", "d"}}
	yesterday = partition.Mapping{Kind: partition.MapTime, StartOffset: -1, EndOffset: -1}
)

// long has one key more than a request lists.
var long = func() partition.Definition {
	keys := make([]string, 10_001)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	return partition.Definition{Static: keys}
}()

func sited(bands []string) partition.Definition {
	return partition.Definition{Grid: []partition.Dimension{{Name: "band", Static: bands}, {Name: "site", Dynamic: "sites"}}}
}

// builder makes graphs: assets and needs by name.
type builder struct {
	t     testing.TB
	sets  map[string]*partition.Set
	of    map[string]*partition.Set
	graph backfill.Graph
}

func newGraph(t testing.TB) *builder {
	t.Helper()
	return &builder{t: t, sets: map[string]*partition.Set{}, of: map[string]*partition.Set{}}
}

func (b *builder) set(d partition.Definition) *partition.Set {
	p, err := partition.New(d)
	require.NoError(b.t, err)
	if b.sets[p.Fingerprint()] == nil {
		b.sets[p.Fingerprint()] = p.At(now, nil)
	}
	return b.sets[p.Fingerprint()]
}

// asset adds an asset; keys are what is targeted of it, none is all.
func (b *builder) asset(key string, d partition.Definition, policy *plan.BackfillPolicy, keys ...string) *builder {
	set := b.set(d)
	b.of[key] = set
	target := set.All()
	if len(keys) > 0 {
		var err error
		target, err = set.Of(keys...)
		require.NoError(b.t, err)
	}
	unit, _, _ := strings.Cut(key, ".")
	b.graph.Assets = append(b.graph.Assets, backfill.Asset{Key: key, Unit: unit, Target: target, Policy: policy})
	return b
}

func (b *builder) need(upstream, downstream string, mapping partition.Mapping) *builder {
	link, err := mapping.Between(b.of[upstream].Partitions(), b.of[downstream].Partitions(), nil)
	require.NoError(b.t, err)
	b.graph.Needs = append(b.graph.Needs, backfill.Need{Upstream: upstream, Downstream: downstream, Set: b.of[upstream], Link: link})
	return b
}

func (b *builder) make() *backfill.Backfill {
	made, err := backfill.New(b.graph)
	require.NoError(b.t, err)
	return made
}

func upTo(n int) *plan.BackfillPolicy { return &plan.BackfillPolicy{MaxPartitions: n} }

func inOne() *plan.BackfillPolicy { return &plan.BackfillPolicy{} }

// name is a run in one line.
func name(run backfill.Run) string {
	text := strings.Join(run.Assets, "+")
	for one := range run.Subset.Ranges() {
		if one.First != "" {
			text += " " + strings.TrimPrefix(one.First, "2001-")
		}
		if run.Ranged {
			text += "…" + strings.TrimPrefix(one.Last, "2001-")
		}
	}
	return text
}

func next(t *testing.T, b *backfill.Backfill, most int) []backfill.Run {
	t.Helper()
	runs, err := b.Next(most)
	require.NoError(t, err)
	return runs
}

// all runs the backfill to its end, wave by wave: what fails is said by name.
func all(t *testing.T, b *backfill.Backfill, fail ...string) []string {
	t.Helper()
	var waves []string
	for {
		runs := next(t, b, 1000)
		if len(runs) == 0 {
			return waves
		}
		names := make([]string, len(runs))
		for i, run := range runs {
			names[i] = name(run)
			end := backfill.End{Assets: run.Assets, Subset: run.Subset, Succeeded: true}
			for _, failing := range fail {
				if failing == names[i] {
					end.Succeeded, end.Made = false, map[string]partition.Subset{}
				}
			}
			require.NoError(t, b.End(end))
		}
		waves = append(waves, summary(names))
	}
}

// summary lists a few, and counts many.
func summary(names []string) string {
	if len(names) > 4 {
		return fmt.Sprintf("%s, %s .. %s (%d)", names[0], names[1], names[len(names)-1], len(names))
	}
	return strings.Join(names, ", ")
}

func TestWhatRunsTogether(t *testing.T) {
	t.Parallel()
	identity, whole := partition.Mapping{}, partition.Mapping{Kind: partition.MapAll}
	for _, test := range []struct {
		name  string
		graph func(*builder) *builder
		fail  []string
		want  []string
	}{
		{"a partition of both in one run", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("b", static, nil).need("a", "b", identity)
		}, nil, []string{"a+b a, a+b b, a+b c, a+b d"}},
		{"roots that are cut alike share runs", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("b", static, nil, "b", "c")
		}, nil, []string{"a+b b, a+b c, a a, a d"}},
		{"another policy is another run, afterwards", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("b", static, upTo(2)).need("a", "b", identity)
		}, nil, []string{"a a, a b, a c, a d", "b a…b, b c…d"}},
		{"ranges are cut at the policy's size, with the rest in the last", func(b *builder) *builder {
			return b.asset("a", days, upTo(10))
		}, nil, []string{"a 01-01…01-10, a 01-11…01-20, a 01-21…01-28"}},
		{"one run for what is consecutive", func(b *builder) *builder {
			return b.asset("a", days, inOne(), "2001-01-02", "2001-01-03", "2001-01-05")
		}, nil, []string{"a 01-02…01-03, a 01-05…01-05"}},
		{"a range of one partition is a range", func(b *builder) *builder {
			return b.asset("a", days, upTo(1), "2001-01-02")
		}, nil, []string{"a 01-02…01-02"}},
		{"what is not partitioned is made once, before and after", func(b *builder) *builder {
			return b.asset("lookup", single, nil).asset("a", static, nil).asset("report", single, nil).
				need("lookup", "a", identity).need("a", "report", identity)
		}, nil, []string{"lookup", "a a, a b, a c, a d", "report"}},
		{"what is not partitioned runs together, whatever its policy", func(b *builder) *builder {
			return b.asset("lookup", single, inOne()).asset("report", single, nil).need("lookup", "report", identity)
		}, nil, []string{"lookup+report"}},
		{"what is not partitioned, between what is", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("between", single, nil).asset("b", static, nil).
				need("a", "between", identity).need("between", "b", identity).need("a", "b", identity)
		}, nil, []string{"a a, a b, a c, a d", "between", "b a, b b, b c, b d"}},
		{"what is not partitioned, between what is, waits for all of it", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("between", single, nil).asset("b", static, nil).need("a", "between", identity).need("between", "b", identity)
		}, []string{"a c"}, []string{"a a, a b, a c, a d"}},
		{"once what is not partitioned is there, all in one run", func(b *builder) *builder {
			return b.asset("lookup", single, nil).asset("a", days, inOne()).need("lookup", "a", identity)
		}, nil, []string{"lookup", "a 01-01…01-28"}},
		{"another definition is another run, afterwards", func(b *builder) *builder {
			return b.asset("a", days, inOne()).asset("b", later, inOne()).need("a", "b", identity)
		}, nil, []string{"a 01-01…01-28", "b 01-20…01-28"}},
		{"windows without an offset are the same partition", func(b *builder) *builder {
			return b.asset("a", days, nil, "2001-01-01").asset("b", days, nil, "2001-01-01").need("a", "b", partition.Mapping{Kind: partition.MapTime}).
				asset("c", days, nil, "2001-01-01").need("b", "c", partition.Mapping{Kind: partition.MapIdentity})
		}, nil, []string{"a+b+c 01-01"}},
		{"an offset is another partition", func(b *builder) *builder {
			return b.asset("a", days, nil, "2001-01-01", "2001-01-02").asset("b", days, nil, "2001-01-02").need("a", "b", yesterday)
		}, nil, []string{"a 01-01, a 01-02", "b 01-02"}},
		{"each range is cut by itself", func(b *builder) *builder {
			return b.asset("a", days, upTo(2), "2001-01-01", "2001-01-02", "2001-01-03", "2001-01-05", "2001-01-06", "2001-01-08")
		}, nil, []string{"a 01-01…01-02, a 01-03…01-03, a 01-05…01-06, a 01-08…01-08"}},
		{"a grid in one rectangle", func(b *builder) *builder {
			return b.asset("a", grid, inOne())
		}, nil, []string{"a 01-27|a…01-28|d"}},
		{"a grid in several", func(b *builder) *builder {
			return b.asset("a", grid, inOne(), "2001-01-27|a", "2001-01-27|b", "2001-01-28|a", "2001-01-28|b", "2001-01-28|d")
		}, nil, []string{"a 01-27|a…01-27|b, a 01-28|a…01-28|b, a 01-28|d…01-28|d"}},
		{"a list of keys is cut where a request would be too long", func(b *builder) *builder {
			return b.asset("a", long, inOne())
		}, nil, []string{"a k0…k9999, a k10000…k10000"}},
		{"a week waits for its days", func(b *builder) *builder {
			return b.asset("a", days, nil, "2001-01-01", "2001-01-08", "2001-01-09").asset("w", weeks, nil, "2001-01-01", "2001-01-08").need("a", "w", identity)
		}, nil, []string{"a 01-01, a 01-08, a 01-09", "w 01-01, w 01-08"}},
		{"a path through another policy parts what could run together", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("between", static, inOne()).asset("b", static, nil).
				need("a", "b", identity).need("a", "between", identity).need("between", "b", identity)
		}, nil, []string{"a a, a b, a c, a d", "between a…d", "b a, b b, b c, b d"}},
		{"members of a multi-asset run together", func(b *builder) *builder {
			return b.asset("m.x", static, nil, "a").asset("m.y", static, nil, "a").asset("root", static, nil, "a").need("root", "m.y", whole)
		}, nil, []string{"root a", "m.x+m.y a"}},
		{"yesterday before today", func(b *builder) *builder {
			return b.asset("total", days, nil, "2001-01-01", "2001-01-02", "2001-01-03").need("total", "total", yesterday)
		}, nil, []string{"total 01-01", "total 01-02", "total 01-03"}},
		{"yesterday and today in one range", func(b *builder) *builder {
			return b.asset("total", days, inOne()).need("total", "total", yesterday)
		}, nil, []string{"total 01-01…01-28"}},
		{"ranges of yesterdays one after the other", func(b *builder) *builder {
			return b.asset("total", days, upTo(14)).need("total", "total", yesterday)
		}, nil, []string{"total 01-01…01-14", "total 01-15…01-28"}},
		{"a gap in what is targeted is no need", func(b *builder) *builder {
			return b.asset("total", days, nil, "2001-01-01", "2001-01-02", "2001-01-05").need("total", "total", yesterday)
		}, nil, []string{"total 01-01, total 01-05", "total 01-02"}},
		{"other partitions of each other, all in one run", func(b *builder) *builder {
			return b.asset("a", days, inOne()).asset("b", days, inOne()).need("a", "b", yesterday)
		}, nil, []string{"a+b 01-01…01-28"}},
		{"all of each other, all in one run", func(b *builder) *builder {
			return b.asset("a", days, inOne()).asset("b", days, inOne()).need("a", "b", whole)
		}, nil, []string{"a+b 01-01…01-28"}},
		{"all of each other, as many as one run makes", func(b *builder) *builder {
			return b.asset("a", days, upTo(28)).asset("b", days, upTo(28)).need("a", "b", whole)
		}, nil, []string{"a+b 01-01…01-28"}},
		{"all of each other, without a policy", func(b *builder) *builder {
			return b.asset("a", days, nil, "2001-01-01", "2001-01-02").asset("b", days, nil, "2001-01-01", "2001-01-02").need("a", "b", whole)
		}, nil, []string{"a 01-01, a 01-02", "b 01-01, b 01-02"}},
		{"all of each other, with two policies", func(b *builder) *builder {
			return b.asset("a", days, inOne()).asset("b", days, upTo(28)).need("a", "b", whole)
		}, nil, []string{"a 01-01…01-28", "b 01-01…01-28"}},
		{"other partitions of each other, in two ranges", func(b *builder) *builder {
			return b.asset("a", days, inOne(), "2001-01-01", "2001-01-03").asset("b", days, inOne(), "2001-01-01", "2001-01-03").need("a", "b", yesterday)
		}, nil, []string{"a 01-01…01-01, a 01-03…01-03, b 01-01…01-01, b 01-03…01-03"}},
		{"other partitions of each other, too many for one run", func(b *builder) *builder {
			return b.asset("a", days, upTo(20)).asset("b", days, upTo(20)).need("a", "b", yesterday)
		}, nil, []string{"a 01-01…01-20, a 01-21…01-28", "b 01-01…01-20, b 01-21…01-28"}},
		{"other partitions of each other, not the same of both", func(b *builder) *builder {
			return b.asset("a", days, inOne()).asset("b", days, inOne(), "2001-01-02").need("a", "b", yesterday)
		}, nil, []string{"a 01-01…01-28", "b 01-02…01-02"}},
		{"all in one run no more, when something of it is not made", func(b *builder) *builder {
			return b.asset("root", days, nil, "2001-01-01", "2001-01-02", "2001-01-03").
				asset("a", days, inOne(), "2001-01-01", "2001-01-02", "2001-01-03").
				asset("b", days, inOne(), "2001-01-01", "2001-01-02", "2001-01-03").
				need("root", "a", identity).need("a", "b", whole)
		}, []string{"root 01-02"}, []string{"root 01-01, root 01-02, root 01-03", "a 01-01…01-01, a 01-03…01-03"}},
		{"a failure holds back only what needs it", func(b *builder) *builder {
			return b.asset("a", static, nil).asset("b", static, upTo(3)).asset("c", static, nil).need("a", "b", identity).need("b", "c", identity)
		}, []string{"a b"}, []string{"a a, a b, a c, a d", "b a…a, b c…d", "c a, c c, c d"}},
		{"a failure holds back all tomorrows", func(b *builder) *builder {
			return b.asset("total", days, nil).need("total", "total", yesterday)
		}, []string{"total 01-02"}, []string{"total 01-01", "total 01-02"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, all(t, test.graph(newGraph(t)).make(), test.fail...))
		})
	}
}

func TestAPartitionThatIsNeededAndDoesNotExist(t *testing.T) {
	t.Parallel()
	b := newGraph(t)
	late := partition.Definition{Time: &partition.TimeWindows{Every: partition.Daily, Start: "2001-01-10"}}
	b.of["late"] = b.set(late)
	b.asset("w", weeks, nil, "2001-01-01", "2001-01-22").need("late", "w", partition.Mapping{})
	_, err := backfill.New(b.graph)
	problems := wire.ProblemsOf(err)
	require.Len(t, problems, 1)
	require.Equal(t, "w needs partitions of late that do not exist: 2001-01-01 to 2001-01-07 (7)", problems[0].Message)
}

func TestARecoveredFailureHoldsBackNothing(t *testing.T) {
	t.Parallel()
	b := newGraph(t).asset("a", static, nil).asset("b", static, inOne()).need("a", "b", partition.Mapping{}).make()
	runs := next(t, b, 100)
	require.Len(t, runs, 4)
	for i, run := range runs {
		require.NoError(t, b.End(backfill.End{Assets: run.Assets, Subset: run.Subset, Succeeded: i != 1, Made: map[bool]map[string]partition.Subset{false: {}}[i != 1]}))
	}
	require.Equal(t, []backfill.AssetCounts{
		{Asset: "a", Counts: backfill.Counts{Targeted: 4, Materialized: 3, Failed: 1}},
		{Asset: "b", Counts: backfill.Counts{Targeted: 4, Blocked: 1}},
	}, b.Counts())
	require.NoError(t, b.End(backfill.End{Assets: runs[1].Assets, Subset: runs[1].Subset, Succeeded: true}))
	require.False(t, b.Failed())
	require.Equal(t, []string{"b a…d"}, all(t, b))
}

func TestWhatIsLeftOutSkipsAndDoesNotFail(t *testing.T) {
	t.Parallel()
	b := newGraph(t).asset("a", static, nil, "a", "b").asset("b", static, inOne(), "a", "b").need("a", "b", partition.Mapping{}).make()
	runs := next(t, b, 100)
	require.NoError(t, b.End(backfill.End{Assets: runs[0].Assets, Subset: runs[0].Subset, Succeeded: true, Made: map[string]partition.Subset{}}))
	require.NoError(t, b.End(backfill.End{Assets: runs[1].Assets, Subset: runs[1].Subset, Succeeded: true}))
	require.Equal(t, []string{"b b…b"}, all(t, b))
	require.False(t, b.Failed())
	require.Empty(t, b.Left())
	require.Equal(t, backfill.Counts{Targeted: 2, Materialized: 1, Skipped: 1}, b.Counts()[1].Counts)
}

//nolint:paralleltest // it counts allocations
func TestAMillionPartitionsCostWhatOneDoes(t *testing.T) {
	hours := partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "1886-01-01"}}
	g := newGraph(t).asset("a", hours, nil).asset("b", hours, upTo(24)).need("a", "b", partition.Mapping{})
	require.Greater(t, g.of["a"].Count(), 1_000_000)
	b := g.make()
	allocated := testing.AllocsPerRun(10, func() {
		for _, run := range next(t, b, 24) {
			require.NoError(t, b.End(backfill.End{Assets: run.Assets, Subset: run.Subset, Succeeded: true}))
		}
	})
	require.Less(t, allocated, 10_000.)
	state, err := b.State()
	require.NoError(t, err)
	data, err := json.Marshal(state)
	require.NoError(t, err)
	require.Less(t, len(data), 4000)
}

func TestChangedDefinitionsAreNamed(t *testing.T) {
	t.Parallel()
	before := newGraph(t).asset("a", static, nil).make()
	next(t, before, 100)
	state, err := before.State()
	require.NoError(t, err)
	for _, test := range []struct {
		name, want string
		graph      *builder
	}{
		{"gone", "a was targeted and is not there any more", newGraph(t).asset("b", static, nil)},
		{"kind", "the partitions of a have changed", newGraph(t).asset("a", days, nil)},
		{"keys", "2 targeted partitions of a do not exist any more: c, d", newGraph(t).asset("a", partition.Definition{Static: []string{"a", "b"}}, nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, test.graph.make().Restore(state), test.want)
		})
	}
}

// Keys that have no order of their own may stand elsewhere by the time that a run is planned, or is read again: a range of them
// would then be of others.
func TestARunIsOfTheSamePartitionsWhateverTheirOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		before, after partition.Definition
		keys          []string // of the dynamic set, afterwards
		want          backfill.Partitions
	}{
		{"windows", days, days, nil, backfill.Partitions{Range: &wire.PartitionRange{Start: "2001-01-01", End: "2001-01-28"}}},
		{"a list", static, partition.Definition{Static: []string{"d", "x", "a", "c", "b"}}, nil, backfill.Partitions{Partitions: []string{"a", "b", "c", "d"}}},
		{"a key that was removed and added again", sites, sites, []string{"x", "z", "y"}, backfill.Partitions{Partitions: []string{"x", "y", "z"}}},
		{
			"a grid of which a dimension has one more", sited(static.Static[:2]), sited([]string{"a", "more", "b"}),
			[]string{"y", "z", "x"},
			backfill.Partitions{Partitions: []string{"a|x", "a|y", "a|z", "b|x", "b|y", "b|z"}},
		},
		{
			"a grid of windows", windows, windows, nil,
			backfill.Partitions{Range: &wire.PartitionRange{Start: "2001-01-20|2001-01-01", End: "2001-01-28|2001-01-22"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			at := func(d partition.Definition, keys []string) *partition.Set {
				p, err := partition.New(d)
				require.NoError(t, err)
				return p.At(now, map[string][]string{"sites": keys})
			}
			run := backfill.Run{Assets: []string{"a"}, Subset: at(test.before, []string{"x", "y", "z"}).All(), Ranged: true}
			require.Equal(t, test.want, run.Partitions())
			subset, err := run.Partitions().Subset(at(test.after, test.keys))
			require.NoError(t, err)
			require.ElementsMatch(t, slices.Collect(run.Subset.Keys()), slices.Collect(subset.Keys()))
		})
	}
}
