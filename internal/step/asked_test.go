package step

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestErrorsDecideHowTheyAreTriedAgain(t *testing.T) {
	t.Parallel()
	plain := errors.New("429")
	again := func(limit int) error { return &RetryError{Cause: plain, Delay: time.Hour, Max: limit} }
	final := &FinalError{Cause: plain}
	policy := &plan.Retries{Max: 2, Delay: time.Minute}
	tests := map[string]struct {
		err     error
		policy  *plan.Retries
		attempt int
		final   bool
		delay   time.Duration
	}{
		"plain, no policy":           {plain, nil, 1, true, 0},
		"plain":                      {plain, policy, 1, false, time.Minute},
		"plain, used up":             {plain, policy, 3, true, 0},
		"asked":                      {again(0), policy, 2, false, time.Hour},
		"asked, policy used up":      {again(0), policy, 3, true, 0},
		"asked, no policy: once":     {again(0), nil, 1, false, time.Hour},
		"asked, no policy: not more": {again(0), nil, 2, true, 0},
		"asked with its own maximum": {again(5), policy, 5, false, time.Hour},
		"its own maximum used up":    {again(5), policy, 6, true, 0},
		"its own is smaller":         {again(1), policy, 2, true, 0},
		"forbidden":                  {final, policy, 1, true, 0},
		"the outermost decides":      {fmt.Errorf("x: %w", &FinalError{Cause: again(0)}), policy, 1, true, 0},
		"the outermost asks":         {&RetryError{Cause: final, Delay: time.Second}, policy, 1, false, time.Second},
		"below a join":               {errors.Join(plain, fmt.Errorf("x: %w", again(0))), nil, 1, false, time.Hour},
		"an outage that is final":    {&FinalError{Cause: fmt.Errorf("bucket: %w", ErrUnavailable)}, policy, 1, true, 0},
		"an outage with a time":      {&RetryError{Cause: ErrUnavailable, Delay: time.Second}, policy, 1, false, time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := one()
			b.plan.Retries, b.claim.Attempt = test.policy, test.attempt
			b.compute = func(*Attempt) ([]Output, error) { return nil, test.err }
			_, err := b.run(t.Context())
			failed, ok := errors.AsType[*FailedError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, test.final, failed.Final)
			require.Equal(t, test.delay, failed.Delay)
			require.ErrorIs(t, err, test.err)
			require.Len(t, b.failures, 1)
			require.Equal(t, test.final, b.failures[0].Final)
			require.Equal(t, test.delay, b.failures[0].Delay)
			require.Equal(t, test.err.Error(), b.failures[0].Error.Message)
		})
	}
}

func TestMetadataOfErrorsIsRecorded(t *testing.T) {
	t.Parallel()
	datum := func(label, value string) wire.Metadatum {
		return wire.Metadatum{Label: label, Type: wire.MetadataText, Value: json.RawMessage(`"` + value + `"`)}
	}
	inner := &DescribedError{Cause: errors.New("bad row"), Metadata: []wire.Metadatum{datum("row", "7"), datum("file", "a")}}
	outer := &DescribedError{Cause: fmt.Errorf("load: %w", inner), Metadata: []wire.Metadatum{datum("file", "b")}}
	b := one()
	b.compute = func(*Attempt) ([]Output, error) { return nil, outer }
	_, err := b.run(t.Context())
	failed, ok := errors.AsType[*FailedError](err)
	require.True(t, ok)
	want := []wire.Metadatum{datum("row", "7"), datum("file", "b")}
	require.Equal(t, want, failed.Metadata)
	require.Equal(t, want, b.failures[0].Error.Metadata)
	require.Equal(t, "load: bad row", b.failures[0].Error.Message)
}

func TestStallTimeoutFailsAFunctionThatReportsNoProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.plan.StallTimeout = time.Minute
		b.plan.Retries = &plan.Retries{Max: 1, Delay: time.Second}
		started := time.Now()
		b.compute = func(a *Attempt) ([]Output, error) {
			for i := range 5 {
				<-time.After(50 * time.Second)
				a.Progress(i+1, 10)
			}
			a.Log.Info("this is no progress")
			a.Report(wire.Metadatum{Label: "nor is this"})
			<-a.Done()
			return nil, a.Err()
		}
		_, err := b.run(t.Context())
		require.ErrorContains(t, err, "reported no progress for its stall timeout of 1m0s")
		require.Equal(t, 5*50*time.Second+time.Minute, time.Since(started))
		require.False(t, b.failures[0].Final, "it is retried by policy")
		require.Equal(t, &Progress{Done: 5, Total: 10}, b.beats[len(b.beats)-1].Progress, "the heartbeat shows how far it was")
	})
}

func TestStallTimeoutHoldsForAFunctionThatIgnoresIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.plan.StallTimeout = time.Minute
		forever := make(chan struct{})
		b.compute = func(*Attempt) ([]Output, error) { <-forever; return nil, nil }
		started := time.Now()
		_, err := b.run(t.Context())
		require.ErrorContains(t, err, "stall timeout")
		require.ErrorContains(t, err, "left behind")
		require.Equal(t, time.Minute+abandonAfter, time.Since(started))
		close(forever)
	})
}

func TestProgressKeepsAStepFromStalling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := one()
		b.plan.StallTimeout = time.Minute
		b.compute = func(a *Attempt) ([]Output, error) {
			for i := range 10 {
				<-time.After(59 * time.Second)
				a.Progress(i, 10)
			}
			return []Output{{Asset: "route_delays"}}, nil
		}
		_, err := b.run(t.Context())
		require.NoError(t, err)
	})
}
