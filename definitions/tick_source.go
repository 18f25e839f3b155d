package definitions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// tickSource is what the functions of schedules and sensors know of their tick.
type tickSource string

const (
	tickTime         tickSource = "ScheduledTime"
	tickInfo         tickSource = "TheTick"
	tickEvents       tickSource = "Events"
	tickCursor       tickSource = "CursorOf"
	tickMaterialized tickSource = "NewMaterializations"
	tickRun          tickSource = "TheRun"
)

// tick is the tick that a function is evaluated for.
type tick struct {
	Evaluation
	zone *time.Location
	// record is that which a run sensor's function is called for.
	record *LogRecord
}

var errNoTick = errors.New("it is for the functions of schedules and sensors")

// ScheduledTime is the nominal time of a schedule's tick, in the schedule's zone: when it was due, however late it is. Bound
// elsewhere it is a problem.
var ScheduledTime Source[time.Time] = scheduledTime{}

type scheduledTime struct{}

func (scheduledTime) carries(time.Time) {}
func (t scheduledTime) need() need      { return need{kind: needTick, id: t, tick: tickTime} }
func (scheduledTime) load(s *scope) (time.Time, error) {
	if s.tick == nil {
		return time.Time{}, errNoTick
	}
	return s.tick.ScheduledAt.In(s.tick.zone), nil
}

// TickInfo is what a tick knows of those before.
type TickInfo struct {
	// Last is when the last tick that did not fail began; zero before the first.
	Last time.Time
	// LastRunKey is the last key that a run was asked for with.
	LastRunKey string
	// First says that it is the first tick since the schedule or sensor was started.
	First bool
}

// TheTick is what the function of a schedule or sensor knows of the ticks before. Bound elsewhere it is a problem.
var TheTick Source[TickInfo] = theTick{}

type theTick struct{}

func (theTick) carries(TickInfo) {}
func (t theTick) need() need     { return need{kind: needTick, id: t, tick: tickInfo} }
func (theTick) load(s *scope) (TickInfo, error) {
	if s.tick == nil {
		return TickInfo{}, errNoTick
	}
	return TickInfo{Last: s.tick.LastTick, LastRunKey: s.tick.LastRunKey, First: s.tick.First}, nil
}

// Event is an event that a service signalled to a sensor.
type Event[E any] struct {
	// ID is the sender's: an event of the same id is received once.
	ID string
	// At is when it was received.
	At      time.Time
	Payload E
}

// Events is what a sensor has received since its last tick, in order; many events may come in several ticks. A payload is read as
// [Config] is: a field is snake_case, or as its json tag says, and one without config:"required" may be left out; fields that E
// does not have and values of other types are refused. [encoding/json.RawMessage] and any take all JSON; a number in an any is a
// [encoding/json.Number]. What does not fit E is recorded as rejected, and never reaches the function. Bound elsewhere than in a
// [Sensor] it is a problem.
func Events[E any]() Source[[]Event[E]] { return eventsOf[E]{} }

type eventsOf[E any] struct{}

func (eventsOf[E]) carries([]Event[E]) {}

func (e eventsOf[E]) need() need {
	return need{kind: needTick, id: e, tick: tickEvents, payload: payloadOf(reflect.TypeFor[E]())}
}

func (eventsOf[E]) load(s *scope) ([]Event[E], error) {
	if s.tick == nil {
		return nil, errNoTick
	}
	payload := payloadOf(reflect.TypeFor[E]())
	events := make([]Event[E], len(s.tick.Events))
	for i, received := range s.tick.Events {
		event := Event[E]{ID: received.ID, At: received.At}
		if err := payload.decode(received.Payload, reflect.ValueOf(&event.Payload).Elem()); err != nil {
			return nil, fmt.Errorf("event %q: %w", received.ID, err)
		}
		events[i] = event
	}
	return events, nil
}

// CursorOf is the cursor of a sensor, as [Tick] set it; the zero C before that. C is that of the sensor's Tick. It is kept as JSON.
// Bound elsewhere than in a sensor it is a problem.
func CursorOf[C any]() Source[C] { return cursorOf[C]{} }

type cursorOf[C any] struct{}

func (cursorOf[C]) carries(C) {}

func (c cursorOf[C]) need() need {
	return need{kind: needTick, id: c, tick: tickCursor, typ: reflect.TypeFor[C]()}
}

func (cursorOf[C]) load(s *scope) (cursor C, err error) {
	if s.tick == nil {
		return cursor, errNoTick
	}
	if len(bytes.TrimSpace(s.tick.Cursor)) == 0 {
		return cursor, nil
	}
	if err := json.Unmarshal(s.tick.Cursor, &cursor); err != nil {
		return cursor, fmt.Errorf("the cursor %s does not fit %v: set another with \"perdure sensor set-cursor\": %w", s.tick.Cursor, reflect.TypeFor[C](), err)
	}
	return cursor, nil
}
