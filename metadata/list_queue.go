package metadata

import (
	"context"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// CurrentLimits are the limits of runs and pools, and who set them.
type CurrentLimits struct {
	// MaxConcurrentRuns is [Unlimited], or how many runs are in progress at most; DefaultPoolLimit 0 is none.
	MaxConcurrentRuns int                  `json:"max_concurrent_runs"`
	TagLimits         []wire.TagLimit      `json:"tag_limits"`
	DefaultPoolLimit  int                  `json:"default_pool_limit"`
	PoolGranularity   wire.PoolGranularity `json:"pool_granularity"`
	// SetBy and SetWhy are of the last change, at SetAt: the zero time when there was none.
	SetBy  string    `json:"set_by,omitempty"`
	SetWhy string    `json:"set_why,omitempty"`
	SetAt  time.Time `json:"set_at,omitzero"`
}

// QueuedRun is a run that waits for a place, or has one.
type QueuedRun struct {
	RunID    string            `json:"run_id"`
	Status   wire.RunStatus    `json:"status"`
	Location string            `json:"location"`
	Priority wire.Priority     `json:"priority"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Job, Selection, Partition and Backfill say what it is about.
	Job       string `json:"job,omitempty"`
	Selection string `json:"selection,omitempty"`
	Partition string `json:"partition,omitempty"`
	Backfill  string `json:"backfill,omitempty"`
	// Since is since when it waits, or is in progress.
	Since time.Time `json:"since"`
	// Reason says for what it waits, and who holds that.
	Reason string `json:"reason,omitempty"`
}

// QueuedStep is a step that waits for a slot of a pool, or holds one.
type QueuedStep struct {
	RunID    string        `json:"run_id"`
	Step     string        `json:"step"`
	Pool     string        `json:"pool"`
	Priority wire.Priority `json:"priority"`
	Since    time.Time     `json:"since"`
	// Reason says for what it waits, and who holds that; "" of one that holds a slot.
	Reason string `json:"reason,omitempty"`
}

// Queue is how the run queue stands.
type Queue struct {
	Limits CurrentLimits `json:"limits"`
	// InProgress are runs that have places, those that have them longest first, and InProgressTotal how many there are.
	InProgress      []QueuedRun `json:"in_progress"`
	InProgressTotal int         `json:"in_progress_total"`
	// Waiting are runs that wait, in the order in which they are admitted as far as limits let them.
	Waiting      []QueuedRun `json:"waiting"`
	WaitingTotal int         `json:"waiting_total"`
	// WaitingSteps wait for slots of pools, in their order in each pool.
	WaitingSteps      []QueuedStep `json:"waiting_steps"`
	WaitingStepsTotal int          `json:"waiting_steps_total"`
}

const (
	queuedRun = `jsonb_build_object('run_id', r.run_id, 'status', r.status, 'location', r.location, 'priority', r.priority, 'tags', r.tags,
		'job', r.job, 'selection', r.selection, 'partition', r.partition, 'backfill', r.backfill`
	currentLimits = `jsonb_build_object('max_concurrent_runs', coalesce(max_concurrent_runs, -1), 'tag_limits', tag_limits,
		'default_pool_limit', default_pool_limit, 'pool_granularity', pool_granularity, 'set_by', set_by, 'set_why', set_why, 'set_at', set_at)`
	// inProgress is the condition of a run r that has a place, whether places are counted now or not.
	inProgress = `r.status in ('STARTING', 'STARTED', 'CANCELING') and (r.started_at is not null
		or exists (select 1 from queue_entries e where e.run_id = r.run_id and e.admitted_at is not null))`
)

// Queue reads how the run queue stands; of each list the first limit rows: 0 is 50, the most 1,000.
func (s *Store) Queue(ctx context.Context, limit int) (Queue, error) {
	found, err := rows[Queue](ctx, s, "read the run queue", `
		select jsonb_build_object(
			'limits', (select `+currentLimits+` from queue_head),
			'in_progress', (
				select jsonb_agg(p.run order by p.since, p.run_id) from (
					select r.run_id, `+queuedRun+`, 'since', coalesce(r.started_at, r.created_at)) as run, coalesce(r.started_at, r.created_at) as since
					from runs r where `+inProgress+` order by since, r.run_id limit $1) p),
			'in_progress_total', (select count(*) from runs r where `+inProgress+`),
			'waiting', (
				select jsonb_agg(w.run order by w.priority, w.seq) from (
					select e.priority, e.seq, `+queuedRun+`, 'since', e.enqueued_at, 'reason', queue_reason_v1(e.run_id)) as run
					from (select * from queue_entries where admitted_at is null order by priority, seq limit $1) e join runs r using (run_id)) w),
			'waiting_total', (select count(*) from queue_entries where admitted_at is null),
			'waiting_steps', (
				select jsonb_agg(jsonb_build_object('run_id', l.run_id, 'step', l.step, 'pool', l.pool, 'priority', l.priority, 'since', l.asked_at,
					'reason', slot_reason_v1(l.pool)) order by l.pool, l.priority, l.step_order desc, l.seq)
				from (select * from slots where granted_at is null order by pool, priority, step_order desc, seq limit $1) l),
			'waiting_steps_total', (select count(*) from slots where granted_at is null))`, pageSize(limit))
	if err != nil {
		return Queue{}, err
	}
	queue := found[0]
	queue.InProgress, queue.Waiting, queue.WaitingSteps = orEmpty(queue.InProgress), orEmpty(queue.Waiting), orEmpty(queue.WaitingSteps)
	return queue, nil
}

// Pool is how a pool stands.
type Pool struct {
	Pool string `json:"pool"`
	// Limit is how many use it at once, [Unlimited] when nothing bounds it, and Granularity what that counts. OwnLimit and
	// OwnGranularity are what was set of the pool itself: nil and "" are the default's.
	Limit          int                  `json:"limit"`
	Granularity    wire.PoolGranularity `json:"granularity"`
	OwnLimit       *int                 `json:"own_limit"`
	OwnGranularity wire.PoolGranularity `json:"own_granularity,omitempty"`
	// Held and Waiting count steps, or runs where it counts runs; 0 where there is no limit.
	Held    int       `json:"held"`
	Waiting int       `json:"waiting"`
	SetBy   string    `json:"set_by,omitempty"`
	SetWhy  string    `json:"set_why,omitempty"`
	SetAt   time.Time `json:"set_at,omitzero"`
}

const poolRow = `
	jsonb_build_object('pool', k.pool, 'limit', coalesce(e.o_limit, -1), 'granularity', e.o_granularity,
		'own_limit', o.slot_limit, 'own_granularity', o.granularity, 'set_by', o.set_by, 'set_why', o.set_why, 'set_at', o.set_at,
		'held', case when e.o_limit is null then 0 when e.o_granularity = 'step'
			then (select count(*) from slots l where l.pool = k.pool and l.granted_at is not null)
			else (select count(*) from queue_holds h where h.key = pool_key_v1(k.pool)) end,
		'waiting', case when e.o_limit is null then 0 when e.o_granularity = 'step'
			then (select count(*) from slots l where l.pool = k.pool and l.granted_at is null)
			else (select count(*) from queue_entries q
			      where q.admitted_at is null and q.needs @> jsonb_build_array(jsonb_build_object('key', pool_key_v1(k.pool)))) end)`

// Pools lists the pools that were ever set or limited, and those of open runs, by name.
func (s *Store) Pools(ctx context.Context) ([]Pool, error) {
	return rows[Pool](ctx, s, "list pools", `
		select `+poolRow+`
		from (
			select pool from pools
			union
			select u.pool from runs r cross join lateral unnest(r.pools) u(pool)
			where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')) k
		cross join lateral pool_limit_v1(k.pool) e left join pools o using (pool)
		order by k.pool`)
}

// PoolUse is a pool with who uses it and who waits.
type PoolUse struct {
	Pool
	// Steps hold slots, longest first, and WaitingSteps wait in their order; Runs and WaitingRuns where the pool counts runs.
	Steps        []QueuedStep `json:"steps"`
	WaitingSteps []QueuedStep `json:"waiting_steps"`
	Runs         []QueuedRun  `json:"runs"`
	WaitingRuns  []QueuedRun  `json:"waiting_runs"`
}

// PoolUse reads who uses a pool and who waits for it; of each list the first limit rows: 0 is 50, the most 1,000. A pool that nobody named
// yet is as the default has it.
func (s *Store) PoolUse(ctx context.Context, pool string, limit int) (PoolUse, error) {
	operation := fmt.Sprintf("read the pool %q", pool)
	found, err := rows[PoolUse](ctx, s, operation, `
		select `+poolRow+` || jsonb_build_object(
			'steps', (
				select jsonb_agg(jsonb_build_object('run_id', l.run_id, 'step', l.step, 'pool', l.pool, 'priority', l.priority, 'since', l.granted_at)
					order by l.granted_at, l.run_id, l.step)
				from (select * from slots where pool = $1 and granted_at is not null order by granted_at, run_id, step limit $2) l),
			'waiting_steps', (
				select jsonb_agg(jsonb_build_object('run_id', l.run_id, 'step', l.step, 'pool', l.pool, 'priority', l.priority, 'since', l.asked_at,
					'reason', slot_reason_v1($1)) order by l.priority, l.step_order desc, l.seq)
				from (select * from slots where pool = $1 and granted_at is null order by priority, step_order desc, seq limit $2) l),
			'runs', (
				select jsonb_agg(p.run order by p.since, p.run_id) from (
					select r.run_id, q.admitted_at as since, `+queuedRun+`, 'since', q.admitted_at) as run
					from queue_holds h join queue_entries q using (run_id) join runs r using (run_id)
					where h.key = pool_key_v1($1) order by q.admitted_at, r.run_id limit $2) p),
			'waiting_runs', (
				select jsonb_agg(w.run order by w.priority, w.seq) from (
					select q.priority, q.seq, `+queuedRun+`, 'since', q.enqueued_at, 'reason', queue_reason_v1(q.run_id)) as run
					from queue_entries q join runs r using (run_id)
					where q.admitted_at is null and q.needs @> jsonb_build_array(jsonb_build_object('key', pool_key_v1($1)))
					order by q.priority, q.seq limit $2) w))
		from (select $1::text as pool) k cross join lateral pool_limit_v1(k.pool) e left join pools o using (pool)`, pool, pageSize(limit))
	if err != nil {
		return PoolUse{}, err
	}
	use := found[0]
	use.Steps, use.WaitingSteps, use.Runs, use.WaitingRuns = orEmpty(use.Steps), orEmpty(use.WaitingSteps), orEmpty(use.Runs), orEmpty(use.WaitingRuns)
	return use, nil
}
