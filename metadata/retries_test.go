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

// retry begins a run that executes another one again, and takes over those of the steps that are named.
func (b *bench) retry(id, parent, root string, inherited map[string]string, steps ...plan.Step) {
	b.Helper()
	run := newRun(id, steps...)
	run.Plan.RetryOf, run.Plan.RootRunID = parent, root
	if len(inherited) > 0 {
		run.Plan.Inherited = map[string]plan.Inherited{}
		run.Plan.Walk.Kinds = []plan.Kind{{}}
		start := &plan.State{}
		for _, step := range steps {
			run.Plan.Walk.Steps = append(run.Plan.Walk.Steps, plan.WalkStep{Key: step.Key})
			if holder, ok := inherited[step.Key]; ok {
				start.Steps += "P"
				run.Plan.Inherited[step.Key] = plan.Inherited{Run: holder, Result: wire.StepResult{Materialized: []string{step.Key}}}
			} else {
				start.Steps += "."
			}
		}
		run.Plan.Walk.Start = start
	}
	planned, err := b.PlanRun(b.Context(), run)
	require.NoError(b, err)
	require.Equal(b, metadata.Planned, planned.Outcome)
}

func TestAnInheritedAssetIsLoadedAsTheEarlierRunMadeIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	joined := step("joined")
	joined.Inputs = []plan.StepInput{{Asset: "flights", InRun: true}}
	b.begin("r1", step("flights"), joined)
	first := b.committed("r1", "flights", 1, "flights")
	b.end("r1", 2, wire.RunFailure)
	// Another run's is current since.
	b.begin("r9", step("flights"))
	b.committed("r9", "flights", 3, "flights")

	joined.Inputs = []plan.StepInput{{Asset: "flights", InRun: true, From: "r1"}}
	b.retry("r1~1", "r1", "r1", map[string]string{"flights": "r1"}, step("flights"), joined)
	claim := b.claim("r1~1", "joined", 5, 5)
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	require.Len(t, claim.Inputs, 1)
	require.Equal(t, first.Token, claim.Inputs[0].Token)
	require.Equal(t, "file:///data/flights", claim.Inputs[0].Location)
	require.Equal(t, wire.ClaimUnknown, b.claim("r1~1", "flights", 5, 5).Outcome, "what is inherited does not run")

	row := b.stepRow("r1~1", "flights")
	require.Equal(t, "r1", row.InheritedFrom)
	require.Equal(t, wire.StepSuccess, row.Status)
	require.Equal(t, &wire.StepResult{Materialized: []string{"flights"}}, row.Result)
	result := b.end("r1~1", 9, wire.RunCanceled)
	require.Equal(t, wire.StepCounts{Canceled: 1}, result.Steps)
	run, err := b.Run(t.Context(), "r1~1")
	require.NoError(t, err)
	require.Equal(t, 1, run.StepsTotal)
	require.Equal(t, []any{"r1", "r1", 1}, []any{run.ParentRunID, run.RootRunID, run.RetryNumber})
}

func TestParentRunSaysHowItsStepsStand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	steps := append(fanned(), step("flights"), step("never"), step("broken"))
	b.begin("r1", steps...)
	b.ranOp("r1", "source", 1, "")
	b.ranOp("r1", "pages", 2, "a")
	b.committed("r1", "flights", 3, "flights")
	b.fail(b.granted("r1", "broken", 3, 3), 1, true)

	parent, err := b.ParentRun(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, "r1", parent.RootRunID)
	require.Equal(t, wire.RunStarted, parent.Status)
	require.Equal(t, "*", parent.Request.Assets.Expression)
	require.Equal(t, []plan.ParentStep{
		{Step: "source", Compute: "source", Run: "r1", Status: wire.StepSuccess, Result: &wire.StepResult{Recorded: true}},
		{Step: "pages", Compute: "pages", Run: "r1", Status: wire.StepSuccess, Result: &wire.StepResult{Recorded: true, Keys: []string{"a"}}},
		{Step: "etl.clean[a]", Compute: "etl.clean", Run: "r1", Status: wire.StepWaiting},
		{Step: "total[a]", Compute: "total", Run: "r1", Status: wire.StepWaiting},
		{Step: "summary", Compute: "summary", Run: "r1", Status: wire.StepWaiting},
		{Step: "flights", Compute: "flights", Assets: []string{"flights"}, Run: "r1", Status: wire.StepSuccess, Result: &wire.StepResult{Materialized: []string{"flights"}}},
		{Step: "never", Compute: "never", Assets: []string{"never"}, Run: "r1", Status: wire.StepWaiting},
		{Step: "broken", Compute: "broken", Assets: []string{"broken"}, Run: "r1", Status: wire.StepFailed},
	}, parent.Steps)
	b.end("r1", 5, wire.RunFailure)

	// A run that took a step over names the run that holds it, and that it is gone once it is.
	b.retry("r2", "r1", "r1", map[string]string{"flights": "r1"}, step("flights"), step("never"))
	b.retry("r3", "r2", "r1", map[string]string{"flights": "r1"}, step("flights"), step("never"))
	parent, err = b.ParentRun(t.Context(), "r3")
	require.NoError(t, err)
	require.Equal(t, "r1", parent.RootRunID)
	require.Equal(t, "r1", parent.Steps[0].Run)
	require.False(t, parent.Steps[0].Gone)
	_, err = b.db.ExecContext(t.Context(), "update materializations set removed_at = now() where run_id = 'r1'")
	require.NoError(t, err)
	parent, err = b.ParentRun(t.Context(), "r3")
	require.NoError(t, err)
	require.True(t, parent.Steps[0].Gone)
	require.False(t, parent.Steps[1].Gone)

	_, err = b.ParentRun(t.Context(), "r9")
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestAChainOfRetriesIsNumbered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	decided, err := b.DecideRetry(t.Context(), "r1", 2)
	require.NoError(t, err)
	require.False(t, decided.WillRetry, "it has not ended")
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Nil(t, run.WillRetry)

	b.end("r1", 1, wire.RunFailure)
	decided, err = b.DecideRetry(t.Context(), "r1", 2)
	require.NoError(t, err)
	require.Equal(t, metadata.RetryDecision{WillRetry: true, Number: 1, Root: "r1", GroupSize: 1}, decided)
	// Once; and whoever asks for a re-execution meanwhile is given another number.
	decided, err = b.DecideRetry(t.Context(), "r1", 0)
	require.NoError(t, err)
	require.Equal(t, 1, decided.Number)
	number, err := b.NextRetryNumber(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 2, number)

	b.retry("r1~1", "r1", "r1", nil, step("a"))
	b.end("r1~1", 2, wire.RunFailure)
	decided, err = b.DecideRetry(t.Context(), "r1~1", 2)
	require.NoError(t, err)
	require.Equal(t, metadata.RetryDecision{WillRetry: true, Number: 2, Root: "r1", GroupSize: 2}, decided)
	b.retry("r1~2", "r1~1", "r1", nil, step("a"))
	b.end("r1~2", 3, wire.RunFailure)
	decided, err = b.DecideRetry(t.Context(), "r1~2", 2)
	require.NoError(t, err)
	require.False(t, decided.WillRetry, "two retries are done")

	group, err := b.RunGroup(t.Context(), "r1")
	require.NoError(t, err)
	var runs []string
	for i, run := range group {
		runs = append(runs, run.ID)
		require.Equal(t, i, run.RetryNumber)
		require.NotNil(t, run.WillRetry)
		require.Equal(t, i < 2, *run.WillRetry)
	}
	require.Equal(t, []string{"r1", "r1~1", "r1~2"}, runs)
	_, err = b.DecideRetry(t.Context(), "r9", 2)
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestWhatIsNotStartedAgainByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	decide := func(run string) bool {
		decided, err := b.DecideRetry(t.Context(), run, 3)
		require.NoError(t, err)
		return decided.WillRetry
	}
	b.begin("good", step("a"))
	b.end("good", 1, wire.RunSuccess)
	require.False(t, decide("good"))
	b.begin("stopped", step("a"))
	b.end("stopped", 1, wire.RunCanceled)
	require.False(t, decide("stopped"))
	b.begin("again", step("a"))
	b.end("again", 1, wire.RunFailure)
	b.retry("by_hand", "again", "again", nil, step("a"))
	require.False(t, decide("again"), "a person was faster")
}

func TestDecidingAtOnceGivesEachRunItsNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r0", step("a"))
	b.end("r0", 1, wire.RunFailure)
	const runs = 6
	for i := 1; i <= runs; i++ {
		b.retry(fmt.Sprint("m", i), "r0", "r0", nil, step("a"))
		b.end(fmt.Sprint("m", i), 2, wire.RunFailure)
	}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		numbers = map[int]string{}
	)
	for i := range 2 * runs {
		wait.Go(func() {
			run := fmt.Sprint("m", i%runs+1)
			decided, err := b.DecideRetry(t.Context(), run, 100)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || numbers[decided.Number] != "" && numbers[decided.Number] != run {
				t.Errorf("%s: number %d is also of %q: %v", run, decided.Number, numbers[decided.Number], err)
			}
			numbers[decided.Number] = run
		})
	}
	wait.Wait()
	require.Len(t, numbers, runs)
}

func TestAResetDecidesAnewUnderTheSameNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.end("r1", 1, wire.RunFailure)
	first, err := b.DecideRetry(t.Context(), "r1", 1)
	require.NoError(t, err)
	b.fail(b.granted("r1", "a", time.Now().UnixNano(), 5), 1, true)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Nil(t, run.WillRetry)
	b.end("r1", time.Now().UnixNano(), wire.RunFailure)
	second, err := b.DecideRetry(t.Context(), "r1", 1)
	require.NoError(t, err)
	require.Equal(t, first, second)
}
