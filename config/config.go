// Package config is the instance configuration: which Temporal, which PostgreSQL, which storage, and the limits of runs
// and workers. It comes from perdure.yaml, environment variables PERDURE_* and flags, where a flag beats a variable, a
// variable the file, and the file the default. docs/config.md lists every key.
package config

import (
	"net/url"
	"strings"
	"time"
)

// FileName is the name of the configuration file.
const FileName = "perdure.yaml"

// DefaultDeployment is the deployment whose name is no part of ids, queues and schema.
const DefaultDeployment = "default"

// Config is a complete and valid configuration when it comes from Load: nothing in it is left to be defaulted.
type Config struct {
	// Deployment tells branch deployments apart that share one Temporal and one PostgreSQL: it is a prefix of every
	// workflow id and task queue but the default's, and part of the default schema. Lower-case letters, digits, dot,
	// hyphen and underscore, at most 40.
	Deployment string `mapstructure:"deployment" default:"default" usage:"branch deployment, a prefix of ids and queues"`
	// Temporal is where workflows run.
	Temporal Temporal `mapstructure:"temporal"`
	// Postgres is where metadata lives.
	Postgres Postgres `mapstructure:"postgres"`
	// Storage is where IO managers keep data by default.
	Storage Storage `mapstructure:"storage"`
	// Run limits each run.
	Run Run `mapstructure:"run"`
	// Queue limits how many runs are in progress at once, and how many steps of a pool.
	Queue Queue `mapstructure:"queue"`
	// Worker limits each worker process.
	Worker Worker `mapstructure:"worker"`
	// Logs says what is kept of what steps log and print.
	Logs Logs `mapstructure:"logs"`
	// Retention says how long what happened is kept. `perdure daemon` and the workers delete what is older.
	Retention Retention `mapstructure:"retention"`
	// Alerts says whom `perdure daemon` tells of failures.
	Alerts Alerts `mapstructure:"alerts"`

	// File is the absolute path of the file that was read, or empty.
	File string `mapstructure:"-"`
}

// Temporal says how to reach Temporal.
type Temporal struct {
	// Address is host:port of Temporal's gRPC API.
	Address string `mapstructure:"address" default:"127.0.0.1:7233" usage:"host:port of Temporal"`
	// Namespace is the Temporal namespace.
	Namespace string `mapstructure:"namespace" default:"default" usage:"Temporal namespace"`
	// TLS secures the connection.
	TLS TLS `mapstructure:"tls"`
	// APIKeyEnv is the name of the environment variable that holds Temporal's API key, as Temporal Cloud uses one. The
	// key itself never stands in the configuration. Needs TLS.
	APIKeyEnv string `mapstructure:"api_key_env" usage:"environment variable that holds Temporal's API key"`
	// UIAddress is the URL of Temporal's Web UI, for links.
	UIAddress string `mapstructure:"ui_address" default:"http://127.0.0.1:8233" usage:"URL of Temporal's Web UI, for links"`

	// APIKey is what the variable APIKeyEnv holds; Load reads it.
	APIKey Secret `mapstructure:"-"`
}

// WorkflowURL opens a workflow in Temporal's Web UI.
func (t Temporal) WorkflowURL(id string) string { return t.url("workflows", id) }

// ScheduleURL opens a schedule in Temporal's Web UI.
func (t Temporal) ScheduleURL(id string) string { return t.url("schedules", id) }

func (t Temporal) url(kind, id string) string {
	return strings.TrimRight(t.UIAddress, "/") + "/namespaces/" + url.PathEscape(t.Namespace) + "/" + kind + "/" + url.PathEscape(id)
}

// TLS secures the connection to Temporal. Paths in the file are relative to the file's folder.
type TLS struct {
	// Enabled turns TLS on.
	Enabled bool `mapstructure:"enabled" default:"false" usage:"connect to Temporal by TLS"`
	// CertFile is the path of the client's certificate (PEM), for mutual TLS. Needs KeyFile.
	CertFile string `mapstructure:"cert_file" usage:"client certificate for Temporal (PEM file)"`
	// KeyFile is the path of the client certificate's key (PEM). Needs CertFile.
	KeyFile string `mapstructure:"key_file" usage:"key of the client certificate (PEM file)"`
	// CAFile is the path of the certificates that vouch for the server (PEM). Empty trusts the system's.
	CAFile string `mapstructure:"ca_file" computed:"the system's certificates" usage:"certificates that vouch for Temporal's server (PEM file)"`
	// ServerName is the name that the server's certificate must bear.
	ServerName string `mapstructure:"server_name" computed:"the host of temporal.address" usage:"name in the certificate of Temporal's server"`
}

// Postgres says how to reach the metadata database.
type Postgres struct {
	// DSN is the database's address: a URL, postgres://user:password@host:5432/database, or a key=value string. Empty is
	// only enough for `perdure dev`, which brings its own PostgreSQL.
	DSN DSN `mapstructure:"dsn" usage:"PostgreSQL address, a URL or key=value string"`
	// DSNEnv is the name of another environment variable that holds the DSN, such as DATABASE_URL.
	DSNEnv string `mapstructure:"dsn_env" usage:"environment variable that holds PostgreSQL's address"`
	// Schema holds Perdure's tables. Lower-case letters, digits and underscore, at most 63.
	Schema string `mapstructure:"schema" computed:"the DSN's search_path, else perdure, or perdure_DEPLOYMENT" usage:"PostgreSQL schema of Perdure's tables"`
	// MaxOpenConnections bounds the connections of one process. At least 2.
	MaxOpenConnections int `mapstructure:"max_open_connections" default:"16" usage:"most PostgreSQL connections of one process"`
}

// Storage says where IO managers keep data when they are given no place of their own.
type Storage struct {
	// URL is a bucket in the notation of gocloud.dev/blob: file:///folder, s3://bucket?region=eu-central-1, gs://bucket,
	// azblob://container. A scheme other than file needs the import of its storage package in the code location.
	URL string `mapstructure:"url" computed:".perdure/storage beside perdure.yaml, as a file:// URL" usage:"bucket URL for data, as file:///folder or s3://bucket"`
	// StablePath also keeps the current value of each asset under a fixed name, such as route_delays/current.csv, for
	// readers outside of Perdure. Other names carry the number of the attempt that stored the value.
	StablePath bool `mapstructure:"stable_path" default:"false" usage:"also keep current values under a fixed name"`
}

// Run limits each run.
type Run struct {
	// MaxConcurrentSteps is how many steps of one run may be pending at once. 1 to 500.
	MaxConcurrentSteps int `mapstructure:"max_concurrent_steps" default:"100" usage:"most pending steps of one run"`
	// ContinueAfterEvents is the length of a run's history, in events, from which on the run continues as a new
	// execution at the next quiet moment.
	ContinueAfterEvents int `mapstructure:"continue_after_events" default:"4000" usage:"history events after which a run continues as new when quiet"`
	// ForceContinueEvents is the length from which on it does so at once. More than ContinueAfterEvents, at most 45,000:
	// Temporal ends a workflow at 51,200.
	ForceContinueEvents int `mapstructure:"force_continue_events" default:"40000" usage:"history events at which a run is made to continue as new"`
	// DeployGrace is how long a step waits for a worker that has its definition before it fails.
	DeployGrace time.Duration `mapstructure:"deploy_grace" default:"10m" usage:"how long a step waits for a worker that knows it"`
	// MaxLostWorkers is how many workers may die under one step before the step is taken for the cause. At least 1.
	MaxLostWorkers int `mapstructure:"max_lost_workers" default:"3" usage:"workers that may die under one step before it fails"`
	// CommitPatience is how long a step that has its result waits for PostgreSQL.
	CommitPatience time.Duration `mapstructure:"commit_patience" default:"15m" usage:"how long a finished step waits for PostgreSQL"`
	// Executor is how steps run whose op, asset and job say nothing: activity (in a worker), local_activity (in a worker,
	// many tiny ones at once; a function may run twice when its worker dies) or subprocess (each in a process of its own).
	Executor string `mapstructure:"executor" default:"activity" usage:"how steps run: activity, local_activity or subprocess"`
	// MaxRuntime ends a run that takes longer as FAILURE. 0s is no bound; a job's RunTimeout and the tag
	// perdure/max_runtime come before it.
	MaxRuntime time.Duration `mapstructure:"max_runtime" default:"0s" usage:"longest that a run may take; 0s is no bound"`
	// StartTimeout ends a run as FAILURE that no worker has begun within it, counted from its start or from when it left the
	// queue; waiting in the queue does not count. 0s, the default, lets it wait, with its reason: a worker that comes a day
	// later still begins it.
	StartTimeout time.Duration `mapstructure:"start_timeout" default:"0s" usage:"how long a run may wait for a worker that begins it; 0s is no bound"`
	// CancelTimeout is how long a run that is cancelled, or has taken longer than it may, has to stop. Then its workflow is
	// terminated and its row ended; what of its steps goes on can store nothing any more. 0s waits for ever.
	CancelTimeout time.Duration `mapstructure:"cancel_timeout" default:"3m" usage:"how long a run that is cancelled has to stop; 0s is no bound"`
	// MaxRetries is how often a run that failed is started again by itself, from its failure. The tag perdure/max_retries
	// comes before it.
	MaxRetries int `mapstructure:"max_retries" default:"0" usage:"how often a failed run is started again by itself"`
	// RetryOnStepFailure says whether a run whose steps failed is such a run, or only one that ended otherwise: terminated,
	// timed out, or lost. The tag perdure/retry_on_asset_or_op_failure comes before it.
	RetryOnStepFailure bool `mapstructure:"retry_on_step_failure" default:"true" usage:"also start a run again whose steps failed"`
}

// Queue limits how many runs are in progress at once, and how many steps of a pool: what is over a limit waits. It is applied when a
// daemon or `perdure dev` starts and it is not what was applied last; what `perdure queue set` and `perdure pool set` have
// changed stays until then.
type Queue struct {
	// MaxConcurrentRuns is how many runs may be in progress at once. -1 is no bound, 0 begins none.
	MaxConcurrentRuns int `mapstructure:"max_concurrent_runs" default:"-1" usage:"most runs in progress at once; -1 is no bound"`
	// TagLimits bound how many runs with a tag are in progress at once: heavy:1 is one among all that have the tag heavy,
	// team=a:2 two of those whose team is a, team=*:3 three of each team. A run begins when all that it is under have room.
	TagLimits []string `mapstructure:"tag_limits" usage:"most runs in progress by tag, as heavy:1, team=a:2 or team=*:3"`
	// DefaultPoolLimit is the limit of each pool that was given none of its own. 0 is no limit.
	DefaultPoolLimit int `mapstructure:"default_pool_limit" default:"0" usage:"limit of pools that have none of their own; 0 is none"`
	// PoolGranularity is what the limit of a pool counts when it does not say so itself: step counts the steps that run, run the
	// runs in progress that have such a step.
	PoolGranularity string `mapstructure:"pool_granularity" default:"step" usage:"what the limit of a pool counts: step or run"`
}

// Worker limits each worker process.
type Worker struct {
	// MaxConcurrentSteps is how many steps one worker process runs at once.
	MaxConcurrentSteps int `mapstructure:"max_concurrent_steps_per_worker" computed:"2 × CPUs" usage:"most steps that one worker process runs at once"`
	// Queues are the names given with definitions.Queue that the process serves; "default" stands for the location's own
	// queue and its control queue.
	Queues []string `mapstructure:"queues" default:"default" usage:"queues to serve; default is the location's own"`
	// DrainTimeout is how long a worker that is told to stop lets its steps go on.
	DrainTimeout time.Duration `mapstructure:"drain_timeout" default:"30s" usage:"how long a stopping worker lets its steps go on"`
	// Build is the build id of the code location.
	Build string `mapstructure:"build" computed:"derived from the program" usage:"build id of the code location"`
}

// Logs says what is kept of what steps log and print.
type Logs struct {
	// Level is the least level of the log lines that PostgreSQL keeps: DEBUG, INFO, WARN or ERROR.
	Level string `mapstructure:"level" default:"INFO" usage:"least level of the log lines that are kept"`
	// MaxOutputBytes is how much of what one attempt of a step prints is kept of each of its two streams.
	MaxOutputBytes int `mapstructure:"max_output_bytes" default:"10485760" usage:"bytes kept of each stream that a step prints to"`
}

// Retention says how long what happened is kept. 0s keeps it for ever.
type Retention struct {
	// LogLines is how long steps' log lines are kept.
	LogLines time.Duration `mapstructure:"log_lines" default:"720h" usage:"how long log lines are kept"`
	// ComputeLogs is how long what steps print is kept.
	ComputeLogs time.Duration `mapstructure:"compute_logs" default:"720h" usage:"how long what steps print is kept"`
	// Events is how long the event log is kept, by whole months.
	Events time.Duration `mapstructure:"events" default:"2160h" usage:"how long the event log is kept, by whole months"`
	// Runs is how long runs are kept. The last materialization of each partition is always kept.
	Runs time.Duration `mapstructure:"runs" default:"8760h" usage:"how long runs are kept"`
	// Alerts is how long alerts are kept, with how they were delivered.
	Alerts time.Duration `mapstructure:"alerts" default:"2160h" usage:"how long alerts are kept"`
	// Ticks is how long evaluations of schedules and sensors are kept. The last one of each schedule and sensor is always kept.
	Ticks time.Duration `mapstructure:"ticks" default:"720h" usage:"how long evaluations of schedules and sensors are kept"`
	// SkippedTicks is how long those are kept that started nothing.
	SkippedTicks time.Duration `mapstructure:"skipped_ticks" default:"168h" usage:"how long those that started nothing are kept"`
	// SupersededValues is how long a stored value is kept that a later materialization has replaced.
	SupersededValues time.Duration `mapstructure:"superseded_values" default:"24h" usage:"how long a replaced value is kept"`
}

// Alerts says whom `perdure daemon` tells of failures.
type Alerts struct {
	// FailingTicks is after how many failed ticks in a row a schedule or sensor counts as failing.
	FailingTicks int `mapstructure:"failing_ticks" default:"1" usage:"failed ticks in a row after which a schedule or sensor counts as failing"`
	// Sinks are where alerts go, each a section of its own, as docs/alerts.md shows. Without any there are no alerts. The variable
	// takes the list as YAML or JSON.
	Sinks []AlertSink `mapstructure:"sinks" usage:"where alerts go, as YAML or JSON"`
}
