-- Schedules and sensors, and their evaluations.

-- +goose Up

-- What is known of a schedule or sensor besides its definition. A row outlives the definition: should it come back, the cursor
-- and what a person decided are still there.
create table triggers (
    location      text        not null,
    kind          text        not null check (kind in ('schedule', 'sensor')),
    name          text        not null,
    definition    jsonb       not null default '{}', -- plan.Schedule or plan.Sensor, as the active build has it, or had it last
    declared      text        not null default 'STOPPED' check (declared in ('RUNNING', 'STOPPED')), -- by its definition
    -- What a person decided, or its own rule to stop after a failure; '' is nothing: it is as it is declared.
    switched      text        not null default '' check (switched in ('', 'RUNNING', 'STOPPED')),
    switched_by   text        not null default '',
    switched_why  text        not null default '',
    switched_at   timestamptz,
    removed_at    timestamptz,          -- when the active build lost it; null while it has it
    -- Since when it runs: what was due before is not made up for. Until it runs for the first time, when it was first seen.
    since         timestamptz not null,
    last_nominal  timestamptz,          -- of a schedule: the last nominal time that was taken care of
    cursor        jsonb,                -- of a sensor, as its last successful tick left it
    position      bigint,               -- of a sensor that reads the log: how far it has read
    last_tick     bigint,               -- the newest row of ticks
    last_success  timestamptz,          -- the start of the last tick that did not fail
    last_run_key  text        not null default '',
    failures      int         not null default 0, -- in a row, until now
    failing_since timestamptz,
    primary key (location, kind, name)
) with (fillfactor = 70);

-- +goose StatementBegin
create function trigger_status_v1(p_row triggers) returns text language sql immutable as $$
    select case when p_row.removed_at is not null then 'STOPPED' else coalesce(nullif(p_row.switched, ''), p_row.declared) end
$$;
-- +goose StatementEnd

create table ticks (
    tick_id    bigint generated always as identity primary key,
    location   text        not null,
    kind       text        not null,
    name       text        not null,
    -- What the tick is, once: of a schedule its nominal time. A sensor's is any text that its evaluation chose.
    key        text        not null,
    nominal    timestamptz,
    manual     boolean     not null default false, -- a person asked for it
    status     text        not null default 'STARTED' check (status in ('STARTED', 'SKIPPED', 'SUCCESS', 'FAILURE')),
    started_at timestamptz not null,
    decided_at timestamptz,          -- since then what it starts is fixed
    ended_at   timestamptz,
    attempts   int         not null default 1,
    cause      text        not null,
    build      text        not null default '',
    runs       jsonb       not null default '[]', -- [wire.TickRun]
    skip       text        not null default '',
    error      jsonb,                             -- wire.TickError
    cursor_before jsonb,
    cursor_after  jsonb,
    partitions jsonb       not null default '[]', -- [wire.TickPartitions, with "action": "add" or "remove"]
    reports    jsonb       not null default '[]', -- [the ids of reported events]
    log        jsonb       not null default '[]', -- [wire.TickLine]
    consumed   jsonb       not null default '{}', -- what of events and records it was about, for people
    unique (location, kind, name, key)
) with (fillfactor = 50);
create index ticks_newest on ticks (location, kind, name, tick_id desc);
create index ticks_open on ticks (started_at) where status = 'STARTED';
create index ticks_ended on ticks (ended_at) where ended_at is not null;

-- Under which keys triggers have asked for runs: for ever.
create table run_keys (
    location text   not null,
    kind     text   not null,
    name     text   not null,
    run_key  text   not null,
    run_id   text   not null,
    tick_id  bigint not null,
    primary key (location, kind, name, run_key)
);

-- {location, kind, name, status ("RUNNING", "STOPPED", or "" for as it is declared), who, why} -> {"found", "changed", "trigger"}:
-- switches a schedule or sensor on or off. One that begins to run makes up for nothing from before.
-- +goose StatementBegin
create function switch_trigger_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row    triggers;
    v_before text;
    v_at     timestamptz := clock_v1();
begin
    select * into v_row from triggers
    where location = p->>'location' and kind = p->>'kind' and name = p->>'name' for update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    v_before := trigger_status_v1(v_row);
    update triggers
    set switched = p->>'status', switched_by = coalesce(p->>'who', ''), switched_why = coalesce(p->>'why', ''), switched_at = v_at
    where location = v_row.location and kind = v_row.kind and name = v_row.name returning * into v_row;
    if trigger_status_v1(v_row) = 'RUNNING' and v_before <> 'RUNNING' then
        update triggers set since = v_at, failures = 0, failing_since = null
        where location = v_row.location and kind = v_row.kind and name = v_row.name returning * into v_row;
    end if;
    if trigger_status_v1(v_row) <> v_before then
        perform append_events_v1('', '', jsonb_build_array(jsonb_build_object('type',
            upper(v_row.kind) || case trigger_status_v1(v_row) when 'RUNNING' then '_STARTED' else '_STOPPED' end,
            'body', jsonb_build_object('location', v_row.location, 'name', v_row.name, 'who', p->>'who', 'why', p->>'why'))));
    end if;
    return jsonb_build_object('found', true, 'changed', trigger_status_v1(v_row) <> v_before,
        'trigger', to_jsonb(v_row) || jsonb_build_object('status', trigger_status_v1(v_row)));
end $$;
-- +goose StatementEnd

-- {location, triggers: [{kind, name, definition, declared}]} -> {"triggers": [row, with "status"]}: what the active build of a location
-- has. What it has no longer is marked as removed; should it come back, what a person decided still holds, and nothing from in
-- between is made up for.
-- +goose StatementBegin
create function sync_triggers_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at timestamptz := clock_v1();
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure triggers ' || current_schema() || ' ' || (p->>'location'), 0));
    insert into triggers as t (location, kind, name, definition, declared, since)
    select p->>'location', n.kind, n.name, n.definition, n.declared, v_at
    from jsonb_to_recordset(p->'triggers') n(kind text, name text, definition jsonb, declared text)
    on conflict (location, kind, name) do update
    set definition = excluded.definition, declared = excluded.declared, removed_at = null,
        since = case when t.removed_at is not null
                       or t.switched = '' and t.declared = 'STOPPED' and excluded.declared = 'RUNNING' then v_at else t.since end
    where t.definition <> excluded.definition or t.declared <> excluded.declared or t.removed_at is not null;
    update triggers t set removed_at = v_at
    where t.location = p->>'location' and t.removed_at is null and not exists (
        select 1 from jsonb_to_recordset(p->'triggers') n(kind text, name text) where n.kind = t.kind and n.name = t.name);
    return jsonb_build_object('triggers', (
        select coalesce(jsonb_agg(to_jsonb(t) || jsonb_build_object('status', trigger_status_v1(t)) order by t.kind, t.name), '[]')
        from triggers t where t.location = p->>'location'));
end $$;
-- +goose StatementEnd

-- {location, kind, name, key, nominal, manual, cause, build} -> the tick's row: begins a tick, or takes one up that was begun: one that
-- was decided only has its runs started, one that has ended is over. Only what was left out unevaluated is made up for when a person asks.
-- +goose StatementBegin
create function begin_tick_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row    ticks;
    v_manual boolean := coalesce((p->>'manual')::boolean, false);
begin
    -- The trigger's row before the tick's, as everywhere.
    perform 1 from triggers where location = p->>'location' and kind = p->>'kind' and name = p->>'name' for no key update;
    insert into ticks as t (location, kind, name, key, nominal, manual, started_at, cause, build, cursor_before)
    select p->>'location', p->>'kind', p->>'name', p->>'key', (p->>'nominal')::timestamptz, v_manual, clock_v1(),
           p->>'cause', coalesce(p->>'build', ''),
           (select cursor from triggers where location = p->>'location' and kind = p->>'kind' and name = p->>'name')
    on conflict (location, kind, name, key) do update
    set attempts = t.attempts + case when t.status = 'STARTED' and t.decided_at is null then 1 else 0 end
    returning * into v_row;
    if v_manual and v_row.status = 'SKIPPED' and v_row.attempts = 0 then
        update ticks
        set status = 'STARTED', manual = true, attempts = 1, started_at = clock_v1(), decided_at = null, ended_at = null, skip = '', cause = p->>'cause',
            build = coalesce(p->>'build', '')
        where tick_id = v_row.tick_id returning * into v_row;
    end if;
    update triggers set last_tick = v_row.tick_id
    where location = v_row.location and kind = v_row.kind and name = v_row.name and v_row.tick_id > coalesce(last_tick, 0);
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- {tick_id, runs: [wire.TickRun], skip, cursor, position, add, remove: [{name, keys}], reports: [id], log, consumed, acted} -> the tick's row:
-- fixes what a tick starts, all or nothing, once: the first decision stands. Runs with a key that was asked for before become known
-- ones. Dynamic partitions are changed, the cursor moves on. A tick without new runs has ended, unless it reports events: as
-- skipped, or, when its function acted itself, in success.
-- +goose StatementBegin
create function decide_tick_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row     ticks;
    v_runs    jsonb := '[]';
    v_run     jsonb;
    v_known   text;
    v_new     int := 0;
    v_changes jsonb := '[]';
    v_change  jsonb;
    v_at      timestamptz := clock_v1();
begin
    -- The trigger's row before the tick's, as everywhere; and before the log, as whoever switches it does: changes of partitions are events.
    perform 1 from triggers g join ticks t using (location, kind, name) where t.tick_id = (p->>'tick_id')::bigint for no key update of g;
    select * into v_row from ticks where tick_id = (p->>'tick_id')::bigint for update;
    if not found or v_row.decided_at is not null or v_row.status <> 'STARTED' then
        return to_jsonb(v_row);
    end if;
    for v_run in select value from jsonb_array_elements(coalesce(nullif(p->'runs', 'null'), '[]')) loop
        v_known := null;
        if coalesce(v_run->>'run_key', '') <> '' then
            insert into run_keys (location, kind, name, run_key, run_id, tick_id)
            values (v_row.location, v_row.kind, v_row.name,
                    case when v_row.nominal is null then '' else v_row.key || ' ' end || (v_run->>'run_key'), v_run->>'run_id', v_row.tick_id)
            on conflict do nothing;
            if not found then
                select run_id into v_known from run_keys
                where location = v_row.location and kind = v_row.kind and name = v_row.name
                  and run_key = case when v_row.nominal is null then '' else v_row.key || ' ' end || (v_run->>'run_key');
            end if;
        end if;
        if v_known is not null then
            v_run := v_run || jsonb_build_object('run_id', v_known, 'known', true);
        else
            v_new := v_new + 1;
        end if;
        v_runs := v_runs || jsonb_build_array(v_run);
    end loop;
    for v_change in
        select value || '{"action":"add"}' from jsonb_array_elements(coalesce(nullif(p->'add', 'null'), '[]'))
        union all
        select value || '{"action":"remove"}' from jsonb_array_elements(coalesce(nullif(p->'remove', 'null'), '[]'))
    loop
        v_changes := v_changes || jsonb_build_array(v_change || jsonb_build_object('changed', (
            case v_change->>'action' when 'add' then add_partitions_v1(v_change || jsonb_build_object('who', v_row.kind || ' ' || v_row.name, 'why', ''))
                else remove_partitions_v1(v_change || jsonb_build_object('who', v_row.kind || ' ' || v_row.name, 'why', '')) end)->'changed'));
    end loop;
    update ticks
    set decided_at = v_at, runs = v_runs, skip = coalesce(nullif(p->>'skip', ''), case when v_new = 0 and v_runs <> '[]'
            and coalesce(nullif(p->'reports', 'null'), '[]') = '[]' then 'all that it asks for was asked for before' end, ''),
        cursor_after = coalesce(nullif(p->'cursor', 'null'), cursor_before),
        partitions = v_changes, reports = coalesce(nullif(p->'reports', 'null'), '[]'), log = coalesce(nullif(p->'log', 'null'), '[]'),
        consumed = coalesce(nullif(p->'consumed', 'null'), '{}')
    where tick_id = v_row.tick_id returning * into v_row;
    update triggers
    set cursor = coalesce(nullif(p->'cursor', 'null'), cursor), position = coalesce((p->>'position')::bigint, position),
        last_run_key = coalesce((
            select r.value->>'run_key' from jsonb_array_elements(v_runs) with ordinality r(value, place)
            where coalesce(r.value->>'run_key', '') <> '' order by r.place desc limit 1), last_run_key)
    where location = v_row.location and kind = v_row.kind and name = v_row.name;
    if v_new = 0 and v_row.reports = '[]' then
        return end_tick_v1(jsonb_build_object('tick_id', v_row.tick_id,
            'status', case when (p->>'acted')::boolean then 'SUCCESS' else 'SKIPPED' end));
    end if;
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- {tick_id, status, error, log, skip, failed_runs: {run_id: why}} -> the tick's row: ends a tick. One that has ended stays as it is. A failure is counted with
-- the trigger's others in a row; anything else ends that row.
-- +goose StatementBegin
create function end_tick_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row ticks;
    v_at  timestamptz := clock_v1();
begin
    -- The trigger's row before the tick's, as everywhere.
    perform 1 from triggers g join ticks t using (location, kind, name) where t.tick_id = (p->>'tick_id')::bigint for no key update of g;
    update ticks
    set status = p->>'status', ended_at = v_at, error = nullif(p->'error', 'null'), skip = coalesce(nullif(p->>'skip', ''), skip),
        log = case when jsonb_typeof(p->'log') = 'array' then p->'log' else log end,
        runs = case when coalesce(p->'failed_runs', '{}') in ('{}', 'null') then runs else (
            select jsonb_agg(r.value || case when p->'failed_runs' ? (r.value->>'run_id')
                    then jsonb_build_object('error', p->'failed_runs'->(r.value->>'run_id')) else '{}' end order by r.place)
            from jsonb_array_elements(runs) with ordinality r(value, place)) end
    where tick_id = (p->>'tick_id')::bigint and status = 'STARTED' returning * into v_row;
    if not found then
        return (select to_jsonb(t) from ticks t where tick_id = (p->>'tick_id')::bigint);
    end if;
    update triggers
    set failures = case v_row.status when 'FAILURE' then failures + 1 else 0 end,
        failing_since = case v_row.status when 'FAILURE' then coalesce(failing_since, v_row.started_at) end,
        last_success = case v_row.status when 'FAILURE' then last_success else v_row.started_at end
    where location = v_row.location and kind = v_row.kind and name = v_row.name;
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- {skipped, others (nanoseconds; 0 keeps them), limit} -> {"deleted"}: deletes ticks that ended longer ago. A schedule's newest
-- ones stay: nothing that they say is evaluated anew.
-- +goose StatementBegin
create function purge_ticks_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
    v_at      timestamptz := clock_v1();
begin
    with due as (
        select t.tick_id from ticks t
        where t.ended_at is not null
          and t.ended_at < v_at - nullif(case t.status when 'SKIPPED' then (p->>'skipped')::bigint else (p->>'others')::bigint end, 0) / 1000 * interval '1 microsecond'
          and not exists (select 1 from triggers g where g.last_tick = t.tick_id and g.location = t.location and g.kind = t.kind and g.name = t.name)
        order by t.ended_at limit (p->>'limit')::int for update skip locked)
    delete from ticks t using due where t.tick_id = due.tick_id;
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function purge_ticks_v1(jsonb);
drop function decide_tick_v1(jsonb);
drop function end_tick_v1(jsonb);
drop function begin_tick_v1(jsonb);
drop function sync_triggers_v1(jsonb);
drop function switch_trigger_v1(jsonb);
drop table run_keys;
drop table ticks;
drop function trigger_status_v1(triggers);
drop table triggers;
