package workflows_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

const (
	// firstEvents is the length of a history when workflow code first runs, eventsOfStep what a step adds.
	firstEvents  = 3
	eventsOfStep = 6
)

// grows lets the execution's history grow as a real one does.
func (e *environment) grows(events int) *environment {
	e.SetCurrentHistoryLength(events)
	e.SetOnActivityCompletedListener(func(*activity.Info, converter.EncodedValue, error) {
		events += eventsOfStep
		e.SetCurrentHistoryLength(events)
	})
	return e
}

// next is what an execution that continued as new gives to the one after it.
func next(t *testing.T, err error) []any {
	t.Helper()
	var continued *workflow.ContinueAsNewError
	require.ErrorAs(t, err, &continued)
	require.Equal(t, wire.RunWorkflow, continued.WorkflowType.Name)
	var arguments []any
	for _, argument := range continued.Input.GetPayloads() {
		arguments = append(arguments, converter.NewRawValue(argument))
	}
	return arguments
}

// continuing is the execution after one that continued as new.
func (w *world) continuing(t *testing.T) *environment {
	t.Helper()
	e := w.environment(t)
	e.SetContinuedExecutionRunID("the one before")
	return e
}

// walkToEnd executes the run and every execution it continues as, and says how many there were.
func (w *world) walkToEnd(t *testing.T) (result wire.RunResult, executions int, err error) {
	t.Helper()
	arguments := []any{everything()}
	e := w.environment(t)
	for {
		executions++
		require.Less(t, executions, 1000, "the run does not end")
		result, err = e.grows(firstEvents).run(arguments...)
		if !workflow.IsContinueAsNewError(errors.Unwrap(err)) {
			return result, executions, err
		}
		arguments = next(t, err)
		require.Len(t, arguments, 2)
		e = w.continuing(t)
	}
}

func TestALongRunContinuesAsNewWhenNothingIsInFlight(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a", "c<b", "d<c", "e<d")
	w.walk.Limits.ContinueAfter = firstEvents + 2*eventsOfStep
	e := w.environment(t)
	_, err := e.grows(firstEvents).run(payload(`{"assets":"*","title":"as it was asked for","tags":{"team":"ops"}}`))
	arguments := next(t, err)
	require.Equal(t, []string{"a", "b"}, w.scheduled)
	require.Empty(t, w.ended)
	require.Equal(t, wire.RunStarted, e.steps().Status)

	// What is carried along is readable in Temporal's Web UI.
	var request wire.RunRequest
	carried, ok := arguments[0].(converter.RawValue)
	require.True(t, ok)
	require.Empty(t, wire.Decode(carried.Payload().GetData(), &request))
	require.Equal(t, "as it was asked for", request.Title)
	require.Equal(t, map[string]string{"team": "ops"}, request.Tags)

	second := w.continuing(t)
	_, err = second.grows(firstEvents).run(arguments...)
	arguments = next(t, err)
	require.Equal(t, []string{"a", "b", "c", "d"}, w.scheduled)
	require.Len(t, w.planned, 1, "the plan is carried along")

	third := w.continuing(t)
	result, err := third.grows(firstEvents).run(arguments...)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 5}, result.Steps)
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, w.scheduled)
}

// What planning made is carried along as it is, and of a large request what a person wants to read.
func TestWhatIsCarriedAlongIsSmall(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a", "c<b")
	w.walk.Limits.ContinueAfter = 10
	var packed bytes.Buffer
	w.plan = func() (wire.PlanRunResult, error) {
		writer := gzip.NewWriter(&packed)
		err := errors.Join(json.NewEncoder(writer).Encode(w.walk), writer.Close())
		return wire.PlanRunResult{Packed: packed.Bytes()}, err
	}
	e := w.environment(t)
	e.SetCurrentHistoryLength(10)
	_, err := e.run(payload(`{"assets":["` + strings.Repeat(`a","`, 2000) + `a"],"title":"Nightly","config":{"assets":{"a":{"text":"` + strings.Repeat("x", 1<<20) + `"}}}}`))
	for range 2 {
		arguments := next(t, err)
		request, ok := arguments[0].(converter.RawValue)
		require.True(t, ok)
		require.JSONEq(t, `{"title":"Nightly"}`, string(request.Payload().GetData()))
		carried, ok := arguments[1].(converter.RawValue)
		require.True(t, ok)
		var carry struct{ Walk []byte }
		require.NoError(t, json.Unmarshal(carried.Payload().GetData(), &carry))
		require.Equal(t, packed.Bytes(), carry.Walk, "it is not encoded again")
		e = w.continuing(t)
		e.SetCurrentHistoryLength(10)
		_, err = e.run(arguments...)
	}
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, w.scheduled)
}

func TestTheConfigIsNotCarriedAlong(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b<a")
	w.walk.Limits.ContinueAfter = 10
	e := w.environment(t)
	e.SetCurrentHistoryLength(10)
	_, err := e.run(payload(`{"assets":"*","note":"n","config":{"assets":{"a":{"rows":3}}}}`))
	request, ok := next(t, err)[0].(converter.RawValue)
	require.True(t, ok)
	require.JSONEq(t, `{"assets":"*","note":"n"}`, string(request.Payload().GetData()))
}

func TestARunHoldsStepsBackForAMomentToContinueAsNew(t *testing.T) {
	t.Parallel()
	w := newWorld("fast", "held", "child<fast", "other<held").does(isHeld, "held")
	w.walk.Limits.ContinueAfter = firstEvents + eventsOfStep
	e := w.environment(t).grows(firstEvents)
	e.after(2*time.Second, func() {
		require.NotContains(t, w.scheduled, "child", "it is held back")
		e.completeAll("held")
	})
	_, err := e.run(everything())
	arguments := next(t, err)
	require.ElementsMatch(t, []string{"fast", "held"}, w.scheduled)
	w.walk.Limits.ContinueAfter = 4000
	result, err := w.continuing(t).run(arguments...)
	require.NoError(t, err)
	require.Equal(t, 4, result.Steps.Succeeded)
}

func TestAStragglerIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld("straggler", "fast", "child<fast", "grandchild<child").does(isHeld, "straggler", "fast")
	w.walk.Limits.ContinueAfter = 10
	e := w.environment(t)
	began := e.Now()
	// It has run for longer than a drain would take when the history is long enough: nothing is held back.
	e.after(11*time.Second, func() {
		e.SetCurrentHistoryLength(10)
		e.completeAll("fast")
	})
	var seen time.Duration
	e.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityID == "grandchild" {
			seen = e.Now().Sub(began)
		}
	})
	e.after(time.Hour, func() { e.completeAll("straggler") })
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 4, result.Steps.Succeeded)
	require.Less(t, seen, 13*time.Second)
}

// Of a step that runs for seconds only nobody knows better: the run tries, gives up, and tries again much later.
func TestADrainGivesUpSoon(t *testing.T) {
	t.Parallel()
	w := newWorld("held", "fast", "child<fast").does(isHeld, "held")
	w.walk.Limits.ContinueAfter = 10
	e := w.environment(t)
	began := e.Now()
	e.SetCurrentHistoryLength(10)
	var seen time.Duration
	e.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityID == "child" {
			seen = e.Now().Sub(began)
		}
	})
	e.after(time.Hour, func() { e.completeAll("held") })
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 3, result.Steps.Succeeded)
	require.GreaterOrEqual(t, seen, 3*time.Second)
	require.Less(t, seen, 5*time.Second)
}

func TestARunNearTheLimitWaitsAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(*environment){
		// One step in flight may still add six events.
		"of events": func(e *environment) { e.SetCurrentHistoryLength(1000 - 6) },
		"of bytes":  func(e *environment) { e.SetCurrentHistorySize(40 << 20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("straggler", "fast", "child<fast").does(isHeld, "straggler", "fast")
			w.walk.Limits.ContinueAfter, w.walk.Limits.ForceAfter = 900, 1000
			e := w.environment(t)
			e.after(time.Minute, func() {
				grow(e)
				e.completeAll("fast")
			})
			e.after(6*time.Hour, func() {
				require.NotContains(t, w.scheduled, "child")
				e.completeAll("straggler")
			})
			_, err := e.run(everything())
			arguments := next(t, err)
			result, err := w.continuing(t).run(arguments...)
			require.NoError(t, err)
			require.Equal(t, 3, result.Steps.Succeeded)
		})
	}
}

func TestARunThatWaitsToContinueIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld("straggler", "fast", "child<fast").does(isHeld, "straggler")
	w.walk.Limits.ContinueAfter, w.walk.Limits.ForceAfter = 10, 20
	e := w.environment(t)
	e.SetCurrentHistoryLength(20)
	e.after(time.Minute, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 2}, canceled(t, err).Steps)
}

// The skipped steps are recorded before the run continues as new; a cancel meanwhile is not lost.
func TestARunThatIsCancelledAtTheLastMomentDoesNotContinue(t *testing.T) {
	t.Parallel()
	w := newWorld("bad", "left<bad", "other", "last<other").does(fails("bad"), "bad")
	w.walk.Limits.ContinueAfter = 10
	w.walk.Limits.MaxConcurrentSteps = 1
	e := w.environment(t)
	e.SetCurrentHistoryLength(10)
	w.beforeClosing = e.CancelWorkflow
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Failed: 1, Skipped: 1, Canceled: 2}, canceled(t, err).Steps)
}

func TestAStepsCancelIsAnsweredBeforeTheRunContinues(t *testing.T) {
	t.Parallel()
	w := newWorld("held", "child<held", "fast", "last<fast").does(isHeld, "held")
	w.walk.Limits.ContinueAfter, w.walk.Limits.ForceAfter = 10, 20
	e := w.environment(t)
	e.SetCurrentHistoryLength(20)
	answer := &updateAnswer{t: t}
	e.after(time.Minute, func() { e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"held"}`)) })
	_, err := e.run(everything())
	arguments := next(t, err)
	require.Equal(t, wire.StepState{Step: "held", Status: wire.StepCanceled}, answer.result)
	require.Equal(t, wire.StepUpstreamFailed, w.recorded["child"], "what it leaves behind is recorded before")
	_, err = w.continuing(t).run(arguments...)
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 2, Canceled: 1, Skipped: 1}, result.Steps)
}

// The cancel comes while the run waits for its last records, and the step is one that does not hold it up.
func TestAStepsCancelAtTheLastMomentIsAnsweredBeforeTheRunContinues(t *testing.T) {
	t.Parallel()
	w := newWorld("model", "bad", "left<bad", "other", "last<other").kind(remoteKind(), "model").does(fails("bad"), "bad")
	w.ending = func(wire.EndRemoteInput) (wire.EndRemoteResult, error) {
		return wire.EndRemoteResult{Retry: time.Hour}, nil
	}
	w.walk.Limits.ContinueAfter, w.walk.Limits.MaxConcurrentSteps = 10, 2
	e := w.environment(t)
	e.SetTestTimeout(10 * time.Second)
	e.SetCurrentHistoryLength(10)
	answer := &updateAnswer{t: t}
	w.beforeClosing = func() {
		w.beforeClosing = nil
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"model"}`))
	}
	_, err := e.run(everything())
	arguments := next(t, err)
	require.Equal(t, wire.StepState{Step: "model", Status: wire.StepCanceled}, answer.result)
	_, err = w.continuing(t).run(arguments...)
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 2, Failed: 1, Skipped: 1, Canceled: 1}, result.Steps)
}

func TestTheFailuresOfEarlierExecutionsAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld("bad", "other", "last<other").does(fails("no such column"), "bad")
	w.walk.Limits.ContinueAfter = 10
	e := w.environment(t)
	e.SetCurrentHistoryLength(10)
	_, err := e.run(everything())
	arguments := next(t, err)
	second := w.continuing(t)
	w.does(isHeld, "last")
	second.after(time.Minute, func() {
		require.Contains(t, second.details(), "- `bad`: no such column\n")
		second.completeAll("last")
	})
	_, err = second.run(arguments...)
	require.ErrorContains(t, err, wire.FailureRunFailed)
}

func TestWhatANewerWorkerCarriedAlongIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	for carried, says := range map[string]string{
		`{"v":2,"walk":""}`:     `has version 2, this worker reads up to 1: upgrade it`,
		`{"v":1,"walk":"eA=="}`: "decode walk",
		`{"v":1,"walk":7}`:      `read what run "r1" carried along`,
	} {
		_, err := w.continuing(t).run(everything(), payload(carried))
		require.ErrorContains(t, err, says, carried)
	}
	require.Empty(t, w.scheduled)
}

// Whatever the graph, the limits and how its steps end: however often a run continues as new, it ends as the graph says.
func TestARunEndsTheSameHoweverOftenItContinues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(r, "steps")
		var steps []string
		for i := range n {
			var needs []string
			for j := range i {
				if rapid.IntRange(0, 2).Draw(r, "edge") == 0 {
					needs = append(needs, key(j))
				}
			}
			steps = append(steps, key(i)+"<"+strings.Join(needs, ","))
		}
		w := newWorld(steps...)
		w.walk.Limits = plan.Limits{
			MaxConcurrentSteps: rapid.IntRange(1, 4).Draw(r, "at once"), ForceAfter: rapid.IntRange(2, 80).Draw(r, "force"),
			ContinueAfter: rapid.IntRange(1, 60).Draw(r, "continue"), MaxLostWorkers: 3,
		}
		ends := map[string]string{}
		for i := range n {
			end := rapid.SampledFrom([]string{"well", "well", "well", "badly", "without output", "lost", "lost but done", "by hand"}).Draw(r, "end")
			ends[key(i)] = end
			switch end {
			case "badly":
				w.does(fails("bad"), key(i))
			case "without output":
				w.does(emitsAllBut(key(i)), key(i))
			case "lost":
				w.does(isLost, key(i))
			case "lost but done":
				w.does(isLost, key(i))
				w.committed[key(i)] = wire.StepResult{Recorded: true}
			case "by hand":
				w.does(answers("done"), key(i))
			}
		}
		_, executions, err := w.walkToEnd(t)
		want := reference(w.walk, ends)
		require.Equal(r, want, w.recorded)
		require.LessOrEqual(r, executions, n+1)
		require.Len(r, w.planned, 1)
		require.Len(r, w.ended, 1)
		started := slices.Sorted(slices.Values(w.scheduled))
		require.Equal(r, slices.Compact(slices.Clone(started)), started, "a step was started twice")
		failed := slices.Contains(slices.Collect(maps.Values(want)), wire.StepFailed)
		require.Equal(r, failed, err != nil)
		if failed {
			require.ErrorContains(t, err, wire.FailureRunFailed)
		}
	})
}

func key(i int) string { return "s" + strconv.Itoa(i) }

// reference decides each step from those before it, in the order of the graph.
func reference(walk plan.Walk, ends map[string]string) map[string]wire.StepStatus {
	decided := map[string]wire.StepStatus{}
	for i, step := range walk.Steps {
		skipped, failed := false, false
		for _, need := range walk.Steps[:i] {
			if !slices.Contains(need.Next, i) {
				continue
			}
			switch decided[need.Key] {
			case wire.StepSuccess:
				skipped = skipped || ends[need.Key] == "without output"
			case wire.StepSkipped:
				skipped = true
			default:
				failed = true
			}
		}
		switch end := ends[step.Key]; {
		case skipped:
			decided[step.Key] = wire.StepSkipped
		case failed:
			decided[step.Key] = wire.StepUpstreamFailed
		case end == "badly", end == "lost":
			decided[step.Key] = wire.StepFailed
		default:
			decided[step.Key] = wire.StepSuccess
		}
	}
	return decided
}
