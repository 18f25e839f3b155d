package wire

// Inputs and results of the activities of the run queue and of pools. They lie in the histories of open runs, so fields are only
// ever added.

// AdmitRunInput is the input of perdure.AdmitRun: a run that waits in the queue asks whether it may begin.
type AdmitRunInput struct {
	RunID string `json:"run_id"`
	// FirstRunID is as in [PlanRunInput].
	FirstRunID string `json:"first_run_id"`
	// Execution is Temporal's id of the execution that asks, and At when it asked: a run that has ended by another one before is
	// a reset one, and begins.
	Execution string `json:"execution,omitempty"`
	At        int64  `json:"at,omitempty"`
}

// AdmitRunResult is the result of perdure.AdmitRun.
type AdmitRunResult struct {
	Admitted bool `json:"admitted"`
	// Reason is what the run waits for and who holds it, while it is not admitted.
	Reason string `json:"reason,omitempty"`
	// Status is the run's: one that somebody ended meanwhile is not admitted any more.
	Status RunStatus `json:"status"`
}

// ClaimSlotsInput is the input of perdure.ClaimSlots: steps that are ready but for a slot of their pool. Asked again, a step that
// has a slot keeps it, and one that waits keeps its place.
type ClaimSlotsInput struct {
	RunID string `json:"run_id"`
	// FirstRunID is as in [PlanRunInput].
	FirstRunID string     `json:"first_run_id"`
	Steps      []PoolStep `json:"steps"`
	// At is as in [PlanRunInput]: of a step that has ended it tells whether a reset lets it run again.
	At int64 `json:"at,omitempty"`
}

// ClaimSlotsResult is the result of perdure.ClaimSlots. The steps that it does not name wait.
type ClaimSlotsResult struct {
	// Granted are the steps that have a slot.
	Granted []string `json:"granted,omitempty"`
	// Waiting says of each pool without a free slot who holds those there are.
	Waiting []PoolWait `json:"waiting,omitempty"`
}

// PoolWait is why steps wait for a slot of a pool.
type PoolWait struct {
	Pool   string `json:"pool"`
	Reason string `json:"reason"`
}

// AdmittedInput is the argument of the signal "admitted" of the workflow Run. It only wakes the run, which then asks.
type AdmittedInput struct {
	// Steps are those that have got slots; without any the run itself is meant.
	Steps []string `json:"steps,omitempty"`
}

// RunQueueInput is the input of the workflow RunQueue: nothing is to be said.
type RunQueueInput struct{}

// AdmitRunsResult is the result of perdure.AdmitRuns: what waits after it.
type AdmitRunsResult struct {
	// Runs wait in the queue, Steps for slots of pools.
	Runs  int `json:"runs"`
	Steps int `json:"steps"`
	// Woken is how many were let in just now, or had not taken note of it before.
	Woken int `json:"woken,omitempty"`
	// First are some of them, in the order in which they come first.
	First []Waiting `json:"first,omitempty"`
}

// Waiting is a run that waits in the queue, or a step that waits for a slot.
type Waiting struct {
	RunID string `json:"run_id"`
	// Step and Pool are absent of a run.
	Step     string   `json:"step,omitempty"`
	Pool     string   `json:"pool,omitempty"`
	Priority Priority `json:"priority,omitzero"`
	// Since is RFC 3339.
	Since string `json:"since,omitempty"`
	// Reason is what it waits for, and who holds that.
	Reason string `json:"reason"`
}
