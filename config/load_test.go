package config_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/config"
)

// write puts a perdure.yaml into a folder of its own and returns the folder.
func write(t *testing.T, content string) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, config.FileName), []byte(content), 0o600))
	return folder
}

func flags(t *testing.T, arguments ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(set)
	require.NoError(t, set.Parse(arguments))
	return set
}

// problems loads and returns what is wrong, by key.
func problems(t *testing.T, options config.LoadOptions) map[string]config.Problem {
	t.Helper()
	if options.Environ == nil {
		options.Environ = []string{}
	}
	_, err := config.Load(options)
	var all *config.Error
	require.ErrorAs(t, err, &all)
	byKey := map[string]config.Problem{}
	for _, problem := range all.Problems {
		byKey[problem.Key] = problem
		require.ErrorContains(t, err, problem.String())
	}
	require.Len(t, byKey, len(all.Problems), "one problem a key: %v", err)
	return byKey
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: []string{"HOME=/home/me"}})
	require.NoError(t, err)
	require.Equal(t, config.Config{
		Deployment: "default",
		Temporal:   config.Temporal{Address: "127.0.0.1:7233", Namespace: "default", UIAddress: "http://127.0.0.1:8233"},
		Postgres:   config.Postgres{Schema: "perdure", MaxOpenConnections: 16},
		Storage:    config.Storage{URL: "file://" + folder + "/.perdure/storage?create_dir=true&no_tmp_dir=true"},
		Run: config.Run{
			MaxConcurrentSteps: 100, ContinueAfterEvents: 4000, ForceContinueEvents: 40000, DeployGrace: 10 * time.Minute,
			MaxLostWorkers: 3, CommitPatience: 15 * time.Minute,
			Executor: "activity", CancelTimeout: 3 * time.Minute, RetryOnStepFailure: true,
		},
		Queue:  config.Queue{MaxConcurrentRuns: -1, PoolGranularity: "step"},
		Worker: config.Worker{MaxConcurrentSteps: 2 * runtime.GOMAXPROCS(0), Queues: []string{"default"}, DrainTimeout: 30 * time.Second},
		Logs:   config.Logs{Level: "INFO", MaxOutputBytes: 10 << 20},
		Retention: config.Retention{
			LogLines: 30 * 24 * time.Hour, ComputeLogs: 30 * 24 * time.Hour, Events: 90 * 24 * time.Hour, Runs: 365 * 24 * time.Hour,
			Alerts: 90 * 24 * time.Hour, Ticks: 30 * 24 * time.Hour, SkippedTicks: 7 * 24 * time.Hour, SupersededValues: 24 * time.Hour,
		},
		Alerts: config.Alerts{FailingTicks: 1},
	}, loaded)
	require.NoError(t, loaded.Validate())
}

func TestFlagBeatsVariableBeatsFileBeatsDefault(t *testing.T) {
	t.Parallel()
	folder := write(t, `
temporal: {namespace: file, address: "file:1", ui_address: "http://file"}
run: {deploy_grace: 1m, max_lost_workers: 11, commit_patience: 1m}
worker: {queues: [file], drain_timeout: 1m, max_concurrent_steps_per_worker: 1}
`)
	environment := []string{
		"PERDURE_TEMPORAL_ADDRESS=variable:2", "PERDURE_TEMPORAL_NAMESPACE=variable", "PERDURE_RUN_MAX_LOST_WORKERS=12",
		"PERDURE_RUN_COMMIT_PATIENCE=2m", "PERDURE_WORKER_QUEUES=one, two", "PERDURE_WORKER_DRAIN_TIMEOUT=2m",
		"PERDURE_DEPLOYMENT=", // as a compose file passes on what is not set
	}
	given := flags(t, "--temporal-namespace=flag", "--run-commit-patience=3m", "--worker-queues=default,gpu",
		"--worker-max-concurrent-steps-per-worker=3", "--temporal-tls-enabled")
	loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: environment, Flags: given})
	require.NoError(t, err)
	require.Equal(t, "flag", loaded.Temporal.Namespace)
	require.Equal(t, "variable:2", loaded.Temporal.Address)
	require.Equal(t, "http://file", loaded.Temporal.UIAddress)
	require.True(t, loaded.Temporal.TLS.Enabled)
	require.Equal(t, config.Run{
		MaxConcurrentSteps: 100, ContinueAfterEvents: 4000, ForceContinueEvents: 40000,
		DeployGrace: time.Minute, MaxLostWorkers: 12, CommitPatience: 3 * time.Minute,
		Executor: "activity", CancelTimeout: 3 * time.Minute, RetryOnStepFailure: true,
	}, loaded.Run)
	require.Equal(t, config.Worker{
		MaxConcurrentSteps: 3, Queues: []string{"default", "gpu"}, DrainTimeout: 2 * time.Minute,
	}, loaded.Worker)
	require.Equal(t, "default", loaded.Deployment)
}

func TestFileIsFoundInTheFolderAndAbove(t *testing.T) {
	t.Parallel()
	folder := write(t, "deployment: above\ntemporal:\n  tls: {enabled: true, ca_file: certs/ca.pem}\n")
	below := filepath.Join(folder, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o700))
	loaded, err := config.Load(config.LoadOptions{Folder: below, Environ: []string{}})
	require.NoError(t, err)
	require.Equal(t, "above", loaded.Deployment)
	require.Equal(t, filepath.Join(folder, config.FileName), loaded.File)
	require.Contains(t, loaded.Storage.URL, "file://"+folder+"/.perdure/storage")
	require.Equal(t, filepath.Join(folder, "certs", "ca.pem"), loaded.Temporal.TLS.CAFile, "relative to the file")

	loaded, err = config.Load(config.LoadOptions{Folder: below, Environ: []string{}, Flags: flags(t, "--temporal-tls-ca-file=ca.pem")})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(below, "ca.pem"), loaded.Temporal.TLS.CAFile, "relative to the command")

	loaded, err = config.Load(config.LoadOptions{Folder: below, File: "../../" + config.FileName, Environ: []string{}})
	require.NoError(t, err)
	require.Equal(t, "above", loaded.Deployment)

	_, err = config.Load(config.LoadOptions{Folder: below, File: "asked-for.yaml", Environ: []string{}})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "asked-for.yaml does not exist")
}

func TestEveryProblemIsListedAtOnce(t *testing.T) {
	t.Parallel()
	folder := write(t, `deploymnt: pr42
temporal:
  adress: localhost:7233
  namespace: 42
  ui_address: localhost
postgres:
  max_open_connections: many
  dsn:
storage: s3://bucket
run:
  max_concurrent_steps: 501
  drain_timeout: 10s
  deploy_grace: 600
worker:
  queues: gpu
  max_concurrent_steps_per_worker: 0
zebra: 1
`)
	found := problems(t, config.LoadOptions{
		Folder:  folder,
		Environ: []string{"PERDURE_POSTGRS_DSN=postgres://me:hunter2@x/y", "PERDURE_RUN_COMMIT_PATIENCE=soon", "PERDURE_PORT=tcp://10.0.0.1:80", "PERDURE_TEST_POSTGRES_DSN=x"},
		Flags:   flags(t, "--run-max-lost-workers=0"),
	})
	file := filepath.Join(folder, config.FileName)
	for key, want := range map[string]config.Problem{
		"deploymnt":                              {Source: file + ":1", Message: "is no configuration key", Fix: "did you mean deployment?"},
		"temporal.adress":                        {Source: file + ":3", Message: "is no configuration key", Fix: "did you mean temporal.address?"},
		"temporal.namespace":                     {Source: file + ":4", Message: "must be text: put it in quotes"},
		"temporal.ui_address":                    {Source: file + ":5", Message: "is not a URL", Fix: "write it as http://127.0.0.1:8233"},
		"postgres.max_open_connections":          {Source: file + ":7", Message: "must be a whole number"},
		"postgres.dsn":                           {Source: file + ":8", Message: "has no value: give it one, or remove the line for the default"},
		"storage":                                {Source: file + ":9", Message: "must be a section", Fix: "write its keys below it, indented"},
		"run.max_concurrent_steps":               {Source: file + ":11", Message: "is 501 and must be between 1 and 500"},
		"run.drain_timeout":                      {Source: file + ":12", Message: "is no configuration key", Fix: "did you mean worker.drain_timeout?"},
		"run.deploy_grace":                       {Source: file + ":13", Message: "must be a duration such as 30s, 10m or 1h30m"},
		"worker.queues":                          {Source: file + ":15", Message: "must be a list of names"},
		"worker.max_concurrent_steps_per_worker": {Source: file + ":16", Message: "is 0 and must be at least 1"},
		"zebra":                                  {Source: file + ":17", Message: "is no configuration key", Fix: "remove it"},
		"run.commit_patience":                    {Source: "PERDURE_RUN_COMMIT_PATIENCE", Message: "must be a duration such as 30s, 10m or 1h30m"},
		"run.max_lost_workers":                   {Source: "--run-max-lost-workers", Message: "is 0 and must be at least 1"},
		"":                                       {Source: "PERDURE_POSTGRS_DSN", Message: "is no variable of Perdure", Fix: "did you mean PERDURE_POSTGRES_DSN?"},
	} {
		want.Key = key
		require.Equal(t, want, found[key], key)
		delete(found, key)
	}
	require.Empty(t, found)
}

func TestRules(t *testing.T) {
	t.Parallel()
	for content, key := range map[string]string{
		`deployment: Feature/X`:                                  "deployment",
		`deployment: ""`:                                         "deployment",
		`temporal: {address: "http://localhost:7233"}`:           "temporal.address",
		`temporal: {address: localhost}`:                         "temporal.address",
		`temporal: {address: "localhost:99999"}`:                 "temporal.address",
		`temporal: {namespace: ""}`:                              "temporal.namespace",
		`temporal: {tls: {enabled: true, cert_file: c.pem}}`:     "temporal.tls.cert_file",
		`temporal: {tls: {server_name: x}}`:                      "temporal.tls.enabled",
		`temporal: {tls: {enabled: "yes"}}`:                      "temporal.tls.enabled",
		`temporal: {tls: {enabled: true}, api_key_env: UNSET_X}`: "temporal.api_key_env",
		`temporal: {api_key_env: SET}`:                           "temporal.api_key_env",
		`postgres: {dsn_env: UNSET_X}`:                           "postgres.dsn_env",
		`postgres: {dsn_env: SET, dsn: "host=x"}`:                "postgres.dsn_env",
		`postgres: {schema: "My-Schema"}`:                        "postgres.schema",
		`postgres: {schema: ""}`:                                 "postgres.schema",
		`postgres: {max_open_connections: 1}`:                    "postgres.max_open_connections",
		`postgres: {dsn: "host=x search_path=a", schema: b}`:     "postgres.dsn",
		`postgres: {dsn: mysql}`:                                 "postgres.dsn",
		`storage: {url: ./data}`:                                 "storage.url",
		`storage: {url: ""}`:                                     "storage.url",
		`run: {max_concurrent_steps: 0}`:                         "run.max_concurrent_steps",
		`run: {continue_after_events: 0}`:                        "run.continue_after_events",
		`run: {force_continue_events: 4000}`:                     "run.force_continue_events",
		`run: {force_continue_events: 45001}`:                    "run.force_continue_events",
		`run: {deploy_grace: 0s}`:                                "run.deploy_grace",
		`run: {commit_patience: -1s}`:                            "run.commit_patience",
		`run: {executor: subproces}`:                             "run.executor",
		`queue: {max_concurrent_runs: -2}`:                       "queue.max_concurrent_runs",
		`queue: {tag_limits: [heavy]}`:                           "queue.tag_limits",
		`queue: {tag_limits: ["heavy:-1"]}`:                      "queue.tag_limits",
		`queue: {tag_limits: ["a=b:1", "a=b:2"]}`:                "queue.tag_limits",
		`queue: {default_pool_limit: -1}`:                        "queue.default_pool_limit",
		`queue: {pool_granularity: op}`:                          "queue.pool_granularity",
		`run: {max_runtime: -1s}`:                                "run.max_runtime",
		`run: {max_retries: -1}`:                                 "run.max_retries",
		`run: {start_timeout: -1s}`:                              "run.start_timeout",
		`run: {cancel_timeout: -1s}`:                             "run.cancel_timeout",
		`logs: {level: info}`:                                    "logs.level",
		`logs: {max_output_bytes: -1}`:                           "logs.max_output_bytes",
		`retention: {runs: -1h}`:                                 "retention.runs",
		`retention: {alerts: -1h}`:                               "retention.alerts",
		`alerts: {failing_ticks: 0}`:                             "alerts.failing_ticks",
		`run: {max_concurrent_steps: 1.5}`:                       "run.max_concurrent_steps",
		`worker: {queues: []}`:                                   "worker.queues",
		`worker: {queues: [a/b]}`:                                "worker.queues",
		`worker: {queues: [a, a]}`:                               "worker.queues",
		`worker: {drain_timeout: -1s}`:                           "worker.drain_timeout",
		"run: {deploy_grace: 1m}\nrun: {deploy_grace: 2m}":       "run",
		`[not, a, section]`:                                      "",
		"a: b: c":                                                "",
	} {
		found := problems(t, config.LoadOptions{Folder: write(t, content), Environ: []string{"SET=host=x"}})
		require.Len(t, found, 1, content)
		require.Contains(t, found, key, content)
	}
	for _, content := range []string{
		"", "# a comment\n", "temporal:\n", `temporal: {address: "dns:///temporal.internal:7233"}`, `temporal: {address: "[::1]:7233"}`,
		`run: {max_concurrent_steps: 500, force_continue_events: 45000}`, `worker: {drain_timeout: 0s}`,
		`storage: {url: "s3://bucket?region=eu-central-1"}`, "deployment: &name pr42\npostgres: {schema: *name}",
	} {
		_, err := config.Load(config.LoadOptions{Folder: write(t, content), Environ: []string{}})
		require.NoError(t, err, content)
	}
}

func TestSchemaOfADeployment(t *testing.T) {
	t.Parallel()
	schema := func(deployment, dsn string) string {
		loaded, err := config.Load(config.LoadOptions{
			Folder: t.TempDir(), Environ: []string{"PERDURE_DEPLOYMENT=" + deployment, "PERDURE_POSTGRES_DSN=" + dsn},
		})
		require.NoError(t, err)
		return loaded.Postgres.Schema
	}
	require.Equal(t, "perdure", schema("default", ""))
	require.Equal(t, "perdure_pr42", schema("pr42", ""))
	require.Equal(t, "theirs", schema("pr42", "host=x search_path=theirs"))
	require.Equal(t, "theirs", schema("pr42", "postgres://x/y?search_path=theirs"))
	// Names that differ only in what a schema's name cannot hold must not share one.
	seen := map[string]bool{}
	for _, deployment := range []string{"a_b", "a-b", "a.b", "a.-b", "a_-b"} {
		name := schema(deployment, "")
		require.False(t, seen[name], name)
		seen[name] = true
	}
	require.Regexp(t, `^perdure_a_b_[0-9a-f]{8}$`, schema("a-b", ""))
}

func TestSecretsComeFromNamedVariables(t *testing.T) {
	t.Parallel()
	folder := write(t, "temporal: {api_key_env: CLOUD_KEY, tls: {enabled: true}}\npostgres: {dsn_env: DATABASE_URL}\n")
	environment := []string{"CLOUD_KEY=hunter2", "DATABASE_URL=postgres://me:hunter2@db/perdure"}
	loaded, err := config.Load(config.LoadOptions{Folder: folder, Environ: environment})
	require.NoError(t, err)
	require.Equal(t, "hunter2", loaded.Temporal.APIKey.Reveal())
	dsn, err := loaded.PostgresDSN()
	require.NoError(t, err)
	require.Equal(t, "postgres://me:hunter2@db/perdure?binary_parameters=yes&connect_timeout=10&search_path=perdure", dsn)

	encoded, err := json.Marshal(loaded)
	require.NoError(t, err)
	for _, printed := range []string{
		fmt.Sprint(loaded), fmt.Sprintf("%+v %#v %v %v", loaded, loaded, loaded.Postgres, loaded.Temporal), string(encoded),
		fmt.Sprintf("%#v %#v", loaded.Redacted().Postgres.DSN, string(loaded.Redacted().Temporal.APIKey)),
	} {
		require.NotContains(t, printed, "hunter2")
		require.Contains(t, printed, "xxxxx")
	}

	// A variable of its own beats the file's.
	loaded, err = config.Load(config.LoadOptions{Folder: folder, Environ: append(environment, "PERDURE_POSTGRES_DSN=host=other")})
	require.NoError(t, err)
	dsn, err = loaded.PostgresDSN()
	require.NoError(t, err)
	require.Equal(t, "host=other binary_parameters=yes search_path=perdure connect_timeout=10", dsn)
}

func TestValidateOfAHandMadeConfig(t *testing.T) {
	t.Parallel()
	var all *config.Error
	require.ErrorAs(t, config.Config{}.Validate(), &all)
	require.Greater(t, len(all.Problems), 10)
}

func TestUnknownFlagKeyIsAMistakeOfTheProgram(t *testing.T) {
	t.Parallel()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(set, "temporal.address")
	require.NotNil(t, set.Lookup("temporal-address"))
	require.Nil(t, set.Lookup("temporal-namespace"))
	require.Panics(t, func() { config.AddFlags(set, "temporal.adress") })
}
