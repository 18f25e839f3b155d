package activities

import (
	"context"
	"testing"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// A claim that Postgres lost in a crash is made again by whatever needs it next, and nobody above the ledger notices.
func TestALostClaimIsMadeAgain(t *testing.T) {
	t.Parallel()
	dsn := testenv.Prepared(t, metadata.Migrate)
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	db, err := sqlx.Open("postgres", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	begin := func(run string) {
		planned := &plan.Plan{Steps: []plan.Step{{Key: "a", Type: "a", Shape: "s", MaxLostWorkers: 3, Outputs: []plan.Output{{Asset: "a"}}}}}
		_, err := store.PlanRun(t.Context(), metadata.NewRun{
			ID: run, FirstRunID: run, Location: "flights", Build: "b", Queue: "flights", Plan: planned, Walk: []byte(`{"v":1,"steps":[]}`),
		})
		require.NoError(t, err)
	}
	claimed := func(run string) (*ledger, wire.Fence) {
		l := &ledger{store: store}
		claim, err := l.Claim(t.Context(), wire.ClaimRequest{Run: run, Step: "a", Scheduled: 1, Started: 1, Type: "a", Shape: "s", Worker: "w", Build: "b"})
		require.NoError(t, err)
		require.Equal(t, wire.ClaimGranted, claim.Outcome)
		return l, wire.Fence{Run: run, Step: "a", Scheduled: 1, Token: claim.Token}
	}
	crash := func() {
		_, err := db.ExecContext(t.Context(), "delete from token_guard; delete from steps where state = 'open'; delete from writers")
		require.NoError(t, err)
	}
	commit := func(l *ledger, fence wire.Fence) (wire.Committed, error) {
		return l.Commit(t.Context(), wire.Commit{
			Fence: fence, Attempt: 1, Result: wire.StepResult{Recorded: true}, Outputs: []wire.CommittedOutput{{Asset: "a", SlotToken: fence.Token}},
		})
	}
	current := func() metadata.Materialization {
		found, err := store.Current(t.Context(), []string{"a"})
		require.NoError(t, err)
		return found["a"]
	}

	begin("commits")
	l, fence := claimed("commits")
	crash()
	committed, err := commit(l, fence)
	require.NoError(t, err)
	require.False(t, committed.Refused)
	require.Equal(t, fence.Token, current().SlotToken)
	require.Greater(t, current().Token, fence.Token)
	committed, err = commit(l, fence)
	require.NoError(t, err)
	require.False(t, committed.Refused, "asked again it answers as it did")

	begin("checks")
	l, fence = claimed("checks")
	for range 2 {
		crash()
		state, err := l.CheckToken(t.Context(), wire.TokenCheck{Fence: fence, SlotToken: fence.Token})
		require.NoError(t, err)
		require.Equal(t, wire.TokenState{Holds: true}, state)
	}
	committed, err = commit(l, fence)
	require.NoError(t, err)
	require.False(t, committed.Refused)

	begin("fails")
	l, fence = claimed("fails")
	crash()
	refused, err := l.Fail(t.Context(), wire.Failure{Fence: fence, Attempt: 1, Final: true, Error: wire.ErrorInfo{Message: "no"}})
	require.NoError(t, err)
	require.False(t, refused)

	begin("releases")
	l, fence = claimed("releases")
	crash()
	require.NoError(t, l.Release(t.Context(), fence, context.Canceled))
	require.NoError(t, l.concede(t.Context(), "cut off"))

	// While another run's step writes the asset, Postgres is as good as away.
	begin("waits")
	begin("writes")
	l, fence = claimed("waits")
	crash()
	other, otherFence := claimed("writes")
	_, err = commit(l, fence)
	require.ErrorIs(t, err, step.ErrUnavailable)
	require.ErrorContains(t, err, "step a of run writes writes a")
	_, err = commit(other, otherFence)
	require.NoError(t, err)
	committed, err = commit(l, fence)
	require.NoError(t, err)
	require.False(t, committed.Refused)
	require.Equal(t, fence.Token, current().SlotToken, "what was recorded last is current")

	// Closed meanwhile: it is refused, and stays so.
	begin("closed")
	l, fence = claimed("closed")
	crash()
	_, err = store.EndRun(t.Context(), metadata.RunEnd{RunID: "closed", FirstRunID: "closed", Status: wire.RunCanceled})
	require.NoError(t, err)
	committed, err = commit(l, fence)
	require.NoError(t, err)
	require.True(t, committed.Refused)
}
