package cli_test

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/wire"
)

type cleanConfig struct {
	Site  string        `config:"required" description:"Where the pages are."`
	Size  int           `description:"How many are taken."`
	Wait  time.Duration `config:"required"`
	Since time.Time     `config:"required"`
	Mode  string        `enum:"fast,slow"`
	Names map[string]int
	Parts []partConfig
	Part  *partConfig
}

type partConfig struct {
	Name string `config:"required"`
	Tags []string
}

type warehouseConfig struct {
	DSN  definitions.Secret `config:"required" enum:"WAREHOUSE_DSN,PATH"` // PATH is a variable that a test's process has
	Pool struct {
		Most int8
	}
}

type graphConfig struct {
	Depth uint8
	Share float64
}

type auditConfig struct {
	To string `config:"required"`
}

// jobs is a location with jobs that take config of every kind: ops in and outside of a graph that maps its config, a
// resource with a secret, a logger, a graph asset.
func jobs(name string) *definitions.Definitions {
	clean := definitions.Config(cleanConfig{Size: 3, Mode: "fast", Names: map[string]int{"a: b": 1}, Parts: []partConfig{{Name: "x"}}})
	depth := definitions.Config(graphConfig{Depth: 2, Share: 0.25})
	inner := definitions.Config(minimum{Least: 1})
	warehouse := definitions.Resource("warehouse", definitions.Bind1(func(_ definitions.Context, c warehouseConfig) (string, error) { return "open", nil },
		definitions.Config(warehouseConfig{})), definitions.NoClose)
	audit := definitions.Logger("audit", definitions.Bind1(func(_ definitions.Context, c auditConfig) (slog.Handler, error) {
		return slog.DiscardHandler, nil
	}, definitions.Config(auditConfig{})))
	source := definitions.Op("source", definitions.Bind2(func(_ definitions.Context, c cleanConfig, _ string) (int, error) { return c.Size, nil }, clean, warehouse),
		definitions.Description("Reads the pages.\nAll of them."))
	mapped := definitions.Graph("etl", source, func(in *definitions.Value[int]) *definitions.Value[int] {
		return definitions.Op("clean", definitions.Bind2(func(_ definitions.Context, n int, c minimum) (int, error) { return n + c.Least, nil }, in, inner))
	}, definitions.MapConfig(depth, inner, func(c graphConfig) minimum { return minimum{Least: int(c.Depth)} }))
	loose := definitions.Graph("loose", mapped, func(in *definitions.Value[int]) *definitions.Value[int] {
		return definitions.Op("count", definitions.Bind2(func(_ definitions.Context, n int, c minimum) (int, error) { return n * c.Least, nil }, in, inner))
	})
	numbers := definitions.Asset("numbers", definitions.Bind1(func(_ definitions.Context, c minimum) (int, error) { return c.Least, nil }, inner))
	dotted := definitions.Asset("raw.numbers", definitions.Bind1(func(_ definitions.Context, c graphConfig) (int, error) { return int(c.Depth), nil }, depth))
	total := definitions.GraphAsset("total", definitions.Op("sum", definitions.Bind2(func(_ definitions.Context, n int, c minimum) (int, error) { return n + c.Least, nil }, numbers, inner)))
	return definitions.New(name, warehouse, numbers, dotted, total,
		definitions.OpJob("pages", []definitions.AnyValue{loose}, definitions.Loggers(audit), definitions.Description("Counts pages."),
			definitions.Tags{"team": "ops"}, definitions.MaxConcurrentSteps(7), definitions.TagLimit{Key: "db", Limit: 2, PerValue: true},
			definitions.ExecuteAs(definitions.Subprocess{MemoryLimit: definitions.GiB}), definitions.RunTimeout(time.Hour)),
		definitions.OpJob("plain", []definitions.AnyValue{mapped}, definitions.RunConfig(`{"ops":{"source":{"site":"job","wait":"1s","since":"2001-01-01T00:00:00Z"}},"resources":{"warehouse":{"dsn":{"env":"PATH"}}}}`)),
		definitions.AssetJob("everything", definitions.Select("*")))
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([^ ])`)

func TestScaffoldsOfARichLocationAreAccepted(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, jobs("cli_scaffold"))
	for _, job := range []string{"pages", "plain", "everything"} {
		text := s.ok(t, "job", "scaffold-config", job)
		s.write(t, "as_is.yaml", text)
		s.write(t, "all.yaml", commentedOut.ReplaceAllString(text, "$1$2"))
		asItIs := s.ok(t, "job", "run", job, "--dry-run", "--run-config", "as_is.yaml")
		require.Equal(t, asItIs, s.ok(t, "job", "run", job, "--dry-run", "--run-config", "all.yaml"), text)
	}
	text := s.ok(t, "job", "scaffold-config", "pages")
	for _, want := range []string{
		"  # Reads the pages.\n  # All of them.\n  source:\n", "    # Where the pages are.\n    # text; required\n    site: \"…\"\n",
		"    # text such as \"1m30s\"; required\n    wait: \"1m30s\"\n", "    # one of \"fast\", \"slow\"; default \"fast\"\n    #mode: \"fast\"\n",
		"    dsn: {env: PATH}\n", "      # whole number, -128 to 127; default 0\n      #most: 0\n", "  # Graph: its ops get what it makes of this config.\n  #etl:\n",
		"  #loose.count:\n", "    #memory_limit: \"1GiB\"\n", "  audit:\n    # text; required\n    to: \"…\"\n",
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, s.ok(t, "job", "scaffold-config", "everything"), "  #total.sum:\n    # whole number; default 1\n    #least: 1\n")
	require.Contains(t, s.fails(t, 1, "job", "scaffold-config", "pags"), `there is no job "pags" (did you mean "pages"? known: everything, pages, plain)`)
}

func TestJobsAreListedAndShown(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, jobs("cli_jobs"))
	require.Equal(t, "JOB         RUNS      SELECTION  DESCRIPTION\neverything  3 assets  *\npages       3 ops                Counts pages.\nplain       2 ops\n", s.ok(t, "job", "list"))
	shown := s.ok(t, "job", "show", "pages")
	for _, want := range []string{
		"pages  a job of ops in location cli_jobs\n  Counts pages.\n\n", "ops       etl.clean, loose.count, source\n", "tags      team=ops\n",
		"executor  subprocess, at most 1GiB of memory\n", "at once   7 steps, 2 with the tag db of each value\n", "timeout   1h0m0s\n", "loggers   audit\n",
	} {
		require.Contains(t, shown, want)
	}
	require.Contains(t, s.ok(t, "job", "show", "everything"), "assets     numbers, raw.numbers, total\nops        total.sum\n")
	type shownJob struct {
		Name, Location string
		Ops, Assets    []string
		Config         json.RawMessage
	}
	job := parsed[shownJob](t, s.ok(t, "job", "show", "plain", "-o", "json"))
	require.Equal(t, []string{"etl.clean", "source"}, job.Ops)
	require.Equal(t, "cli_jobs", job.Location)
	require.Contains(t, string(job.Config), "PATH")
	require.Len(t, parsed[[]shownJob](t, s.ok(t, "job", "list", "-o", "json")), 3)

	s.register(t, jobs("cli_jobs_two"))
	require.Contains(t, s.ok(t, "job", "list"), "plain       cli_jobs_two  2 ops")
	require.Contains(t, s.fails(t, 2, "job", "show", "plain"), `several code locations have a job "plain": name one of cli_jobs, cli_jobs_two with --location`)
	require.Equal(t, "cli_jobs_two", parsed[shownJob](t, s.ok(t, "job", "show", "plain", "--location", "cli_jobs_two", "-o", "json")).Location)
}

func TestSettingsNameOpsAndAssetsWithDots(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.register(t, jobs("cli_settings"))
	// A value of the wrong type tells under which name and field it was taken.
	for setting, want := range map[string]string{
		"ops.source.size=x":                   `config.ops.source.size: must be a whole number, not the string "x"`,
		"ops.source.part.name=3":              `config.ops.source.part: fits none`,
		"ops.source.names.k=x":                `config.ops.source.names.k: must be a whole number`,
		"ops.etl.depth=x":                     `config.ops.etl.depth: must be a whole number`,
		"ops.etl.clean.least=x":               `config.ops["etl.clean"]: op "etl.clean" has no config of its own: graph "etl" makes it of the graph's`,
		`ops["etl"].clean=1`:                  `config.ops.etl.clean: unknown field "clean"`,
		"ops.loose.count.least=x":             `config.ops["loose.count"].least: must be a whole number`,
		`ops["loose.count"].least=x`:          `config.ops["loose.count"].least: must be a whole number`,
		"ops.loose.cuont.least=1":             `config.ops["loose.cuont"]: there is no op or graph "loose.cuont" (did you mean "loose.count"?`,
		"resources.warehouse.pool.most=x":     `config.resources.warehouse.pool.most: must be a whole number`,
		"loggers.level=loud":                  `config.loggers.level: there is no log level "loud"`,
		"loggers.audit.to=1":                  `config.loggers.audit.to: must be a string`,
		"execution.executor.kind=thread":      `config.execution.executor.kind: there is no executor "thread"`,
		"execution.max_concurrent_steps=many": `config.execution.max_concurrent_steps: must be a whole number`,
	} {
		require.Contains(t, s.fails(t, 1, "job", "run", "pages", "--dry-run", "--set", setting), want, setting)
	}
	for setting, want := range map[string]string{
		"assets.raw.numbers.depth=x":    `config.assets["raw.numbers"].depth: must be a whole number`,
		`assets["raw.numbers"].depth=x`: `config.assets["raw.numbers"].depth: must be a whole number`,
		"assets.numbers.least=x":        `config.assets.numbers.least: must be a whole number`,
		"ops.total.sum.least=x":         `config.ops["total.sum"].least: must be a whole number`,
	} {
		require.Contains(t, s.fails(t, 1, "asset", "materialize", "*", "--dry-run", "--set", setting), want, setting)
	}
	require.Contains(t, s.fails(t, 2, "job", "run", "pages", "--dry-run", "--set", "ops.source.size=1", "--set", "ops.source.size.x=1"),
		"--set ops.source.size.x=1: ops.source.size is a value already, not an object")
}

func TestAJobOfOpsRuns(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	s.environ = append(s.environ, "PERDURE_STORAGE_URL=file://"+filepath.ToSlash(t.TempDir())+"?create_dir=true&no_tmp_dir=true")
	s.serveLocation(t, "cli_job", jobs("cli_job"))
	require.Contains(t, s.ok(t, "job", "run", "plain", "--ops", "source", "--dry-run"), "1 step would run; nothing was started\n")
	require.Contains(t, s.fails(t, 1, "job", "run", "plain", "--ops", "etl.claen", "--dry-run"), `did you mean "etl.clean"?`)
	text := s.ok(t, "job", "run", "plain", "--id", "cli-job-1", "--set", "ops.etl.depth=4", "--tag", "team=ops")
	require.Contains(t, text, "SUCCESS  cli-job-1  2 of 2 steps done in ")
	require.Contains(t, s.ok(t, "run", "show", "cli-job-1"), `config    {"ops": {"etl": {"depth": 4}}}`)
	require.Contains(t, s.fails(t, 1, "job", "run", "pages", "--id", "cli-job-2"), `config.ops.source.site: "site" is required and has no default`)

	again := s.ok(t, "run", "reexecute", "cli-job-1", "--steps", "etl.clean", "--set", "ops.source.part.name=x", "--dry-run")
	require.Contains(t, again, "etl.clean")
	result := parsed[wire.RunResult](t, s.ok(t, "run", "reexecute", "cli-job-1", "--all", "--set", "ops.etl.depth=5", "-o", "json"))
	require.Equal(t, wire.RunSuccess, result.Status)
}
