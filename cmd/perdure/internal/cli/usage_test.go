package cli_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/schema"
)

func TestACommandLineThatMakesNoSenseIsExplainedWithoutUsageText(t *testing.T) {
	t.Parallel()
	schemas, err := schema.Names()
	require.NoError(t, err)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"aset"}, "Error: perdure has no command \"aset\" (did you mean asset or alert?)\n`perdure --help` says how to use it\n"},
		{[]string{"asset", "lst"}, "Error: perdure asset has no command \"lst\" (did you mean list?)\n`perdure asset --help` says how to use it\n"},
		{[]string{"job", "rnu"}, "Error: perdure job has no command \"rnu\" (did you mean run?)\n`perdure job --help` says how to use it\n"},
		{[]string{"job", "scaffold-config", "x", "-o", "json"}, "Error: --output: this command prints YAML\n`perdure job scaffold-config --help` says how to use it\n"},
		{
			[]string{"job", "run", "nightly", "--set", "ops.a.b", "--set", `ops["a.x=1`, "--set", "ops..x=1", "--set", "ops.a=1", "--set", "loggers.audit=1", "--no-wait", "--dry-run"},
			"Error: --no-wait makes no sense with --dry-run, which starts nothing\n" + badSetting("ops.a.b") + badSetting(`ops["a.x=1`) + badSetting("ops..x=1") +
				badSetting("ops.a=1") + badSetting("loggers.audit=1") + "`perdure job run --help` says how to use it\n",
		},
		{[]string{"run", "show"}, "Error: accepts 1 arg(s), received 0\n`perdure run show --help` says how to use it\n"},
		{[]string{"run", "list", "--lmit", "3"}, "Error: unknown flag: --lmit\n`perdure run list --help` says how to use it\n"},
		{[]string{"run", "list", "-o", "yaml"}, "Error: invalid argument \"yaml\" for \"-o, --output\" flag: must be table or json, not \"yaml\"\n`perdure run list --help` says how to use it\n"},
		{
			[]string{"run", "list", "--status", "sucess", "--limit", "0", "--tag", "a"},
			"Error: --status: there is no status \"sucess\" (did you mean \"SUCCESS\"? known: QUEUED, STARTING, STARTED, CANCELING, SUCCESS, FAILURE, CANCELED)\n" +
				"--limit is 0 and must be 1 to 1000\n--tag a: write it as KEY=VALUE\n`perdure run list --help` says how to use it\n",
		},
		{
			[]string{"asset", "materialize", "--set", "a=1", "--priority", "urgent", "--dry-run", "--no-wait"},
			"Error: name what to materialize: a selection such as \"*\" or \"route_delays+\", or --job\n" +
				"--no-wait makes no sense with --dry-run, which starts nothing\n" +
				"--set a=1: write it as assets.KEY.FIELD=VALUE, or with ops.PATH, resources.NAME, loggers.NAME or execution; a name can be quoted: ops[\"etl.clean\"].FIELD=VALUE\n" +
				"--priority must be 1 to 5, or \"high\", \"normal\", \"low\" or \"backfill\", not urgent\n`perdure asset materialize --help` says how to use it\n",
		},
		{
			[]string{"asset", "materialize", "daily", "--partition", "a", "--range", "a..", "--all-partitions", "--only", "stalle", "--as-of", "today"},
			"Error: give --partition or --range or all of them, not several of them\n" +
				"--range a..: write it as FIRST..LAST, or FIRST...LAST where a key holds \"..\"\n" +
				"--only: there is no state \"stalle\" (did you mean \"stale\"? known: missing, failed, stale)\n" +
				"--as-of today: write it as 2001-04-01T00:00:00Z\n`perdure asset materialize --help` says how to use it\n",
		},
		{[]string{"job", "run", "daily", "--range", "2001-01-01"}, "Error: --range 2001-01-01: write it as FIRST..LAST, or FIRST...LAST where a key holds \"..\"\n`perdure job run --help` says how to use it\n"},
		{
			[]string{"backfill", "start", "--max-concurrent-runs", "1001", "--partition", "a", "--partitions", "b"},
			"Error: name what to make: a selection such as \"*\" or \"route_delays+\", or --job\ngive --partition or --partitions, not several of them\n" +
				"--max-concurrent-runs is 1001 and must be 1 to 1000\n`perdure backfill start --help` says how to use it\n",
		},
		{[]string{"backfill", "set-concurrency", "bf1", "0"}, "Error: RUNS is 0 and must be 1 to 1000\n`perdure backfill set-concurrency --help` says how to use it\n"},
		{[]string{"backfill", "retyr"}, "Error: perdure backfill has no command \"retyr\" (did you mean retry?)\n`perdure backfill --help` says how to use it\n"},
		{
			[]string{"asset", "partitions", "daily", "--status", "faild", "--limit", "0", "--cursor", "x"},
			"Error: --status: there is no status \"faild\" (did you mean \"failed\"? known: materialized, materialized_failed, running, failed, upstream_failed, missing, stale)\n" +
				"--limit is 0 and must be 1 to 1000\n--cursor \"x\" is not what a list printed as next\n`perdure asset partitions --help` says how to use it\n",
		},
		{
			[]string{"asset", "wipe", "daily"},
			"Error: say what to wipe: --partition, --partitions, --range or --all\n--why is missing: it is recorded\n`perdure asset wipe --help` says how to use it\n",
		},
		{[]string{"partition", "add", "airports"}, "Error: requires at least 2 arg(s), only received 1\n`perdure partition add --help` says how to use it\n"},
		{[]string{"migrate", "down"}, "Error: --to is missing: the version to go back to, as `perdure migrate status` lists them; 0 removes every table\n`perdure migrate down --help` says how to use it\n"},
		{[]string{"migrate", "upp"}, "Error: perdure migrate has no command \"upp\" (did you mean up?)\n`perdure migrate --help` says how to use it\n"},
		{[]string{"schema", "RunRequst"}, "Error: there is no schema \"RunRequst\" (did you mean \"RunRequest\"? known: " + strings.Join(schemas[:20], ", ") + fmt.Sprintf(" and %d more)\n", len(schemas)-20) + "`perdure schema --help` says how to use it\n"},
		{[]string{"demo"}, "Error: there is no folder examples/flights here: call this in a clone of the repository, or name the folder of a code location\n`perdure demo --help` says how to use it\n"},
		{[]string{"dev", "--output", "json", "--address", "a:1"}, "Error: --output: this command prints no JSON\n--temporal-address: this command brings a Temporal of its own\n`perdure dev --help` says how to use it\n"},
	} {
		require.Equal(t, test.want, newShell(t).fails(t, 2, test.args...), "%v", test.args)
	}
}

func TestEveryMissingServerIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	s := newShell(t, "PERDURE_TEMPORAL_ADDRESS="+address, "PERDURE_POSTGRES_DSN=postgres://me:secret@"+address+"/x?sslmode=disable")
	complaint := s.fails(t, 1, "check", "--instance")
	require.Contains(t, complaint, "temporal at "+address+" (temporal.address) cannot be reached")
	require.Contains(t, complaint, "postgres at postgres://me:xxxxx@"+address+"/x?sslmode=disable (postgres.dsn) cannot be reached")
	require.NotContains(t, complaint, "secret")
	require.Contains(t, newShell(t).fails(t, 1, "asset", "list"), "or use `perdure dev`, which brings a PostgreSQL")
}

func TestSchemaPrintsJSONSchema(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	schema := parsed[struct {
		Title      string                     `json:"title"`
		Properties map[string]json.RawMessage `json:"properties"`
	}](t, s.ok(t, "schema", "RunRequest"))
	require.Equal(t, "RunRequest", schema.Title)
	require.Contains(t, schema.Properties, "dry_run")
	require.Contains(t, s.ok(t, "schema"), "RunRequest\nRunResult\n")
	require.Contains(t, parsed[[]string](t, s.ok(t, "schema", "-o", "json")), "RunRequest")
}

func TestCheckOfAFolderWithoutAProgram(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	require.Contains(t, s.fails(t, 1, "check", "nowhere"), "there is no folder ")
	s.write(t, "lib/go.mod", "module example.com/lib\n\ngo 1.26\n")
	s.write(t, "lib/lib.go", "package lib\n")
	require.Contains(t, s.fails(t, 1, "check", "lib"), "holds package lib, not a program: its package main calls worker.Main")
}

func TestStackOfTheFolderIsUsedWhereNothingElseIsConfigured(t *testing.T) {
	t.Parallel()
	configured := migrated(t)
	dsn, address := configured.environ[0][len("PERDURE_POSTGRES_DSN="):], configured.environ[1][len("PERDURE_TEMPORAL_ADDRESS="):]
	stack, err := json.Marshal(map[string]string{"temporal_address": address, "ui_address": "127.0.0.1:1", "postgres_dsn": dsn, "storage_url": "file:///nowhere"})
	require.NoError(t, err)
	s := newShell(t)
	s.write(t, ".perdure/running.json", string(stack))
	want := "Temporal at " + address + ": answers"
	require.Contains(t, s.ok(t, "check", "--instance"), want)

	below := newShell(t)
	s.write(t, "below/.keep", "")
	below.folder = s.folder + "/below"
	require.Contains(t, below.ok(t, "check", "--instance"), want)

	require.Contains(t, s.fails(t, 1, "check", "--instance", "--address", "127.0.0.1:1"), "temporal at 127.0.0.1:1")
	s.write(t, "perdure.yaml", "queue:\n  max_concurrent_runs: 5\n")
	require.Contains(t, s.ok(t, "check", "--instance"), want)
	s.write(t, "perdure.yaml", "temporal:\n  address: 127.0.0.1:1\n")
	require.Contains(t, s.fails(t, 1, "check", "--instance"), "temporal at 127.0.0.1:1")
}

func TestAStackThatWasKilledIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.write(t, ".perdure/running.json", `{"temporal_address":"127.0.0.1:1","ui_address":"127.0.0.1:1","postgres_dsn":"postgres://x@127.0.0.1:1/x","storage_url":"file:///nowhere"}`)
	require.Contains(t, s.fails(t, 1, "asset", "list"), "postgres.dsn is not set")
}

func TestAnEmptyInstanceSaysSo(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	require.Contains(t, s.fails(t, 1, "asset", "list"), "there is no code location yet")
	require.Equal(t, "no run matches\n", s.ok(t, "run", "list"))
	require.Equal(t, "Error: there is no run \"r1\": `perdure run list` names those there are\n", s.fails(t, 1, "run", "show", "r1"))
}

func badSetting(text string) string {
	return "--set " + text + ": write it as assets.KEY.FIELD=VALUE, or with ops.PATH, resources.NAME, loggers.NAME or execution; " +
		"a name can be quoted: ops[\"etl.clean\"].FIELD=VALUE\n"
}
