//go:build unix

package program_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
)

// patience is how long a test waits for what the go command and processes do.
const patience = 2 * time.Minute

// location is a program with the verbs of a location. It serves until it is told to stop; VERSION tells builds apart.
const location = `package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

//go:embed data/table.csv
var table string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "definitions" {
		if table == "wrong" {
			fmt.Fprintln(os.Stderr, "Error: asset x needs y")
			os.Exit(1)
		}
		fmt.Println("{\"location\":\"VERSION\"}")
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	<-told
}
`

// write makes a Go module in a folder and returns the program in it.
func write(t *testing.T) program.Program {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o755))
	put(t, dir, "go.mod", "module example.com/location\n\ngo 1.26\n")
	put(t, dir, "main.go", strings.ReplaceAll(location, "VERSION", "one"))
	put(t, dir, "data/table.csv", "a,b")
	return program.Program{Dir: dir, Folder: dir, Environ: os.Environ(), Binary: filepath.Join(t.TempDir(), "location")}
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	// Written whole, as editors do.
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.WriteFile(path+".new~", []byte(content), 0o600))
	require.NoError(t, os.Rename(path+".new~", path))
}

func TestBuildSaysWhetherAnythingChanged(t *testing.T) {
	t.Parallel()
	p := write(t)
	name, changed, err := p.Build(t.Context())
	require.NoError(t, err)
	require.Equal(t, "one", name)
	require.True(t, changed)
	_, changed, err = p.Build(t.Context())
	require.NoError(t, err)
	require.False(t, changed)
}

func TestBuildKeepsTheLastOneWhenTheNextIsWrong(t *testing.T) {
	t.Parallel()
	p := write(t)
	_, _, err := p.Build(t.Context())
	require.NoError(t, err)
	before, err := os.ReadFile(p.Binary)
	require.NoError(t, err)
	for file, content := range map[string]string{"broken.go": "package main\n\nvar x int = \"a\"\n", "data/table.csv": "wrong"} {
		put(t, p.Dir, file, content)
		_, _, err = p.Build(t.Context())
		var wrong *program.BuildError
		require.ErrorAs(t, err, &wrong)
		if file == "broken.go" {
			require.False(t, wrong.Compiled)
			require.Contains(t, wrong.Error(), "./broken.go:3:13: cannot use")
			require.NoError(t, os.Remove(filepath.Join(p.Dir, file)))
		} else {
			require.True(t, wrong.Compiled)
			require.Equal(t, "asset x needs y", wrong.Error())
			put(t, p.Dir, file, "a,b")
		}
		after, err := os.ReadFile(p.Binary)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

func TestFoldersWithoutAProgramAreRefused(t *testing.T) {
	t.Parallel()
	p := write(t)
	missing := p
	missing.Dir = filepath.Join(p.Dir, "nowhere")
	require.ErrorContains(t, missing.Inspect(t.Context()), "there is no folder")
	put(t, p.Dir, "main.go", "package library\n")
	require.ErrorContains(t, p.Inspect(t.Context()), "holds package library, not a program")
}

// supervised is a supervisor that runs, and what it reports.
type supervised struct {
	program program.Program
	events  chan program.Event
	stop    context.CancelFunc
	ended   chan error
}

func supervise(t *testing.T) *supervised {
	t.Helper()
	s := &supervised{program: write(t), events: make(chan program.Event, 64), ended: make(chan error, 1)}
	_, _, err := s.program.Build(t.Context())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	supervisor := &program.Supervisor{
		Program: s.program, Out: io.Discard, Errors: io.Discard, Patience: patience, FirstRetry: time.Millisecond, MaxRetry: time.Hour,
		Report: func(event program.Event) { s.events <- event },
	}
	go func() { s.ended <- supervisor.Run(ctx) }()
	t.Cleanup(stop)
	return s
}

// next is the next event, which must be of that kind.
func (s *supervised) next(t *testing.T, kind program.EventKind) program.Event {
	t.Helper()
	select {
	case event := <-s.events:
		require.Equal(t, kind, event.Kind, "%+v", event)
		return event
	case <-time.After(patience):
		require.FailNow(t, "nothing happened", "waited for event %d", kind)
		return program.Event{}
	}
}

func (s *supervised) end(t *testing.T) {
	t.Helper()
	s.stop()
	s.next(t, program.Stopping)
	require.NoError(t, <-s.ended)
}

// gone says whether no process has the id any more.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestSupervisorTakesChangesThatBuildAndKeepsWhatRunsOtherwise(t *testing.T) {
	t.Parallel()
	s := supervise(t)
	first := s.next(t, program.Started)

	put(t, s.program.Dir, "main.go", "package main\n\nfunc main() { no }\n")
	require.Equal(t, filepath.Join(s.program.Dir, "main.go"), s.next(t, program.Building).File)
	require.ErrorContains(t, s.next(t, program.BuildFailed).Err, "undefined: no")
	require.False(t, gone(first.Process))

	put(t, s.program.Dir, "main.go", strings.ReplaceAll(location, "VERSION", "one"))
	s.next(t, program.Building)
	s.next(t, program.Unchanged)
	require.False(t, gone(first.Process))

	put(t, s.program.Dir, "data/table.csv", "c,d")
	require.Equal(t, filepath.Join(s.program.Dir, "data", "table.csv"), s.next(t, program.Building).File)
	s.next(t, program.Replacing)
	second := s.next(t, program.Started)
	require.NotEqual(t, first.Process, second.Process)
	s.end(t)
	require.True(t, gone(first.Process), "process %s of the old build still runs", strconv.Itoa(first.Process))
	require.True(t, gone(second.Process))
}

func TestSupervisorStartsWhatCrashedAgainEverLater(t *testing.T) {
	t.Parallel()
	s := supervise(t)
	for _, delay := range []time.Duration{time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond} {
		started := s.next(t, program.Started)
		require.NoError(t, syscall.Kill(started.Process, syscall.SIGKILL))
		crashed := s.next(t, program.Crashed)
		require.Equal(t, started.Process, crashed.Process)
		require.Equal(t, delay, crashed.Delay)
		require.ErrorContains(t, crashed.Err, "killed")
	}
	s.next(t, program.Started)
	s.end(t)
}
