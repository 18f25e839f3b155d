package wire

import "encoding/json"

// Version is the version of the wire types that this code writes; it reads this one and the one before.
const Version = 1

// RunRequest is the input of the workflow Run: what to materialize. Exactly one of Assets and Job is given.
//
//	temporal workflow start --type Run --task-queue flights --workflow-id r1 --input '{"assets":"route_delays+"}'
type RunRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Assets selects assets: an expression of the selection language, or a list of keys.
	Assets AssetSelection `json:"assets,omitzero"`
	// Job names a job of the location, instead of Assets.
	Job string `json:"job,omitempty"`
	// Ops narrows an op job to some of its ops, or, with RetryOf, says which steps run again: step keys such as
	// "etl.clean" or "count_page[RNO]", with "+" or "*" before and after one for what it needs and what needs it.
	Ops string `json:"ops,omitempty"`
	// RetryOf runs an earlier run again, or a part of it. Assets and Job are then the earlier run's and are left out.
	RetryOf *RetryOf `json:"retry_of,omitempty"`
	// Partition, Partitions, Range and AllPartitions say which partitions of partitioned assets or of a partitioned job: at most
	// one of them is given. Where what is selected is partitioned in several ways, they are those of its root, and what hangs on
	// it is made for the partitions that they map to. What is not partitioned is made once.
	Partition     string          `json:"partition,omitempty"`
	Partitions    []string        `json:"partitions,omitempty"`
	Range         *PartitionRange `json:"range,omitempty"`
	AllPartitions bool            `json:"all_partitions,omitempty"`
	// Only narrows the partitions, and what is not partitioned, to what is in that state when the run is planned.
	Only OnlyPartitions `json:"only,omitempty"`
	// AsOf is the time, RFC 3339, at which a partition must exist to be one; absent is when the run is planned.
	AsOf string `json:"as_of,omitempty"`
	// Backfill is the id of the backfill that the run belongs to; Backfill sets it.
	Backfill string `json:"backfill,omitempty"`
	// Config is the run config, laid over that of the job, field by field; a list or a map is taken whole. Its sections are
	// {"assets":{KEY:{…}},"ops":{PATH:{…}},"resources":{NAME:{…}},"loggers":{"level":"WARN",NAME:{…}},
	// "execution":{"executor":{"kind":"subprocess","memory_limit":"2GiB"},"max_concurrent_steps":10,"tag_limits":[{"key":"db","limit":2}]}}.
	// The path of an op is as its step's, "etl.clean"; a graph that maps config to its ops takes it under its own path. What
	// is left out has its default. `perdure job scaffold-config JOB` prints all that a job can be configured with.
	Config json.RawMessage `json:"config,omitempty"`
	// Tags are added to the job's tags; keys and values of at most 63 letters, digits, ".", "_", "-".
	Tags map[string]string `json:"tags,omitempty"`
	// Priority is 1 to 5, 1 first, or "high" (1), "normal" (3), "low" (4), "backfill" (5); absent is normal.
	Priority Priority `json:"priority,omitzero"`
	// Title and Note are for people: at most 200 and 4,000 characters.
	Title string `json:"title,omitempty"`
	Note  string `json:"note,omitempty"`
	// Trigger is the schedule or sensor that asked for the run; these set it.
	Trigger *RunTrigger `json:"trigger,omitempty"`
	// Cause is the id of the event that led to this run, at most 200 characters; absent, one is minted from the run's id.
	Cause string `json:"cause,omitempty"`
	// DryRun returns the plan and starts nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// RetryOf says which run is executed again, and what of it.
type RetryOf struct {
	// RunID is the run that is executed again: it has ended.
	RunID string `json:"run_id"`
	// From says what runs: what failed and what did not run, everything, or the steps that Ops names. Absent is failure.
	From RetryFrom `json:"from,omitempty"`
}

// RetryFrom says what of a run is executed again.
type RetryFrom string

// What of a run is executed again. What is not, is loaded as the earlier run left it.
const (
	RetryFailure   RetryFrom = "failure"
	RetryAll       RetryFrom = "all"
	RetrySelection RetryFrom = "selection"
)

// RunResult is the result of the workflow Run, and the detail of its failure RunFailed.
type RunResult struct {
	RunID  string     `json:"run_id"`
	Status RunStatus  `json:"status"`
	Steps  StepCounts `json:"steps"`
	// Materialized is what the run materialized, sorted, the first 1,000.
	Materialized []string `json:"materialized"`
	// Failures are the first failed steps, at most 20, in the order they failed.
	Failures []StepFailureInfo `json:"failures,omitempty"`
	// Reason says why the run ended so, when its steps do not: it took longer than it may.
	Reason string `json:"reason,omitempty"`
	// RetriedBy is the run that executes this one again by itself.
	RetriedBy string `json:"retried_by,omitempty"`
	// Plan is the answer to a dry run, in an order in which the steps could run.
	Plan []PlannedStep `json:"plan,omitempty"`
	// Admitted got what the run held: whoever ends it wakes them. It is no part of the result.
	Admitted []AdmittedRun `json:"-"`
}

// StepCounts counts a run's steps by how they ended.
type StepCounts struct {
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	// Skipped counts what an optional output that was not emitted left out, and what a failed step left behind.
	Skipped  int `json:"skipped"`
	Canceled int `json:"canceled,omitempty"`
}

// StepFailureInfo is a failed step and why.
type StepFailureInfo struct {
	Step    string `json:"step"`
	Message string `json:"message"`
}

// PlannedStep is a step that a dry run would take.
type PlannedStep struct {
	Step string `json:"step"`
	// Assets are what it materializes, Partition which partitions of them: a key, or "2001-01-01 to 2001-01-31 (31)"; absent
	// of what is not partitioned.
	Assets    []string `json:"assets"`
	Partition string   `json:"partition,omitempty"`
	// After are the steps of the same run that it needs.
	After []string `json:"after,omitempty"`
	// Reason says why the step is in the plan.
	Reason string `json:"reason"`
	// InheritedFrom is the run that did it, of a step that this run takes over and does not do.
	InheritedFrom string `json:"inherited_from,omitempty"`
}

// StepInput is the input of a step's activity.
type StepInput struct {
	Run  string `json:"run"`
	Step string `json:"step"`
	// Subprocess has the step run in a process of its own.
	Subprocess bool `json:"subprocess,omitempty"`
}

// StepResult is the result of a step's activity: what it materialized, and which optional outputs it did not emit.
type StepResult struct {
	// Recorded says that the step is committed in Postgres; a result that a person gave by `temporal activity complete`
	// lacks it.
	Recorded     bool     `json:"recorded,omitempty"`
	Materialized []string `json:"materialized,omitempty"`
	NotEmitted   []string `json:"not_emitted,omitempty"`
	// Keys are those of a dynamic output, in the order of emission: the steps mapped over it run once for each.
	Keys []string `json:"keys,omitempty"`
}

// StepsQueryInput is the argument of the query "steps"; all of it is optional.
type StepsQueryInput struct {
	// Status keeps the steps in this status.
	Status StepStatus `json:"status,omitempty"`
}

// StepsQueryResult is the answer of the query "steps".
type StepsQueryResult struct {
	RunID  string    `json:"run_id"`
	Status RunStatus `json:"status"`
	// Reason is what a run that is QUEUED waits for, and who holds it.
	Reason string      `json:"reason,omitempty"`
	Steps  []StepState `json:"steps"`
}

// StepState is a step as the workflow knows it.
type StepState struct {
	Step   string     `json:"step"`
	Status StepStatus `json:"status"`
	// WaitingFor are the steps it still needs, the first 20.
	WaitingFor []string `json:"waiting_for,omitempty"`
	// Reason is what else it waits for: a slot of a pool, with who holds it, or a limit on a tag.
	Reason string `json:"reason,omitempty"`
}

// CancelStepInput is the argument of the update "cancel_step".
type CancelStepInput struct {
	Step string `json:"step"`
}
