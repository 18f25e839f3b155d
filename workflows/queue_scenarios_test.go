package workflows_test

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// wakesBy lets a recorded world tell its run who has got slots.
func (r *recorder) wakesBy() {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.pools.wake = func(steps ...string) {
		go func() {
			// A run that has ended need not hear of it.
			_ = r.SignalWorkflow(r.t.Context(), r.id, "", wire.AdmittedSignal, wire.AdmittedInput{Steps: steps})
		}()
	}
}

// awaitClaims waits until slots were asked for so often.
func (r *recorder) awaitClaims(count int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		return len(r.w.pools.claims) >= count
	}, time.Minute, 10*time.Millisecond)
}

// awaitQueued waits until the run says that it is queued.
func (r *recorder) awaitQueued() {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		answer, err := r.QueryWorkflow(r.t.Context(), r.id, "", wire.StepsQuery)
		var steps wire.StepsQueryResult
		return err == nil && answer.Get(&steps) == nil && steps.Status == wire.RunQueued
	}, time.Minute, 10*time.Millisecond)
}

func (r *recorder) signal(name string, argument any) {
	r.t.Helper()
	require.NoError(r.t, r.SignalWorkflow(r.t.Context(), r.id, "", name, argument))
}

func queueScenarios() []scenario {
	return []scenario{
		{
			name: "queued", world: func() *world {
				w := diamond().queues(1)
				w.walk.Attributes, w.walk.Timeout = []string{wire.SearchStatus}, time.Hour
				return w
			},
			then: func(r *recorder) {
				r.awaitQueued()
				r.signal(wire.AdmittedSignal, nil)
				require.Eventually(r.t, func() bool {
					r.w.mu.Lock()
					defer r.w.mu.Unlock()
					return len(r.w.admissions) == 1
				}, time.Minute, 10*time.Millisecond)
				r.signal(wire.AdmittedSignal, payload(`{}`))
			},
		},
		{
			name: "queued_cancelled", ends: "canceled", world: func() *world { return diamond().queues(1000) },
			then: func(r *recorder) {
				r.awaitQueued()
				require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
			},
		},
		{
			name: "queued_continued", executions: 2, world: func() *world {
				w := diamond().queues(2)
				w.walk.Limits.ContinueAfter = 12
				return w
			},
			then: func(r *recorder) {
				for asked := range 2 {
					r.awaitQueued()
					r.signal(wire.AdmittedSignal, nil)
					require.Eventually(r.t, func() bool {
						r.w.mu.Lock()
						defer r.w.mu.Unlock()
						return len(r.w.admissions) > asked
					}, time.Minute, 10*time.Millisecond)
				}
			},
		},
		{
			name: "pools", ends: "1 of 9 steps failed: bad: bad", world: func() *world {
				return newWorld("list", "load<list", "bad", "s0", "s1", "s2", "other").over("list", "load").
					kind(plan.Kind{Pool: "db"}, "load", "bad", "s0", "s1", "s2").limited(map[string]int{"db": 1}).
					does(emits("x", "y", "z"), "list").does(fails("bad"), "bad").does(isHeld, "s0")
			},
			then: func(r *recorder) {
				r.wakesBy()
				r.awaitStarted("s0")
				require.NoError(r.t, r.CompleteActivityByID(r.t.Context(), namespace, r.id, "", "s0", "done", nil))
			},
		},
		{
			name: "pools_cancelled", ends: "canceled", world: func() *world { return inPool("db", 3, "a").limited(map[string]int{"db": 0}) },
			then: func(r *recorder) {
				r.awaitClaims(1)
				require.NoError(r.t, r.CancelWorkflow(r.t.Context(), r.id, ""))
			},
		},
		{
			name: "pools_continued", executions: 2, world: func() *world {
				w := inPool("db", 8).limited(nil)
				w.walk.Limits.ContinueAfter, w.walk.Limits.MaxConcurrentSteps = 16, 2
				return w
			},
		},
		{
			name: "run_queue", workflow: wire.RunQueueWorkflow, request: `{}`, world: func() *world { return waits(3) },
			then: func(r *recorder) {
				r.signal(wire.WakeSignal, nil)
				r.signal(wire.WakeSignal, nil)
			},
		},
		{
			name: "run_queue_refused", workflow: wire.RunQueueWorkflow, request: `{"limit":3}`, ends: `unknown field "limit"`,
			world: func() *world { return waits(0) },
		},
	}
}
