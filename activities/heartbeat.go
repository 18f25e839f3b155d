package activities

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/step"
)

const (
	// beatInterval is how often Temporal hears of a step: a cancel reaches it within that time.
	beatInterval = 4 * time.Second
	// beatTimeout bounds one heartbeat.
	beatTimeout = 10 * time.Second
	// concedeAfter is how long Temporal may hear nothing before it is expected to give the step to another worker. It is
	// less than the heartbeat timeout.
	concedeAfter = 10 * time.Second
)

// heartbeat tells Temporal that a step lives. It does not use the SDK's own heartbeat, because that
// cancels the activity when Temporal cannot be reached for a few seconds; a step goes on then, and commits.
type heartbeat struct {
	client   client.Client
	activity context.Context // as the SDK gave it
	token    []byte
	cancel   context.CancelCauseFunc
	log      *slog.Logger
	// concede tells Postgres that another attempt will come although this one lives; otherwise it would count as a worker
	// that died, and a few outages of Temporal would end a long step as one that kills its workers.
	concede func(ctx context.Context, reason string) error

	lastSent, lastHeard time.Time
	sent                *step.StagedOutputs
	conceded            bool
}

// newHeartbeat returns the context that a step runs under: it ends when someone cancels, pauses or
// resets the activity, when Temporal no longer knows it, or when the worker stops.
func newHeartbeat(ctx context.Context, c client.Client, log *slog.Logger, concede func(context.Context, string) error) (context.Context, *heartbeat) {
	inner, cancel := context.WithCancelCause(ctx)
	now := time.Now()
	return inner, &heartbeat{
		client: c, activity: ctx, token: activity.GetInfo(ctx).TaskToken, cancel: cancel, log: log, concede: concede,
		lastSent: now, lastHeard: now,
	}
}

// Previous is what the last attempt left in its heartbeat.
func (h *heartbeat) Previous() *step.StagedOutputs {
	if !activity.HasHeartbeatDetails(h.activity) {
		return nil
	}
	var staged step.StagedOutputs
	if err := activity.GetHeartbeatDetails(h.activity, &staged); err != nil {
		h.log.Warn("what an earlier attempt left in its heartbeat is not readable, computing again", "error", err)
		return nil
	}
	return &staged
}

// Beat sends a heartbeat when one is due, or at once when there is something new to carry.
func (h *heartbeat) Beat(beat step.Beat) {
	if time.Since(h.lastSent) < beatInterval && beat.StagedOutputs == h.sent {
		return
	}
	h.lastSent, h.sent = time.Now(), beat.StagedOutputs
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.activity), beatTimeout)
	defer cancel()
	err := h.client.RecordActivityHeartbeat(ctx, h.token, details(beat)...)
	if err == nil {
		h.lastHeard = h.lastSent
		return
	}
	var notFound *serviceerror.NotFound
	switch {
	case temporal.IsCanceledError(err):
		// First, so that this is the cause. The SDK must hear it too: only then does it report the activity as cancelled.
		h.cancel(errCanceled)
		activity.RecordHeartbeat(h.activity, details(beat)...)
	case errors.Is(err, activity.ErrActivityPaused):
		h.cancel(errPaused)
	case errors.Is(err, activity.ErrActivityReset):
		h.cancel(errReset)
	case errors.As(err, &notFound):
		h.cancel(errGone)
	default:
		h.log.Warn("Temporal did not take a heartbeat, the step goes on", "error", err)
		h.concedeInTime()
	}
}

// concedeInTime concedes once, before Temporal gives the step to another worker.
func (h *heartbeat) concedeInTime() {
	if h.conceded || time.Since(h.lastHeard) < concedeAfter {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.activity), beatTimeout)
	defer cancel()
	reason := "goes on, but its worker could not reach Temporal at " + time.Now().UTC().Format(time.RFC3339) + ": another worker may take it over"
	if err := h.concede(ctx, reason); err != nil {
		h.log.Warn("Postgres did not hear that another attempt may come", "error", err)
		return
	}
	h.conceded = true
}

// maxDetails bounds what a heartbeat carries, in bytes of JSON: Temporal fails an activity whose heartbeat is over 2 MB.
const maxDetails = 1 << 20

// details are what a heartbeat carries. More than it can carry is left out: a next attempt then computes again.
func details(beat step.Beat) []any {
	if beat == (step.Beat{}) {
		return nil
	}
	data, err := json.Marshal(beat)
	if err != nil || len(data) > maxDetails {
		if beat.StagedOutputs == nil {
			return nil
		}
		return details(step.Beat{Progress: beat.Progress})
	}
	return []any{json.RawMessage(data)}
}
