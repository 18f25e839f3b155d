package definitions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ledger grants one step, and keeps what is recorded of it and what it prints.
type ledger struct {
	claim wire.Claim

	commit         wire.Commit
	failure        wire.Failure
	stdout, stderr locked
	lines          bytes.Buffer
}

// locked is a text that several goroutines write.
type locked struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *locked) Write(data []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(data)
}

func (l *locked) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func (l *ledger) Claim(context.Context, wire.ClaimRequest) (wire.Claim, error) { return l.claim, nil }

func (l *ledger) CheckToken(context.Context, wire.TokenCheck) (wire.TokenState, error) {
	return wire.TokenState{Holds: true}, nil
}

func (l *ledger) Commit(_ context.Context, c wire.Commit) (wire.Committed, error) {
	l.commit = c
	return wire.Committed{Result: c.Result}, nil
}

func (l *ledger) Fail(_ context.Context, f wire.Failure) (bool, error) {
	l.failure = f
	return false, nil
}
func (l *ledger) Release(context.Context, wire.Fence, error) error { return nil }
func (l *ledger) Beat(step.Beat)                                   {}
func (l *ledger) Previous() *step.StagedOutputs                    { return nil }
func (l *ledger) Begin(step.Execution) step.Prints                 { return l }
func (l *ledger) Stdout() io.Writer                                { return &l.stdout }
func (l *ledger) Stderr() io.Writer                                { return &l.stderr }
func (l *ledger) Close(context.Context) error                      { return nil }

// runStep runs the step of one compute as a worker does.
func runStep(ctx context.Context, t *testing.T, code *step.Code, planned plan.Step) (*ledger, error) {
	t.Helper()
	planned.Key, planned.Type = code.Type, code.Type
	body, err := json.Marshal(planned)
	require.NoError(t, err)
	l := &ledger{claim: wire.Claim{Outcome: wire.ClaimGranted, Token: 7, Attempt: 2, Plan: body, Job: "nightly"}}
	runner := &step.Runner{
		Ledger: l, Printer: l, Worker: "w", Random: func() float64 { return 0 },
		Log: slog.New(slog.NewTextHandler(&l.lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	_, err = runner.Run(ctx, code, step.Identity{Run: "r1", Step: code.Type, Scheduled: time.Now(), Started: time.Now()}, l)
	return l, err
}

// runAsset declares one asset and runs its step.
func runAsset(t *testing.T, definitions ...d.Definition) (*ledger, error) {
	t.Helper()
	runtime, err := d.NewRuntime(d.New("test", definitions...), d.Environment{Storage: keepsAll{newStore()}})
	require.NoError(t, err)
	compute := runtime.Snapshot().Computes[0]
	planned := plan.Step{Partition: "2001-01-01"}
	for _, key := range compute.Outputs {
		planned.Outputs = append(planned.Outputs, plan.Output{Asset: key, CodeVersion: "v3", Optional: strings.HasPrefix(key, "maybe")})
	}
	return runStep(t.Context(), t, codeOf(t, runtime, compute.Name), planned)
}

// keepsAll is a store as a process's default storage.
type keepsAll struct{ *store }

func python(t *testing.T, script string) (program string, arguments d.Arguments) {
	t.Helper()
	return testpython.Interpreter(t), d.Arguments{"-c", "from dagster_pipes import open_dagster_pipes\n" + script}
}

func TestAPythonScriptReportsByPipes(t *testing.T) {
	t.Parallel()
	program, script := python(t, `
import sys
with open_dagster_pipes() as pipes:
    print("from", pipes.asset_key, pipes.partition_key, pipes.code_version, pipes.run_id, pipes.job_name, pipes.retry_number)
    print("hm", file=sys.stderr)
    pipes.log.warning("only %d rows", len(pipes.get_extra("rows")))
    pipes.log.debug("fine")
    pipes.report_asset_check(check_name="positive", passed=True, metadata={"least": 1})
    pipes.report_custom_message({"epochs": [1, 2]})
    pipes.report_asset_materialization(metadata={"accuracy": 0.9, "dagster/row_count": 3}, data_version="d7")
    pipes.log_external_stream("stderr", "from afar\n")
`)
	model := d.Asset("model", d.Command(program, script, d.Extra("rows", d.Literal([]int{1, 2}))), d.CodeVersion("v3"))
	l, err := runAsset(t, model)
	require.NoError(t, err)
	require.Equal(t, "from model 2001-01-01 v3 r1 nightly 1\n", l.stdout.String())
	require.ElementsMatch(t, []string{"hm\n", "from afar\n"}, strings.SplitAfter(l.stderr.String(), "\n")[:2])
	require.Len(t, l.commit.Outputs, 1)
	output := l.commit.Outputs[0]
	require.Equal(t, "model", output.Asset)
	require.Equal(t, "d7", output.DataVersion)
	require.Equal(t, []wire.Metadatum{
		{Label: "accuracy", Type: wire.MetadataFloat, Value: json.RawMessage("0.9")},
		{Label: "perdure/row_count", Type: wire.MetadataInt, Value: json.RawMessage("3")},
	}, output.Metadata)
	require.Len(t, l.commit.Events, 2)
	check, custom := l.commit.Events[0], l.commit.Events[1]
	require.Equal(t, "ASSET_CHECK_EVALUATION model 2001-01-01", check.Type+" "+check.Asset+" "+check.Partition)
	require.JSONEq(t, `{"check_name": "positive", "passed": true, "severity": "ERROR", "metadata": [{"label": "least", "type": "int", "value": 1}]}`, string(check.Body))
	require.Equal(t, "CUSTOM_MESSAGE", custom.Type)
	require.JSONEq(t, `{"payload": {"epochs": [1, 2]}}`, string(custom.Body))
	require.Contains(t, l.lines.String(), `level=WARN msg="only 2 rows"`)
	require.Contains(t, l.lines.String(), `level=DEBUG msg=fine`)
}

func TestAMultiAssetOfOneScript(t *testing.T) {
	t.Parallel()
	program, script := python(t, `
with open_dagster_pipes() as pipes:
    pipes.report_asset_materialization(asset_key="a", metadata={"n": 1}, data_version="va")
    pipes.report_asset_materialization(asset_key="maybe/c", metadata={"n": 3})
`)
	outs := d.Outs{d.Output[d.Nothing]("a"), d.Output[d.Nothing]("b"), d.Output[d.Nothing]("maybe/c", d.Optional{}), d.Output[d.Nothing]("maybe/d", d.Optional{})}
	l, err := runAsset(t, d.MultiAsset("several", outs, d.CommandOutputs(program, script)))
	require.NoError(t, err)
	made := map[string]string{}
	for _, output := range l.commit.Outputs {
		made[output.Asset] = ""
		for _, m := range output.Metadata {
			made[output.Asset] += string(m.Value)
		}
	}
	require.Equal(t, map[string]string{"a": "1", "b": "", "maybe/c": "3"}, made)
	require.Equal(t, "va", l.commit.Outputs[0].DataVersion)
	require.Equal(t, []string{"maybe/d"}, l.commit.Result.NotEmitted)
}

func TestAnExceptionIsTheFailureWithItsStack(t *testing.T) {
	t.Parallel()
	program, script := python(t, `
def read():
    raise ValueError("no prices")
with open_dagster_pipes():
    read()
`)
	l, err := runAsset(t, d.Asset("model", d.Command(program, script)))
	var failed *step.FailedError
	require.ErrorAs(t, err, &failed)
	require.EqualError(t, failed.Cause, "python3: ValueError: no prices")
	require.Contains(t, l.failure.Error.Stack, "Traceback (most recent call last):\n")
	require.Contains(t, l.failure.Error.Stack, "in read\n")
	require.Contains(t, l.stderr.String(), "ValueError: no prices", "as Python prints it")
}

func TestMessagesOfAProgramThatAreWrongNameStepAndLine(t *testing.T) {
	t.Parallel()
	write := `
import base64, json, os, zlib
path = json.loads(zlib.decompress(base64.b64decode(os.environ["DAGSTER_PIPES_MESSAGES"])))["path"]
def report(line):
    with open(path, "a") as f: f.write(line + "\n")
def message(method, **params):
    return json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params})
report(message("opened", extras={}))
`
	for _, one := range []struct{ script, problem string }{
		{`report("done")`, `Pipes message on line 2: it is not JSON (invalid character 'd' looking for beginning of value): done`},
		{`report(message("opened").replace("0.1", "0.2"))`, `Pipes message on line 2: it is of version "0.2" of the protocol, and this worker speaks 0.1`},
		{`report(message("report_asset_materialization", asset_key="other"))`, `report_asset_materialization is about asset "other", which this step does not make: it makes "model"`},
		{`[report(message("report_asset_materialization", asset_key="model")) for _ in range(2)]`, `Pipes message on line 3: asset "model" is reported as materialized twice`},
		{`report(message("report_asset_check", asset_key="other", check_name="c", passed=True))`, `report_asset_check is about asset "other"`},
	} {
		program, _ := python(t, "")
		// A program whose message is wrong is not waited for.
		script := d.Arguments{"-c", write + one.script + "\nimport time; time.sleep(600)"}
		l, err := runAsset(t, d.Asset("model", d.Command(program, script)))
		var failed *step.FailedError
		require.ErrorAs(t, err, &failed, one.script)
		require.ErrorContains(t, err, "model failed (attempt 2): python3: Pipes message on line ")
		require.ErrorContains(t, err, one.problem)
		require.Empty(t, l.commit.Outputs)
	}
}

func TestProgramsThatDoNotKnowPipes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := d.Asset("text", d.CommandText("sh", d.Arguments{"-c", `pwd; cat; echo "$COLOUR $SIZE $1 $2 $3"`, "sh"}, d.Folder(folder), d.Stdin("in "),
		d.Variables{"COLOUR": "red"}, d.Variable("SIZE", d.Literal(7)), d.Argument(d.Literal("one two")), d.Argument(d.Literal([]int{1, 2})), d.Arguments{"last"}))
	rows := d.Asset("rows", d.CommandJSON[[]int]("cat", d.Input(d.Literal([]int{3, 4}))))
	only := d.Asset("only", d.Command("sh", d.Arguments{"-c", `exit 0`}))
	total := d.Asset("total", d.Bind2(func(_ d.Context, text string, rows []int) (string, error) {
		return text + " " + strconv.Itoa(len(rows)), nil
	}, text, rows), d.After(only))
	result := d.Materialize(t.Context(), d.New("test", text, rows, only, total))
	require.NoError(t, result.Err())
	made, err := total.In(result)
	require.NoError(t, err)
	resolved, err := filepath.EvalSymlinks(folder)
	require.NoError(t, err)
	require.Equal(t, resolved+"\nin red 7 one two [1,2] last 2", made)
	require.Equal(t, wire.StepSuccess, result.Status(only))
}

func TestHowProgramsFail(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		fn      d.Compute[[]int]
		problem string
	}{
		"exit code":    {d.CommandJSON[[]int]("sh", d.Arguments{"-c", `for i in $(seq 30); do echo line $i >&2; done; exit 3`}), "sh ended with exit code 3; the end of its standard error:\nline 11\n"},
		"silence":      {d.CommandJSON[[]int]("sh", d.Arguments{"-c", `exit 3`}), "sh ended with exit code 3; it wrote nothing to standard error"},
		"a signal":     {d.CommandJSON[[]int]("sh", d.Arguments{"-c", `kill -9 $$`}), "sh was ended by a signal: killed"},
		"no program":   {d.CommandJSON[[]int]("no-such-program"), "is the program there, and executable, on the machines that compute this step?"},
		"no JSON":      {d.CommandJSON[[]int]("echo", d.Arguments{"hello"}), "echo printed what is not the JSON of a []int: invalid character 'h'"},
		"another type": {d.CommandJSON[[]int]("echo", d.Arguments{"{}"}), "cannot unmarshal object into Go value of type []int: {}"},
		"nothing":      {d.CommandJSON[[]int]("true"), "true printed nothing"},
	} {
		asset := d.Asset("a", one.fn)
		err := d.Materialize(t.Context(), d.New("test", asset)).Err()
		require.ErrorContains(t, err, one.problem, name)
	}
}

func TestACancelledProgramIsToldAndThenKilledWithItsGroup(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	// The program tears down when it is told; what it has started does not listen. It must be
	// ready to hear before the other says that it lives.
	asset := d.Asset("a", d.Command("sh", d.Folder(folder), d.Arguments{"-c", `
trap 'echo torn down > torn; exit 1' TERM
sh -c 'trap "" TERM; echo $$ > deaf; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done`}))
	done := make(chan error, 1)
	go func() { done <- d.Materialize(ctx, d.New("test", asset)).Err() }()
	var pid string
	require.Eventually(t, func() bool {
		content, _ := os.ReadFile(filepath.Join(folder, "deaf"))
		pid = strings.TrimSpace(string(content))
		return pid != ""
	}, 20*time.Second, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.FileExists(t, filepath.Join(folder, "torn"))
	requireNoProcess(t, pid)
}

func TestATimeoutEndsAProgram(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	asset := d.Asset("a", d.Command("sh", d.Folder(folder), d.Arguments{"-c", `echo $$ > pid; exec sleep 600`}), d.Timeout(300*time.Millisecond))
	err := d.Materialize(t.Context(), d.New("test", asset)).Err()
	require.ErrorContains(t, err, "took longer than its timeout of 300ms")
	content, err := os.ReadFile(filepath.Join(folder, "pid"))
	require.NoError(t, err)
	requireNoProcess(t, strings.TrimSpace(string(content)))
}

// requireNoProcess waits until a process is gone, or only its parent has not heard of it.
func requireNoProcess(t *testing.T, pid string) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 20*time.Second, 5*time.Millisecond, "process %s lives", pid)
}

func TestASecretReachesTheProgramAndNothingElse(t *testing.T) {
	t.Setenv("COMMANDTEST_SECRET", "hush")
	asset := d.Asset("a", d.CommandText("sh", d.Arguments{"-c", `test "$TOKEN" = hush && cat`}, d.Variable("TOKEN", d.Literal(d.FromEnv("COMMANDTEST_SECRET"))),
		d.Input(d.Literal(d.FromEnv("COMMANDTEST_SECRET")))))
	result := d.Materialize(t.Context(), d.New("test", asset))
	require.NoError(t, result.Err())
	text, err := asset.In(result)
	require.NoError(t, err)
	require.JSONEq(t, `{"env":"COMMANDTEST_SECRET"}`, text)
}

func TestACommandsFolderThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	asset := d.Asset("a", d.Command("sh", d.Folder("no/such/folder")))
	err := d.Materialize(t.Context(), d.New("test", asset)).Err()
	require.ErrorContains(t, err, `sh is to run in folder "no/such/folder": stat no/such/folder: no such file or directory`)
}

func TestWrongCommandsAreFoundByValidation(t *testing.T) {
	t.Parallel()
	var nowhere d.Source[int]
	wrong := d.Asset("wrong", d.Command("", nil, d.Stdin("a"), d.Stdin("b"), d.Folder(""), d.Variables{"A=B": "c"}, d.Extra("x", nowhere), d.Extra("x", d.Literal(1))))
	valued := d.MultiAsset("several", d.Outs{d.Output[int]("n")}, d.CommandOutputs("true"))
	pool := d.Resource("pool", d.CommandText("true"), d.NoClose[string])
	err := d.New("test", wrong, valued, pool).Validate()
	var problems d.ProblemList
	require.ErrorAs(t, err, &problems)
	var found []string
	for _, p := range problems {
		found = append(found, p.Object+" "+p.Field+": "+p.Message)
	}
	require.Equal(t, []string{
		`asset "wrong" extra: the extra "x" is given twice`,
		`asset "wrong" folder: the folder is empty, or given twice`,
		`asset "wrong" inputs: a parameter is bound to nil`,
		`asset "wrong" options: an option of the command is nil`,
		`asset "wrong" program: the program is empty`,
		`asset "wrong" stdin: Stdin is given, and standard input is given already`,
		`asset "wrong" variables: "A=B" is no name of an environment variable`,
		`multi-asset "several" outs: output "n" is of int, and its program stores what it makes itself`,
		`resource "pool" function: it is opened by a Command or Remote, which only a step runs`,
	}, found)
}
