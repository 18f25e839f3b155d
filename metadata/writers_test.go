package metadata_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

func TestOneWriterAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin("r1", step("a"))
	b.begin("r2", step("both", "b", "a"))
	b.begin("r3", step("b"))
	holder := b.granted("r1", "a", 1, 1)

	claim := b.claim("r2", "both", 1, 1)
	require.Equal(t, wire.ClaimWaiting, claim.Outcome)
	require.Equal(t, "r1", claim.Holder.Run)
	require.Equal(t, "a", claim.Holder.Step)
	require.Equal(t, "a", claim.Holder.Asset)
	require.Equal(t, "host-1", claim.Holder.Worker)
	require.NotZero(t, claim.Holder.Since)
	waiting := b.stepRow("r2", "both")
	require.Equal(t, "waits for step a of run r1, which is writing a", waiting.Reason)
	require.Equal(t, wire.StepRunning, waiting.Status)

	// It took nothing: b is free for another.
	b.committed("r3", "b", 1, "b")
	// Between two attempts the holder keeps it, and the wait is as long as it is.
	b.fail(holder, 1, false)
	require.Equal(t, wire.ClaimWaiting, b.claim("r2", "both", 1, 2).Outcome)
	require.Equal(t, waiting.ReasonSince, b.stepRow("r2", "both").ReasonSince)

	b.committed("r1", "a", 1, "a")
	claim = b.claim("r2", "both", 1, 3)
	require.Equal(t, wire.ClaimGranted, claim.Outcome)
	require.Equal(t, 1, claim.Attempt)
	require.Zero(t, b.stepRow("r2", "both").Lost, "waiting is no loss")
	require.Empty(t, b.stepRow("r2", "both").Reason)
}

func TestWhateverEndsAStepFreesWhatItWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, end := range map[string]func(fence wire.Fence){
		"a commit":        func(fence wire.Fence) { b.commit(fence, fence.Run) },
		"a final failure": func(fence wire.Fence) { b.fail(fence, 1, true) },
		"a closing":       func(fence wire.Fence) { b.close(fence.Run, "a", 9, wire.StepCanceled) },
		"the run's end":   func(fence wire.Fence) { b.end(fence.Run, 9, wire.RunCanceled) },
		"a left-over": func(fence wire.Fence) {
			_, err := b.db.ExecContext(b.Context(), "update steps set token = token + 1000 where run_id = $1", fence.Run)
			require.NoError(b, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, other := t.Name(), t.Name()+" again"
			b.begin(run, step("a", run))
			b.begin(other, step("a", run))
			fence := b.granted(run, "a", 1, 1)
			require.Equal(t, wire.ClaimWaiting, b.claim(other, "a", 1, 1).Outcome)
			end(fence)
			b.granted(other, "a", 1, 2)
		})
	}
}

// Runs whose steps write overlapping sets of assets in opposite orders claim and commit at once: never
// are two of them between grant and commit with an asset in common, and none is stopped by a deadlock.
func TestNeverTwoWriters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sets := [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "c"}, {"c", "a"}, {"a"}, {"b", "a"}}
	const each = 6
	var names []string
	holding := map[string]*atomic.Int32{"a": {}, "b": {}, "c": {}}
	for i := range len(sets) * each {
		name := "r" + string(rune('A'+i/26)) + string(rune('a'+i%26))
		b.begin(name, step("s", sets[i%len(sets)]...))
		names = append(names, name)
	}
	var wait sync.WaitGroup
	var waited atomic.Int32
	for i, name := range names {
		wait.Go(func() {
			assets := sets[i%len(sets)]
			for started := int64(1); ; started++ {
				claim, err := b.Claim(t.Context(), request(name, "s", 1, started))
				if err != nil {
					t.Errorf("claim: %v", err)
					return
				}
				if claim.Outcome == wire.ClaimWaiting {
					waited.Add(1)
					continue
				}
				for _, asset := range assets {
					if n := holding[asset].Add(1); n != 1 {
						t.Errorf("%d writers of %s", n, asset)
					}
				}
				for _, asset := range assets {
					holding[asset].Add(-1)
				}
				committed, err := b.Commit(t.Context(), commitOf(wire.Fence{Run: name, Step: "s", Scheduled: 1, Token: claim.Token}, assets...))
				if err != nil || committed.Refused {
					t.Errorf("commit: refused %v, error %v", committed.Refused, err)
				}
				return
			}
		})
	}
	wait.Wait()
	require.Positive(t, waited.Load(), "the test had no contention")
	require.Equal(t, len(names), b.count("select count(*) from steps where state = 'done'"))
	require.Zero(t, b.count("select count(*) from writers"))
}
