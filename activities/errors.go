package activities

import (
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// Why a step's context ended.
var (
	errCanceled = errors.New("it was cancelled")
	errPaused   = errors.New("its activity was paused")
	errReset    = errors.New("its activity was reset")
	errGone     = errors.New("its run was terminated or reset, or the attempt timed out: Temporal no longer knows it")
	// ErrDraining is the cause that a worker ends its activities' context with when it stops.
	ErrDraining = errors.New("its worker is stopping")
)

const (
	// handBackDelay is how soon a step that a worker handed back is offered again.
	handBackDelay = 2 * time.Second
	// writerDelay is how soon a step that waits for another's writes asks again.
	writerDelay = time.Second
	// soon is for a step that may go on at once elsewhere; shorter back-offs take a second anyway.
	soon = time.Millisecond
)

// stepFailure turns what a step's attempt ended with into what Temporal does next. Every case is
// decided here and nowhere else.
func stepFailure(err error) error {
	var (
		failed      *step.FailedError
		lost        *step.LostError
		waiting     *step.WaitingError
		superseded  *step.SupersededError
		unknown     *step.UnknownStepError
		otherShape  *step.OtherShapeError
		interrupted *step.InterruptedError
	)
	switch {
	case errors.As(err, &failed) && failed.Final:
		return recorded(failed.Cause.Error(), failed.Stack)
	case errors.As(err, &failed):
		return retryable(failed.Error(), wire.FailureOfUser, failed.Delay)
	case errors.As(err, &lost):
		return recorded(lost.Error(), "")
	case errors.As(err, &waiting):
		return retryable(waiting.Error(), wire.FailureWaitingForWriter, writerDelay)
	case errors.As(err, &otherShape):
		return retryable(otherShape.Error(), wire.FailureNotOnThisBuild, handBackDelay)
	case errors.As(err, &superseded):
		return temporal.NewNonRetryableApplicationError(superseded.Error(), wire.FailureSuperseded, nil)
	case errors.As(err, &unknown):
		return temporal.NewNonRetryableApplicationError(unknown.Error(), wire.FailureInvalidRequest, nil,
			wire.Refusal{Problems: wire.Problems{{Path: "step", Code: wire.CodeUnknown, Message: unknown.Error()}}})
	case errors.As(err, &interrupted):
		return interruption(interrupted)
	case errors.Is(err, step.ErrUnavailable):
		return temporal.NewApplicationErrorWithOptions(err.Error(), wire.FailureStoreUnavailable, temporal.ApplicationErrorOptions{})
	default:
		// What nobody foresaw is tried again, by the policy for lost workers, and is visible meanwhile.
		return err
	}
}

func interruption(interrupted *step.InterruptedError) error {
	switch {
	case errors.Is(interrupted.Cause, errCanceled), temporal.IsCanceledError(interrupted.Cause):
		return temporal.NewCanceledError()
	case errors.Is(interrupted.Cause, errPaused), errors.Is(interrupted.Cause, errReset), errors.Is(interrupted.Cause, errGone):
		return retryable(interrupted.Error(), wire.FailureSuperseded, soon)
	default:
		return retryable(interrupted.Error(), wire.FailureDraining, soon)
	}
}

// recorded ends a step whose failure is in Postgres.
func recorded(message, stack string) error {
	message = storable(message)
	options := temporal.ApplicationErrorOptions{NonRetryable: true}
	if stack != "" {
		options.Details = []any{wire.ErrorInfo{Message: message, Stack: storable(stack)}}
	}
	return temporal.NewApplicationErrorWithOptions(message, wire.FailureStepFailed, options)
}

// maxText bounds a message or a stack, in bytes: 20 of them are in a run's result, of which Temporal takes 2 MB, and 500
// steps that fail at once must not fill what a history may still grow when it is told to end.
const maxText = 8 << 10

// storable is a user's text, which may be of any length and hold any bytes, as Temporal takes it. An answer that it does
// not take would be lost, and the attempt with it.
func storable(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func retryable(message, kind string, delay time.Duration) error {
	return temporal.NewApplicationErrorWithOptions(storable(message), kind, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(delay, soon),
	})
}
