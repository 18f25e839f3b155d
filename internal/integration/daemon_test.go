//go:build unix

package integration

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/daemon"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// putRightWithin is the budget of the daemon, with room for a machine that does other things.
const putRightWithin = 2 * time.Minute

// daemon starts a daemon of the instance; the returned function stops it, as the end of the test does.
func (f *fixture) daemon(t *testing.T, change ...func(*daemon.Daemon)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	watch := &daemon.Daemon{
		Temporal: f.Temporal, Store: f.Store, Starter: f.Starter, Namespace: "default", Log: slog.New(slog.DiscardHandler),
		Retention: config.Retention{},
	}
	for _, c := range change {
		c(watch)
	}
	ended := make(chan error, 1)
	go func() { ended <- watch.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// awaitRow waits until the run's row is in the status.
func (f *fixture) awaitRow(t *testing.T, run string, status wire.RunStatus) (reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		row, err := f.Store.Run(t.Context(), run)
		reason = row.Reason
		return err == nil && row.Status == status
	}, putRightWithin, often, "run %s never became %s", run, status)
	return reason
}

func (f *fixture) startOn(t *testing.T, queue, run string, options client.StartWorkflowOptions, request wire.RunRequest) {
	t.Helper()
	options.ID, options.TaskQueue = run, queue
	_, err := f.Temporal.ExecuteWorkflow(t.Context(), options, wire.RunWorkflow, request)
	require.NoError(t, err)
}

func all() wire.RunRequest { return wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}} }

func TestWhatEndsBehindARunsBackIsPutRight(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a")})
	f.daemon(t)
	worker := f.worker(t, "b1")
	f.hold(t, "a")
	terminated, late := f.spec.Location+"-terminated", f.spec.Location+"-late"
	f.startOn(t, f.spec.Location, terminated, client.StartWorkflowOptions{}, all())
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), terminated, "", "it was in the way"))
	require.Contains(t, f.awaitRow(t, terminated, wire.RunFailure), "it was in the way")
	steps, err := f.Store.Steps(t.Context(), terminated, "", 10)
	require.NoError(t, err)
	require.Equal(t, wire.StepCanceled, steps.Rows[0].Status)

	// Nothing is held any more: another run writes the asset. Nobody is there to record that it takes too long.
	f.startOn(t, f.spec.Location, late, client.StartWorkflowOptions{WorkflowExecutionTimeout: 15 * time.Second}, all())
	f.awaitNotes(t, testlocation.Called, "a", 2)
	require.NoError(t, worker.Kill())
	require.Contains(t, f.awaitRow(t, late, wire.RunFailure), "longer than the timeout")
}

func TestARunThatNobodyTakesSaysWhy(t *testing.T) {
	t.Parallel()
	// In a deployment of its own: no daemon of another instance takes the run for one of its own.
	f := queued(t, []testlocation.Asset{asset("a")})
	f.daemon(t)
	f.worker(t, "b1")
	run, queue := f.spec.Location+"-lost", wire.Queue(f.Config.Deployment, f.spec.Location)
	f.startOn(t, queue+"s", run, client.StartWorkflowOptions{}, all())

	reason := f.awaitRow(t, run, wire.RunStarting)
	require.Equal(t, `no worker polls "`+queue+`s"; nearest: `+queue, reason)
	row, err := f.Store.Run(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, "*", row.Selection)

	require.NoError(t, f.Temporal.CancelWorkflow(t.Context(), run, ""))
	require.Contains(t, f.awaitRow(t, run, wire.RunCanceled), "cancelled before it began")
}

// The daemon's retry is the same as the workflow's own: once, under an id made from the first run's.
func TestATerminatedRunIsStartedAgainOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a"), asset("b", "a")})
	stop := f.daemon(t)
	f.daemon(t)
	f.worker(t, "b1")
	f.hold(t, "b")
	run := f.spec.Location + "-1"
	request := all()
	request.Tags = map[string]string{plan.TagMaxRetries: "1"}
	f.startOn(t, f.spec.Location, run, client.StartWorkflowOptions{}, request)
	f.awaitNotes(t, testlocation.Called, "b", 1)
	// The other daemon takes over.
	stop()
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), run, "", "gone"))
	f.awaitRow(t, run, wire.RunFailure)
	f.release(t, "b")
	f.awaitRow(t, run+"~1", wire.RunSuccess)
	again, err := f.Store.Run(t.Context(), run+"~1")
	require.NoError(t, err)
	require.Equal(t, run, again.ParentRunID)
	require.Equal(t, 1, again.StepsTotal, "what is done is taken over")
	group, err := f.Store.RunGroup(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, group, 2)
	f.awaitNotes(t, testlocation.Called, "a", 1)
}

// Who ended the run was killed before it started it again, or was a step that waited for it.
func TestAFailedRunThatNobodyStartedAgainIsStartedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a")})
	f.worker(t, "b1")
	f.hold(t, "a")
	run := f.spec.Location + "-1"
	request := all()
	request.Tags = map[string]string{plan.TagMaxRetries: "1"}
	f.startOn(t, f.spec.Location, run, client.StartWorkflowOptions{}, request)
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), run, "", "gone"))
	_, ended, err := f.Starter.EndDeadRun(t.Context(), run)
	require.NoError(t, err)
	require.True(t, ended)
	f.daemon(t)
	f.release(t, "a")
	f.awaitRow(t, run+"~1", wire.RunSuccess)
}
