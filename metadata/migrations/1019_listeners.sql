-- Who waits for what in the event log, and is woken when it is committed.

-- +goose Up

-- A listener reads the log from a position of its own; it only has to hear that there is something to read. Whoever appends an
-- event makes those dirty that listen for it, in the same transaction, and wakes the ones that were clean until then. A
-- listener becomes clean before it reads, so that what is committed while it reads makes it dirty again. Both is done under the
-- lock of log_head: what one becomes clean of it sees, what it does not see makes it dirty.
create table listeners (
    id          text primary key,        -- the workflow that is woken
    -- What the wake starts when the workflow is not there, and where; '' starts nothing.
    workflow    text        not null default '',
    queue       text        not null default '',
    location    text        not null default '',
    kind        text        not null,    -- what listens: of a trigger its kind and name
    name        text        not null,
    dirty       boolean     not null default false,
    dirty_since timestamptz,
    woken_at    timestamptz              -- when it was last woken again because it stayed dirty
) with (fillfactor = 50);
create index listeners_dirty on listeners (dirty_since) where dirty;

-- Which events a listener listens for. '' is any asset, run, location or job.
create table subscriptions (
    type     text not null,
    asset    text not null default '',
    run_id   text not null default '',
    location text not null default '', -- of the event's run
    job      text not null default '', -- of the event's run
    listener text not null references listeners (id) on delete cascade,
    primary key (type, asset, run_id, location, job, listener)
);
create index subscriptions_listener on subscriptions (listener);

-- Who listens for one of some events of a run: p_types and p_assets are of the same length.
-- +goose StatementBegin
create function listening_v1(p_run text, p_types text[], p_assets text[]) returns text[] language plpgsql stable
-- Everybody waits for it: it is planned once, by the index, however small the tables are then.
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_location text;
    v_job      text;
begin
    if p_run <> '' then
        select location, job into v_location, v_job from runs where run_id = p_run;
    end if;
    return array(
        select distinct s.listener from (select distinct e.type, e.asset from unnest(p_types, p_assets) e(type, asset)) e
        -- Looked up for each event: a join may read all subscriptions.
        cross join lateral (
            select n.listener from subscriptions n
            where n.type = e.type and n.asset in ('', e.asset) and (n.run_id = '' or n.run_id = p_run)
              and (n.location = '' or n.location = v_location) and (n.job = '' or n.job = v_job)
            offset 0) s);
end $$;
-- +goose StatementEnd

-- Makes those dirty that listen for one of some events, and returns the ones to wake ([metadata.Wake]): those that were clean.
-- Null is nobody. It is called under the lock of log_head.
-- +goose StatementBegin
create function mark_listeners_v1(p_run text, p_types text[], p_assets text[]) returns jsonb language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    v_ids   text[] := listening_v1(p_run, p_types, p_assets);
    v_wakes jsonb;
begin
    if v_ids = '{}' then
        return null;
    end if;
    with marked as (
        update listeners l set dirty = true, dirty_since = clock_v1(), woken_at = null
        where not l.dirty and l.id = any (v_ids)
        returning l.id, l.workflow, l.queue)
    select jsonb_agg(jsonb_build_object('id', id, 'workflow', workflow, 'queue', queue) order by id) into v_wakes from marked;
    return v_wakes;
end $$;
-- +goose StatementEnd

-- Those who listen for one of some events and are dirty still ([metadata.Wake]; null is nobody): of a commit that is found done nobody
-- knows whether whoever made it came to wake them.
-- +goose StatementBegin
create function still_dirty_v1(p_run text, p_types text[], p_assets text[]) returns jsonb language plpgsql stable as $$
begin
    if not exists (select 1 from log_head where listened && p_types) then
        return null;
    end if;
    return (
        select jsonb_agg(jsonb_build_object('id', id, 'workflow', workflow, 'queue', queue) order by id)
        from listeners where dirty and id = any (listening_v1(p_run, p_types, p_assets)));
end $$;
-- +goose StatementEnd

-- An answer with whom to wake: whoever reads it does so. Like all that each run or step calls it is plpgsql, which keeps its plans; what is
-- in SQL and not inlined is planned at each call.
-- +goose StatementBegin
create function with_wakes_v1(p_answer jsonb, p_wakes jsonb) returns jsonb language plpgsql immutable as $$
begin
    return case when p_wakes is null then p_answer else p_answer || jsonb_build_object('wakes', p_wakes) end;
end $$;
-- +goose StatementEnd

-- Says in log_head what anybody listens for. The row is locked.
-- +goose StatementBegin
create function note_listened_v1() returns void language sql volatile as $$
    update log_head h set listened = n.types
    from (select array(select distinct type from subscriptions order by type)) n(types) where h.listened <> n.types
$$;
-- +goose StatementEnd

-- {id, workflow, queue, location, kind, name, from_end, subscriptions: [{type, asset, run_id, location, job}]} -> {"changed", "wakes"}:
-- a listener listens for this, and for nothing else, from now on. One that begins to listen, or listens for something new, is
-- dirty: there may be something for it already. A sensor that has read nothing yet begins at the log's present end, if from_end.
-- +goose StatementBegin
create function subscribe_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_head int8;
    v_new  boolean;
    v_more boolean;
begin
    if exists (
            select 1 from listeners l where l.id = p->>'id' and l.workflow = coalesce(p->>'workflow', '') and l.queue = coalesce(p->>'queue', '')
            and l.location = coalesce(p->>'location', '') and l.kind = p->>'kind' and l.name = p->>'name')
        and not exists (
            (select type, asset, run_id, location, job from subscriptions where listener = p->>'id'
             except select type, asset, run_id, location, job from given_subscriptions_v1(p))
            union all
            (select type, asset, run_id, location, job from given_subscriptions_v1(p)
             except select type, asset, run_id, location, job from subscriptions where listener = p->>'id')) then
        return '{"changed":false}';
    end if;

    perform 1 from triggers where location = p->>'location' and kind = p->>'kind' and name = p->>'name' for update;
    select position into v_head from log_head for update;
    if (p->>'from_end')::boolean then
        update triggers set position = v_head
        where location = p->>'location' and kind = p->>'kind' and name = p->>'name' and position is null;
    end if;
    v_new := not exists (select 1 from listeners where id = p->>'id');
    insert into listeners (id, workflow, queue, location, kind, name)
    values (p->>'id', coalesce(p->>'workflow', ''), coalesce(p->>'queue', ''), coalesce(p->>'location', ''), p->>'kind', p->>'name')
    on conflict (id) do update
    set workflow = excluded.workflow, queue = excluded.queue, location = excluded.location, kind = excluded.kind, name = excluded.name;
    delete from subscriptions s where s.listener = p->>'id' and not exists (
        select 1 from given_subscriptions_v1(p) g
        where (g.type, g.asset, g.run_id, g.location, g.job) = (s.type, s.asset, s.run_id, s.location, s.job));
    insert into subscriptions (type, asset, run_id, location, job, listener)
    select type, asset, run_id, location, job, p->>'id' from given_subscriptions_v1(p)
    on conflict do nothing;
    v_more := found;
    perform note_listened_v1();
    update listeners set dirty = true, dirty_since = clock_v1(), woken_at = null
    where id = p->>'id' and (v_new or v_more) and not dirty;
    return with_wakes_v1('{"changed":true}', case when found then jsonb_build_array(jsonb_build_object(
        'id', p->>'id', 'workflow', coalesce(p->>'workflow', ''), 'queue', coalesce(p->>'queue', ''))) end);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function given_subscriptions_v1(p jsonb, out type text, out asset text, out run_id text, out location text, out job text)
returns setof record language sql immutable as $$
    select distinct g.type, coalesce(g.asset, ''), coalesce(g.run_id, ''), coalesce(g.location, ''), coalesce(g.job, '')
    from jsonb_to_recordset(p->'subscriptions') g(type text, asset text, run_id text, location text, job text)
$$;
-- +goose StatementEnd

-- {ids} -> {}: these listen no more.
-- +goose StatementBegin
create function unsubscribe_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_ids text[] := array(select l.id from listeners l where l.id in (select jsonb_array_elements_text(p->'ids')) order by l.id);
begin
    if v_ids <> '{}' then
        perform 1 from log_head for update;
        delete from listeners where id = any (v_ids);
        perform note_listened_v1();
    end if;
    return '{}';
end $$;
-- +goose StatementEnd

-- {id} -> {"found", "dirty"}: the listener is about to read the log. dirty says whether it was woken since it read last.
-- A crash of Postgres may lose that, for nobody waits for its disk: then it reads once more.
-- +goose StatementBegin
create function clean_listener_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_dirty boolean;
begin
    perform set_config('synchronous_commit', 'off', true);
    select dirty into v_dirty from listeners where id = p->>'id';
    if v_dirty then
        perform 1 from log_head for update;
        update listeners set dirty = false, dirty_since = null, woken_at = null where id = p->>'id';
    end if;
    return jsonb_build_object('found', v_dirty is not null, 'dirty', coalesce(v_dirty, false));
end $$;
-- +goose StatementEnd

-- {after, again (nanoseconds), limit} -> {"unheard": [metadata.Wake]}: the listeners that have been dirty for longer than after: their
-- wake was lost, or they are busy. Each is returned again only after a longer while. That nobody else returns them is noted at
-- once: see unwoken_v1.
-- +goose StatementBegin
create function unheard_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at      timestamptz := clock_v1();
    v_unheard jsonb;
begin
    perform set_config('synchronous_commit', 'off', true);
    with due as (
        select l.id from listeners l
        where l.dirty and l.dirty_since < v_at - (p->>'after')::bigint / 1000 * interval '1 microsecond'
          and (l.woken_at is null or l.woken_at < v_at - (p->>'again')::bigint / 1000 * interval '1 microsecond')
        order by l.dirty_since limit (p->>'limit')::int for update skip locked
    ), taken as (
        update listeners l set woken_at = v_at from due where l.id = due.id returning l.id, l.workflow, l.queue)
    select jsonb_agg(jsonb_build_object('id', id, 'workflow', workflow, 'queue', queue) order by id) into v_unheard from taken;
    return jsonb_build_object('unheard', coalesce(v_unheard, '[]'));
end $$;
-- +goose StatementEnd

-- {ids} -> {}: these could not be woken: it is to be tried again soon.
-- +goose StatementBegin
create function unwoken_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    update listeners set woken_at = null where dirty and id in (select jsonb_array_elements_text(p->'ids'));
    return '{}';
end $$;
-- +goose StatementEnd

-- Records on the runs that a run-status sensor was called for ([{run, problem}]) that it was. It takes positions of the log.
-- +goose StatementBegin
create function record_reactions_v1(p_tick ticks, p_reactions jsonb) returns void language sql volatile as $$
    select append_events_v1(r.value->>'run', coalesce((select cause from runs where run_id = r.value->>'run'), ''), jsonb_build_array(
        jsonb_build_object('type', 'SENSOR_REACTED', 'body', jsonb_build_object('location', p_tick.location, 'sensor', p_tick.name,
            'tick', p_tick.tick_id) || case when r.value ? 'problem' then jsonb_build_object('problem', r.value->'problem') else '{}' end)))
    from jsonb_array_elements(coalesce(nullif(p_reactions, 'null'), '[]')) with ordinality r(value, place) order by r.place
$$;
-- +goose StatementEnd

-- end_tick_v1's argument and {position, reactions: [{run, problem}]} -> the tick's row: ends a tick that was not decided because its
-- function failed for a run. The sensor's position moves on all the same: what the function did before it failed is not done again.
-- +goose StatementBegin
create function fail_reading_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_tick ticks;
begin
    select * into v_tick from ticks where tick_id = (p->>'tick_id')::bigint;
    -- The sensor's row before the tick's, as decide_sensor_tick_v1 does.
    perform 1 from triggers where location = v_tick.location and kind = v_tick.kind and name = v_tick.name for no key update;
    select * into v_tick from ticks where tick_id = (p->>'tick_id')::bigint for update;
    if v_tick.status <> 'STARTED' or v_tick.decided_at is not null then
        return to_jsonb(v_tick);
    end if;
    perform end_tick_v1(p);
    update triggers set position = (p->>'position')::bigint
    where location = v_tick.location and kind = v_tick.kind and name = v_tick.name;
    perform record_reactions_v1(v_tick, p->'reactions');
    return (select to_jsonb(t) from ticks t where tick_id = v_tick.tick_id);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function fail_reading_v1(jsonb);
drop function record_reactions_v1(ticks, jsonb);
drop function unwoken_v1(jsonb);
drop function unheard_v1(jsonb);
drop function clean_listener_v1(jsonb);
drop function unsubscribe_v1(jsonb);
drop function subscribe_v1(jsonb);
drop function given_subscriptions_v1(jsonb);
drop function note_listened_v1();
drop function with_wakes_v1(jsonb, jsonb);
drop function still_dirty_v1(text, text[], text[]);
drop function mark_listeners_v1(text, text[], text[]);
drop function listening_v1(text, text[], text[]);
drop table subscriptions;
drop table listeners;
update log_head set listened = '{}';
