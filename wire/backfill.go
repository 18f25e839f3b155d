package wire

import (
	"encoding/json"
	"fmt"
)

// BackfillRequest is the input of the workflow Backfill: what to materialize, in as many runs as it takes. Its words are those
// of [RunRequest]; exactly one of Assets, Job and RetryOf is given.
//
//	temporal workflow start --type Backfill --task-queue flights --workflow-id bf1 \
//	  --input '{"assets":"route_delays","range":{"start":"2001-01-01","end":"2001-03-31"}}'
type BackfillRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Assets selects assets: an expression of the selection language, or a list of keys.
	Assets AssetSelection `json:"assets,omitzero"`
	// Job names a job of the location, instead of Assets. A job of ops has one run for each partition.
	Job string `json:"job,omitempty"`
	// Ops narrows an op job to some of its ops, as in a RunRequest.
	Ops string `json:"ops,omitempty"`
	// RetryOf names an earlier backfill, of which what failed and what waited for that is made, or all of it. Assets, Job and
	// partitions are then the earlier one's and are left out.
	RetryOf *RetryOf `json:"retry_of,omitempty"`
	// Partition, Partitions, Range and AllPartitions say which partitions, as in a RunRequest: at most one of them is given. What
	// exists is decided once, when the backfill begins.
	Partition     string          `json:"partition,omitempty"`
	Partitions    []string        `json:"partitions,omitempty"`
	Range         *PartitionRange `json:"range,omitempty"`
	AllPartitions bool            `json:"all_partitions,omitempty"`
	// Only narrows the partitions to what is in that state when the backfill begins.
	Only OnlyPartitions `json:"only,omitempty"`
	// AsOf is the time, RFC 3339, at which a partition must exist to be one; absent is when the backfill begins.
	AsOf string `json:"as_of,omitempty"`
	// MaxConcurrentRuns is how many of its runs are open at once: 1 to 1,000; absent is 20.
	MaxConcurrentRuns int `json:"max_concurrent_runs,omitempty"`
	// Config, Tags, Title, Note and Cause are those of all its runs, as in a RunRequest. So is Priority, which is "backfill" when
	// absent.
	Config   json.RawMessage   `json:"config,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Priority Priority          `json:"priority,omitzero"`
	Title    string            `json:"title,omitempty"`
	Note     string            `json:"note,omitempty"`
	Cause    string            `json:"cause,omitempty"`
	// DryRun returns the runs and why, and starts nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// How many runs of a backfill are open at once.
const (
	DefaultConcurrentRuns = 20
	MaxConcurrentRuns     = 1000
)

// Run is the request of one run over all that the backfill is for.
func (r BackfillRequest) Run() RunRequest {
	return RunRequest{
		Assets: r.Assets, Job: r.Job, Ops: r.Ops, Partition: r.Partition, Partitions: r.Partitions, Range: r.Range,
		AllPartitions: r.AllPartitions, Only: r.Only, AsOf: r.AsOf, Config: r.Config, Tags: r.Tags, Priority: r.Priority,
		Title: r.Title, Note: r.Note, Cause: r.Cause,
	}
}

// BackfillStatus is where a backfill stands.
type BackfillStatus string

// The backfill statuses, in the order a backfill passes them.
const (
	BackfillRequested BackfillStatus = "REQUESTED"         // it starts runs, or waits for them
	BackfillSucceeded BackfillStatus = "COMPLETED_SUCCESS" // everything was made that was targeted
	BackfillFailed    BackfillStatus = "COMPLETED_FAILED"  // everything was tried, and something failed
	BackfillCanceling BackfillStatus = "CANCELING"         // somebody cancelled it; its runs are being stopped
	BackfillCanceled  BackfillStatus = "CANCELED"
	BackfillFailing   BackfillStatus = "FAILING" // it cannot go on; its runs are being stopped
	BackfillBroken    BackfillStatus = "FAILED"
)

// Ended says whether a backfill in this status will never change again.
func (s BackfillStatus) Ended() bool {
	return s == BackfillSucceeded || s == BackfillFailed || s == BackfillCanceled || s == BackfillBroken
}

// BackfillResult is the result of the workflow Backfill, and the detail of its failure BackfillFailed.
type BackfillResult struct {
	BackfillID string         `json:"backfill_id"`
	Status     BackfillStatus `json:"status"`
	// Assets are the counts of each asset, those that others are made from first; of more than 1,000 the first, and before them
	// those with failures.
	Assets []BackfillAsset `json:"assets"`
	Runs   BackfillRuns    `json:"runs"`
	// Failures are the first runs that failed, at most 20.
	Failures []BackfillFailure `json:"failures,omitempty"`
	// Reason says why it ended so, when its runs do not.
	Reason string `json:"reason,omitempty"`
	// Plan is the answer to a dry run.
	Plan *BackfillPlan `json:"plan,omitempty"`
}

// BackfillAsset counts an asset's partitions; of one that is not partitioned it is one.
type BackfillAsset struct {
	Asset    string `json:"asset"`
	Targeted int    `json:"targeted"`
	// InProgress are those of runs that are open.
	InProgress   int `json:"in_progress"`
	Materialized int `json:"materialized"`
	Failed       int `json:"failed"`
	// Blocked wait for a partition that failed.
	Blocked int `json:"blocked"`
	// Skipped were left out by an optional asset, or wait for what was.
	Skipped int `json:"skipped,omitempty"`
}

// BackfillRuns counts a backfill's runs; what retries a run is not counted beside it.
type BackfillRuns struct {
	Open      int `json:"open"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
}

// BackfillFailure is a run of a backfill that failed and is not retried any more.
type BackfillFailure struct {
	RunID string `json:"run_id"`
	// Partitions is its partition, or the first and the last of its range.
	Partitions string `json:"partitions,omitempty"`
	Message    string `json:"message"`
}

// BackfillPlan is what a backfill would do if nothing failed.
type BackfillPlan struct {
	// Assets are the counts of what is targeted.
	Assets []BackfillAsset `json:"assets"`
	// RunCount is how many runs it would start; MoreRuns says that there are more, and counting ended.
	RunCount int  `json:"run_count"`
	MoreRuns bool `json:"more_runs,omitempty"`
	// Runs are the first of them, in the order in which they would start: at most 1,000.
	Runs []PlannedBackfillRun `json:"runs"`
}

// PlannedBackfillRun is a run that a backfill would start.
type PlannedBackfillRun struct {
	RunID  string   `json:"run_id"`
	Assets []string `json:"assets,omitempty"`
	// Partition is its one partition, Range its range, Partitions its partitions where they have no order.
	Partition  string          `json:"partition,omitempty"`
	Range      *PartitionRange `json:"range,omitempty"`
	Partitions []string        `json:"partitions,omitempty"`
	// RetryOf is the run that it executes again.
	RetryOf string `json:"retry_of,omitempty"`
	// Reason says why it is a run of its own, and what it waits for.
	Reason string `json:"reason"`
}

// BackfillProgress is the answer of the query "progress" and of the update "set_concurrency".
type BackfillProgress struct {
	BackfillID string         `json:"backfill_id"`
	Status     BackfillStatus `json:"status"`
	Paused     bool           `json:"paused"`
	// MaxConcurrentRuns is how many of its runs may be open at once.
	MaxConcurrentRuns int             `json:"max_concurrent_runs"`
	Assets            []BackfillAsset `json:"assets"`
	Runs              BackfillRuns    `json:"runs"`
	// RunsPerMinute is how many have ended in the last minutes, TimeLeft how long the rest takes at that rate, such as "1h20m0s";
	// "" when it cannot be said.
	RunsPerMinute float64           `json:"runs_per_minute"`
	TimeLeft      string            `json:"time_left,omitempty"`
	Failures      []BackfillFailure `json:"failures,omitempty"`
	// Reason says what it waits for, besides its runs.
	Reason string `json:"reason,omitempty"`
}

// SetConcurrencyInput is the argument of the update "set_concurrency".
type SetConcurrencyInput struct {
	// MaxConcurrentRuns is how many runs may be open at once from now on: 1 to 1,000. Open ones above it end as they would.
	MaxConcurrentRuns int `json:"max_concurrent_runs"`
}

// ConcurrencyProblem is that of a number of concurrent runs that is not allowed.
func ConcurrencyProblem(given int) Problem {
	return Problem{
		Path: "max_concurrent_runs", Code: CodeInvalid, Message: fmt.Sprintf("%d runs at once are not allowed", given),
		Fix: fmt.Sprintf("give 1 to %d", MaxConcurrentRuns),
	}
}
