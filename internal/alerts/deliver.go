package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/metadata"
)

const (
	// atOnce is how many alerts a sink is told of in one go.
	atOnce = 20
	// An alert that was not taken is tried again after firstRetry, then after twice that, up to mostRetry, for giveUpAfter. The sink
	// itself is tried with anything after at most mostSinkRetry.
	firstRetry    = 5 * time.Second
	mostRetry     = time.Hour
	mostSinkRetry = 5 * time.Minute
	giveUpAfter   = 24 * time.Hour
	// recordFor is how long the record of an attempt is tried: without it an alert that has arrived is sent again.
	recordFor = time.Minute
)

// deliver tells a sink what is due. The first failure ends it: the sink is given a rest.
func (a *Alerter) deliver(ctx context.Context, s *sink) error {
	due, err := a.Store.DueDeliveries(ctx, s.Name, atOnce)
	if err != nil {
		return err
	}
	for _, one := range due {
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		ok, err := a.attempt(context.WithoutCancel(ctx), s, one)
		if err != nil || !ok {
			return err
		}
	}
	return nil
}

// attempt tells a sink of an alert, and records how that went.
func (a *Alerter) attempt(ctx context.Context, s *sink, due metadata.DueDelivery) (ok bool, err error) {
	var alert Alert
	failure := json.Unmarshal(due.Body, &alert)
	if failure == nil {
		bounded, cancel := context.WithTimeout(ctx, sendTimeout)
		failure = s.tell(bounded, alert)
		cancel()
	}
	attempt := metadata.DeliveryAttempt{Sink: due.Sink, AlertID: due.AlertID}
	if failure != nil {
		attempt.Error = failure.Error()
		attempt.RetryIn = backoff(due.Attempts, mostRetry)
		attempt.SinkRetryIn = backoff(due.Attempts, mostSinkRetry)
		attempt.Final = due.ReadAt.Sub(due.CreatedAt) >= giveUpAfter
	}
	state, err := a.record(ctx, attempt)
	if err != nil {
		return false, err
	}
	if failure != nil {
		a.Log.Warn("a sink cannot be told of an alert", "sink", s.Name, "alert", due.Key, "error", attempt.Error, "given_up", attempt.Final,
			"failures", state.Failures)
	}
	return failure == nil, nil
}

// record records an attempt, for as long as that takes within reason.
func (a *Alerter) record(ctx context.Context, attempt metadata.DeliveryAttempt) (metadata.AlertSink, error) {
	ctx, cancel := context.WithTimeout(ctx, recordFor)
	defer cancel()
	for {
		state, err := a.Store.NoteDelivery(ctx, attempt)
		if err == nil {
			return state, nil
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return metadata.AlertSink{}, fmt.Errorf("an attempt at alert %d is not recorded, it may be sent again: %w", attempt.AlertID, err)
		}
	}
}

func backoff(attempts int, most time.Duration) time.Duration {
	delay := firstRetry
	for range attempts {
		if delay *= 2; delay >= most {
			return most
		}
	}
	return delay
}
