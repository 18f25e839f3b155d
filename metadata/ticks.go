package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/wire"
)

// Tick is one evaluation of a schedule or sensor.
type Tick struct {
	ID int64 `json:"tick_id"`
	TriggerID
	// Key is what the tick is, once: of a schedule its nominal time.
	Key     string    `json:"key"`
	Nominal time.Time `json:"nominal,omitzero"`
	// Manual says that a person asked for it.
	Manual bool            `json:"manual"`
	Status wire.TickStatus `json:"status"`
	// StartedAt is when its first evaluation began, DecidedAt when it was fixed what it starts; zero until then.
	StartedAt time.Time `json:"started_at"`
	DecidedAt time.Time `json:"decided_at"`
	EndedAt   time.Time `json:"ended_at"`
	// Attempts is how often its function was called, or would have been: a worker that dies has another one call it again.
	Attempts int            `json:"attempts"`
	Cause    string         `json:"cause"`
	Build    string         `json:"build"`
	Runs     []wire.TickRun `json:"runs"`
	// Skip says why it started nothing.
	Skip         string           `json:"skip"`
	Error        *wire.TickError  `json:"error"`
	CursorBefore json.RawMessage  `json:"cursor_before"`
	CursorAfter  json.RawMessage  `json:"cursor_after"`
	Partitions   []TickPartitions `json:"partitions"`
	// Reports are the ids of what it reports.
	Reports []string `json:"reports"`
	// ReportRequests are what it reports; they are recorded before it ends.
	ReportRequests []wire.ReportRequest `json:"report_requests"`
	Log            []wire.TickLine      `json:"log"`
	// Consumed is what of events and records it was about, for people.
	Consumed json.RawMessage `json:"consumed"`
}

// TickPartitions is a change of a dynamic set that a tick has made: Action is "add" or "remove".
type TickPartitions struct {
	wire.TickPartitions
	Action string `json:"action"`
}

// NewTick is a tick that begins.
type NewTick struct {
	TriggerID
	Key string `json:"key"`
	// Nominal is a schedule's nominal time; nil of a sensor.
	Nominal *time.Time `json:"nominal"`
	Manual  bool       `json:"manual"`
	// Cause is the id that its runs carry on.
	Cause string `json:"cause"`
	Build string `json:"build"`
}

// BeginTick begins a tick, or takes one up that was begun before: one with a DecidedAt is not evaluated again, its runs are
// started; one that has ended is over.
func (s *Store) BeginTick(ctx context.Context, tick NewTick) (Tick, error) {
	return call[Tick](ctx, s, fmt.Sprintf("begin tick %s of %s", tick.Key, tick.TriggerID), "begin_tick_v1", tick)
}

// TickDecision is what a tick starts and changes.
type TickDecision struct {
	ID   int64          `json:"tick_id"`
	Runs []wire.TickRun `json:"runs"`
	Skip string         `json:"skip"`
	// Acted says that its function did itself what is to be done: the tick has succeeded without any run.
	Acted bool `json:"acted,omitempty"`
	// Cursor and Position are the trigger's from then on; nil leaves them.
	Cursor   json.RawMessage       `json:"cursor,omitempty"`
	Position *int64                `json:"position,omitempty"`
	Add      []wire.TickPartitions `json:"add"`
	Remove   []wire.TickPartitions `json:"remove"`
	Reports  []string              `json:"reports"`
	Log      []wire.TickLine       `json:"log"`
	Consumed json.RawMessage       `json:"consumed,omitempty"`
}

// DecideTick fixes what a tick starts, once and all or nothing: the first decision stands, and is what is returned. Of runs with a
// key that the trigger has asked for before, none is started: they are Known. A tick without anything to do has ended then.
func (s *Store) DecideTick(ctx context.Context, decision TickDecision) (Tick, error) {
	return call[Tick](ctx, s, fmt.Sprintf("decide tick %d", decision.ID), "decide_tick_v1", decision)
}

// TickEnd ends a tick.
type TickEnd struct {
	ID     int64           `json:"tick_id"`
	Status wire.TickStatus `json:"status"`
	Error  *wire.TickError `json:"error,omitempty"`
	// Skip and Log replace those of the decision, when they are given.
	Skip string          `json:"skip,omitempty"`
	Log  []wire.TickLine `json:"log,omitempty"`
	// FailedRuns are those that could not be started, with why.
	FailedRuns map[string]string `json:"failed_runs,omitempty"`
}

// EndTick ends a tick. One that has ended stays as it is, and is returned.
func (s *Store) EndTick(ctx context.Context, end TickEnd) (Tick, error) {
	return call[Tick](ctx, s, fmt.Sprintf("end tick %d", end.ID), "end_tick_v1", end)
}

// TickFilter selects ticks; the zero value selects all.
type TickFilter struct {
	TriggerID
	// Statuses keeps those in any of them.
	Statuses []wire.TickStatus
}

type tickCursor struct {
	ID int64 `json:"i"`
}

// Ticks lists ticks, the newest first. cursor is "" or a page's Next; limit 0 is 50, the most 1,000.
func (s *Store) Ticks(ctx context.Context, filter TickFilter, cursor string, limit int) (Page[Tick], error) {
	const operation = "list ticks"
	after, err := cursorOf[tickCursor](cursor)
	if err != nil {
		return Page[Tick]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[Tick](ctx, s, operation, `
		select to_jsonb(t) from ticks t
		where ($1 = '' or t.location = $1) and ($2 = '' or t.kind = $2) and ($3 = '' or t.name = $3)
		  and ($4::text[] is null or t.status = any ($4::text[])) and ($5 = 0 or t.tick_id < $5)
		order by t.tick_id desc limit $6`,
		filter.Location, filter.Kind, filter.Name, pq.Array(filter.Statuses), after.ID, pageSize(limit)+1)
	if err != nil {
		return Page[Tick]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Tick) tickCursor { return tickCursor{last.ID} })
}

// PurgeTicks deletes at most limit ticks that ended longer ago than skipped, or others; 0 keeps them. The newest tick of each
// trigger stays. It returns how many it deleted.
func (s *Store) PurgeTicks(ctx context.Context, skipped, others time.Duration, limit int) (int, error) {
	answer, err := call[struct {
		Deleted int `json:"deleted"`
	}](ctx, s, "delete old ticks", "purge_ticks_v1", struct {
		Skipped time.Duration `json:"skipped"`
		Others  time.Duration `json:"others"`
		Limit   int           `json:"limit"`
	}{skipped, others, limit})
	return answer.Deleted, err
}
