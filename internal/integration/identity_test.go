//go:build unix

package integration

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// temporal runs the stock CLI.
func (f *fixture) temporal(t *testing.T, arguments ...string) (output string, err error) {
	t.Helper()
	server := testenv.Temporal(t)
	cmd := exec.CommandContext(t.Context(), server.Binary, append(arguments, "--address", server.Address, "--namespace", f.Config.Temporal.Namespace)...)
	combined, err := cmd.CombinedOutput()
	return string(combined), err
}

// rows are all that Postgres has of a run.
type rows struct {
	Run    metadata.Run
	Steps  map[string]metadata.Step
	Events []metadata.Event
}

func (f *fixture) rows(t *testing.T, run string) rows {
	t.Helper()
	return rows{Run: f.run(t, run), Steps: f.steps(t, run), Events: f.events(t, run)}
}

func TestARunsIdIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, diamond())
	f.worker(t, "b1")
	f.hold(t, "middle")
	run := f.start(t, "1", "*")
	f.awaitStep(t, run, "side", func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
	f.awaitNotes(t, testlocation.Called, "middle", 1)
	before := f.rows(t, run)
	again := starter.NewRun{Location: f.spec.Location, ID: run, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "side"}}}
	start := []string{"workflow", "start", "--type", "Run", "--task-queue", f.spec.Location, "--workflow-id", run, "--input", `{"assets":"side"}`}

	// While it is open.
	_, err := f.Starter.StartRun(t.Context(), again)
	require.ErrorContains(t, err, run+" exists (STARTED, "+before.Run.CreatedAt.UTC().Format(time.DateOnly)+")")
	output, err := f.temporal(t, start...)
	require.NoError(t, err, output)
	require.Contains(t, output, before.Run.FirstRunID, "the CLI names the execution that is there")
	require.Equal(t, before, f.rows(t, run))
	f.release(t, "middle")
	f.requireGood(t, run)

	// When it is closed: Temporal itself allows that.
	before = f.rows(t, run)
	exists := run + " exists (SUCCESS, " + before.Run.CreatedAt.UTC().Format(time.DateOnly) + "): choose another id, or re-execute it"
	_, err = f.Starter.StartRun(t.Context(), again)
	var problems wire.Problems
	require.ErrorAs(t, err, &problems)
	require.Equal(t, exists, problems[0].Message)
	output, err = f.temporal(t, start...)
	require.NoError(t, err, output)
	_, err = f.await(t, run)
	var refused *starter.RunError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, exists, refused.Problems[0].Message)
	output, err = f.temporal(t, "workflow", "result", "--workflow-id", run)
	require.Error(t, err)
	require.Contains(t, output, exists)

	require.Equal(t, before, f.rows(t, run))
	f.verify(t, run)
	f.requireCalls(t, run, nil)
	refusals, err := f.Store.Refusals(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, refusals, 1)
	require.NotEqual(t, before.Run.FirstRunID, refusals[0].FirstRunID)
}
