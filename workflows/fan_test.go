package workflows_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// pages is a fan whose two mapped steps follow each other, and are collected.
func pages() *world {
	return newWorld("list", "load<list", "clean<list,load", "total<clean").over("list", "load", "clean")
}

func TestADynamicOutputAddsSteps(t *testing.T) {
	t.Parallel()
	w := pages().does(emits("a", "b"), "list")
	var types atomic.Int32
	e := w.environment(t)
	e.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if strings.HasPrefix(info.ActivityID, "load[") && info.ActivityType.Name == "load" {
			types.Add(1)
		}
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 6}, result.Steps)
	require.Equal(t, "list", w.scheduled[0])
	require.ElementsMatch(t, []string{"list", "load[a]", "load[b]", "clean[a]", "clean[b]", "total"}, w.scheduled)
	require.Equal(t, "total", w.scheduled[5])
	require.EqualValues(t, 2, types.Load(), "a mapped step has its compute's type, and its key as id")
	statuses := e.statuses()
	require.Len(t, statuses, 6, "a template is no step")
	require.Equal(t, wire.StepSuccess, statuses["clean[b]"])
}

func TestAnEmptyDynamicOutputIsCollectedAsNothing(t *testing.T) {
	t.Parallel()
	w := pages().does(emits(), "list")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 2}, result.Steps)
	require.Equal(t, []string{"list", "total"}, w.scheduled)
}

func TestAMappedStepThatFailsLeavesTheCollectingOneBehind(t *testing.T) {
	t.Parallel()
	w := pages().does(emits("a", "b"), "list").does(fails("no such page"), "load[a]")
	_, err := w.environment(t).run(everything())
	_, failed := runFailed(t, err)
	require.Equal(t, "1 of 6 steps failed: load[a]: no such page", failed.Message())
	require.Equal(t, map[string]wire.StepStatus{
		"list": wire.StepSuccess, "load[a]": wire.StepFailed, "load[b]": wire.StepSuccess,
		"clean[a]": wire.StepUpstreamFailed, "clean[b]": wire.StepSuccess, "total": wire.StepUpstreamFailed,
	}, w.recorded)
}

func TestOneMappedStepIsCancelled(t *testing.T) {
	t.Parallel()
	w := pages().does(emits("a", "b"), "list").does(isHeld, "load[a]", "load[b]")
	e := w.environment(t)
	refused, answer := &updateAnswer{t: t}, &updateAnswer{t: t}
	e.after(time.Minute, func() { e.UpdateWorkflow(wire.CancelStepUpdate, "u1", refused, payload(`{"step":"load"}`)) })
	e.after(2*time.Minute, func() { e.UpdateWorkflow(wire.CancelStepUpdate, "u2", answer, payload(`{"step":"load[a]"}`)) })
	e.after(3*time.Minute, func() { e.completeAll("load[b]") })
	_, err := e.run(everything())
	_, _ = runFailed(t, err)
	require.ErrorContains(t, refused.err, `"load" stands for the steps of every key of a dynamic output`)
	require.Equal(t, wire.StepState{Step: "load[a]", Status: wire.StepCanceled}, answer.result)
	require.Equal(t, wire.StepSuccess, w.recorded["clean[b]"])
}

func TestAFanCompletedByHandFails(t *testing.T) {
	t.Parallel()
	w := pages().does(answers("done"), "list")
	_, err := w.environment(t).run(everything())
	_, failed := runFailed(t, err)
	require.ErrorContains(t, failed, "does not say under which keys")
}

// A cancel leaves no mapped step open that has not begun.
func TestAFanIsCancelled(t *testing.T) {
	t.Parallel()
	w := pages().does(emits("a", "b", "c"), "list").does(isHeld, "load[a]", "load[b]", "load[c]")
	w.walk.Limits.MaxConcurrentSteps = 2
	e := w.environment(t)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	canceled(t, err)
	require.Equal(t, 1, strings.Count(fmt.Sprint(e.statuses()), "SUCCESS"))
	require.Equal(t, 7, strings.Count(fmt.Sprint(e.statuses()), "CANCELED"))
}

func TestAFanContinuesAsNew(t *testing.T) {
	t.Parallel()
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = "k" + strconv.Itoa(i)
	}
	w := pages().does(emits(keys...), "list").does(fails("bad"), "load[k7]")
	w.walk.Limits.ContinueAfter, w.walk.Limits.ForceAfter, w.walk.Limits.MaxConcurrentSteps = 20, 60, 5
	_, executions, err := w.walkToEnd(t)
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 79, Failed: 1, Skipped: 2}, result.Steps)
	require.Greater(t, executions, 3)
	for _, step := range w.scheduled {
		require.Equal(t, 1, w.count(step), step)
	}
}

func TestAThousandMappedStepsRun(t *testing.T) {
	t.Parallel()
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "k" + strconv.Itoa(i)
	}
	w := newWorld("list", "load<list", "total<load").over("list", "load").does(emits(keys...), "list")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 1002, result.Steps.Succeeded)
}

func TestAChainOfAThousandRuns(t *testing.T) {
	t.Parallel()
	steps := []string{"s0"}
	for i := 1; i < 1000; i++ {
		steps = append(steps, fmt.Sprintf("s%d<s%d", i, i-1))
	}
	w := newWorld(steps...)
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 1000, result.Steps.Succeeded)
}

func TestTenThousandStepsRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	steps := make([]string, 10_000)
	for i := range steps {
		steps[i] = "s" + strconv.Itoa(i)
	}
	w := newWorld(steps...).kind(plan.Kind{Local: true}, steps[:5_000]...)
	w.walk.Limits.MaxConcurrentSteps = 500
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 10_000, result.Steps.Succeeded)
	require.GreaterOrEqual(t, w.checkpoints, 4, "the commands of one workflow task are bounded")
}

// What an earlier run did is not done again, and is no step of this run.
func TestInheritedStepsDoNotRun(t *testing.T) {
	t.Parallel()
	w := pages()
	w.walk.Start = &plan.State{Steps: "P...P...", Fans: []plan.FanKeys{{Step: 0, Keys: []string{"a", "b"}}}}
	e := w.environment(t)
	answer := &updateAnswer{t: t}
	w.does(isHeld, "load[b]")
	e.after(time.Minute, func() {
		require.Contains(t, e.details(), "| 1 of 4 |")
		require.NotContains(t, e.statuses(), "load[a]")
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"load[a]"}`))
		e.completeAll("load[b]")
	})
	_, err := e.run(everything())
	require.NoError(t, err)
	require.ErrorContains(t, answer.err, `has no step "load[a]"`)
	require.ElementsMatch(t, []string{"load[b]", "clean[a]", "clean[b]", "total"}, w.scheduled)
}

func TestTheDetailsSayWhatALimitHoldsBack(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b", "c").kind(plan.Kind{Limits: []plan.KindLimit{{Limit: 0}}}, "a", "b").does(isHeld, "a", "c")
	w.walk.TagLimits = []plan.TagLimit{{Key: "db", Value: "main", Limit: 1}}
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Equal(t, map[string]wire.StepStatus{"a": wire.StepRunning, "b": wire.StepWaiting, "c": wire.StepRunning}, e.statuses())
		require.Contains(t, e.details(), "1 step is ready and held back by a limit on their tag")
		require.Contains(t, e.details(), "- `b` for the limit of 1 steps at once with the tag `db=main`\n")
		e.completeAll("a", "c")
	})
	_, err := e.run(everything())
	require.NoError(t, err)
}
