package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxConcurrentStepsCap  = 500
	forceContinueEventsCap = 45000
	schemaLength           = 63
	// deploymentHashLength is the number of hexadecimal digits that tell deployments apart whose schemas would be named
	// alike.
	deploymentHashLength = 8
)

var (
	deploymentName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,39}$`)
	schemaName     = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	queueName      = regexp.MustCompile(`^[A-Za-z0-9._~|-]{1,100}$`)
	// tagLimit is a tag, a value of it or * for each, and a number of runs.
	tagLimit    = regexp.MustCompile(`^([^=\s]+)(=[^\s]*)?:(-?\d+)$`)
	notInSchema = regexp.MustCompile(`[^a-z0-9_]`)
)

// Validate returns an *Error with every problem, or nil. Load has called it; a Config made by hand needs it, complete:
// Validate adds no defaults.
func (c Config) Validate() error { return asError(c.problems()) }

// checker collects problems.
type checker struct{ found []Problem }

func (k *checker) check(ok bool, name, message, fix string) {
	if !ok {
		k.found = append(k.found, Problem{Key: name, Message: message, Fix: fix})
	}
}

func (k *checker) between(value, least, most int, name string) {
	k.check(value >= least && value <= most, name,
		fmt.Sprintf("is %d and must be between %d and %d", value, least, most), "")
}

func (k *checker) atLeast(value, least int, name string) {
	k.check(value >= least, name, fmt.Sprintf("is %d and must be at least %d", value, least), "")
}

func (k *checker) oneOf(value, name string, allowed ...string) {
	fix := ""
	if near := nearest(value, allowed, slipOfAKey); near != "" {
		fix = fmt.Sprintf("did you mean %q?", near)
	}
	k.check(slices.Contains(allowed, value), name, fmt.Sprintf("is %q and must be one of %s", value, strings.Join(allowed, ", ")), fix)
}

func (c Config) problems() []Problem {
	k := &checker{}
	k.check(deploymentName.MatchString(c.Deployment), "deployment",
		fmt.Sprintf("is %q and must be 1 to 40 lower-case letters, digits, dots, hyphens and underscores", c.Deployment), "")
	c.Temporal.check(k)
	c.Postgres.check(k)
	parsed, err := url.Parse(c.Storage.URL)
	k.check(err == nil && parsed.Scheme != "" && (parsed.Host != "" || parsed.Path != ""), "storage.url",
		"is not a bucket URL", "write file:///folder, s3://bucket, gs://bucket or azblob://container")
	c.Run.check(k)
	c.Queue.check(k)
	c.Worker.check(k)
	c.Logs.check(k)
	c.Retention.check(k)
	c.Alerts.check(k)
	return k.found
}

func (t Temporal) check(k *checker) {
	server, port, err := net.SplitHostPort(strings.TrimPrefix(t.Address, "dns:///"))
	number, portErr := strconv.Atoi(port)
	k.check(err == nil && server != "" && portErr == nil && number > 0 && number < 1<<16, "temporal.address",
		fmt.Sprintf("is %q and must be host:port", t.Address), "write it without http://, as 127.0.0.1:7233")
	k.check(t.Namespace != "", "temporal.namespace", "is empty", "remove it for the namespace default")
	tls := t.TLS
	k.check((tls.CertFile == "") == (tls.KeyFile == ""), "temporal.tls.cert_file",
		"and temporal.tls.key_file go together", "set both or none")
	given := tls.CertFile != "" || tls.KeyFile != "" || tls.CAFile != "" || tls.ServerName != ""
	k.check(tls.Enabled || !given, "temporal.tls.enabled", "is false beside other settings of temporal.tls",
		"set it to true, or remove them")
	k.check(tls.Enabled || t.APIKeyEnv == "", "temporal.api_key_env", "would send the key in clear", "set temporal.tls.enabled to true")
	ui, err := url.Parse(t.UIAddress)
	k.check(err == nil && (ui.Scheme == "http" || ui.Scheme == "https") && ui.Host != "", "temporal.ui_address",
		"is not a URL", "write it as http://127.0.0.1:8233")
}

func (p Postgres) check(k *checker) {
	k.check(schemaName.MatchString(p.Schema), "postgres.schema",
		fmt.Sprintf("is %q and must be 1 to 63 lower-case letters, digits and underscores, not beginning with a digit", p.Schema), "")
	k.atLeast(p.MaxOpenConnections, 2, "postgres.max_open_connections")
	if p.DSN == "" {
		return
	}
	settings, err := p.DSN.settings()
	if err != nil {
		k.check(false, "postgres.dsn", err.Error(), "")
		return
	}
	path := settings.Runtime["search_path"]
	k.check(path == "" || path == p.Schema, "postgres.dsn",
		fmt.Sprintf("has search_path %q beside postgres.schema %q", path, p.Schema), "remove one of them")
}

func (q Queue) check(k *checker) {
	k.check(q.MaxConcurrentRuns >= -1, "queue.max_concurrent_runs",
		fmt.Sprintf("is %d and must be at least 0, or -1 for no bound", q.MaxConcurrentRuns), "")
	seen := map[string]bool{}
	for _, limit := range q.TagLimits {
		parts := tagLimit.FindStringSubmatch(limit)
		if parts == nil {
			k.check(false, "queue.tag_limits", fmt.Sprintf("has %q, which is no limit of a tag", limit), "write heavy:1, team=a:2, or team=*:3 for each value")
			continue
		}
		tag := parts[1] + parts[2]
		k.check(!strings.HasPrefix(parts[3], "-"), "queue.tag_limits", fmt.Sprintf("has %q, whose limit is below 0", limit), "")
		k.check(!seen[tag], "queue.tag_limits", fmt.Sprintf("has two limits for %q", tag), "leave one of them out")
		seen[tag] = true
	}
	k.atLeast(q.DefaultPoolLimit, 0, "queue.default_pool_limit")
	k.oneOf(q.PoolGranularity, "queue.pool_granularity", "step", "run")
}

func (r Run) check(k *checker) {
	k.between(r.MaxConcurrentSteps, 1, maxConcurrentStepsCap, "run.max_concurrent_steps")
	k.atLeast(r.ContinueAfterEvents, 1, "run.continue_after_events")
	k.check(r.ForceContinueEvents > r.ContinueAfterEvents && r.ForceContinueEvents <= forceContinueEventsCap, "run.force_continue_events",
		fmt.Sprintf("is %d and must be more than run.continue_after_events (%d) and at most %d", r.ForceContinueEvents,
			r.ContinueAfterEvents, forceContinueEventsCap), "")
	k.check(r.DeployGrace > 0, "run.deploy_grace", fmt.Sprintf("is %s and must be more than 0s", r.DeployGrace), "")
	k.atLeast(r.MaxLostWorkers, 1, "run.max_lost_workers")
	k.check(r.CommitPatience > 0, "run.commit_patience", fmt.Sprintf("is %s and must be more than 0s", r.CommitPatience), "")
	k.oneOf(r.Executor, "run.executor", "activity", "local_activity", "subprocess")
	k.check(r.MaxRuntime >= 0, "run.max_runtime", fmt.Sprintf("is %s and must not be negative", r.MaxRuntime), "0s is no bound")
	k.check(r.StartTimeout >= 0, "run.start_timeout", fmt.Sprintf("is %s and must not be negative", r.StartTimeout), "0s is no bound")
	k.check(r.CancelTimeout >= 0, "run.cancel_timeout", fmt.Sprintf("is %s and must not be negative", r.CancelTimeout), "0s is no bound")
	k.atLeast(r.MaxRetries, 0, "run.max_retries")
}

func (l Logs) check(k *checker) {
	k.oneOf(l.Level, "logs.level", "DEBUG", "INFO", "WARN", "ERROR")
	k.atLeast(l.MaxOutputBytes, 0, "logs.max_output_bytes")
}

func (r Retention) check(k *checker) {
	for _, one := range []struct {
		name string
		kept time.Duration
	}{
		{"log_lines", r.LogLines},
		{"compute_logs", r.ComputeLogs},
		{"events", r.Events},
		{"runs", r.Runs},
		{"alerts", r.Alerts},
		{"ticks", r.Ticks},
		{"skipped_ticks", r.SkippedTicks},
		{"superseded_values", r.SupersededValues},
	} {
		k.check(one.kept >= 0, "retention."+one.name, fmt.Sprintf("is %s and must not be negative", one.kept), "0s keeps it for ever")
	}
}

func (w Worker) check(k *checker) {
	k.atLeast(w.MaxConcurrentSteps, 1, "worker.max_concurrent_steps_per_worker")
	k.check(len(w.Queues) > 0, "worker.queues", "is empty", "name at least one queue, or remove it for the location's own")
	for i, queue := range w.Queues {
		k.check(queueName.MatchString(queue), "worker.queues",
			fmt.Sprintf("has %q, and a queue's name is 1 to 100 letters, digits and . _ ~ | -", queue), "")
		k.check(!slices.Contains(w.Queues[:i], queue), "worker.queues", fmt.Sprintf("has %q twice", queue), "")
	}
	k.check(w.DrainTimeout >= 0, "worker.drain_timeout", fmt.Sprintf("is %s and must not be negative", w.DrainTimeout), "")
}

// defaultSchema is the schema when none is given: the DSN's own, else one for each deployment. Two deployments never
// share one: a name that had to be changed gets a hash.
func (c Config) defaultSchema() string {
	if c.Postgres.DSN != "" {
		if settings, err := c.Postgres.DSN.settings(); err == nil && settings.Runtime["search_path"] != "" {
			return settings.Runtime["search_path"]
		}
	}
	if c.Deployment == DefaultDeployment {
		return "perdure"
	}
	schema := "perdure_" + notInSchema.ReplaceAllString(c.Deployment, "_")
	if schema != "perdure_"+c.Deployment || len(schema) > schemaLength {
		sum := sha256.Sum256([]byte(c.Deployment))
		schema = schema[:min(len(schema), schemaLength-1-deploymentHashLength)] + "_" + hex.EncodeToString(sum[:])[:deploymentHashLength]
	}
	return schema
}
