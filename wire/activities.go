package wire

import (
	"encoding/json"
	"time"
)

// Inputs and results of the system's activities. They lie in the histories of open runs, so fields
// are only ever added.

// PlanRunInput is the input of perdure.PlanRun.
type PlanRunInput struct {
	RunID string `json:"run_id"`
	// FirstRunID is Temporal's id of the first execution in the chain: it stays through resets and continue-as-new,
	// and differs when a closed run's id is used again.
	FirstRunID string `json:"first_run_id"`
	// Queue is the task queue that the run was started on.
	Queue   string     `json:"queue"`
	Request RunRequest `json:"request"`
	// At is the workflow's time in nanoseconds; 0 is the ScheduledTime of the activity. A local activity has none that survives
	// its worker.
	At int64 `json:"at,omitempty"`
	// Attributes are the search attributes of ours that the workflow was started with.
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
}

// PlanRunResult is the result of perdure.PlanRun: the walk, or the answer to a dry run.
type PlanRunResult struct {
	// Walk is the walk as JSON, Packed the same gzipped when it is large.
	Walk   json.RawMessage `json:"walk,omitempty"`
	Packed []byte          `json:"packed,omitempty"`
	DryRun []PlannedStep   `json:"dry_run,omitempty"`
	// Queued is why the run may not begin yet, and who holds what it waits for; absent, it may.
	Queued string `json:"queued,omitempty"`
	// Began is when a run that is reset began, in nanoseconds, where it had waited before; 0 is with its workflow.
	Began int64 `json:"began,omitempty"`
}

// RefuseInput is the input of perdure.Refuse: a request that changes nothing but the row that remembers it.
type RefuseInput struct {
	WorkflowID   string `json:"workflow_id"`
	FirstRunID   string `json:"first_run_id"`
	WorkflowType string `json:"workflow_type"`
	// Input is what was given, as text.
	Input    string   `json:"input"`
	Problems Problems `json:"problems"`
	// Run is the run that a schedule or sensor has asked for; absent of any other request. Nobody waits for its answer, so that its
	// refusal is an event.
	Run *RefusedRun `json:"run,omitempty"`
}

// RefusedRun is a run that a schedule or sensor has asked for and that was refused: the body of the event RUN_REFUSED.
type RefusedRun struct {
	Location string `json:"location"`
	// Job is its job, Selection what it is for where it has none.
	Job         string            `json:"job,omitempty"`
	Selection   string            `json:"selection,omitempty"`
	Partition   string            `json:"partition,omitempty"`
	Cause       string            `json:"cause"`
	Tags        map[string]string `json:"tags,omitempty"`
	TriggerKind TriggerKind       `json:"trigger_kind"`
	TriggerName string            `json:"trigger_name"`
	// Reason is what its problems say.
	Reason string `json:"reason"`
}

// CloseStepsInput is the input of perdure.CloseSteps: what becomes of steps that no attempt records.
type CloseStepsInput struct {
	RunID string       `json:"run_id"`
	Steps []ClosedStep `json:"steps"`
}

// ClosedStep is a step that ends without an attempt's own record.
type ClosedStep struct {
	Step   string     `json:"step"`
	Status StepStatus `json:"status"`
	// Error says why, for a failed step.
	Error string `json:"error,omitempty"`
	// Unscheduled says of a cancelled step that this execution of the run never scheduled it: how it ended before a reset
	// counts no longer. Only after a reset does that make a difference.
	Unscheduled bool `json:"unscheduled,omitempty"`
}

// CloseStepsResult is the result of perdure.CloseSteps.
type CloseStepsResult struct {
	// Done are the steps that turned out to be committed: they stay so.
	Done []DoneStep `json:"done,omitempty"`
	// Failed are the steps whose failure turned out to be recorded, each with its own error: that is why they failed.
	Failed []ClosedStep `json:"failed,omitempty"`
	// Admitted got the slots of the steps: the activity wakes them, the workflow does not hear of it.
	Admitted []AdmittedRun `json:"-"`
}

// DoneStep is a committed step and its result.
type DoneStep struct {
	Step   string     `json:"step"`
	Result StepResult `json:"result"`
}

// EndRunInput is the input of perdure.EndRun: counts and failures are those of the rows.
type EndRunInput struct {
	RunID      string    `json:"run_id"`
	FirstRunID string    `json:"first_run_id"`
	Status     RunStatus `json:"status"`
	// Reason says why, when the steps do not: the run took longer than it may.
	Reason string `json:"reason,omitempty"`
	// Execution is Temporal's id of the execution that ends. Of one execution the end that is recorded first stands: what a
	// local activity recorded may be unknown to the workflow, which then decides again.
	Execution string `json:"execution,omitempty"`
	// At is as in PlanRunInput.
	At int64 `json:"at,omitempty"`
}

// CancelingInput is the input of perdure.Canceling.
type CancelingInput struct {
	RunID      string `json:"run_id"`
	FirstRunID string `json:"first_run_id"`
	// Reason says why; "" is that somebody asked for it.
	Reason string `json:"reason,omitempty"`
}

// CancelingResult is the result of perdure.Canceling.
type CancelingResult struct {
	// Status is the run's then.
	Status RunStatus `json:"status"`
	// Ended is how many of the run's steps the records have as done or failed. More than the run knows of itself are from
	// before a reset, or have ended just now.
	Ended int `json:"ended,omitempty"`
}

// PollersInput is the input of perdure.Pollers.
type PollersInput struct {
	// RunID is the run whose steps lie in the queues: that nobody polls one becomes the reason why it waits.
	RunID string `json:"run_id"`
	// Queues are task queues as Temporal names them. Without any the run waits for none.
	Queues []string `json:"queues"`
}

// PollersResult is the result of perdure.Pollers.
type PollersResult struct {
	// Unpolled are those that no worker takes activities from.
	Unpolled []string `json:"unpolled,omitempty"`
}

// RunHooksInput is the input of perdure.RunHooks: a step that has ended, SUCCESS or FAILED, after all retries.
type RunHooksInput struct {
	Run    string     `json:"run"`
	Step   string     `json:"step"`
	Status StepStatus `json:"status"`
	// Error says why it failed.
	Error string `json:"error,omitempty"`
}

// LocalStepInput is the input of perdure.LocalStep.
type LocalStepInput struct {
	Run  string `json:"run"`
	Step string `json:"step"`
	// Type is the compute's name.
	Type string `json:"type"`
	// At is the workflow's time, in nanoseconds since 1970.
	At int64 `json:"at"`
}

// BeginRemoteInput is the input of perdure.BeginRemote.
type BeginRemoteInput struct {
	Run  string `json:"run"`
	Step string `json:"step"`
	// Type is the compute's name.
	Type string `json:"type"`
	// Queue is the task queue of the program that computes the step.
	Queue string `json:"queue"`
	// Scheduled is what an earlier BeginRemote of the same step answered: all its attempts are one scheduling. 0 is the
	// first.
	Scheduled int64 `json:"scheduled,omitempty"`
}

// BeginRemoteResult is the result of perdure.BeginRemote: the claim of a step that another program computes, or what an
// earlier attempt at it has committed.
type BeginRemoteResult struct {
	// Scheduled is for every later BeginRemote of the step.
	Scheduled int64 `json:"scheduled"`
	// Input is what the program is given, a RemoteInput; nil when the step is done.
	Input json.RawMessage `json:"input,omitempty"`
	// Claim is for EndRemote, which reads it.
	Claim json.RawMessage `json:"claim,omitempty"`
	// Done is the recorded result of a step that turned out to be committed.
	Done *StepResult `json:"done,omitempty"`
}

// EndRemoteInput is the input of perdure.EndRemote: what became of a remote step's activity.
type EndRemoteInput struct {
	Run  string `json:"run"`
	Step string `json:"step"`
	// Type is the compute's name.
	Type string `json:"type"`
	// Claim is as BeginRemote answered it.
	Claim json.RawMessage `json:"claim"`
	// Result is what the program returned, a RemoteResult; nil when Error is set.
	Result json.RawMessage `json:"result,omitempty"`
	// Error is why it failed.
	Error *RemoteError `json:"error,omitempty"`
}

// RemoteError is the failure of a remote step's activity.
type RemoteError struct {
	Message string `json:"message"`
	// Type is the application error's, as the program named it.
	Type  string `json:"type,omitempty"`
	Stack string `json:"stack,omitempty"`
	// NonRetryable says that the program forbids another attempt.
	NonRetryable bool `json:"non_retryable,omitempty"`
	// RetryAfter is when it asks for one, in nanoseconds; 0 leaves that to the step's retries.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// EndRemoteResult is the result of perdure.EndRemote: the step is committed, or to be tried again.
type EndRemoteResult struct {
	// Done is the recorded result.
	Done *StepResult `json:"done,omitempty"`
	// Retry is when the step is to be begun again, in nanoseconds from now.
	Retry time.Duration `json:"retry,omitempty"`
}

// PlanBackfillInput is the input of perdure.PlanBackfill.
type PlanBackfillInput struct {
	BackfillID string `json:"backfill_id"`
	// FirstRunID is as in [PlanRunInput].
	FirstRunID string          `json:"first_run_id"`
	Queue      string          `json:"queue"`
	Request    BackfillRequest `json:"request"`
}

// PlanBackfillResult is the result of perdure.PlanBackfill.
type PlanBackfillResult struct {
	Progress BackfillProgress `json:"progress"`
	// ContinueAfter is the number of history events from which it continues as new; 0 is 2,000.
	ContinueAfter int           `json:"continue_after,omitempty"`
	DryRun        *BackfillPlan `json:"dry_run,omitempty"`
}

// BackfillInput is the input of perdure.AdvanceBackfill and perdure.StopBackfill.
type BackfillInput struct {
	BackfillID string `json:"backfill_id"`
	FirstRunID string `json:"first_run_id"`
	// Patience is for how long it works at most, in nanoseconds.
	Patience time.Duration `json:"patience"`
}

// AdvanceBackfillResult is the result of perdure.AdvanceBackfill: how far it is, and whether there is nothing left to do.
type AdvanceBackfillResult struct {
	Progress BackfillProgress `json:"progress"`
	// Done says that every run has ended and no more can be started.
	Done bool `json:"done,omitempty"`
	// Broken says why it cannot go on.
	Broken string `json:"broken,omitempty"`
}

// StopBackfillResult is the result of perdure.StopBackfill.
type StopBackfillResult struct {
	Progress BackfillProgress `json:"progress"`
	// Stopped says that all of its runs have ended.
	Stopped bool `json:"stopped"`
}

// SteerBackfillInput is the input of perdure.SteerBackfill: what is given is changed.
type SteerBackfillInput struct {
	BackfillID        string         `json:"backfill_id"`
	FirstRunID        string         `json:"first_run_id"`
	Paused            *bool          `json:"paused,omitempty"`
	MaxConcurrentRuns int            `json:"max_concurrent_runs,omitempty"`
	Status            BackfillStatus `json:"status,omitempty"`
	Reason            string         `json:"reason,omitempty"`
}

// EndBackfillInput is the input of perdure.EndBackfill.
type EndBackfillInput struct {
	BackfillID string         `json:"backfill_id"`
	FirstRunID string         `json:"first_run_id"`
	Status     BackfillStatus `json:"status"`
	Reason     string         `json:"reason,omitempty"`
}

// ReportInput is the input of perdure.Report; its result is a [ReportResult].
type ReportInput struct {
	ReportID string `json:"report_id"`
	// FirstRunID is as in [PlanRunInput].
	FirstRunID string        `json:"first_run_id"`
	Request    ReportRequest `json:"request"`
}

// EvaluateSensorInput is the input of perdure.EvaluateSensor and perdure.TakeEvents.
type EvaluateSensorInput struct {
	// Events are written into the inbox first.
	Events []SentEvent `json:"events,omitempty"`
	// Due asks for an evaluation even when nothing has happened; Manual also when the sensor is stopped.
	Due    bool `json:"due,omitempty"`
	Manual bool `json:"manual,omitempty"`
}

// EvaluateSensorResult is the result of perdure.EvaluateSensor, perdure.TakeEvents and perdure.SteerSensor.
type EvaluateSensorResult struct {
	// State is as the rows have it, without ticks.
	State SensorState `json:"state"`
	// Tick is the evaluation; nil when there was nothing to evaluate.
	Tick *SensorTick `json:"tick,omitempty"`
	// More says that there was more than one evaluation takes in.
	More bool `json:"more,omitempty"`
	// Unread says that there is more in the event log for it.
	Unread bool `json:"unread,omitempty"`
	// Every and MinInterval are the definition's, in nanoseconds.
	Every       time.Duration `json:"every,omitempty"`
	MinInterval time.Duration `json:"min_interval,omitempty"`
	// LastTick is when the newest tick began; nil before the first.
	LastTick *time.Time `json:"last_tick,omitempty"`
	// Build is the active one that has the definition.
	Build string `json:"build,omitempty"`
	// Gone says why the sensor is no more: its workflow ends.
	Gone string `json:"gone,omitempty"`
	// ContinueAfter is the number of history events from which the workflow continues as new.
	ContinueAfter int `json:"continue_after,omitempty"`
}

// SteerSensorInput is the input of perdure.SteerSensor: what is given is changed.
type SteerSensorInput struct {
	Status TriggerStatus   `json:"status,omitempty"`
	Cursor *SetCursorInput `json:"cursor,omitempty"`
}
