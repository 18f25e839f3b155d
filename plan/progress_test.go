package plan_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// walkOf builds a walk from each step's needs.
func walkOf(needs ...[]int) *plan.Walk {
	walk := &plan.Walk{V: plan.WalkVersion, Kinds: []plan.Kind{{}}, Steps: make([]plan.WalkStep, len(needs))}
	for step, of := range needs {
		walk.Steps[step].Key = fmt.Sprintf("s%d", step)
		for _, need := range of {
			walk.Steps[need].Next = append(walk.Steps[need].Next, step)
		}
	}
	return walk
}

func statusesOf(p *plan.Progress, n int) []wire.StepStatus {
	statuses := make([]wire.StepStatus, n)
	for step := range statuses {
		statuses[step] = p.Status(step)
	}
	return statuses
}

func start(t require.TestingT, p *plan.Progress, want int) {
	step, ok := p.NextReady()
	require.True(t, ok)
	require.Equal(t, want, step)
}

func TestProgressOrderIsThatOfBecomingReady(t *testing.T) {
	t.Parallel()
	// 0 and 1 need nothing, 2 needs 1, 3 needs 0.
	p := plan.NewProgress(walkOf(nil, nil, []int{1}, []int{0}))
	start(t, p, 0)
	start(t, p, 1)
	p.Succeed(0, nil, nil)
	p.Succeed(1, nil, nil)
	start(t, p, 3)
	start(t, p, 2)
	_, ok := p.NextReady()
	require.False(t, ok)
	require.False(t, p.Done())
	p.Succeed(2, nil, nil)
	p.Fail(3)
	require.True(t, p.Done())
	waiting, ready, running, ended := p.Counts()
	require.Equal(t, []int{0, 0, 0}, []int{waiting, ready, running})
	require.Equal(t, wire.StepCounts{Succeeded: 3, Failed: 1}, ended)
}

func TestProgressFailureStopsDescendantsOnly(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(walkOf(nil, nil, []int{0}, []int{2}, []int{1}))
	start(t, p, 0)
	start(t, p, 1)
	p.Fail(0)
	require.Equal(t, []int{2, 3}, p.TakeDecided())
	require.Empty(t, p.TakeDecided())
	p.Succeed(1, nil, nil)
	start(t, p, 4)
	require.Equal(t, []wire.StepStatus{wire.StepFailed, wire.StepSuccess, wire.StepUpstreamFailed, wire.StepUpstreamFailed, wire.StepRunning},
		statusesOf(p, 5))
}

func TestProgressSkipIsDecidedBeforeFailureAndOnlyWhenAllNeedsEnded(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(walkOf(nil, nil, []int{0, 1}, []int{2}))
	start(t, p, 0)
	start(t, p, 1)
	p.Fail(0)
	require.Equal(t, wire.StepWaiting, p.Status(2))
	require.Equal(t, []int{1}, p.WaitingFor(2, 10))
	p.Succeed(1, []string{"s1"}, nil)
	require.Equal(t, []int{2, 3}, p.TakeDecided())
	require.Equal(t, wire.StepSkipped, p.Status(2))
	require.Equal(t, wire.StepSkipped, p.Status(3))
	_, _, _, ended := p.Counts()
	require.Equal(t, wire.StepCounts{Succeeded: 1, Failed: 1, Skipped: 2}, ended)
}

func TestProgressInputs(t *testing.T) {
	t.Parallel()
	a, b, other := plan.Source{Step: 0, Asset: "a"}, plan.Source{Step: 1, Asset: "b"}, plan.Source{Step: 0, Asset: "other"}
	for _, test := range []struct {
		name       string
		inputs     [][]plan.Source
		notEmitted []string
		want       wire.StepStatus
	}{
		{"the other output was emitted", [][]plan.Source{{a}, {b}}, []string{"other"}, wire.StepWaiting},
		{"the one it needs was not", [][]plan.Source{{a}, {b}}, []string{"a"}, wire.StepSkipped},
		{"a fan-in leaves out what is missing", [][]plan.Source{{a, b}}, []string{"a"}, wire.StepWaiting},
		{"a fan-in of nothing", [][]plan.Source{{a, other}, {b}}, []string{"a", "other"}, wire.StepSkipped},
		{"a fan-in with a member from elsewhere", [][]plan.Source{{}}, []string{"a"}, wire.StepWaiting},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			walk := walkOf(nil, nil, []int{0, 1})
			walk.Steps[2].Inputs = test.inputs
			data, err := plan.EncodeWalk(walk)
			require.NoError(t, err)
			walk, err = plan.DecodeWalk(data)
			require.NoError(t, err)
			p := plan.NewProgress(walk)
			p.Succeed(1, nil, nil)
			p.Succeed(0, test.notEmitted, nil)
			require.Equal(t, test.want, p.Status(2))
		})
	}
}

func TestProgressCancel(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(walkOf(nil, nil, []int{0}, []int{2}, []int{1}))
	start(t, p, 0)
	p.Cancel(1) // ready
	p.Cancel(2) // waiting
	require.Equal(t, []int{4, 3}, p.TakeDecided())
	_, ok := p.NextReady()
	require.False(t, ok, "a cancelled step is not handed out")
	p.Succeed(2, nil, nil)
	require.Equal(t, wire.StepCanceled, p.Status(2), "an ended step never changes")
	p.Succeed(0, nil, nil)
	require.True(t, p.Done())
	require.Equal(t, []wire.StepStatus{wire.StepSuccess, wire.StepCanceled, wire.StepCanceled, wire.StepUpstreamFailed, wire.StepUpstreamFailed},
		statusesOf(p, 5))
}

func TestProgressCancelRest(t *testing.T) {
	t.Parallel()
	p := plan.NewProgress(walkOf(nil, nil, []int{0}))
	start(t, p, 0)
	p.CancelRest()
	require.True(t, p.Done())
	require.Empty(t, p.TakeDecided())
	p.Succeed(0, nil, nil)
	_, ok := p.NextReady()
	require.False(t, ok)
	_, _, _, ended := p.Counts()
	require.Equal(t, wire.StepCounts{Canceled: 3}, ended)
}

func TestRestoreProgressRefusesAnotherWalksState(t *testing.T) {
	t.Parallel()
	walk := walkOf(nil, []int{0})
	for _, state := range []plan.State{
		{Steps: "."},
		{Steps: "..."},
		{Steps: ".x"},
		{Steps: "..", NotEmitted: []plan.NotEmitted{{Step: 2}}},
		{Steps: "..", NotEmitted: []plan.NotEmitted{{Step: -1}}},
		{Steps: "..", Decided: []int{2}},
	} {
		_, err := plan.RestoreProgress(walk, state)
		require.ErrorContains(t, err, "restore a run's progress")
	}
}

func TestRestoreProgressBeginsWithWhatRan(t *testing.T) {
	t.Parallel()
	p, err := plan.RestoreProgress(walkOf(nil, nil, nil, []int{0}), plan.State{Steps: "rSR."})
	require.NoError(t, err)
	start(t, p, 2)
	start(t, p, 0)
	p.Succeed(0, nil, nil)
	start(t, p, 3)
}

// reference is the skip rule of a run, recomputed from nothing each time.
type reference struct {
	walk       *plan.Walk
	ended      map[int]wire.StepStatus // told from outside
	notEmitted map[int]map[string]bool
}

// statuses is every step's status: "" is ready or running.
func (r reference) statuses() []wire.StepStatus {
	statuses := make([]wire.StepStatus, len(r.walk.Steps))
	for step := range r.walk.Steps { // topological order
		if told, ok := r.ended[step]; ok {
			statuses[step] = told
			continue
		}
		resolved, failed, skippedNeed := true, false, false
		for need, s := range r.walk.Steps {
			if !slices.Contains(s.Next, step) {
				continue
			}
			switch statuses[need] {
			case "", wire.StepWaiting:
				resolved = false
			case wire.StepFailed, wire.StepUpstreamFailed, wire.StepCanceled:
				failed = true
			case wire.StepSkipped:
				skippedNeed = true
			default:
				skippedNeed = skippedNeed || len(r.notEmitted[need]) > 0
			}
		}
		skip := skippedNeed
		if inputs := r.walk.Steps[step].Inputs; len(inputs) > 0 {
			skip = false
			for _, sources := range inputs {
				missing := 0
				for _, source := range sources {
					if statuses[source.Step] == wire.StepSkipped || r.notEmitted[source.Step][source.Asset] {
						missing++
					}
				}
				skip = skip || (missing > 0 && missing == len(sources))
			}
		}
		switch {
		case !resolved:
			statuses[step] = wire.StepWaiting
		case skip:
			statuses[step] = wire.StepSkipped
		case failed:
			statuses[step] = wire.StepUpstreamFailed
		}
	}
	return statuses
}

func drawWalk(t *rapid.T) *plan.Walk {
	n := rapid.IntRange(1, 14).Draw(t, "steps")
	needs := make([][]int, n)
	inputs := make([][][]plan.Source, n)
	for step := 1; step < n; step++ {
		for need := range step {
			if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
				needs[step] = append(needs[step], need)
			}
		}
		if len(needs[step]) == 0 || rapid.Bool().Draw(t, "plain") {
			continue
		}
		for range rapid.IntRange(1, 3).Draw(t, "inputs") {
			sources := []plan.Source{}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				sources = append(sources, plan.Source{
					Step:  rapid.SampledFrom(needs[step]).Draw(t, "source"),
					Asset: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "asset"),
				})
			}
			inputs[step] = append(inputs[step], sources)
		}
	}
	walk := walkOf(needs...)
	for step := range inputs {
		walk.Steps[step].Inputs = inputs[step]
	}
	return walk
}

func TestProgressAgreesWithTheRuleAndSurvivesARestoreAtEveryPoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		walk := drawWalk(t)
		n := len(walk.Steps)
		p := plan.NewProgress(walk)
		ref := reference{walk: walk, ended: map[int]wire.StepStatus{}, notEmitted: map[int]map[string]bool{}}
		running := map[int]bool{}
		var decided []int
		for !p.Done() {
			if rapid.IntRange(0, 4).Draw(t, "restore") == 0 {
				p = throughJSON(t, walk, p)
				clear(running)
			}
			if rapid.IntRange(0, 30).Draw(t, "cancel one") == 0 {
				if step := rapid.IntRange(0, n-1).Draw(t, "which"); !p.Status(step).Ended() {
					p.Cancel(step)
					ref.ended[step] = wire.StepCanceled
					delete(running, step)
				}
			}
			for rapid.Bool().Draw(t, "take") || len(running) == 0 {
				step, ok := p.NextReady()
				if !ok {
					break
				}
				require.False(t, running[step])
				running[step] = true
			}
			if len(running) > 0 {
				steps := make([]int, 0, len(running))
				for step := range running {
					steps = append(steps, step)
				}
				slices.Sort(steps)
				step := rapid.SampledFrom(steps).Draw(t, "ends")
				delete(running, step)
				if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
					p.Fail(step)
					ref.ended[step] = wire.StepFailed
				} else {
					missing := rapid.SampledFrom([][]string{nil, nil, {"x"}, {"y"}, {"x", "y"}}).Draw(t, "not emitted")
					p.Succeed(step, missing, nil)
					ref.ended[step] = wire.StepSuccess
					ref.notEmitted[step] = map[string]bool{}
					for _, asset := range missing {
						ref.notEmitted[step][asset] = true
					}
				}
			}
			if rapid.Bool().Draw(t, "ask") {
				decided = append(decided, p.TakeDecided()...)
			}
			agree(t, p, ref, running)
		}
		decided = append(decided, p.TakeDecided()...)
		slices.Sort(decided)
		var want []int
		for step, status := range ref.statuses() {
			if status == wire.StepSkipped || status == wire.StepUpstreamFailed {
				want = append(want, step)
			}
		}
		require.Equal(t, want, decided, "each decided step is told once")
	})
}

func throughJSON(t *rapid.T, walk *plan.Walk, p *plan.Progress) *plan.Progress {
	data, err := json.Marshal(p.State())
	require.NoError(t, err)
	var state plan.State
	require.NoError(t, json.Unmarshal(data, &state))
	restored, err := plan.RestoreProgress(walk, state)
	require.NoError(t, err)
	return restored
}

func agree(t *rapid.T, p *plan.Progress, ref reference, running map[int]bool) {
	want := ref.statuses()
	var waiting, ready, done int
	for step, status := range want {
		switch {
		case status == wire.StepWaiting:
			waiting++
			require.NotEmpty(t, p.WaitingFor(step, 1))
			for _, need := range p.WaitingFor(step, len(want)) {
				require.False(t, p.Status(need).Ended())
				require.Contains(t, ref.walk.Steps[need].Next, step)
			}
		case status == "" && running[step]:
			want[step] = wire.StepRunning
		case status == "":
			want[step] = wire.StepWaiting
			ready++
			require.Empty(t, p.WaitingFor(step, 1))
		default:
			done++
		}
	}
	require.Equal(t, want, statusesOf(p, len(want)))
	gotWaiting, gotReady, gotRunning, ended := p.Counts()
	require.Equal(t, []int{waiting, ready, len(running), done},
		[]int{gotWaiting, gotReady, gotRunning, ended.Succeeded + ended.Failed + ended.Skipped + ended.Canceled})
	require.Equal(t, done == len(want), p.Done())
}
