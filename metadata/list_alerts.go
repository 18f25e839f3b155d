package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Alert is something that was told, or is to be.
type Alert struct {
	ID       int64  `json:"alert_id"`
	Key      string `json:"key"`
	Kind     string `json:"kind"`
	Location string `json:"location"`
	Job      string `json:"job"`
	Subject  string `json:"subject"`
	// Body is the whole of it.
	Body json.RawMessage `json:"body"`
	// At is when it happened, RecoveredAt when what fails for a while was over; zero until then, and of anything else.
	At          time.Time       `json:"at"`
	RecoveredAt time.Time       `json:"recovered_at,omitzero"`
	Deliveries  []AlertDelivery `json:"deliveries"`
}

// AlertDelivery is an alert for one sink.
type AlertDelivery struct {
	Sink string `json:"sink"`
	// Status is pending, sent, failed or muted.
	Status string `json:"status"`
	// Mute is the id of the mute of one that is muted.
	Mute     int64 `json:"mute_id,omitempty"`
	Attempts int   `json:"attempts"`
	// NextAttempt is when one that is pending is tried next, Error why the last attempt failed.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	Error       string    `json:"error,omitempty"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
}

// AlertFilter selects alerts; the zero value selects all.
type AlertFilter struct {
	Kind, Location, Job, Subject string
	// Status keeps those that have a delivery in it.
	Status string
}

type alertCursor struct {
	ID int64 `json:"i"`
}

// Alerts lists alerts, the newest first. cursor is "" or a page's Next; limit 0 is 50, the most 1,000.
func (s *Store) Alerts(ctx context.Context, filter AlertFilter, cursor string, limit int) (Page[Alert], error) {
	const operation = "list alerts"
	after, err := cursorOf[alertCursor](cursor)
	if err != nil {
		return Page[Alert]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[Alert](ctx, s, operation, `
		select to_jsonb(p) from (
			select a.*, coalesce((
				select jsonb_agg(jsonb_build_object('sink', d.sink, 'status', d.status, 'mute_id', d.mute_id, 'attempts', d.attempts,
					'next_attempt', case when d.status = 'pending' then d.next_attempt end, 'error', d.error, 'ended_at', d.ended_at) order by d.sink)
				from alert_deliveries d where d.alert_id = a.alert_id), '[]') as deliveries
			from alerts a
			where ($1 = '' or a.kind = $1) and ($2 = '' or a.location = $2) and ($3 = '' or a.job = $3) and ($4 = '' or a.subject = $4)
			  and ($5 = '' or exists (select 1 from alert_deliveries d where d.alert_id = a.alert_id and d.status = $5))
			  and ($6 = 0 or a.alert_id < $6)
			order by a.alert_id desc limit $7) p`,
		filter.Kind, filter.Location, filter.Job, filter.Subject, filter.Status, after.ID, pageSize(limit)+1)
	if err != nil {
		return Page[Alert]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Alert) alertCursor { return alertCursor{last.ID} })
}
