//go:build unix

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/daemon"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func limited(limits config.Run) func(*daemon.Daemon) {
	return func(d *daemon.Daemon) { d.Limits = limits }
}

func (f *fixture) requireTerminated(t *testing.T, run, reason string) {
	t.Helper()
	described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, described.GetWorkflowExecutionInfo().GetStatus())
	events := f.history(t, run, "")
	require.Equal(t, reason, events[len(events)-1].GetWorkflowExecutionTerminatedEventAttributes().GetReason())
}

// The row that the daemon made of it ends with its workflow, and the run is started again where that is set.
func TestARunThatDoesNotBeginInTimeFails(t *testing.T) {
	t.Parallel()
	// Runs of other tests, which the daemon sees, too, may take longer to begin.
	f := queued(t, []testlocation.Asset{asset("a")})
	f.daemon(t, limited(config.Run{StartTimeout: 25 * time.Second}))
	f.worker(t, "b1")
	run, nowhere := f.spec.Location+"-1", wire.Queue(f.Config.Deployment, f.spec.Location+"-nowhere")
	request := all()
	request.Tags = map[string]string{plan.TagMaxRetries: "1"}
	f.startOn(t, nowhere, run, client.StartWorkflowOptions{}, request)
	reason := f.awaitRow(t, run, wire.RunFailure)
	require.Equal(t, `it did not begin within 25s (run.start_timeout): no worker polls "`+nowhere+`"; nearest: `+wire.Queue(f.Config.Deployment, f.spec.Location), reason)
	f.requireTerminated(t, run, reason)
	require.Len(t, f.events(t, run, metadata.EventRunFailure), 1)
	require.Eventually(t, func() bool {
		_, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run+"~1", "")
		return err == nil
	}, putRightWithin, often)
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), run+"~1", "", "the test is over"))
}

// A function that does not listen keeps no run from ending: what it returns later is not recorded, and another run may write.
func TestACancelledRunThatDoesNotStopIsEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a")})
	f.daemon(t, limited(config.Run{CancelTimeout: 3 * time.Second}))
	f.worker(t, "b1")
	f.instruct(t, "a", testlocation.Instruction{Hold: true, Deaf: true})
	run := f.start(t, "deaf", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	reason := f.awaitRow(t, run, wire.RunCanceled)
	require.Equal(t, "it was cancelled, and had not stopped 3s later (run.cancel_timeout)", reason)
	f.requireTerminated(t, run, reason)
	require.Zero(t, f.count(t, "select count(*) from writers where run_id = $1", run))
	f.release(t, "a")
	f.requireGood(t, f.start(t, "next", "*"))
	require.Equal(t, 1, f.count(t, "select count(*) from materializations"))
}

// The same of one that takes longer than it may, and does not stop: that is a failure.
func TestARunThatTakesTooLongAndDoesNotStopFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a")})
	f.daemon(t, limited(config.Run{CancelTimeout: 3 * time.Second}))
	worker := f.worker(t, "b1")
	f.instruct(t, "a", testlocation.Instruction{Hold: true, Deaf: true})
	request := all()
	request.Tags = map[string]string{plan.TagMaxRuntime: "8s"}
	deaf, lost := f.spec.Location+"-deaf", f.spec.Location+"-lost"
	f.startOn(t, f.spec.Location, deaf, client.StartWorkflowOptions{}, request)
	f.awaitNotes(t, testlocation.Called, "a", 1)
	reason := f.awaitRow(t, deaf, wire.RunFailure)
	require.Equal(t, "it took longer than the 8s that it may, and had not stopped 3s later (run.cancel_timeout)", reason)
	f.requireTerminated(t, deaf, reason)

	// Nobody is there to fire its timer.
	f.startOn(t, f.spec.Location, lost, client.StartWorkflowOptions{}, request)
	f.awaitNotes(t, testlocation.Called, "a", 2)
	require.NoError(t, worker.Kill())
	require.Equal(t, reason, f.awaitRow(t, lost, wire.RunFailure))
}

// A cancel that no worker hears is recorded by whoever looks at the run, and counts from then on.
func TestACancelThatNoWorkerHearsIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("a")})
	worker := f.worker(t, "b1")
	f.hold(t, "a")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.NoError(t, worker.Kill())
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	_, ended, err := f.Starter.EndDeadRun(t.Context(), run)
	require.NoError(t, err)
	require.False(t, ended)
	require.Equal(t, wire.RunCanceling, f.run(t, run).Status)

	// Whoever was ending it was killed between the workflow and the row.
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), run, "", "it does not stop"))
	result, ended, err := f.Starter.EndDeadRun(t.Context(), run)
	require.NoError(t, err)
	require.True(t, ended)
	require.Equal(t, wire.RunCanceled, result.Status)
}
