package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/wire"
)

// Backfill is a backfill's row.
type Backfill struct {
	ID         string              `json:"backfill_id"`
	FirstRunID string              `json:"first_run_id"`
	Location   string              `json:"location"`
	Queue      string              `json:"queue"`
	Status     wire.BackfillStatus `json:"status"`
	// Reason says why it ended so, when its runs do not.
	Reason            string               `json:"reason"`
	Paused            bool                 `json:"paused"`
	MaxConcurrentRuns int                  `json:"max_concurrent_runs"`
	Request           wire.BackfillRequest `json:"request"`
	Title             string               `json:"title"`
	Note              string               `json:"note"`
	Tags              map[string]string    `json:"tags"`
	Cause             string               `json:"cause"`
	// RetryOf is the backfill that it makes again, or what failed of it, Root the first of that chain; both "" without one.
	RetryOf string `json:"retry_of,omitempty"`
	Root    string `json:"root,omitempty"`
	// AsOf is when the partitions existed that it is for.
	AsOf     time.Time      `json:"as_of"`
	Progress BackfillCounts `json:"progress"`
	// Trouble is what keeps whoever works on it from going on; "" is nothing. It was tried TroubleTries times since TroubleSince.
	Trouble      string    `json:"trouble,omitempty"`
	TroubleSince time.Time `json:"trouble_since,omitzero"`
	TroubleTries int       `json:"trouble_tries,omitempty"`
	// ReadAt is Postgres' time when the row was read.
	ReadAt time.Time `json:"read_at"`
	// CreatedAt is when it began, ChangedAt when it got on last, EndedAt the zero time until it has ended.
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// BackfillState is what working on a backfill needs to know of it.
type BackfillState struct {
	Backfill
	Target   map[string]json.RawMessage `json:"target"`
	Again    []AgainRun                 `json:"again"`
	State    json.RawMessage            `json:"state"`
	Position int64                      `json:"position"`
	Version  int64                      `json:"version"`
	// Open are its runs that have not ended, by id.
	Open []BackfillRun `json:"open"`
}

const backfillColumns = `
	b.backfill_id, b.first_run_id, b.location, b.queue, b.status, b.reason, b.paused, b.max_concurrent_runs, b.request, b.title, b.note,
	b.tags, b.cause, b.retry_of, b.root, b.as_of, b.progress,
	b.trouble, b.trouble_since, b.trouble_tries, clock_v1() as read_at, b.created_at, b.changed_at, b.ended_at`

// BackfillFilter selects backfills; the zero value selects all.
type BackfillFilter struct {
	Location string
	// Statuses keeps those in any of them.
	Statuses []wire.BackfillStatus
	// Asset keeps those that target it.
	Asset string
}

type backfillCursor struct {
	CreatedAt time.Time `json:"t"`
	ID        string    `json:"b"`
}

// Backfills lists backfills, the newest first. cursor is "" or a page's Next; limit 0 is 50, the most 1,000.
func (s *Store) Backfills(ctx context.Context, filter BackfillFilter, cursor string, limit int) (Page[Backfill], error) {
	const operation = "list backfills"
	after, err := cursorOf[*backfillCursor](cursor)
	if err != nil {
		return Page[Backfill]{}, fmt.Errorf("%s: %w", operation, err)
	}
	where, arguments := "", []any{filter.Location, pq.Array(filter.Statuses), filter.Asset, pageSize(limit) + 1}
	if after != nil {
		where = "and (b.created_at, b.backfill_id) < ($5, $6)"
		arguments = append(arguments, after.CreatedAt, after.ID)
	}
	found, err := rows[Backfill](ctx, s, operation, `
		select to_jsonb(page) from (
			select `+backfillColumns+`
			from backfills b
			where ($1 = '' or b.location = $1) and ($2::text[] is null or b.status = any ($2::text[])) and ($3 = '' or b.target ? $3) `+where+`
			order by b.created_at desc, b.backfill_id desc limit $4) page`, arguments...)
	if err != nil {
		return Page[Backfill]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Backfill) backfillCursor { return backfillCursor{last.CreatedAt, last.ID} })
}

// Backfill reads one backfill. [ErrNotFound] says that there is none with this id.
func (s *Store) Backfill(ctx context.Context, id string) (Backfill, error) {
	operation := fmt.Sprintf("read backfill %q", id)
	found, err := rows[Backfill](ctx, s, operation, `select to_jsonb(b) from (select `+backfillColumns+` from backfills b where b.backfill_id = $1) b`, id)
	if err != nil {
		return Backfill{}, err
	}
	if len(found) == 0 {
		return Backfill{}, fmt.Errorf("%s: %w: `perdure backfill list` names those there are", operation, ErrNotFound)
	}
	return found[0], nil
}

// BackfillState reads all of one backfill. [ErrNotFound] says that there is none with this id.
func (s *Store) BackfillState(ctx context.Context, id string) (BackfillState, error) {
	operation := fmt.Sprintf("read the state of backfill %q", id)
	found, err := rows[BackfillState](ctx, s, operation, `
		select to_jsonb(b) from (
			select `+backfillColumns+`, b.target, b.again, b.state, b.position, b.version,
			       (select coalesce(jsonb_agg(to_jsonb(r) order by r.run_id), '[]') from (
			            select run_id, assets, partitions, retry_of from backfill_runs where backfill_id = b.backfill_id and status = '') r) as open
			from backfills b where b.backfill_id = $1) b`, id)
	if err != nil {
		return BackfillState{}, err
	}
	if len(found) == 0 {
		return BackfillState{}, fmt.Errorf("%s: there is no such backfill: %w", operation, ErrNotFound)
	}
	return found[0], nil
}

type backfillRunCursor struct {
	ID string `json:"r"`
}

// BackfillRuns lists the runs that a backfill has asked for, by id. statuses keeps those in any of them, "" standing for what
// is open; none keeps all.
func (s *Store) BackfillRuns(ctx context.Context, id string, statuses []wire.RunStatus, cursor string, limit int) (Page[BackfillRun], error) {
	operation := fmt.Sprintf("list the runs of backfill %q", id)
	after, err := cursorOf[backfillRunCursor](cursor)
	if err != nil {
		return Page[BackfillRun]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[BackfillRun](ctx, s, operation, `
		select to_jsonb(page) from (
			select run_id, assets, partitions, retry_of, status, message from backfill_runs
			where backfill_id = $1 and run_id > $2 and ($3::text[] is null or status = any ($3::text[]))
			order by run_id limit $4) page`, id, after.ID, pq.Array(statuses), pageSize(limit)+1)
	if err != nil {
		return Page[BackfillRun]{}, err
	}
	return pageOf(found, pageSize(limit), func(last BackfillRun) backfillRunCursor { return backfillRunCursor{last.RunID} })
}

// LastRetries gives, of runs that may have been executed again, the last of each chain that has ended, by the first one's id.
func (s *Store) LastRetries(ctx context.Context, ids []string) (map[string]string, error) {
	type last struct {
		First string `json:"first"`
		Last  string `json:"last"`
	}
	found, err := rows[last](ctx, s, "look for what was executed again", `
		select jsonb_build_object('first', f.run_id, 'last', coalesce(
			(select r.run_id from runs r where r.root_run_id = coalesce(nullif(f.root_run_id, ''), f.run_id) and r.root_run_id <> '' and run_ended_v1(r.status)
			 order by r.created_at desc, r.run_id desc limit 1), f.run_id))
		from runs f where f.run_id = any ($1)`, pq.Array(ids))
	if err != nil {
		return nil, err
	}
	lasts := make(map[string]string, len(found))
	for _, one := range found {
		lasts[one.First] = one.Last
	}
	return lasts, nil
}

// Unbegun are those of the runs that have no row: they were refused, or nobody has planned them yet.
func (s *Store) Unbegun(ctx context.Context, ids []string) ([]string, error) {
	return rows[string](ctx, s, "look for runs that have not begun", `
		select to_jsonb(i.id) from unnest($1::text[]) i(id) where not exists (select 1 from runs r where r.run_id = i.id)`, pq.Array(orEmpty(ids)))
}

// WaitingReason is why one of the runs waits; "" when none does.
func (s *Store) WaitingReason(ctx context.Context, ids []string) (string, error) {
	found, err := rows[string](ctx, s, "look for what runs wait for", `
		select to_jsonb(run_id || ': ' || reason) from runs
		where run_id = any ($1) and reason <> '' and ended_at is null order by run_id limit 1`, pq.Array(orEmpty(ids)))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// BackfillRunsOf reads those of the runs that a backfill has asked for, by id.
func (s *Store) BackfillRunsOf(ctx context.Context, id string, runs []string) (map[string]BackfillRun, error) {
	found, err := rows[BackfillRun](ctx, s, fmt.Sprintf("look up runs of backfill %q", id), `
		select to_jsonb(r) from (
			select run_id, assets, partitions, retry_of, status, message from backfill_runs where backfill_id = $1 and run_id = any ($2)) r`,
		id, pq.Array(orEmpty(runs)))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]BackfillRun, len(found))
	for _, run := range found {
		byID[run.RunID] = run
	}
	return byID, nil
}
