//go:build unix

package process_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/process"
)

// parentVariable makes the test program a parent that starts a child and waits to be killed.
const parentVariable = "PROCESSTEST_PARENT"

func TestMain(m *testing.M) {
	if script := os.Getenv(parentVariable); script != "" {
		child, err := process.Start(exec.Command("/bin/sh", "-c", script), process.Options{})
		if err != nil {
			panic(err)
		}
		<-child.Ended()
		return
	}
	os.Exit(m.Run())
}

func shell(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

func TestOutputIsWholeWhenTheEndIsKnown(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	cmd := shell(`i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; echo sorry >&2; exit 3`)
	cmd.Stdout, cmd.Stderr = &out, &errs
	child, err := process.Start(cmd, process.Options{})
	require.NoError(t, err)
	var end *process.EndError
	require.ErrorAs(t, child.Err(), &end)
	require.Equal(t, process.EndError{Code: 3}, *end)
	require.EqualError(t, end, "ended with exit code 3")
	require.Equal(t, "sorry\n", errs.String())
	require.True(t, strings.HasSuffix(out.String(), "\n19999\n"))
	require.Equal(t, 20000, strings.Count(out.String(), "\n"))
}

func TestBothStreamsInOneWriter(t *testing.T) {
	t.Parallel()
	var both bytes.Buffer
	cmd := shell(`for i in 1 2 3 4 5 6 7 8 9; do echo out; echo err >&2; done`)
	cmd.Stdout, cmd.Stderr = &both, &both
	child, err := process.Start(cmd, process.Options{})
	require.NoError(t, err)
	require.NoError(t, child.Err())
	require.Equal(t, 9, strings.Count(both.String(), "out\n"))
	require.Equal(t, 9, strings.Count(both.String(), "err\n"))
}

func TestWhatAChildLeavesBehindIsKilledWhenItEnds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	var out bytes.Buffer
	cmd := shell(`sleep 600 & echo $! > ` + file + `; echo done`)
	cmd.Stdout = &out
	child, err := process.Start(cmd, process.Options{})
	require.NoError(t, err)
	require.NoError(t, child.Err(), "what is left behind holds standard output open")
	require.Equal(t, "done\n", out.String())
	requireGone(t, readPID(t, file))
}

func TestKillEndsTheWholeGroupAlsoAFrozenOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	child, err := process.Start(shell(`trap "" TERM; sleep 600 & echo $! > `+file+`; wait; wait; wait`), process.Options{})
	require.NoError(t, err)
	grandchild := readPID(t, file)
	require.NoError(t, child.Signal(syscall.SIGSTOP))
	require.NoError(t, child.Kill())
	var end *process.EndError
	require.ErrorAs(t, child.Err(), &end)
	require.Equal(t, process.EndError{Code: -1, Signal: "killed"}, *end)
	requireGone(t, grandchild)
	require.NoError(t, child.Kill(), "what has ended is no error")
}

func TestStopAsksAndThenKills(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ready := filepath.Join(folder, "ready")
	orderly, err := process.Start(shell(`trap "exit 7" TERM; echo $$ > `+ready+`; while :; do sleep 0.05; done`), process.Options{})
	require.NoError(t, err)
	readPID(t, ready)
	require.NoError(t, orderly.Stop(time.Minute))
	var end *process.EndError
	require.ErrorAs(t, orderly.Err(), &end)
	require.Equal(t, 7, end.Code)

	deaf := filepath.Join(folder, "deaf")
	stubborn, err := process.Start(shell(`trap "" TERM; echo $$ > `+deaf+`; while :; do sleep 0.05; done`), process.Options{})
	require.NoError(t, err)
	readPID(t, deaf)
	require.NoError(t, stubborn.StopAll(50*time.Millisecond))
	require.ErrorAs(t, stubborn.Err(), &end)
	require.Equal(t, "killed", end.Signal)
}

func TestAGroupDiesWithItsParent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	program, err := os.Executable()
	require.NoError(t, err)
	parent := exec.Command(program)
	parent.Env = append(os.Environ(), parentVariable+`=sleep 600 & echo $! > `+file+`; wait`)
	require.NoError(t, parent.Start())
	grandchild := readPID(t, file)
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	requireGone(t, grandchild)
}

func TestAGroupOverItsMemoryLimitIsKilled(t *testing.T) {
	t.Parallel()
	// tail keeps its input, for want of a line's end; the memory is that of a grandchild.
	child, err := process.Start(shell(`(head -c 200000000 /dev/zero | tail; sleep 600); true`), process.Options{MemoryLimit: 64 << 20})
	require.NoError(t, err)
	var end *process.EndError
	require.ErrorAs(t, child.Err(), &end)
	require.Greater(t, end.Memory, int64(64<<20))
	require.Regexp(t, `^used [0-9.]+ MiB of memory, more than its limit of 64\.0 MiB, and was killed$`, end.Error())
}

func TestAWriterThatFailsDoesNotStopTheChild(t *testing.T) {
	t.Parallel()
	cmd := shell(`i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done`)
	cmd.Stdout = failingWriter{}
	child, err := process.Start(cmd, process.Options{})
	require.NoError(t, err)
	require.ErrorIs(t, child.Err(), errFull)
	var end *process.EndError
	require.NotErrorAs(t, child.Err(), &end, "the child itself ended well")
}

func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cmd := exec.Command("/no/such/program")
	cmd.Stdout = &out
	_, err := process.Start(cmd, process.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "start /no/such/program")
}

var errFull = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

// readPID waits until a process has written its id to the file.
func readPID(t *testing.T, file string) int {
	t.Helper()
	var pid int
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(content)))
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	return pid
}

// requireGone waits until there is no such process; one that nobody has waited for is gone, too.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err == nil && strings.Contains(string(stat), ") Z ")
	}, 20*time.Second, 5*time.Millisecond, "process %d lives", pid)
}
