package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// SensorID names a sensor of a location.
type SensorID struct {
	Location string `json:"location"`
	Sensor   string `json:"sensor"`
}

// Trigger is the sensor among the triggers.
func (s SensorID) Trigger() TriggerID {
	return TriggerID{Location: s.Location, Kind: wire.TriggerSensor, Name: s.Sensor}
}

func (s SensorID) String() string { return s.Trigger().String() }

// WrittenEvents counts what became of events that were written into an inbox.
type WrittenEvents struct {
	// New are those that a tick will take in, Known those that had been sent before, Rejected those with problems.
	New      int `json:"new"`
	Known    int `json:"known"`
	Rejected int `json:"rejected"`
}

// SendEvents writes events into the inbox of a sensor, in their order. One whose id is known changes nothing, unless it was rejected
// then and is not now. [ErrNotFound] says that no build has ever had the sensor.
func (s *Store) SendEvents(ctx context.Context, id SensorID, events []wire.SentEvent) (WrittenEvents, Trigger, error) {
	operation := fmt.Sprintf("write events for %s", id)
	answer, err := call[struct {
		WrittenEvents
		Found   bool    `json:"found"`
		Trigger Trigger `json:"trigger"`
	}](ctx, s, operation, "send_events_v1", struct {
		SensorID
		Events []wire.SentEvent `json:"events"`
	}{id, orEmpty(events)})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return answer.WrittenEvents, answer.Trigger, err
}

// NewSensorTick is a sensor's tick that begins when there is something to evaluate.
type NewSensorTick struct {
	SensorID
	// Events are written into the inbox first.
	Events []wire.SentEvent `json:"events"`
	// Due begins a tick also when no event waits, Manual also when the sensor is stopped.
	Due    bool `json:"due"`
	Manual bool `json:"manual"`
	// Key, Cause and Build are as in [NewTick]. A tick of one event has that event's id as its cause.
	Key   string `json:"key"`
	Cause string `json:"cause"`
	Build string `json:"build"`
	// Most is how many events it is given at most, Bytes how large they are together at most, but for one.
	Most  int `json:"most"`
	Bytes int `json:"bytes"`
}

// InboxEvent is an event that waits in an inbox.
type InboxEvent struct {
	ID string `json:"id"`
	// Number orders the events of a sensor.
	Number  int64           `json:"number"`
	At      time.Time       `json:"at"`
	Payload json.RawMessage `json:"payload"`
}

// BegunSensorTick is what there is to do for a sensor.
type BegunSensorTick struct {
	WrittenEvents
	Trigger Trigger `json:"trigger"`
	// Tick is nil when there is nothing to evaluate. One that is decided, or has ended, is not evaluated again.
	Tick   *Tick        `json:"tick"`
	Events []InboxEvent `json:"events"`
	// Undone are ticks that were decided, and of which runs may be missing.
	Undone []Tick `json:"undone"`
}

// BeginSensorTick writes events into the inbox of a sensor, and begins a tick, or takes it up, when there is something to evaluate.
// It is given the events that wait: [Store.DecideSensorTick] takes them in. Whoever works on an older tick of the sensor that is
// not decided decides nothing any more. [ErrNotFound] says that no build has ever had the sensor.
func (s *Store) BeginSensorTick(ctx context.Context, tick NewSensorTick) (BegunSensorTick, error) {
	operation := fmt.Sprintf("begin a tick of %s", tick.SensorID)
	tick.Events = orEmpty(tick.Events)
	answer, err := call[struct {
		BegunSensorTick
		Found bool `json:"found"`
	}](ctx, s, operation, "begin_sensor_tick_v1", tick)
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return answer.BegunSensorTick, err
}

// SensorDecision is what a sensor's tick starts and changes, and which events it takes in.
type SensorDecision struct {
	TickDecision
	// Numbers are those of the events that it takes in.
	Numbers []int64 `json:"numbers"`
	// ReportRequests are what its Reports are the ids of.
	ReportRequests []wire.ReportRequest `json:"report_requests"`
	// Reactions are the runs that a run-status sensor was called for.
	Reactions []Reaction `json:"reactions,omitempty"`
}

// DecideSensorTick is [Store.DecideTick] for a sensor: events are taken in by the same transaction. decided is false when it was
// decided before, or has ended because another evaluation took over.
func (s *Store) DecideSensorTick(ctx context.Context, decision SensorDecision) (tick Tick, trigger Trigger, decided bool, err error) {
	answer, err := call[struct {
		Decided bool    `json:"decided"`
		Tick    Tick    `json:"tick"`
		Trigger Trigger `json:"trigger"`
	}](ctx, s, fmt.Sprintf("decide tick %d", decision.ID), "decide_sensor_tick_v1", decision)
	return answer.Tick, answer.Trigger, answer.Decided, err
}

// RejectedEvent is an event that a sensor's function cannot be given.
type RejectedEvent struct {
	Number  int64  `json:"number"`
	Problem string `json:"problem"`
}

// RejectEvents takes events out of those that wait, and remembers why.
func (s *Store) RejectEvents(ctx context.Context, id SensorID, events []RejectedEvent) error {
	_, err := call[struct{}](ctx, s, fmt.Sprintf("reject events of %s", id), "reject_events_v1", struct {
		SensorID
		Events []RejectedEvent `json:"events"`
	}{id, orEmpty(events)})
	return err
}

// NewCursor sets the cursor of a sensor.
type NewCursor struct {
	SensorID
	// Cursor is the new one; nil clears it.
	Cursor json.RawMessage `json:"cursor,omitempty"`
	// Who does it, and Why, for people.
	Who string `json:"who"`
	Why string `json:"why"`
}

// SetCursor sets the cursor of a sensor. An evaluation that goes on meanwhile decides nothing any more. [ErrNotFound] says that no
// build has ever had the sensor.
func (s *Store) SetCursor(ctx context.Context, cursor NewCursor) (Trigger, error) {
	operation := fmt.Sprintf("set the cursor of %s", cursor.SensorID)
	answer, err := call[struct {
		Found   bool    `json:"found"`
		Trigger Trigger `json:"trigger"`
	}](ctx, s, operation, "set_cursor_v1", cursor)
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return answer.Trigger, err
}

// SensorEvent is an event of a sensor, whatever has become of it.
type SensorEvent struct {
	InboxEvent
	// Problem says why it was rejected; "" is that it was not.
	Problem string `json:"problem"`
	// Tick is the one that has taken it in, 0 none.
	Tick int64 `json:"tick"`
	// DoneAt is when it was taken in or rejected; zero while it waits.
	DoneAt time.Time `json:"done_at"`
}

const sensorEventColumns = `jsonb_build_object('id', event_id, 'number', number, 'at', received_at, 'payload', payload, 'problem', problem,
	'tick', coalesce(tick_id, 0), 'done_at', done_at)`

// SensorEvents lists the events of a sensor that wait, in their order; or, rejected, those that were, the newest first. limit 0 is 50,
// the most 1,000.
func (s *Store) SensorEvents(ctx context.Context, id SensorID, rejected bool, limit int) ([]SensorEvent, error) {
	which := "done_at is null order by number"
	if rejected {
		which = "problem <> '' order by number desc"
	}
	return rows[SensorEvent](ctx, s, fmt.Sprintf("list events of %s", id), `
		select `+sensorEventColumns+` from sensor_events where location = $1 and sensor = $2 and `+which+` limit $3`,
		id.Location, id.Sensor, pageSize(limit))
}

// PurgeEvents forgets at most limit events that were taken in or rejected before a time; sent again, they are new. It returns how
// many it forgot.
func (s *Store) PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	answer, err := call[struct {
		Deleted int `json:"deleted"`
	}](ctx, s, "forget old events", "purge_events_v1", struct {
		Before time.Time `json:"before"`
		Limit  int       `json:"limit"`
	}{before, limit})
	return answer.Deleted, err
}
