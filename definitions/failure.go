package definitions

import (
	"errors"
	"time"

	"github.com/perdure-io/perdure/internal/step"
)

// A function may return one of these around its error, and wrap them further with %w: errors.Is and errors.As find what
// is inside, and Perdure finds them. Of RetryAfter and NoRetry the outermost decides, and both before [Retries].

// RetryAfter asks for another attempt after a time: when a service says how long to wait, for example. That time takes the
// place of the delay of the step's [Retries] for this once; how often a step is tried again stays with its Retries. A
// step without Retries is tried again once. See [AtMost]. It is nil for a nil error; a negative delay is 0.
func RetryAfter(err error, delay time.Duration, opts ...RetryAfterOption) error {
	if err == nil {
		return nil
	}
	asked := &step.RetryError{Cause: err, Delay: max(delay, 0)}
	for _, o := range opts {
		o.applyRetryAfter(asked)
	}
	return asked
}

// RetryAfterOption is an option of [RetryAfter].
type RetryAfterOption interface{ applyRetryAfter(*step.RetryError) }

// AtMost is how often this failure is tried again, in place of the Max of the step's [Retries]: at least 1. All failures of
// the step so far count.
type AtMost int

func (v AtMost) applyRetryAfter(asked *step.RetryError) { asked.Max = max(int(v), 1) }

// NoRetry forbids another attempt: the step fails at once, whatever its [Retries] are. For an error that stays the same
// however often it is tried, such as input that is wrong. It is nil for a nil error.
func NoRetry(err error) error {
	if err == nil {
		return nil
	}
	return &step.FinalError{Cause: err}
}

// WithMetadata gives an error facts that are recorded with the failure and shown beside its message. Of two under one
// label the outer error's holds. It is nil for a nil error. Metadata that is invalid is left out, and the message says so.
func WithMetadata(err error, metadata ...Metadatum) error {
	if err == nil {
		return nil
	}
	described := &step.DescribedError{Cause: err}
	var invalid []error
	for _, m := range metadata {
		lowered, _, problem := lowerMetadata([]Metadatum{m})
		if problem != nil {
			invalid = append(invalid, problem)
			continue
		}
		described.Metadata = append(described.Metadata, lowered...)
	}
	if len(invalid) > 0 {
		described.Cause = errors.Join(append([]error{err}, invalid...)...)
	}
	return described
}
