package metadata

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lib/pq"
)

// EventType is the kind of an event in the log.
type EventType string

// The types of events.
const (
	// It waits in the queue; "reason" in the body says for what.
	EventRunEnqueued EventType = "RUN_ENQUEUED"
	// Its workflow is open, and nobody begins it; or it was admitted from the queue, and is in progress from here on.
	EventRunStarting  EventType = "RUN_STARTING"
	EventRunStart     EventType = "RUN_START"
	EventRunRestarted EventType = "RUN_RESTARTED" // a reset reopened an ended run
	EventRunCanceling EventType = "RUN_CANCELING"
	EventRunSuccess   EventType = "RUN_SUCCESS"
	EventRunFailure   EventType = "RUN_FAILURE"
	EventRunCanceled  EventType = "RUN_CANCELED"
	// What a schedule or sensor has asked for was refused, and will not run; the body is a [wire.RefusedRun].
	EventRunRefused             EventType = "RUN_REFUSED"
	EventMaterializationPlanned EventType = "ASSET_MATERIALIZATION_PLANNED"
	EventMaterialization        EventType = "ASSET_MATERIALIZATION"
	// One for each run and asset of which something failed, was left behind or emitted nothing: the keys are in its body,
	// {"failed","upstream_failed","skipped"}.
	EventFailedToMaterialize EventType = "ASSET_FAILED_TO_MATERIALIZE"
	EventObservation         EventType = "ASSET_OBSERVATION"
	EventWiped               EventType = "ASSET_WIPED"
	EventBackfillEnded       EventType = "BACKFILL_ENDED" // its body: {"backfill","location","status","reason"}
	EventPartitionsAdded     EventType = "PARTITIONS_ADDED"
	EventPartitionsRemoved   EventType = "PARTITIONS_REMOVED"
	EventStepStart           EventType = "STEP_START"
	EventStepRestarted       EventType = "STEP_RESTARTED"
	EventStepUpForRetry      EventType = "STEP_UP_FOR_RETRY"
	EventStepSuccess         EventType = "STEP_SUCCESS"
	EventStepFailure         EventType = "STEP_FAILURE"
	EventStepSkipped         EventType = "STEP_SKIPPED"
	EventStepUpstreamFailed  EventType = "STEP_UPSTREAM_FAILED"
	EventStepCanceled        EventType = "STEP_CANCELED"
	EventHookCompleted       EventType = "HOOK_COMPLETED"
	EventHookErrored         EventType = "HOOK_ERRORED"
	EventSensorReacted       EventType = "SENSOR_REACTED" // a run-status sensor was called for the run
	EventHookSkipped         EventType = "HOOK_SKIPPED"
	EventQueueLimitsSet      EventType = "QUEUE_LIMITS_SET"
	EventPoolSet             EventType = "POOL_SET"
	EventPoolSlotsFreed      EventType = "POOL_SLOTS_FREED"
)

// Event is one entry of the event log.
type Event struct {
	// Position grows without gaps in the order in which events become visible.
	Position int64     `json:"position"`
	At       time.Time `json:"at"`
	Type     EventType `json:"type"`
	// Run, Step, Asset and Partition are "" where they do not apply.
	Run       string `json:"run_id"`
	Step      string `json:"step"`
	Asset     string `json:"asset"`
	Partition string `json:"partition"`
	// Cause is the id of the first event that led here.
	Cause string          `json:"cause"`
	Body  json.RawMessage `json:"body"`
}

// EventFilter selects events; the zero value selects all.
type EventFilter struct {
	Run   string
	Asset string
	Types []EventType
}

// Events reads the log after a position, oldest first; 0 is from the beginning. The position of the
// last event read is the cursor to go on from: no event becomes visible below it later.
func (s *Store) Events(ctx context.Context, after int64, filter EventFilter, limit int) ([]Event, error) {
	return rows[Event](ctx, s, "read the event log", `
		select to_jsonb(e) from (
			select position, at, type, run_id, step, asset, partition, cause, body from event_log
			where position > $1 and ($2 = '' or run_id = $2) and ($3 = '' or (asset = $3 and asset <> ''))
			  and ($4::text[] is null or type = any ($4::text[]))
			order by position limit $5) e`, after, filter.Run, filter.Asset, pq.Array(filter.Types), pageSize(limit))
}

// Head is the position of the newest event, 0 when there is none.
func (s *Store) Head(ctx context.Context) (int64, error) {
	var head int64
	err := s.try(ctx, "read the head of the event log", func(ctx context.Context) error {
		return s.db.GetContext(ctx, &head, "select position from log_head")
	})
	return head, err
}
