package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// etlWalk is a walk with a dynamic output: pages fans out, clean and rate are mapped over it, rate over clean's result,
// and rate needs other as well; total collects rate, and report needs total.
func etlWalk() *plan.Walk {
	return &plan.Walk{V: plan.WalkVersion, Kinds: []plan.Kind{{}}, Steps: []plan.WalkStep{
		{Key: "pages", Fan: true, Next: []int{2, 3}},
		{Key: "other", Next: []int{3}},
		{Key: "clean", Over: 1, Next: []int{3}},
		{Key: "rate", Over: 1, Next: []int{4}},
		{Key: "total", Next: []int{5}},
		{Key: "report"},
	}}
}

// The steps of etlWalk, and of those mapped for the keys a and b.
const (
	pages = iota
	other
	clean
	rate
	total
	report
	cleanA
	rateA
	cleanB
	rateB
)

func TestMappedStepsFollowTheWalkByKeyAndTemplate(t *testing.T) {
	t.Parallel()
	walk := etlWalk()
	walk.Kinds = []plan.Kind{{}, {Queue: "gpu"}}
	walk.Steps[rate].Kind, walk.Steps[rate].Type = 1, "rate_type"
	p := plan.NewProgress(walk)
	require.Equal(t, 6, p.Len())
	_, known := p.Find("clean[a]")
	require.False(t, known)
	p.Succeed(other, nil, nil)
	p.Succeed(pages, nil, []string{"a", "b"})
	require.Equal(t, 10, p.Len())
	for step, want := range map[int]plan.WalkStep{
		cleanA: {Key: "clean[a]", Type: "clean"}, rateA: {Key: "rate[a]", Type: "rate_type", Kind: 1},
		cleanB: {Key: "clean[b]", Type: "clean"}, rateB: {Key: "rate[b]", Type: "rate_type", Kind: 1},
		total: walk.Steps[total],
	} {
		require.Equal(t, want, p.Step(step))
		require.Equal(t, want.Key, p.Key(step))
		found, known := p.Find(want.Key)
		require.True(t, known)
		require.Equal(t, step, found)
	}
	require.Equal(t, []string{"", "a", "b"}, []string{p.MappingKey(clean), p.MappingKey(rateA), p.MappingKey(cleanB)})
	require.Equal(t, []bool{false, true, true, false, false}, []bool{p.IsTemplate(pages), p.IsTemplate(clean), p.IsTemplate(rate), p.IsTemplate(total), p.IsTemplate(rateB)})
	for _, key := range []string{"clean[c]", "clean[", "clean]", "total[a]", "gone[a]", "gone", "[a]"} {
		_, known := p.Find(key)
		require.False(t, known, key)
	}
	require.Equal(t, []int{rateA, rateB}, p.WaitingFor(total, 10))
	require.Equal(t, []int{rateA}, p.WaitingFor(total, 1))
	require.Equal(t, []int{cleanB}, p.WaitingFor(rateB, 10))
	require.Empty(t, p.WaitingFor(rate, 10), "a template waits for nothing itself")

	start(t, p, cleanA)
	start(t, p, cleanB)
	p.Succeed(cleanB, nil, nil)
	start(t, p, rateB)
	waiting, ready, running, ended := p.Counts()
	require.Equal(t, []int{3, 0, 2}, []int{waiting, ready, running}, "templates are not counted")
	require.Equal(t, wire.StepCounts{Succeeded: 3}, ended)
	p.Succeed(rateB, nil, nil)
	p.Succeed(cleanA, nil, nil)
	start(t, p, rateA)
	require.Equal(t, wire.StepWaiting, p.Status(total))
	p.Succeed(rateA, nil, nil)
	start(t, p, total)
	p.Succeed(total, nil, nil)
	p.Succeed(report, nil, nil)
	require.True(t, p.Done())
	require.Empty(t, p.TakeDecided())
}

func TestAMappedStepWaitsForAllItsNeeds(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(etlWalk())
	start(t, p, pages)
	start(t, p, other)
	p.Succeed(pages, nil, []string{"a", "b"})
	start(t, p, cleanA)
	start(t, p, cleanB)
	p.Succeed(cleanA, nil, nil)
	p.Succeed(cleanB, nil, nil) // and with it all that is mapped by clean
	_, ok := p.NextReady()
	require.False(t, ok)
	require.Equal(t, []int{other}, p.WaitingFor(rateB, 10))
	p.Succeed(other, nil, nil)
	start(t, p, rateA)
	start(t, p, rateB)
}

func TestTemplatesAreNeverToldOf(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(etlWalk())
	p.Fail(clean)
	p.Cancel(rate)
	p.Succeed(rate, nil, nil)
	require.Equal(t, wire.StepWaiting, p.Status(clean))
	require.Equal(t, wire.StepWaiting, p.Status(rate))
	require.Equal(t, []int{rate}, p.WaitingFor(total, 10), "what will be mapped by it is not known yet")
	start(t, p, pages)
	start(t, p, other)
	_, ok := p.NextReady()
	require.False(t, ok)
}

// TestDynamicOutputs has one case for each rule of the semantics of dynamic outputs.
func TestDynamicOutputs(t *testing.T) {
	t.Parallel()
	nothing, keys := []string{""}, []string{"a", "b"}
	const waits, done, failed, skipped, upstream, canceled = wire.StepWaiting, wire.StepSuccess, wire.StepFailed, wire.StepSkipped, wire.StepUpstreamFailed, wire.StepCanceled
	for _, test := range []struct {
		name string
		tell func(p *plan.Progress)
		// want are the steps from other on without the templates, and then the mapped ones.
		want    []wire.StepStatus
		decided []string
	}{
		{"no key: what collects runs with an empty list", func(p *plan.Progress) {
			p.Succeed(pages, nil, nil)
		}, []wire.StepStatus{waits, waits, waits}, nil},
		{"the fan fails", func(p *plan.Progress) {
			p.Fail(pages)
		}, []wire.StepStatus{waits, upstream, upstream}, []string{"total", "report"}},
		{"the fan is cancelled", func(p *plan.Progress) {
			p.Cancel(pages)
		}, []wire.StepStatus{waits, upstream, upstream}, []string{"total", "report"}},
		{"all mapped succeed", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			for _, step := range []int{other, cleanA, cleanB, rateA, rateB} {
				p.Succeed(step, nil, nil)
			}
		}, []wire.StepStatus{done, waits, waits, done, done, done, done}, nil},
		{"a member that emits nothing is left out", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nil, nil)
			p.Succeed(cleanA, nothing, nil)
			p.Succeed(cleanB, nil, nil)
			p.Succeed(rateB, nil, nil)
		}, []wire.StepStatus{done, waits, waits, done, skipped, done, done}, []string{"rate[a]"}},
		{"no member emits anything", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nil, nil)
			p.Succeed(cleanA, nothing, nil)
			p.Succeed(cleanB, nil, nil)
			p.Succeed(rateB, nothing, nil)
		}, []wire.StepStatus{done, skipped, skipped, done, skipped, done, done}, []string{"rate[a]", "total", "report"}},
		{"a member fails", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nil, nil)
			p.Fail(cleanA)
			p.Succeed(cleanB, nil, nil)
			p.Succeed(rateB, nil, nil)
		}, []wire.StepStatus{done, upstream, upstream, failed, upstream, done, done}, []string{"rate[a]", "total", "report"}},
		{"a member fails, and all others emit nothing", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nil, nil)
			p.Succeed(cleanA, nothing, nil)
			p.Succeed(cleanB, nil, nil)
			p.Fail(rateB)
		}, []wire.StepStatus{done, upstream, upstream, done, skipped, done, failed}, []string{"rate[a]", "total", "report"}},
		{"a member is cancelled", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nil, nil)
			p.Cancel(rateA)
			for _, step := range []int{cleanA, cleanB, rateB} {
				p.Succeed(step, nil, nil)
			}
		}, []wire.StepStatus{done, upstream, upstream, done, canceled, done, done}, []string{"total", "report"}},
		{"a plain need of the mapped fails before the keys are known", func(p *plan.Progress) {
			p.Fail(other)
			p.Succeed(pages, nil, keys)
			p.Succeed(cleanA, nil, nil)
			p.Succeed(cleanB, nil, nil)
		}, []wire.StepStatus{failed, upstream, upstream, done, upstream, done, upstream}, []string{"rate[a]", "rate[b]", "total", "report"}},
		{"a plain need of the mapped fails after that", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(cleanA, nil, nil)
			p.Fail(other)
			p.Fail(cleanB)
		}, []wire.StepStatus{failed, upstream, upstream, done, upstream, failed, upstream}, []string{"rate[a]", "rate[b]", "total", "report"}},
		{"a plain need of the mapped emits nothing: skipped before failed", func(p *plan.Progress) {
			p.Succeed(pages, nil, keys)
			p.Succeed(other, nothing, nil)
			p.Fail(cleanA)
			p.Succeed(cleanB, nil, nil)
		}, []wire.StepStatus{done, skipped, skipped, failed, skipped, done, skipped}, []string{"rate[a]", "rate[b]", "total", "report"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := plan.NewProgress(etlWalk())
			test.tell(p)
			var got []wire.StepStatus
			for step := other; step < p.Len(); step++ {
				if !p.IsTemplate(step) {
					got = append(got, p.Status(step))
				}
			}
			require.Equal(t, test.want, got)
			var decided []string
			for _, step := range p.TakeDecided() {
				decided = append(decided, p.Key(step))
			}
			require.Equal(t, test.decided, decided)
		})
	}
}

func TestAFanThatIsSkippedGivesAnEmptyList(t *testing.T) {
	t.Parallel()
	// first may emit nothing, and then pages is skipped.
	walk := &plan.Walk{V: plan.WalkVersion, Kinds: []plan.Kind{{}}, Steps: []plan.WalkStep{
		{Key: "first", Next: []int{1}},
		{Key: "pages", Fan: true, Next: []int{2}},
		{Key: "clean", Over: 2, Next: []int{3}},
		{Key: "total"},
	}}
	p := plan.NewProgress(walk)
	p.Succeed(0, []string{""}, nil)
	require.Equal(t, []wire.StepStatus{wire.StepSuccess, wire.StepSkipped, wire.StepSkipped, wire.StepWaiting}, statusesOf(p, 4))
	require.Equal(t, []int{1}, p.TakeDecided(), "only the fan is recorded")
	start(t, p, 3)
}

func TestFansCanFollowEachOtherAndShareNeeds(t *testing.T) {
	t.Parallel()
	// first (0) fans out, a (1) is mapped over it; second (2) collects a and fans out; b (3) is mapped over second, and
	// collects a too; last (4) collects b.
	walk := &plan.Walk{V: plan.WalkVersion, Kinds: []plan.Kind{{}}, Steps: []plan.WalkStep{
		{Key: "first", Fan: true, Next: []int{1}},
		{Key: "a", Over: 1, Next: []int{2, 3}},
		{Key: "second", Fan: true, Next: []int{3}},
		{Key: "b", Over: 3, Next: []int{4}},
		{Key: "last"},
	}}
	data, err := plan.EncodeWalk(walk)
	require.NoError(t, err)
	walk, err = plan.DecodeWalk(data)
	require.NoError(t, err)
	p := plan.NewProgress(walk)
	start(t, p, 0)
	p.Succeed(0, nil, []string{"x", "y"})
	start(t, p, 5)
	start(t, p, 6)
	p.Succeed(6, nil, nil)
	require.Equal(t, []int{5}, p.WaitingFor(2, 10))
	p.Succeed(5, nil, nil)
	start(t, p, 2)
	p.Succeed(2, nil, []string{"k"})
	start(t, p, 7)
	require.Equal(t, "b[k]", p.Key(7))
	p.Succeed(7, nil, nil)
	start(t, p, 4)
}

func TestCancelRestEndsMappedStepsToo(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(etlWalk())
	p.Succeed(pages, nil, []string{"a", "b"})
	start(t, p, other)
	start(t, p, cleanA)
	p.CancelRest()
	require.True(t, p.Done())
	_, _, _, ended := p.Counts()
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 7}, ended)
	require.Empty(t, p.TakeDecided())
}

func TestNextReadyHonoursOrder(t *testing.T) {
	t.Parallel()
	walk := walkOf(nil, nil, nil, nil, []int{0}, []int{0})
	walk.Kinds = []plan.Kind{{}, {Order: 5}, {Order: -1}}
	for step, kind := range []int{2, 0, 1, 0, 1, 0} {
		walk.Steps[step].Kind = kind
	}
	p := plan.NewProgress(walk)
	start(t, p, 2)
	p.Succeed(0, nil, nil)
	start(t, p, 4)
	start(t, p, 1)
	start(t, p, 3)
	start(t, p, 5)
}

func TestTagLimitsHoldStepsBack(t *testing.T) {
	t.Parallel()
	walk := walkOf(nil, nil, nil, nil, nil, nil)
	walk.TagLimits = []plan.TagLimit{{Key: "db", Limit: 2}, {Key: "host", PerValue: true, Limit: 1}}
	db := plan.KindLimit{Limit: 0}
	walk.Kinds = []plan.Kind{
		{Limits: []plan.KindLimit{db}},
		{Limits: []plan.KindLimit{db, {Limit: 1, Value: "x"}}},
		{Limits: []plan.KindLimit{{Limit: 1, Value: "y"}}},
		{},
	}
	for step, kind := range []int{1, 1, 0, 0, 2, 3} {
		walk.Steps[step].Kind = kind
	}
	p := plan.NewProgress(walk)
	start(t, p, 0)
	start(t, p, 2) // 1 waits for the host x
	limit, held := p.HeldBack(1)
	require.True(t, held)
	require.Equal(t, plan.TagLimit{Key: "db", Limit: 2}, limit)
	_, held = p.HeldBack(4)
	require.False(t, held, "the limit is each value's own")
	start(t, p, 4)
	start(t, p, 5)
	_, ok := p.NextReady()
	require.False(t, ok)
	_, ready, _, _ := p.Counts()
	require.Equal(t, 2, ready)
	p.Fail(2)
	limit, held = p.HeldBack(1)
	require.True(t, held)
	require.Equal(t, plan.TagLimit{Key: "host", Value: "x", PerValue: true, Limit: 1}, limit)
	start(t, p, 3)
	p.Cancel(0)
	p.Succeed(3, nil, nil)
	start(t, p, 1)
	_, held = p.HeldBack(1)
	require.False(t, held, "it runs")

	p, err := plan.RestoreProgress(walk, p.State())
	require.NoError(t, err)
	start(t, p, 1)
}

func TestAWalkBeginsWithWhatIsTakenOver(t *testing.T) {
	t.Parallel()
	walk := etlWalk()
	// pages and other are done, and so is clean[a], which emitted nothing; clean[b] and rate[b] are to run.
	walk.Start = &plan.State{
		Steps: "PP...." + "P...", Fans: []plan.FanKeys{{Step: pages, Keys: []string{"a", "b"}}},
		NotEmitted: []plan.NotEmitted{{Step: cleanA, Assets: []string{""}}},
	}
	data, err := plan.EncodeWalk(walk)
	require.NoError(t, err)
	walk, err = plan.DecodeWalk(data)
	require.NoError(t, err)
	p := plan.NewProgress(walk)
	require.Equal(t, []int{rateA}, p.TakeDecided(), "what it needs emitted nothing")
	require.Equal(t, []bool{true, true, false, true, false}, []bool{p.Inherited(pages), p.Inherited(other), p.Inherited(total), p.Inherited(cleanA), p.Inherited(cleanB)})
	require.Equal(t, wire.StepSuccess, p.Status(pages))
	waiting, ready, running, ended := p.Counts()
	require.Equal(t, []int{3, 1, 0}, []int{waiting, ready, running})
	require.Equal(t, wire.StepCounts{Skipped: 1}, ended, "what is taken over is not counted")
	start(t, p, cleanB)
	p, err = plan.RestoreProgress(walk, p.State())
	require.NoError(t, err)
	require.True(t, p.Inherited(cleanA))
	start(t, p, cleanB)
	p.Succeed(cleanB, nil, nil)
	start(t, p, rateB)
	p.Succeed(rateB, nil, nil)
	start(t, p, total)
	p.CancelRest()
	require.True(t, p.Done())
}

func TestRestoreProgressRefusesFansThatAreNotTheWalks(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "b"}
	for want, state := range map[string]plan.State{
		"the state has 6 steps, the walk with its mapped ones 10": {Steps: "S.....", Fans: []plan.FanKeys{{Step: pages, Keys: keys}}},
		"the state has 10 steps, the walk with its mapped ones 6": {Steps: "S........."},
		"the state has 2 keys of step 0, which is in the state":   {Steps: "R.........", Fans: []plan.FanKeys{{Step: pages, Keys: keys}}},
		"the state has 0 keys of step 0, which is in the state":   {Steps: "S.....", Fans: []plan.FanKeys{{Step: pages}}},
		"the state has keys of step 0 twice":                      {Steps: "S.........", Fans: []plan.FanKeys{{Step: pages, Keys: keys}, {Step: pages, Keys: keys}}},
		"keys of step 1, over which nothing is mapped":            {Steps: "SS........", Fans: []plan.FanKeys{{Step: other, Keys: keys}}},
		"the state names step 6 of 6":                             {Steps: "SS........", Fans: []plan.FanKeys{{Step: 6, Keys: keys}}},
		"the state names step 10 of 10":                           {Steps: "S.........", Fans: []plan.FanKeys{{Step: pages, Keys: keys}}, Decided: []int{10}},
	} {
		_, err := plan.RestoreProgress(etlWalk(), state)
		require.ErrorContains(t, err, want)
		walk := etlWalk()
		walk.Start = &state
		data, err := plan.EncodeWalk(walk)
		require.NoError(t, err)
		_, err = plan.DecodeWalk(data)
		require.ErrorContains(t, err, want)
	}
}

func TestDecodeWalkChecksWhatIsMapped(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*plan.Walk){
		`step "clean", number 2, is mapped over number 2, out of order`:                func(w *plan.Walk) { w.Steps[clean].Over = 3 },
		`step "clean", number 2, is mapped over number -2, out of order`:               func(w *plan.Walk) { w.Steps[clean].Over = -1 },
		`step "clean", number 2, is mapped over number 1, which has no dynamic output`: func(w *plan.Walk) { w.Steps[clean].Over = 2 },
		`step "clean", number 2, is mapped and has a dynamic output itself`:            func(w *plan.Walk) { w.Steps[clean].Fan = true },
		`kind 0 is under the tag limit 1 of 1`:                                         func(w *plan.Walk) { w.Kinds[0].Limits[0].Limit = 1 },
	} {
		walk := etlWalk()
		walk.TagLimits = []plan.TagLimit{{Key: "db", Limit: 1}}
		walk.Kinds = []plan.Kind{{Limits: []plan.KindLimit{{}}}}
		change(walk)
		data, err := plan.EncodeWalk(walk)
		require.NoError(t, err)
		_, err = plan.DecodeWalk(data)
		require.ErrorContains(t, err, want)
	}
}

func TestStateEncodesPlainThenCompressedThenNot(t *testing.T) {
	t.Parallel()
	wide := func(n int, key func(i int) string) plan.State {
		p := plan.NewProgress(etlWalk())
		keys := make([]string, n)
		for i := range keys {
			keys[i] = key(i)
		}
		p.Succeed(pages, nil, keys)
		return p.State()
	}
	numbered := func(i int) string { return fmt.Sprintf("page_%d", i) }
	for _, n := range []int{2, 50_000} {
		state := wide(n, numbered)
		data, err := plan.EncodeState(state)
		require.NoError(t, err)
		require.Equal(t, n == 2, data[0] == '{')
		got, err := plan.DecodeState(data)
		require.NoError(t, err)
		require.Equal(t, state, got)
		p, err := plan.RestoreProgress(etlWalk(), got)
		require.NoError(t, err)
		require.Equal(t, 6+2*n, p.Len())
	}
	number := uint64(1)
	_, err := plan.EncodeState(wide(50_000, func(int) string {
		number = number*6364136223846793005 + 1442695040888963407
		return fmt.Sprintf("%016x%016x%016x", number, number*0x9e3779b97f4a7c15, number*0xbf58476d1ce4e5b9)
	}))
	require.ErrorIs(t, err, plan.ErrTooLarge)
	for _, data := range []string{"", "[]", "\x1f\x8b", "\x1f\x8bjunk"} {
		_, err := plan.DecodeState([]byte(data))
		require.ErrorContains(t, err, "decode the state of a run", "%q", data)
	}
}

// TestProgressOfManyMappedStepsIsLinear counts nothing but time: a quadratic walk would take minutes.
func TestProgressOfManyMappedStepsIsLinear(t *testing.T) {
	t.Parallel()
	const n = 50_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	p := plan.NewProgress(etlWalk())
	p.Succeed(other, nil, nil)
	p.Succeed(pages, nil, keys)
	for !p.Done() {
		step, ok := p.NextReady()
		require.True(t, ok)
		p.Succeed(step, nil, nil)
	}
	_, _, _, ended := p.Counts()
	require.Equal(t, 2*n+4, ended.Succeeded)
}
