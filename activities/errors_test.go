package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

func TestEveryEndOfAnAttemptIsMappedOnce(t *testing.T) {
	t.Parallel()
	why := errors.New("no such column")
	since := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		err     error
		kind    string
		final   bool
		delay   time.Duration
		message string
	}{
		"the last failure": {
			err: &step.FailedError{Step: "a", Attempt: 3, Final: true, Cause: why}, kind: wire.FailureStepFailed, final: true,
			message: "no such column",
		},
		"a failure with retries left": {
			err: &step.FailedError{Step: "a", Attempt: 1, Delay: 7 * time.Second, Cause: why}, kind: wire.FailureOfUser, delay: 7 * time.Second,
			message: "a failed (attempt 1), retry in 7s: no such column",
		},
		"a failure to be retried at once": {
			err: &step.FailedError{Step: "a", Attempt: 1, Cause: why}, kind: wire.FailureOfUser, delay: time.Millisecond,
			message: "a failed (attempt 1), retry in 0s: no such column",
		},
		"too many lost workers": {
			err: &step.LostError{Step: "a", Workers: []string{"1@h", "2@h"}}, kind: wire.FailureStepFailed, final: true,
			message: "a: 2 workers died or froze while computing it (1@h, 2@h): likely it needs more memory than they have, or crashes the process; " +
				"give it a Queue of larger workers, then run it again",
		},
		"another writer": {
			err:  &step.WaitingError{Step: "a", Holder: wire.Holder{Run: "r0", Step: "b", Asset: "x", Worker: "1@h", Since: since}},
			kind: wire.FailureWaitingForWriter, delay: time.Second,
			message: "a waits for b of run r0, which writes x on 1@h since 2026-11-22T08:00:00Z",
		},
		"another shape": {
			err: &step.OtherShapeError{Step: "a", Type: "a", Shape: "s1"}, kind: wire.FailureNotOnThisBuild, delay: 2 * time.Second,
			message: `a was planned by a build in which "a" has other inputs or outputs than here (shape s1)`,
		},
		"superseded": {
			err: &step.SupersededError{Step: "a", When: "at its commit"}, kind: wire.FailureSuperseded, final: true,
			message: "a was taken over or closed (noticed at its commit): nothing of this attempt is recorded",
		},
		"an unknown step": {
			err: &step.UnknownStepError{Run: "r1", Step: "a"}, kind: wire.FailureInvalidRequest, final: true,
			message: `run "r1" has no step "a" in this instance's Postgres: does the worker use the instance's postgres.dsn and schema?`,
		},
		"paused": {
			err: &step.InterruptedError{Step: "a", Cause: errPaused}, kind: wire.FailureSuperseded, delay: time.Millisecond,
			message: "a was interrupted: its activity was paused",
		},
		"reset": {
			err: &step.InterruptedError{Step: "a", Cause: errReset}, kind: wire.FailureSuperseded, delay: time.Millisecond,
			message: "a was interrupted: its activity was reset",
		},
		"gone": {
			err: &step.InterruptedError{Step: "a", Cause: errGone}, kind: wire.FailureSuperseded, delay: time.Millisecond,
			message: "a was interrupted: " + errGone.Error(),
		},
		"draining": {
			err: &step.InterruptedError{Step: "a", Cause: ErrDraining}, kind: wire.FailureDraining, delay: time.Millisecond,
			message: "a was interrupted: its worker is stopping",
		},
		"a context that ends for another reason": {
			err: &step.InterruptedError{Step: "a", Cause: context.Canceled}, kind: wire.FailureDraining, delay: time.Millisecond,
			message: "a was interrupted: context canceled",
		},
		"no Postgres": {
			err: fmt.Errorf("commit a: %w: connection refused", step.ErrUnavailable), kind: wire.FailureStoreUnavailable,
			message: "commit a: " + step.ErrUnavailable.Error() + ": connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{test.err, fmt.Errorf("around it: %w", test.err)} {
				var mapped *temporal.ApplicationError
				require.ErrorAs(t, stepFailure(err), &mapped)
				require.Equal(t, test.kind, mapped.Type())
				require.Equal(t, test.final, mapped.NonRetryable())
				require.Equal(t, test.delay, mapped.NextRetryDelay())
				require.Contains(t, mapped.Message(), test.message)
			}
		})
	}
}

func TestACancelledAttemptEndsAsCancelled(t *testing.T) {
	t.Parallel()
	err := stepFailure(&step.InterruptedError{Step: "a", Cause: fmt.Errorf("told by Temporal: %w", errCanceled)})
	require.True(t, temporal.IsCanceledError(err))
	var application *temporal.ApplicationError
	require.NotErrorAs(t, err, &application)
}

func TestAPanicBringsItsStack(t *testing.T) {
	t.Parallel()
	var mapped *temporal.ApplicationError
	err := stepFailure(&step.FailedError{Step: "a", Final: true, Cause: errors.New("panic: index out of range"), Stack: "goroutine 1"})
	require.ErrorAs(t, err, &mapped)
	var info wire.ErrorInfo
	require.NoError(t, mapped.Details(&info))
	require.Equal(t, wire.ErrorInfo{Message: "panic: index out of range", Stack: "goroutine 1"}, info)
}

func TestAnUnknownStepIsARefusal(t *testing.T) {
	t.Parallel()
	var mapped *temporal.ApplicationError
	require.ErrorAs(t, stepFailure(&step.UnknownStepError{Run: "r1", Step: "a"}), &mapped)
	var refused wire.Refusal
	require.NoError(t, mapped.Details(&refused))
	require.Len(t, refused.Problems, 1)
	require.Equal(t, wire.CodeUnknown, refused.Problems[0].Code)
	require.Equal(t, "step", refused.Problems[0].Path)
}

func TestATextOfAnyLengthAndAnyBytesIsTold(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é\x00\xff", 1<<20)
	for _, err := range []error{
		&step.FailedError{Step: "a", Final: true, Cause: errors.New(text), Stack: text},
		&step.FailedError{Step: "a", Cause: errors.New(text)},
	} {
		var mapped *temporal.ApplicationError
		require.ErrorAs(t, stepFailure(err), &mapped)
		require.LessOrEqual(t, len(mapped.Message()), 2*maxText)
		require.Contains(t, mapped.Message(), "é")
		require.True(t, utf8.ValidString(mapped.Message()))
	}
}

// What nobody foresaw stays as it is: Temporal tries again, and shows it meanwhile.
func TestAnUnforeseenErrorIsRetryable(t *testing.T) {
	t.Parallel()
	err := errors.New("what is this")
	require.Same(t, err, stepFailure(err))
	require.Same(t, err, planFailure(err))
}

func TestAStepIsGivenBackWithItsReason(t *testing.T) {
	t.Parallel()
	for code, causes := range map[string][]error{
		wire.FailureDraining:         {ErrDraining, context.Canceled},
		wire.FailureSuperseded:       {errCanceled, errPaused, errReset, errGone, temporal.NewCanceledError()},
		wire.FailureStoreUnavailable: {fmt.Errorf("load flights: %w", step.ErrUnavailable), errors.New("no route to host")},
	} {
		for _, cause := range causes {
			require.Equal(t, code, releaseCode(cause), cause)
		}
	}
}
