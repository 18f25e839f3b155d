package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// pools are slots as Postgres keeps them: who frees one hands it on, and wakes the run of who gets it.
type pools struct {
	// limits are the slots of each pool; one without is without limit.
	limits map[string]int
	// held and waiting are the steps of each pool that have a slot, and that wait for one, in the order in which they asked.
	held, waiting map[string][]string
	// of is the pool of every step that was asked for.
	of map[string]string
	// claims is what was asked for, most how many slots of a pool were held at once, and wrong what a step did without a slot.
	claims []wire.ClaimSlotsInput
	most   map[string]int
	wrong  []string
	// claiming may fail the asking.
	claiming func(wire.ClaimSlotsInput) error
	// wake signals the run; nil is that nobody does.
	wake func(steps ...string)
	// outside is what it is said who holds the slots.
	outside string
}

// limited gives pools slots.
func (w *world) limited(limits map[string]int) *world {
	w.walk.Pools = true
	w.pools = &pools{
		limits: limits, held: map[string][]string{}, waiting: map[string][]string{}, of: map[string]string{}, most: map[string]int{},
		outside: "waits for a slot of the pool db: 1 of 1 are taken (load of run r0)",
	}
	return w
}

func (w *world) claimSlots(_ context.Context, input wire.ClaimSlotsInput) (wire.ClaimSlotsResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.pools
	p.claims = append(p.claims, input)
	if p.claiming != nil {
		if err := p.claiming(input); err != nil {
			return wire.ClaimSlotsResult{}, err
		}
	}
	var result wire.ClaimSlotsResult
	for _, step := range input.Steps {
		if _, ended := w.recorded[step.Step]; ended {
			p.wrong = append(p.wrong, step.Step+" was asked for after its end")
		}
		p.of[step.Step] = step.Pool
		if !slices.Contains(p.held[step.Pool], step.Step) && !slices.Contains(p.waiting[step.Pool], step.Step) {
			p.waiting[step.Pool] = append(p.waiting[step.Pool], step.Step)
		}
		p.hand(step.Pool)
		if slices.Contains(p.held[step.Pool], step.Step) {
			result.Granted = append(result.Granted, step.Step)
		} else if !slices.ContainsFunc(result.Waiting, func(wait wire.PoolWait) bool { return wait.Pool == step.Pool }) {
			result.Waiting = append(result.Waiting, wire.PoolWait{Pool: step.Pool, Reason: p.outside})
		}
	}
	return result, nil
}

// hand gives free slots to the first that wait, and says who got one.
func (p *pools) hand(pool string) []string {
	var got []string
	limit, limited := p.limits[pool]
	for len(p.waiting[pool]) > 0 && (!limited || len(p.held[pool]) < limit) {
		got = append(got, p.waiting[pool][0])
		p.held[pool] = append(p.held[pool], p.waiting[pool][0])
		p.waiting[pool] = p.waiting[pool][1:]
	}
	p.most[pool] = max(p.most[pool], len(p.held[pool]))
	return got
}

// begins says of a step of a pool that it runs.
func (p *pools) begins(step, pool string) {
	if pool != "" && !slices.Contains(p.held[pool], step) {
		p.wrong = append(p.wrong, fmt.Sprintf("%s ran without a slot of %s", step, pool))
	}
}

// ends gives back what a step that ended had or waited for.
func (p *pools) ends(step string) {
	pool := p.of[step]
	is := func(other string) bool { return other == step }
	p.held[pool] = slices.DeleteFunc(p.held[pool], is)
	p.waiting[pool] = slices.DeleteFunc(p.waiting[pool], is)
	if got := p.hand(pool); len(got) > 0 && p.wake != nil {
		p.wake(got...)
	}
}

// set changes a pool's limit as a person does.
func (w *world) setLimit(pool string, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pools.limits[pool] = limit
	if got := w.pools.hand(pool); len(got) > 0 && w.pools.wake != nil {
		w.pools.wake(got...)
	}
}

// poolOf is the pool of a step's kind.
func (w *world) poolOf(step string) string {
	template, _, _ := strings.Cut(step, "[")
	for _, of := range w.walk.Steps {
		if of.Key == step || of.Key == template {
			return w.walk.Kinds[of.Kind].Pool
		}
	}
	return ""
}

// wakes lets who gets a slot be told.
func (e *environment) wakes() *environment {
	e.w.pools.wake = func(steps ...string) { e.SignalWorkflow(wire.AdmittedSignal, wire.AdmittedInput{Steps: steps}) }
	return e
}

func (w *world) admitRun(_ context.Context, input wire.AdmitRunInput) (wire.AdmitRunResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admissions = append(w.admissions, input)
	return w.admit(len(w.admissions))
}

func (w *world) admitRuns(context.Context) (wire.AdmitRunsResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rounds++
	return w.round(w.rounds)
}

// queues makes planning answer that the run is queued, and the first asks that it still is.
func (w *world) queues(asks int) *world {
	w.queued = "max_concurrent_runs is 1: run r0"
	w.admit = func(n int) (wire.AdmitRunResult, error) {
		if n <= asks {
			return wire.AdmitRunResult{Reason: fmt.Sprintf("%s, ask %d", w.queued, n), Status: wire.RunQueued}, nil
		}
		return wire.AdmitRunResult{Admitted: true, Status: wire.RunStarted}, nil
	}
	return w
}
