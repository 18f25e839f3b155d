package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SensorRequest is the input of the workflow Sensor: {}. Which sensor it is says the workflow's id.
//
//	temporal workflow start --type Sensor --task-queue flights --workflow-id sensor:flights:arrivals --input '{}'
type SensorRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
}

// SensorEvent is what the signal "event" of the workflow Sensor brings.
//
//	temporal workflow signal --workflow-id sensor:flights:arrivals --name event --input '{"id":"e1","payload":{"flight":"AA1"}}'
type SensorEvent struct {
	// V is the version of this event; absent is the current one.
	V int `json:"v,omitempty"`
	// ID is the event's own, at most 200 characters: sent again within 30 days it counts once. Absent, one is made for each
	// signal: then two signals are two events.
	ID string `json:"id,omitempty"`
	// Payload is what the sensor's function is given, at most 1 MB.
	Payload json.RawMessage `json:"payload"`
}

const (
	// MaxEventID is how long an event's id may be, in bytes.
	MaxEventID = 200
	// MaxEvent is how large an event may be, in bytes of JSON.
	MaxEvent = 1 << 20
)

// DecodeEvent reads an event that somebody sent, with everything that is wrong with it. What can be told of an event with problems
// is told.
func DecodeEvent(data []byte) (SensorEvent, Problems) {
	var event SensorEvent
	if len(data) > MaxEvent {
		return event, Problems{{
			Code: CodeTooLarge, Message: fmt.Sprintf("the event has %d bytes, and at most %d are taken", len(data), MaxEvent),
			Fix: "store what is large, and send where it lies",
		}}
	}
	problems := Decode(data, &event)
	if len(problems) > 0 {
		var id struct {
			ID any `json:"id"`
		}
		// It may be anything; one that is a name still says which event it was.
		if json.Unmarshal(data, &id) == nil {
			event.ID, _ = id.ID.(string)
		}
		if len(event.ID) > MaxEventID {
			event.ID = ""
		}
		return event, problems
	}
	if event.Payload == nil {
		problems = append(problems, Problem{
			Path: "payload", Code: CodeMissing, Message: "there is no payload", Fix: `send {"id":"…","payload":{…}}, with {} when there is nothing to tell`,
		})
	}
	if number := unkept(event.Payload); number != "" {
		problems = append(problems, Problem{
			Path: "payload", Code: CodeTooLarge, Message: "it holds a number that cannot be kept: " + short(number), Fix: "send it as a string",
		})
	}
	if len(event.ID) > MaxEventID {
		problems = append(problems, Problem{
			Path: "id", Code: CodeTooLarge, Message: fmt.Sprintf("the id has %d bytes, and at most %d are taken", len(event.ID), MaxEventID), Fix: "shorten it, or send its hash",
		})
		event.ID = ""
	}
	if strings.ContainsRune(event.ID, 0) {
		problems = append(problems, Problem{Path: "id", Code: CodeInvalid, Message: "the id holds the character NUL", Fix: "leave it out"})
		event.ID = ""
	}
	return event, problems
}

// maxNumber is how many characters a number in an event may have, and how large its exponent may be: Postgres keeps some thousands, a
// float64 has an exponent below 310.
const maxNumber = 1000

// unkept is the first number in valid JSON that is not kept, "" when there is none.
func unkept(data []byte) string {
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(data) && strings.IndexByte("0123456789+-.eE", data[end]) >= 0 {
				end++
			}
			number := string(data[i:end])
			if at := strings.IndexAny(number, "eE"); len(number) > maxNumber || at >= 0 && !smallExponent(number[at+1:]) {
				return number
			}
			i = end - 1
		}
	}
	return ""
}

func smallExponent(text string) bool {
	exponent, err := strconv.Atoi(text)
	return err == nil && exponent >= -maxNumber && exponent <= maxNumber
}

// SentEvent is an event on its way to the inbox of a sensor.
type SentEvent struct {
	ID string `json:"id"`
	// Payload is its own, or of one that was refused all that was sent, as a string when that is not JSON, or none that can be kept.
	Payload json.RawMessage `json:"payload"`
	// At is when it was heard.
	At time.Time `json:"at"`
	// Problem says why it is refused; "" is a good one.
	Problem string `json:"problem,omitempty"`
}

// maxRejected is how much is kept of what was sent with problems, in bytes.
const maxRejected = 16 << 10

// Sent is an event as the inbox takes it, from what was sent. id is that of one that has none.
func Sent(data []byte, id string, at time.Time) SentEvent {
	event, problems := DecodeEvent(data)
	sent := SentEvent{ID: event.ID, Payload: event.Payload, At: at}
	if sent.ID == "" {
		sent.ID = id
	}
	if len(problems) == 0 {
		return sent
	}
	sent.Problem = problems.Error()
	if len(data) <= maxRejected && json.Valid(data) && unkept(data) == "" {
		sent.Payload = data
		return sent
	}
	if len(data) > maxRejected {
		data = data[:maxRejected]
	}
	text, err := json.Marshal(strings.ToValidUTF8(string(data), "\uFFFD"))
	if err != nil {
		// A string can always be encoded.
		panic(fmt.Sprintf("encode a string: %v", err))
	}
	sent.Payload = text
	return sent
}

// SignalledID is the id of an event that was signalled without one: the n-th of a sensor's workflow since its first execution, which
// has the id that is given.
func SignalledID(firstRunID string, n int) string { return fmt.Sprintf("signal-%s-%d", firstRunID, n) }

// CarriedEvents are part of what the workflow Sensor carries along when it continues as new: what is read of it when it was
// terminated.
type CarriedEvents struct {
	// Heard is how many events were signalled before.
	Heard int `json:"heard"`
	// Events are those that may not be in the inbox.
	Events []SentEvent `json:"events,omitempty"`
}

// TickRequest is the argument of the update "tick" of the workflow Sensor, which may be left out.
type TickRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
}

// SensorTick is one evaluation of a sensor: the result of the update "tick".
type SensorTick struct {
	// Tick is its id.
	Tick   string     `json:"tick"`
	Status TickStatus `json:"status"`
	// StartedAt and EndedAt are RFC 3339.
	StartedAt string `json:"started_at"`
	EndedAt   string `json:"ended_at,omitempty"`
	// Cause is the id that its runs carry on.
	Cause string `json:"cause,omitempty"`
	// Events is how many it has taken in.
	Events int `json:"events"`
	// Runs are the first 100 that it asked for, RunCount is how many these are.
	Runs     []SensorRun `json:"runs"`
	RunCount int         `json:"run_count"`
	// Skip says why it started nothing, Error why it failed.
	Skip  string     `json:"skip,omitempty"`
	Error *TickError `json:"error,omitempty"`
}

// SensorRun is a run that an evaluation has asked for.
type SensorRun struct {
	// RunID is the run's; of a known one that of the earlier run with this key.
	RunID  string `json:"run_id"`
	RunKey string `json:"run_key,omitempty"`
	Job    string `json:"job"`
	// Partition is the one that it is for, when it is for one.
	Partition string `json:"partition,omitempty"`
	// Known says that the sensor had asked for a run with this key before: none was started.
	Known bool `json:"known,omitempty"`
	// Error is why it could not be started.
	Error string `json:"error,omitempty"`
}

// SetCursorInput is the argument of the update "set_cursor" of the workflow Sensor.
type SetCursorInput struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Cursor is any JSON value that the sensor's function can read; leave it out, with "clear", to begin as if it never had one.
	Cursor json.RawMessage `json:"cursor,omitempty"`
	// Clear takes the cursor away.
	Clear bool `json:"clear,omitempty"`
	// By is who sets it, and Why for what reason, for people: at most 200 and 4,000 characters.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

// MaxCursor is how large a cursor may be, in bytes of JSON.
const MaxCursor = 64 << 10

// Check finds everything that is wrong with it besides its JSON.
func (i SetCursorInput) Check() Problems {
	const maxBy, maxWhy = 200, 4000
	var problems Problems
	switch {
	case i.Cursor == nil && !i.Clear:
		problems = append(problems, Problem{Path: "cursor", Code: CodeMissing, Message: "there is no cursor", Fix: `give one, or "clear":true`})
	case i.Cursor != nil && i.Clear:
		problems = append(problems, Problem{Path: "clear", Code: CodeConflict, Message: `"cursor" and "clear" are given`, Fix: "give one of them"})
	case len(i.Cursor) > MaxCursor:
		problems = append(problems, Problem{Path: "cursor", Code: CodeTooLarge, Message: fmt.Sprintf("the cursor has %d bytes, and at most %d are kept", len(i.Cursor), MaxCursor)})
	}
	if len(i.By) > maxBy {
		problems = append(problems, Problem{Path: "by", Code: CodeTooLarge, Message: fmt.Sprintf("has more than %d characters", maxBy)})
	}
	if len(i.Why) > maxWhy {
		problems = append(problems, Problem{Path: "why", Code: CodeTooLarge, Message: fmt.Sprintf("has more than %d characters", maxWhy)})
	}
	return problems
}

// SensorState is the answer to the query "state" of the workflow Sensor.
type SensorState struct {
	Location string        `json:"location"`
	Sensor   string        `json:"sensor"`
	Status   TriggerStatus `json:"status"`
	// Cursor is as the last successful tick left it; absent before the first.
	Cursor json.RawMessage `json:"cursor,omitempty"`
	// Waiting is how many events lie in the inbox that no tick has taken in.
	Waiting int `json:"waiting"`
	// Failures is how many ticks in a row have failed until now, since FailingSince, RFC 3339.
	Failures     int    `json:"failures"`
	FailingSince string `json:"failing_since,omitempty"`
	// NextTick is when it is evaluated next, RFC 3339, unless something wakes it before; absent is only then.
	NextTick string `json:"next_tick,omitempty"`
	// Ticks are the last ones, the newest first.
	Ticks []SensorTick `json:"ticks"`
}
