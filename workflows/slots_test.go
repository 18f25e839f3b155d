package workflows_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// inPool has so many steps of a pool, s0, s1 and so on, besides others.
func inPool(pool string, count int, others ...string) *world {
	steps := make([]string, count)
	for i := range steps {
		steps[i] = key(i)
	}
	return newWorld(append(slices.Clone(others), steps...)...).kind(plan.Kind{Pool: pool}, steps...)
}

// askedFor are the steps of each ask.
func (w *world) askedFor() [][]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asks := make([][]string, len(w.pools.claims))
	for i, claim := range w.pools.claims {
		for _, step := range claim.Steps {
			asks[i] = append(asks[i], step.Step)
		}
	}
	return asks
}

func TestStepsOfAPoolRunWithSlotsOnly(t *testing.T) {
	t.Parallel()
	w := inPool("db", 6, "other").limited(map[string]int{"db": 2})
	w.walk.Kinds[1].Order = 7
	result, err := w.environment(t).wakes().run(everything())
	require.NoError(t, err)
	require.Equal(t, 7, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
	require.Equal(t, 2, w.pools.most["db"])
	require.Equal(t, wire.ClaimSlotsInput{
		RunID: "r1", FirstRunID: w.planned[0].FirstRunID, Steps: w.pools.claims[0].Steps, At: w.planned[0].At,
	}, w.pools.claims[0])
	require.Equal(t, wire.PoolStep{Step: "s0", Pool: "db", Order: 7}, w.pools.claims[0].Steps[0])
	asks := w.askedFor()
	require.Equal(t, []string{"s0", "s1", "s2", "s3", "s4", "s5"}, asks[0], "one ask for all")
	for _, ask := range asks[1:] {
		require.LessOrEqual(t, len(ask), 2, "who is woken asks for those steps that were named")
	}
}

func TestAPoolWithoutLimitTakesOneAsk(t *testing.T) {
	t.Parallel()
	w := inPool("db", 6).limited(nil)
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 6, result.Steps.Succeeded)
	require.Len(t, w.pools.claims, 1)
}

// A run that was planned before there were slots asks for none.
func TestAWalkWithoutPoolsAsksForNothing(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3).limited(map[string]int{"db": 0})
	w.walk.Pools = false
	w.pools = nil
	result, err := w.environment(t).run(everything())
	require.NoError(t, err)
	require.Equal(t, 3, result.Steps.Succeeded)
}

func TestWhatWaitsForSlotsTakesNoPlaceFromOthers(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3, "a", "b<a", "c<b", "d").limited(map[string]int{"db": 0})
	w.walk.Limits.MaxConcurrentSteps = 1
	e := w.environment(t).wakes()
	e.after(time.Minute, func() {
		require.ElementsMatch(t, []string{"a", "b", "c", "d"}, w.scheduled)
		w.setLimit("db", 1)
	})
	result, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 7, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
}

func TestARunSaysWhoHasTheSlots(t *testing.T) {
	t.Parallel()
	w := inPool("db", 2, "held").limited(map[string]int{"db": 0}).does(isHeld, "held")
	e := w.environment(t).wakes()
	e.after(10*time.Second, func() {
		require.Contains(t, e.details(), "**STARTED** 2 steps are ready, `s0` waits for a slot of the pool db: 1 of 1 are taken (load of run r0)\n")
		require.Contains(t, e.details(), "- `s1` for a slot of the pool db: 1 of 1 are taken (load of run r0)\n")
		require.Equal(t, []wire.StepState{
			{Step: "held", Status: wire.StepRunning},
			{Step: "s0", Status: wire.StepWaiting, Reason: "a slot of the pool db: 1 of 1 are taken (load of run r0)"},
			{Step: "s1", Status: wire.StepWaiting, Reason: "a slot of the pool db: 1 of 1 are taken (load of run r0)"},
		}, e.steps().Steps)
		w.setLimit("db", 1)
	})
	e.after(20*time.Second, func() { e.completeAll("held") })
	_, err := e.run(everything())
	require.NoError(t, err)
}

// Nobody wakes the run: it asks by itself, and again sooner when it has got something.
func TestARunAsksForSlotsByItself(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3).limited(map[string]int{"db": 1})
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Equal(t, 2*time.Minute, e.Now().Sub(began).Round(time.Minute))
}

func TestARunWhoseSlotsNobodyFreesAsksEverMoreSeldom(t *testing.T) {
	t.Parallel()
	w := inPool("db", 1).limited(map[string]int{"db": 0})
	e := w.environment(t)
	e.after(24*time.Hour, func() {
		// 1, 2, 4, 8, 16, 32 minutes, and then every hour; and when it began.
		require.Len(t, w.pools.claims, 1+6+22)
		w.setLimit("db", 1)
	})
	_, err := e.run(everything())
	require.NoError(t, err)
}

func TestARunOfManyStepsDoesNotFillTheQueue(t *testing.T) {
	t.Parallel()
	w := inPool("db", 300).kind(plan.Kind{Pool: "gpu"}, key(298), key(299)).limited(map[string]int{"db": 1, "gpu": 1})
	most := 0
	w.pools.claiming = func(wire.ClaimSlotsInput) error {
		most = max(most, len(w.pools.waiting["db"]))
		return nil
	}
	result, err := w.environment(t).wakes().run(everything())
	require.NoError(t, err)
	require.Equal(t, 300, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
	require.Len(t, w.pools.claims[0].Steps, 52, "a pool does not hold up another")
	require.LessOrEqual(t, most, 50)
	require.Equal(t, map[string]int{"db": 1, "gpu": 1}, w.pools.most)
}

func TestAStepThatWaitsForASlotIsCancelled(t *testing.T) {
	t.Parallel()
	w := inPool("db", 2, "held").limited(map[string]int{"db": 0}).does(isHeld, "held")
	e := w.environment(t).wakes()
	answer := &updateAnswer{t: t}
	e.after(time.Minute, func() {
		e.UpdateWorkflow(wire.CancelStepUpdate, "u1", answer, payload(`{"step":"s0"}`))
	})
	e.after(2*time.Minute, func() {
		require.Equal(t, []string{"s1"}, w.pools.waiting["db"])
		w.setLimit("db", 1)
	})
	e.after(3*time.Minute, func() { e.completeAll("held") })
	_, err := e.run(everything())
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 2, Canceled: 1}, result.Steps)
	require.Equal(t, wire.StepState{Step: "s0", Status: wire.StepCanceled}, answer.result)
	require.Equal(t, []wire.ClosedStep{{Step: "s0", Status: wire.StepCanceled, Unscheduled: true}}, w.closings[0])
	require.NotContains(t, w.scheduled, "s0")
}

func TestARunThatWaitsForSlotsIsCancelled(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3, "done").limited(map[string]int{"db": 0})
	e := w.environment(t).wakes()
	began := e.Now()
	e.after(10*time.Second, e.CancelWorkflow)
	_, err := e.run(everything())
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 3}, canceled(t, err).Steps)
	require.Equal(t, 10*time.Second, e.Now().Sub(began).Round(time.Second))
}

func TestARunThatWaitsForSlotsTakesTooLong(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3).limited(map[string]int{"db": 0})
	w.walk.Timeout = time.Hour
	_, err := w.environment(t).wakes().run(everything())
	result, failed := runFailed(t, err)
	require.Equal(t, "it took longer than the 1h0m0s that it may; 3 steps were cancelled", failed.Message())
	require.Equal(t, 3, result.Steps.Canceled)
}

// What cannot be asked in a moment is asked by an activity, which tries again.
func TestSlotsAreAskedForUntilPostgresIsBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failures int
		cancel   bool
	}{"back": {failures: 3}, "cancelled": {failures: 1000, cancel: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := inPool("db", 3, "a", "b<a").limited(map[string]int{"db": 1})
			asks := 0
			w.pools.claiming = func(wire.ClaimSlotsInput) error {
				if asks++; asks <= test.failures {
					return errors.New("Postgres is away")
				}
				return nil
			}
			e := w.environment(t).wakes()
			if test.cancel {
				e.after(time.Minute, e.CancelWorkflow)
			}
			_, err := e.run(everything())
			if test.cancel {
				require.Equal(t, wire.StepCounts{Succeeded: 2, Canceled: 3}, canceled(t, err).Steps)
				return
			}
			require.NoError(t, err)
			require.Empty(t, w.pools.wrong)
			require.Len(t, w.scheduled, 5)
		})
	}
}

func TestSlotsSurviveThatARunContinuesAsNew(t *testing.T) {
	t.Parallel()
	w := inPool("db", 20, "a", "b<a", "c<b").limited(map[string]int{"db": 2})
	w.walk.Limits.ContinueAfter = firstEvents + 4*eventsOfStep
	// Nobody is told: what got its slot between two executions finds it when it asks.
	result, executions, err := w.walkToEnd(t)
	require.NoError(t, err)
	require.Equal(t, 23, result.Steps.Succeeded)
	require.Greater(t, executions, 3)
	require.Empty(t, w.pools.wrong)
	require.Equal(t, 2, w.pools.most["db"])
}

func TestMappedStepsWaitForSlots(t *testing.T) {
	t.Parallel()
	w := newWorld("list", "load<list", "all<load").over("list", "load").kind(plan.Kind{Pool: "db"}, "load").
		limited(map[string]int{"db": 1}).does(emits("x", "y", "z"), "list")
	result, err := w.environment(t).wakes().run(everything())
	require.NoError(t, err)
	require.Equal(t, 5, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
	require.Equal(t, []string{"load[x]", "load[y]", "load[z]"}, w.askedFor()[0])
	require.Equal(t, 1, w.pools.most["db"])
}

// A remote step keeps its slot from one attempt to the next.
func TestRemoteStepsWaitForSlots(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3).limited(map[string]int{"db": 1}).does(failsOnce(), "s0")
	w.walk.Kinds[1].Remote = true
	w.ending = func(input wire.EndRemoteInput) (wire.EndRemoteResult, error) {
		if input.Error != nil {
			return wire.EndRemoteResult{Retry: time.Minute}, nil
		}
		w.recordLocked(input.Step, wire.StepSuccess, "")
		return wire.EndRemoteResult{Done: &wire.StepResult{Recorded: true}}, nil
	}
	result, err := w.environment(t).wakes().run(everything())
	require.NoError(t, err)
	require.Equal(t, 3, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
	require.Equal(t, []string{"s0", "s0", "s1", "s2"}, w.scheduled)
}

func TestStepsOfASubprocessWaitForSlots(t *testing.T) {
	t.Parallel()
	w := inPool("db", 3).limited(map[string]int{"db": 1})
	w.walk.Kinds[1].Subprocess = true
	result, err := w.environment(t).wakes().run(everything())
	require.NoError(t, err)
	require.Equal(t, 3, result.Steps.Succeeded)
	require.Empty(t, w.pools.wrong)
}

// A failure gives its slot to the next, and what needs the failed step asks for none.
func TestAFailedStepGivesItsSlotBack(t *testing.T) {
	t.Parallel()
	w := newWorld("bad", "left<bad", "good").kind(plan.Kind{Pool: "db"}, "bad", "left", "good").
		limited(map[string]int{"db": 1}).does(fails("no such column"), "bad")
	_, err := w.environment(t).wakes().run(everything())
	result, _ := runFailed(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Failed: 1, Skipped: 1}, result.Steps)
	require.Empty(t, w.pools.wrong)
	for _, ask := range w.askedFor() {
		require.NotContains(t, ask, "left")
	}
}
