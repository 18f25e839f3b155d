package metadata

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/perdure-io/perdure/plan"
)

// ParentRun reads what planning must know of a run that is executed again: its request, and how each of its steps stands.
// A step that it took over from an earlier run names that one, and is Gone when its outputs are no longer kept.
// [ErrNotFound] says that there is no run with this id.
func (s *Store) ParentRun(ctx context.Context, id string) (*plan.ParentRun, error) {
	run, err := s.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	operation := fmt.Sprintf("read the steps of run %q", id)
	parent := &plan.ParentRun{RunID: id, RootRunID: run.RootRunID, Status: run.Status}
	if parent.RootRunID == "" {
		parent.RootRunID = id
	}
	if len(run.Request) > 0 {
		if err := json.Unmarshal(run.Request, &parent.Request); err != nil {
			return nil, fmt.Errorf("%s: decode its request: %w", operation, err)
		}
	}
	parent.Steps, err = rows[plan.ParentStep](ctx, s, operation, `
		with held as (
			select ps.idx, ps.place, ps.step, ps.inherited_from <> '' as inherited, coalesce(nullif(ps.inherited_from, ''), $1) as run,
			       ps.result, ps.assets, ps.partitions, ps.type, ps.body
			from plan_steps ps where ps.run_id = $1 and ps.over = ''
		), gone as (
			-- What the runs that hold the outputs made last of each asset, and is removed, or just being.
			select m.run_id, m.asset, m.partition from (
				select distinct on (run_id, asset, partition) id, run_id, asset, partition, removed_at from materializations
				where run_id in (select run from held)
				order by run_id, asset, partition, scheduled desc, token desc) m
			where m.removed_at is not null or exists (
				select 1 from superseded_values v where v.materialization = m.id and v.taken_until is not null)
		)
		select jsonb_build_object('step', h.step, 'run', h.run, 'compute', h.type,
			'assets', (select jsonb_agg(distinct a) from unnest(h.assets) a), 'partition', coalesce(h.body->>'partition', ''),
			'partitions', h.body->'partitions', 'status', `+stepStatus+`,
			'result', coalesce(s.result, h.result),
			'gone', (h.inherited or s.state = 'done') and (
				exists (select 1 from gone g where g.run_id = h.run and (g.asset, g.partition) in (
					select w.asset, w.partition from unnest(h.assets, h.partitions) w(asset, partition)))
				or h.inherited and not exists (select 1 from runs where run_id = h.run)))
		from held h left join steps s on s.run_id = $1 and s.step = h.step
		order by h.idx, h.place`, id)
	return parent, err
}

// stepStatus is the wire.StepStatus of a planned step h, with its row s.
const stepStatus = `
	case when h.inherited or s.state = 'done' then 'SUCCESS' when s.state = 'open' then 'RUNNING'
	     else coalesce(upper(s.state), 'WAITING') end`

// RunGroup lists a chain of retries: the run that it began with, and every run that executes one of them again, the
// oldest first, at most 1,000. It is empty when there is no such run.
func (s *Store) RunGroup(ctx context.Context, root string) ([]Run, error) {
	return rows[Run](ctx, s, fmt.Sprintf("list the retries of run %q", root), `
		select to_jsonb(r) from (
			select `+runColumns+` from runs r where r.run_id = $1 or r.root_run_id = $1 and r.root_run_id <> ''
			order by r.created_at, r.retry_number limit $2) r`, root, maxLimit)
}

// NextRetryNumber is the number of the next run in a chain of retries, from 1. Two who ask at once are given the same one:
// an id that is made of it is taken by the first of them.
func (s *Store) NextRetryNumber(ctx context.Context, root string) (int, error) {
	var number int
	err := s.try(ctx, fmt.Sprintf("number the next retry of run %q", root), func(ctx context.Context) error {
		return s.db.GetContext(ctx, &number, `
			select 1 + greatest(coalesce(max(retry_number), 0), coalesce(max(next_retry), 0)) from runs
			where run_id = $1 or root_run_id = $1 and root_run_id <> ''`, root)
	})
	return number, err
}

// RetryDecision says whether a run is started again by itself.
type RetryDecision struct {
	WillRetry bool `json:"will_retry"`
	// Number is the new run's in the chain of retries; 0 when there is none.
	Number int `json:"number"`
	// Root is the run that the chain began with, GroupSize how many runs it has by now.
	Root      string `json:"root"`
	GroupSize int    `json:"group_size"`
}

// DecideRetry decides whether a run that has ended is started again by itself, and records it with the run: when it ended
// FAILURE, its chain of retries has at most maxRetries runs by now, and nobody has executed it again. Asked again it
// answers the same with the same number, until the run is reset; a run that has not ended is not decided upon.
// [ErrNotFound] says that there is no such run.
func (s *Store) DecideRetry(ctx context.Context, run string, maxRetries int) (RetryDecision, error) {
	operation := fmt.Sprintf("decide whether run %q is started again", run)
	answer, err := call[struct {
		RetryDecision
		Found bool `json:"found"`
	}](ctx, s, operation, "decide_retry_v1", struct {
		Run        string `json:"run"`
		MaxRetries int    `json:"max_retries"`
	}{run, maxRetries})
	if err == nil && !answer.Found {
		err = fmt.Errorf("%s: there is no such run: %w", operation, ErrNotFound)
	}
	return answer.RetryDecision, err
}
