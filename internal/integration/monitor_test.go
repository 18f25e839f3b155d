//go:build unix

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/daemon"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// limited makes a daemon that keeps limits. It looks often: a worker itself gives up a function that does not listen after 10 seconds.
func limited(limits config.Run) func(*daemon.Daemon) {
	return func(d *daemon.Daemon) { d.Limits, d.Every = limits, 500*time.Millisecond }
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
	// In a deployment of its own: the daemon ends what does not begin in any of its locations.
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

// plannedNowhere starts a run's workflow on a queue where nobody plans it, and plans it as a worker would have that died then.
func (f *fixture) plannedNowhere(t *testing.T, queue, run string) {
	t.Helper()
	started, err := f.Temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: run, TaskQueue: queue}, wire.RunWorkflow, all())
	require.NoError(t, err)
	planned, err := f.Store.PlanRun(t.Context(), metadata.NewRun{
		ID: run, FirstRunID: started.GetRunID(), Location: f.spec.Location, Queue: queue, Walk: []byte("{}"), Request: all(),
		Plan: &plan.Plan{Steps: []plan.Step{{Key: "a", Type: "a"}}, Walk: plan.Walk{Steps: []plan.WalkStep{{Key: "a"}}, Kinds: []plan.Kind{{}}}, Priority: wire.PriorityNormal},
	})
	require.NoError(t, err)
	require.NotEmpty(t, planned.Queued)
}

// While a run waits in the queue it has all time; from its admission on it has to begin. What is cancelled there ends, also when no
// worker hears of it.
func TestQueuedRunsThatNobodyServes(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{asset("a")})
	// Here somebody takes the run, and does not ask whether it may begin.
	stuckQueue, nowhere := wire.Queue(f.Config.Deployment, f.spec.Location+"-stuck"), wire.Queue(f.Config.Deployment, f.spec.Location+"-nowhere")
	stuckWorker := worker.New(f.Temporal, stuckQueue, worker.Options{})
	stuckWorker.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		return workflow.Await(ctx, func() bool { return false })
	}, workflow.RegisterOptions{Name: wire.RunWorkflow})
	require.NoError(t, stuckWorker.Start())
	t.Cleanup(stuckWorker.Stop)
	f.limitRuns(t, 0)
	stuck, lost, cancelled := f.spec.Location+"-stuck", f.spec.Location+"-lost", f.spec.Location+"-cancelled"
	f.plannedNowhere(t, stuckQueue, stuck)
	f.plannedNowhere(t, nowhere, lost)
	f.plannedNowhere(t, nowhere, cancelled)
	f.daemon(t, limited(config.Run{StartTimeout: 5 * time.Second}))
	require.NoError(t, f.Starter.CancelRun(t.Context(), cancelled))
	require.Contains(t, f.awaitRow(t, cancelled, wire.RunCanceled), `it was cancelled before it began: no worker polls "`+nowhere+`"`)
	f.requireTerminated(t, cancelled, "it was cancelled before it began")

	// That took longer than a run has to begin.
	require.Equal(t, wire.RunQueued, f.run(t, stuck).Status)
	require.Equal(t, wire.RunQueued, f.run(t, lost).Status)
	f.limitRuns(t, 1)
	require.Equal(t, "it did not begin within 5s (run.start_timeout)", f.awaitRow(t, stuck, wire.RunFailure))
	require.Contains(t, f.awaitRow(t, lost, wire.RunFailure), `it did not begin within 5s (run.start_timeout): no worker polls "`+nowhere+`"`)
	ended, admitted := f.events(t, stuck, metadata.EventRunFailure), f.events(t, lost, metadata.EventRunStarting)
	require.Equal(t, []int{1, 1}, []int{len(ended), len(admitted)})
	require.Less(t, ended[0].Position, admitted[0].Position, "the place of one that does not begin is handed on")
	f.requireNothingWaits(t)
}
