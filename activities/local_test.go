package activities

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// What a local activity can do itself it does: the user's retries and what is recorded. All else goes on as an activity.
func TestWhatALocalStepHandsOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		kind string
	}{
		"a failure that is tried again": {&step.FailedError{Delay: time.Second, Cause: errors.New("bad")}, wire.FailureOfUser},
		"a failure":                     {&step.FailedError{Final: true, Cause: errors.New("bad")}, wire.FailureStepFailed},
		"lost workers":                  {&step.LostError{}, wire.FailureStepFailed},
		"unknown in Postgres":           {&step.UnknownStepError{}, wire.FailureInvalidRequest},
		"another writer":                {&step.WaitingError{}, wire.FailureHandedOver},
		"another shape":                 {&step.OtherShapeError{}, wire.FailureHandedOver},
		"taken over":                    {&step.SupersededError{}, wire.FailureHandedOver},
		"an outage":                     {step.ErrUnavailable, wire.FailureHandedOver},
		"a drain":                       {&step.InterruptedError{Cause: ErrDraining}, wire.FailureHandedOver},
		"what nobody foresaw":           {errors.New("odd"), wire.FailureHandedOver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failed *temporal.ApplicationError
			require.ErrorAs(t, localFailure(test.err), &failed)
			require.Equal(t, test.kind, failed.Type())
			require.Equal(t, test.kind != wire.FailureOfUser, failed.NonRetryable())
		})
	}
	require.True(t, temporal.IsCanceledError(localFailure(&step.InterruptedError{Cause: errCanceled})))
}
