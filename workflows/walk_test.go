package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestStepsRunInTheOrderOfTheGraph(t *testing.T) {
	t.Parallel()
	w := newWorld("source", "left<source", "right<source", "sink<left,right")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.RunResult{
		RunID: "r1", Status: wire.RunSuccess, Steps: wire.StepCounts{Succeeded: 4},
		Materialized: []string{"left", "right", "sink", "source"},
	}, result)
	require.Equal(t, "source", w.scheduled[0])
	require.Equal(t, "sink", w.scheduled[3])
	require.Empty(t, w.closings)
	require.Len(t, w.ended, 1)
	require.Positive(t, w.ended[0].At)
	require.NotEmpty(t, w.ended[0].Execution)
	w.ended[0].At, w.ended[0].Execution = 0, ""
	require.Equal(t, wire.EndRunInput{RunID: "r1", FirstRunID: w.planned[0].FirstRunID, Status: wire.RunSuccess}, w.ended[0])
	require.Equal(t, "flights", w.planned[0].Queue)
	require.Equal(t, "*", w.planned[0].Request.Assets.Expression)
}

// A step starts when its needs are met, not when its level is.
func TestAStepDoesNotWaitForItsLevel(t *testing.T) {
	t.Parallel()
	w := newWorld("slow", "fast", "next<fast", "last<next").does(isHeld, "slow")
	e := w.environment(t)
	e.after(time.Minute, func() {
		require.Equal(t, map[string]wire.StepStatus{
			"slow": wire.StepRunning, "fast": wire.StepSuccess, "next": wire.StepSuccess, "last": wire.StepSuccess,
		}, e.statuses())
		e.completeAll("slow")
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 4, result.Steps.Succeeded)
}

func TestNoMoreStepsArePendingThanTheLimit(t *testing.T) {
	t.Parallel()
	const steps, limit = 9, 3
	keys := make([]string, steps)
	for i := range keys {
		keys[i] = "s" + strconv.Itoa(i)
	}
	w := newWorld(keys...).does(isHeld, keys...)
	w.walk.Limits.MaxConcurrentSteps = limit
	e := w.environment(t)
	for round := range steps / limit {
		e.after(time.Duration(round+1)*time.Minute, func() {
			running := e.steps(payload(`{"status":"RUNNING"}`)).Steps
			require.Len(t, running, limit, "as many as may run do run")
			for _, step := range running {
				e.completeAll(step.Step)
			}
		})
	}
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, steps, result.Steps.Succeeded)
	slices.Sort(w.scheduled)
	require.Equal(t, keys, w.scheduled)
}

func TestAFailedStepStopsItsDescendantsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld("source", "bad<source", "child<bad", "grandchild<child,source", "other<source")
	w.does(fails("no such column\nat line 3"), "bad")
	_, err := w.environment(t).run(everything())
	result, failed := runFailed(t, err)
	require.Equal(t, wire.RunResult{
		RunID: "r1", Status: wire.RunFailure, Steps: wire.StepCounts{Succeeded: 2, Failed: 1, Skipped: 2},
		Materialized: []string{"other", "source"},
		Failures:     []wire.StepFailureInfo{{Step: "bad", Message: "no such column\nat line 3"}},
	}, result)
	require.Equal(t, "1 of 5 steps failed: bad: no such column", failed.Message())
	require.Equal(t, map[string]wire.StepStatus{
		"source": wire.StepSuccess, "bad": wire.StepFailed, "other": wire.StepSuccess,
		"child": wire.StepUpstreamFailed, "grandchild": wire.StepUpstreamFailed,
	}, w.recorded)
	require.NotContains(t, w.scheduled, "child")
	require.Equal(t, wire.RunFailure, w.ended[0].Status)
}

func TestTheFailureNamesTheFirstSteps(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "b", "c", "d", "e"}
	w := newWorld(keys...)
	w.walk.Limits.MaxConcurrentSteps = 1 // so that their order is known
	for _, key := range keys {
		w.does(fails("why "+key), key)
	}
	_, err := w.environment(t).run(everything())
	_, failed := runFailed(t, err)
	require.Equal(t, "5 of 5 steps failed: a: why a; b: why b; c: why c; and 2 more", failed.Message())
}

func TestWhatNeedsAnOutputThatWasNotEmittedIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld("maybe", "child<maybe", "grandchild<child", "other").does(emitsAllBut("maybe"), "maybe")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err, "leaving an optional output out is no failure")
	require.Equal(t, wire.StepCounts{Succeeded: 2, Skipped: 2}, result.Steps)
	require.Equal(t, wire.StepSkipped, w.recorded["child"])
	require.Equal(t, wire.StepSkipped, w.recorded["grandchild"])
	require.ElementsMatch(t, []string{"maybe", "other"}, w.scheduled)
}

func TestAStepWithOneInputOfManyLeftIsNotSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld("maybe", "sure", "union<maybe,sure").does(emitsAllBut("maybe"), "maybe")
	w.walk.Steps[2].Inputs = [][]plan.Source{{{Step: 0, Asset: "maybe"}, {Step: 1, Asset: "sure"}}}
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 3}, result.Steps)
}

func TestAStepWhoseAnswerWasLostCountsAsWhatItRecorded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		committed *wire.StepResult
		want      map[string]wire.StepStatus
	}{
		"it had committed": {&wire.StepResult{Recorded: true}, map[string]wire.StepStatus{
			"lost": wire.StepSuccess, "child": wire.StepSuccess,
		}},
		"it had committed without an optional output": {&wire.StepResult{Recorded: true, NotEmitted: []string{"lost"}}, map[string]wire.StepStatus{
			"lost": wire.StepSuccess, "child": wire.StepSkipped,
		}},
		"it had not": {nil, map[string]wire.StepStatus{"lost": wire.StepFailed, "child": wire.StepUpstreamFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("lost", "child<lost").does(isLost, "lost")
			if test.committed != nil {
				w.committed["lost"] = *test.committed
			}
			_, err := w.environment(t).run(everything())
			require.Equal(t, test.want, w.recorded)
			closed := w.closings[0][0]
			require.Equal(t, "lost", closed.Step)
			require.Equal(t, wire.StepFailed, closed.Status)
			require.Equal(t, "its worker was never heard of again", closed.Error)
			if test.committed == nil {
				_, failed := runFailed(t, err)
				require.Equal(t, "1 of 2 steps failed: lost: its worker was never heard of again", failed.Message())
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestAStepThatSomebodyCompletedIsRecordedAsDone(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]any{
		"nothing": nil, "a string": "done by hand", "an object of another kind": map[string]any{"rows": 3}, "a list": []int{1},
		"bytes": []byte{0, 255}, "what a step answers, but for the record": wire.StepResult{Materialized: []string{"by_hand"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("by_hand", "child<by_hand").does(answers(result), "by_hand")
			_, err := w.environment(t).run(everything())
			require.NoError(t, err)
			require.Equal(t, [][]wire.ClosedStep{{{Step: "by_hand", Status: wire.StepSuccess}}}, w.closings)
			require.Equal(t, []string{"by_hand", "child"}, w.scheduled)
		})
	}
}

func TestManyDecidedStepsAreRecordedInPieces(t *testing.T) {
	t.Parallel()
	const descendants = 2500
	steps := []string{"bad"}
	for i := range descendants {
		steps = append(steps, fmt.Sprintf("child%d<bad", i))
	}
	w := newWorld(steps...).does(fails("bad"), "bad")
	_, err := w.environment(t).run(everything())
	require.ErrorContains(t, err, wire.FailureRunFailed)
	sizes := make([]int, len(w.closings))
	for i, closed := range w.closings {
		sizes[i] = len(closed)
	}
	slices.Sort(sizes)
	require.Equal(t, []int{500, 1000, 1000}, sizes)
}

func TestAPlanAboveTheReadableSizeComesPacked(t *testing.T) {
	t.Parallel()
	steps := make([]string, 3000)
	for i := range steps {
		steps[i] = fmt.Sprintf("an_asset_with_a_name_as_long_as_people_like_to_give_them_in_a_warehouse_of_some_size_%d", i)
	}
	w := newWorld(steps...)
	w.walk.Limits.MaxConcurrentSteps = 500
	encoded, err := plan.EncodeWalk(&w.walk)
	require.NoError(t, err)
	require.Equal(t, byte(0x1f), encoded[0], "the walk is not large enough")
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, len(steps), result.Steps.Succeeded)
}

func TestAnActivityHasItsAssetsTypeAndItsKindsQueue(t *testing.T) {
	t.Parallel()
	w := newWorld("daily", "model<daily")
	w.walk.Steps[0].Type = "multi"
	w.walk.Kinds = append(w.walk.Kinds, plan.Kind{Queue: "gpu"})
	w.walk.Steps[1].Kind = 1
	e := w.environment(t)
	var looked atomic.Int32
	seen := func(kind, queue string) behaviour {
		return func(ctx context.Context) (any, error) {
			info := activity.GetInfo(ctx)
			if info.ActivityType.Name == kind && info.TaskQueue == queue {
				looked.Add(1)
			}
			return wire.StepResult{Recorded: true}, nil
		}
	}
	w.does(seen("multi", "flights"), "daily")
	w.does(seen("model", "flights:gpu"), "model")
	_, err := e.run(everything())
	require.NoError(t, err)
	require.EqualValues(t, 2, looked.Load())
}
