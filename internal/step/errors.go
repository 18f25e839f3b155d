package step

import (
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// FailedError is a failure of the user's side that is recorded. When not Final it is to be retried after Delay.
type FailedError struct {
	Step    string
	Attempt int
	Final   bool
	Delay   time.Duration
	// Cause is what went wrong; Stack the stack of a panic; Metadata what the errors carry.
	Cause    error
	Stack    string
	Metadata []wire.Metadatum
}

func (e *FailedError) Error() string {
	if e.Final {
		return fmt.Sprintf("%s failed (attempt %d): %v", e.Step, e.Attempt, e.Cause)
	}
	return fmt.Sprintf("%s failed (attempt %d), retry in %s: %v", e.Step, e.Attempt, e.Delay.Round(time.Millisecond), e.Cause)
}

func (e *FailedError) Unwrap() error { return e.Cause }

// WaitingError means that another live step writes one of the step's asset partitions.
type WaitingError struct {
	Step   string
	Holder wire.Holder
}

func (e *WaitingError) Error() string {
	what := e.Holder.Asset
	if e.Holder.Partition != "" {
		what = fmt.Sprintf("%s [%s]", what, e.Holder.Partition)
	}
	return fmt.Sprintf("%s waits for %s of run %s, which writes %s on %s since %s",
		e.Step, e.Holder.Step, e.Holder.Run, what, e.Holder.Worker, e.Holder.Since.UTC().Format(time.RFC3339))
}

// SupersededError ends an attempt that no longer holds its step; what it computed was not recorded.
type SupersededError struct {
	Step string
	// When says at what point it was noticed.
	When string
}

func (e *SupersededError) Error() string {
	return fmt.Sprintf("%s was taken over or closed (noticed %s): nothing of this attempt is recorded", e.Step, e.When)
}

// OtherShapeError hands a step back: this build has its definition in another shape than the plan.
type OtherShapeError struct{ Step, Type, Shape string }

func (e *OtherShapeError) Error() string {
	return fmt.Sprintf("%s was planned by a build in which %q has other inputs or outputs than here (shape %s)", e.Step, e.Type, e.Shape)
}

// UnknownStepError means that no run in this ledger has the step.
type UnknownStepError struct{ Run, Step string }

func (e *UnknownStepError) Error() string {
	return fmt.Sprintf("run %q has no step %q in this instance's Postgres: does the worker use the instance's postgres.dsn and schema?", e.Run, e.Step)
}

// LostError ends a step under which too many workers died.
type LostError struct {
	Step    string
	Workers []string
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s: %d workers died or froze while computing it (%s): likely it needs more memory than they have, or crashes the process; give it a Queue of larger workers, then run it again",
		e.Step, len(e.Workers), strings.Join(e.Workers, ", "))
}

// InterruptedError ends an attempt whose context ended: cancelled, or the worker drains.
type InterruptedError struct {
	Step  string
	Cause error
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("%s was interrupted: %v", e.Step, e.Cause)
}
func (e *InterruptedError) Unwrap() error { return e.Cause }

// errNoAnswer ends one try of a call that the ledger does not answer.
var errNoAnswer = fmt.Errorf("no answer: %w", ErrUnavailable)

// panicError is a panic of the user's function as an error.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }
