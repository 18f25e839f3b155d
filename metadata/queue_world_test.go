package metadata_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// queueWorld is the model beside the database.
type queueWorld struct {
	*bench
	*queueModel
	random *rand.Rand
	number int
}

func pick[T any](w *queueWorld, from []T) T { return from[w.random.IntN(len(from))] }

func (w *queueWorld) open(statuses ...wire.RunStatus) *modelRun {
	var open []*modelRun
	for _, id := range slices.Sorted(maps.Keys(w.runs)) {
		if slices.Contains(statuses, w.runs[id].status) {
			open = append(open, w.runs[id])
		}
	}
	if len(open) == 0 {
		return nil
	}
	return pick(w, open)
}

// wakes holds what an answer says against what the model has granted; but is who asked itself.
func (w *queueWorld) wakes(what string, admitted []wire.AdmittedRun, but string) {
	w.Helper()
	got, want := map[string][]string{}, map[string][]string{}
	for _, run := range admitted {
		if run.RunID != but {
			got[run.RunID] = append([]string{}, run.Steps...)
		}
	}
	for run, steps := range w.woken {
		if run != but {
			want[run] = append([]string{}, slices.Sorted(slices.Values(steps))...)
		}
	}
	require.Equal(w, want, got, what)
	clear(w.woken)
}

func (w *queueWorld) plan() string {
	w.number++
	id := fmt.Sprintf("r%03d", w.number)
	tags := map[string]string{}
	if w.random.IntN(3) > 0 {
		tags["team"] = pick(w, []string{"a", "b", "c"})
	}
	if w.random.IntN(3) == 0 {
		tags["heavy"] = "yes"
	}
	run := &modelRun{ended: map[string]bool{}, seq: w.next()}
	pools := []string{"gpu", "db", "free"}
	var steps []plan.Step
	var walk plan.Walk
	for i := range w.random.IntN(4) {
		step0 := wire.PoolStep{Step: fmt.Sprintf("s%d", i), Pool: pick(w, pools), Order: w.random.IntN(2)}
		run.steps = append(run.steps, step0)
		steps = append(steps, step(step0.Step, id+step0.Step))
		walk.Kinds = append(walk.Kinds, plan.Kind{Pool: step0.Pool})
		walk.Steps = append(walk.Steps, plan.WalkStep{Key: step0.Step, Kind: i})
	}
	run.NewRun = newRun(id, steps...)
	run.Plan.Walk.Kinds, run.Plan.Walk.Steps = walk.Kinds, walk.Steps
	run.Plan.Priority, run.Plan.Tags = wire.Priority(1+w.random.IntN(5)), tags
	queued := w.planned(run.NewRun)
	run.status = wire.RunQueued
	w.runs[id] = run
	w.settle()
	delete(w.woken, id)
	if run.status == wire.RunStarting {
		run.status = wire.RunStarted
	}
	require.Equal(w, run.status == wire.RunQueued, queued != "", "%s: %s", id, queued)
	return "plan " + id
}

func (w *queueWorld) ask() string {
	run := w.open(wire.RunQueued, wire.RunStarting, wire.RunStarted, wire.RunCanceling, wire.RunSuccess)
	if run == nil {
		return "nobody asks"
	}
	admission := w.admit(run.ID)
	require.Empty(w, admission.Others)
	require.Equal(w, run.status == wire.RunStarting || run.status == wire.RunStarted, admission.Admitted, "%s %s", run.ID, run.status)
	if run.status == wire.RunStarting {
		run.status = wire.RunStarted
	}
	require.Equal(w, run.status == wire.RunQueued, admission.Reason != "", admission.Reason)
	return "ask " + run.ID
}

func (w *queueWorld) finish() string {
	run := w.open(wire.RunQueued, wire.RunStarting, wire.RunStarted, wire.RunStarted, wire.RunCanceling)
	if run == nil {
		return "nobody ends"
	}
	result := w.end(run.ID, run.base+5000, wire.RunSuccess)
	run.status = wire.RunSuccess
	w.free(func(s *modelSlot) bool { return s.run == run })
	for _, step := range run.steps {
		delete(w.running, [2]string{run.ID, step.Step})
		run.ended[step.Step] = true
	}
	w.settle()
	w.wakes("end "+run.ID, result.Admitted, "")
	return "end " + run.ID
}

func (w *queueWorld) cancel() string {
	run := w.open(wire.RunQueued, wire.RunStarting, wire.RunStarted)
	if run == nil {
		return "nobody cancels"
	}
	_, err := w.MarkCanceling(w.Context(), metadata.Canceling{RunID: run.ID, FirstRunID: run.FirstRunID})
	require.NoError(w, err)
	if run.status == wire.RunStarted {
		run.Scheduled = time.Unix(0, 1)
	}
	run.status = wire.RunCanceling
	return "cancel " + run.ID
}

func (w *queueWorld) reset() string {
	run := w.open(wire.RunSuccess)
	if run == nil {
		return "nobody resets"
	}
	again := run.NewRun
	run.base += 10000
	again.Scheduled = time.Unix(0, run.base)
	again.Execution = fmt.Sprint("reset ", w.clock)
	planned, err := w.PlanRun(w.Context(), again)
	require.NoError(w, err)
	require.Equal(w, metadata.Replanned, planned.Outcome)
	require.Empty(w, planned.Queued, "it does not wait")
	run.status = wire.RunStarted
	clear(run.ended)
	return "reset " + run.ID
}

func (w *queueWorld) claimSome() string {
	run := w.open(wire.RunStarted, wire.RunStarted, wire.RunSuccess)
	if run == nil || len(run.steps) == 0 {
		return "nobody claims"
	}
	steps := run.steps[:1+w.random.IntN(len(run.steps))]
	claims := w.claimSlots(run.ID, run.base+100, steps...)
	for _, step := range steps {
		if w.counted(step.Pool) && w.slot(run.ID, step.Step) == nil && !run.ended[step.Step] {
			w.slots = append(w.slots, &modelSlot{run: run, step: step, seq: w.next()})
		}
	}
	w.settle()
	w.wakes("claim "+run.ID, claims.Others, run.ID)
	var granted, waiting, gotWaiting []string
	for _, step := range steps {
		if slot := w.slot(run.ID, step.Step); slot == nil || slot.granted {
			granted = append(granted, step.Step)
		} else {
			waiting = append(waiting, step.Step)
		}
	}
	for _, slot := range claims.Waiting {
		gotWaiting = append(gotWaiting, slot.Step)
	}
	require.Equal(w, granted, claims.Granted)
	require.Equal(w, waiting, gotWaiting)
	return fmt.Sprint("claim slots of ", run.ID, steps, granted, waiting)
}

// work starts a step that has a slot, or ends one that runs: done, failed, closed from outside, or its slot released.
func (w *queueWorld) work() string {
	run := w.open(wire.RunStarted)
	if run == nil || len(run.steps) == 0 {
		return "nobody works"
	}
	step := pick(w, run.steps)
	key := [2]string{run.ID, step.Step}
	slot := w.slot(run.ID, step.Step)
	_, runs := w.running[key]
	if run.ended[step.Step] || slot != nil && !slot.granted || !runs && slot == nil && w.counted(step.Pool) {
		return "nothing to do"
	}
	if !runs {
		w.granted(run.ID, step.Step, run.base+1000, run.base+1000)
		w.running[key] = step
		return "start " + step.Step + " of " + run.ID
	}
	fence := w.granted(run.ID, step.Step, run.base+1000, run.base+1000)
	var admitted []wire.AdmittedRun
	how := w.random.IntN(5)
	switch how {
	case 0:
		admitted = w.commit(fence, run.ID+step.Step).Admitted
	case 1:
		failed, err := w.Store.Fail(w.Context(), wire.Failure{Fence: fence, Attempt: 1, Final: true})
		require.NoError(w, err)
		admitted = failed.Admitted
	case 2:
		closed, err := w.CloseSteps(w.Context(), run.ID, time.Unix(0, run.base+2000), []wire.ClosedStep{{Step: step.Step, Status: wire.StepCanceled}})
		require.NoError(w, err)
		admitted = closed.Admitted
	case 3: // a retry keeps its slot
		_, err := w.Store.Fail(w.Context(), wire.Failure{Fence: fence, Attempt: 1})
		require.NoError(w, err)
		w.commit(w.granted(run.ID, step.Step, run.base+1000, run.base+2000), run.ID+step.Step)
		_, err = w.ReleaseSlots(w.Context(), run.ID, []string{step.Step})
		require.NoError(w, err)
		how = -1
	case 4:
		var err error
		admitted, err = w.ReleaseSlots(w.Context(), run.ID, []string{step.Step})
		require.NoError(w, err)
		w.free(func(s *modelSlot) bool { return s == slot })
		w.settle()
		w.wakes("release "+step.Step, admitted, "")
		w.commit(fence, run.ID+step.Step)
	}
	run.ended[step.Step] = true
	delete(w.running, key)
	w.free(func(s *modelSlot) bool { return s == slot })
	w.settle()
	if how < 0 {
		clear(w.woken)
	} else if how < 4 {
		w.wakes(fmt.Sprintf("end %d of %s", how, step.Step), admitted, "")
	}
	return fmt.Sprintf("end %d of %s of %s", how, step.Step, run.ID)
}

func (w *queueWorld) relimit() string {
	var limits metadata.QueueLimits
	before, counted := [2]any{w.poolLimit, w.granularity}, w.countedPools()
	switch w.random.IntN(4) {
	case 0:
		w.max = pick(w, []int{-1, 0, 1, 2, 4})
		limits.MaxConcurrentRuns = &w.max
	case 1:
		w.tags = nil
		for _, limit := range []wire.TagLimit{
			{Key: "team", Limit: w.random.IntN(4)},
			{Key: "team", Value: "a", Limit: w.random.IntN(3)},
			{Key: "team", PerValue: true, Limit: w.random.IntN(3)},
			{Key: "heavy", Limit: w.random.IntN(3)},
		} {
			if w.random.IntN(3) == 0 {
				w.tags = append(w.tags, limit)
			}
		}
		tags := slices.Clone(w.tags)
		if tags == nil {
			tags = []wire.TagLimit{}
		}
		limits.TagLimits = &tags
	case 2:
		w.poolLimit = w.random.IntN(3)
		limits.DefaultPoolLimit = &w.poolLimit
	case 3:
		w.granularity = pick(w, []wire.PoolGranularity{wire.PoolOfSteps, wire.PoolOfSteps, wire.PoolOfRuns})
		limits.PoolGranularity = &w.granularity
	}
	admitted := w.limit(limits)
	if before != [2]any{w.poolLimit, w.granularity} {
		for _, pool := range []string{"gpu", "db", "free"} {
			if set := w.pools[pool]; set.limit == nil || set.granularity == "" {
				w.adopt(counted, pool)
			}
		}
	}
	w.settle()
	w.wakes("limits", admitted, "")
	return fmt.Sprintf("limits: %d runs, %v, pools %d of %s", w.max, w.tags, w.poolLimit, w.granularity)
}

func (w *queueWorld) repool() string {
	pool := pick(w, []string{"gpu", "db"})
	set := modelPool{granularity: pick(w, []wire.PoolGranularity{"", wire.PoolOfSteps, wire.PoolOfRuns})}
	if w.random.IntN(4) > 0 {
		limit := w.random.IntN(5) - 1
		set.limit = &limit
	}
	counted := w.countedPools()
	w.pools[pool] = set
	admitted, err := w.SetPool(w.Context(), metadata.PoolSetting{Pool: pool, Limit: set.limit, Granularity: set.granularity, Who: "tester"})
	require.NoError(w, err)
	if admitted.Changed {
		w.adopt(counted, pool)
	}
	w.settle()
	w.wakes("pool", admitted.Admitted, "")
	limit, granularity := w.effective(pool)
	return fmt.Sprintf("pool %s: %d of %s", pool, limit, granularity)
}

func (w *queueWorld) seize() string {
	pool := pick(w, []string{"gpu", "db"})
	freed, err := w.FreeSlots(w.Context(), metadata.SlotSeizure{Pool: pool, Who: "tester"})
	require.NoError(w, err)
	held := 0
	w.free(func(s *modelSlot) bool {
		gone := s.granted && s.step.Pool == pool
		if gone {
			held++
		}
		return gone
	})
	require.Len(w, freed.Freed, held)
	w.settle()
	w.wakes("free", freed.Admitted, "")
	return "free " + pool
}

// round is the safety net, which has nothing to do.
func (w *queueWorld) round() string {
	round, err := w.AdmitRuns(w.Context(), metadata.AdmitOptions{Unnoticed: time.Hour})
	require.NoError(w, err)
	waiting := 0
	for _, slot := range w.slots {
		if !slot.granted {
			waiting++
		}
	}
	require.Equal(w, metadata.AdmissionRound{WaitingRuns: len(w.queueModel.waiting()), WaitingSteps: waiting}, round)
	return "round"
}

// agree holds the rows against the model.
func (w *queueWorld) agree(what string) {
	w.Helper()
	type row struct{ Key, Status string }
	var rows []row
	require.NoError(w, w.db.SelectContext(w.Context(), &rows, `select run_id as key, status from runs`))
	for _, row := range rows {
		require.Equal(w, string(w.runs[row.Key].status), row.Status, "%s: run %s", what, row.Key)
	}
	rows = nil
	require.NoError(w, w.db.SelectContext(w.Context(), &rows, `
		select run_id || ' ' || step as key, case when granted_at is null then 'waits' else 'holds' end as status from slots`))
	slots := map[string]string{}
	for _, row := range rows {
		slots[row.Key] = row.Status
	}
	want := map[string]string{}
	for _, slot := range w.slots {
		want[slot.run.ID+" "+slot.step.Step] = map[bool]string{true: "holds", false: "waits"}[slot.granted]
	}
	require.Equal(w, want, slots, what)
	if w.count("select count(*) from queue_head where limited") == 0 {
		return
	}
	progress := 0
	for _, run := range w.runs {
		if run.inProgress() {
			progress++
		}
	}
	require.Equal(w, progress, w.count("select count(*) from queue_holds where key = 'runs'"), what)
	require.Equal(w, progress, w.count("select count(*) from queue_entries where admitted_at is not null"), what)
	require.Equal(w, len(w.queueModel.waiting()), w.count("select count(*) from queue_entries where admitted_at is null"), what)
}
