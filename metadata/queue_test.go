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
	admission, err := b.AdmitRun(b.Context(), run, "first-"+run)
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
