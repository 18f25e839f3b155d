package step

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/plan"
)

func TestRetryDelayFollowsThePolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy plan.Retries
		random float64
		want   []time.Duration // of the first, second and third retry
	}{
		"none":        {plan.Retries{}, 0.5, []time.Duration{0, 0, 0}},
		"constant":    {plan.Retries{Delay: time.Second}, 0.5, []time.Duration{time.Second, time.Second, time.Second}},
		"linear":      {plan.Retries{Delay: time.Second, Backoff: plan.BackoffLinear}, 0.5, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}},
		"exponential": {plan.Retries{Delay: time.Second, Backoff: plan.BackoffExponential}, 0.5, []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}},
		"full jitter": {
			plan.Retries{Delay: time.Second, Backoff: plan.BackoffLinear, Jitter: plan.JitterFull},
			0.25,
			[]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond},
		},
		"plus minus adds a part of the base, not of the delay": {
			plan.Retries{Delay: time.Second, Backoff: plan.BackoffLinear, Jitter: plan.JitterPlusMinus},
			0.75,
			[]time.Duration{1500 * time.Millisecond, 2500 * time.Millisecond, 3500 * time.Millisecond},
		},
		"never negative": {plan.Retries{Delay: time.Second, Jitter: plan.JitterPlusMinus}, 0, []time.Duration{0, 0, 0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, want := range test.want {
				require.Equal(t, want, retryDelay(test.policy, i+1, func() float64 { return test.random }), "retry %d", i+1)
			}
		})
	}
}

func TestRetryDelayDoesNotOverflow(t *testing.T) {
	t.Parallel()
	policy := plan.Retries{Delay: time.Hour, Backoff: plan.BackoffExponential}
	require.Equal(t, maxDelay, retryDelay(policy, 500, func() float64 { return 0 }))
}
