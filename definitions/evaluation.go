package definitions

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Evaluation is what a schedule or sensor is evaluated with. It is for Perdure's own packages.
type Evaluation struct {
	// ScheduledAt is a schedule's nominal time.
	ScheduledAt time.Time
	// Events are what a sensor has received, in order; Records what an asset sensor or a run-status sensor has read in the log.
	Events  []ReceivedEvent
	Records []LogRecord
	// Cursor is that of the last successful tick, as its JSON; nil before the first.
	Cursor json.RawMessage
	// LastTick is when the last successful tick was, LastRunKey the last key that it asked for a run with.
	LastTick   time.Time
	LastRunKey string
	// First says that it is the first tick since the sensor was started.
	First bool
	// Config is empty, Log what its function logs to.
	Log *slog.Logger
}

// ReceivedEvent is an event as a service sent it.
type ReceivedEvent struct {
	ID      string
	At      time.Time
	Payload json.RawMessage
}

// LogRecord is an entry of the event log: a materialization, or the status that a run has taken.
type LogRecord struct {
	Position int64
	At       time.Time
	Type     string
	// Asset and Partition are a materialization's; the run, and its step, are of both.
	Asset, Partition string
	RunID, Step      string
	Cause            string
	// Metadata and DataVersion are a materialization's.
	Metadata    []wire.Metadatum
	DataVersion string
	// The rest is a run's.
	Location, Job string
	Status        wire.RunStatus
	Tags          map[string]string
	RunPartition  string
	Failures      []wire.StepFailureInfo
	Reason        string
	// URL leads to the run in Temporal's Web UI.
	URL string
}

// Evaluated is what an evaluation asks for. Requests have no ids yet, and nothing of them was checked against partitions.
type Evaluated struct {
	Runs []wire.TickRun
	// Skip says why there are none.
	Skip string
	// Cursor is the new one; nil leaves it as it was.
	Cursor json.RawMessage
	// Consumed is how many of the Records were taken in; the others are read again.
	Consumed int
	// Add and Remove are changes of dynamic partition sets, Reports what happened to assets elsewhere.
	Add, Remove []wire.TickPartitions
	Reports     []wire.ReportRequest
}

// EvaluateSchedule calls the function of a schedule, or gives the requests that it always makes. The error is the function's,
// or says that this location has no such schedule.
func (r *Runtime) EvaluateSchedule(ctx context.Context, name string, with Evaluation) (Evaluated, error) {
	return Evaluated{}, errNoTriggers
}

// EvaluateSensor calls the function of a sensor. The error is the function's, or says that this location has no such sensor.
func (r *Runtime) EvaluateSensor(ctx context.Context, name string, with Evaluation) (Evaluated, error) {
	return Evaluated{}, errNoTriggers
}

// CheckEvents says of events which of them do not fit the type that a sensor's function takes, and why, by their place.
func (r *Runtime) CheckEvents(name string, events []ReceivedEvent) (map[int]string, error) {
	return nil, errNoTriggers
}

var errNoTriggers = errors.New("this location has no schedules and sensors")
