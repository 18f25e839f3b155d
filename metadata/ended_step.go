package metadata

import (
	"context"
	"fmt"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// EndedStep is a step that has ended, as its hooks are told of it.
type EndedStep struct {
	// Job, Cause and Tags are the run's.
	Job   string            `json:"job"`
	Cause string            `json:"cause"`
	Tags  map[string]string `json:"tags"`
	// Plan is the step as planned; of a mapped one, its template.
	Plan plan.Step `json:"plan"`
	// Attempt is the last one, from 1.
	Attempt int `json:"attempt"`
	// Error is set of a failed step, Result of one that is done.
	Error  *wire.ErrorInfo  `json:"error"`
	Result *wire.StepResult `json:"result"`
	// Metadata is what was recorded of each of its outputs.
	Metadata [][]wire.Metadatum `json:"metadata"`
}

// EndedStep reads what a step's hooks are told. [ErrNotFound] says that no run planned the step.
func (s *Store) EndedStep(ctx context.Context, run, step string) (EndedStep, error) {
	operation := fmt.Sprintf("read how step %q of run %q ended", step, run)
	found, err := rows[EndedStep](ctx, s, operation, `
		select jsonb_build_object('job', r.job, 'cause', r.cause, 'tags', r.tags, 'plan', coalesce(ps.body, t.body),
			'attempt', case when s.state = 'failed' then greatest(s.failures, 1) else coalesce(s.failures, 0) + 1 end,
			'error', s.error, 'result', s.result,
			'metadata', (
				select coalesce(jsonb_agg(made.metadata), '[]') from (
					select m.metadata from materializations m where m.run_id = $1 and m.step = $2 and m.scheduled = s.scheduled
					union all
					select o.metadata from step_outputs o where o.run_id = $1 and o.step = $2 and o.scheduled = s.scheduled) made))
		from plan_steps ps
		join runs r using (run_id)
		left join plan_steps t on t.run_id = ps.run_id and t.step = ps.template
		left join steps s on s.run_id = ps.run_id and s.step = ps.step
		where ps.run_id = $1 and ps.step = $2`, run, step)
	if err != nil {
		return EndedStep{}, err
	}
	if len(found) == 0 {
		return EndedStep{}, fmt.Errorf("%s: no run planned it: %w", operation, ErrNotFound)
	}
	return found[0], nil
}
