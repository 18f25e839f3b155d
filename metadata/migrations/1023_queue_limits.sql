-- Changes of limits while runs are in progress, and what looks after the queue when somebody died.

-- +goose Up

-- After the limits were changed, all that follows of it: which limits each run is under, and which runs have places. The caller holds the
-- limits' lock alone and has locked queue_head. Returns as admit_next_v1.
-- +goose StatementBegin
create function relimit_runs_v1() returns jsonb language plpgsql as $$
declare
    v_before  boolean;
    v_limited boolean := queue_limited_v1();
begin
    select limited into v_before from queue_head;
    if not v_before and not v_limited and not exists (select 1 from queue_entries) then
        return '[]';
    end if;
    update queue_head set limited = v_limited where limited <> v_limited;
    delete from queue_classes;
    delete from queue_holds;
    if v_limited then
        -- Those that began while there were no limits.
        insert into queue_entries (run_id, priority, needs, class, cause, enqueued_at, admitted_at, noticed_at)
        select r.run_id, r.priority, '[]', '', r.cause, r.created_at, r.started_at, r.started_at
        from runs r where r.status in ('STARTED', 'CANCELING') and r.started_at is not null
        order by r.created_at, r.run_id
        on conflict (run_id) do nothing;
    end if;
    update queue_entries e set needs = n.needs, class = md5(n.needs::text)
    from (select r.run_id, run_needs_v1(r.tags, r.pools) as needs from queue_entries join runs r using (run_id)) n
    where n.run_id = e.run_id and (e.needs <> n.needs or e.class = '');
    insert into queue_holds (key, run_id)
    select 'runs', run_id from queue_entries where admitted_at is not null
    union all
    select n.value->>'key', e.run_id from queue_entries e cross join lateral jsonb_array_elements(e.needs) n where e.admitted_at is not null;
    insert into queue_classes (class, needs, head_priority, head_seq)
    select distinct on (class) class, needs, priority, seq from queue_entries where admitted_at is null order by class, priority, seq;
    return admit_next_v1(null, 2147483647);
end $$;
-- +goose StatementEnd

-- After the limits of pools were changed, all that follows of it: a pool that has a limit now counts the steps that run in it, unless it is
-- one of p_counted, which had one before: a step that runs there without a slot had it taken away. A pool that has no limit any more needs
-- no slots. Returns [{run_id, step}].
-- +goose StatementBegin
create function relimit_pools_v1(p_pools text[], p_counted text[]) returns jsonb language plpgsql as $$
declare
    v_pool    record;
    v_granted jsonb := '[]';
begin
    perform lock_pools_v1(p_pools);
    for v_pool in
        select u.pool, e.o_limit, e.o_granularity from unnest(p_pools) u(pool) cross join lateral pool_limit_v1(u.pool) e order by u.pool
    loop
        if v_pool.o_limit is null or v_pool.o_granularity = 'run' then
            v_granted := v_granted || grant_slots_v1(v_pool.pool, 2147483647);
            delete from slots where pool = v_pool.pool;
            continue;
        end if;
        insert into slots (run_id, step, pool, scheduled, priority, step_order, asked_at, granted_at, noticed_at)
        select r.run_id, s.step, v_pool.pool, s.scheduled, r.priority, 0, s.claimed_at, s.claimed_at, s.claimed_at
        from runs r join plan_steps ps on ps.run_id = r.run_id and ps.pool = v_pool.pool
        join steps s on s.run_id = ps.run_id and s.step = ps.step and s.state = 'open' and s.claimed_at is not null
        where r.status in ('STARTED', 'CANCELING') and v_pool.pool = any (r.pools) and v_pool.pool <> all (coalesce(p_counted, '{}'))
        on conflict (run_id, step) do nothing;
        v_granted := v_granted || grant_slots_v1(v_pool.pool, v_pool.o_limit);
    end loop;
    return v_granted;
end $$;
-- +goose StatementEnd

-- {max_concurrent_runs (-1 is no bound), tag_limits, default_pool_limit, pool_granularity, who, why, configured} -> {"changed", "admitted":
-- [{run_id, steps}]}: sets limits; what is absent stays. configured is set when it is the configuration that is applied: a second time the
-- same changes nothing, whatever was set since.
-- +goose StatementBegin
create function set_queue_limits_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row      queue_head;
    v_new      queue_head;
    v_pools    text[];
    v_counted  text[]; -- those of them that had a limit on steps
    v_admitted jsonb;
    v_granted  jsonb := '[]';
    v_wakes    jsonb;
begin
    if p ? 'configured' and exists (select 1 from queue_head where configured = p->'configured') then
        return '{"changed":false}';
    end if;
    perform pg_advisory_xact_lock(limits_lock_v1());
    select * into v_row from queue_head for update;
    if p ? 'configured' and v_row.configured = p->'configured' then
        return '{"changed":false}';
    end if;
    if v_row.configured is null and v_row.set_at is not null
        and p->'configured' = '{"max_concurrent_runs":-1,"tag_limits":[],"default_pool_limit":0,"pool_granularity":"step"}' then
        -- The first configuration says nothing, and a person has said something before it.
        update queue_head set configured = p->'configured';
        return '{"changed":false}';
    end if;
    update queue_head
    set max_concurrent_runs = case when p ? 'max_concurrent_runs' then nullif((p->>'max_concurrent_runs')::int, -1) else max_concurrent_runs end,
        tag_limits = coalesce(p->'tag_limits', tag_limits), default_pool_limit = coalesce((p->>'default_pool_limit')::int, default_pool_limit),
        pool_granularity = coalesce(p->>'pool_granularity', pool_granularity), configured = coalesce(p->'configured', configured)
    returning * into v_new;
    if v_new.max_concurrent_runs is not distinct from v_row.max_concurrent_runs and v_new.tag_limits = v_row.tag_limits
        and v_new.default_pool_limit = v_row.default_pool_limit and v_new.pool_granularity = v_row.pool_granularity then
        return '{"changed":false}';
    end if;
    update queue_head set set_by = p->>'who', set_why = p->>'why', set_at = clock_v1();
    v_admitted := relimit_runs_v1();
    if v_new.default_pool_limit <> v_row.default_pool_limit or v_new.pool_granularity <> v_row.pool_granularity then
        insert into pools (pool)
        select u.pool from (
            select distinct unnest(r.pools) as pool from runs r where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')) u
        order by u.pool collate "C"
        on conflict (pool) do nothing;
        select array_agg(pool), array_agg(pool) filter (
            where coalesce(slot_limit, nullif(v_row.default_pool_limit, 0), -1) >= 0 and coalesce(granularity, v_row.pool_granularity) = 'step')
        into v_pools, v_counted from pools where slot_limit is null or granularity is null;
        v_granted := relimit_pools_v1(v_pools, v_counted);
    end if;
    select o_wakes into v_wakes
    from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'QUEUE_LIMITS_SET', 'body', jsonb_build_object(
        'max_concurrent_runs', coalesce(v_new.max_concurrent_runs, -1), 'tag_limits', v_new.tag_limits,
        'default_pool_limit', v_new.default_pool_limit, 'pool_granularity', v_new.pool_granularity, 'who', p->'who', 'why', p->'why'))));
    return with_wakes_v1(jsonb_build_object('changed', true, 'admitted', to_wake_v1(v_admitted, v_granted)), append_starting_v1(v_admitted, v_wakes));
end $$;
-- +goose StatementEnd

-- {pool, limit (-1 is none, null the default's), granularity ('' is the default's), who, why} -> {"changed", "admitted": [{run_id, steps}]}.
-- +goose StatementBegin
create function set_pool_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_before   pools;
    v_new      pools;
    v_counted  text[]; -- the pool, when it had a limit on steps
    v_admitted jsonb;
    v_granted  jsonb;
    v_wakes    jsonb;
begin
    perform pg_advisory_xact_lock(limits_lock_v1());
    perform 1 from queue_head for update;
    select * into v_before from pools where pool = p->>'pool';
    select array[p->>'pool'] into v_counted from pool_limit_v1(p->>'pool') e where e.o_limit is not null and e.o_granularity = 'step';
    insert into pools as o (pool, slot_limit, granularity, set_by, set_why, set_at)
    values (p->>'pool', (p->>'limit')::int, nullif(p->>'granularity', ''), p->>'who', p->>'why', clock_v1())
    on conflict (pool) do update
    set slot_limit = excluded.slot_limit, granularity = excluded.granularity, set_by = excluded.set_by, set_why = excluded.set_why, set_at = excluded.set_at
    returning * into v_new;
    if v_new.slot_limit is not distinct from v_before.slot_limit and v_new.granularity is not distinct from v_before.granularity then
        return '{"changed":false}';
    end if;
    v_admitted := relimit_runs_v1();
    v_granted := relimit_pools_v1(array[p->>'pool'], v_counted);
    select o_wakes into v_wakes
    from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'POOL_SET', 'body', jsonb_build_object(
        'pool', p->'pool', 'limit', v_new.slot_limit, 'granularity', v_new.granularity, 'who', p->'who', 'why', p->'why'))));
    return with_wakes_v1(jsonb_build_object('changed', true, 'admitted', to_wake_v1(v_admitted, v_granted)), append_starting_v1(v_admitted, v_wakes));
end $$;
-- +goose StatementEnd

-- Whether what was granted and nobody noticed is to be named again: the first time after p_after, then after ever longer, at most a minute.
-- +goose StatementBegin
create function wake_due_v1(p_granted timestamptz, p_woken timestamptz, p_after interval) returns boolean language sql volatile as $$
    select clock_v1() - coalesce(p_woken, p_granted) > greatest(p_after, least(coalesce(p_woken - p_granted, interval '0'), interval '1 minute'))
$$;
-- +goose StatementEnd

-- {unnoticed (nanoseconds), limit} -> {"admitted": [{run_id, steps}], "waiting_runs", "waiting_steps", "reclaimed_runs", "reclaimed_slots"}:
-- admits whatever has room, and takes back what its owner left: places and entries of runs that have ended or are forgotten, slots of
-- those and of steps that have ended. What was granted longer ago than unnoticed and nobody took note of is among admitted again, ever
-- less often.
-- +goose StatementBegin
create function admit_runs_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_limit     int := coalesce((p->>'limit')::int, 1000);
    v_unnoticed interval := coalesce((p->>'unnoticed')::bigint, 2000000000) / 1000 * interval '1 microsecond';
    v_gone      text[];
    v_slots     jsonb;
    v_pools     text[];
    v_admitted  jsonb := '[]';
    v_granted   jsonb := '[]';
    v_again     jsonb;
    v_freed     text[];
begin
    perform pg_advisory_xact_lock_shared(limits_lock_v1());
    -- What is found without a lock is still so with one: an ended run that is reopened has an entry of its own making, and is not ended.
    select array_agg(e.run_id) into v_gone from queue_entries e left join runs r using (run_id)
    where r.run_id is null or run_ended_v1(r.status) or e.admitted_at is null and r.status <> 'QUEUED';
    if v_gone is not null or exists (select 1 from queue_classes) then
        perform 1 from queue_head for update;
        if v_gone is not null then
            with gone as (
                delete from queue_entries e
                where e.run_id = any (v_gone) and not exists (
                    select 1 from runs r where r.run_id = e.run_id and case when e.admitted_at is null then r.status = 'QUEUED' else not run_ended_v1(r.status) end)
                returning e.run_id, e.class, e.admitted_at)
            select array_agg(run_id), array_agg(distinct class) filter (where admitted_at is null) into v_gone, v_freed from gone;
            delete from queue_holds where run_id = any (v_gone);
            perform set_head_v1(c.class, c.blocked_by) from queue_classes c where c.class = any (v_freed);
        end if;
        v_admitted := admit_next_v1(null, v_limit);
    end if;

    select coalesce(jsonb_agg(jsonb_build_object('run_id', l.run_id, 'step', l.step)), '[]'), array_agg(distinct l.pool) into v_slots, v_pools
    from slots l left join runs r using (run_id) left join steps s on s.run_id = l.run_id and s.step = l.step
    where r.run_id is null or run_ended_v1(r.status) or s.state <> 'open' and s.scheduled >= l.scheduled;
    select array_agg(distinct pool) into v_pools from (
        select unnest(v_pools) as pool union select pool from slots where granted_at is null) u;
    if v_pools is not null then
        perform lock_pools_v1(v_pools);
        with gone as (
            delete from slots l using jsonb_to_recordset(v_slots) g(run_id text, step text)
            where l.run_id = g.run_id and l.step = g.step and (
                not exists (select 1 from runs r where r.run_id = l.run_id and not run_ended_v1(r.status))
                or exists (select 1 from steps s where s.run_id = l.run_id and s.step = l.step and s.state <> 'open' and s.scheduled >= l.scheduled))
            returning l.run_id, l.step)
        select coalesce(jsonb_agg(to_jsonb(gone)), '[]') into v_slots from gone;
        for i in 1 .. cardinality(v_pools) loop
            v_granted := v_granted || grant_slots_v1(v_pools[i], (select coalesce(case o_granularity when 'step' then o_limit end, 2147483647) from pool_limit_v1(v_pools[i])));
        end loop;
    end if;

    with runs_due as (
        select run_id from queue_entries
        where admitted_at is not null and noticed_at is null and wake_due_v1(admitted_at, woken_at, v_unnoticed)
        order by admitted_at limit v_limit for update skip locked
    ), runs_again as (
        update queue_entries e set woken_at = clock_v1() from runs_due d where e.run_id = d.run_id returning e.run_id
    ), steps_due as (
        select l.run_id, l.step from slots l
        where l.granted_at is not null and l.noticed_at is null and wake_due_v1(l.granted_at, l.woken_at, v_unnoticed) and not exists (
            select 1 from steps s where s.run_id = l.run_id and s.step = l.step and s.claimed_at >= l.granted_at)
        order by l.granted_at limit v_limit for update skip locked
    ), steps_again as (
        update slots l set woken_at = clock_v1() from steps_due d where l.run_id = d.run_id and l.step = d.step returning l.run_id, l.step)
    select coalesce(jsonb_agg(a), '[]') into v_again from (
        select jsonb_build_object('run_id', run_id) as a from runs_again
        union all
        select jsonb_build_object('run_id', run_id, 'step', step) from steps_again) g;
    return with_wakes_v1(jsonb_build_object('admitted', to_wake_v1(v_admitted || v_again, v_granted),
        'waiting_runs', (select count(*) from queue_entries where admitted_at is null),
        'waiting_steps', (select count(*) from slots where granted_at is null),
        'reclaimed_runs', coalesce(cardinality(v_gone), 0), 'reclaimed_slots', jsonb_array_length(v_slots)), append_starting_v1(v_admitted));
end $$;
-- +goose StatementEnd

-- +goose Down
drop function admit_runs_v1(jsonb);
drop function wake_due_v1(timestamptz, timestamptz, interval);
drop function set_pool_v1(jsonb);
drop function set_queue_limits_v1(jsonb);
drop function relimit_pools_v1(text[], text[]);
drop function relimit_runs_v1();
