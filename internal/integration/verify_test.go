//go:build unix

package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/wire"
)

// processes are those of the instance whose command has a text in it.
func (f *fixture) processes(t *testing.T, text string) (found []testlocation.Process) {
	t.Helper()
	all, err := f.Processes()
	if errors.Is(err, testlocation.ErrUnseen) {
		t.Skip(err)
	}
	require.NoError(t, err)
	for _, p := range all {
		if strings.Contains(p.Command, text) {
			found = append(found, p)
		}
	}
	return found
}

// Only the worker is killed: the step's process, the program in it, what that has started, and who guards them end by
// themselves.
func TestAWorkerDiesWithThePythonProgramOfItsStep(t *testing.T) {
	t.Parallel()
	for name, isApart := range map[string]bool{"in the worker": false, "in a process of the step": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := testlocation.Asset{Key: "model", Inputs: []string{"source"}, Python: true, Subprocess: isApart}
			f := newFixture(t, []testlocation.Asset{asset("source"), program, asset("sink", "model")})
			f.spec.Python = testpython.Interpreter(t)
			first := f.worker(t, "b1")
			f.instruct(t, "model", testlocation.Instruction{Litter: true, Takes: 1 << 40})
			run := f.start(t, "1", "*")
			f.awaitNotes(t, testlocation.Called, "model", 1)
			require.Eventually(t, func() bool { return len(f.processes(t, "sleep 3600")) == 1 }, longEnough, often)
			require.NotEmpty(t, f.processes(t, "perdure-guard"))
			f.instruct(t, "model", testlocation.Instruction{Litter: true})
			require.NoError(t, first.Kill())
			require.Eventually(t, func() bool { return len(f.processes(t, "")) == 0 }, longEnough, often)
			second := f.worker(t, "b1")
			f.requireGood(t, run)
			step := f.steps(t, run)["model"]
			require.Equal(t, 1, step.Lost)
			require.Equal(t, 1, step.Attempt)
			require.Eventually(t, func() bool {
				left := f.processes(t, "")
				return len(left) == 1 && left[0].ID == second.ID()
			}, longEnough, often, "what the program has left behind is ended with it")
		})
	}
}

// What finds nothing in a good run must find something in others.
func TestWhatIsWrongWithARunOfAFanIsSeen(t *testing.T) {
	t.Parallel()
	f := newFan(t, testlocation.Fan{Dropped: []string{"c"}, LocalJob: "pages_at_once", Hooks: true})
	f.worker(t, "b1")
	run := f.startJob(t, "1")
	result, err := f.await(t, run)
	require.NoError(t, err)
	require.Equal(t, wire.StepCounts{Succeeded: 7, Skipped: 1}, result.Steps)
	verify := func(run string) testlocation.Verdict {
		verdict, err := f.VerifyFan(t.Context(), *f.spec.Fan, run, "", nil)
		require.NoError(t, err)
		return verdict
	}
	require.Empty(t, verify(run))

	// A value that is not there, and an event that is there twice.
	ignore := func(func(...any) error) error { return nil }
	f.query(t, `delete from step_outputs where run_id = $1 and step = 'load[a]' returning 1`, ignore, run)
	f.query(t, `update step_outputs set slot_token = slot_token + 1 where run_id = $1 and step = 'list' and key = 'b' returning 1`, ignore, run)
	f.query(t, `insert into event_log (position, at, type, run_id, step)
		select position + 1000, at, type, run_id, step from event_log where run_id = $1 and step = 'clean[a]' and type = 'STEP_SUCCESS' returning 1`, ignore, run)
	verdict := verify(run)
	require.Len(t, verdict.Lost, 2)
	require.Equal(t, `load[a] has stored outputs [], not [""]`, verdict.Lost[1])
	require.Contains(t, verdict.Lost[0], "op list (b) of run "+run+": its value is not there")
	require.Equal(t, []string{"clean[a] has 2 events STEP_SUCCESS"}, verdict.Doubled)
	require.Empty(t, verdict.Unfinished)

	f.instruct(t, "load[b]", testlocation.Instruction{FailAll: true})
	failed := f.startJob(t, "2")
	f.requireEnd(t, failed, wire.RunFailure, wire.StepCounts{Succeeded: 4, Failed: 1, Skipped: 3})
	verdict = verify(failed)
	require.Contains(t, verdict.Lost, "load[b] has 1 events STEP_FAILURE")
	require.Contains(t, verdict.Lost, `total has stored outputs [], not [""]`)
	require.NotEmpty(t, verdict.Unfinished)
}
