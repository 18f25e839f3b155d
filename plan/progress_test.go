package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

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
