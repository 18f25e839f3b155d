-- The keys of dynamic partition sets, and what is known of the partitions of assets.

-- +goose Up

-- Which keys a named set has, in the order in which they were added. Removing one deletes nothing that was made of it.
create table dynamic_partitions (
    name     text        not null,
    key      text        not null,
    place    bigint      not null,
    added_at timestamptz not null,
    primary key (name, key)
);
create unique index dynamic_partitions_place on dynamic_partitions (name, place);

-- {name, keys, who, why} -> {"changed": [key], "unchanged": [key]}: adds those that are not there, in the order given.
-- +goose StatementBegin
create function add_partitions_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_name text := p->>'name';
    v_new  jsonb;
    v_at   timestamptz;
    v_wakes jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure partitions ' || current_schema() || ' ' || v_name, 0));
    v_at := clock_v1();
    with given as (
        select k.key, min(k.place) as place from jsonb_array_elements_text(p->'keys') with ordinality k(key, place) group by k.key
    ), fresh as (
        select g.key, row_number() over (order by g.place) as number from given g
        where not exists (select 1 from dynamic_partitions d where d.name = v_name and d.key = g.key)
    ), added as (
        insert into dynamic_partitions (name, key, place, added_at)
        select v_name, f.key, coalesce((select max(place) from dynamic_partitions where name = v_name), 0) + f.number, v_at from fresh f
        returning key, place)
    select coalesce(jsonb_agg(key order by place), '[]') into v_new from added;
    if v_new <> '[]' then
        select o_wakes into v_wakes from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'PARTITIONS_ADDED', 'body',
            jsonb_build_object('name', v_name, 'keys', v_new, 'who', p->>'who', 'why', p->>'why'))));
    end if;
    return with_wakes_v1(jsonb_build_object('changed', v_new, 'unchanged', (
        select coalesce(jsonb_agg(k.key order by k.place), '[]') from jsonb_array_elements_text(p->'keys') with ordinality k(key, place)
        where not v_new ? k.key)), v_wakes);
end $$;
-- +goose StatementEnd

-- {name, keys, who, why} -> {"changed": [key], "unchanged": [key]}: removes those that are there.
-- +goose StatementBegin
create function remove_partitions_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_name text := p->>'name';
    v_gone jsonb;
    v_wakes jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure partitions ' || current_schema() || ' ' || v_name, 0));
    with removed as (
        delete from dynamic_partitions where name = v_name and key in (select jsonb_array_elements_text(p->'keys')) returning key, place)
    select coalesce(jsonb_agg(key order by place), '[]') into v_gone from removed;
    if v_gone <> '[]' then
        select o_wakes into v_wakes from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'PARTITIONS_REMOVED', 'body',
            jsonb_build_object('name', v_name, 'keys', v_gone, 'who', p->>'who', 'why', p->>'why'))));
    end if;
    return with_wakes_v1(jsonb_build_object('changed', v_gone, 'unchanged', (
        select coalesce(jsonb_agg(k.key order by k.place), '[]') from jsonb_array_elements_text(p->'keys') with ordinality k(key, place)
        where not v_gone ? k.key)), v_wakes);
end $$;
-- +goose StatementEnd

-- The last observation of each partition of an asset: what somebody saw of it, without making it.
create table observations (
    asset        text        not null,
    partition    text        not null default '',
    position     bigint      not null,
    at           timestamptz not null,
    data_version text        not null default '',
    metadata     jsonb       not null default '[]',
    primary key (asset, partition)
);

-- What the log says of an asset's partitions up to a position, so that nobody reads all of it again. It may be deleted at any time.
create table asset_status (
    asset           text   primary key,
    fingerprint     text   not null, -- of the partition definition by which the subsets were written
    position        bigint not null,
    materialized    jsonb  not null, -- as partition.Subset writes it, like the next two
    failed          jsonb  not null,
    upstream_failed jsonb  not null,
    dropped         jsonb  not null -- [partition.KeyRange]: keys of the log that did not exist, and are in none of the subsets
);

-- {asset, fingerprint} -> {"head", "cached", "position", "materialized", "failed", "upstream_failed", "dropped", "events":
-- [{type, partition, body}], "running": [{run, planned, made: [key]}]}: what is stored of the asset, the events that came
-- after it, and what open runs have planned and not made yet. Not cached says that nothing is stored by this definition, or
-- that the log no longer has all that came after it: the rows have it then.
-- +goose StatementBegin
create function asset_status_v1(p jsonb) returns json language plpgsql stable as $$
declare
    v_asset  text := p->>'asset';
    v_row    asset_status;
    v_head   bigint;
    v_cached boolean;
begin
    select position into v_head from log_head;
    select * into v_row from asset_status where asset = v_asset and fingerprint = p->>'fingerprint';
    v_cached := found and (v_row.position = v_head or v_row.position + 1 >= (select min(position) from event_log));
    return json_build_object('head', v_head, 'cached', v_cached, 'position', v_row.position, 'materialized', v_row.materialized, 'failed', v_row.failed,
        'upstream_failed', v_row.upstream_failed, 'dropped', v_row.dropped,
        'events', case when v_cached then (
            select json_agg(json_build_object('type', e.type, 'partition', e.partition,
                'body', case when e.type in ('ASSET_FAILED_TO_MATERIALIZE', 'ASSET_WIPED') then e.body end) order by e.position)
            from event_log e where e.asset = v_asset and e.asset <> '' and e.position > v_row.position
              and e.type in ('ASSET_MATERIALIZATION', 'ASSET_OBSERVATION', 'ASSET_FAILED_TO_MATERIALIZE', 'ASSET_WIPED')) end,
        'running', (
            select json_agg(json_strip_nulls(json_build_object('run', r.run_id, 'planned', a.planned, 'made', (
                -- By the steps, not by what they made: that may have been wiped since, and is made by nobody then.
                select json_agg(w.partition) from steps s
                join plan_steps ps on ps.run_id = s.run_id and ps.step = s.step
                cross join lateral unnest(ps.assets, ps.partitions) w(asset, partition)
                where s.run_id = r.run_id and s.state = 'done' and w.asset = v_asset))) order by r.created_at, r.run_id)
            from runs r
            cross join lateral (select o.planned from run_assets o where o.run_id = r.run_id and o.asset = v_asset limit 1) a
            where r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')));
end $$;
-- +goose StatementEnd

-- Those of an asset's partitions that have no materialization after a position.
-- +goose StatementBegin
create function not_made_since_v1(p_asset text, p_partitions text[], p_position bigint) returns text[] language sql stable as $$
    select coalesce(array_agg(k.key), '{}') from unnest(p_partitions) k(key)
    where not exists (
        select 1 from materializations m where m.asset = p_asset and m.partition = k.key and m.position > p_position)
$$;
-- +goose StatementEnd

-- {"head", "ends": [{failed, upstream_failed, skipped}]}: what the runs of an asset have left undone when they ended, in their
-- order, without what was made since.
-- +goose StatementBegin
create function asset_history_v1(p_asset text) returns json language sql stable as $$
    select json_build_object('head', (select position from log_head),
        'ends', (
            select json_agg(json_build_object(
                'failed', not_made_since_v1(e.asset, e.failed, e.ended_position),
                'upstream_failed', not_made_since_v1(e.asset, e.upstream_failed, e.ended_position),
                'skipped', e.skipped) order by e.ended_position)
            from run_assets e where e.asset = p_asset and e.ended_position is not null))
$$;
-- +goose StatementEnd

-- {asset, fingerprint, position, materialized, failed, upstream_failed, dropped}: stores what is known up to a position,
-- unless more is.
-- +goose StatementBegin
create function keep_asset_status_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    insert into asset_status as s (asset, fingerprint, position, materialized, failed, upstream_failed, dropped)
    values (p->>'asset', p->>'fingerprint', (p->>'position')::bigint, p->'materialized', p->'failed', p->'upstream_failed', p->'dropped')
    on conflict (asset) do update
    set fingerprint = excluded.fingerprint, position = excluded.position, materialized = excluded.materialized, failed = excluded.failed,
        upstream_failed = excluded.upstream_failed, dropped = excluded.dropped
    where s.fingerprint <> excluded.fingerprint or s.position < excluded.position;
    return '{}';
end $$;
-- +goose StatementEnd

-- +goose Down
drop function keep_asset_status_v1(jsonb);
drop function asset_history_v1(text);
drop function not_made_since_v1(text, text[], bigint);
drop function asset_status_v1(jsonb);
drop table asset_status;
drop table observations;
drop function remove_partitions_v1(jsonb);
drop function add_partitions_v1(jsonb);
drop table dynamic_partitions;
