package wire

import "strings"

// maxSummary is how long the summary of a workflow may be, in bytes: Temporal's limit.
const maxSummary = 200

// Summary cuts a line for Temporal's lists to what Temporal takes.
func Summary(text string) string {
	if len(text) <= maxSummary {
		return text
	}
	return strings.ToValidUTF8(text[:maxSummary-3], "") + "..."
}

// What Perdure is called on Temporal. People and services use these names; they do not change.

// Workflow types.
const (
	RunWorkflow      = "Run"
	BackfillWorkflow = "Backfill"
	// ReportEventWorkflow records what happened elsewhere.
	ReportEventWorkflow = "ReportEvent"
	// ScheduleTickWorkflow evaluates what is due of a schedule, SensorWorkflow a sensor whenever something wakes it,
	// PreviewWorkflow one of them to see what it would start.
	ScheduleTickWorkflow = "ScheduleTick"
	SensorWorkflow       = "Sensor"
	PreviewWorkflow      = "Preview"
	// RunQueueWorkflow admits runs and hands out slots while anything waits for them.
	RunQueueWorkflow = "RunQueue"
)

// Activity types of the system. Steps have their asset's or op's key as type, which may not begin with SystemPrefix.
const (
	SystemPrefix       = "perdure."
	PlanRunActivity    = "perdure.PlanRun"
	RefuseActivity     = "perdure.Refuse"
	CloseStepsActivity = "perdure.CloseSteps"
	EndRunActivity     = "perdure.EndRun"
	// CancelingActivity records at once that a run is being cancelled.
	CancelingActivity = "perdure.Canceling"
	// CheckpointActivity does nothing: it ends a workflow task, so that what local activities did lies in the history.
	CheckpointActivity = "perdure.Checkpoint"
	// PollersActivity looks which task queues have workers.
	PollersActivity = "perdure.Pollers"
	// LocalStepActivity runs a step as a local activity.
	LocalStepActivity = "perdure.LocalStep"
	// RunHooksActivity calls the hooks of a step that has ended.
	RunHooksActivity = "perdure.RunHooks"
	// BeginRemoteActivity and EndRemoteActivity claim and record a step that another program computes in between.
	BeginRemoteActivity = "perdure.BeginRemote"
	EndRemoteActivity   = "perdure.EndRemote"
	// PlanBackfillActivity begins a backfill, AdvanceBackfillActivity works on it for a while, SteerBackfillActivity pauses,
	// resumes and widens it, StopBackfillActivity ends its runs, and EndBackfillActivity records its end.
	PlanBackfillActivity    = "perdure.PlanBackfill"
	AdvanceBackfillActivity = "perdure.AdvanceBackfill"
	SteerBackfillActivity   = "perdure.SteerBackfill"
	StopBackfillActivity    = "perdure.StopBackfill"
	EndBackfillActivity     = "perdure.EndBackfill"
	// ReportActivity records what happened elsewhere.
	ReportActivity = "perdure.Report"
	// EvaluateScheduleActivity and EvaluateSensorActivity evaluate what is due, decide and start runs; PreviewActivity only
	// evaluates.
	EvaluateScheduleActivity = "perdure.EvaluateSchedule"
	EvaluateSensorActivity   = "perdure.EvaluateSensor"
	// TakeEventsActivity writes events into the inbox of a sensor, SteerSensorActivity stops and starts it or sets its cursor.
	TakeEventsActivity  = "perdure.TakeEvents"
	SteerSensorActivity = "perdure.SteerSensor"
	PreviewActivity     = "perdure.Preview"
	// AdmitRunsActivity admits what has room, and wakes it.
	AdmitRunsActivity = "perdure.AdmitRuns"
	// AdmitRunActivity asks whether a run that waits in the queue may begin.
	AdmitRunActivity = "perdure.AdmitRun"
	// ClaimSlotsActivity asks for slots of pools for steps that are ready.
	ClaimSlotsActivity = "perdure.ClaimSlots"
)

// Queries and updates of the workflow Run.
const (
	StepsQuery       = "steps"
	CancelStepUpdate = "cancel_step"
)

// Signals, queries and updates of the workflow Backfill.
const (
	PauseSignal          = "pause"
	ResumeSignal         = "resume"
	ProgressQuery        = "progress"
	SetConcurrencyUpdate = "set_concurrency"
)

// Signals, queries and updates of the workflow Sensor.
const (
	EventSignal     = "event"
	TickUpdate      = "tick"
	SetCursorUpdate = "set_cursor"
	StateQuery      = "state"
)

// WakeSignal says that something may have changed: the cursor, or a row, says what. It brings nothing along that counts.
const WakeSignal = "wake"

// AdmittedSignal tells a run that waits in the queue that it may begin, or which steps have got slots: {"steps":[…]}.
const AdmittedSignal = "admitted"

// Types of application errors: what a program that reads a failure decides by.
const (
	// FailureInvalidRequest refuses a request: details are a Refusal. Nothing was begun.
	FailureInvalidRequest = "InvalidRequest"
	// FailureRunFailed ends a run in FAILURE: details are its RunResult.
	FailureRunFailed = "RunFailed"
	// FailureBackfillFailed ends a backfill in COMPLETED_FAILED or FAILED: details are its BackfillResult.
	FailureBackfillFailed = "BackfillFailed"
	// FailureStepFailed ends a step whose failure is recorded.
	FailureStepFailed = "StepFailed"
	// FailureNotOnThisBuild hands a step back: this worker lacks its definition, or has it in another shape.
	FailureNotOnThisBuild = "not_on_this_build"
	// FailureWaitingForWriter means that another live step writes the same asset partition.
	FailureWaitingForWriter = "waiting_for_writer"
	// FailureStoreUnavailable means that Postgres or an asset's store cannot be reached.
	FailureStoreUnavailable = "store_unavailable"
	// FailureOfUser is a failure of the user's function that will be retried.
	FailureOfUser = "user_failure"
	// FailureSuperseded ends an attempt whose step was taken over or closed.
	FailureSuperseded = "superseded"
	// FailureHandedOver ends a local activity whose step is to go on as an activity: this worker cannot take it now.
	FailureHandedOver = "handed_over"
	// FailureDraining hands a step back because its worker stops.
	FailureDraining = "worker_draining"
	// FailureCutOff is the reason of a step whose worker goes on with it, but cannot reach Temporal: another may take it over.
	FailureCutOff = "worker_cut_off"
)

// Search attributes, all optional; `perdure migrate` tries to register them.
const (
	SearchJob       = "PerdureJob"
	SearchStatus    = "PerdureStatus"
	SearchCause     = "PerdureCause"
	SearchAssets    = "PerdureAssets"
	SearchPartition = "PerdurePartition"
	SearchBackfill  = "PerdureBackfill"
)

// SearchAttributes are the names of all of them.
var SearchAttributes = []string{SearchJob, SearchStatus, SearchCause, SearchAssets, SearchPartition, SearchBackfill}
