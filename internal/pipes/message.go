package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Version is the version of the protocol that this package speaks.
const Version = "0.1"

// Method says what a message is about.
type Method string

// The methods of the protocol.
const (
	MethodOpened          Method = "opened"
	MethodClosed          Method = "closed"
	MethodLog             Method = "log"
	MethodMaterialization Method = "report_asset_materialization"
	MethodCheck           Method = "report_asset_check"
	MethodCustom          Method = "report_custom_message"
	MethodStream          Method = "log_external_stream"
)

var methods = []Method{MethodOpened, MethodClosed, MethodLog, MethodMaterialization, MethodCheck, MethodCustom, MethodStream}

// Message is one message. The field of its method is set; opened has none.
type Message struct {
	Method Method
	// Closed is nil when the program ended without an exception.
	Closed          *Exception
	Log             *Log
	Materialization *Materialization
	Check           *Check
	Custom          json.RawMessage
	Stream          *Stream
}

// Exception is why a program ended early.
type Exception struct {
	Message string   `json:"message"`
	Stack   []string `json:"stack"`
	Name    string   `json:"name"`
	// Cause led to it explicitly; Context was being handled when it was raised.
	Cause   *Exception `json:"cause"`
	Context *Exception `json:"context"`
}

// Log is a line of the step's log.
type Log struct {
	Message string `json:"message"`
	// Level is a name of Python's logging: DEBUG, INFO, WARNING, ERROR, CRITICAL, or one of the program's own.
	Level string `json:"level"`
}

// Materialization says that an asset was made.
type Materialization struct {
	// AssetKey is "" for the one asset of the step.
	AssetKey    string   `json:"asset_key"`
	DataVersion string   `json:"data_version"`
	Metadata    Metadata `json:"metadata"`
}

// Check is the evaluation of an asset check.
type Check struct {
	AssetKey  string   `json:"asset_key"`
	CheckName string   `json:"check_name"`
	Passed    *bool    `json:"passed"`
	Severity  string   `json:"severity"` // WARN or ERROR
	Metadata  Metadata `json:"metadata"`
}

// Stream is text for one of the step's streams.
type Stream struct {
	Stream string `json:"stream"`
	Text   string `json:"text"`
}

// MessageError says which message is wrong.
type MessageError struct {
	// Line counts the program's messages, from 1.
	Line int
	Err  error
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("Pipes message on line %d: %v", e.Line, e.Err)
}
func (e *MessageError) Unwrap() error { return e.Err }

// shownBytes is how much of a wrong message is shown.
const shownBytes = 120

// decode reads one line. Members of params that it does not know are left to later versions of the package.
func decode(line []byte) (*Message, error) {
	var envelope struct {
		Version *string         `json:"__dagster_pipes_version"`
		Method  Method          `json:"method"`
		Params  json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(line, &envelope); err != nil {
		return nil, notJSON(line, err)
	}
	switch {
	case envelope.Version == nil:
		return nil, fmt.Errorf(`it has no "__dagster_pipes_version", so it is none of the protocol: %s`, shown(line))
	case *envelope.Version != Version:
		return nil, fmt.Errorf("it is of version %q of the protocol, and this worker speaks %s: install a version of the dagster-pipes package that does", *envelope.Version, Version)
	case !slices.Contains(methods, envelope.Method):
		return nil, fmt.Errorf("it has method %q, which version %s of the protocol has not", envelope.Method, Version)
	}
	params := envelope.Params
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	m := &Message{Method: envelope.Method}
	if err := m.read(params); err != nil {
		return nil, fmt.Errorf("%s: %w", envelope.Method, err)
	}
	return m, nil
}

func (m *Message) read(params json.RawMessage) error {
	switch m.Method {
	case MethodClosed:
		var closed struct {
			Exception *Exception `json:"exception"`
		}
		err := json.Unmarshal(params, &closed)
		m.Closed = closed.Exception
		return err
	case MethodLog:
		m.Log = &Log{}
		return json.Unmarshal(params, m.Log)
	case MethodMaterialization:
		m.Materialization = &Materialization{}
		return json.Unmarshal(params, m.Materialization)
	case MethodCheck:
		m.Check = &Check{Severity: "ERROR"}
		if err := json.Unmarshal(params, m.Check); err != nil {
			return err
		}
		return m.Check.validate()
	case MethodCustom:
		var custom struct {
			Payload json.RawMessage `json:"payload"`
		}
		err := json.Unmarshal(params, &custom)
		m.Custom = custom.Payload
		return err
	case MethodStream:
		m.Stream = &Stream{}
		return json.Unmarshal(params, m.Stream)
	case MethodOpened: // what it says is about the program itself
	}
	return nil
}

func (c *Check) validate() error {
	var problems []error
	if c.CheckName == "" {
		problems = append(problems, errors.New("check_name is missing"))
	}
	if c.Passed == nil {
		problems = append(problems, errors.New("passed is missing"))
	}
	if c.Severity != "WARN" && c.Severity != "ERROR" {
		problems = append(problems, fmt.Errorf("severity is %q, and may be WARN or ERROR", c.Severity))
	}
	return errors.Join(problems...)
}

func notJSON(line []byte, err error) error {
	for _, constant := range []string{"NaN", "Infinity"} {
		if bytes.Contains(line, []byte(constant)) {
			return fmt.Errorf("it is not JSON (%w): %s, which Python writes for such a number, is not; report it as text, or leave it out: %s", err, constant, shown(line))
		}
	}
	return fmt.Errorf("it is not JSON (%w): %s", err, shown(line))
}

func shown(line []byte) string {
	if len(line) > shownBytes {
		return strings.ToValidUTF8(string(line[:shownBytes]), "") + "…"
	}
	return string(line)
}

// Traceback is the exception as Python prints one.
func (e *Exception) Traceback() string {
	var text strings.Builder
	e.write(&text)
	return text.String()
}

func (e *Exception) write(text *strings.Builder) {
	switch {
	case e.Cause != nil:
		e.Cause.write(text)
		text.WriteString("\nThe above exception was the direct cause of the following exception:\n\n")
	case e.Context != nil:
		e.Context.write(text)
		text.WriteString("\nDuring handling of the above exception, another exception occurred:\n\n")
	}
	if len(e.Stack) > 0 {
		text.WriteString("Traceback (most recent call last):\n")
	}
	for _, frame := range e.Stack {
		text.WriteString(frame)
		if !strings.HasSuffix(frame, "\n") {
			text.WriteString("\n")
		}
	}
	text.WriteString(strings.TrimSpace(e.Message) + "\n")
}
