-- The event log and the clock.
-- Every name in these files is unqualified: a deployment lives in the schema that its DSN's search_path names.

-- +goose Up

-- The one clock of every function here: a test of a month's end replaces it in its own schema.
-- clock_timestamp and not now(): a function that waited for a lock must not write the time from before it waited.
-- +goose StatementBegin
create function clock_v1() returns timestamptz language sql volatile as $$ select clock_timestamp() $$;
-- +goose StatementEnd

-- The last position given. One row, locked by whoever appends until it commits, so that positions become
-- visible in the order of their numbers: a plain sequence does not do that, and a reader behind it loses events.
create table log_head (
    id       boolean primary key default true check (id),
    position bigint not null,
    listened text[] not null default '{}' -- the types of events that anybody listens for: see listeners
) with (fillfactor = 10); -- room on its page: every update stays there
insert into log_head (position) values (0);

-- What happened, in order. Partitioned by month so that old months go by dropping a table. Postgres wants the
-- partition column in every unique key, so nothing here is unique: steps and materializations keep that.
create table event_log (
    position  bigint      not null,
    at        timestamptz not null,
    type      text        not null,
    run_id    text        not null default '',
    step      text        not null default '',
    asset     text        not null default '',
    partition text        not null default '',
    cause     text        not null default '', -- the id of the first event that led here
    body      jsonb       not null default '{}'
) partition by range (at);
create index event_log_position on event_log (position);
create index event_log_run on event_log (run_id, position);
create index event_log_asset on event_log (asset, position) where asset <> '';
-- What run-status sensors read: its condition has to stand in their query as it is here.
create index event_log_runs on event_log (type, position) where left(type, 4) = 'RUN_';

-- Takes what no month holds, so that a commit never fails because nobody made the month in time.
create table event_log_default partition of event_log default;

-- Makes the months from the current one to p_ahead months later, and those that rows in the DEFAULT partition
-- belong to; such rows move to their month. Returns the names of the partitions made.
-- +goose StatementBegin
create function ensure_months_v1(p_ahead int default 3) returns text[] language plpgsql
-- A long reader of the log (a dump) keeps months from being attached: then this gives up, for commits wait meanwhile.
set lock_timeout = '2s' as $$
declare
    v_month timestamp;
    v_name  text;
    v_made  text[] := '{}';
    v_this  timestamp := date_trunc('month', clock_v1() at time zone 'UTC');
begin
    -- One maker at a time in this schema.
    perform pg_advisory_xact_lock(hashtextextended('perdure months ' || current_schema(), 0));
    for v_month in
        select m from generate_series(v_this, v_this + make_interval(months => p_ahead), interval '1 month') m
        union
        select distinct date_trunc('month', d.at at time zone 'UTC') from event_log_default d
        order by 1
    loop
        v_name := 'event_log_' || to_char(v_month, 'YYYY_MM');
        continue when to_regclass(quote_ident(v_name)) is not null;
        -- A month cannot be attached while DEFAULT holds rows of it: nothing may be added to it meanwhile. Appenders are
        -- stopped before they choose a partition: one that has chosen DEFAULT and then waits for it fails.
        perform 1 from log_head for update;
        lock table event_log_default in access exclusive mode;
        execute format('create table %I (like event_log including all)', v_name);
        execute format(
            'with moved as (delete from event_log_default where at >= %1$L and at < %2$L returning *)
             insert into %3$I select * from moved',
            v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC', v_name);
        execute format('alter table event_log attach partition %I for values from (%L) to (%L)',
            v_name, v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC');
        v_made := v_made || v_name;
    end loop;
    return v_made;
end $$;
-- +goose StatementEnd

-- Appends events ({"type","step","asset","partition","body"}) of one run, in the order of the array. o_wakes are the listeners to
-- wake, which goes into the caller's answer: see with_wakes_v1. Nobody but it and commit_step_v1 writes log_head and event_log. It is the last thing that a function calls before its short last inserts:
-- from here to the commit every other writer waits. Whoever locks anything else does so before
-- (order: runs, the limits' lock, steps, writers, queue_head, pools, log_head, then the rest).
-- +goose StatementBegin
create function append_events_v1(p_run text, p_cause text, p_events jsonb, out o_first bigint, out o_at timestamptz, out o_wakes jsonb)
language plpgsql as $$
declare
    v_count    int := jsonb_array_length(p_events);
    v_listened text[];
begin
    if v_count = 0 then
        return;
    end if;
    update log_head set position = position + v_count returning position - v_count + 1, listened into o_first, v_listened;
    o_at := clock_v1();
    insert into event_log (position, at, type, run_id, step, asset, partition, cause, body)
    select o_first + e.place - 1, o_at, e.event->>'type', p_run, coalesce(e.event->>'step', ''),
           coalesce(e.event->>'asset', ''), coalesce(e.event->>'partition', ''), p_cause,
           coalesce(e.event->'body', '{}')
    from jsonb_array_elements(p_events) with ordinality e(event, place);
    if v_listened <> '{}' then
        o_wakes := (
            select mark_listeners_v1(p_run, array_agg(e.event->>'type'), array_agg(coalesce(e.event->>'asset', '')))
            from jsonb_array_elements(p_events) e(event) where e.event->>'type' = any (v_listened) having count(*) > 0);
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function append_events_v1(text, text, jsonb);
drop function ensure_months_v1(int);
drop table event_log;
drop table log_head;
drop function clock_v1();
