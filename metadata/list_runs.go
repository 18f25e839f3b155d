package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/wire"
)

// Run is a run's row.
type Run struct {
	ID           string            `json:"run_id"`
	FirstRunID   string            `json:"first_run_id"`
	Location     string            `json:"location"`
	Build        string            `json:"build"`
	SnapshotHash string            `json:"snapshot_hash"`
	Queue        string            `json:"queue"`
	Status       wire.RunStatus    `json:"status"`
	Job          string            `json:"job"`
	Selection    string            `json:"selection"`
	Title        string            `json:"title"`
	Note         string            `json:"note"`
	Tags         map[string]string `json:"tags"`
	// Config is the request's run config; nil when it had none.
	Config   json.RawMessage `json:"config"`
	Priority wire.Priority   `json:"priority"`
	Cause    string          `json:"cause"`
	// Request is what the run was started with.
	Request json.RawMessage `json:"request"`
	// Backfill is the backfill that it belongs to, Partition the one partition that it is over; "" of a run over none, or
	// over several, which is Several then.
	Backfill  string `json:"backfill,omitempty"`
	Partition string `json:"partition,omitempty"`
	Several   bool   `json:"several,omitempty"`
	// StepsTotal is how many steps it has by now, of which dynamic outputs add some, Steps how they stand. What it takes over
	// from an earlier run is not counted.
	StepsTotal int             `json:"steps_total"`
	Steps      wire.StepCounts `json:"steps"`
	// Failures are the first failed steps, at most 20, once it has ended.
	Failures []wire.StepFailureInfo `json:"failures"`
	// Reason says why it ended so, when its steps do not; of an open run what it waits for, or why it is being cancelled.
	Reason string `json:"reason"`
	// ParentRunID is the run that it executes again, RootRunID the first of that chain, RetryNumber its own number in it:
	// "" and 0 of a run that executes none again.
	ParentRunID string `json:"parent_run_id,omitempty"`
	RootRunID   string `json:"root_run_id,omitempty"`
	RetryNumber int    `json:"retry_number,omitempty"`
	// WillRetry says whether it is started again by itself; nil while that is not decided.
	WillRetry *bool `json:"will_retry,omitempty"`
	// Timeout bounds it from its start; 0 is no bound.
	Timeout   time.Duration `json:"timeout,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
	// StartedAt is the zero time while it has not begun.
	StartedAt time.Time `json:"started_at"`
	// EndedAt is the zero time until it has ended.
	EndedAt time.Time `json:"ended_at"`
}

const runColumns = `
	r.run_id, r.first_run_id, r.location, r.build, r.snapshot_hash, r.queue, r.status, r.job, r.selection, r.title, r.note,
	r.tags, r.config, r.priority, r.cause, r.request, r.backfill, r.partition, r.several,
	r.steps_total + coalesce((select sum(mapped) from run_fans f where f.run_id = r.run_id), 0) as steps_total,
	r.failures, case r.status when 'QUEUED' then coalesce(nullif(queue_reason_v1(r.run_id), ''), r.reason) else r.reason end as reason, r.parent_run_id, r.root_run_id, r.retry_number, r.will_retry, r.timeout, r.created_at, r.started_at, r.ended_at,
	case when run_ended_v1(r.status)
	     then jsonb_build_object('succeeded', r.succeeded, 'failed', r.failed, 'skipped', r.skipped, 'canceled', r.canceled)
	     else step_counts_v1(r.run_id) end as steps`

// RunFilter selects runs; the zero value selects all.
type RunFilter struct {
	Location string
	Job      string
	// Statuses keeps runs in any of them.
	Statuses []wire.RunStatus
	// Asset keeps runs that set out to make it.
	Asset string
	// Backfill keeps the runs of that backfill.
	Backfill string
	// Partition keeps the runs over the partition of that key, also those that are over others besides.
	Partition string
	// Tags keeps runs that have all of them.
	Tags map[string]string
}

type runCursor struct {
	CreatedAt time.Time `json:"t"`
	ID        string    `json:"r"`
}

// Runs lists runs, the newest first. cursor is "" or a page's Next; limit 0 is 50, the most 1,000.
func (s *Store) Runs(ctx context.Context, filter RunFilter, cursor string, limit int) (Page[Run], error) {
	const operation = "list runs"
	after, err := cursorOf[*runCursor](cursor)
	if err != nil {
		return Page[Run]{}, fmt.Errorf("%s: %w", operation, err)
	}
	tags, err := json.Marshal(filter.Tags)
	if err != nil {
		return Page[Run]{}, fmt.Errorf("%s: %w", operation, err)
	}
	if filter.Tags == nil {
		tags = []byte("{}")
	}
	where, arguments := "", []any{filter.Location, filter.Job, pq.Array(filter.Statuses), filter.Asset, string(tags), pageSize(limit) + 1}
	add := func(condition string, values ...any) {
		places := make([]any, len(values))
		for i, value := range values {
			arguments = append(arguments, value)
			places[i] = len(arguments)
		}
		where += " and " + fmt.Sprintf(condition, places...)
	}
	if filter.Backfill != "" {
		add("r.backfill <> '' and r.backfill = $%d", filter.Backfill)
	}
	if filter.Partition != "" {
		add(`r.run_id in (
			select o.run_id from runs o where o.partition <> '' and o.partition = $%[1]d
			union all
			select o.run_id from runs o where o.several and exists (
				select 1 from plan_steps ps where ps.run_id = o.run_id and $%[1]d = any (ps.partitions)))`, filter.Partition)
	}
	if after != nil {
		add("(r.created_at, r.run_id) < ($%d, $%d)", after.CreatedAt, after.ID)
	}
	found, err := rows[Run](ctx, s, operation, `
		select to_jsonb(page) from (
			select `+runColumns+`
			from runs r
			where ($1 = '' or r.location = $1) and ($2 = '' or r.job = $2)
			  and ($3::text[] is null or r.status = any ($3::text[]))
			  and ($4 = '' or r.run_id in (select run_id from run_assets where asset = $4))
			  and r.tags @> $5::jsonb `+where+`
			order by r.created_at desc, r.run_id desc limit $6) page`, arguments...)
	if err != nil {
		return Page[Run]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Run) runCursor { return runCursor{last.CreatedAt, last.ID} })
}

// Run reads one run. [ErrNotFound] says that there is none with this id.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	operation := fmt.Sprintf("read run %q", id)
	found, err := rows[Run](ctx, s, operation, `select to_jsonb(r) from (select `+runColumns+` from runs r where r.run_id = $1) r`, id)
	if err != nil {
		return Run{}, err
	}
	if len(found) == 0 {
		return Run{}, fmt.Errorf("%s: %w: `perdure run list` names those there are", operation, ErrNotFound)
	}
	return found[0], nil
}

// Step is a step of a run as planned and as it stands.
type Step struct {
	Step string `json:"step"`
	// Index is its place in the plan; of a mapped step its template's, and Place its own among those, from 1.
	Index int    `json:"idx"`
	Place int    `json:"place,omitempty"`
	Type  string `json:"type"`
	// MappingKey is the key of the dynamic output that it is for; "" when it is not mapped.
	MappingKey string `json:"mapping_key,omitempty"`
	// InheritedFrom is the run that did it, of a step that this run took over: its status is SUCCESS.
	InheritedFrom string `json:"inherited_from,omitempty"`
	// Assets are what it was asked for.
	Assets []string        `json:"assets"`
	Status wire.StepStatus `json:"status"`
	// Attempt counts attempts of the user's function, from 1; 0 when none has begun.
	Attempt int `json:"attempt"`
	// Lost counts workers that died under it.
	Lost int `json:"lost"`
	// Worker and Build are of the attempt that claimed it last.
	Worker string `json:"worker"`
	Build  string `json:"build"`
	// Reason says what a running step waits for, "" when it does not wait; ReasonSince since when.
	Reason      string    `json:"reason"`
	ReasonSince time.Time `json:"reason_since"`
	// Error is of its last failure, nil when the step had none or has succeeded since.
	Error *wire.ErrorInfo `json:"error"`
	// Result is what it made, once it has succeeded.
	Result *wire.StepResult `json:"result"`
	// StartedAt is when it was first claimed, ClaimedAt when last, EndedAt when it ended.
	StartedAt time.Time `json:"started_at"`
	ClaimedAt time.Time `json:"claimed_at"`
	EndedAt   time.Time `json:"ended_at"`
}

type stepCursor struct {
	Index int `json:"i"`
	Place int `json:"p"`
}

// Steps lists a run's steps in the order of its plan, mapped ones in that of their keys. Templates of mapped steps are not
// among them. An empty page says that there is no such run.
func (s *Store) Steps(ctx context.Context, run, cursor string, limit int) (Page[Step], error) {
	operation := fmt.Sprintf("list the steps of run %q", run)
	after, err := cursorOf[*stepCursor](cursor)
	if err != nil {
		return Page[Step]{}, fmt.Errorf("%s: %w", operation, err)
	}
	if after == nil {
		after = &stepCursor{Index: -1}
	}
	found, err := rows[Step](ctx, s, operation, `
		select to_jsonb(page) from (
			select h.step, h.idx, h.place, h.type, h.mapping_key, h.inherited_from,
			       coalesce(jsonb_path_query_array(h.body::jsonb, '$.outputs[*].asset'), '[]') as assets, `+stepStatus+` as status,
			       case when s.first_started_at is null then 0
			            when s.state = 'open' or s.state = 'done' then s.failures + 1
			            else greatest(s.failures, 1) end as attempt,
			       coalesce(s.lost, 0) as lost, coalesce(s.worker, '') as worker, coalesce(s.build, '') as build,
			       case when l.run_id is null then coalesce(s.reason, '') else slot_reason_v1(l.pool) end as reason,
			       coalesce(l.asked_at, s.reason_since) as reason_since, s.error, coalesce(s.result, h.result) as result,
			       s.first_started_at as started_at, s.claimed_at, s.ended_at
			from (
				select *, inherited_from <> '' as inherited from plan_steps
				where run_id = $1 and over = '' and (idx, place) > ($2, $3)
				order by idx, place limit $4) h
			left join steps s using (run_id, step)
			left join slots l on l.run_id = h.run_id and l.step = h.step and l.granted_at is null
			order by h.idx, h.place) page`, run, after.Index, after.Place, pageSize(limit)+1)
	if err != nil {
		return Page[Step]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Step) stepCursor { return stepCursor{last.Index, last.Place} })
}

// RefusedRequest is a request that was refused.
type RefusedRequest struct {
	At           time.Time `json:"at"`
	WorkflowID   string    `json:"workflow_id"`
	FirstRunID   string    `json:"first_run_id"`
	WorkflowType string    `json:"workflow_type"`
	// Input is what was given, cut after 65,536 characters.
	Input    string        `json:"input"`
	Problems wire.Problems `json:"problems"`
}

// Refusals lists the refused requests of one workflow id, the newest first, at most 1,000.
func (s *Store) Refusals(ctx context.Context, workflowID string) ([]RefusedRequest, error) {
	return rows[RefusedRequest](ctx, s, fmt.Sprintf("list the refused requests of %q", workflowID), `
		select to_jsonb(r) from (
			select at, workflow_id, first_run_id, workflow_type, input, problems from refused_requests
			where workflow_id = $1 order by id desc limit $2) r`, workflowID, maxLimit)
}
