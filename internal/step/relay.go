package step

import (
	"errors"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Relay hears what a function tells while it runs, where the runner is in another process.
type Relay interface {
	Event(wire.StepEvent)
	Progress(done, total int)
}

// RelayTo has a relay hear what the attempt's function tells, in place of a runner.
func (a *Attempt) RelayTo(relay Relay) { a.relay = relay }

// Reported is what was reported for every output so far, and the data version; "" when none was.
func (a *Attempt) Reported() (metadata []wire.Metadatum, dataVersion string) {
	return a.reported, a.dataVersion
}

// ErrorData is an error of the user's side on its way between two processes.
type ErrorData struct {
	Message  string           `json:"message"`
	Stack    string           `json:"stack,omitempty"`
	Metadata []wire.Metadatum `json:"metadata,omitempty"`
	// Unavailable and NotResumable are sentinels of this package that it wraps.
	Unavailable  bool `json:"unavailable,omitempty"`
	NotResumable bool `json:"not_resumable,omitempty"`
	// Final, or Retry with its delay and number, is what the outermost error asks for.
	Final bool          `json:"final,omitempty"`
	Retry bool          `json:"retry,omitempty"`
	Delay time.Duration `json:"delay,omitempty"`
	Max   int           `json:"max,omitempty"`
}

// DataOf is what another process is to know of an error; nil for nil.
func DataOf(err error) *ErrorData {
	if err == nil {
		return nil
	}
	data := &ErrorData{
		Message: err.Error(), Stack: stackOf(err), Metadata: metadataOf(err),
		Unavailable: errors.Is(err, ErrUnavailable), NotResumable: errors.Is(err, ErrNotResumable),
	}
	switch asked := askedFor(err).(type) { //nolint:errorlint // askedFor answers one of the two, unwrapped
	case *FinalError:
		data.Final = true
	case *RetryError:
		data.Retry, data.Delay, data.Max = true, asked.Delay, asked.Max
	}
	return data
}

// Err is the error again, as far as a runner tells errors apart; nil for nil.
func (d *ErrorData) Err() error {
	if d == nil {
		return nil
	}
	crossed := &crossedError{message: d.Message}
	if d.Unavailable {
		crossed.wraps = append(crossed.wraps, ErrUnavailable)
	}
	if d.NotResumable {
		crossed.wraps = append(crossed.wraps, ErrNotResumable)
	}
	var err error = crossed
	if d.Stack != "" {
		err = &StackError{Cause: err, Stack: d.Stack}
	}
	if len(d.Metadata) > 0 {
		err = &DescribedError{Cause: err, Metadata: d.Metadata}
	}
	switch {
	case d.Final:
		err = &FinalError{Cause: err}
	case d.Retry:
		err = &RetryError{Cause: err, Delay: d.Delay, Max: d.Max}
	}
	return err
}

// crossedError has the message of an error of another process.
type crossedError struct {
	message string
	wraps   []error
}

func (e *crossedError) Error() string   { return e.message }
func (e *crossedError) Unwrap() []error { return e.wraps }
