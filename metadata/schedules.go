package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// DueTick is a tick of a schedule whose time has come.
type DueTick struct {
	Key     string    `json:"key"`
	Nominal time.Time `json:"nominal"`
	// Cause is the id that its runs carry on.
	Cause string `json:"cause"`
}

// OlderTicks are many ticks that were missed, recorded as one.
type OlderTicks struct {
	DueTick
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	// AtLeast says that there were more than Count.
	AtLeast bool   `json:"at_least,omitempty"`
	Why     string `json:"why"`
}

// DueTicks are the ticks of a schedule that are due.
type DueTicks struct {
	Location string `json:"location"`
	Name     string `json:"name"`
	// Evaluate begin; Skipped, and what Older stands for, are left out, because of Why.
	Evaluate []DueTick   `json:"evaluate"`
	Skipped  []DueTick   `json:"skipped"`
	Older    *OlderTicks `json:"older,omitempty"`
	Why      string      `json:"why"`
	Build    string      `json:"build"`
}

// BeginDueTicks begins the ticks of a schedule that are due, and records those that are left out, all or nothing and each once.
// running is false of a schedule that was stopped: it begins none.
func (s *Store) BeginDueTicks(ctx context.Context, due DueTicks) (running bool, err error) {
	answer, err := call[struct {
		Running bool `json:"running"`
	}](ctx, s, fmt.Sprintf("begin what is due of schedule %q of location %q", due.Name, due.Location), "begin_due_ticks_v1", due)
	return answer.Running, err
}

// WaitingTicks are the ticks of a schedule or sensor that have begun and not ended, the earliest first.
func (s *Store) WaitingTicks(ctx context.Context, id TriggerID, limit int) ([]Tick, error) {
	return rows[Tick](ctx, s, fmt.Sprintf("list the open ticks of %s", id), `
		select to_jsonb(t) from ticks t
		where location = $1 and kind = $2 and name = $3 and status = 'STARTED' order by nominal, tick_id limit $4`, id.Location, id.Kind, id.Name, limit)
}

// TickKnown says whether a schedule's tick was taken care of: it has a record, or one that stands for many.
func (s *Store) TickKnown(ctx context.Context, id TriggerID, tick DueTick) (bool, error) {
	found, err := rows[bool](ctx, s, fmt.Sprintf("look up tick %s of %s", tick.Key, id), `
		select to_jsonb(exists (select 1 from ticks where location = $1 and kind = $2 and name = $3 and key = $4)
		             or exists (select 1 from ticks where location = $1 and kind = 'schedule' and kind = $2 and name = $3 and consumed ? 'count'
		                          and nominal >= $5 and (consumed->>'first')::timestamptz <= $5))`,
		id.Location, id.Kind, id.Name, tick.Key, tick.Nominal)
	return len(found) == 1 && found[0], err
}

// TickForgotten says that a schedule's tick has started runs, and its record is gone: records of ticks are not kept as long as runs.
func (s *Store) TickForgotten(ctx context.Context, id TriggerID, tick DueTick) (bool, error) {
	found, err := rows[bool](ctx, s, fmt.Sprintf("look for runs of tick %s of %s", tick.Key, id), `
		select to_jsonb(not exists (select 1 from ticks where location = $1 and kind = 'schedule' and name = $2 and key = $3)
		            and exists (select 1 from runs where trigger_kind = 'schedule' and cause = $4 and location = $1 and trigger_name = $2))`,
		id.Location, id.Name, tick.Key, tick.Cause)
	return len(found) == 1 && found[0], err
}

// NoteTick writes down what a tick that has not ended waits for.
func (s *Store) NoteTick(ctx context.Context, tick int64, why string) error {
	return s.try(ctx, fmt.Sprintf("note what tick %d waits for", tick), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, "update ticks set skip = $2 where tick_id = $1 and status = 'STARTED' and skip <> $2", tick, why)
		return err
	})
}

// TriggerRun is a run of a schedule or sensor.
type TriggerRun struct {
	RunID string `json:"run_id"`
	// Status is "" of a run that was started and not planned yet.
	Status wire.RunStatus `json:"status"`
}

// OpenTriggerRuns are the runs of a schedule or sensor that have not ended, the oldest first; those too that are about to be
// started again by themselves.
func (s *Store) OpenTriggerRuns(ctx context.Context, id TriggerID) ([]TriggerRun, error) {
	return call[[]TriggerRun](ctx, s, fmt.Sprintf("list the open runs of %s", id), "open_trigger_runs_v1", id)
}

// FailedTriggerRun is the latest run of a schedule or sensor that ended FAILURE after a time, after all retries; "" is none.
func (s *Store) FailedTriggerRun(ctx context.Context, id TriggerID, since time.Time) (string, error) {
	found, err := rows[string](ctx, s, fmt.Sprintf("look for failed runs of %s", id), `
		select to_jsonb(run_id) from runs
		where location = $1 and trigger_kind = $2 and trigger_name = $3 and trigger_kind <> '' and status = 'FAILURE' and not will_retry and ended_at > $4
		order by ended_at desc limit 1`,
		id.Location, id.Kind, id.Name, since)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// StuckTriggers are the schedules or sensors with a tick that began longer ago than that and has not ended.
func (s *Store) StuckTriggers(ctx context.Context, kind wire.TriggerKind, older time.Duration) ([]TriggerID, error) {
	return rows[TriggerID](ctx, s, fmt.Sprintf("look for ticks of %ss that do not end", kind), `
		select distinct jsonb_build_object('location', location, 'kind', kind, 'name', name) from ticks
		where status = 'STARTED' and kind = $1 and started_at < clock_v1() - $2::bigint / 1000 * interval '1 microsecond'`, kind, int64(older))
}

// NoteApplied writes down what Temporal was told of a schedule or sensor.
func (s *Store) NoteApplied(ctx context.Context, id TriggerID, applied string, paused bool) error {
	return s.try(ctx, fmt.Sprintf("write down what Temporal has of %s", id), func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, `update triggers set applied = $4, applied_paused = $5
			where location = $1 and kind = $2 and name = $3 and (applied <> $4 or applied_paused is distinct from $5)`,
			id.Location, id.Kind, id.Name, applied, paused)
		return err
	})
}
