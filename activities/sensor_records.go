package activities

import (
	"context"
	"fmt"
	"slices"

	"go.temporal.io/sdk/activity"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// quietStretch is how far the log may grow with nothing in it for a sensor before it is noted that the sensor has read it.
const quietStretch = 1000

// logReading is what an evaluation has read in the event log; nil of a sensor that does not read it.
type logReading struct {
	kind plan.SensorKind
	// from is the sensor's position that it was read from.
	from    *int64
	read    metadata.LogRead
	records []definitions.LogRecord
	// consumed is how many of the records the function has taken in.
	consumed int
}

// readLog reads what is new for the sensor whose workflow calls. What is committed from then on wakes it again.
func (a *Activities) readLog(ctx context.Context, id metadata.SensorID) (*logReading, error) {
	sensors := a.Runtime.Snapshot().Sensors
	here := slices.IndexFunc(sensors, func(sensor plan.Sensor) bool { return sensor.Name == id.Sensor })
	if here < 0 || sensors[here].Kind == plan.SensorOfEvents {
		return nil, nil
	}
	// Clean before it reads: see Store.CleanListener.
	if _, err := a.Store.CleanListener(ctx, activity.GetInfo(ctx).WorkflowExecution.ID); err != nil {
		return nil, err
	}
	trigger, err := a.Store.Trigger(ctx, id.Trigger())
	if err != nil {
		return nil, err
	}
	reading, err := a.readLogAt(ctx, trigger)
	if err != nil || reading == nil || reading.news() {
		return reading, err
	}
	if from := reading.from; from != nil && len(reading.read.Waiting) == 0 && reading.read.Upto > *from+quietStretch {
		return reading, a.Store.AdvancePosition(ctx, id.Trigger(), *from, reading.read.Upto)
	}
	return reading, nil
}

// readLogAt reads what is new for a sensor as its row says.
func (a *Activities) readLogAt(ctx context.Context, trigger metadata.Trigger) (*logReading, error) {
	sensor, err := definedSensor(trigger)
	if err != nil || sensor.Kind == plan.SensorOfEvents {
		return nil, err
	}
	reading := &logReading{kind: sensor.Kind, from: trigger.Position}
	// What is passed over must not hide what comes after it.
	for position := trigger.Position; ; position = &reading.read.Upto {
		if reading.read, err = a.Store.ReadForSensor(ctx, trigger.Location, sensor, position); err != nil {
			return nil, err
		}
		for _, record := range reading.read.Records {
			given, err := a.logRecord(ctx, record)
			if err != nil {
				return nil, err
			}
			if !given.WillRetry || !sensor.AfterRetries {
				reading.records = append(reading.records, given)
			}
		}
		if len(reading.records) > 0 || !reading.read.More {
			return reading, nil
		}
	}
}

// logRecord is a record as a function is given it.
func (a *Activities) logRecord(ctx context.Context, record metadata.LogRecord) (definitions.LogRecord, error) {
	given := definitions.LogRecord{
		Position: record.Position, At: record.At, Type: string(record.Type), Asset: record.Asset, Partition: record.Event.Partition,
		RunID: record.Run, Step: record.Step, Cause: record.Cause, Metadata: record.Metadata, DataVersion: record.DataVersion,
		Location: record.Location, Job: record.Job, Status: record.RunStatus(), Tags: record.Tags, RunPartition: record.RunPartition,
		RequestedBy: record.TriggerName,
	}
	if given.RunID != "" {
		given.URL = a.RunURL(given.RunID)
	}
	if given.Status == "" {
		return given, nil
	}
	var err error
	if given.Failures, given.Reason, err = record.RunEvent(); err != nil {
		return given, err
	}
	if given.Status == wire.RunFailure {
		given.WillRetry, err = a.willRetry(ctx, record)
	}
	return given, err
}

// willRetry says whether a run that failed is started again by itself. The workflow that has recorded its end decides that, or whoever
// comes first: it is decided the same way, and once.
func (a *Activities) willRetry(ctx context.Context, record metadata.LogRecord) (bool, error) {
	if record.WillRetry != nil {
		return *record.WillRetry, nil
	}
	// What keeps the retry from being started keeps nobody from hearing of the failure: others start it.
	if _, err := a.Starter.RetryFailedRun(ctx, record.Run); err != nil && ctx.Err() == nil {
		a.Log.Warn("whether a failed run is started again is not decided by a sensor that watches it", "run", record.Run, "error", err)
	}
	run, err := a.Store.Run(ctx, record.Run)
	if err != nil {
		return false, err
	}
	return run.WillRetry != nil && *run.WillRetry, nil
}

// news says that there is something to evaluate.
func (r *logReading) news() bool {
	return r != nil && len(r.records) > 0 && len(r.read.Waiting) == 0
}

// all are the records that the function is given.
func (r *logReading) all() []definitions.LogRecord {
	if r == nil {
		return nil
	}
	return r.records
}

// take notes how many of them it has taken in.
func (r *logReading) take(consumed int) {
	if r != nil {
		r.consumed = consumed
	}
}

// isOf says whether it was read from where the sensor's row says.
func (r *logReading) isOf(trigger metadata.Trigger) bool {
	return r == nil || r.from == nil && trigger.Position == nil || r.from != nil && trigger.Position != nil && *r.from == *trigger.Position
}

// cause is what has led to all of the records; "" when they have several causes.
func (r *logReading) cause() string {
	if !r.news() {
		return ""
	}
	for _, record := range r.records {
		if record.Cause != r.records[0].Cause {
			return ""
		}
	}
	return r.records[0].Cause
}

// unread says that there is more than was taken in.
func (r *logReading) unread() bool {
	return r != nil && len(r.read.Waiting) == 0 && (r.consumed < len(r.records) || r.read.More)
}

// position is how far the sensor has read then; nil is no farther than before.
func (r *logReading) position() *int64 {
	switch {
	case r == nil || len(r.read.Waiting) > 0 || r.consumed == 0 && len(r.records) > 0:
		return nil
	case r.consumed < len(r.records):
		return &r.records[r.consumed-1].Position
	default:
		return &r.read.Upto
	}
}

// reactions are the runs that a run-status sensor was called for; problem is why it failed for the last of them.
func (r *logReading) reactions(problem string) []metadata.Reaction {
	if r == nil || r.kind != plan.SensorOfRuns {
		return nil
	}
	reactions := make([]metadata.Reaction, r.consumed)
	for i, record := range r.records[:r.consumed] {
		reactions[i].Run = record.RunID
	}
	if problem != "" && r.consumed > 0 {
		reactions[r.consumed-1].Problem = problem
	}
	return reactions
}

// consumedRecords is what a tick's record says of the log that it has taken in.
type consumedRecords struct {
	Records int `json:"records,omitempty"`
	// From and Upto are the positions of the first and of the last.
	From int64 `json:"from,omitempty"`
	Upto int64 `json:"upto,omitempty"`
}

func (r *logReading) consumedRecords() consumedRecords {
	if r == nil || r.consumed == 0 {
		return consumedRecords{}
	}
	return consumedRecords{Records: r.consumed, From: r.records[0].Position, Upto: r.records[r.consumed-1].Position}
}

// noNews is why a sensor that reads the log starts nothing.
func (r *logReading) noNews() string {
	return fmt.Sprintf("nothing new up to position %d of the event log", r.read.Upto)
}
