-- What may go: replaced values, old lines, events and runs; and who sees to it.

-- +goose Up

-- Who does a piece of work that one process at a time does.
create table leases (
    name     text primary key,
    holder   text        not null,
    taken_at timestamptz not null,
    until    timestamptz not null
);

-- {name, holder, duration (nanoseconds)} -> {"held", "holder", "until"}: takes the lease, or prolongs it, when nobody else
-- has it. The answer names who has it now.
-- +goose StatementBegin
create function take_lease_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at  timestamptz := clock_v1();
    v_row leases;
begin
    insert into leases as lease (name, holder, taken_at, until)
    values (p->>'name', p->>'holder', v_at, v_at + (p->>'duration')::bigint / 1000 * interval '1 microsecond')
    on conflict (name) do update
    set holder = excluded.holder, until = excluded.until,
        taken_at = case when lease.holder = excluded.holder then lease.taken_at else excluded.taken_at end
    where lease.holder = excluded.holder or lease.until <= v_at;
    select * into v_row from leases where name = p->>'name';
    return jsonb_build_object('held', coalesce(v_row.holder = p->>'holder', false), 'holder', v_row.holder, 'until', v_row.until);
end $$;
-- +goose StatementEnd

-- How far the log of materializations was read for values that a later one replaced.
create table superseded_head (
    id       boolean primary key default true check (id),
    position bigint not null
);
insert into superseded_head (position) values (0);

-- {grace (nanoseconds), limit} -> {"read", "noted"}: reads on through the materializations that are older than grace, in
-- order, and notes for each the value that it replaced: what was granted later stays, as in asset_partitions. A commit
-- does not do this, for it would pay for it. One reader at a time; another one is told that there was nothing to read.
-- +goose StatementBegin
create function note_superseded_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_from  bigint;
    v_last  bigint;
    v_read  int := 0;
    v_noted int := 0;
    v_new   materializations;
    v_old   materializations;
begin
    select position into v_from from superseded_head for update skip locked;
    if not found then
        return jsonb_build_object('read', 0, 'noted', 0);
    end if;
    for v_new in
        select * from materializations
        where position > v_from order by position limit (p->>'limit')::int
    loop
        exit when v_new.at > clock_v1() - (p->>'grace')::bigint / 1000 * interval '1 microsecond';
        v_last := v_new.position;
        v_read := v_read + 1;
        -- A report stores nothing, and replaces no value: it may be about the one that lies there.
        continue when v_new.slot_token = 0;
        -- The one that stood until then: what lost against another one before is noted, or gone.
        select * into v_old from materializations m
        where m.asset = v_new.asset and m.partition = v_new.partition and m.position < v_new.position and m.removed_at is null
          and m.slot_token > 0 and not exists (select 1 from superseded_values v where v.materialization = m.id)
        order by m.position desc limit 1;
        continue when not found or v_old.slot_token = v_new.slot_token;
        -- What lost against a report leaves the value that the report is about.
        if v_old.token > v_new.token or exists (
            select 1 from asset_partitions a
            where a.asset = v_old.asset and a.partition = v_old.partition and a.slot_token = v_old.slot_token) then
            v_old := v_new;
        end if;
        -- The run that made it may be forgotten: then it is of the code location that has the asset now.
        insert into superseded_values (code_location, asset, partition, run_id, step, slot_token, location, materialization, superseded_at)
        select location, v_old.asset, v_old.partition, v_old.run_id, v_old.step, v_old.slot_token, v_old.location, v_old.id, v_new.at
        from runs where run_id in (v_old.run_id, v_new.run_id) order by run_id <> v_old.run_id limit 1
        on conflict (materialization) do nothing;
        v_noted := v_noted + 1;
    end loop;
    if v_last is not null then
        update superseded_head set position = v_last;
    end if;
    return jsonb_build_object('read', v_read, 'noted', v_noted);
end $$;
-- +goose StatementEnd

-- Whether an open run may still load the stored value: its own, one of a run that it inherits steps of, or one that was
-- current when it began and that it loads from outside.
-- +goose StatementBegin
create function value_in_use_v1(p_value superseded_values) returns boolean language sql stable as $$
    select exists (select 1 from runs where run_id = p_value.run_id and not run_ended_v1(status))
        or exists (
            select 1 from plan_steps ps join runs r using (run_id)
            where ps.inherited_from = p_value.run_id and ps.inherited_from <> '' and not run_ended_v1(r.status))
        or p_value.asset <> '' and exists (
            select 1 from runs r join plan_steps ps using (run_id)
            where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING') and r.created_at <= p_value.superseded_at
              and ps.inputs @> jsonb_build_array(jsonb_build_object('asset', p_value.asset)))
$$;
-- +goose StatementEnd

-- {code_location, grace, lease (nanoseconds), limit} -> {"values": [superseded_values' row]}: values to remove that were
-- superseded longer than grace ago and that nothing open may load. They are the caller's for the time of the lease.
-- +goose StatementBegin
create function take_superseded_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at     timestamptz := clock_v1();
    v_values jsonb;
begin
    with due as (
        select v.id from superseded_values v
        where v.code_location = p->>'code_location'
          and v.superseded_at <= v_at - (p->>'grace')::bigint / 1000 * interval '1 microsecond'
          and (v.taken_until is null or v.taken_until <= v_at) and not value_in_use_v1(v)
        order by v.superseded_at, v.id limit (p->>'limit')::int for update skip locked
    ), taken as (
        update superseded_values v
        set taken_until = v_at + (p->>'lease')::bigint / 1000 * interval '1 microsecond', attempts = v.attempts + 1
        from due where v.id = due.id returning v.*
    )
    select coalesce(jsonb_agg(to_jsonb(t) order by t.superseded_at, t.id), '[]') into v_values from taken t;
    return jsonb_build_object('values', v_values);
end $$;
-- +goose StatementEnd

-- {ids} -> {"removed"}: these values are gone.
-- +goose StatementBegin
create function removed_values_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_removed int;
begin
    with gone as (
        delete from superseded_values where id in (select i::bigint from jsonb_array_elements_text(p->'ids') i) returning materialization)
    update materializations set removed_at = clock_v1() where id in (select materialization from gone);
    get diagnostics v_removed = row_count;
    return jsonb_build_object('removed', v_removed);
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: deletes the oldest lines that were logged before then.
-- +goose StatementBegin
create function purge_log_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
begin
    delete from log_lines where id in (
        select id from log_lines where at < (p->>'before')::timestamptz order by at limit (p->>'limit')::int for update skip locked);
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- Drops the months of the event log that ended before p_before. Returns the names of the tables dropped.
-- +goose StatementBegin
create function drop_months_v1(p_before timestamptz) returns text[] language plpgsql
-- As ensure_months_v1: commits wait meanwhile, so that it gives up behind a long reader.
set lock_timeout = '2s' as $$
declare
    v_name    text;
    v_dropped text[] := '{}';
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure months ' || current_schema(), 0));
    for v_name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'event_log'::regclass and c.relname ~ '^event_log_[0-9]{4}_[0-9]{2}$'
          and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= p_before
        order by 1
    loop
        execute format('drop table %I', v_name);
        v_dropped := v_dropped || v_name;
    end loop;
    return v_dropped;
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: forgets the runs that ended before then, the oldest first, with all their rows
-- but the materializations whose value is still current. What their ops stored is superseded. A run that an open one inherits
-- steps of stays until that one has ended.
-- +goose StatementBegin
create function purge_runs_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_runs text[];
begin
    select array_agg(run_id) into v_runs from (
        select r.run_id from runs r
        where r.ended_at < (p->>'before')::timestamptz and not exists (
            select 1 from plan_steps ps join runs heir using (run_id)
            where ps.inherited_from = r.run_id and ps.inherited_from <> '' and not run_ended_v1(heir.status))
        order by r.ended_at limit (p->>'limit')::int for update of r skip locked) old;
    if v_runs is null then
        return jsonb_build_object('deleted', 0);
    end if;
    perform forget_outputs_v1(o.run_id, array_agg(distinct o.step), null, clock_v1())
    from step_outputs o where o.run_id = any (v_runs) group by o.run_id;
    insert into superseded_values (code_location, asset, partition, run_id, step, slot_token, location, materialization, superseded_at)
    select r.location, m.asset, m.partition, m.run_id, m.step, m.slot_token, m.location, m.id, clock_v1()
    from materializations m join runs r using (run_id)
    where m.run_id = any (v_runs) and m.removed_at is null
      and not exists (select 1 from asset_partitions a where a.asset = m.asset and a.partition = m.partition and a.slot_token = m.slot_token)
    on conflict (materialization) do nothing;
    delete from materializations m where m.run_id = any (v_runs)
      and not exists (select 1 from asset_partitions a where a.asset = m.asset and a.partition = m.partition and a.slot_token = m.slot_token);
    delete from log_lines where run_id = any (v_runs);
    delete from hook_runs where run_id = any (v_runs);
    delete from writers where run_id = any (v_runs);
    delete from steps where run_id = any (v_runs);
    delete from runs where run_id = any (v_runs);
    return jsonb_build_object('deleted', cardinality(v_runs));
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: forgets refused requests.
-- +goose StatementBegin
create function purge_refusals_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
begin
    delete from refused_requests where id in (
        select id from refused_requests where at < (p->>'before')::timestamptz order by at limit (p->>'limit')::int for update skip locked);
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- {limit} -> {"freed"}: takes away the writers whose run has ended or whose step is not open under their token, and the leases that
-- ended a day ago. A claim that meets such a writer replaces it, but an asset that nobody makes any more keeps it.
-- +goose StatementBegin
create function free_orphans_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_freed int;
begin
    delete from writers w using (
        select asset, partition, run_id, step, token from writers o
        where not exists (
            select 1 from steps s join runs r using (run_id)
            where s.run_id = o.run_id and s.step = o.step and s.state = 'open' and s.token = o.token and not run_ended_v1(r.status))
        order by asset collate "C", partition collate "C" limit (p->>'limit')::int for update skip locked) orphans
    where w.asset = orphans.asset and w.partition = orphans.partition and w.token = orphans.token;
    get diagnostics v_freed = row_count;
    delete from leases where until < clock_v1() - interval '1 day';
    return jsonb_build_object('freed', v_freed);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function free_orphans_v1(jsonb);
drop function purge_refusals_v1(jsonb);
drop function purge_runs_v1(jsonb);
drop function drop_months_v1(timestamptz);
drop function purge_log_v1(jsonb);
drop function removed_values_v1(jsonb);
drop function take_superseded_v1(jsonb);
drop function value_in_use_v1(superseded_values);
drop function note_superseded_v1(jsonb);
drop table superseded_head;
drop function take_lease_v1(jsonb);
drop table leases;
