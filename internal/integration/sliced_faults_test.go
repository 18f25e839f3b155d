//go:build unix

package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func keysOf(keys ...string) wire.AssetSelection { return wire.AssetSelection{Keys: keys} }

func overFirstDays(n int, keys ...string) wire.RunRequest {
	request := overDays("", 0, n)
	request.Assets = keysOf(keys...)
	return request
}

func TestAWorkerDiesUnderARangeThatIsStaged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	first := f.worker(t, "b1")
	f.instruct(t, "report", testlocation.Instruction{HoldPublish: true})
	run := f.startOver(t, "1", overFirstDays(5, "flights", "delays", "report"))
	f.awaitNotes(t, testlocation.Publishing, "report", 5)
	f.awaitStagedInHeartbeat(t, run, "report")
	second := f.worker(t, "b1")
	require.NoError(t, first.Kill())
	f.awaitNotes(t, testlocation.Publishing, "report", 10)
	f.release(t, "report")
	all := dayKeys(0, 5)
	f.requireMade(t, run, made{"flights": all, "delays": all, "report": all})
	require.Len(t, f.notes(t, testlocation.Called, "report"), 1, "what was staged is not computed again")
	require.Contains(t, second.Log(), "publishing what an earlier attempt had staged")
	require.Equal(t, 1, f.steps(t, run)["report"].Lost)
}

func TestAWorkerDiesUnderStepsOfPartitions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	first := f.worker(t, "b1")
	held := testlocation.PartitionKey("flights", testlocation.Day(1))
	f.instruct(t, held, testlocation.Instruction{Hold: true})
	f.instruct(t, testlocation.PartitionKey("running", testlocation.Day(0)), testlocation.Instruction{HoldPublish: true})
	run := f.startOver(t, "1", overFirstDays(6, "flights", "running"))
	f.awaitNotes(t, testlocation.Publishing, "running", 1)
	f.awaitStep(t, run, "flights@2001-01-06", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	f.worker(t, "b1")
	require.NoError(t, first.Kill())
	f.awaitNotes(t, testlocation.Called, "flights", 7)
	f.release(t, held, testlocation.PartitionKey("running", testlocation.Day(0)))
	f.requireMade(t, run, made{"flights": dayKeys(0, 6), "running": dayKeys(0, 6)})
	require.Equal(t, 1, f.steps(t, run)["flights@2001-01-02"].Lost)
	require.Equal(t, 6, f.count(t, "select count(distinct partition) from materializations where asset = 'running'"))
}

func TestARunOverPartitionsIsExecutedAgainFromItsFailure(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	broken := testlocation.PartitionKey("flights", testlocation.Day(2))
	f.instruct(t, broken, testlocation.Instruction{FailAll: true})
	run := f.startOver(t, "1", overFirstDays(5, "flights", "delays", "running", "report"))
	// running@3 and those behind it, delays@3, and the one step of report do not run.
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 4 + 4 + 2, Failed: 1, Skipped: 1 + 3 + 1})
	require.Equal(t, "flights@2001-01-03", ended.Failures[0].Step)
	f.release(t, broken)
	again, err := f.Starter.Reexecute(t.Context(), starter.Reexecution{RunID: run, From: wire.RetryFailure})
	require.NoError(t, err)
	result, err := f.await(t, again.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 1 + 1 + 3 + 1}, result.Steps)
	require.Len(t, f.notes(t, testlocation.Called, "flights"), 6)
	require.Len(t, f.notes(t, testlocation.Called, "delays"), 5)
	require.Len(t, f.notes(t, testlocation.Called, "running"), 5)
	require.Len(t, f.notes(t, testlocation.Called, "report"), 1)
	// What the earlier run made is what this one loads.
	values := map[string]testlocation.Value{}
	for _, of := range []string{"flights", "delays", "running", "report"} {
		require.Equal(t, 5, f.count(t, "select count(*) from materializations where asset = $1", of), of)
		for _, from := range []string{run, again.ID} {
			for _, one := range f.materializationsOf(t, from, of) {
				value, err := f.Load(t.Context(), one)
				require.NoError(t, err)
				values[testlocation.PartitionKey(of, one.Partition)] = value
			}
		}
	}
	for name, value := range values {
		require.Len(t, value.Inputs, len(f.spec.Loaded(value.Asset, value.Partition)), name)
		for input, call := range value.Inputs {
			require.Equal(t, values[input].Call, call, "%s of %s", name, input)
		}
	}
}

func TestRunsOfOverlappingPartitionsWriteOneAfterTheOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	both := testlocation.PartitionKey("flights", testlocation.Day(2))
	f.instruct(t, both, testlocation.Instruction{HoldPublish: true})
	first := f.startOver(t, "1", overDays("flights", 0, 3))
	f.awaitNotes(t, testlocation.Publishing, "flights", 3)
	second := f.startOver(t, "2", overDays("flights", 2, 3))
	waiting := f.awaitStep(t, second, "flights@2001-01-03", func(s metadata.Step) bool { return s.Reason != "" })
	require.Contains(t, waiting.Reason, "waits for step flights@2001-01-03 of run "+first)
	require.Contains(t, waiting.Reason, "2001-01-03")
	for _, step := range []string{"flights@2001-01-04", "flights@2001-01-05"} {
		f.awaitStep(t, second, step, func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	}
	f.release(t, both)
	f.requireMade(t, first, made{"flights": dayKeys(0, 3)})
	f.requireMade(t, second, made{"flights": dayKeys(2, 3)})
	one, other := f.materializationsOf(t, first, "flights"), f.materializationsOf(t, second, "flights")
	at := map[string][]int64{}
	for _, m := range append(one, other...) {
		at[m.Partition] = append(at[m.Partition], m.Position)
	}
	require.Len(t, at[testlocation.Day(2)], 2)
	require.Less(t, at[testlocation.Day(2)][0], at[testlocation.Day(2)][1])

	// A range waits whole, for the partition that somebody else writes.
	f.requireMade(t, f.startOver(t, "inputs", overFirstDays(6, "flights", "delays")), made{"flights": dayKeys(0, 6), "delays": dayKeys(0, 6)})
	f.instruct(t, "report", testlocation.Instruction{HoldPublish: true})
	third := f.startOver(t, "3", overDays("report", 1, 2))
	f.awaitNotes(t, testlocation.Publishing, "report", 2)
	fourth := f.startOver(t, "4", overDays("report", 2, 3))
	waiting = f.awaitStep(t, fourth, "report", func(s metadata.Step) bool { return s.Reason != "" })
	require.Contains(t, waiting.Reason, "waits for step report of run "+third)
	require.Contains(t, waiting.Reason, "2001-01-03")
	f.release(t, "report")
	f.requireMade(t, third, made{"report": dayKeys(1, 2)})
	f.requireMade(t, fourth, made{"report": dayKeys(2, 3)})
}

func TestARunOverPartitionsIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	f.instruct(t, testlocation.PartitionKey("running", testlocation.Day(2)), testlocation.Instruction{Hold: true})
	run := f.startOver(t, "1", overFirstDays(6, "flights", "running"))
	f.awaitStep(t, run, "running@2001-01-03", func(s metadata.Step) bool { return s.Status == wire.StepRunning })
	for n := range 6 {
		f.awaitStep(t, run, "flights@"+testlocation.Day(n), func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	}
	require.NoError(t, f.Starter.CancelRun(t.Context(), run))
	f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Succeeded: 8, Canceled: 4})
	require.Equal(t, 2, f.count(t, "select count(*) from asset_partitions where asset = 'running'"))
	f.release(t, testlocation.PartitionKey("running", testlocation.Day(2)))
	again, err := f.Starter.Reexecute(t.Context(), starter.Reexecution{RunID: run, From: wire.RetryFailure})
	require.NoError(t, err)
	result, err := f.await(t, again.ID)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 4}, result.Steps)
	require.Equal(t, 6, f.count(t, "select count(*) from materializations where asset = 'running'"))
}

func TestARunOverPartitionsContinuesAsNew(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(40), "PERDURE_RUN_CONTINUE_AFTER_EVENTS=100", "PERDURE_RUN_MAX_CONCURRENT_STEPS=5")
	f.worker(t, "b1")
	run := f.startOver(t, "1", overFirstDays(40, "flights", "delays", "running", "report"))
	all := dayKeys(0, 40)
	f.requireMade(t, run, made{"flights": all, "delays": all, "running": all, "report": all})
	require.Greater(t, len(f.executions(t, run)), 1)
	require.Len(t, f.notes(t, testlocation.Called, "running"), 40)
}

func TestARunOverPartitionsIsReset(t *testing.T) {
	t.Parallel()
	f := newFixture(t, sliced(21))
	f.worker(t, "b1")
	run := f.startOver(t, "1", overFirstDays(4, "flights", "running", "delays", "report"))
	all := dayKeys(0, 4)
	f.requireMade(t, run, made{"flights": all, "running": all, "delays": all, "report": all})
	f.reset(t, run, "running@2001-01-04")
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 13}, result.Steps)
	require.Equal(t, 2, f.count(t, "select count(*) from materializations where asset = 'running' and partition = '2001-01-04'"))
	require.Equal(t, 5, f.count(t, "select count(*) from materializations where asset = 'running'"))
	require.Equal(t, 4, f.count(t, "select count(*) from asset_partitions where asset = 'running'"))
}
