package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// limit sets limits.
func (b *bench) limit(limits metadata.QueueLimits) []wire.AdmittedRun {
	b.Helper()
	set, err := b.SetQueueLimits(b.Context(), limits, "tester", "a test")
	require.NoError(b, err)
	return set.Admitted
}

// planned plans a run and returns for what it waits.
func (b *bench) planned(run metadata.NewRun) string {
	b.Helper()
	planned, err := b.PlanRun(b.Context(), run)
	require.NoError(b, err)
	require.Equal(b, metadata.Planned, planned.Outcome)
	return planned.Queued
}

func (b *bench) admit(run string) metadata.Admission {
	b.Helper()
	admission, err := b.AdmitRun(b.Context(), metadata.Asking{RunID: run, FirstRunID: "first-" + run})
	require.NoError(b, err)
	return admission
}

func (b *bench) claimSlots(run string, scheduled int64, steps ...wire.PoolStep) metadata.SlotClaims {
	b.Helper()
	claims, err := b.ClaimSlots(b.Context(), metadata.SlotClaim{RunID: run, Scheduled: time.Unix(0, scheduled), Steps: steps})
	require.NoError(b, err)
	return claims
}

func (b *bench) setPool(pool string, limit int) []wire.AdmittedRun {
	b.Helper()
	set, err := b.SetPool(b.Context(), metadata.PoolSetting{Pool: pool, Limit: &limit, Who: "tester", Why: "a test"})
	require.NoError(b, err)
	return set.Admitted
}

// tagged is a run with a priority and tags.
func tagged(id string, priority wire.Priority, tags map[string]string) metadata.NewRun {
	run := newRun(id, step("a_"+id))
	run.Plan.Priority, run.Plan.Tags = priority, tags
	return run
}

// inPool is a run whose steps are in a pool.
func inPool(id, pool string, steps ...string) metadata.NewRun {
	var planned []plan.Step
	for _, key := range steps {
		planned = append(planned, step(key, key+"_"+id))
	}
	run := newRun(id, planned...)
	run.Plan.Walk.Kinds = []plan.Kind{{Pool: pool}}
	for _, key := range steps {
		run.Plan.Walk.Steps = append(run.Plan.Walk.Steps, plan.WalkStep{Key: key})
	}
	return run
}

func woken(admitted []wire.AdmittedRun) []string {
	var runs []string
	for _, run := range admitted {
		runs = append(runs, run.RunID)
	}
	return runs
}

func TestARunThatALimitHoldsBackWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	require.Empty(t, b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one}))
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.Equal(t, "waits for a place: 1 of 1 runs are in progress (r1)", b.planned(tagged("r2", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r3", 1, nil)))
	require.NotEmpty(t, b.planned(tagged("r4", 3, nil)))
	row, err := b.Run(t.Context(), "r2")
	require.NoError(t, err)
	require.Equal(t, wire.RunQueued, row.Status)
	require.True(t, row.StartedAt.IsZero())
	require.Equal(t, "waits for a place: 1 of 1 runs are in progress (r1)", row.Reason)
	require.Equal(t, []metadata.EventType{metadata.EventRunEnqueued, metadata.EventMaterializationPlanned}, b.types("r2"))

	// Asked before its time it goes on waiting, however often.
	for range 2 {
		admission := b.admit("r2")
		require.False(t, admission.Admitted)
		require.Equal(t, wire.RunQueued, admission.Status)
		require.NotEmpty(t, admission.Reason)
	}
	replanned, err := b.PlanRun(t.Context(), tagged("r2", 3, nil))
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, replanned.Outcome)
	require.NotEmpty(t, replanned.Queued)

	// The end of one admits the next by priority, then by age.
	require.Equal(t, []string{"r3"}, woken(b.end("r1", 0, wire.RunSuccess).Admitted))
	require.Empty(t, b.end("r1", 0, wire.RunSuccess).Admitted)
	row, err = b.Run(t.Context(), "r3")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarting, row.Status)
	for range 2 {
		require.Equal(t, metadata.Admission{Admitted: true, Status: wire.RunStarted}, b.admit("r3"))
	}
	row, err = b.Run(t.Context(), "r3")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, row.Status)
	require.Empty(t, row.Reason)
	require.False(t, row.StartedAt.IsZero())
	require.Equal(t, []metadata.EventType{
		metadata.EventRunEnqueued, metadata.EventMaterializationPlanned, metadata.EventRunStarting, metadata.EventRunStart,
	}, b.types("r3"))

	again, err := b.PlanRun(t.Context(), tagged("r3", 1, nil))
	require.NoError(t, err)
	require.Empty(t, again.Queued)
	require.Equal(t, row.StartedAt, again.Began, "its time counts from there")
	again, err = b.PlanRun(t.Context(), tagged("r1", 3, nil))
	require.NoError(t, err)
	require.Zero(t, again.Began, "it had not waited")

	// One that is cancelled while it waits ends at once, and is not waited for.
	_, err = b.MarkCanceling(t.Context(), metadata.Canceling{RunID: "r2", FirstRunID: "first-r2"})
	require.NoError(t, err)
	require.Equal(t, metadata.Admission{Status: wire.RunCanceling}, b.admit("r2"))
	require.Empty(t, b.end("r2", 0, wire.RunCanceled).Admitted)
	require.Equal(t, []string{"r4"}, woken(b.end("r3", 0, wire.RunSuccess).Admitted))
	require.Empty(t, b.end("r4", 0, wire.RunFailure).Admitted, "it was granted, and ended before it noticed")
	for _, table := range []string{"queue_entries", "queue_holds", "queue_classes"} {
		require.Zero(t, b.count("select count(*) from "+table), table)
	}
}

func TestSlotsAreHandedOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setPool("gpu", 2)
	require.Empty(t, b.planned(inPool("r1", "gpu", "x", "y", "z")))
	require.Empty(t, b.planned(inPool("r2", "gpu", "x")))
	steps := []wire.PoolStep{{Step: "x", Pool: "gpu"}, {Step: "y", Pool: "gpu"}, {Step: "z", Pool: "gpu", Order: 7}, {Step: "free", Pool: "cpu"}}
	claims := b.claimSlots("r1", 1, steps...)
	require.Equal(t, []string{"x", "z", "free"}, claims.Granted, "what goes first has the greater order; a pool without a limit grants")
	require.Equal(t, wire.RunStarted, claims.Status)
	waits := "waits for a slot of the pool gpu: 2 of 2 are taken (x of run r1, z of run r1)"
	require.Equal(t, []wire.WaitingSlot{{Step: "y", Pool: "gpu", Reason: waits}}, claims.Waiting)
	require.Equal(t, claims, b.claimSlots("r1", 2, steps...), "asked again nothing changes")
	require.Len(t, b.claimSlots("r2", 1, steps[0]).Waiting, 1)

	// The end of a step hands its slot on in the same transaction; a retry keeps it.
	fence := b.granted("r1", "x", 5, 5)
	require.False(t, b.fail(fence, 1, false))
	require.Equal(t, 2, b.count("select count(*) from slots where granted_at is not null"))
	committed := b.commit(b.granted("r1", "x", 5, 6), "x_r1")
	require.Equal(t, []wire.AdmittedRun{{RunID: "r1", Steps: []string{"y"}}}, committed.Admitted)
	require.Equal(t, []string{"x", "y"}, b.claimSlots("r1", 3, steps[:2]...).Granted, "a step that has ended since it was asked for needs none")
	require.Equal(t, 3, b.count("select count(*) from slots"))
	result := b.end("r1", 9, wire.RunFailure)
	require.Equal(t, []wire.AdmittedRun{{RunID: "r2", Steps: []string{"x"}}}, result.Admitted)
	require.Equal(t, []string{"x", "y"}, b.claimSlots("r1", 3, steps[:2]...).Granted, "late")
	require.Equal(t, 1, b.count("select count(*) from slots"))
	admitted, err := b.ReleaseSlots(t.Context(), "r2", []string{"x"})
	require.NoError(t, err)
	require.Empty(t, admitted)
	require.Zero(t, b.count("select count(*) from slots"))
}

func TestTheQueueSaysWhatWaitsForWhat(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before, err := b.Queue(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, metadata.Queue{
		Limits:     metadata.CurrentLimits{MaxConcurrentRuns: metadata.Unlimited, TagLimits: []wire.TagLimit{}, PoolGranularity: wire.PoolOfSteps},
		InProgress: []metadata.QueuedRun{}, Waiting: []metadata.QueuedRun{}, WaitingSteps: []metadata.QueuedStep{},
	}, before)

	require.Empty(t, b.planned(inPool("r1", "gpu", "x", "y")), "begun before there were limits")
	b.limit(metadata.QueueLimits{TagLimits: &[]wire.TagLimit{{Key: "team", PerValue: true, Limit: 1}, {Key: "team", Value: "z", Limit: 0}}})
	b.setPool("gpu", 1)
	require.Equal(t, "waits for the tag team=delays: 1 of 1 runs are in progress (r1)", b.planned(inPool("r2", "gpu", "x")))
	require.Equal(t, "waits for the tag team=z, whose limit is 0", b.planned(tagged("r3", 1, map[string]string{"team": "z"})))
	require.Empty(t, b.planned(tagged("r4", 5, map[string]string{"team": "b"})), "what is held back holds nobody else back")
	b.claimSlots("r1", 1, wire.PoolStep{Step: "x", Pool: "gpu"}, wire.PoolStep{Step: "y", Pool: "gpu"})

	queue, err := b.Queue(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, "tester", queue.Limits.SetBy)
	require.Equal(t, []string{"r1", "r4"}, []string{queue.InProgress[0].RunID, queue.InProgress[1].RunID})
	require.Equal(t, 2, queue.InProgressTotal)
	require.Equal(t, []string{"r3", "r2"}, []string{queue.Waiting[0].RunID, queue.Waiting[1].RunID})
	require.Equal(t, "waits for the tag team=delays: 1 of 1 runs are in progress (r1)", queue.Waiting[1].Reason)
	require.Equal(t, 2, queue.WaitingTotal)
	require.Len(t, queue.WaitingSteps, 1)
	require.Equal(t, "waits for a slot of the pool gpu: 1 of 1 are taken (x of run r1)", queue.WaitingSteps[0].Reason)

	pools, err := b.Pools(t.Context())
	require.NoError(t, err)
	require.Len(t, pools, 1)
	require.Equal(t, []int{1, 1, 1}, []int{pools[0].Limit, pools[0].Held, pools[0].Waiting})
	use, err := b.PoolUse(t.Context(), "gpu", 0)
	require.NoError(t, err)
	require.Equal(t, "x", use.Steps[0].Step)
	require.Equal(t, "y", use.WaitingSteps[0].Step)

	// The same pool, when it counts runs: whoever is in progress keeps its place, and needs no slots.
	runs := wire.PoolOfRuns
	require.Equal(t, []wire.AdmittedRun{{RunID: "r1", Steps: []string{"y"}}}, b.limit(metadata.QueueLimits{PoolGranularity: &runs}))
	b.limit(metadata.QueueLimits{TagLimits: &[]wire.TagLimit{}})
	use, err = b.PoolUse(t.Context(), "gpu", 0)
	require.NoError(t, err)
	require.Equal(t, "r1", use.Runs[0].RunID)
	require.Equal(t, "waits for the pool gpu: 1 of 1 runs are in progress (r1)", use.WaitingRuns[0].Reason)
	require.Equal(t, []int{1, 1}, []int{use.Held, use.Waiting})
	require.Empty(t, use.Steps)
	unknown, err := b.PoolUse(t.Context(), "nobody's", 0)
	require.NoError(t, err)
	require.Equal(t, metadata.Unlimited, unknown.Limit)
}

func TestWrongLimitsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	minus, granularity := -2, wire.PoolGranularity("op")
	_, err := b.SetQueueLimits(t.Context(), metadata.QueueLimits{
		MaxConcurrentRuns: &minus, DefaultPoolLimit: &minus, PoolGranularity: &granularity,
		TagLimits: &[]wire.TagLimit{{Key: "a", Limit: -1}, {Key: "a", Limit: 2}, {Limit: 1}, {Key: "b", Value: "c", PerValue: true, Limit: 1}},
	}, "tester", "")
	var problems wire.Problems
	require.ErrorAs(t, err, &problems)
	var paths []string
	for _, problem := range problems {
		paths = append(paths, problem.Path)
		require.NotEmpty(t, problem.Fix)
	}
	require.Equal(t, []string{
		"max_concurrent_runs", "default_pool_limit", "pool_granularity", "tag_limits[0].limit", "tag_limits[1].key", "tag_limits[2].key", "tag_limits[3].per_value",
	}, paths)
	_, err = b.SetPool(t.Context(), metadata.PoolSetting{Limit: &minus, Granularity: granularity})
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 3)
	require.Zero(t, b.count("select count(*) from event_log"))
}

func TestTheConfigurationIsAppliedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := metadata.QueueConfig{MaxConcurrentRuns: metadata.Unlimited, PoolGranularity: wire.PoolOfSteps}
	set, err := b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	require.False(t, set.Changed, "it says what is so")
	config.MaxConcurrentRuns = 1
	set, err = b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	require.True(t, set.Changed)
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))

	// What a person sets stays, until the configuration says something else.
	two := 2
	require.Equal(t, []string{"r2"}, woken(b.limit(metadata.QueueLimits{MaxConcurrentRuns: &two})))
	set, err = b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	require.False(t, set.Changed)
	require.Empty(t, b.limit(metadata.QueueLimits{MaxConcurrentRuns: &two}), "set again")
	config.MaxConcurrentRuns = 3
	_, err = b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	queue, err := b.Queue(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, 3, queue.Limits.MaxConcurrentRuns)
	require.Equal(t, "configuration", queue.Limits.SetBy)
	require.Equal(t, 3, b.count("select count(*) from event_log where type = 'QUEUE_LIMITS_SET'"))
}

// Whatever dies, nothing is kept for ever: what was granted and not noticed is named again, and what its owner left is taken back.
func TestTheSafetyNet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	b.setPool("gpu", 1)
	require.Empty(t, b.planned(inPool("r1", "gpu", "x", "y")))
	require.NotEmpty(t, b.planned(inPool("r2", "gpu", "x")))
	require.NotEmpty(t, b.planned(inPool("r3", "gpu", "x")))
	b.claimSlots("r1", 1, wire.PoolStep{Step: "x", Pool: "gpu"}, wire.PoolStep{Step: "y", Pool: "gpu"})
	round := func(unnoticed time.Duration) metadata.AdmissionRound {
		round, err := b.AdmitRuns(t.Context(), metadata.AdmitOptions{Unnoticed: unnoticed})
		require.NoError(t, err)
		return round
	}
	require.Equal(t, metadata.AdmissionRound{WaitingRuns: 2, WaitingSteps: 1}, round(time.Hour))
	require.Equal(t, metadata.AdmissionRound{WaitingRuns: 2, WaitingSteps: 1}, round(time.Nanosecond), "what was granted at once is noticed")

	b.committed("r1", "x", 5, "x_r1")
	again := round(time.Nanosecond)
	require.Equal(t, []wire.AdmittedRun{{RunID: "r1", Steps: []string{"y"}}}, again.Admitted)
	require.Empty(t, round(time.Hour).Admitted)
	b.granted("r1", "y", 6, 6)
	require.Empty(t, round(time.Nanosecond).Admitted, "it was claimed")

	// A place and slots whose owner is gone: its row was ended without this program's functions, or is not there any more.
	_, err := b.db.ExecContext(t.Context(), "update runs set status = 'FAILURE' where run_id = 'r1'")
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), "delete from runs where run_id = 'r2'")
	require.NoError(t, err)
	swept := round(time.Hour)
	require.Equal(t, metadata.AdmissionRound{Admitted: []wire.AdmittedRun{{RunID: "r3"}}, ReclaimedRuns: 2, ReclaimedSlots: 1}, swept)
	require.Equal(t, []string{"r3"}, woken(round(time.Nanosecond).Admitted), "until it asks")
	require.True(t, b.admit("r3").Admitted)
	require.Equal(t, metadata.AdmissionRound{}, round(time.Nanosecond))

	// A slot of a step that has ended, which nobody gave up.
	b.claimSlots("r3", 1, wire.PoolStep{Step: "x", Pool: "gpu"})
	b.granted("r3", "x", 5, 5)
	_, err = b.db.ExecContext(t.Context(), "update steps set state = 'done' where run_id = 'r3'")
	require.NoError(t, err)
	require.Equal(t, metadata.AdmissionRound{ReclaimedSlots: 1}, round(time.Hour))
}

// Where no worker is, a run that was admitted is not signalled again and again.
func TestWhatGoesUnnoticedIsNamedEverLessOften(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	zero, one := 0, 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &zero})
	require.Equal(t, "waits: no run is admitted, for max_concurrent_runs is 0", b.planned(tagged("r1", 3, nil)))
	b.setClock("2026-11-30T10:00:00Z")
	require.Equal(t, []string{"r1"}, woken(b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})))
	var named []string
	for _, at := range []string{"10:00:01", "10:00:03", "10:00:05", "10:00:07", "10:00:09", "10:00:14", "10:01:00", "10:01:30", "10:02:01", "10:02:59", "10:03:02"} {
		b.setClock("2026-11-30T" + at + "Z")
		round, err := b.AdmitRuns(t.Context(), metadata.AdmitOptions{})
		require.NoError(t, err)
		if len(round.Admitted) > 0 {
			named = append(named, at)
		}
	}
	require.Equal(t, []string{"10:00:03", "10:00:07", "10:01:00", "10:02:01", "10:03:02"}, named)
}

// Mapped steps are in the pool of their template. What a fan that is computed anew takes back also gives up its slots.
func TestMappedStepsTakeSlots(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	run := newRun("r1", fanned()...)
	run.Plan.Walk.Kinds = []plan.Kind{{}, {Pool: "gpu"}}
	for _, step := range run.Plan.Steps {
		kind := 0
		if step.Over != "" {
			kind = 1
		}
		run.Plan.Walk.Steps = append(run.Plan.Walk.Steps, plan.WalkStep{Key: step.Key, Kind: kind})
	}
	require.Empty(t, b.planned(run))
	b.ranOp("r1", "source", 1, "")
	b.ranOp("r1", "pages", 2, "a", "b")
	b.claimOp("r1", "etl.clean[a]", 3)
	b.setPool("gpu", 1)
	require.Equal(t, 1, b.count("select count(*) from slots where step = 'etl.clean[a]' and granted_at is not null"), "it runs, and counts from now on")
	require.Len(t, b.claimSlots("r1", 4, wire.PoolStep{Step: "etl.clean[b]", Pool: "gpu"}).Waiting, 1)
	require.Contains(t, b.stepRow("r1", "etl.clean[b]").Reason, "waits for a slot of the pool gpu: 1 of 1 are taken (etl.clean[a] of run r1)")
	require.Empty(t, b.planned(inPool("r2", "gpu", "x")))
	require.Len(t, b.claimSlots("r2", 1, wire.PoolStep{Step: "x", Pool: "gpu"}).Waiting, 1)

	b.ranOp("r1", "pages", 10, "c")
	round, err := b.AdmitRuns(t.Context(), metadata.AdmitOptions{Unnoticed: time.Hour})
	require.NoError(t, err)
	require.Equal(t, metadata.AdmissionRound{Admitted: []wire.AdmittedRun{{RunID: "r2", Steps: []string{"x"}}}}, round)
	require.Equal(t, 1, b.count("select count(*) from slots"))
}

// A run whose entry was lost, which nothing here does, is not lost: it enters the queue again when it asks.
func TestARunWithoutAnEntryEntersAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	_, err := b.db.ExecContext(t.Context(), "delete from queue_entries where run_id = 'r2'; delete from queue_classes")
	require.NoError(t, err)
	require.False(t, b.admit("r2").Admitted)
	require.Equal(t, []string{"r2"}, woken(b.end("r1", 1, wire.RunSuccess).Admitted))
	require.True(t, b.admit("r2").Admitted)
	_, err = b.AdmitRun(t.Context(), metadata.Asking{RunID: "r2", FirstRunID: "another"})
	require.ErrorIs(t, err, metadata.ErrNotFound)
	_, err = b.ClaimSlots(t.Context(), metadata.SlotClaim{RunID: "nobody"})
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

// The listeners of a run's beginning hear of it also when another run's end lets it begin.
func TestWhoListensHearsOfAnAdmission(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	_, err := b.db.ExecContext(t.Context(), `
		insert into listeners (id, kind, name) values ('sensor:x', 'sensor', 'x');
		insert into subscriptions (type, listener) values ('RUN_STARTING', 'sensor:x');
		select note_listened_v1()`)
	require.NoError(t, err)
	var heard []metadata.Wake
	b.OnWake(func(wakes []metadata.Wake) { heard = append(heard, wakes...) })
	b.end("r1", 1, wire.RunSuccess)
	require.Contains(t, heard, metadata.Wake{ID: "sensor:x"})
}

func TestAConfigurationThatSaysNothingChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := 1
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	config := metadata.QueueConfig{MaxConcurrentRuns: metadata.Unlimited, PoolGranularity: wire.PoolOfSteps}
	for range 2 {
		set, err := b.ConfigureQueue(t.Context(), config)
		require.NoError(t, err)
		require.False(t, set.Changed)
	}
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	config.MaxConcurrentRuns = 2
	set, err := b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	require.Equal(t, []string{"r2"}, woken(set.Admitted))
	config.MaxConcurrentRuns = metadata.Unlimited
	set, err = b.ConfigureQueue(t.Context(), config)
	require.NoError(t, err)
	require.True(t, set.Changed, "it says something else than before")
}
