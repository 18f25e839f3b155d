package wire

import "encoding/json"

// TriggerKind says what starts runs by itself.
type TriggerKind string

// The kinds of triggers.
const (
	TriggerSchedule TriggerKind = "schedule"
	TriggerSensor   TriggerKind = "sensor"
)

// TriggerStatus says whether a schedule or sensor works.
type TriggerStatus string

// The statuses of triggers.
const (
	TriggerRunning TriggerStatus = "RUNNING"
	TriggerStopped TriggerStatus = "STOPPED"
)

// TickStatus is where an evaluation of a schedule or sensor stands.
type TickStatus string

// The tick statuses. A tick that was decided stays STARTED until all of its runs are started.
const (
	TickStarted TickStatus = "STARTED" // it is being evaluated, or waits, or its runs are being started
	TickSkipped TickStatus = "SKIPPED" // it started nothing, and says why
	TickSuccess TickStatus = "SUCCESS" // its runs are started
	TickFailure TickStatus = "FAILURE" // its function failed, or asked for what cannot be
)

// Ended says whether a tick in this status will never change again.
func (s TickStatus) Ended() bool { return s != TickStarted }

// RunTrigger is what asked for a run, in its request. Schedules and sensors set it.
type RunTrigger struct {
	Kind TriggerKind `json:"kind"`
	Name string      `json:"name"`
	// Tick is the tick's id.
	Tick string `json:"tick"`
	// ScheduledAt is a schedule's nominal time, RFC 3339 in its zone; absent of a sensor.
	ScheduledAt string `json:"scheduled_at,omitempty"`
	// RunKey is the key under which a trigger asks for a run only once; absent is none.
	RunKey string `json:"run_key,omitempty"`
}

// TickRun is a run that a tick has asked for.
type TickRun struct {
	// RunID is the run's, of one that was not asked for the first time that of the earlier one.
	RunID  string `json:"run_id"`
	RunKey string `json:"run_key,omitempty"`
	Job    string `json:"job"`
	// Request is what the run is started with.
	Request RunRequest `json:"request"`
	// Known says that the trigger had asked for a run with this key before: none is started.
	Known bool `json:"known,omitempty"`
	// Error is why it could not be started.
	Error string `json:"error,omitempty"`
}

// TickPartitions are keys that a tick adds to a dynamic set, or removes.
type TickPartitions struct {
	Name string   `json:"name"`
	Keys []string `json:"keys"`
	// Changed are those that were not there, or were; the tick's record has it.
	Changed []string `json:"changed,omitempty"`
}

// TickError is why an evaluation failed.
type TickError struct {
	Message string `json:"message"`
	// Stack is that of a panic.
	Stack string `json:"stack,omitempty"`
}

// TickLine is a line that an evaluation has logged.
type TickLine struct {
	// At is RFC 3339.
	At      string `json:"at"`
	Level   string `json:"level"`
	Message string `json:"message"`
	// Attributes are what was logged beside the message.
	Attributes json.RawMessage `json:"attributes,omitempty"`
}
