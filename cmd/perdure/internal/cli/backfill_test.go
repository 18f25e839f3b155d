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

func TestABackfillFromRequestToTable(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.serveLocation(t, "cli_backfill", sliced("cli_backfill"))

	planned := s.ok(t, "backfill", "start", "daily", "late", "--range", "2001-01-01..2001-01-04", "--dry-run", "--id", "bf0")
	require.Contains(t, planned, "ASSET  TARGETED  MADE\ndaily         4     0\nlate          4     0\n")
	require.Contains(t, planned, "\n4 runs would be started; nothing was\n")
	require.Equal(t, "no backfill matches\n", s.ok(t, "backfill", "list"))

	out := s.run(t.Context(), "backfill", "start", "daily", "late", "--range", "2001-01-01..2001-01-04", "--id", "cli-bf-1", "--title", "First", "--max-concurrent-runs", "2")
	require.Equal(t, 1, out.code, out.stdout+out.stderr)
	require.Empty(t, out.stderr, "the output has told it")
	require.True(t, strings.HasPrefix(out.stdout, "started backfill cli-bf-1\n"), out.stdout)
	require.Contains(t, out.stdout, "  daily: no flights on 2001-01-03\n")
	require.Contains(t, out.stdout, "\nCOMPLETED_FAILED  cli-bf-1  6 of 8 partitions made, ")
	require.Contains(t, out.stdout, "`perdure backfill retry cli-bf-1` makes what is left\n")

	shown := s.ok(t, "backfill", "show", "cli-bf-1")
	require.True(t, strings.HasPrefix(shown, "COMPLETED_FAILED  cli-bf-1\n"), shown)
	require.Contains(t, shown, "\npartitions  2001-01-01 to 2001-01-04\n")
	require.Contains(t, s.ok(t, "backfill", "list", "--status", "completed_failed", "--asset", "late"), "cli-bf-1  COMPLETED_FAILED  First  6 of 8 partitions made")
	runs := parsed[metadata.Page[metadata.Run]](t, s.ok(t, "run", "list", "--backfill", "cli-bf-1", "-o", "json"))
	require.Len(t, runs.Rows, 4)
	require.Contains(t, s.ok(t, "run", "list", "--partition", "2001-01-03"), "FAILURE")

	require.Contains(t, s.ok(t, "asset", "partitions", "daily"), "daily: 5 partitions: 3 materialized, 1 failed, 1 missing\n")
	require.Contains(t, s.ok(t, "asset", "partitions", "daily", "--status", "failed"), "no flights on 2001-01-03")
	require.Contains(t, s.ok(t, "asset", "partitions", "late"), "3 materialized, 1 upstream failed, 1 missing\n")

	table := s.ok(t, "asset", "list", "--select", "daily or late or total")
	// Which of the runs is the last one is chance.
	require.Regexp(t, `(?m)^daily +default +3/5, 1 failed +\d{4}-.* cli-bf-1:daily:2001-01-0[1-4] +(SUCCESS|FAILED)$`, table)
	require.Regexp(t, `(?m)^late +default +3/5, 1 upstream failed +\d{4}-.* cli-bf-1:daily:2001-01-0[1-4] +(SUCCESS|UPSTREAM_FAILED)$`, table)
	require.Regexp(t, `(?m)^total +default +never$`, table)

	require.Contains(t, s.fails(t, 1, "backfill", "cancel", "cli-bf-1"), "backfill cli-bf-1 has ended already: COMPLETED_FAILED, ")
	require.Contains(t, s.fails(t, 1, "backfill", "start", "daily", "--partition", "2001-01-01", "--id", "cli-bf-1"), "cli-bf-1 exists (COMPLETED_FAILED, ")
	require.Contains(t, s.fails(t, 1, "backfill", "pause", "cli-bf-2"), `there is no backfill "cli-bf-2": did you mean "cli-bf-1"?`)
	require.Contains(t, s.fails(t, 1, "backfill", "start", "daily", "--partition", "2001-01-0x"), "2001-01-0x")

	again := s.run(t.Context(), "backfill", "retry", "cli-bf-1", "--id", "cli-bf-3", "-o", "json")
	require.Equal(t, 1, again.code, again.stdout+again.stderr)
	result := parsed[wire.BackfillResult](t, again.stdout)
	require.Equal(t, wire.BackfillFailed, result.Status)
	require.Equal(t, 1, result.Runs.Failed)
	watched := s.run(t.Context(), "backfill", "watch", "cli-bf-3")
	require.Equal(t, 1, watched.code)
	require.Contains(t, watched.stdout, "COMPLETED_FAILED  cli-bf-3  0 of 2 partitions made")

	require.Contains(t, s.ok(t, "backfill", "start", "daily", "--partitions", "2001-01-04,2001-01-05"), "2 of 2 partitions made")
	require.Contains(t, s.ok(t, "asset", "partitions", "late"), "3 materialized (1 stale), 1 upstream failed, 1 missing\n")
	require.Contains(t, s.ok(t, "asset", "partitions", "late", "--status", "stale"), "stale: has a new dependency materialization: daily [2001-01-04]\n")

	require.Contains(t, s.fails(t, 2, "asset", "wipe", "daily", "--all", "--why", "wrong"), "--yes is missing: nobody can be asked whether to wipe")
	require.Contains(t, s.fails(t, 1, "asset", "wipe", "daily", "--range", "2001-01-02..2002-01-01", "--why", "wrong", "--yes"), "  range: ")
	require.Equal(t, "daily: 1 partition wiped\n", s.ok(t, "asset", "wipe", "daily", "--range", "2001-01-03..2001-01-04", "--why", "wrong source", "--yes"))
	require.Contains(t, s.ok(t, "asset", "partitions", "daily"), "daily: 5 partitions: 3 materialized, 2 missing\n")
	require.Equal(t, "daily: 3 partitions wiped\n", s.ok(t, "asset", "wipe", "daily", "--all", "--why", "wrong source", "--yes"))
	require.Contains(t, s.ok(t, "asset", "partitions", "daily"), "daily: 5 partitions: 5 missing\n")
}

func TestCtrlCEndsTheWatchingAndNotTheBackfill(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, sliced("cli_bf_nobody"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &cancelOn{text: `REQUESTED  cli-bf-nobody  waits: no worker polls the task queue "cli_bf_nobody"; start the location`, cancel: cancel}
	var stderr strings.Builder
	code := cli.Main(ctx, s.environment([]string{"backfill", "start", "daily", "--all-partitions", "--id", "cli-bf-nobody"}, stdout, &stderr))
	require.Equal(t, 130, code, stdout.all.String())
	require.Equal(t, "no longer watching backfill cli-bf-nobody, which goes on: `perdure backfill watch cli-bf-nobody` watches it, "+
		"`perdure backfill pause cli-bf-nobody` and `perdure backfill cancel cli-bf-nobody` stop it\n", stderr.String())
	require.Contains(t, s.ok(t, "backfill", "start", "daily", "--all-partitions", "--no-wait"), `it waits: no worker polls the task queue "cli_bf_nobody"`)
}

func TestABackfillIsPausedWidenedResumedAndCancelled(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.serveLocation(t, "cli_bf_steer", sliced("cli_bf_steer"))
	s.ok(t, "backfill", "start", "slow", "--all-partitions", "--id", "cli-bf-steer", "--max-concurrent-runs", "1", "--no-wait")
	row := func() metadata.Backfill {
		return parsed[metadata.Backfill](t, s.ok(t, "backfill", "show", "cli-bf-steer", "-o", "json"))
	}
	require.Eventually(t, func() bool { return s.run(t.Context(), "backfill", "show", "cli-bf-steer").code == 0 }, settle, look)
	require.Contains(t, s.ok(t, "backfill", "pause", "cli-bf-steer"), "`perdure backfill resume cli-bf-steer` lets it go on")
	require.Eventually(t, func() bool { return row().Paused }, settle, look)
	require.Contains(t, s.ok(t, "backfill", "show", "cli-bf-steer"), "REQUESTED (paused)  cli-bf-steer\n")
	require.Equal(t, "backfill cli-bf-steer has at most 3 runs open at once\n", s.ok(t, "backfill", "set-concurrency", "cli-bf-steer", "3"))
	require.Equal(t, 3, row().MaxConcurrentRuns)
	s.ok(t, "backfill", "resume", "cli-bf-steer")
	require.Eventually(t, func() bool { return !row().Paused }, settle, look)
	require.Contains(t, s.ok(t, "backfill", "cancel", "cli-bf-steer"), "was told to stop")
	out := s.run(t.Context(), "backfill", "watch", "cli-bf-steer")
	require.Equal(t, 1, out.code, out.stdout+out.stderr)
	require.Contains(t, out.stdout, "\nCANCELED  cli-bf-steer  ")
}
