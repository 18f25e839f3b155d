package wire

import "encoding/json"

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
}

// PlanRunResult is the result of perdure.PlanRun: the walk, or the answer to a dry run.
type PlanRunResult struct {
	// Walk is the walk as JSON, Packed the same gzipped when it is large.
	Walk   json.RawMessage `json:"walk,omitempty"`
	Packed []byte          `json:"packed,omitempty"`
	DryRun []PlannedStep   `json:"dry_run,omitempty"`
}

// RefuseInput is the input of perdure.Refuse: a request that changes nothing but the row that remembers it.
type RefuseInput struct {
	WorkflowID   string `json:"workflow_id"`
	FirstRunID   string `json:"first_run_id"`
	WorkflowType string `json:"workflow_type"`
	// Input is what was given, as text.
	Input    string   `json:"input"`
	Problems Problems `json:"problems"`
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
}

// CloseStepsResult is the result of perdure.CloseSteps.
type CloseStepsResult struct {
	// Done are the steps that turned out to be committed: they stay so.
	Done []DoneStep `json:"done,omitempty"`
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
}
