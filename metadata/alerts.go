package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// AlertHead is how far the event log was read for alerts.
type AlertHead struct {
	Position int64 `json:"position"`
	// Since is when the reading began: what happened before is not told.
	Since time.Time `json:"since"`
}

// BeginAlerts takes up the reading of the log for alerts, from its end when nobody has read it. What waits for a sink that is none
// of these has failed. Without sinks nothing is read any more, and when there are some again it begins anew.
func (s *Store) BeginAlerts(ctx context.Context, sinks []string) (AlertHead, error) {
	return call[AlertHead](ctx, s, "take up the reading of the log for alerts", "begin_alerts_v1", struct {
		Sinks []string `json:"sinks"`
	}{orEmpty(sinks)})
}

// NewAlert is something to be told.
type NewAlert struct {
	// Key is what it is about, once.
	Key  string `json:"key"`
	Kind string `json:"kind"`
	// Location and Job are "" where they do not apply; Subject is the run, schedule, sensor, backfill or sink.
	Location string `json:"location"`
	Job      string `json:"job"`
	Subject  string `json:"subject"`
	// Body is the whole of it.
	Body json.RawMessage `json:"body"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Sinks are to be told.
	Sinks []string `json:"sinks"`
}

// UndecidedRun is a failed run of which it is not known yet whether it is started again.
type UndecidedRun struct {
	// Position is that of its end in the log.
	Position int64     `json:"position"`
	RunID    string    `json:"run_id"`
	At       time.Time `json:"at"`
}

// RaisedAlerts are what was found between two positions of the log.
type RaisedAlerts struct {
	// From is the position that was read from, Position the last that was read.
	From     int64      `json:"from"`
	Position int64      `json:"position"`
	Alerts   []NewAlert `json:"alerts"`
	// Undecided are to be looked at again; Decided are the positions of those that are not, any more.
	Undecided []UndecidedRun `json:"undecided"`
	Decided   []int64        `json:"decided"`
	// Recovered are lasting alerts that are over.
	Recovered []int64 `json:"recovered"`
}

// RaiseAlerts writes down what is to be told, to whom that is not muted, and how far the log was read, all or nothing. An alert that is
// there already stays as it is. It returns how many are new. [ErrConflict] says that somebody else has read on.
func (s *Store) RaiseAlerts(ctx context.Context, raised RaisedAlerts) (int, error) {
	const operation = "write down alerts"
	raised.Alerts, raised.Undecided = orEmpty(raised.Alerts), orEmpty(raised.Undecided)
	raised.Decided, raised.Recovered = orEmpty(raised.Decided), orEmpty(raised.Recovered)
	for i := range raised.Alerts {
		raised.Alerts[i].Sinks = orEmpty(raised.Alerts[i].Sinks)
	}
	answer, err := call[struct {
		Stale  bool `json:"stale"`
		Raised int  `json:"raised"`
	}](ctx, s, operation, "raise_alerts_v1", raised)
	if err == nil && answer.Stale {
		err = fmt.Errorf("%s: somebody else has read the log on: %w", operation, ErrConflict)
	}
	return answer.Raised, err
}

// UndecidedRuns lists the failed runs of which it was not known whether they are started again, the oldest first.
func (s *Store) UndecidedRuns(ctx context.Context, limit int) ([]UndecidedRun, error) {
	return rows[UndecidedRun](ctx, s, "list failed runs that are not decided upon", `
		select to_jsonb(u) from (select position, run_id, at from alert_undecided order by position limit $1) u`, pageSize(limit))
}

// FailedEnd is a run whose end in FAILURE was read in the log.
type FailedEnd struct {
	Run
	// Current says that this end is the run's last: it was not reset since.
	Current bool `json:"current"`
	// Retried says that the run that starts it again is there.
	Retried bool `json:"retried"`
	// Trigger is the schedule or sensor that asked for it; "" is none.
	TriggerKind string `json:"trigger_kind"`
	TriggerName string `json:"trigger_name"`
}

// FailedEnds reads runs with how they stand towards an end at a position of the log, by that position. One that is not kept any more is
// missing.
func (s *Store) FailedEnds(ctx context.Context, ends []UndecidedRun) (map[int64]FailedEnd, error) {
	asked, err := json.Marshal(orEmpty(ends))
	if err != nil {
		return nil, fmt.Errorf("read failed runs: %w", err)
	}
	found, err := rows[struct {
		Position int64 `json:"position"`
		FailedEnd
	}](ctx, s, "read failed runs", `
		select to_jsonb(f) from (
			select `+runColumns+`, r.trigger_kind, r.trigger_name, e.position, r.status = 'FAILURE' and r.ended_position = e.position as current,
				exists (select 1 from runs n where n.run_id = coalesce(nullif(r.root_run_id, ''), r.run_id) || '~' || r.next_retry) as retried
			from jsonb_to_recordset($1::jsonb) e(position bigint, run_id text) join runs r using (run_id)) f`, string(asked))
	if err != nil {
		return nil, err
	}
	byPosition := make(map[int64]FailedEnd, len(found))
	for _, one := range found {
		byPosition[one.Position] = one.FailedEnd
	}
	return byPosition, nil
}

// FailingTrigger is a schedule or sensor whose last ticks have failed.
type FailingTrigger struct {
	Trigger
	// Error is that of its newest tick; "" when that has not ended.
	Error string `json:"error"`
}

// FailingTriggers lists the schedules and sensors that work, and have failed so often in a row at least, since that time at the
// earliest.
func (s *Store) FailingTriggers(ctx context.Context, failures int, since time.Time) ([]FailingTrigger, error) {
	return rows[FailingTrigger](ctx, s, "list schedules and sensors that fail", `
		select to_jsonb(t) from (
			select `+triggerColumns+`, coalesce((
				select k.error->>'message' from ticks k
				where k.location = t.location and k.kind = t.kind and k.name = t.name and k.status = 'FAILURE'
				order by k.tick_id desc limit 1), '') as error
			from triggers t
			where t.failing_since >= $2 and t.failures >= $1 and trigger_status_v1(t) = 'RUNNING'
			order by t.location, t.kind, t.name) t`, failures, since)
}

// LastingAlert is an alert about something that fails until it recovers.
type LastingAlert struct {
	ID   int64           `json:"alert_id"`
	Key  string          `json:"key"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body"`
	// Failing says that it still does, Works that it has worked since: neither is so of what was stopped, or is gone.
	Failing bool `json:"failing"`
	Works   bool `json:"works"`
}

// LastingAlerts lists those that have not recovered, as far as is recorded.
func (s *Store) LastingAlerts(ctx context.Context) ([]LastingAlert, error) {
	return rows[LastingAlert](ctx, s, "list alerts about what fails", `
		select to_jsonb(l) from (
			select a.alert_id, a.key, a.kind, a.body, case a.kind when 'sink_failing'
				then exists (select 1 from alert_sinks s where s.sink = a.subject and s.failing_since = a.at)
				else exists (
					select 1 from triggers t
					where t.location = a.location and t.kind || '_failing' = a.kind and t.name = a.subject and t.failing_since = a.at) end as failing,
				case a.kind when 'sink_failing'
				then exists (select 1 from alert_sinks s where s.sink = a.subject and s.last_sent > a.at)
				else exists (
					select 1 from triggers t
					where t.location = a.location and t.kind || '_failing' = a.kind and t.name = a.subject and t.last_success > a.at) end as works
			from alerts a
			where a.recovered_at is null and a.kind in ('schedule_failing', 'sensor_failing', 'sink_failing')) l
		order by l.alert_id`)
}

// DueDelivery is an alert that a sink is to be told of now.
type DueDelivery struct {
	Sink     string          `json:"sink"`
	AlertID  int64           `json:"alert_id"`
	Key      string          `json:"key"`
	Body     json.RawMessage `json:"body"`
	Attempts int             `json:"attempts"`
	// CreatedAt is when the alert was written down, ReadAt Postgres' time now.
	CreatedAt time.Time `json:"created_at"`
	ReadAt    time.Time `json:"read_at"`
}

// DueDeliveries lists what a sink is to be told now, what has waited longest first; nothing while the sink is given a rest.
func (s *Store) DueDeliveries(ctx context.Context, sink string, limit int) ([]DueDelivery, error) {
	return rows[DueDelivery](ctx, s, "list alerts that are due", `
		select to_jsonb(d) from (
			select d.sink, d.alert_id, a.key, a.body, d.attempts, a.created_at, clock_v1() as read_at
			from alert_deliveries d join alerts a using (alert_id)
			where d.status = 'pending' and d.sink = $1 and d.next_attempt <= clock_v1()
			  and not exists (select 1 from alert_sinks s where s.sink = $1 and s.next_attempt > clock_v1())
			order by d.next_attempt, d.alert_id limit $2) d`, sink, pageSize(limit))
}

// DeliveryAttempt is how an attempt to tell a sink went.
type DeliveryAttempt struct {
	Sink    string `json:"sink"`
	AlertID int64  `json:"alert_id"`
	// Error is why it failed; "" is well.
	Error string `json:"error"`
	// RetryIn is when it is tried again, SinkRetryIn when the sink is, with anything. Final gives it up.
	RetryIn     time.Duration `json:"retry_in"`
	SinkRetryIn time.Duration `json:"sink_retry_in"`
	Final       bool          `json:"final"`
}

// AlertSink is how a sink does.
type AlertSink struct {
	Sink string `json:"sink"`
	// Failures is how many attempts in a row have failed until now, since FailingSince, the last with Error.
	Failures     int       `json:"failures"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Error        string    `json:"error,omitempty"`
	LastSent     time.Time `json:"last_sent,omitzero"`
}

// NoteDelivery records an attempt, and returns how the sink does since.
func (s *Store) NoteDelivery(ctx context.Context, attempt DeliveryAttempt) (AlertSink, error) {
	return call[AlertSink](ctx, s, fmt.Sprintf("record an attempt to tell sink %q", attempt.Sink), "note_delivery_v1", attempt)
}

// AlertSinks lists how the sinks do that were tried.
func (s *Store) AlertSinks(ctx context.Context) ([]AlertSink, error) {
	return rows[AlertSink](ctx, s, "list the sinks of alerts", `
		select to_jsonb(k) from (select sink, failures, failing_since, error, last_sent from alert_sinks order by sink) k`)
}
