package wire

import (
	"encoding/json"
	"slices"
)

// ScheduleTickRequest is the input of the workflow ScheduleTick, which evaluates what is due of a schedule and starts its runs.
// A Temporal Schedule starts it; anybody may.
//
//	temporal workflow start --type ScheduleTick --task-queue flights --input '{"schedule":"nightly"}'
type ScheduleTickRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Schedule is the name of a schedule of the location.
	Schedule string `json:"schedule"`
	// Manual evaluates the schedule once more, whether something is due or not, also when it is stopped.
	Manual bool `json:"manual,omitempty"`
	// At is the nominal time of a manual tick, RFC 3339; absent is now. A tick that was evaluated before is not evaluated again.
	At string `json:"at,omitempty"`
	// Times is what the Temporal Schedule wakes by; Perdure sets it.
	Times string `json:"times,omitempty"`
}

// ScheduleTickResult is the result of the workflow ScheduleTick.
type ScheduleTickResult struct {
	Schedule string `json:"schedule"`
	// Ticks are those that it took care of, the earliest first; of more than 200, or half a megabyte, the last ones.
	Ticks []ScheduledTick `json:"ticks"`
	// Note says why there are none.
	Note string `json:"note,omitempty"`
}

// ScheduledTick is a tick of a schedule.
type ScheduledTick struct {
	ID int64 `json:"id,string"`
	// Nominal is the time that it stands for, RFC 3339 in the schedule's zone.
	Nominal string     `json:"nominal"`
	Status  TickStatus `json:"status"`
	// Runs are the runs that it asked for; of more than 100 the first ones.
	Runs []ScheduledRun `json:"runs,omitempty"`
	// Skip says why it started nothing, or what it waits for; Error why it failed.
	Skip  string `json:"skip,omitempty"`
	Error string `json:"error,omitempty"`
}

// ScheduledRun is a run that a tick has asked for.
type ScheduledRun struct {
	RunID     string `json:"run_id"`
	RunKey    string `json:"run_key,omitempty"`
	Partition string `json:"partition,omitempty"`
	// Known says that it had been asked for before: none was started.
	Known bool `json:"known,omitempty"`
	// Error is why it could not be started.
	Error string `json:"error,omitempty"`
}

// maxScheduledTicks bounds the ticks of an answer, in bytes of their JSON: of 2 MB Temporal takes none.
const maxScheduledTicks = 512 << 10

// LastScheduledTicks are the last ones of some ticks, as many as fit into an answer.
func LastScheduledTicks(ticks []ScheduledTick) []ScheduledTick {
	size := 0
	for i, tick := range slices.Backward(ticks) {
		data, err := json.Marshal(tick)
		if size += len(data); err != nil || size > maxScheduledTicks {
			return ticks[i+1:]
		}
	}
	return ticks
}

// EvaluateScheduleInput is the input of perdure.EvaluateSchedule.
type EvaluateScheduleInput struct {
	Schedule string `json:"schedule"`
	Queue    string `json:"queue"`
	// WokenAt is the time for which a Temporal Schedule woke the workflow, StartedAt when it began; RFC 3339. WokenAt is absent
	// where nothing of the kind did, and once it was taken care of. Times is as in the request.
	WokenAt   string `json:"woken_at,omitempty"`
	StartedAt string `json:"started_at,omitempty"`
	Times     string `json:"times,omitempty"`
	// Manual asks for a tick at the time At.
	Manual bool   `json:"manual,omitempty"`
	At     string `json:"at,omitempty"`
}

// EvaluateScheduleResult is the result of perdure.EvaluateSchedule.
type EvaluateScheduleResult struct {
	// Ticks are those that it took care of, or looked at.
	Ticks []ScheduledTick `json:"ticks"`
	// Note says why it did nothing.
	Note string `json:"note,omitempty"`
	// More says that there is more to do at once. Waiting says what ticks wait for whose runs are not started yet. Until is when the
	// next tick's delay is over, RFC 3339.
	More    bool   `json:"more,omitempty"`
	Waiting string `json:"waiting,omitempty"`
	Until   string `json:"until,omitempty"`
	// ContinueAfter is the number of history events from which the workflow continues as new; 0 is 1,000.
	ContinueAfter int `json:"continue_after,omitempty"`
}

// PreviewRequest is the input of the workflow Preview: what a schedule or a sensor would start. Nothing is started, nothing is recorded.
//
//	temporal workflow execute --type Preview --task-queue flights --input '{"schedule":"nightly","at":"2001-01-01T06:00:00Z"}'
type PreviewRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Schedule or Sensor is the name of one of the location.
	Schedule string `json:"schedule,omitempty"`
	Sensor   string `json:"sensor,omitempty"`
	// At is the nominal time of a schedule, RFC 3339; absent is the next time at which it is due.
	At string `json:"at,omitempty"`
	// Events are what a sensor is given, at most 1,000; absent are those that wait.
	Events []SensorEvent `json:"events,omitempty"`
	// Cursor is the one that a sensor is given; absent is its own.
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// PreviewInput is the input of perdure.Preview.
type PreviewInput struct {
	Request PreviewRequest `json:"request"`
}

// PreviewResult is the result of the workflow Preview.
type PreviewResult struct {
	// At is the nominal time, RFC 3339 in the schedule's zone.
	At string `json:"at,omitempty"`
	// Runs are the runs that would be asked for.
	Runs []PreviewRun `json:"runs"`
	// Events is how many a sensor was given, Rejected are those that it cannot be given.
	Events   int               `json:"events,omitempty"`
	Rejected []PreviewRejected `json:"rejected,omitempty"`
	// Cursor is what a sensor's would be; absent stays as it is. The others are what else it would change and record.
	Cursor           json.RawMessage  `json:"cursor,omitempty"`
	AddPartitions    []TickPartitions `json:"add_partitions,omitempty"`
	RemovePartitions []TickPartitions `json:"remove_partitions,omitempty"`
	Reports          []ReportRequest  `json:"reports,omitempty"`
	// Skip says why there are none; Error why the function failed, with its stack when it panicked, or what is wrong with
	// the runs that it asks for.
	Skip  string     `json:"skip,omitempty"`
	Error *TickError `json:"error,omitempty"`
	// Log is what the function has logged.
	Log []TickLine `json:"log,omitempty"`
}

// PreviewRejected is an event that would be rejected.
type PreviewRejected struct {
	ID      string `json:"id"`
	Problem string `json:"problem"`
}

// PreviewRun is a run that would be asked for.
type PreviewRun struct {
	Job    string `json:"job"`
	RunKey string `json:"run_key,omitempty"`
	// Request is what it would be started with.
	Request RunRequest `json:"request"`
	// Steps is how many steps it would have, Assets what it would make.
	Steps  int      `json:"steps"`
	Assets []string `json:"assets,omitempty"`
}
