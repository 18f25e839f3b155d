-- The run queue and the pools: how many runs are in progress and how many steps of a pool run at once, and who waits for that.

-- +goose Up

-- The limits, in one row. Whoever admits a run, or ends one that holds a place, locks it: the order of locks is runs, the limits'
-- lock, steps, writers, this row, pools by name, log_head.
create table queue_head (
    id                  boolean primary key default true check (id),
    max_concurrent_runs int   check (max_concurrent_runs >= 0), -- null is no bound
    tag_limits          jsonb not null default '[]' check (jsonb_typeof(tag_limits) = 'array'), -- [{key, value, per_value, limit}]
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
    noticed_at  timestamptz,
    woken_at    timestamptz -- when admit_runs_v1 named it last, because it did not notice
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
create function to_wake_v1(p_runs jsonb, p_slots jsonb) returns jsonb language plpgsql immutable as $$
begin
    if p_runs = '[]' and p_slots = '[]' then
        return null;
    end if;
    return (
        select jsonb_agg(jsonb_build_object('run_id', w.run_id, 'steps', w.steps) order by w.run_id)
        from (select a.run_id, jsonb_agg(a.step order by a.step) filter (where a.step is not null) as steps
              from jsonb_to_recordset(p_runs || p_slots) a(run_id text, step text) group by a.run_id) w);
end $$;
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

-- {run_id, first_run_id, scheduled, execution} -> {"found", "admitted", "status", "reason", "others": [{run_id, steps}]}: the workflow of a
-- run that waits asks whether it may begin. When it may, the run begins here. others were admitted besides. scheduled and execution are as
-- in reopen_run_v1: a run that has ended, and was reset to when it waited, begins anew.
-- +goose StatementBegin
create function admit_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run      text  := p->>'run_id';
    v_row      runs;
    v_entry    queue_entries;
    v_admitted jsonb := '[]';
    v_wakes    jsonb;
    v_reason   text;
    v_at       timestamptz;
begin
    select * into v_row from runs where run_id = v_run and first_run_id = p->>'first_run_id' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    if reopen_run_v1(v_run, coalesce((p->>'scheduled')::bigint, 0), p->>'execution') then
        update runs set started_at = clock_v1() where run_id = v_run;
        select o_wakes into v_wakes from append_events_v1(v_run, v_row.cause, '[{"type":"RUN_RESTARTED"}]');
        return with_wakes_v1('{"found":true,"admitted":true,"status":"STARTED","reason":""}', v_wakes);
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
        v_reason := queue_reason_v1(v_run);
        update runs set reason = v_reason where run_id = v_run and reason <> v_reason;
        v_wakes := append_starting_v1(v_admitted);
        return with_wakes_v1(jsonb_build_object('found', true, 'admitted', false, 'status', v_row.status, 'reason', v_reason,
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

-- +goose Down
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
drop table queue_classes;
drop table queue_holds;
drop table queue_entries;
drop table pools;
drop table queue_head;
