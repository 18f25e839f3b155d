-- Slots of pools: steps that wait for one, and those that hold one.

-- +goose Up

-- Slots of pools that steps wait for (granted_at is null) or hold: the leases.
create table slots (
    run_id     text        not null,
    step       text        not null,
    pool       text        not null,
    scheduled  bigint      not null, -- Temporal's time of the asking, in nanoseconds: a step that was scheduled later and has ended needs none
    priority   int         not null, -- the run's
    step_order int         not null, -- the greater goes first
    seq        bigint generated always as identity,
    asked_at   timestamptz not null,
    granted_at timestamptz,
    noticed_at timestamptz,
    woken_at   timestamptz, -- as in queue_entries
    primary key (run_id, step)
) with (fillfactor = 70);
create index slots_waiting on slots (pool, priority, step_order desc, seq) where granted_at is null;
create index slots_held on slots (pool, granted_at) where granted_at is not null;
create index slots_unnoticed on slots (granted_at) where granted_at is not null and noticed_at is null;

-- Locks pools, in the order of their names.
-- +goose StatementBegin
create function lock_pools_v1(p_pools text[]) returns void language plpgsql as $$
begin
    perform 1 from pools where pool = any (p_pools) order by pool collate "C" for update;
end $$;
-- +goose StatementEnd

-- Gives free slots of a pool to the first who wait: by the run's priority, the step's order, then by when they asked. p_limit null
-- gives to all. The caller has locked the pool. Returns [{run_id, step}]. What somebody else has locked is just being taken away.
-- +goose StatementBegin
create function grant_slots_v1(p_pool text, p_limit int) returns jsonb language plpgsql as $$
declare
    v_room    int := p_limit - (select count(*) from (
        select 1 from slots where pool = p_pool and granted_at is not null limit p_limit) h);
    v_at      timestamptz := clock_v1();
    v_granted jsonb;
begin
    if v_room <= 0 then
        return '[]';
    end if;
    with first as (
        select s.run_id, s.step from slots s
        where s.pool = p_pool and s.granted_at is null
          and exists (select 1 from runs r where r.run_id = s.run_id and not run_ended_v1(r.status))
        order by s.priority, s.step_order desc, s.seq limit v_room for update of s skip locked
    ), granted as (
        update slots s set granted_at = v_at from first where s.run_id = first.run_id and s.step = first.step
        returning s.run_id, s.step)
    select coalesce(jsonb_agg(jsonb_build_object('run_id', run_id, 'step', step)), '[]') into v_granted from granted;
    return v_granted;
end $$;
-- +goose StatementEnd

-- Gives up the slots that steps of a run hold or wait for; p_steps null is all of them. What is free then is handed on at once:
-- [{run_id, step}].
-- +goose StatementBegin
create function free_slots_v1(p_run text, p_steps text[]) returns jsonb language plpgsql as $$
declare
    v_pools   text[];
    v_granted jsonb := '[]';
begin
    select array_agg(distinct pool order by pool) into v_pools from slots where run_id = p_run and (p_steps is null or step = any (p_steps));
    if v_pools is null then
        return '[]';
    end if;
    perform lock_pools_v1(v_pools);
    delete from slots where run_id = p_run and (p_steps is null or step = any (p_steps));
    for i in 1 .. cardinality(v_pools) loop
        v_granted := v_granted || grant_slots_v1(v_pools[i], (select o_limit from pool_limit_v1(v_pools[i])));
    end loop;
    return v_granted;
end $$;
-- +goose StatementEnd

-- Of some steps of a run, which were closed at p_scheduled (0 is now), gives up the slots of those that have ended, as free_slots_v1.
-- +goose StatementBegin
create function free_ended_slots_v1(p_run text, p_scheduled bigint, p_steps text[]) returns jsonb language plpgsql as $$
declare
    v_ended text[];
begin
    select array_agg(l.step) into v_ended from slots l join steps s using (run_id, step)
    where l.run_id = p_run and l.step = any (p_steps) and s.state <> 'open' and (s.scheduled >= l.scheduled or p_scheduled = 0);
    return case when v_ended is null then '[]' else free_slots_v1(p_run, v_ended) end;
end $$;
-- +goose StatementEnd

-- For what a step waits, and who holds it.
-- +goose StatementBegin
create function slot_reason_v1(p_pool text) returns text language sql stable as $$
    select case when e.o_limit = 0 then format('waits for a slot of the pool %s, whose limit is 0', p_pool)
        else format('waits for a slot of the pool %s: %s of %s are taken', p_pool, count(h.*), coalesce(e.o_limit::text, 'no limit'))
            || coalesce(' (' || string_agg(format('%s of run %s', h.step, h.run_id), ', ' order by h.granted_at, h.run_id, h.step)
                    filter (where h.place <= 3)
                || case when count(h.*) > 3 then format(' and %s more', count(h.*) - 3) else '' end || ')', '') end
    from pool_limit_v1(p_pool) e
    left join (select *, row_number() over (order by granted_at, run_id, step) as place from slots
               where pool = p_pool and granted_at is not null) h on true
    group by e.o_limit
$$;
-- +goose StatementEnd

-- {run_id, scheduled, steps: [{step, pool, order}]} -> {"found", "status", "granted": [step], "waiting": [{step, pool, reason}],
-- "others": [{run_id, steps}]}: grants slots to steps that are ready, where there is room, and has the others wait. A step that has
-- one keeps it. Where a pool has no limit, or counts runs, every step is granted and no row is made. Steps of a run that has ended are granted:
-- their claims say so.
-- +goose StatementBegin
create function claim_slots_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run       text   := p->>'run_id';
    v_scheduled bigint := coalesce((p->>'scheduled')::bigint, 0);
    v_row       runs;
    v_events    jsonb  := '[]';
    v_pools     text[];
    v_limits    int[]  := '{}';
    v_counted   text[] := '{}'; -- the pools that have a limit on steps
    v_limit     record;
    v_others    jsonb  := '[]';
    v_wakes     jsonb;
    v_at        timestamptz;
begin
    select * into v_row from runs where run_id = v_run;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    if run_ended_v1(v_row.status) and reopen_run_v1(v_run, v_scheduled) then
        v_events := v_events || '{"type":"RUN_RESTARTED"}';
    end if;
    perform pg_advisory_xact_lock_shared(run_lock_v1(v_run)); -- see begin_step_v1
    select * into v_row from runs where run_id = v_run;

    select array_agg(distinct c.pool) into v_pools from jsonb_to_recordset(p->'steps') c(pool text);
    -- A pool's row is what is locked. A limit that is set meanwhile is seen by the next asking.
    insert into pools (pool)
    select u.pool from unnest(v_pools) u(pool) cross join lateral pool_limit_v1(u.pool) e
    where e.o_limit is not null and e.o_granularity = 'step' order by u.pool collate "C"
    on conflict (pool) do nothing;
    -- A step that ends meanwhile waits until this is done, and gives up what it is granted here.
    perform 1 from steps where run_id = v_run and step in (select c.step from jsonb_to_recordset(p->'steps') c(step text))
    order by step for share;
    perform lock_pools_v1(v_pools);
    for v_limit in
        select u.pool, e.o_limit from unnest(v_pools) u(pool) cross join lateral pool_limit_v1(u.pool) e
        where e.o_limit is not null and e.o_granularity = 'step' order by u.pool
    loop
        v_counted := v_counted || v_limit.pool;
        v_limits := v_limits || v_limit.o_limit;
    end loop;
    if v_counted = '{}' or run_ended_v1(v_row.status) then
        select o_wakes into v_wakes from append_events_v1(v_run, v_row.cause, v_events);
        return with_wakes_v1(jsonb_build_object('found', true, 'status', v_row.status,
            'granted', (select jsonb_agg(c->'step') from jsonb_array_elements(p->'steps') c)), v_wakes);
    end if;

    v_at := clock_v1();
    insert into slots as l (run_id, step, pool, scheduled, priority, step_order, asked_at)
    select v_run, c.step, c.pool, v_scheduled, v_row.priority, coalesce(c."order", 0), v_at
    from jsonb_array_elements(p->'steps') with ordinality e(value, place)
    cross join lateral jsonb_to_record(e.value) c(step text, pool text, "order" int)
    where c.pool = any (v_counted) and not exists (
        select 1 from steps s where s.run_id = v_run and s.step = c.step and s.state <> 'open' and s.scheduled >= v_scheduled)
    order by e.place
    on conflict (run_id, step) do update set scheduled = greatest(l.scheduled, excluded.scheduled);
    for i in 1 .. cardinality(v_counted) loop
        v_others := v_others || grant_slots_v1(v_counted[i], v_limits[i]);
    end loop;
    update slots set noticed_at = v_at
    where run_id = v_run and granted_at is not null and noticed_at is null and step in (select c.step from jsonb_to_recordset(p->'steps') c(step text));
    select o_wakes into v_wakes from append_events_v1(v_run, v_row.cause, v_events);
    return with_wakes_v1(jsonb_build_object('found', true, 'status', v_row.status,
        'granted', (
            select jsonb_agg(c.value->'step' order by c.place) from jsonb_array_elements(p->'steps') with ordinality c(value, place)
            where not exists (select 1 from slots l where l.run_id = v_run and l.step = c.value->>'step' and l.granted_at is null)),
        'waiting', (
            select jsonb_agg(jsonb_build_object('step', l.step, 'pool', l.pool, 'reason', w.reason) order by c.place)
            from jsonb_array_elements(p->'steps') with ordinality c(value, place)
            join slots l on l.run_id = v_run and l.step = c.value->>'step' and l.granted_at is null
            join (select u.pool, slot_reason_v1(u.pool) as reason from unnest(v_counted) u(pool)) w on w.pool = l.pool),
        'others', (
            select jsonb_agg(value) from jsonb_array_elements(to_wake_v1('[]', v_others)) where value->>'run_id' <> v_run)), v_wakes);
end $$;
-- +goose StatementEnd

-- {run_id, steps: [step]} -> {"admitted": [{run_id, steps}]}: gives up slots that steps hold or wait for.
-- +goose StatementBegin
create function release_slots_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    return jsonb_build_object('admitted', to_wake_v1('[]',
        free_slots_v1(p->>'run_id', array(select jsonb_array_elements_text(p->'steps')))));
end $$;
-- +goose StatementEnd

-- {pool, run_id, step ('' is all), who, why} -> {"freed": [{run_id, step}], "admitted": [{run_id, steps}]}: a person takes slots away from
-- steps, which go on without.
-- +goose StatementBegin
create function seize_slots_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_freed   jsonb;
    v_granted jsonb;
begin
    perform lock_pools_v1(array[p->>'pool']);
    with freed as (
        delete from slots
        where pool = p->>'pool' and granted_at is not null and (p->>'run_id' = '' or run_id = p->>'run_id') and (p->>'step' = '' or step = p->>'step')
        returning run_id, step)
    select coalesce(jsonb_agg(jsonb_build_object('run_id', run_id, 'step', step) order by run_id, step), '[]') into v_freed from freed;
    if v_freed = '[]' then
        return jsonb_build_object('freed', v_freed);
    end if;
    v_granted := grant_slots_v1(p->>'pool', (select o_limit from pool_limit_v1(p->>'pool')));
    return with_wakes_v1(jsonb_build_object('freed', v_freed, 'admitted', to_wake_v1('[]', v_granted)), (
        select o_wakes from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'POOL_SLOTS_FREED', 'body',
            jsonb_build_object('pool', p->'pool', 'slots', v_freed, 'who', p->'who', 'why', p->'why'))))));
end $$;
-- +goose StatementEnd

-- +goose Down
drop function seize_slots_v1(jsonb);
drop function release_slots_v1(jsonb);
drop function claim_slots_v1(jsonb);
drop function slot_reason_v1(text);
drop function free_ended_slots_v1(text, bigint, text[]);
drop function free_slots_v1(text, text[]);
drop function grant_slots_v1(text, int);
drop function lock_pools_v1(text[]);
drop table slots;
