//go:build unix

package subprocess_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/internal/subprocess"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(subprocess.StepVariable) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := subprocess.Serve(ctx, func(_ context.Context, setup json.RawMessage) (subprocess.Codes, error) {
			var folder string
			err := json.Unmarshal(setup, &folder)
			return codes{folder}, err
		})
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if folder := os.Getenv(workerVariable); folder != "" {
		_, err := attempt(context.Background(), folder, "is deaf", nil)
		panic(err)
	}
	os.Exit(m.Run())
}

// workerVariable makes the test program a worker that runs one step, in that folder.
const workerVariable = "SUBPROCESSTEST_WORKER"

// codes are the definitions of the child: each compute does one thing. Values are files in a folder.
type codes struct{ folder string }

func (c codes) Close(context.Context) error {
	return os.WriteFile(filepath.Join(c.folder, "closed"), []byte(strconv.Itoa(os.Getpid())), 0o600)
}

func (c codes) Code(name string) (*step.Code, bool) {
	compute, ok := computes[name]
	return &step.Code{
		Type: name,
		Compute: func(a *step.Attempt) ([]step.Output, error) {
			value, err := compute(c, a)
			if err != nil {
				return nil, err
			}
			return []step.Output{{Asset: name, Value: value, DataVersion: "own", Metadata: []wire.Metadatum{{Label: "own", Type: wire.MetadataInt, Value: json.RawMessage("1")}}}}, nil
		},
		Stage: func(a *step.Attempt, slot step.Slot, value any) (step.Staged, error) {
			text, _ := value.(string)
			if text == "refused" {
				return nil, errors.New("the store does not keep this")
			}
			path := filepath.Join(c.folder, fmt.Sprintf("%s@%d", slot.Asset, slot.Token))
			a.Report(wire.Metadatum{Label: "staged", Type: wire.MetadataInt, Value: json.RawMessage("2")})
			return file(path), os.WriteFile(path+".staged", []byte(text), 0o600)
		},
		Resume: func(_ *step.Attempt, _ step.Slot, location string) (step.Staged, error) {
			if _, err := os.Stat(location + ".staged"); err != nil {
				return nil, step.ErrNotResumable
			}
			return file(location), nil
		},
	}, ok
}

type file string

func (f file) Location() string              { return string(f) }
func (f file) Publish(context.Context) error { return os.Rename(string(f)+".staged", string(f)) }
func (f file) Discard(context.Context) error { return os.Remove(string(f) + ".staged") }

var computes = map[string]func(codes, *step.Attempt) (string, error){
	"works": func(_ codes, a *step.Attempt) (string, error) {
		fmt.Fprintln(os.Stdout, "line 1")
		fmt.Fprintln(a.Stderr(), "line 2")
		a.Log.With("table", "routes").WithGroup("g").Warn("few rows", "rows", 7)
		a.Log.Debug("not wanted")
		a.Report(wire.Metadatum{Label: "all", Type: wire.MetadataInt, Value: json.RawMessage("0")})
		a.Event(wire.StepEvent{Type: "CUSTOM_MESSAGE", Body: json.RawMessage(`{"n":1}`)})
		a.Progress(1, 2)
		return strings.Join([]string{a.Run, a.Step, a.Job, a.Tags["team"], strconv.Itoa(a.Number), a.Inputs[step.AssetPartition{Asset: "up"}].DataVersion}, " "), nil
	},
	"fails": func(codes, *step.Attempt) (string, error) {
		return "", fmt.Errorf("read: %w", &step.FinalError{Cause: errors.New("no prices")})
	},
	"unavailable": func(codes, *step.Attempt) (string, error) {
		return "", fmt.Errorf("warehouse: %w", step.ErrUnavailable)
	},
	"panics":  func(codes, *step.Attempt) (string, error) { panic("no map") },
	"refused": func(codes, *step.Attempt) (string, error) { return "refused", nil },
	"crashes": func(codes, *step.Attempt) (string, error) {
		fmt.Fprintln(os.Stdout, "last words")
		go func() { panic("in a goroutine") }()
		select {}
	},
	"exits": func(codes, *step.Attempt) (string, error) { os.Exit(0); return "", nil },
	"exits 3": func(codes, *step.Attempt) (string, error) {
		fmt.Fprintln(os.Stderr, "sorry")
		os.Exit(3)
		return "", nil
	},
	"hoards": func(codes, *step.Attempt) (string, error) {
		var held [][]byte
		for range 10_000 {
			held = append(held, bytes.Repeat([]byte{1}, 1<<20))
		}
		return strconv.Itoa(len(held)), nil
	},
	"closes its output": func(codes, *step.Attempt) (string, error) {
		return "", errors.Join(os.Stdout.Close(), os.Stderr.Close())
	},
	"waits": func(c codes, a *step.Attempt) (string, error) {
		return "", c.wait(a, func() error {
			<-a.Done()
			return os.WriteFile(filepath.Join(c.folder, "torn down"), nil, 0o600)
		})
	},
	"is deaf": func(c codes, a *step.Attempt) (string, error) { return "", c.wait(a, func() error { select {} }) },
}

// wait starts a process that does not listen, tells its id, and then does what is left.
func (c codes) wait(_ *step.Attempt, rest func() error) error {
	child := exec.CommandContext(context.Background(), "sh", "-c", `trap "" TERM; echo $$ > pid.new; mv pid.new pid; while :; do sleep 0.05; done`)
	child.Dir = c.folder
	if err := child.Start(); err != nil {
		return err
	}
	return rest()
}

// record is a ledger of one step, its heartbeat and its printer.
type record struct {
	claim  wire.Claim
	before *step.StagedOutputs

	commit         wire.Commit
	failure        wire.Failure
	released       []string
	stdout, stderr bytes.Buffer
	lines          bytes.Buffer
}

func (r *record) Claim(context.Context, wire.ClaimRequest) (wire.Claim, error) { return r.claim, nil }

func (r *record) CheckToken(context.Context, wire.TokenCheck) (wire.TokenState, error) {
	return wire.TokenState{Holds: true}, nil
}

func (r *record) Commit(_ context.Context, c wire.Commit) (wire.Committed, error) {
	r.commit = c
	return wire.Committed{Result: c.Result}, nil
}

func (r *record) Fail(_ context.Context, f wire.Failure) (bool, error) {
	r.failure = f
	return false, nil
}

func (r *record) Release(_ context.Context, _ wire.Fence, cause error) error {
	r.released = append(r.released, cause.Error())
	return nil
}
func (r *record) Beat(step.Beat)                   {}
func (r *record) Previous() *step.StagedOutputs    { return r.before }
func (r *record) Begin(step.Execution) step.Prints { return r }
func (r *record) Stdout() io.Writer                { return &r.stdout }
func (r *record) Stderr() io.Writer                { return &r.stderr }
func (r *record) Close(context.Context) error      { return nil }

// run makes one attempt at a step in a process of its own.
func run(ctx context.Context, t *testing.T, name string, change func(*plan.Step, *record)) (*record, string, error) {
	t.Helper()
	folder := t.TempDir()
	r, err := runIn(ctx, t, folder, name, change)
	return r, folder, err
}

func runIn(ctx context.Context, t *testing.T, folder, name string, change func(*plan.Step, *record)) (*record, error) {
	t.Helper()
	r, err := attempt(ctx, folder, name, change)
	require.NotNil(t, r, err)
	return r, err
}

// attempt needs no test, for a process that is a worker.
func attempt(ctx context.Context, folder, name string, change func(*plan.Step, *record)) (*record, error) {
	planned := plan.Step{Key: name, Type: name, Outputs: []plan.Output{{Asset: name}}, Executor: &plan.Executor{Kind: plan.ExecutorSubprocess}}
	r := &record{claim: wire.Claim{
		Outcome: wire.ClaimGranted, Token: 7, Attempt: 2, Job: "nightly", Tags: map[string]string{"team": "x"},
		Inputs: []wire.InputVersion{{Asset: "up", DataVersion: "v4"}},
	}}
	if change != nil {
		change(&planned, r)
	}
	body, err := json.Marshal(planned)
	if err != nil {
		return nil, err
	}
	r.claim.Plan = body
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	setup, err := json.Marshal(folder)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(&r.lines, nil))
	executor := &subprocess.Executor{Command: []string{program}, Setup: setup, Log: log}
	runner := &step.Runner{Ledger: r, Printer: r, Log: log, Worker: "w", Random: func() float64 { return 0 }}
	isolated, end := executor.Isolate(&step.Code{Type: name, Shape: "s"})
	defer end()
	_, err = runner.Run(ctx, isolated, step.Identity{Run: "r1", Step: name, Scheduled: time.Now(), Started: time.Now()}, r)
	return r, err
}

func TestAStepRunsInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	r, folder, err := run(t.Context(), t, "works", nil)
	require.NoError(t, err)
	require.Equal(t, "line 1\n", r.stdout.String())
	require.Equal(t, "line 2\n", r.stderr.String())
	content, err := os.ReadFile(filepath.Join(folder, "works@7"))
	require.NoError(t, err)
	require.Equal(t, "r1 works nightly x 2 v4", string(content))
	require.Len(t, r.commit.Outputs, 1)
	output := r.commit.Outputs[0]
	require.Equal(t, filepath.Join(folder, "works@7"), output.Location)
	require.Equal(t, "own", output.DataVersion)
	var labels []string
	for _, m := range output.Metadata {
		labels = append(labels, m.Label+"="+string(m.Value))
	}
	require.Equal(t, []string{"staged=2", "all=0", "own=1"}, labels)
	require.Equal(t, []wire.StepEvent{{Type: "CUSTOM_MESSAGE", Body: json.RawMessage(`{"n":1}`)}}, r.commit.Events)
	require.Regexp(t, `level=WARN msg="few rows" run=r1 step=works attempt=2 table=routes g=map\[rows:7\]`, r.lines.String())
	require.NotContains(t, r.lines.String(), "not wanted")
	closed, err := os.ReadFile(filepath.Join(folder, "closed"))
	require.NoError(t, err, "its resources are closed")
	require.NotEqual(t, strconv.Itoa(os.Getpid()), string(closed))
}

func TestFailuresInTheProcessAreTheUsers(t *testing.T) {
	t.Parallel()
	for name, problem := range map[string]string{
		"fails":       `^read: no prices$`,
		"panics":      `^panic: no map$`,
		"refused":     `^store "refused": the store does not keep this$`,
		"crashes":     `(?s)^the step's process ended with exit code 2; the end of its standard error:\npanic: in a goroutine\n.*subprocess_test\.go`,
		"exits":       `^the step's process ended with exit code 0 before the step did: does something call os\.Exit\?; it wrote nothing`,
		"exits 3":     `^the step's process ended with exit code 3; the end of its standard error:\nsorry$`,
		"no such one": `^compute "no such one": its program has no such step`,
	} {
		r, _, err := run(t.Context(), t, name, func(p *plan.Step, _ *record) { p.Retries = &plan.Retries{Max: 5, Delay: time.Minute} })
		var failed *step.FailedError
		require.ErrorAs(t, err, &failed, name)
		require.Regexp(t, problem, r.failure.Error.Message)
		require.Equal(t, name == "fails", r.failure.Final, "the user's retries count, and what its error says of them")
		if name == "panics" {
			require.Contains(t, r.failure.Error.Stack, "subprocess_test.go")
		}
		if name == "crashes" {
			require.Equal(t, "last words\n", r.stdout.String())
		}
	}
}

func TestAStoreThatIsAwayIsNoFailureOfTheUsers(t *testing.T) {
	t.Parallel()
	r, _, err := run(t.Context(), t, "unavailable", nil)
	require.ErrorIs(t, err, step.ErrUnavailable)
	require.Empty(t, r.failure.Error.Message)
	require.Equal(t, []string{"warehouse: unavailable"}, r.released)
}

func TestTheMemoryOfAStepIsLimited(t *testing.T) {
	t.Parallel()
	r, _, err := run(t.Context(), t, "hoards", func(p *plan.Step, _ *record) { p.Executor.MemoryLimit = 128 << 20 })
	var failed *step.FailedError
	require.ErrorAs(t, err, &failed)
	require.Regexp(t, `^the step's process used [0-9.]+ [MG]iB of memory, more than its limit of 128\.0 MiB, and was killed: give the executor a greater MemoryLimit`,
		r.failure.Error.Message)
}

func TestAFunctionMayCloseItsOutput(t *testing.T) {
	t.Parallel()
	r, _, err := run(t.Context(), t, "closes its output", nil)
	require.NoError(t, err)
	require.Len(t, r.commit.Outputs, 1)
}

func TestACancelledStepTearsDownAndIsThenKilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"waits", "is deaf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			why := errors.New("somebody cancelled it")
			folder := t.TempDir()
			var pid int
			go func() {
				pid = awaitPID(ctx, folder)
				cancel(why)
			}()
			r, err := runIn(ctx, t, folder, name, nil)
			var interrupted *step.InterruptedError
			require.ErrorAs(t, err, &interrupted)
			require.ErrorIs(t, err, why)
			require.Empty(t, r.failure.Error.Message)
			require.Equal(t, []string{why.Error()}, r.released)
			_, err = os.Stat(filepath.Join(folder, "torn down"))
			require.Equal(t, name == "waits", err == nil)
			requireGone(t, pid)
		})
	}
}

func TestWhatAnEarlierAttemptStagedIsPublished(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	location := filepath.Join(folder, "works@5")
	require.NoError(t, os.WriteFile(location+".staged", []byte("earlier"), 0o600))
	before := &step.StagedOutputs{Outputs: []wire.CommittedOutput{{Asset: "works", SlotToken: 5, Location: location}}, Attempt: 1}
	r, err := runIn(t.Context(), t, folder, "works", func(_ *plan.Step, r *record) { r.before = before })
	require.NoError(t, err)
	require.Equal(t, before.Outputs, r.commit.Outputs)
	content, err := os.ReadFile(location)
	require.NoError(t, err)
	require.Equal(t, "earlier", string(content))

	before.Outputs[0].Location = filepath.Join(folder, "gone")
	r, err = runIn(t.Context(), t, folder, "works", func(_ *plan.Step, r *record) { r.before = before })
	require.NoError(t, err)
	require.Equal(t, filepath.Join(folder, "works@7"), r.commit.Outputs[0].Location, "it is computed anew")

	r, err = runIn(t.Context(), t, folder, "no such one", func(_ *plan.Step, r *record) { r.before = before })
	require.Error(t, err)
	require.Regexp(t, `^compute "no such one": its program has no such step`, r.failure.Error.Message, "what did not begin is said to the end")
}

// A step's process does not outlive its worker, nor does what it has started.
func TestAStepEndsWithItsWorker(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	program, err := os.Executable()
	require.NoError(t, err)
	worker := exec.CommandContext(t.Context(), program)
	worker.Env = append(os.Environ(), workerVariable+"="+folder)
	require.NoError(t, worker.Start())
	pid := awaitPID(t.Context(), folder)
	require.NoError(t, worker.Process.Kill())
	require.Error(t, worker.Wait())
	requireGone(t, pid)
}

// A person who runs a step by hand is told.
func TestAStepIsNotForPeople(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, subprocess.Serve(t.Context(), nil), subprocess.ErrNotAStep)
}

// awaitPID waits for the id of the process that a compute starts.
func awaitPID(ctx context.Context, folder string) int {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		content, err := os.ReadFile(filepath.Join(folder, "pid"))
		if err == nil {
			pid, _ := strconv.Atoi(strings.TrimSpace(string(content)))
			return pid
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0
		}
	}
}

// requireGone waits until there is no such process; one that nobody has waited for is gone, too.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.NotZero(t, pid)
	require.Eventually(t, func() bool {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err == nil && strings.Contains(string(stat), ") Z ")
	}, 20*time.Second, 5*time.Millisecond, "process %d lives", pid)
}
