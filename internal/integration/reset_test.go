//go:build unix

package integration

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// itsEnd stands for the workflow task in which a run records its end.
const itsEnd = "its end"

// reset resets a run's latest execution: to its first workflow task, to the one that scheduled a step, or to its last.
func (f *fixture) reset(t *testing.T, run, step string) {
	t.Helper()
	point := int64(0)
	for _, event := range f.history(t, run, "") {
		switch scheduled := event.GetActivityTaskScheduledEventAttributes(); {
		case step == "" && event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED && point == 0:
			point = event.GetEventId()
		case step == itsEnd && event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			point = event.GetEventId()
		case step != "" && scheduled.GetActivityId() == step:
			point = scheduled.GetWorkflowTaskCompletedEventId()
		}
	}
	f.resetTo(t, run, point)
}

// resetTo resets a run's latest execution to the workflow task that was completed by that event.
func (f *fixture) resetTo(t *testing.T, run string, point int64) {
	t.Helper()
	require.NotZero(t, point)
	_, err := f.Temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: f.Config.Temporal.Namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: run},
		Reason: "a test", WorkflowTaskFinishEventId: point, RequestId: uuid.NewString(),
	})
	require.NoError(t, err)
}

// requireComputed checks a run in which steps were scheduled anew on purpose: each scheduling has one materialization,
// the current row and what the run's later steps loaded are of the latest one, and all values are right.
func (f *fixture) requireComputed(t *testing.T, run string, times map[string]int) {
	t.Helper()
	got, schedulings := map[string]int{}, map[string]int{}
	f.query(t, "select asset, count(*), count(distinct scheduled) from materializations where run_id = $1 group by asset",
		func(scan func(...any) error) error {
			var asset string
			var rows, distinct int
			err := scan(&asset, &rows, &distinct)
			got[asset], schedulings[asset] = rows, distinct
			return err
		}, run)
	require.Equal(t, times, got)
	require.Equal(t, times, schedulings, "one scheduling has several materializations")

	current, err := f.Store.Current(t.Context(), f.spec.Keys())
	require.NoError(t, err)
	sums := f.spec.Sums()
	calls := map[string]string{}
	for _, asset := range f.spec.Assets {
		latest := f.count(t, "select id from materializations where run_id = $1 and asset = $2 order by scheduled desc limit 1", run, asset.Key)
		require.EqualValues(t, latest, current[asset.Key].ID, "%s: the current row is not of the latest scheduling", asset.Key)
		value, err := f.Load(t.Context(), current[asset.Key])
		require.NoError(t, err)
		require.Equal(t, sums[asset.Key], value.Sum)
		calls[asset.Key] = value.Call
		for _, input := range asset.Inputs {
			require.Equal(t, calls[input], value.Inputs[input], "%s was not computed from the latest %s", asset.Key, input)
		}
		successes := 0
		for _, event := range f.events(t, run, metadata.EventStepSuccess) {
			if event.Step == asset.Key {
				successes++
			}
		}
		require.Equal(t, times[asset.Key], successes)
	}
	row := f.run(t, run)
	require.Equal(t, wire.RunSuccess, row.Status)
	require.Equal(t, wire.StepCounts{Succeeded: len(f.spec.Assets)}, row.Steps)
	require.Zero(t, f.count(t, "select count(*) from writers where run_id = $1", run))
}

func (f *fixture) requireReset(t *testing.T, run string) {
	t.Helper()
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.RunSuccess, result.Status)
	require.Equal(t, wire.StepCounts{Succeeded: len(f.spec.Assets)}, result.Steps)
}

func TestAFinishedRunIsReset(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		to    string
		times map[string]int
	}{
		"to its beginning":       {"", map[string]int{"source": 2, "middle": 2, "side": 2, "sink": 2}},
		"to a later point":       {"sink", map[string]int{"source": 1, "middle": 1, "side": 1, "sink": 2}},
		"to where its end began": {itsEnd, map[string]int{"source": 1, "middle": 1, "side": 1, "sink": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, diamond())
			f.worker(t, "b1")
			run := f.start(t, "1", "*")
			f.requireGood(t, run)
			f.reset(t, run, test.to)
			f.requireReset(t, run)
			f.requireComputed(t, run, test.times)
			f.requireCalls(t, run, test.times)
			require.Len(t, f.events(t, run, metadata.EventRunSuccess), 2)
			if test.times["sink"] > 1 {
				require.Len(t, f.events(t, run, metadata.EventRunRestarted), 1)
			}
		})
	}
}

func TestAnOpenRunIsReset(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		to    string
		times map[string]int
	}{
		"to its beginning": {"", map[string]int{"source": 2, "middle": 1, "side": 2, "sink": 1}},
		"to a later point": {"middle", map[string]int{"source": 1, "middle": 1, "side": 2, "sink": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, diamond())
			zombie := f.worker(t, "b1")
			f.instruct(t, "middle", testlocation.Instruction{Hold: true, Deaf: true})
			run := f.start(t, "1", "*")
			f.awaitNotes(t, testlocation.Called, "middle", 1)
			f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
			f.reset(t, run, test.to)
			// The attempt from before the reset and the one from after it are both at work now.
			f.awaitNotes(t, testlocation.Called, "middle", 2)
			f.release(t, "middle")
			f.requireReset(t, run)
			f.awaitAttemptsEnd(t, zombie, "middle")
			f.requireComputed(t, run, test.times)
			require.Empty(t, f.events(t, run, metadata.EventRunRestarted), "the run had not ended")
		})
	}
}

func TestARunningStepsActivityIsReset(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	f.worker(t, "b1")
	f.hold(t, "middle")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	output, err := f.temporal(t, "activity", "reset", "--workflow-id", run, "--activity-id", "middle")
	require.NoError(t, err, output)
	f.awaitNotes(t, testlocation.Stopped, "middle", 1)
	calls := f.awaitNotes(t, testlocation.Called, "middle", 2)
	f.release(t, "middle")
	f.requireGood(t, run)
	f.requireCalls(t, run, map[string]int{"middle": 2})
	require.Equal(t, 1, calls[1].Attempt, "a reset is no failure of the function")
	require.Zero(t, f.steps(t, run)["middle"].Lost, "nor a dead worker")
}
