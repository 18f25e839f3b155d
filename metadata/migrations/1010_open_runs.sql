-- Runs on the way to their end: those that never began, those being cancelled, those that wait, those that run again.

-- +goose Up

-- {run_id, first_run_id, location, queue, request, reason, created} -> {"new"}: a run whose workflow is open in Temporal
-- and which has no row: STARTING, with the reason why it does not begin. created is when it was started, in
-- nanoseconds. Its planning adopts the row. Of a run that has a row nothing changes but the reason of one that has not begun.
-- +goose StatementBegin
create function note_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at  timestamptz := clock_v1();
    v_new boolean;
    v_wakes jsonb;
begin
    insert into runs (run_id, first_run_id, location, queue, status, job, selection, title, note, tags, config, cause, request,
        backfill, steps_total, reason, created_at)
    values (p->>'run_id', p->>'first_run_id', p->>'location', p->>'queue', 'STARTING', coalesce(p->>'job', ''),
        coalesce(p->>'selection', ''), coalesce(p->>'title', ''), coalesce(p->>'note', ''), coalesce(nullif(p->'tags', 'null'), '{}'),
        p->'config', coalesce(p->>'cause', ''), p->'request', coalesce(p->'request'->>'backfill', ''), 0, p->>'reason',
        coalesce(to_timestamp(nullif((p->>'created')::bigint, 0) / 1e9), v_at))
    on conflict (run_id) do nothing;
    v_new := found;
    if v_new then
        select o_wakes into v_wakes from append_events_v1(p->>'run_id', coalesce(p->>'cause', ''), jsonb_build_array(jsonb_build_object(
            'type', 'RUN_STARTING', 'body', jsonb_build_object('queue', p->>'queue', 'reason', p->>'reason'))));
    else
        update runs set reason = p->>'reason'
        where run_id = p->>'run_id' and first_run_id = p->>'first_run_id' and status = 'STARTING' and reason <> p->>'reason';
    end if;
    return with_wakes_v1(jsonb_build_object('new', v_new), v_wakes);
end $$;
-- +goose StatementEnd

-- {run, reason} -> {"found"}: why an open run waits; "" when it does no longer. The reason of a cancel stays.
-- +goose StatementBegin
create function set_run_reason_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    update runs set reason = p->>'reason'
    where run_id = p->>'run' and status in ('QUEUED', 'STARTING', 'STARTED') and reason <> p->>'reason';
    return jsonb_build_object('found', found or exists (select 1 from runs where run_id = p->>'run'));
end $$;
-- +goose StatementEnd

-- {run, first_run_id, scheduled, execution, reason} -> {"found", "status", "ended"}: somebody cancels the run, which is still busy with
-- it. ended counts its steps that are done or have failed. scheduled and execution are as in reopen_run_v1. A run that has ended stays so.
-- +goose StatementBegin
create function mark_canceling_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run    text  := p->>'run';
    v_events jsonb := '[]';
    v_row    runs;
    v_wakes  jsonb;
begin
    select * into v_row from runs where run_id = v_run and first_run_id = p->>'first_run_id' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    if reopen_run_v1(v_run, (p->>'scheduled')::bigint, p->>'execution') then
        v_events := v_events || '{"type":"RUN_RESTARTED"}';
    end if;
    update runs set status = 'CANCELING', reason = coalesce(p->>'reason', '')
    where run_id = v_run and status in ('QUEUED', 'STARTING', 'STARTED');
    if found then
        if v_row.status = 'QUEUED' then
            perform pg_advisory_xact_lock_shared(limits_lock_v1());
            perform withdraw_v1(v_run);
        end if;
        v_events := v_events || jsonb_build_object('type', 'RUN_CANCELING', 'body', jsonb_build_object('reason', coalesce(p->>'reason', '')));
    end if;
    select o_wakes into v_wakes from append_events_v1(v_run, v_row.cause, v_events);
    return with_wakes_v1(jsonb_build_object('found', true, 'status', (select status from runs where run_id = v_run),
        'ended', (select count(*) from steps where run_id = v_run and state in ('done', 'failed'))), v_wakes);
end $$;
-- +goose StatementEnd

-- The Temporal executions of a run whose steps run as local activities, and when each was first heard of, in nanoseconds.
-- A local activity that runs again has another ScheduledTime; its execution is what survives.
create table executions (
    run_id    text   not null references runs (run_id) on delete cascade,
    execution text   not null, -- Temporal's run id
    seen      bigint not null,
    primary key (run_id, execution)
);

-- {run, execution, at} -> {"found", "seen"}: at is the workflow's time when the execution is new; one that is new is
-- later than all before it.
-- +goose StatementBegin
create function execution_seen_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run  text := p->>'run';
    v_seen bigint;
begin
    select seen into v_seen from executions where run_id = v_run and execution = p->>'execution';
    if found then
        return jsonb_build_object('found', true, 'seen', v_seen);
    end if;
    perform pg_advisory_xact_lock(hashtextextended('perdure executions ' || current_schema() || ' ' || v_run, 0));
    insert into executions (run_id, execution, seen)
    select v_run, p->>'execution', greatest((p->>'at')::bigint, coalesce((select max(seen) + 1 from executions where run_id = v_run), 0))
    from runs where run_id = v_run
    on conflict (run_id, execution) do nothing;
    select seen into v_seen from executions where run_id = v_run and execution = p->>'execution';
    return jsonb_build_object('found', found, 'seen', v_seen);
end $$;
-- +goose StatementEnd

-- {run, max_retries} -> {"found", "will_retry", "number", "root", "group_size"}: whether a run that ended FAILURE is started again by
-- itself. Decided once: the second time it answers as the first, until a reset. The number is the new run's in the chain
-- of retries, which no other one has.
-- +goose StatementBegin
create function decide_retry_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run  text := p->>'run';
    v_root text;
    v_size int;
    v_next int;
    v_row  runs;
begin
    select coalesce(nullif(root_run_id, ''), run_id) into v_root from runs where run_id = v_run;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    perform lock_chain_v1(v_root);
    select * into v_row from runs where run_id = v_run for no key update;
    select count(*), 1 + greatest(coalesce(max(retry_number), 0), coalesce(max(next_retry), 0)) into v_size, v_next
    from runs where run_id = v_root or root_run_id = v_root and root_run_id <> '';
    if v_row.will_retry is null and run_ended_v1(v_row.status) then
        update runs
        set will_retry = status = 'FAILURE' and v_size <= (p->>'max_retries')::int
                and not exists (select 1 from runs child where child.parent_run_id = v_run and child.parent_run_id <> ''),
            next_retry = coalesce(next_retry, v_next)
        where run_id = v_run returning * into v_row;
    end if;
    return jsonb_build_object('found', true, 'will_retry', coalesce(v_row.will_retry, false), 'root', v_root, 'group_size', v_size,
        'number', case when v_row.will_retry then v_row.next_retry else 0 end);
end $$;
-- +goose StatementEnd

-- One at a time numbers the runs of a chain of retries, until its transaction ends.
-- +goose StatementBegin
create function lock_chain_v1(p_root text) returns void language sql volatile as $$
    select pg_advisory_xact_lock(hashtextextended('perdure retries ' || current_schema() || ' ' || p_root, 0))
$$;
-- +goose StatementEnd

-- +goose Down
drop function lock_chain_v1(text);
drop function decide_retry_v1(jsonb);
drop function execution_seen_v1(jsonb);
drop table executions;
drop function mark_canceling_v1(jsonb);
drop function set_run_reason_v1(jsonb);
drop function note_run_v1(jsonb);
