//go:build unix

package integration

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// queued makes an instance of a deployment of its own: a deployment has one run queue.
func queued(t *testing.T, assets []testlocation.Asset, settings ...string) *fixture {
	t.Helper()
	return newFixture(t, assets, append(settings, "PERDURE_DEPLOYMENT=q"+strconv.FormatInt(fixtures.Add(1), 10))...)
}

// limitRuns sets how many runs are in progress at once.
func (f *fixture) limitRuns(t *testing.T, most int, tags ...wire.TagLimit) {
	t.Helper()
	tags = append([]wire.TagLimit{}, tags...)
	_, err := f.Store.SetQueueLimits(t.Context(), metadata.QueueLimits{MaxConcurrentRuns: &most, TagLimits: &tags}, "test", "")
	require.NoError(t, err)
}

func (f *fixture) limitPool(t *testing.T, pool string, limit int) {
	t.Helper()
	_, err := f.Store.SetPool(t.Context(), metadata.PoolSetting{Pool: pool, Limit: &limit, Who: "test"})
	require.NoError(t, err)
}

func TestAQueuedRunBeginsWhenAnotherEnds(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{asset("a")})
	f.worker(t, "b1")
	f.limitRuns(t, 1)
	f.hold(t, "a")
	first := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "*")
	f.awaitRow(t, second, wire.RunQueued)
	third := f.start(t, "3", "*")
	require.Contains(t, f.awaitRow(t, third, wire.RunQueued), first)
	require.Eventually(t, func() bool {
		described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), second, "")
		require.NoError(t, err)
		return string(described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[wire.SearchStatus].GetData()) == `"QUEUED"`
	}, longEnough, often)
	require.NoError(t, f.Temporal.CancelWorkflow(t.Context(), third, ""))
	f.requireEnd(t, third, wire.RunCanceled, wire.StepCounts{Canceled: 1})
	f.release(t, "a")
	f.requireGoodAgain(t, first)
	f.requireGood(t, second)
}

// requireGoodAgain is requireGood of a run since which another has made its assets.
func (f *fixture) requireGoodAgain(t *testing.T, run string) {
	t.Helper()
	_, err := f.await(t, run)
	require.NoError(t, err)
	verdict, err := f.VerifyAgain(t.Context(), f.spec, run)
	require.NoError(t, err)
	require.Equal(t, testlocation.Verdict{}, verdict)
}

func TestStepsOfAPoolWaitForEachOtherAcrossRuns(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}, {Key: "c", Inputs: []string{"a", "b"}}})
	f.worker(t, "b1")
	f.limitPool(t, "db", 1)
	f.hold(t, "a", "b")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.Empty(t, f.notes(t, testlocation.Called, "b"))
	f.release(t, "a", "b")
	f.requireGood(t, run)
	require.Zero(t, f.count(t, "select count(*) from slots"))
}

// While steps wait, a person may change the limit, or take a slot away from a step that is known to be gone: it goes on without.
func TestSlotsAreFreedByPeople(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}, {Key: "c", Pool: "db"}})
	f.worker(t, "b1")
	f.limitPool(t, "db", 1)
	f.hold(t, "a", "b", "c")
	first := f.start(t, "1", "a")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "b")
	f.awaitWaits(t, second, "b", "run "+first) // before the other asks
	third := f.start(t, "3", "c")
	f.awaitWaits(t, third, "c", "run "+first)

	freed, err := f.Store.FreeSlots(t.Context(), metadata.SlotSeizure{Pool: "db", RunID: first, Who: "test", Why: "its machine is gone"})
	require.NoError(t, err)
	require.Equal(t, []metadata.PoolSlot{{RunID: first, Step: "a"}}, freed.Freed)
	f.awaitNotes(t, testlocation.Called, "b", 1)
	require.Empty(t, f.notes(t, testlocation.Called, "c"))
	f.limitPool(t, "db", 3)
	f.awaitNotes(t, testlocation.Called, "c", 1)
	f.release(t, "a", "b", "c")
	for _, run := range []string{first, second, third} {
		_, err := f.await(t, run)
		require.NoError(t, err)
	}
	f.requireNothingWaits(t)
}

// awaitWaits waits until a step says for what it waits.
func (f *fixture) awaitWaits(t *testing.T, run, step, what string) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := f.Temporal.QueryWorkflow(t.Context(), run, "", wire.StepsQuery)
		var steps wire.StepsQueryResult
		if err != nil || answer.Get(&steps) != nil {
			return false
		}
		return slices.ContainsFunc(steps.Steps, func(state wire.StepState) bool {
			return state.Step == step && state.Status == wire.StepWaiting && strings.Contains(state.Reason, what)
		})
	}, longEnough, often)
}

// A cancel of a run gives back what it holds and waits for, and a failed step its slot.
func TestSlotsComeBackFromWhatEndsOtherwise(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}, {Key: "c", Pool: "db"}})
	f.worker(t, "b1")
	f.limitPool(t, "db", 1)
	f.hold(t, "a")
	f.instruct(t, "b", testlocation.Instruction{FailAll: true})
	first := f.start(t, "1", "a")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "b")
	f.awaitWaits(t, second, "b", "run "+first)
	third := f.start(t, "3", "c")
	f.awaitWaits(t, third, "c", "run "+first)
	require.NoError(t, f.Temporal.CancelWorkflow(t.Context(), first, ""))
	f.requireEnd(t, first, wire.RunCanceled, wire.StepCounts{Canceled: 1})
	f.requireEnd(t, second, wire.RunFailure, wire.StepCounts{Failed: 1})
	_, err := f.await(t, third)
	require.NoError(t, err)
	f.requireNothingWaits(t)
}

// unheard is a store by which something is freed, and nobody is woken: who would have done it was killed.
func (f *fixture) unheard(t *testing.T) *metadata.Store {
	t.Helper()
	store, err := metadata.Open(t.Context(), f.dsn, metadata.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// awaitRunQueue waits until the workflow RunQueue is there, or is not.
func (f *fixture) awaitRunQueue(t *testing.T, there bool) (execution string) {
	t.Helper()
	require.Eventually(t, func() bool {
		described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), wire.RunQueueID(f.Config.Deployment), "")
		if err != nil {
			return false
		}
		execution = described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		return (described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING) == there
	}, longEnough, often)
	return execution
}

// detailsOf is what Temporal's Web UI shows of a workflow; "" when nobody can be asked.
func (f *fixture) detailsOf(t *testing.T, workflow string) string {
	t.Helper()
	answer, err := f.Temporal.QueryWorkflow(t.Context(), workflow, "", "__temporal_workflow_metadata")
	var found sdk.WorkflowMetadata
	if err != nil || answer.Get(&found) != nil {
		return ""
	}
	return found.GetCurrentDetails()
}

// What was freed and nobody was told of is found within seconds, by RunQueue; which begins when something waits, and ends when nothing
// does.
func TestALostWakeOfTheQueueIsMadeUpFor(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}})
	f.worker(t, "b1")
	f.daemon(t)
	f.limitRuns(t, 1)
	f.limitPool(t, "db", 1)
	f.hold(t, "a", "b")
	first := f.start(t, "1", "a")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "b")
	f.awaitRow(t, second, wire.RunQueued)
	f.awaitRunQueue(t, true)

	require.Eventually(t, func() bool {
		details := f.detailsOf(t, wire.RunQueueID(f.Config.Deployment))
		return strings.Contains(details, "**1** runs wait in the queue") && strings.Contains(details, "| `"+second+"` |  | 3 |") &&
			strings.Contains(details, first)
	}, longEnough, often)
	require.Contains(t, f.detailsOf(t, second), "**QUEUED** ")
	require.Contains(t, f.detailsOf(t, second), first)

	two, began := 2, time.Now()
	unheard := f.unheard(t)
	set, err := unheard.SetQueueLimits(t.Context(), metadata.QueueLimits{MaxConcurrentRuns: &two}, "test", "")
	require.NoError(t, err)
	require.Len(t, set.Admitted, 1)
	f.awaitWaits(t, second, "b", "run "+first)
	require.Less(t, time.Since(began), 30*time.Second)

	began = time.Now()
	_, err = unheard.SetPool(t.Context(), metadata.PoolSetting{Pool: "db", Limit: &two, Who: "test"})
	require.NoError(t, err)
	f.awaitNotes(t, testlocation.Called, "b", 1)
	require.Less(t, time.Since(began), 30*time.Second)

	f.release(t, "a", "b")
	for _, run := range []string{first, second} {
		_, err := f.await(t, run)
		require.NoError(t, err)
	}
	f.awaitRunQueue(t, false)
	f.requireNothingWaits(t)
}

// A run that is terminated gives its place back, and RunQueue that is terminated comes back.
func TestWhatIsTerminatedHoldsNothing(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}})
	f.worker(t, "b1")
	f.daemon(t)
	f.limitRuns(t, 1)
	f.limitPool(t, "db", 1)
	f.hold(t, "a")
	first := f.start(t, "1", "a")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "b")
	f.awaitRow(t, second, wire.RunQueued)
	before := f.awaitRunQueue(t, true)
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), wire.RunQueueID(f.Config.Deployment), "", "test"))
	require.Eventually(t, func() bool { return f.awaitRunQueue(t, true) != before }, longEnough, often)
	require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), first, "", "test"))
	_, err := f.await(t, second)
	require.NoError(t, err)
	f.requireNothingWaits(t)
}

// A worker dies with all that it has: its runs and steps keep their places, and everything comes to its end.
func TestAWorkerThatDiesLeaksNoSlot(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}})
	dying := f.worker(t, "b1")
	f.limitRuns(t, 1)
	f.limitPool(t, "db", 1)
	f.hold(t, "a", "b")
	first := f.start(t, "1", "*")
	require.Eventually(t, func() bool { return len(f.notes(t, testlocation.Called, "")) == 1 }, longEnough, often)
	second := f.start(t, "2", "*")
	f.awaitRow(t, second, wire.RunQueued)
	require.NoError(t, dying.Kill())
	f.release(t, "a", "b")
	f.worker(t, "b1")
	f.requireGoodAgain(t, first)
	f.requireGood(t, second)
	f.requireNothingWaits(t)
}

// A run of many more steps than a pool has slots takes them all in turn, and continues as new meanwhile.
func TestALongRunInAPool(t *testing.T) {
	t.Parallel()
	const count = 150
	assets := manyAssets(count)
	for i := range assets {
		assets[i].Pool = "db"
	}
	f := queued(t, assets, "PERDURE_RUN_CONTINUE_AFTER_EVENTS=500")
	f.worker(t, "b1")
	f.limitPool(t, "db", 4)
	began := time.Now()
	run := f.start(t, "1", "*")
	f.requireGood(t, run)
	executions := f.executions(t, run)
	require.Greater(t, len(executions), 1)
	events := 0
	for _, execution := range executions {
		events += len(f.history(t, run, execution))
	}
	t.Logf("%d steps by 4 slots in %s, %d events in %d executions", count, time.Since(began).Round(time.Millisecond), events, len(executions))
	require.Less(t, events, 20*count, "what waits fills no history")
	f.requireNothingWaits(t)
}

// A run that waited, and has ended, is reset: to its planning, or to a moment at which it waited. Both times it runs again at once, although
// another one has the only place.
func TestAQueuedRunIsReset(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{asset("a"), asset("b")})
	f.worker(t, "b1")
	f.limitRuns(t, 1)
	f.hold(t, "b")
	first := f.start(t, "1", "b")
	f.awaitNotes(t, testlocation.Called, "b", 1)
	second := f.start(t, "2", "a")
	f.awaitRow(t, second, wire.RunQueued)
	f.release(t, "b")
	for _, run := range []string{first, second} {
		_, err := f.await(t, run)
		require.NoError(t, err)
	}
	f.hold(t, "b")
	third := f.start(t, "3", "b")
	f.awaitNotes(t, testlocation.Called, "b", 2)
	for task := range 2 {
		var tasks []int64
		for _, event := range f.history(t, second, "") {
			if event.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
				tasks = append(tasks, event.GetEventId())
			}
		}
		require.Greater(t, len(tasks), task)
		f.resetTo(t, second, tasks[1-task]) // the second task is the first that asks whether the run may begin
		_, err := f.await(t, second)
		require.NoError(t, err)
		require.Equal(t, task+2, f.count(t, "select count(*) from materializations where asset = 'a'"))
	}
	require.Len(t, f.events(t, second, metadata.EventRunRestarted), 2)
	f.release(t, "b")
	_, err := f.await(t, third)
	require.NoError(t, err)
	f.requireNothingWaits(t)
}
