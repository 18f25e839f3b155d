package plan_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// pooledWalk has steps of the kinds that are given, one after the other; none needs another.
func pooledWalk(kinds []plan.Kind, of ...int) *plan.Walk {
	walk := walkOf(make([][]int, len(of))...)
	walk.Kinds, walk.Pools = kinds, true
	for step, kind := range of {
		walk.Steps[step].Kind = kind
	}
	return walk
}

func TestAStepOfAPoolStartsOnlyWithASlot(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(pooledWalk([]plan.Kind{{}, {Pool: "db"}, {Pool: "db", Order: 1}}, 1, 0, 1, 2))
	require.True(t, p.NeedsSlot(0))
	require.False(t, p.NeedsSlot(1))
	start(t, p, 1)
	_, ok := p.NextReady()
	require.False(t, ok)

	require.Equal(t, []int{3, 0}, p.AskForSlots(2), "the greater order first, two at a time")
	require.Empty(t, p.AskForSlots(2))
	require.Equal(t, []int{3, 0}, p.Asked())
	p.Grant(2) // nobody asked for it
	p.Grant(0)
	p.Grant(0)
	require.False(t, p.NeedsSlot(0))
	require.Equal(t, []int{3}, p.Asked())
	start(t, p, 0)
	require.Equal(t, []int{2}, p.AskForSlots(2))
	p.Cancel(3)
	require.Equal(t, []int{2}, p.Asked())
	p.Grant(3)
	_, ok = p.NextReady()
	require.False(t, ok)
	p.Grant(2)
	start(t, p, 2)
}

func TestAGrantedStepStartsBeforeAllOthers(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(pooledWalk([]plan.Kind{{Order: 9}, {Pool: "db"}}, 0, 1, 1))
	p.AskForSlots(10)
	p.Grant(2)
	p.Grant(1)
	start(t, p, 2)
	start(t, p, 1)
	start(t, p, 0)
}

// What a tag limit would hold back is not asked for: others could use its slot.
func TestSlotsAreAskedForByTagLimits(t *testing.T) {
	t.Parallel()
	walk := pooledWalk([]plan.Kind{
		{Limits: []plan.KindLimit{{Limit: 0}}}, {Pool: "db", Limits: []plan.KindLimit{{Limit: 0}}}, {Pool: "db"},
	}, 0, 1, 1, 1, 2)
	walk.TagLimits = []plan.TagLimit{{Key: "tier", Limit: 2}}
	p := plan.NewProgress(walk)
	start(t, p, 0)
	require.Equal(t, []int{1, 4}, p.AskForSlots(10))
	p.Grant(1)
	start(t, p, 1)
	require.Empty(t, p.AskForSlots(10))
	p.Succeed(0, nil, nil)
	require.Equal(t, []int{2}, p.AskForSlots(10))
	p.Succeed(1, nil, nil)
	require.Equal(t, []int{3}, p.AskForSlots(10))
}

func TestTakeMakesAReadyStepRunning(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(pooledWalk([]plan.Kind{{Pool: "db"}}, 0, 0))
	require.Equal(t, []int{0}, p.AskForSlots(1))
	require.True(t, p.Take(0))
	require.False(t, p.Take(0))
	require.Equal(t, wire.StepRunning, p.Status(0))
	require.Equal(t, []int{1}, p.AskForSlots(1))
	p.Grant(0)
	p.Cancel(0)
	require.True(t, p.Take(1))
	require.Empty(t, p.Asked())
}

// In process nobody hands out slots, and a walk of before there were any goes on as it was.
func TestWithoutPoolsNobodyAsks(t *testing.T) {
	t.Parallel()
	walk := pooledWalk([]plan.Kind{{Pool: "db"}}, 0)
	walk.Pools = false
	p := plan.NewProgress(walk)
	require.Empty(t, p.AskForSlots(10))
	require.False(t, p.NeedsSlot(0))
	start(t, p, 0)
}

// Whatever happens, in whatever order: a step of a pool starts with a slot only, each is asked for once in an execution, at most
// a window of each pool, and everything ends.
func TestSlotsAreAskedForOnceAndUsed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		walk := drawWalk(t)
		walk.Pools = true
		for i := range walk.Kinds {
			walk.Kinds[i].Pool = rapid.SampledFrom([]string{"", "db", "gpu"}).Draw(t, "pool")
		}
		window := rapid.IntRange(1, 3).Draw(t, "window")
		p := plan.NewProgress(walk)
		pool := func(step int) string { return walk.Kinds[p.Step(step).Kind].Pool }
		asked, granted, running := map[int]bool{}, map[int]bool{}, map[int]bool{}
		for !p.Done() {
			for _, step := range p.AskForSlots(window) {
				require.False(t, asked[step])
				require.NotEmpty(t, pool(step))
				asked[step] = true
			}
			waiting := map[string]int{}
			for _, step := range p.Asked() {
				require.True(t, asked[step])
				require.True(t, p.WasAsked(step))
				waiting[pool(step)]++
			}
			for _, count := range waiting {
				require.LessOrEqual(t, count, window)
			}
			if open := p.Asked(); len(open) > 0 && rapid.Bool().Draw(t, "grant") {
				step := rapid.SampledFrom(open).Draw(t, "granted")
				p.Grant(step)
				granted[step] = true
			}
			if step, ok := p.NextReady(); ok {
				require.True(t, pool(step) == "" || granted[step])
				running[step] = true
			} else if len(running) == 0 {
				require.NotEmpty(t, p.Asked(), "nothing runs, and nobody is waited for")
			}
			if len(running) > 0 && rapid.Bool().Draw(t, "end") {
				step := rapid.SampledFrom(slices.Sorted(maps.Keys(running))).Draw(t, "ended")
				delete(running, step)
				if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
					p.Fail(step)
				} else {
					p.Succeed(step, nil, []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(t, "keys")])
				}
			}
			switch step := rapid.IntRange(0, p.Len()-1).Draw(t, "step"); rapid.IntRange(0, 20).Draw(t, "else") {
			case 0:
				p.Cancel(step)
				delete(running, step)
			case 1:
				state := p.State()
				restored, err := plan.RestoreProgress(walk, state)
				require.NoError(t, err)
				// What was asked for, what has a slot and what ran is asked for again.
				p, asked, granted, running = restored, map[int]bool{}, map[int]bool{}, map[int]bool{}
			case 2:
				if p.Take(step) {
					running[step] = true
				}
			}
		}
		require.Empty(t, p.Asked())
		require.Empty(t, p.AskForSlots(window))
	})
}
