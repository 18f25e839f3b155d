package metadata_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestPlanRunBeginsARunOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	run := newRun("r1", step("a"), step("b", "b", "c"))
	run.Request.Title, run.Request.Note = "first", "for\x00 people"
	run.Request.Config = []byte(`{"assets":{"a":{"n":1}}}`)
	run.Plan.Job = "nightly"
	planned, err := b.PlanRun(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
	require.Equal(t, run.Walk, planned.Walk)
	require.Empty(t, planned.Problems("r1"))

	row, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, row.Status)
	require.Equal(t, "nightly", row.Job)
	require.Equal(t, "*", row.Selection)
	require.Equal(t, "for\uFFFD people", row.Note)
	require.JSONEq(t, `{"assets":{"a":{"n":1}}}`, string(row.Config))
	require.Equal(t, 2, row.StepsTotal)
	require.Equal(t, wire.StepWaiting, b.stepRow("r1", "b").Status)
	require.Equal(t, []string{"b", "c"}, b.stepRow("r1", "b").Assets)
	require.Equal(t, 3, b.count("select count(*) from run_assets where run_id = 'r1'"))
	require.Len(t, b.types("r1"), 4)

	// Planned again, with another walk, it answers the walk it has begun with.
	before := b.dump()
	run.Walk = []byte("another")
	replanned, err := b.PlanRun(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, replanned.Outcome)
	require.Equal(t, planned.Walk, replanned.Walk)
	require.Equal(t, before, b.dump())
}

func TestAnIdThatIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	b.end("r1", 2, wire.RunSuccess)
	before := b.dump()
	other := newRun("r1", step("b"))
	other.FirstRunID = "another"
	planned, err := b.PlanRun(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, metadata.RunExists, planned.Outcome)
	require.Equal(t, "r1 exists (SUCCESS, 2026-11-22): choose another id, or re-execute it", planned.Problems("r1").Error())
	require.Equal(t, before, b.dump())
}

func TestAResetOfAnEndedRunReopensIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.end("r1", 2, wire.RunFailure)

	// What was scheduled before the end is a zombie or a late retry.
	before := b.dump()
	again := newRun("r1", step("a"))
	again.Scheduled = time.Unix(0, 1)
	planned, err := b.PlanRun(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, planned.Outcome)
	require.Equal(t, before, b.dump())

	again.Scheduled = time.Unix(0, 3)
	planned, err = b.PlanRun(t.Context(), again)
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, planned.Outcome)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, run.Status)
	require.True(t, run.EndedAt.IsZero())
	types := b.types("r1")
	require.Equal(t, metadata.EventRunRestarted, types[len(types)-1])
}

func TestARunIsReplannedWithoutAPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	replanned, err := b.ReplanRun(t.Context(), "r1", "first-r1", time.Unix(0, 1), "")
	require.NoError(t, err)
	require.Equal(t, metadata.PlannedRun{Outcome: metadata.NotPlanned}, replanned)
	b.begin("r1", step("a"))
	b.end("r1", 2, wire.RunFailure)
	replanned, err = b.ReplanRun(t.Context(), "r1", "another", time.Unix(0, 3), "")
	require.NoError(t, err)
	require.Equal(t, metadata.RunExists, replanned.Outcome)
	replanned, err = b.ReplanRun(t.Context(), "r1", "first-r1", time.Unix(0, 3), "")
	require.NoError(t, err)
	require.Equal(t, metadata.PlannedRun{Outcome: metadata.Replanned, Walk: newRun("r1").Walk}, replanned)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, run.Status, "a reset reopens it")
}

func TestInputsThatNobodyMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r0", step("x"))
	b.committed("r0", "x", 1, "x")
	before := b.dump()
	run := newRun("r1", step("a"))
	run.Plan.Outside = []plan.AssetPartitions{{Asset: "x"}, {Asset: "y", By: []string{"a", "b", "c", "d"}}, {Asset: "z", By: []string{"a"}}}
	planned, err := b.PlanRun(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, metadata.InputsMissing, planned.Outcome)
	require.Equal(t, []metadata.MissingInput{
		{Asset: "y", Partitions: []string{""}, Count: 1, By: []string{"a", "b", "c", "d"}}, {Asset: "z", Partitions: []string{""}, Count: 1, By: []string{"a"}},
	}, planned.Missing)
	problems := planned.Problems("r1")
	require.Len(t, problems, 2)
	require.Equal(t, "y is an input of a, b, c and 1 more and has no materialization", problems[0].Message)
	require.Equal(t, before, b.dump())

	missing, err := b.MissingInputs(t.Context(), run.Plan.Outside)
	require.NoError(t, err)
	require.Equal(t, planned.Missing, missing)

	b.begin("r2", step("y"), step("z"))
	b.committed("r2", "y", 1, "y")
	b.committed("r2", "z", 1, "z")
	planned, err = b.PlanRun(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, metadata.Planned, planned.Outcome)
}

func TestTwoPlanningsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	outcomes := make([]metadata.PlanOutcome, 8)
	var wait sync.WaitGroup
	for i := range outcomes {
		wait.Go(func() {
			planned, err := b.PlanRun(t.Context(), newRun("r1", step("a")))
			if err != nil {
				t.Errorf("plan: %v", err)
			}
			outcomes[i] = planned.Outcome
		})
	}
	wait.Wait()
	counts := map[metadata.PlanOutcome]int{}
	for _, outcome := range outcomes {
		counts[outcome]++
	}
	require.Equal(t, map[metadata.PlanOutcome]int{metadata.Planned: 1, metadata.Replanned: 7}, counts)
	require.Len(t, b.types("r1"), 2)
}

func TestALargePlanIsFast(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const size = 10_000
	steps := make([]plan.Step, size)
	closing := make([]wire.ClosedStep, size)
	for i := range steps {
		steps[i] = step(fmt.Sprintf("asset_%05d", i))
		if i > 0 {
			steps[i].Inputs = []plan.StepInput{{Asset: steps[i-1].Key, InRun: true}}
		}
		closing[i] = wire.ClosedStep{Step: steps[i].Key, Status: wire.StepUpstreamFailed}
	}
	began := time.Now()
	b.begin("r1", steps...)
	planned := time.Now()
	_, err := b.CloseSteps(t.Context(), "r1", time.Unix(0, 1), closing[:size/2])
	require.NoError(t, err)
	closed := time.Now()
	result := b.end("r1", 2, wire.RunCanceled)
	ended := time.Now()
	t.Logf("plan %v, close half %v, end %v", planned.Sub(began), closed.Sub(planned), ended.Sub(closed))
	require.Equal(t, wire.StepCounts{Skipped: size / 2, Canceled: size / 2}, result.Steps)
	// All of it takes about a second; the bound is for a loaded machine, and what is quadratic breaks it.
	require.Less(t, ended.Sub(began), 20*time.Second)
}

func TestRefusalsAreRememberedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	refusal := wire.RefuseInput{
		WorkflowID: "r1", FirstRunID: "first-r1", WorkflowType: wire.RunWorkflow, Input: `{"asets":"*"}`,
		Problems: wire.Problems{{Path: "asets", Code: wire.CodeUnknownField, Message: `unknown field "asets"`}},
	}
	require.NoError(t, b.Refuse(t.Context(), refusal))
	require.NoError(t, b.Refuse(t.Context(), refusal))
	first := refusal.Input
	refusal.FirstRunID, refusal.Input = "another", string(make([]byte, 70_000))
	require.NoError(t, b.Refuse(t.Context(), refusal))

	refused, err := b.Refusals(t.Context(), "r1")
	require.NoError(t, err)
	require.Len(t, refused, 2)
	require.Len(t, []rune(refused[0].Input), 65_536)
	require.Equal(t, first, refused[1].Input)
	require.Equal(t, refusal.Problems, refused[1].Problems)
	require.Zero(t, b.count("select count(*) from event_log"))
}
