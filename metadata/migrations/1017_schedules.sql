-- Schedules: what is due, and what Temporal was told last.

-- +goose Up

-- What of a schedule or sensor Temporal has: a hash of how it is told to wake, and whether it was told to rest. Where Temporal
-- says otherwise by now, a person did that there.
alter table triggers add column applied text not null default '', add column applied_paused boolean;

create index ticks_waiting on ticks (location, kind, name, nominal, tick_id) where status = 'STARTED';
-- Those that stand for many.
create index ticks_sums on ticks (location, name, nominal) where kind = 'schedule' and consumed ? 'count';

-- {location, name, evaluate: [{key, nominal, cause}], skipped: [same], older: {key, nominal, cause, first, last, count, at_least}, why,
-- build} -> {"running", "begun"}: begins the ticks of a schedule that are due, and records those that are left out. All or nothing, and each
-- once: what is not after the last one is somebody else's already. A schedule that was stopped meanwhile begins none.
-- +goose StatementBegin
create function begin_due_ticks_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row   triggers;
    v_at    timestamptz := clock_v1();
    v_begun int;
    v_nominal timestamptz;
begin
    select * into v_row from triggers where location = p->>'location' and kind = 'schedule' and name = p->>'name' for update;
    if not found or trigger_status_v1(v_row) <> 'RUNNING' then
        return jsonb_build_object('running', false, 'begun', 0);
    end if;
    if nullif(p->'older', 'null') is not null and (p#>>'{older,first}')::timestamptz > greatest(v_row.since, v_row.last_nominal) then
        insert into ticks (location, kind, name, key, nominal, status, started_at, decided_at, ended_at, attempts, cause, build, skip, consumed)
        values (v_row.location, 'schedule', v_row.name, p#>>'{older,key}', (p#>>'{older,nominal}')::timestamptz, 'SKIPPED', v_at, v_at, v_at, 0,
                p#>>'{older,cause}', coalesce(p->>'build', ''), p#>>'{older,why}', (p->'older') - array['key', 'nominal', 'cause', 'why'])
        on conflict do nothing;
    end if;
    insert into ticks (location, kind, name, key, nominal, status, started_at, decided_at, ended_at, attempts, cause, build, skip)
    select v_row.location, 'schedule', v_row.name, n.key, n.nominal, case n.evaluated when true then 'STARTED' else 'SKIPPED' end, v_at,
           case n.evaluated when false then v_at end, case n.evaluated when false then v_at end, 0, n.cause, coalesce(p->>'build', ''),
           case n.evaluated when true then '' else p->>'why' end
    from (
        select key, nominal, cause, true as evaluated
        from jsonb_to_recordset(coalesce(nullif(p->'evaluate', 'null'), '[]')) e(key text, nominal timestamptz, cause text)
        union all
        select key, nominal, cause, false
        from jsonb_to_recordset(coalesce(nullif(p->'skipped', 'null'), '[]')) s(key text, nominal timestamptz, cause text)) n
    where n.nominal > greatest(v_row.since, v_row.last_nominal)
    order by n.nominal
    on conflict do nothing;
    get diagnostics v_begun = row_count;
    -- Of a tick that was there already, as one that a person has asked for, nothing is left to do, either.
    select max(n.nominal) into v_nominal
    from jsonb_to_recordset(coalesce(nullif(p->'evaluate', 'null'), '[]') || coalesce(nullif(p->'skipped', 'null'), '[]')
                            || coalesce(nullif(p->'older', 'null'), '[]')) n(nominal timestamptz);
    update triggers t
    set last_nominal = greatest(t.last_nominal, case when v_nominal > t.since then v_nominal end),
        last_tick = greatest(t.last_tick, (
            select tick_id from ticks
            where location = v_row.location and kind = 'schedule' and name = v_row.name order by tick_id desc limit 1))
    where location = v_row.location and kind = 'schedule' and name = v_row.name;
    return jsonb_build_object('running', true, 'begun', v_begun);
end $$;
-- +goose StatementEnd

-- {location, kind, name} -> [{run_id, status}]: the runs of a schedule or sensor that have not ended, the oldest first. One that was started
-- and not planned yet has the status ''; one that is about to be started again, or of which that is not decided yet, counts too.
-- +goose StatementBegin
create function open_trigger_runs_v1(p jsonb) returns jsonb language plpgsql stable as $$
declare
    v_at timestamptz := clock_v1();
begin
    return (select coalesce(jsonb_agg(jsonb_build_object('run_id', o.run_id, 'status', o.status) order by o.created_at, o.run_id), '[]') from (
        select run_id, status, created_at from runs
        where location = p->>'location' and trigger_kind = p->>'kind' and trigger_name = p->>'name' and trigger_kind <> ''
          and status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')
        union all
        select r.run_id, r.status, r.created_at from runs r
        where r.location = p->>'location' and r.trigger_kind = p->>'kind' and r.trigger_name = p->>'name' and r.trigger_kind <> ''
          and r.status = 'FAILURE' and r.ended_at > v_at - interval '1 day' and (
            r.will_retry is null and r.ended_at > v_at - interval '1 minute'
            or r.will_retry and not exists (
                select 1 from runs n where n.run_id = coalesce(nullif(r.root_run_id, ''), r.run_id) || '~' || r.next_retry))
        union all
        select a.value->>'run_id', '', t.ended_at from (
            select * from ticks
            where location = p->>'location' and kind = p->>'kind' and name = p->>'name'
            order by tick_id desc limit 20) t, jsonb_array_elements(t.runs) a(value)
        where t.status = 'SUCCESS' and t.ended_at > v_at - interval '1 hour'
          and not coalesce((a.value->>'known')::boolean, false) and coalesce(a.value->>'error', '') = ''
          and not exists (select 1 from runs r where r.run_id = a.value->>'run_id')
          and not exists (select 1 from refused_requests f where f.workflow_id = a.value->>'run_id')) o);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function open_trigger_runs_v1(jsonb);
drop function begin_due_ticks_v1(jsonb);
drop index ticks_sums;
drop index ticks_waiting;
alter table triggers drop column applied_paused, drop column applied;
