package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestCloseStepsKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("done"), step("failed"), step("open"), step("never"), step("skipped"))
	b.committed("r1", "done", 1, "done")
	b.fail(b.granted("r1", "failed", 1, 1), 1, true)
	b.granted("r1", "open", 1, 1)
	closing := []wire.ClosedStep{
		{Step: "done", Status: wire.StepFailed, Error: "timed out"},
		{Step: "failed", Status: wire.StepCanceled},
		{Step: "open", Status: wire.StepFailed, Error: "timed out"},
		{Step: "never", Status: wire.StepUpstreamFailed},
		{Step: "skipped", Status: wire.StepSkipped},
		{Step: "nobody planned it", Status: wire.StepSkipped},
	}

	done, err := b.CloseSteps(t.Context(), "r1", time.Unix(0, 2), closing)

	require.NoError(t, err)
	require.Equal(t, wire.CloseStepsResult{
		Done: []wire.DoneStep{{Step: "done", Result: wire.StepResult{Materialized: []string{"done"}}}},
		Failed: []wire.ClosedStep{
			{Step: "failed", Status: wire.StepFailed, Error: "no such file"}, {Step: "open", Status: wire.StepFailed, Error: "timed out"},
		},
	}, done)
	for step, want := range map[string]wire.StepStatus{
		"done": wire.StepSuccess, "failed": wire.StepFailed, "open": wire.StepFailed, "never": wire.StepUpstreamFailed, "skipped": wire.StepSkipped,
	} {
		require.Equal(t, want, b.stepRow("r1", step).Status, step)
	}
	require.Equal(t, "timed out", b.stepRow("r1", "open").Error.Message)
	require.Equal(t, "no such file", b.stepRow("r1", "failed").Error.Message)
	types := b.types("r1")
	require.Equal(t, []metadata.EventType{metadata.EventStepFailure, metadata.EventStepUpstreamFailed, metadata.EventStepSkipped}, types[len(types)-3:])

	before := b.dump()
	again, err := b.CloseSteps(t.Context(), "r1", time.Unix(0, 2), closing)
	require.NoError(t, err)
	require.Equal(t, done, again)
	require.Equal(t, before, b.dump())

	_, err = b.CloseSteps(t.Context(), "r9", time.Unix(0, 2), closing)
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestEndRunCountsTheRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("b", "b", "a"), step("f1"), step("f2"), step("s"), step("u"), step("open"), step("never"))
	b.committed("r1", "b", 1, "b", "a")
	b.fail(b.granted("r1", "f2", 1, 1), 1, true)
	b.fail(b.granted("r1", "f1", 1, 1), 1, true)
	b.close("r1", "s", 2, wire.StepSkipped)
	b.close("r1", "u", 2, wire.StepUpstreamFailed)
	fence := b.granted("r1", "open", 1, 1)
	running, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunStarted, running.Status)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Failed: 2, Skipped: 2}, running.Steps)
	require.Equal(t, 7, running.StepsTotal)
	require.True(t, running.EndedAt.IsZero())

	result := b.end("r1", 3, wire.RunFailure)

	require.Equal(t, wire.RunResult{
		RunID: "r1", Status: wire.RunFailure, Steps: wire.StepCounts{Succeeded: 1, Failed: 2, Skipped: 2, Canceled: 2},
		Materialized: []string{"a", "b"},
		Failures:     []wire.StepFailureInfo{{Step: "f2", Message: "no such file"}, {Step: "f1", Message: "no such file"}},
	}, result)
	ended, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, ended.Status)
	require.Equal(t, result.Steps, ended.Steps)
	require.Equal(t, result.Failures, ended.Failures)
	require.False(t, ended.EndedAt.IsZero())
	require.True(t, b.commit(fence, "open").Refused)
	require.Equal(t, wire.StepCanceled, b.stepRow("r1", "never").Status)

	before := b.dump()
	require.Equal(t, result, b.end("r1", 3, wire.RunFailure))
	require.Equal(t, before, b.dump())
}

func TestEndRunOfAnotherExecution(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	before := b.dump()
	_, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "another", Status: wire.RunFailure})
	require.ErrorIs(t, err, metadata.ErrNotFound)
	_, err = b.EndRun(t.Context(), metadata.RunEnd{RunID: "r2", FirstRunID: "first-r2", Status: wire.RunFailure})
	require.ErrorIs(t, err, metadata.ErrNotFound)
	require.Equal(t, before, b.dump())
}

func TestAnEndFromBeforeAResetIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.granted("r1", "a", 5, 5)
	before := b.dump()
	_, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Scheduled: time.Unix(0, 4)})
	require.ErrorIs(t, err, metadata.ErrConflict)
	require.Equal(t, before, b.dump())
}

func TestTheClocksOfTemporalsHostsDiffer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	late := int64(5 * time.Second)
	b.committed("r1", "a", 10+late, "a")
	require.Equal(t, wire.StepCounts{Succeeded: 1}, b.end("r1", 10, wire.RunSuccess).Steps)
	before := b.dump()
	require.Equal(t, wire.ClaimDone, b.claim("r1", "a", 10+late, 11+late).Outcome, "its answer was lost")
	require.Equal(t, before, b.dump(), "which reopens nothing")

	b.begin("r2", step("a"))
	b.committed("r2", "a", 11+late, "a")
	_, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r2", FirstRunID: "first-r2", Status: wire.RunSuccess, Scheduled: time.Unix(0, 10)})
	require.ErrorIs(t, err, metadata.ErrConflict, "so late a step is from a reset")
}

func TestARunThatIsResetReportsWhatIsSoNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b"), step("c"), step("d"), step("untouched"))
	for i, key := range []string{"untouched", "a", "b", "d"} {
		b.committed("r1", key, int64(5+i), key)
	}
	b.fail(b.granted("r1", "c", 9, 9), 1, true)
	require.Equal(t, wire.StepCounts{Succeeded: 4, Failed: 1}, b.end("r1", 10, wire.RunFailure).Steps)

	// It is reset to before a, which fails now: b, c and d are left behind.
	b.fail(b.granted("r1", "a", 20, 20), 1, true)
	left := []wire.ClosedStep{
		{Step: "b", Status: wire.StepUpstreamFailed}, {Step: "c", Status: wire.StepUpstreamFailed}, {Step: "d", Status: wire.StepSkipped},
	}
	done, err := b.CloseSteps(t.Context(), "r1", time.Unix(0, 30), left)
	require.NoError(t, err)
	require.Empty(t, done.Done)
	require.Nil(t, b.stepRow("r1", "c").Error)
	require.Zero(t, b.stepRow("r1", "b").Attempt)
	require.Equal(t, 2, b.count("select count(*) from event_log where type = 'STEP_UPSTREAM_FAILED'"))
	before := b.dump()
	_, err = b.CloseSteps(t.Context(), "r1", time.Unix(0, 30), left)
	require.NoError(t, err)
	require.Equal(t, before, b.dump())

	result := b.end("r1", 40, wire.RunFailure)
	require.Equal(t, wire.RunResult{
		RunID: "r1", Status: wire.RunFailure, Steps: wire.StepCounts{Succeeded: 1, Failed: 1, Skipped: 3},
		Materialized: []string{"untouched"}, Failures: []wire.StepFailureInfo{{Step: "a", Message: "no such file"}},
	}, result)

	// A closing from before a further reset changes nothing of it.
	b.committed("r1", "b", 50, "b")
	before = b.dump()
	_, err = b.CloseSteps(t.Context(), "r1", time.Unix(0, 30), left)
	require.NoError(t, err)
	require.Equal(t, before, b.dump())
}

func TestAnEndWithoutATimeEndsWhateverIsOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.granted("r1", "a", 5, 5)
	result, err := b.EndRun(t.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Reason: "terminated by a person"})
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Canceled: 1}, result.Steps)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, "terminated by a person", run.Reason)
	require.Equal(t, wire.ClaimSuperseded, b.claim("r1", "a", 6, 6).Outcome)
}

func TestAnEndFromOutsideLeavesAnEndedRunAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	own := b.end("r1", 2, wire.RunSuccess)
	before := b.dump()
	result, err := b.EndRun(t.Context(), metadata.RunEnd{
		RunID: "r1", FirstRunID: "first-r1", Status: wire.RunFailure, Reason: "its workflow ended", Scheduled: time.Unix(0, 3),
	})
	require.NoError(t, err)
	require.Equal(t, own, result)
	require.Equal(t, before, b.dump())

	// The run's own end after a reset that computed nothing anew is recorded.
	require.Equal(t, wire.RunCanceled, b.end("r1", 4, wire.RunCanceled).Status)
}

func TestAStepCompletedByHandIsDoneWithoutAMaterialization(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b"))
	fence := b.granted("r1", "a", 1, 1)
	done, err := b.CloseSteps(t.Context(), "r1", time.Time{}, []wire.ClosedStep{{Step: "a", Status: wire.StepSuccess}})
	require.NoError(t, err)
	require.Equal(t, []wire.DoneStep{{Step: "a", Result: wire.StepResult{Recorded: true}}}, done.Done)
	require.Equal(t, wire.StepResult{Recorded: true}, b.commit(fence, "a").Result, "the attempt that still runs hears that it is done")
	require.Zero(t, b.count("select count(*) from materializations"))
	require.Equal(t, 1, b.count("select count(*) from event_log where type = 'STEP_SUCCESS' and body->>'by_hand' = 'true'"))
}

// What a workflow task recorded that Temporal did not take stands, although the execution then decides otherwise; a reset is
// another execution.
func TestOfOneExecutionTheFirstEndStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 1, "a")
	end := func(execution string, scheduled int64, status wire.RunStatus) wire.RunStatus {
		result, err := b.EndRun(t.Context(), metadata.RunEnd{
			RunID: "r1", FirstRunID: "first-r1", Status: status, Own: true, Execution: execution, Scheduled: time.Unix(0, scheduled),
		})
		require.NoError(t, err)
		return result.Status
	}
	require.Equal(t, wire.RunSuccess, end("e1", 5, wire.RunSuccess))
	before := b.dump()
	require.Equal(t, wire.RunSuccess, end("e1", 6, wire.RunCanceled))
	require.Equal(t, before, b.dump())

	// Neither does it plan the run again, or cancel it, without knowing what it has recorded.
	replanned, err := b.ReplanRun(t.Context(), "r1", "first-r1", time.Unix(0, 7), "e1")
	require.NoError(t, err)
	require.Equal(t, metadata.Replanned, replanned.Outcome)
	again := newRun("r1", step("a"))
	again.Scheduled, again.Execution = time.Unix(0, 7), "e1"
	_, err = b.PlanRun(t.Context(), again)
	require.NoError(t, err)
	canceling, err := b.MarkCanceling(t.Context(), metadata.Canceling{RunID: "r1", FirstRunID: "first-r1", Scheduled: time.Unix(0, 7), Execution: "e1"})
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, canceling.Status)
	require.Equal(t, before, b.dump())

	require.Equal(t, wire.RunCanceled, end("e2", 7, wire.RunCanceled), "a reset that was cancelled at once")
	require.Equal(t, wire.RunCanceled, end("e2", 8, wire.RunSuccess))
	// A reset that runs a step again opens the run; its end is recorded then.
	b.committed("r1", "a", 9, "a")
	require.Equal(t, wire.RunSuccess, end("e2", 10, wire.RunSuccess))
}
