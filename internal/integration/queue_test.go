//go:build unix

package integration

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func TestARunIsPlannedWhileEverySlotIsTaken(t *testing.T) {
	t.Parallel()
	const slots = 3
	f := newFixture(t, []testlocation.Asset{asset("a"), asset("b"), asset("c"), asset("other")},
		"PERDURE_WORKER_MAX_CONCURRENT_STEPS_PER_WORKER="+strconv.Itoa(slots))
	f.worker(t, "b1")
	f.hold(t, "a", "b", "c")
	blocking := f.start(t, "1", "a or b or c")
	for _, key := range []string{"a", "b", "c"} {
		f.awaitNotes(t, testlocation.Called, key, 1)
	}
	run := f.start(t, "2", "other")
	require.Eventually(t, func() bool {
		described, err := f.Store.Run(t.Context(), run)
		return err == nil && described.Status == wire.RunStarted
	}, 30*time.Second, often)
	// A refusal, too, needs no slot.
	output, err := f.temporal(t, "workflow", "execute", "--type", "Run", "--task-queue", f.spec.Location,
		"--workflow-id", f.spec.Location+"-bad", "--input", `{"assets":"otehr"}`)
	require.Error(t, err)
	require.Contains(t, output, "other")
	require.Empty(t, f.notes(t, testlocation.Called, "other"))
	f.release(t, "a", "b", "c")
	for _, id := range []string{blocking, run} {
		_, err := f.await(t, id)
		require.NoError(t, err)
	}
	f.requireCalls(t, run, map[string]int{"a": 0, "b": 0, "c": 0})
}

func TestANamespaceWithoutSearchAttributes(t *testing.T) {
	t.Parallel()
	shared := newFixture(t, nil)
	namespace := "bare-" + strconv.FormatInt(fixtures.Add(1), 10)
	_, err := shared.Temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	// The server's own list of namespaces is refreshed now and then.
	require.Eventually(t, func() bool {
		_, err := shared.Temporal.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{Namespace: namespace})
		var unknown *serviceerror.NamespaceNotFound
		return !errors.As(err, &unknown)
	}, longEnough, often)
	f := newFixture(t, diamond(), "PERDURE_TEMPORAL_NAMESPACE="+namespace)
	f.worker(t, "b1")
	run := f.start(t, "1", "*")
	f.requireGood(t, run)
	f.requireCalls(t, run, nil)
	described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	for name := range described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields() {
		require.NotContains(t, name, "Perdure")
	}

	// The shared namespace has them.
	with := newFixture(t, diamond())
	with.worker(t, "b1")
	run = with.start(t, "1", "*")
	with.requireGood(t, run)
	described, err = with.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	fields := described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()
	require.JSONEq(t, `"SUCCESS"`, string(fields[wire.SearchStatus].GetData()))
	require.JSONEq(t, `["middle","side","sink","source"]`, string(fields[wire.SearchAssets].GetData()))
}

func TestARefusedRequestMakesNoRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	f.worker(t, "b1")
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, ID: f.spec.Location + "-1", Request: wire.RunRequest{
		Assets: wire.AssetSelection{Expression: "sink"},
	}})
	var problems wire.Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 2)
	require.Zero(t, f.count(t, "select count(*) from runs"))
	require.Zero(t, f.count(t, "select count(*) from plan_steps"))
}
