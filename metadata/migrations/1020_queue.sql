-- The run queue and the pools: how many runs are in progress and how many steps of a pool run at once, and who waits for that.

-- +goose Up

-- The limits, in one row. Whoever admits a run, or ends one that holds a place, locks it: the order of locks is runs, the limits'
-- lock, steps, writers, this row, pools by name, log_head.
create table queue_head (
    id                  boolean primary key default true check (id),
    max_concurrent_runs int   check (max_concurrent_runs >= 0), -- null is no bound
    tag_limits          jsonb not null default '[]',            -- [{key, value, per_value, limit}]
    default_pool_limit  int   not null default 0 check (default_pool_limit >= 0), -- of pools without a limit of their own; 0 is none
    pool_granularity    text  not null default 'step' check (pool_granularity in ('step', 'run')),
    -- Whether any limit could hold a run back. While none can, runs have no entries.
    limited             boolean not null default false,
    configured          jsonb,          -- what the configuration said when it was applied last
    set_by              text  not null default '',
    set_why             text  not null default '',
    set_at              timestamptz
) with (fillfactor = 10);
insert into queue_head default values;

-- What is known of a pool besides how many use it: what a person set, or nothing.
create table pools (
    pool        text primary key,
    slot_limit  int  check (slot_limit >= -1), -- null is the default's, -1 none
    granularity text check (granularity in ('step', 'run')), -- null is the default's
    set_by      text not null default '',
    set_why     text not null default '',
    set_at      timestamptz
) with (fillfactor = 50);

-- Runs that wait for a place (admitted_at is null), and those that hold one. A run that was admitted without waiting has noticed it.
create table queue_entries (
    run_id      text primary key,
    seq         bigint generated always as identity,
    priority    int         not null,
    needs       jsonb       not null, -- the limits that it is under: [{key, label, limit}], by key
    class       text        not null, -- of needs: those with the same needs can be admitted, or cannot, alike
    cause       text        not null default '',
    enqueued_at timestamptz not null,
    admitted_at timestamptz,
    noticed_at  timestamptz
) with (fillfactor = 70);
create index queue_entries_class on queue_entries (class, priority, seq) where admitted_at is null;
create index queue_entries_waiting on queue_entries (priority, seq) where admitted_at is null;
create index queue_entries_unnoticed on queue_entries (admitted_at) where admitted_at is not null and noticed_at is null;

-- The places: one row for each limit that an admitted run is under, and one with the key 'runs'. Rows are counted, never a
-- counter kept: what is not there is free.
create table queue_holds (
    key    text not null,
    run_id text not null,
    primary key (key, run_id)
);
create index queue_holds_run on queue_holds (run_id);

-- The classes of waiting runs, and which of each is the first. blocked_by is the key of a limit that had no room when the class was
-- looked at last: until that has room again nobody looks at the class.
create table queue_classes (
    class         text primary key,
    needs         jsonb  not null,
    blocked_by    text   not null default '',
    head_priority int    not null,
    head_seq      bigint not null
) with (fillfactor = 50);
create index queue_classes_first on queue_classes (blocked_by, head_priority, head_seq);

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
    primary key (run_id, step)
) with (fillfactor = 70);
create index slots_waiting on slots (pool, priority, step_order desc, seq) where granted_at is null;
create index slots_held on slots (pool, granted_at) where granted_at is not null;
create index slots_unnoticed on slots (granted_at) where granted_at is not null and noticed_at is null;

-- The key of the advisory lock of the limits: shared by whatever begins, ends or reopens a run, alone for a change of the limits. So a
-- change sees each run either in progress, or not.
-- +goose StatementBegin
create function limits_lock_v1() returns bigint language sql stable as $$ select hashtextextended('perdure limits ' || current_schema(), 0) $$;
-- +goose StatementEnd

-- The limit of a pool, null when it has none, and what it counts.
-- +goose StatementBegin
create function pool_limit_v1(p_pool text, out o_limit int, out o_granularity text) language sql stable as $$
    select case when p.slot_limit >= 0 then p.slot_limit when p.slot_limit is null then nullif(h.default_pool_limit, 0) end,
           coalesce(p.granularity, h.pool_granularity)
    from queue_head h left join pools p on p.pool = p_pool
$$;
-- +goose StatementEnd

-- The key of a limit: short enough for an index.
-- +goose StatementBegin
create function limit_key_v1(p_parts jsonb) returns text language sql immutable as $$
    select case when length(p_parts::text) > 200 then md5(p_parts::text) else p_parts::text end
$$;
-- +goose StatementEnd

-- The key of the limit of a pool that counts runs.
-- +goose StatementBegin
create function pool_key_v1(p_pool text) returns text language sql immutable as $$ select limit_key_v1(jsonb_build_array('pool', p_pool)) $$;
-- +goose StatementEnd

-- The limits that a run with these tags and pools is under: [{key, label, limit}], by key. The one of all runs is not among them.
-- +goose StatementBegin
create function run_needs_v1(p_tags jsonb, p_pools text[]) returns jsonb language sql stable as $$
    select coalesce(jsonb_agg(jsonb_build_object('key', n.key, 'label', left(n.label, 200), 'limit', n.most) order by n.key collate "C"), '[]')
    from (
        select limit_key_v1(jsonb_build_array(case when l.per_value then 'each' else 'tag' end, l.key,
                   case when l.per_value then p_tags->>l.key else l.value end)) as key,
               'tag ' || l.key || coalesce('=' || case when l.per_value then p_tags->>l.key else nullif(l.value, '') end, '') as label,
               l."limit" as most
        from queue_head, jsonb_to_recordset(tag_limits) l(key text, value text, per_value boolean, "limit" int)
        where p_tags ? l.key and (coalesce(l.value, '') = '' or p_tags->>l.key = l.value)
        union all
        select pool_key_v1(u.pool), 'pool ' || u.pool, e.o_limit
        from unnest(p_pools) u(pool) cross join lateral pool_limit_v1(u.pool) e
        where e.o_limit is not null and e.o_granularity = 'run') n
$$;
-- +goose StatementEnd

-- Whether any limit could hold a run back.
-- +goose StatementBegin
create function queue_limited_v1() returns boolean language sql stable as $$
    select h.max_concurrent_runs is not null or h.tag_limits <> '[]' or h.pool_granularity = 'run' and h.default_pool_limit > 0
        or exists (select 1 from pools p cross join lateral pool_limit_v1(p.pool) e where e.o_granularity = 'run' and e.o_limit is not null)
    from queue_head h
$$;
-- +goose StatementEnd

-- Whether so many hold places under a limit.
-- +goose StatementBegin
create function limit_full_v1(p_key text, p_limit int) returns boolean language sql volatile as $$
    select (select count(*) from (select 1 from queue_holds where key = p_key limit p_limit) h) >= p_limit
$$;
-- +goose StatementEnd

-- The key of the first of the limits that has no room; '' when all have.
-- +goose StatementBegin
create function full_need_v1(p_needs jsonb) returns text language plpgsql volatile as $$
begin
    for i in 0 .. jsonb_array_length(p_needs) - 1 loop
        if limit_full_v1(p_needs->i->>'key', (p_needs->i->'limit')::int) then
            return p_needs->i->>'key';
        end if;
    end loop;
    return '';
end $$;
-- +goose StatementEnd

-- Takes the places of an admitted run.
-- +goose StatementBegin
create function hold_places_v1(p_run text, p_needs jsonb) returns void language sql volatile as $$
    insert into queue_holds (key, run_id)
    select 'runs', p_run union all select value->>'key', p_run from jsonb_array_elements(p_needs)
    on conflict do nothing
$$;
-- +goose StatementEnd

-- Sets which run of a class is the first, after another one left it.
-- +goose StatementBegin
create function set_head_v1(p_class text, p_blocked_by text) returns void language plpgsql as $$
begin
    update queue_classes c set blocked_by = p_blocked_by, head_priority = e.priority, head_seq = e.seq
    from (select priority, seq from queue_entries where class = p_class and admitted_at is null order by priority, seq limit 1) e
    where c.class = p_class;
    if not found then
        delete from queue_classes where class = p_class;
    end if;
end $$;
-- +goose StatementEnd

-- Admits runs that wait while there is room, at most p_most: by priority, then by when they came; one that a limit holds back does not
-- hold back those behind it. p_freed are the keys of limits that may have room again; null is all. The caller has locked queue_head.
-- Returns [{run_id, cause}]; the caller passes that to append_starting_v1. Each round looks at the first run of one class: it is
-- admitted, or its class is known to wait for a limit until that has room.
-- +goose StatementBegin
create function admit_next_v1(p_freed text[], p_most int default 1000) returns jsonb language plpgsql as $$
declare
    v_max      int;
    v_running  int;
    v_class    queue_classes;
    v_entry    queue_entries;
    v_status   text;
    v_full     text;
    v_admitted jsonb := '[]';
begin
    select max_concurrent_runs into v_max from queue_head;
    select count(*) into v_running from (select 1 from queue_holds where key = 'runs' limit v_max) h;
    if p_freed is null then
        select array_agg(distinct blocked_by) into p_freed from queue_classes where blocked_by <> '';
    end if;
    loop
        exit when v_running >= v_max or jsonb_array_length(v_admitted) >= p_most;
        select c.* into v_class from (
            (select * from queue_classes where blocked_by = '' order by head_priority, head_seq limit 1)
            union all
            select b.* from unnest(p_freed) f(key) cross join lateral (
                select * from queue_classes where blocked_by = f.key order by head_priority, head_seq limit 1) b) c
        order by c.head_priority, c.head_seq limit 1;
        exit when not found;
        v_full := full_need_v1(v_class.needs);
        if v_full <> '' then
            p_freed := array_remove(p_freed, v_full);
            if v_full <> v_class.blocked_by then
                update queue_classes set blocked_by = v_full where class = v_class.class;
            end if;
            continue;
        end if;

        select * into v_entry from queue_entries
        where class = v_class.class and admitted_at is null and priority = v_class.head_priority and seq = v_class.head_seq;
        select status into v_status from runs where run_id = v_entry.run_id;
        if v_status is distinct from 'QUEUED' then
            -- Its run is cancelled or forgotten.
            delete from queue_entries where run_id = v_entry.run_id;
        else
            update queue_entries set admitted_at = clock_v1() where run_id = v_entry.run_id;
            perform hold_places_v1(v_entry.run_id, v_entry.needs);
            -- Whoever has the run's row locked just now ends it or has it begin, and finds the entry.
            update runs set status = 'STARTING', reason = ''
            where run_id = (select run_id from runs where run_id = v_entry.run_id and status = 'QUEUED' for no key update skip locked);
            v_running := v_running + 1;
            v_admitted := v_admitted || jsonb_build_object('run_id', v_entry.run_id, 'cause', v_entry.cause);
        end if;
        perform set_head_v1(v_class.class, '');
    end loop;
    -- What has room while the number of runs is what holds all back is looked at again when that has.
    update queue_classes set blocked_by = '' where blocked_by = any (p_freed);
    return v_admitted;
end $$;
-- +goose StatementEnd

-- Appends to the log that runs were admitted: what admit_next_v1 returned. Returns p_wakes with the listeners to wake of it.
-- +goose StatementBegin
create function append_starting_v1(p_admitted jsonb, p_wakes jsonb default null) returns jsonb language plpgsql as $$
declare
    v_wakes jsonb;
begin
    for i in 0 .. jsonb_array_length(p_admitted) - 1 loop
        select o_wakes into v_wakes from append_events_v1(p_admitted->i->>'run_id', p_admitted->i->>'cause', '[{"type":"RUN_STARTING"}]');
        p_wakes := case when v_wakes is null then p_wakes else coalesce(p_wakes, '[]') || v_wakes end;
    end loop;
    return p_wakes;
end $$;
-- +goose StatementEnd

-- Whom to wake: p_runs as admit_next_v1 returns them, p_slots as grant_slots_v1 does -> [{run_id, steps}], each run once; null is nobody.
-- +goose StatementBegin
create function to_wake_v1(p_runs jsonb, p_slots jsonb) returns jsonb language sql immutable as $$
    select jsonb_agg(jsonb_build_object('run_id', w.run_id, 'steps', w.steps) order by w.run_id)
    from (select a.run_id, jsonb_agg(a.step order by a.step) filter (where a.step is not null) as steps
          from jsonb_to_recordset(p_runs || p_slots) a(run_id text, step text) group by a.run_id) w
$$;
-- +goose StatementEnd

-- Puts a run in the queue, or past it: whether it was admitted at once. The caller holds the limits' lock, shared, and has found that
-- there are limits.
-- +goose StatementBegin
create function enter_queue_v1(p_run text) returns boolean language plpgsql as $$
declare
    v_max   int;
    v_row   runs;
    v_needs jsonb;
    v_full  text;
    v_class text;
    v_seq   bigint;
    v_at    timestamptz;
begin
    select * into v_row from runs where run_id = p_run;
    select max_concurrent_runs into v_max from queue_head for update;
    v_needs := run_needs_v1(v_row.tags, v_row.pools);
    v_class := md5(v_needs::text);
    v_full := case when v_max is not null and limit_full_v1('runs', v_max) then 'runs' else full_need_v1(v_needs) end;
    v_at := clock_v1();
    insert into queue_entries (run_id, priority, needs, class, cause, enqueued_at, admitted_at, noticed_at)
    values (p_run, v_row.priority, v_needs, v_class, v_row.cause, v_at, case v_full when '' then v_at end, case v_full when '' then v_at end)
    returning seq into v_seq;
    if v_full = '' then
        perform hold_places_v1(p_run, v_needs);
        return true;
    end if;
    insert into queue_classes as c (class, needs, blocked_by, head_priority, head_seq)
    values (v_class, v_needs, case v_full when 'runs' then '' else v_full end, v_row.priority, v_seq)
    on conflict (class) do update set head_priority = excluded.head_priority, head_seq = excluded.head_seq
    where (excluded.head_priority, excluded.head_seq) < (c.head_priority, c.head_seq);
    return false;
end $$;
-- +goose StatementEnd

-- Takes a run out of the queue, or gives its places to those who wait: [{run_id, cause}], as admit_next_v1.
-- +goose StatementBegin
create function leave_queue_v1(p_run text) returns jsonb language plpgsql as $$
declare
    v_entry queue_entries;
    v_freed text[];
begin
    perform 1 from queue_entries where run_id = p_run;
    if not found then
        return '[]';
    end if;
    perform 1 from queue_head for update;
    delete from queue_entries where run_id = p_run returning * into v_entry;
    if v_entry.admitted_at is null then
        perform set_head_v1(v_entry.class, (select blocked_by from queue_classes where class = v_entry.class));
        return '[]';
    end if;
    with gone as (delete from queue_holds where run_id = p_run returning key)
    select coalesce(array_agg(key) filter (where key <> 'runs'), '{}') into v_freed from gone;
    return admit_next_v1(v_freed);
end $$;
-- +goose StatementEnd

-- Takes a run that waits out of the queue; one that was admitted meanwhile keeps its place until it ends.
-- +goose StatementBegin
create function withdraw_v1(p_run text) returns void language plpgsql as $$
declare
    v_class text;
begin
    perform 1 from queue_head for update;
    delete from queue_entries where run_id = p_run and admitted_at is null returning class into v_class;
    if found then
        perform set_head_v1(v_class, (select blocked_by from queue_classes where class = v_class));
    end if;
end $$;
-- +goose StatementEnd

-- Gives a run that a reset has reopened its place again. It does not wait, also when there is no room.
-- +goose StatementBegin
create function hold_again_v1(p_run text) returns void language plpgsql as $$
declare
    v_row   runs;
    v_needs jsonb;
    v_at    timestamptz := clock_v1();
begin
    perform pg_advisory_xact_lock_shared(limits_lock_v1());
    perform 1 from queue_head where limited;
    if not found then
        return;
    end if;
    select * into v_row from runs where run_id = p_run;
    v_needs := run_needs_v1(v_row.tags, v_row.pools);
    insert into queue_entries (run_id, priority, needs, class, cause, enqueued_at, admitted_at, noticed_at)
    values (p_run, v_row.priority, v_needs, md5(v_needs::text), v_row.cause, v_at, v_at, v_at)
    on conflict (run_id) do nothing;
    perform hold_places_v1(p_run, v_needs);
end $$;
-- +goose StatementEnd

-- The first three of those who hold places under a limit, and how many more: "r1, r2, r3 and 2 more".
-- +goose StatementBegin
create function place_holders_v1(p_key text, p_limit int) returns text language sql stable as $$
    select coalesce(string_agg(run_id, ', ' order by run_id) filter (where place <= 3), '')
        || case when count(*) > 3 then format(' and %s more', count(*) - 3) else '' end
    from (select run_id, row_number() over (order by run_id) as place from queue_holds where key = p_key order by run_id limit greatest(p_limit, 4)) h
$$;
-- +goose StatementEnd

-- For what a run waits in the queue, and who holds it; '' when it does not wait.
-- +goose StatementBegin
create function queue_reason_v1(p_run text) returns text language plpgsql stable as $$
declare
    v_entry queue_entries;
    v_max   int;
    v_need  jsonb;
begin
    select * into v_entry from queue_entries where run_id = p_run and admitted_at is null;
    if not found then
        return '';
    end if;
    select max_concurrent_runs into v_max from queue_head;
    if v_max = 0 then
        return 'waits: no run is admitted, for max_concurrent_runs is 0';
    elsif (select count(*) from (select 1 from queue_holds where key = 'runs' limit v_max) h) >= v_max then
        return format('waits for a place: %s of %s runs are in progress (%s)', v_max, v_max, place_holders_v1('runs', v_max));
    end if;
    for i in 0 .. jsonb_array_length(v_entry.needs) - 1 loop
        v_need := v_entry.needs->i;
        if (v_need->'limit')::int = 0 then
            return format('waits for the %s, whose limit is 0', v_need->>'label');
        elsif (select count(*) from (select 1 from queue_holds where key = v_need->>'key' limit (v_need->'limit')::int) h) >= (v_need->'limit')::int then
            return format('waits for the %s: %s of %s runs are in progress (%s)', v_need->>'label', v_need->'limit', v_need->'limit',
                place_holders_v1(v_need->>'key', (v_need->'limit')::int));
        end if;
    end loop;
    return 'waits for its turn in the queue';
end $$;
-- +goose StatementEnd

-- {run_id, first_run_id} -> {"found", "admitted", "status", "reason", "others": [{run_id, steps}]}: the workflow of a run that waits asks
-- whether it may begin. When it may, the run begins here. others were admitted besides.
-- +goose StatementBegin
create function admit_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run      text  := p->>'run_id';
    v_row      runs;
    v_entry    queue_entries;
    v_admitted jsonb := '[]';
    v_wakes    jsonb;
    v_at       timestamptz;
begin
    select * into v_row from runs where run_id = v_run and first_run_id = p->>'first_run_id' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    if v_row.status not in ('QUEUED', 'STARTING') or not exists (select 1 from run_plans where run_id = v_run) then
        update queue_entries set noticed_at = clock_v1() where run_id = v_run and noticed_at is null and admitted_at is not null;
        return jsonb_build_object('found', true, 'admitted', v_row.status = 'STARTED', 'status', v_row.status, 'reason', v_row.reason);
    end if;

    perform pg_advisory_xact_lock_shared(limits_lock_v1());
    select * into v_entry from queue_entries where run_id = v_run;
    if not found then
        perform 1 from queue_head where limited;
        if not found or enter_queue_v1(v_run) then
            v_entry.admitted_at := clock_v1();
        end if;
    elsif v_entry.admitted_at is null then
        perform 1 from queue_head for update;
        v_admitted := admit_next_v1('{}');
        select * into v_entry from queue_entries where run_id = v_run;
    end if;
    if v_entry.admitted_at is null then
        update runs set reason = queue_reason_v1(v_run) where run_id = v_run returning * into v_row;
        v_wakes := append_starting_v1(v_admitted);
        return with_wakes_v1(jsonb_build_object('found', true, 'admitted', false, 'status', v_row.status, 'reason', v_row.reason,
            'others', to_wake_v1(v_admitted, '[]')), v_wakes);
    end if;
    v_at := clock_v1();
    update queue_entries set noticed_at = v_at where run_id = v_run;
    update runs set status = 'STARTED', started_at = v_at, reason = '' where run_id = v_run;
    v_wakes := append_starting_v1(v_admitted);
    select case when o_wakes is null then v_wakes else coalesce(v_wakes, '[]') || o_wakes end into v_wakes
    from append_events_v1(v_run, v_row.cause, jsonb_build_array(jsonb_build_object('type', 'RUN_START', 'body', run_start_body_v1(v_row))));
    return with_wakes_v1(jsonb_build_object('found', true, 'admitted', true, 'status', 'STARTED', 'reason', '',
        'others', (select jsonb_agg(value) from jsonb_array_elements(to_wake_v1(v_admitted, '[]')) where value->>'run_id' <> v_run)), v_wakes);
end $$;
-- +goose StatementEnd

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
    select o_wakes into v_wakes from append_events_v1(v_run, v_row.cause, v_events);
    update slots set noticed_at = v_at
    where run_id = v_run and granted_at is not null and noticed_at is null and step in (select c.step from jsonb_to_recordset(p->'steps') c(step text));
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

-- After the limits of pools were changed, all that follows of it: a pool that has a limit now counts the steps that run in it, and one that
-- has none any more needs no slots. Returns [{run_id, step}].
-- +goose StatementBegin
create function relimit_pools_v1(p_pools text[]) returns jsonb language plpgsql as $$
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
        where r.status in ('STARTED', 'CANCELING') and v_pool.pool = any (r.pools)
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
        select distinct u.pool from runs r cross join lateral unnest(r.pools) u(pool)
        where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING') order by 1
        on conflict (pool) do nothing;
        select array_agg(pool) into v_pools from pools where slot_limit is null or granularity is null;
        v_granted := relimit_pools_v1(v_pools);
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
    v_admitted jsonb;
    v_granted  jsonb;
    v_wakes    jsonb;
begin
    perform pg_advisory_xact_lock(limits_lock_v1());
    perform 1 from queue_head for update;
    select * into v_before from pools where pool = p->>'pool';
    insert into pools as o (pool, slot_limit, granularity, set_by, set_why, set_at)
    values (p->>'pool', (p->>'limit')::int, nullif(p->>'granularity', ''), p->>'who', p->>'why', clock_v1())
    on conflict (pool) do update
    set slot_limit = excluded.slot_limit, granularity = excluded.granularity, set_by = excluded.set_by, set_why = excluded.set_why, set_at = excluded.set_at
    returning * into v_new;
    if v_new.slot_limit is not distinct from v_before.slot_limit and v_new.granularity is not distinct from v_before.granularity then
        return '{"changed":false}';
    end if;
    v_admitted := relimit_runs_v1();
    v_granted := relimit_pools_v1(array[p->>'pool']);
    select o_wakes into v_wakes
    from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'POOL_SET', 'body', jsonb_build_object(
        'pool', p->'pool', 'limit', v_new.slot_limit, 'granularity', v_new.granularity, 'who', p->'who', 'why', p->'why'))));
    return with_wakes_v1(jsonb_build_object('changed', true, 'admitted', to_wake_v1(v_admitted, v_granted)), append_starting_v1(v_admitted, v_wakes));
end $$;
-- +goose StatementEnd

-- {unnoticed (nanoseconds), limit} -> {"admitted": [{run_id, steps}], "waiting_runs", "waiting_steps", "reclaimed_runs", "reclaimed_slots"}:
-- admits whatever has room, and takes back what its owner left: places and entries of runs that have ended or are forgotten, slots of
-- those and of steps that have ended. What was granted longer ago than unnoticed and nobody took note of is among admitted again.
-- +goose StatementBegin
create function admit_runs_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_limit    int := coalesce((p->>'limit')::int, 1000);
    v_before   timestamptz := clock_v1() - coalesce((p->>'unnoticed')::bigint, 2000000000) / 1000 * interval '1 microsecond';
    v_gone     text[];
    v_slots    jsonb;
    v_pools    text[];
    v_admitted jsonb := '[]';
    v_granted  jsonb := '[]';
    v_again    jsonb;
    v_freed    text[];
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

    select coalesce(jsonb_agg(a), '[]') into v_again from (
        select jsonb_build_object('run_id', run_id) as a from (
            select run_id from queue_entries where admitted_at is not null and noticed_at is null and admitted_at < v_before
            order by admitted_at limit v_limit) e
        union all
        select jsonb_build_object('run_id', run_id, 'step', step) from (
            select l.run_id, l.step from slots l
            where l.granted_at is not null and l.noticed_at is null and l.granted_at < v_before and not exists (
                select 1 from steps s where s.run_id = l.run_id and s.step = l.step and s.claimed_at >= l.granted_at)
            order by l.granted_at limit v_limit) l) g;
    return with_wakes_v1(jsonb_build_object('admitted', to_wake_v1(v_admitted || v_again, v_granted),
        'waiting_runs', (select count(*) from queue_entries where admitted_at is null),
        'waiting_steps', (select count(*) from slots where granted_at is null),
        'reclaimed_runs', coalesce(cardinality(v_gone), 0), 'reclaimed_slots', jsonb_array_length(v_slots)), append_starting_v1(v_admitted));
end $$;
-- +goose StatementEnd

-- +goose Down
drop function admit_runs_v1(jsonb);
drop function set_pool_v1(jsonb);
drop function set_queue_limits_v1(jsonb);
drop function relimit_pools_v1(text[]);
drop function relimit_runs_v1();
drop function seize_slots_v1(jsonb);
drop function release_slots_v1(jsonb);
drop function claim_slots_v1(jsonb);
drop function slot_reason_v1(text);
drop function free_ended_slots_v1(text, bigint, text[]);
drop function free_slots_v1(text, text[]);
drop function grant_slots_v1(text, int);
drop function lock_pools_v1(text[]);
drop function admit_run_v1(jsonb);
drop function queue_reason_v1(text);
drop function place_holders_v1(text, int);
drop function hold_again_v1(text);
drop function withdraw_v1(text);
drop function leave_queue_v1(text);
drop function enter_queue_v1(text);
drop function to_wake_v1(jsonb, jsonb);
drop function append_starting_v1(jsonb, jsonb);
drop function admit_next_v1(text[], int);
drop function set_head_v1(text, text);
drop function hold_places_v1(text, jsonb);
drop function full_need_v1(jsonb);
drop function limit_full_v1(text, int);
drop function queue_limited_v1();
drop function run_needs_v1(jsonb, text[]);
drop function pool_key_v1(text);
drop function limit_key_v1(jsonb);
drop function pool_limit_v1(text);
drop function limits_lock_v1();
drop table slots;
drop table queue_classes;
drop table queue_holds;
drop table queue_entries;
drop table pools;
drop table queue_head;
