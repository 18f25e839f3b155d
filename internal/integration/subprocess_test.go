//go:build unix

package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/wire"
)

// subprocess is an asset that is computed in a process of its own.
func subprocess(key string, inputs ...string) testlocation.Asset {
	a := asset(key, inputs...)
	a.Subprocess = true
	return a
}

// requireNoProcess waits until a process is gone, or only its parent has not heard of it.
func requireNoProcess(t *testing.T, id int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if err := syscall.Kill(id, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id), "stat"))
		return err == nil && strings.Contains(string(stat), ") Z ") || errors.Is(err, fs.ErrNotExist)
	}, longEnough, often, "process %d lives", id)
}

func TestStepsInProcessesOfTheirOwn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{subprocess("source"), subprocess("middle", "source"), asset("sink", "middle")})
	w := f.worker(t, "b1")
	run := f.start(t, "1", "*")
	f.requireGood(t, run)
	processes := map[int]bool{}
	for _, key := range f.spec.Keys() {
		processes[f.awaitNotes(t, testlocation.Called, key, 1)[0].Process] = true
	}
	require.Len(t, processes, 3)
	require.True(t, processes[w.ID()], "the sink is computed in the worker")
	for id := range processes {
		if id != w.ID() {
			requireNoProcess(t, id)
		}
	}
}

// A process that is killed, as the kernel does for want of memory, takes no worker with it, and is a failure of the user's.
func TestAStepsProcessIsKilled(t *testing.T) {
	t.Parallel()
	flaky := subprocess("flaky")
	flaky.Retries = &definitions.Retries{Max: 1, Delay: time.Millisecond}
	f := newFixture(t, []testlocation.Asset{flaky})
	f.worker(t, "b1")
	f.instruct(t, "flaky", testlocation.Instruction{Kill: true})
	run := f.start(t, "1", "*")
	f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Failed: 1})
	f.requireCalls(t, run, map[string]int{"flaky": 2})
	step := f.steps(t, run)["flaky"]
	require.Equal(t, 2, step.Attempt)
	require.Zero(t, step.Lost)
	require.Equal(t, "the step's process was ended by a signal: killed; it wrote nothing to standard error", step.Error.Message)
}

func TestACancelEndsAStepsProcess(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"it tears down": false, "it is deaf": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, []testlocation.Asset{subprocess("running")})
			w := f.worker(t, "b1")
			f.instruct(t, "running", testlocation.Instruction{Hold: true, Deaf: deaf})
			run := f.start(t, "1", "*")
			process := f.awaitNotes(t, testlocation.Called, "running", 1)[0].Process
			require.NotEqual(t, w.ID(), process)
			canceled := time.Now()
			require.NoError(t, f.Starter.CancelRun(t.Context(), run))
			what := testlocation.Stopped
			if deaf {
				what = testlocation.Ignored
			}
			require.Less(t, f.awaitNotes(t, what, "running", 1)[0].At.Sub(canceled), heardWithin)
			f.requireEnd(t, run, wire.RunCanceled, wire.StepCounts{Canceled: 1})
			requireNoProcess(t, process)
		})
	}
}

func TestAWorkerDiesWithTheProcessOfItsStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{subprocess("middle")})
	first := f.worker(t, "b1")
	f.hold(t, "middle")
	run := f.start(t, "1", "*")
	process := f.awaitNotes(t, testlocation.Called, "middle", 1)[0].Process
	f.worker(t, "b1")
	require.NoError(t, first.Kill())
	requireNoProcess(t, process)
	f.awaitNotes(t, testlocation.Called, "middle", 2)
	f.release(t, "middle")
	f.requireGood(t, run)
	step := f.steps(t, run)["middle"]
	require.Equal(t, 1, step.Lost)
	require.Equal(t, 1, step.Attempt)
}
