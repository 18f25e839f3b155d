package workflows

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// mayEvaluate says whether the sensor is to be evaluated now.
func (s *sensor) mayEvaluate(ctx workflow.Context, now time.Time) bool {
	switch {
	case s.evaluating != nil || s.gone != "":
		return false
	case len(s.orders) > 0:
		return true
	case s.taking != nil || s.continues(ctx):
		return false
	case !s.known:
		return true
	case s.state.Status != wire.TriggerRunning:
		// It may run by now.
		return s.woken
	}
	return s.wanted(now) && !now.Before(s.soonest())
}

// wanted says that something has happened, or that the time has come.
func (s *sensor) wanted(now time.Time) bool {
	return s.woken || len(s.events) > 0 || s.more || s.passed(now)
}

// passed says that the sensor's interval has.
func (s *sensor) passed(now time.Time) bool {
	return s.every > 0 && s.state.Status == wire.TriggerRunning && !now.Before(s.evaluated.Add(s.every))
}

// soonest is when the sensor may be evaluated again.
func (s *sensor) soonest() time.Time {
	wait := s.minInterval
	switch {
	case s.evaluated.IsZero():
		return s.evaluated
	case s.state.Failures > 0:
		wait = max(wait, backoff(max(firstBackoff, s.minInterval), s.state.Failures))
	case s.full:
		wait = 0
	}
	return s.evaluated.Add(wait)
}

// backoff is how long a sensor waits after so many failures in a row.
func backoff(first time.Duration, failures int) time.Duration {
	wait := first
	for ; failures > 1 && wait < mostBackoff; failures-- {
		wait *= 2
	}
	return max(first, min(wait, mostBackoff))
}

// mayTake says whether what was signalled is to be written without an evaluation: there can be none now, or one is busy.
func (s *sensor) mayTake(ctx workflow.Context, now time.Time) bool {
	if s.taking != nil || len(s.events) == 0 || !s.known {
		return false
	}
	if s.evaluating != nil {
		beyond := s.written + len(s.events) - s.evaluating.upTo
		return beyond >= busyEvents || beyond > 0 && !now.Before(s.evaluating.began.Add(busyFor))
	}
	if s.continues(ctx) {
		return s.bytes() > eventBatchBytes || len(s.events) > eventBatch
	}
	return true
}

// due is when the next thing is due that nothing else wakes the workflow for, and what that is. tick is when the sensor is evaluated
// next; zero is when something wakes it.
func (s *sensor) due(ctx workflow.Context, now time.Time) (at time.Time, what string, tick time.Time) {
	at, what = workflow.GetInfo(ctx).WorkflowStartTime.Add(sensorMaxAge), "continue as new"
	sooner := func(when time.Time, why string) {
		if when.Before(at) && when.After(now) {
			at, what = when, why
		}
	}
	if s.evaluating != nil {
		if s.written+len(s.events) > s.evaluating.upTo && s.taking == nil {
			sooner(s.evaluating.began.Add(busyFor), "write events")
		}
		return at, what, tick
	}
	if !s.known || s.state.Status != wire.TriggerRunning || s.gone != "" {
		return at, what, tick
	}
	if s.every > 0 {
		tick = later(s.evaluated.Add(s.every), s.soonest())
	}
	if s.wanted(now) {
		tick = s.soonest()
	}
	if !tick.IsZero() {
		sooner(tick, "next tick")
	}
	return at, what, tick
}

// setTimer sets the timer to when the next thing is due.
func (s *sensor) setTimer(ctx workflow.Context, now time.Time) {
	if s.timer != nil && s.timer.IsReady() {
		s.timer = nil
	}
	at, what, tick := s.due(ctx, now)
	if s.state.NextTick = ""; !tick.IsZero() {
		s.state.NextTick = later(tick, now).UTC().Format(time.RFC3339)
	}
	if !at.After(now) || s.timer != nil && s.timerAt.Equal(at) {
		return
	}
	if s.timer != nil {
		s.stop()
	}
	var timerCtx workflow.Context
	timerCtx, s.stop = workflow.WithCancel(ctx)
	s.timer, s.timerAt = workflow.NewTimerWithOptions(timerCtx, at.Sub(now), workflow.TimerOptions{Summary: what}), at
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// continues says that it is time to continue as new.
func (s *sensor) continues(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetCurrentHistoryLength() >= cmp.Or(s.continueAfter, continueSensorAfter) || info.GetContinueAsNewSuggested() ||
		s.signals >= continueSignals || !workflow.Now(ctx).Before(info.WorkflowStartTime.Add(sensorMaxAge))
}

// mayContinue says that it can be done now: nothing is lost by it.
func (s *sensor) mayContinue(ctx workflow.Context) bool {
	if !s.known || s.gone != "" || s.taking != nil || !s.continues(ctx) || s.bytes() > eventBatchBytes || len(s.events) > eventBatch {
		return false
	}
	if s.evaluating != nil {
		// Too many signals have come: the evaluation is made anew.
		return s.answered == s.asked && s.signals >= forceSignals
	}
	return s.isLeft(ctx)
}
