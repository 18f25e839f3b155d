package step

import (
	"math"
	"time"

	"github.com/perdure-io/perdure/plan"
)

// maxDelay keeps an exponential backoff from overflowing, and is longer than anyone waits.
const maxDelay = 30 * 24 * time.Hour

// retryDelay is how long to wait before retry n, counted from 1, by the rules of Dagster's retry
// policies: linear is n times the delay, exponential 2^n - 1 times. random is from [0, 1).
func retryDelay(policy plan.Retries, n int, random func() float64) time.Duration {
	base := float64(policy.Delay)
	delay := base
	switch policy.Backoff {
	case plan.BackoffLinear:
		delay = base * float64(n)
	case plan.BackoffExponential:
		delay = base * (math.Pow(2, float64(n)) - 1)
	}
	switch policy.Jitter {
	case plan.JitterFull:
		delay *= random()
	case plan.JitterPlusMinus:
		delay += (2*random() - 1) * base
	}
	return time.Duration(max(0, min(delay, float64(maxDelay))))
}
