package metadata_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// crash leaves what a crash of Postgres does that loses these claims: their rows are gone, the sequence is where it was before
// them, and unlogged tables are empty.
func (b *bench) crash(lost ...wire.Fence) {
	b.Helper()
	tx, err := b.db.BeginTxx(b.Context(), nil)
	require.NoError(b, err)
	defer func() { require.NoError(b, tx.Commit()) }()
	exec := func(query string, arguments ...any) {
		_, err := tx.ExecContext(b.Context(), query, arguments...)
		require.NoError(b, err)
	}
	exec("delete from token_guard")
	for _, fence := range lost {
		exec("delete from writers where run_id = $1 and step = $2", fence.Run, fence.Step)
		exec("delete from steps where run_id = $1 and step = $2", fence.Run, fence.Step)
		exec("select setval('step_tokens', least($1, (select last_value from step_tokens)), $1 > 1)", max(fence.Token-1, 1))
	}
}

func TestAClaimThatACrashLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b"), step("c"))
	lost := b.granted("r1", "a", 1, 1)
	b.crash(lost)
	state, err := b.CheckToken(t.Context(), wire.TokenCheck{Fence: lost, SlotToken: lost.Token})
	require.NoError(t, err)
	require.Equal(t, wire.TokenState{Lost: true}, state)
	require.Equal(t, wire.Committed{Refused: true, Lost: true}, b.commit(lost, "a"))
	failed, err := b.Store.Fail(t.Context(), wire.Failure{Fence: lost, Attempt: 1})
	require.NoError(t, err)
	require.Equal(t, wire.Failed{Refused: true, Lost: true}, failed)
	require.NoError(t, b.Release(t.Context(), lost, wire.FailureDraining, "draining"))

	// Another step is claimed first: it finds out that Postgres has crashed.
	other := b.granted("r1", "b", 1, 1)
	require.Greater(t, other.Token, lost.Token)
	require.Equal(t, wire.Committed{Refused: true, Lost: true}, b.commit(lost, "a"))
	again := b.granted("r1", "a", 1, 1)
	require.Greater(t, again.Token, other.Token)
	require.Equal(t, wire.Committed{Refused: true}, b.commit(lost, "a"), "another one holds the step now")
	commit := commitOf(again, "a")
	commit.Outputs[0].SlotToken = lost.Token
	committed, err := b.Commit(t.Context(), commit)
	require.NoError(t, err)
	require.False(t, committed.Refused)
	current, err := b.Current(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, lost.Token, current["a"].SlotToken)
	require.Zero(t, b.stepRow("r1", "a").Lost)
	requireOneEventForEachRow(t, b)

	// What was granted after the crash is not lost, whatever is in the way.
	require.Equal(t, wire.Committed{Refused: true}, b.commit(wire.Fence{Run: "r1", Step: "c", Scheduled: 1, Token: again.Token}, "c"))
}

func TestAClaimThatWasLostIsRefusedWhereSomethingHappenedSince(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, since := range map[string]struct {
		do   func(run string)
		lost bool
	}{
		"nothing":                     {func(string) {}, true},
		"another worker handed it on": {func(run string) { b.handBack(run, "a", 1) }, true},
		"another attempt":             {func(run string) { b.granted(run, "a", 1, 2) }, false},
		"a reset":                     {func(run string) { b.granted(run, "a", 5, 5) }, false},
		"a closing":                   {func(run string) { b.close(run, "a", 9, wire.StepCanceled) }, false},
		"the run's end":               {func(run string) { b.end(run, 9, wire.RunFailure) }, false},
	} {
		b.begin(name, step("a", name))
		lost := b.granted(name, "a", 1, 1)
		b.crash(lost)
		since.do(name)
		committed := b.commit(lost, name)
		require.True(t, committed.Refused, name)
		require.Equal(t, since.lost, committed.Lost, name)
		if since.lost {
			again := b.granted(name, "a", 1, 1)
			require.False(t, b.commit(again, name).Refused, name)
		}
	}
}

// While Postgres crashes again and again and loses what it may, no token is granted twice, and later ones are greater.
func TestTokensAreNeverGrantedTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const crashes, parallel, each = 30, 8, 3
	granted := map[int64]bool{}
	greatest := int64(0)
	for round := range crashes {
		if random.IntN(3) == 0 {
			// The limit is near.
			_, err := b.db.ExecContext(t.Context(), "update token_limit set reserved = $1", greatest+random.Int64N(parallel*each))
			require.NoError(t, err)
		}
		before := greatest
		var (
			mu     sync.Mutex
			wait   sync.WaitGroup
			fences []wire.Fence
		)
		for worker := range parallel {
			run := fmt.Sprintf("r%d-%d", round, worker)
			wait.Go(func() {
				outcome, err := b.PlanRun(t.Context(), newRun(run, step("a", run+"a"), step("b", run+"b"), step("c", run+"c")))
				if err != nil || outcome.Outcome != metadata.Planned {
					t.Errorf("plan %s: %v %v", run, outcome.Outcome, err)
				}
				for _, key := range []string{"a", "b", "c"} {
					claim, err := b.Claim(t.Context(), request(run, key, 1, 1))
					if err != nil || claim.Outcome != wire.ClaimGranted {
						t.Errorf("claim %s of %s: %v %v", key, run, claim.Outcome, err)
					}
					mu.Lock()
					fences = append(fences, wire.Fence{Run: run, Step: key, Scheduled: 1, Token: claim.Token})
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		for _, fence := range fences {
			require.False(t, granted[fence.Token], "token %d was granted twice", fence.Token)
			granted[fence.Token] = true
			require.Greater(t, fence.Token, before)
			greatest = max(greatest, fence.Token)
		}
		random.Shuffle(len(fences), func(i, j int) { fences[i], fences[j] = fences[j], fences[i] })
		b.crash(fences[:random.IntN(len(fences))]...)
	}
}

// A report takes a token, too: it is the first after the crash here.
func TestAReportTakesNoTokenThatACrashLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"), step("b"))
	lost := b.granted("r1", "a", 1, 1)
	last := b.committed("r1", "b", 1, "b")
	b.crash(lost)
	for _, asset := range []string{"a", "b"} {
		_, err := b.Report(t.Context(), metadata.Report{ID: "report of " + asset, Asset: asset, Type: wire.ReportMaterialization, Partitions: []string{""}})
		require.NoError(t, err)
		require.Equal(t, 1, b.count("select count(*) from asset_partitions where asset = $1 and run_id = '' and token > $2", asset, last.Token))
	}
}
