package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/cli"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestMigrateSaysWhatItDid(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	require.Contains(t, s.ok(t, "migrate"), ": nothing to do\n")
	require.Contains(t, s.ok(t, "migrate", "down", "--to", "0"), "undid 1001_log.sql\n")
	require.Contains(t, s.ok(t, "migrate", "status"), "pending")
	require.Contains(t, s.fails(t, 1, "run", "list"), "run `perdure migrate`")
	done := parsed[struct {
		Applied []metadata.Migration `json:"applied"`
	}](t, s.ok(t, "migrate", "up", "-o", "json"))
	require.Equal(t, metadata.SchemaVersion, done.Applied[len(done.Applied)-1].Version)
	require.NotContains(t, s.ok(t, "migrate", "status"), "pending")
}

func TestMigrateGoesOnWithoutTemporal(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.environ[1] = "PERDURE_TEMPORAL_ADDRESS=127.0.0.1:1"
	out := s.run(t.Context(), "migrate")
	require.Zero(t, out.code)
	require.Contains(t, out.stderr, "search attributes, which are optional, are not registered: temporal at 127.0.0.1:1")
}

func TestARunFromRequestToTable(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.serve(t, "cli_run")

	require.Equal(t, "STEP     AFTER    REASON\nnumbers           selected by +sum\nsum      numbers  selected by +sum\n\n2 steps would run; nothing was started\n",
		s.ok(t, "asset", "materialize", "+sum", "--dry-run"))
	require.Equal(t, "no run matches\n", s.ok(t, "run", "list"))

	text := s.ok(t, "asset", "materialize", "+sum", "--id", "cli-run-1", "--title", "First", "--tag", "team=ops", "--set", "assets.numbers.least=4")
	require.True(t, strings.HasPrefix(text, "started run cli-run-1\n"), text)
	require.Contains(t, text, "SUCCESS  cli-run-1  2 of 2 steps done in ")
	require.Contains(t, text, "/namespaces/default/workflows/cli-run-1\n")

	shown := s.ok(t, "run", "show", "cli-run-1")
	require.True(t, strings.HasPrefix(shown, "SUCCESS  cli-run-1\n  2 of 2 steps done\n\ntitle      First\nselection  +sum\n"), shown)
	require.Contains(t, shown, `config     {"assets": {"numbers": {"least": 4}}}`)
	require.Contains(t, s.ok(t, "run", "watch", "cli-run-1"), "SUCCESS  cli-run-1")
	require.Contains(t, s.fails(t, 1, "run", "cancel", "cli-run-1"), "run cli-run-1 has ended already: SUCCESS, ")
	require.Contains(t, s.fails(t, 1, "run", "cancel", "cli-run-2"), `there is no run "cli-run-2": did you mean "cli-run-1"?`)
	require.Contains(t, s.fails(t, 1, "asset", "materialize", "sum", "--id", "cli-run-1"), "Error: the request is refused:\n  id: cli-run-1 exists (SUCCESS, ")

	assets := parsed[[]struct {
		Asset      string          `json:"asset"`
		Group      string          `json:"group"`
		LastRun    string          `json:"last_run"`
		LastStatus wire.StepStatus `json:"last_status"`
	}](t, s.ok(t, "asset", "list", "--select", "group:raw or fails", "-o", "json"))
	require.Len(t, assets, 2)
	require.Equal(t, "fails", assets[0].Asset)
	require.Empty(t, assets[0].LastRun)
	require.Equal(t, "numbers", assets[1].Asset)
	require.Equal(t, "cli-run-1", assets[1].LastRun)
	require.Equal(t, wire.StepSuccess, assets[1].LastStatus)
}

func TestAFailedRunFailsTheCommandAndShowsTheWholeMessage(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.serve(t, "cli_failed")
	out := s.run(t.Context(), "asset", "materialize", "fails", "numbers", "--id", "cli-failed-1")
	require.Equal(t, 1, out.code)
	require.Empty(t, out.stderr, "the output has told it")
	require.Contains(t, out.stdout, "\nfails\n  no such number:\n  every one was tried\n\nFAILURE  cli-failed-1  1 of 2 steps done, 1 failed in ")

	out = s.run(t.Context(), "asset", "materialize", "fails", "--id", "cli-failed-2", "-o", "json")
	require.Equal(t, 1, out.code)
	result := parsed[wire.RunResult](t, out.stdout)
	require.Equal(t, wire.RunFailure, result.Status)
	require.Equal(t, "fails", result.Failures[0].Step)

	require.Contains(t, s.ok(t, "run", "show", "cli-failed-1"), "selection  fails, numbers\n")
	page := parsed[metadata.Page[metadata.Run]](t, s.ok(t, "run", "list", "--status", "failure", "--limit", "1", "-o", "json"))
	require.Equal(t, "cli-failed-2", page.Rows[0].ID)
	page = parsed[metadata.Page[metadata.Run]](t, s.ok(t, "run", "list", "--status", "failure", "--limit", "1", "--cursor", page.Next, "-o", "json"))
	require.Equal(t, "cli-failed-1", page.Rows[0].ID)
	require.Contains(t, s.ok(t, "asset", "list", "--select", "fails"), "never         cli-failed-2  FAILED")
}

func TestARequestIsRefusedWithEveryProblem(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.serve(t, "cli_refused")
	s.write(t, "run.yaml", "assets:\n  numbers:\n    least: many\n")
	s.stdin = `{"assets":{"numbrs":{"least":1}}}`
	require.Equal(t, "Error: the request is refused:\n  config.assets.numbers.least: must be a whole number, not the string \"many\"\n",
		s.fails(t, 1, "asset", "materialize", "numbers", "--run-config", "run.yaml"))
	complaint := s.fails(t, 1, "asset", "materialize", "numbers", "--run-config", "-", "--set", "resources.warehouse.url=x", "--set", `assets["numbers"].least=2.5`)
	require.Contains(t, complaint, `config.assets.numbrs: there is no asset or multi-asset "numbrs" (did you mean "numbers"?`)
	require.Contains(t, complaint, `config.resources.warehouse: there is no resource "warehouse"`)
	require.Contains(t, complaint, "config.assets.numbers.least: must be a whole number")
	require.Contains(t, s.fails(t, 1, "asset", "list", "--select", "sum and"), "  assets: selection `sum and`, column 8: expected ")
	require.Contains(t, s.fails(t, 1, "asset", "list", "--select", "smu"), `there is no asset "smu" (did you mean `)
	require.Equal(t, "no run matches\n", s.ok(t, "run", "list"))
}

// cancelOn cancels when a text is written.
type cancelOn struct {
	text   string
	cancel context.CancelFunc
	all    strings.Builder
}

func (c *cancelOn) Write(written []byte) (int, error) {
	c.all.Write(written)
	if strings.Contains(c.all.String(), c.text) {
		c.cancel()
	}
	return len(written), nil
}

func TestCtrlCEndsTheWatchingAndNotTheRun(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, numbers("cli_nobody"))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &cancelOn{text: `STARTING  cli-nobody-1  waits: no worker polls the task queue "cli_nobody"; start the location`, cancel: cancel}
	var stderr strings.Builder
	code := cli.Main(ctx, s.environment([]string{"asset", "materialize", "sum", "numbers", "--id", "cli-nobody-1"}, stdout, &stderr))
	require.Equal(t, 130, code, stdout.all.String())
	require.Equal(t, "no longer watching run cli-nobody-1, which goes on: `perdure run watch cli-nobody-1` watches it, `perdure run cancel cli-nobody-1` stops it\n", stderr.String())
	require.Contains(t, s.ok(t, "asset", "materialize", "sum", "numbers", "--id", "cli-nobody-2", "--no-wait"), `it waits: no worker polls the task queue "cli_nobody"`)
	require.Contains(t, s.ok(t, "run", "cancel", "cli-nobody-1"), "run cli-nobody-1 was told to stop")
	s.ok(t, "run", "cancel", "cli-nobody-2")
}

func TestBuildsAreActivatedByName(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.environ = append(s.environ, "PERDURE_WORKER_BUILD=old")
	s.serve(t, "cli_builds")
	s.environ[2] = "PERDURE_WORKER_BUILD=new"
	s.serve(t, "cli_builds")
	active := func() string {
		for _, build := range parsed[[]metadata.Build](t, s.ok(t, "location", "list", "-o", "json")) {
			if build.Active {
				return build.Build
			}
		}
		return ""
	}
	require.Eventually(t, func() bool { return active() == "new" }, settle, look)
	require.Equal(t, "build old of location cli_builds is active\n", s.ok(t, "location", "activate", "old"))
	require.Equal(t, "old", active())
	require.Contains(t, s.fails(t, 1, "location", "activate", "older"), `location "cli_builds" has no build "older" (`)
}
