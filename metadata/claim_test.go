package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestFirstClaimIsGrantedWithThePlanAndWhatItLoads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r0", step("airports"), step("old"))
	older := b.committed("r0", "airports", 1, "airports")
	b.committed("r0", "old", 1, "flights")
	joined := step("joined")
	joined.Inputs = []plan.StepInput{{Asset: "airports"}, {Asset: "flights", InRun: true}, {Asset: "never_made", External: true}}
	b.begin("r1", step("flights"), joined)
	fresh := b.committed("r1", "flights", 5, "flights")

	claim := b.claim("r1", "joined", 7, 8)

	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	require.Greater(t, claim.Token, fresh.Token)
	require.Equal(t, 1, claim.Attempt)
	require.Equal(t, "cause-of-r1", claim.Cause)
	require.Equal(t, map[string]string{"team": "delays"}, claim.Tags)
	require.Contains(t, string(claim.Plan), `"joined"`)
	require.Len(t, claim.Inputs, 2)
	require.Equal(t, "airports", claim.Inputs[0].Asset)
	require.Equal(t, older.Token, claim.Inputs[0].Token)
	require.Equal(t, "dairports", claim.Inputs[0].DataVersion)
	require.Positive(t, claim.Inputs[0].Position)
	require.Equal(t, "flights", claim.Inputs[1].Asset)
	require.Equal(t, fresh.Token, claim.Inputs[1].Token)
}

func TestAnInputOfTheSameRunIsNeverAnotherRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r0", step("flights"))
	b.committed("r0", "flights", 1, "flights")
	joined := step("joined")
	joined.Inputs = []plan.StepInput{{Asset: "flights", InRun: true}}
	b.begin("r1", step("flights"), joined)
	require.Empty(t, b.claim("r1", "joined", 1, 1).Inputs)

	// A later run's materialization is current, and the earlier run still loads its own.
	mine := b.committed("r1", "flights", 1, "flights")
	b.begin("r2", step("flights"))
	b.committed("r2", "flights", 1, "flights")
	inputs := b.claim("r1", "joined", 1, 2).Inputs
	require.Len(t, inputs, 1)
	require.Equal(t, mine.Token, inputs[0].Token)
}

func TestClaimSequences(t *testing.T) {
	t.Parallel()
	type claim struct {
		scheduled, started int64
		want               wire.ClaimOutcome
	}
	type do func(run string, last wire.Fence)
	b := newBench(t)
	commit := do(func(run string, last wire.Fence) { b.commit(last, run) })
	failed := do(func(_ string, last wire.Fence) { b.fail(last, 1, true) })
	retry := do(func(_ string, last wire.Fence) { b.fail(last, 1, false) })
	release := do(func(_ string, last wire.Fence) {
		require.NoError(b, b.Release(b.Context(), last, wire.FailureDraining, "draining"))
	})
	closed := func(at int64, status wire.StepStatus) do {
		return func(run string, _ wire.Fence) { b.close(run, "a", at, status) }
	}
	ended := func(at int64) do { return func(run string, _ wire.Fence) { b.end(run, at, wire.RunCanceled) } }
	for name, sequence := range map[string][]any{
		"the scheduling that committed":        {claim{5, 6, wire.ClaimGranted}, commit, claim{5, 7, wire.ClaimDone}},
		"also the attempt that committed":      {claim{5, 6, wire.ClaimGranted}, commit, claim{5, 6, wire.ClaimDone}},
		"a scheduling before the committed":    {claim{5, 6, wire.ClaimGranted}, commit, claim{4, 9, wire.ClaimSuperseded}},
		"a reset after the commit":             {claim{5, 6, wire.ClaimGranted}, commit, claim{8, 9, wire.ClaimGranted}},
		"an attempt that started earlier":      {claim{5, 7, wire.ClaimGranted}, claim{5, 6, wire.ClaimWaiting}, claim{5, 8, wire.ClaimGranted}},
		"a later attempt":                      {claim{5, 6, wire.ClaimGranted}, claim{5, 7, wire.ClaimGranted}},
		"an older scheduling, started later":   {claim{5, 6, wire.ClaimGranted}, claim{4, 9, wire.ClaimSuperseded}},
		"a reset of an open run":               {claim{5, 9, wire.ClaimGranted}, claim{6, 7, wire.ClaimGranted}},
		"after a final failure":                {claim{5, 6, wire.ClaimGranted}, failed, claim{5, 7, wire.ClaimSuperseded}},
		"after a reset of a failed step":       {claim{5, 6, wire.ClaimGranted}, failed, claim{6, 7, wire.ClaimGranted}},
		"after a failure with retry":           {claim{5, 6, wire.ClaimGranted}, retry, claim{5, 7, wire.ClaimGranted}},
		"after a release":                      {claim{5, 6, wire.ClaimGranted}, release, claim{5, 7, wire.ClaimGranted}},
		"after a closing":                      {claim{5, 6, wire.ClaimGranted}, closed(8, wire.StepCanceled), claim{5, 9, wire.ClaimSuperseded}},
		"scheduled between the two":            {claim{5, 6, wire.ClaimGranted}, closed(8, wire.StepCanceled), claim{7, 9, wire.ClaimSuperseded}},
		"scheduled before a closing":           {closed(8, wire.StepCanceled), claim{7, 9, wire.ClaimSuperseded}},
		"scheduled after a closing":            {closed(8, wire.StepUpstreamFailed), claim{9, 9, wire.ClaimGranted}},
		"a closing from before the scheduling": {claim{9, 9, wire.ClaimGranted}, closed(8, wire.StepCanceled), claim{9, 10, wire.ClaimGranted}},
		"after the run's end":                  {claim{5, 6, wire.ClaimGranted}, ended(8), claim{5, 9, wire.ClaimSuperseded}},
		"first, after the run's end":           {ended(8), claim{5, 9, wire.ClaimSuperseded}},
		"a reset of an ended run":              {ended(8), claim{9, 10, wire.ClaimGranted}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := t.Name()
			b.begin(run, step("a", run))
			var last wire.Fence
			for i, part := range sequence {
				switch part := part.(type) {
				case do:
					part(run, last)
				case claim:
					answer := b.claim(run, "a", part.scheduled, part.started)
					require.Equal(t, part.want, answer.Outcome, "part %d", i)
					if part.want == wire.ClaimGranted {
						require.Greater(t, answer.Token, last.Token)
						if last.Token != 0 {
							require.True(t, b.commit(last, run).Refused, "what held the step before must be refused")
						}
						last = wire.Fence{Run: run, Step: "a", Scheduled: part.scheduled, Token: answer.Token}
					}
				}
			}
		})
	}
}

func TestClaimDoneReturnsTheRecordedResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.committed("r1", "a", 5, "a")
	claim := b.claim("r1", "a", 5, 9)
	require.Equal(t, &wire.StepResult{Materialized: []string{"a"}}, claim.Result)
}

func TestTheHolderThatAsksAgainKeepsItsToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	first := b.claim("r1", "a", 5, 6)
	before := b.dump()
	again := b.claim("r1", "a", 5, 6)
	require.Equal(t, first, again)
	require.Equal(t, before, b.dump())
}

func TestClaimOfAStepThatNobodyPlanned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	before := b.dump()
	require.Equal(t, wire.ClaimUnknown, b.claim("r1", "b", 1, 1).Outcome)
	require.Equal(t, wire.ClaimUnknown, b.claim("r2", "a", 1, 1).Outcome)
	require.Equal(t, before, b.dump())
}

func TestAnotherShapeIsTheReasonOfTheWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	other := request("r1", "a", 1, 1)
	other.Shape = "another"
	claim, err := b.Claim(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, wire.ClaimOtherShape, claim.Outcome)
	row := b.stepRow("r1", "a")
	require.Equal(t, wire.StepRunning, row.Status)
	require.Contains(t, row.Reason, "another shape")
	require.Zero(t, row.Attempt)

	// Whoever says why, it waits since the first time.
	since := b.handBack("r1", "a", 1).Since
	require.WithinDuration(t, row.ReasonSince, since, 0)
	other.Started = 2
	_, err = b.Claim(t.Context(), other)
	require.NoError(t, err)
	require.WithinDuration(t, since, b.stepRow("r1", "a").ReasonSince, 0)

	b.granted("r1", "a", 1, 3)
	require.Empty(t, b.stepRow("r1", "a").Reason)
	require.Equal(t, 1, b.stepRow("r1", "a").Attempt)
}

func TestHandBackOfWhatNobodyPlanned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.HandBack(t.Context(), metadata.HandBack{Run: "r1", Step: "a", Scheduled: time.Unix(0, 1), Grace: time.Minute})
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestAnAttemptOfAnotherShapeDoesNotCountTheHolderAsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.granted("r1", "a", 1, 1)
	other := request("r1", "a", 1, 2)
	other.Shape = "another"
	_, err := b.Claim(t.Context(), other)
	require.NoError(t, err)
	require.Zero(t, b.stepRow("r1", "a").Lost)
	b.granted("r1", "a", 1, 3)
	require.Equal(t, 1, b.stepRow("r1", "a").Lost)
}

func TestAStepWhoseWorkersDieFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b", "a"))
	for i := int64(1); i <= 3; i++ {
		claim := request("r1", "a", 5, 5+i)
		claim.Worker = "host-" + string(rune('0'+i))
		answer, err := b.Claim(t.Context(), claim)
		require.NoError(t, err)
		require.Equal(t, wire.ClaimGranted, answer.Outcome)
		require.Equal(t, 1, answer.Attempt, "a lost worker is no failure of the user's function")
	}

	claim := b.claim("r1", "a", 5, 9)
	require.Equal(t, wire.ClaimLost, claim.Outcome)
	require.Equal(t, []string{"host-1", "host-2", "host-3"}, claim.Workers)
	row := b.stepRow("r1", "a")
	require.Equal(t, wire.StepFailed, row.Status)
	require.Contains(t, row.Error.Message, "host-1, host-2, host-3")
	require.Contains(t, row.Error.Message, "out of memory")
	require.Contains(t, b.types("r1"), metadata.EventStepFailure)

	// Asked again it says the same, and what it wrote is free.
	before := b.dump()
	require.Equal(t, claim, b.claim("r1", "a", 5, 10))
	require.Equal(t, before, b.dump())
	b.granted("r1", "b", 5, 5)
}

func TestReleaseAndFailureAreNoLoss(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	for started := int64(1); started <= 10; started += 2 {
		require.NoError(t, b.Release(t.Context(), b.granted("r1", "a", 1, started), wire.FailureDraining, "its worker is stopping"))
		require.Equal(t, "its worker is stopping", b.stepRow("r1", "a").Reason)
		require.False(t, b.fail(b.granted("r1", "a", 1, started+1), int(started+1)/2, false))
		require.Equal(t, "retry "+string(rune('0'+(started+1)/2))+" in 1m30s", b.stepRow("r1", "a").Reason)
	}
	require.Zero(t, b.stepRow("r1", "a").Lost)
	require.Equal(t, 6, b.claim("r1", "a", 1, 20).Attempt)
}

func TestAResetForgetsFailuresAndLosses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.fail(b.granted("r1", "a", 1, 1), 1, false)
	b.granted("r1", "a", 1, 2)
	b.granted("r1", "a", 1, 3)
	require.Equal(t, 1, b.stepRow("r1", "a").Lost)
	require.Equal(t, 1, b.claim("r1", "a", 2, 4).Attempt)
	require.Zero(t, b.stepRow("r1", "a").Lost)
	require.Nil(t, b.stepRow("r1", "a").Error)
}

func TestEventsOfAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.fail(b.granted("r1", "a", 1, 1), 1, false)
	b.commit(b.granted("r1", "a", 1, 2), "a")
	b.end("r1", 3, wire.RunSuccess)
	require.Equal(t, []metadata.EventType{
		metadata.EventRunStart, metadata.EventMaterializationPlanned, metadata.EventStepStart, metadata.EventStepUpForRetry,
		metadata.EventStepRestarted, metadata.EventMaterialization, metadata.EventStepSuccess, metadata.EventRunSuccess,
	}, b.types("r1"))
}

func TestAnInputThatAResetLeftOutIsNotLoaded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	joined := step("joined")
	joined.Inputs = []plan.StepInput{{Asset: "flights", InRun: true}}
	b.begin("r1", step("flights"), joined)
	b.committed("r1", "flights", 1, "flights")
	require.Len(t, b.claim("r1", "joined", 2, 2).Inputs, 1)
	b.committed("r1", "flights", 10)
	require.Empty(t, b.claim("r1", "joined", 11, 11).Inputs)
}
