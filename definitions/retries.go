package definitions

import (
	"time"

	"github.com/perdure-io/perdure/plan"
)

// Retries says how often a failure of the user's function is tried again. The zero value: not at all. A worker that
// dies is no such failure; its step is always taken up again. On a job it is for the assets that have none of their
// own.
type Retries struct {
	// Max is how many times a failure is tried again: 3 means at most four attempts.
	Max int
	// Delay is the time before the first retry; 0 retries at once.
	Delay time.Duration
	// Backoff is how the delay grows; the zero value is [Constant]. It needs a Delay.
	Backoff Backoff
	// Jitter spreads the delay; the zero value is [NoJitter]. It needs a Delay.
	Jitter Jitter
}

// Backoff is how the delay grows from retry to retry.
type Backoff string

// The backoffs.
const (
	Constant    Backoff = ""                               // always the delay
	Linear      Backoff = Backoff(plan.BackoffLinear)      // before retry n, n times the delay
	Exponential Backoff = Backoff(plan.BackoffExponential) // before retry n, 2^n - 1 times the delay: 1, 3, 7 …
)

// Jitter spreads delays, so that steps which failed together do not come back together.
type Jitter string

// The jitters.
const (
	NoJitter        Jitter = ""                           // exactly the delay
	FullJitter      Jitter = Jitter(plan.JitterFull)      // a random part of the delay
	PlusMinusJitter Jitter = Jitter(plan.JitterPlusMinus) // the delay, more or less by up to the base delay
)

// lower is nil when nothing is retried.
func (v *Retries) lower() *plan.Retries {
	if v == nil || v.Max == 0 {
		return nil
	}
	return &plan.Retries{Max: v.Max, Delay: v.Delay, Backoff: plan.Backoff(v.Backoff), Jitter: plan.Jitter(v.Jitter)}
}

func (v *Retries) faults() []fault {
	if v == nil {
		return nil
	}
	var faults []fault
	add := func(message, fix string) { faults = append(faults, fault{"retries", message, fix}) }
	if v.Max < 0 {
		add("Max is negative", "set how often a failure is tried again, 0 for never")
	}
	if v.Max == 0 && *v != (Retries{}) {
		add("Max is 0, so nothing is ever tried again", "set Max, or leave Retries out")
	}
	if v.Delay < 0 {
		add("Delay is negative", "set the time before a retry")
	}
	if v.Delay == 0 && v.Backoff != Constant {
		add("Backoff is "+string(v.Backoff)+" without a Delay", "set the Delay that grows")
	}
	if v.Delay == 0 && v.Jitter != NoJitter {
		add("Jitter is "+string(v.Jitter)+" without a Delay", "set the Delay that is spread")
	}
	switch v.Backoff {
	case Constant, Linear, Exponential:
	default:
		add("there is no backoff "+string(v.Backoff), "use Constant, Linear or Exponential")
	}
	switch v.Jitter {
	case NoJitter, FullJitter, PlusMinusJitter:
	default:
		add("there is no jitter "+string(v.Jitter), "use NoJitter, FullJitter or PlusMinusJitter")
	}
	return faults
}
