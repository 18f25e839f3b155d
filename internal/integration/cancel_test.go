//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestACancelReachesEveryKindOfStep(t *testing.T) {
	t.Parallel()
	elsewhere := asset("elsewhere", "source")
	elsewhere.Queue = "nobody"
	flaky := asset("flaky", "source")
	flaky.Retries = &definitions.Retries{Max: 3, Delay: time.Hour}
	f := newFixture(t, []testlocation.Asset{asset("source"), asset("running", "source"), elsewhere, flaky, asset("sink", "running", "elsewhere", "flaky")})
	f.worker(t, "b1")
	f.hold(t, "running")
	f.instruct(t, "flaky", testlocation.Instruction{FailAttempts: []int{1}})
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "running", 1)
	f.awaitStep(t, run, "flaky", func(s metadata.Step) bool { return s.Reason != "" })
	require.Eventually(t, func() bool { return f.pending(t, run, "elsewhere") != nil }, longEnough, often)

	canceled := time.Now()
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	stopped := f.awaitNotes(t, testlocation.Stopped, "running", 1)
	require.Less(t, stopped[0].At.Sub(canceled), heardWithin)
	ended := f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Succeeded: 1, Canceled: 4})
	require.Equal(t, []string{"source"}, ended.Materialized)
	require.Less(t, f.run(t, run).EndedAt.Sub(canceled), 2*heardWithin)
	f.requireCalls(t, run, map[string]int{"sink": 0, "elsewhere": 0})
	described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_CANCELED, described.GetWorkflowExecutionInfo().GetStatus())
	require.ErrorContains(t, f.Starter.CancelRun(t.Context(), run), "has ended (Canceled in Temporal): there is nothing to cancel")
	require.Len(t, f.events(t, run, metadata.EventRunCanceled), 1)
	require.Len(t, f.events(t, run, metadata.EventStepCanceled), 4)

	// What it wrote is free.
	f.release(t, "running", "flaky")
	next := f.start(t, "2", "running")
	_, err = f.await(t, next)
	require.NoError(t, err)
}

func TestOneStepIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, append(diamond(), asset("after_side", "side")))
	f.worker(t, "b1")
	f.hold(t, "middle")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	output, err := f.temporal(t, "workflow", "update", "execute", "--workflow-id", run, "--name", wire.CancelStepUpdate, "--input", `{"step":"middel"}`)
	require.Error(t, err)
	require.Contains(t, strings.ReplaceAll(output, `\`, ""), `has no step "middel"`)
	output, err = f.temporal(t, "workflow", "update", "execute", "--workflow-id", run, "--name", wire.CancelStepUpdate, "--input", `{"step":"middle"}`)
	require.NoError(t, err, output)
	require.Contains(t, output, "CANCELED")
	f.awaitNotes(t, testlocation.Stopped, "middle", 1)
	f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 3, Skipped: 1, Canceled: 1})
	f.requireCalls(t, run, map[string]int{"sink": 0})
	require.Equal(t, wire.StepCanceled, f.steps(t, run)["middle"].Status)
}
