//go:build unix

package integration

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/wire"
)

// holdPlanning keeps runs from being recorded until the returned function is called.
func (f *fixture) holdPlanning(t *testing.T) (release func()) {
	t.Helper()
	db, err := sql.Open("postgres", f.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "lock table runs in access exclusive mode")
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback()) }
}

// startPlanning starts a run of everything, and returns once a worker plans it.
func (f *fixture) startPlanning(t *testing.T) (run string) {
	t.Helper()
	run = f.spec.Location + "-1"
	// The starter itself would look at the runs.
	_, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: run, TaskQueue: f.spec.Location},
		wire.RunWorkflow, wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return f.pending(t, run, wire.SystemPrefix+"plan").GetState() == enums.PENDING_ACTIVITY_STATE_STARTED
	}, longEnough, often)
	return run
}

func TestAWorkerDiesWhileItPlans(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	dying := f.worker(t, "b1")
	release := f.holdPlanning(t)
	run := f.startPlanning(t)
	killed := time.Now()
	require.NoError(t, dying.Kill())
	f.worker(t, "b1")
	release()
	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
	require.Less(t, f.notes(t, testlocation.Called, "source")[0].At.Sub(killed), noticedWithin)
}

func TestARunIsCancelledWhileItIsPlanned(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	f.worker(t, "b1")
	release := f.holdPlanning(t)
	run := f.startPlanning(t)
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	release()
	f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Canceled: 4})
	require.Empty(t, f.notes(t, testlocation.Called, ""))
}
