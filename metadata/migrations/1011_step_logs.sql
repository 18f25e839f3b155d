-- What steps log, and what their hooks did.

-- +goose Up

create table log_lines (
    id      bigint generated always as identity primary key,
    run_id  text        not null,
    step    text        not null,
    token   bigint      not null, -- of the attempt: the numbers of attempts begin anew after a reset or a lost worker
    attempt int         not null,
    seq     bigint      not null, -- the line's number in its attempt
    at      timestamptz not null, -- when it was logged
    level   int         not null, -- as in log/slog: -4 debug, 0 info, 4 warning, 8 error
    message text        not null,
    attributes jsonb    not null default '{}',
    unique (run_id, step, token, seq)
);
create index log_lines_run on log_lines (run_id, id);
create index log_lines_step on log_lines (run_id, step, id);
create index log_lines_warnings on log_lines (run_id, id) where level >= 4;
create index log_lines_at on log_lines (at);

-- {lines: [{run, step, token, attempt, seq, at, level, message, attributes}]} -> {"added"}. A line that is there stays.
-- The lines of a run become visible in the order of their ids, so that a reader follows them by cursor.
-- +goose StatementBegin
create function append_log_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_added int;
begin
    perform pg_advisory_xact_lock(lock)
    from (select distinct hashtextextended('perdure log ' || current_schema() || ' ' || (l->>'run'), 0) as lock
          from jsonb_array_elements(p->'lines') l order by 1) locks;
    insert into log_lines (run_id, step, token, attempt, seq, at, level, message, attributes)
    select l.run, l.step, l.token, l.attempt, l.seq, l.at, l.level, l.message, coalesce(nullif(l.attributes, 'null'), '{}')
    from rows from (jsonb_to_recordset(p->'lines') as (run text, step text, token bigint, attempt int, seq bigint, at timestamptz,
        level int, message text, attributes jsonb)) with ordinality l(run, step, token, attempt, seq, at, level, message, attributes, place)
    order by l.place
    on conflict (run_id, step, token, seq) do nothing;
    get diagnostics v_added = row_count;
    return jsonb_build_object('added', v_added);
end $$;
-- +goose StatementEnd

-- What became of the hooks of a step that has ended.
create table hook_runs (
    run_id    text        not null,
    step      text        not null,
    scheduled bigint      not null, -- Temporal's time of the activity that ran them: a retry has the same, a reset a later one
    hook      text        not null,
    outcome   text        not null check (outcome in ('completed', 'errored', 'skipped')),
    error     jsonb,      -- wire.ErrorInfo
    at        timestamptz not null,
    primary key (run_id, step, scheduled, hook)
);

-- {run, step, scheduled, hook, outcome, error} -> {"new"}. Recorded once, with an event.
-- +goose StatementBegin
create function record_hook_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    insert into hook_runs (run_id, step, scheduled, hook, outcome, error, at)
    values (p->>'run', p->>'step', (p->>'scheduled')::bigint, p->>'hook', p->>'outcome', nullif(p->'error', 'null'), clock_v1())
    on conflict (run_id, step, scheduled, hook) do nothing;
    if not found then
        return jsonb_build_object('new', false);
    end if;
    perform append_events_v1(p->>'run', coalesce((select cause from runs where run_id = p->>'run'), ''), jsonb_build_array(
        jsonb_build_object('type', 'HOOK_' || upper(p->>'outcome'), 'step', p->>'step', 'body',
            jsonb_build_object('hook', p->>'hook')
            || case when p->'error' is null or p->'error' = 'null' then '{}' else jsonb_build_object('error', p->'error') end)));
    return jsonb_build_object('new', true);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function record_hook_v1(jsonb);
drop table hook_runs;
drop function append_log_v1(jsonb);
drop table log_lines;
