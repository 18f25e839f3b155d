-- What a person orders of materializations: wiping them, and reporting those that happened elsewhere.

-- +goose Up

-- Deletes the materializations of an asset's partitions, null being all, and notes their stored values as superseded. The plan must
-- know what is given: one for all cases reads all of the asset.
-- +goose StatementBegin
create function forget_materializations_v1(p_asset text, p_partitions text[], p_code_location text) returns void language plpgsql
set plan_cache_mode = force_custom_plan as $$
begin
    with gone as (
        delete from materializations where asset = p_asset and (p_partitions is null or partition = any (p_partitions)) returning *)
    insert into superseded_values (code_location, asset, partition, run_id, step, slot_token, location, materialization, superseded_at)
    -- The run that made it may be forgotten: then it is of the code location that has the asset now.
    select coalesce((select r.location from runs r where r.run_id = g.run_id), p_code_location), g.asset, g.partition, g.run_id, g.step,
           g.slot_token, g.location, g.id, clock_v1()
    from gone g
    where g.removed_at is null and g.slot_token > 0 and (p_code_location is not null or exists (select 1 from runs r where r.run_id = g.run_id))
    on conflict (materialization) do nothing;
end $$;
-- +goose StatementEnd

-- {asset, partitions: [key] or null for all, code_location, who, why, limit} -> {"wiped": [key], "count", "more", "writer": {run, step,
-- partition}}: forgets the materializations of an asset's partitions, so that they are missing again, and what failed of them.
-- Their stored values are superseded. Of all it wipes at most limit, and says with more that there are others: the log is
-- locked meanwhile. wiped are the first 100. While an open run is writing one of them nothing is wiped: writer says which.
-- +goose StatementBegin
create function wipe_asset_v1(p jsonb) returns jsonb language plpgsql
set plan_cache_mode = force_custom_plan as $$
declare
    v_asset text    := p->>'asset';
    v_limit int     := (p->>'limit')::int;
    v_all   boolean := coalesce(p->'partitions', 'null') = 'null';
    v_more  boolean := false;
    v_given text[]  := case when coalesce(p->'partitions', 'null') <> 'null' then array(select jsonb_array_elements_text(p->'partitions')) end;
    v_writer jsonb;
    v_where text    := nullif(p->>'code_location', '');
    v_wiped text[];
    v_wakes jsonb;
begin
    select jsonb_build_object('run', w.run_id, 'step', w.step, 'partition', w.partition) into v_writer
    from writers w join runs r using (run_id)
    where w.asset = v_asset and (v_all or w.partition = any (v_given)) and r.status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')
      and exists (select 1 from steps s where s.run_id = w.run_id and s.step = w.step and s.state = 'open')
    order by w.partition collate "C" limit 1;
    if v_writer is not null then
        return jsonb_build_object('wiped', '[]'::jsonb, 'count', 0, 'more', false, 'writer', v_writer);
    end if;
    if v_all then
        v_given := array(
            (select partition from asset_partitions where asset = v_asset order by partition limit v_limit + 1)
            union (select partition from observations where asset = v_asset order by partition limit v_limit + 1)
            order by partition limit v_limit + 1);
        v_more := cardinality(v_given) > v_limit;
        v_all := not v_more;
        v_given := case when v_more then v_given[1:v_limit] end;
    end if;
    -- What takes long, and what others lock before the log, goes before the log's lock, for which all commits wait.
    perform forget_materializations_v1(v_asset, v_given, v_where);
    perform 1 from run_assets where asset = v_asset and ended_position is not null order by run_id for update;
    -- A commit is before it or after it: all that is recorded of assets is recorded under the log's lock.
    perform 1 from log_head for update;
    with gone as (
        delete from asset_partitions where asset = v_asset and (v_all or partition = any (v_given)) returning partition
    ), unseen as (
        delete from observations where asset = v_asset and (v_all or partition = any (v_given)) returning partition
    ), both_of as (select partition from gone union select partition from unseen)
    select coalesce(array_agg(partition order by partition collate "C"), '{}') into v_wiped from both_of;

    perform forget_materializations_v1(v_asset, v_given, v_where); -- what was committed meanwhile

    update run_assets a
    set failed = case when v_all then '{}' else array(select k from unnest(a.failed) with ordinality f(k, place) where k <> all (v_given) order by place) end,
        upstream_failed = case when v_all then '{}'
            else array(select k from unnest(a.upstream_failed) with ordinality f(k, place) where k <> all (v_given) order by place) end
    where a.asset = v_asset and a.ended_position is not null
      and (v_all and (a.failed <> '{}' or a.upstream_failed <> '{}') or a.failed && v_given or a.upstream_failed && v_given);

    select o_wakes into v_wakes from append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'ASSET_WIPED', 'asset', v_asset,
        'partition', case when cardinality(v_given) = 1 then v_given[1] end,
        'body', jsonb_build_object('who', p->>'who', 'why', p->>'why', 'count', cardinality(v_wiped))
            || case when v_all then '{"all":true}' else jsonb_build_object('wiped', to_jsonb(v_given)) end)));
    return with_wakes_v1(jsonb_build_object('wiped', to_jsonb(v_wiped[1:100]), 'count', cardinality(v_wiped), 'more', v_more), v_wakes);
end $$;
-- +goose StatementEnd

-- The reports of what happened elsewhere, each under an id: reported again, it changes nothing.
create table reports (
    id       text primary key,
    at       timestamptz not null,
    position bigint      not null, -- of its first event
    body     jsonb       not null
);

-- {id, asset, type ("materialization", "observation"), partitions: [key], metadata, data_version, location, who, why, cause} ->
-- {"new", "position", "conflict"}: records what happened elsewhere: an event for each partition, which becomes the current
-- materialization, or the last observation. conflict says that the id has another report.
-- +goose StatementBegin
create function report_event_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_asset  text  := p->>'asset';
    v_type   text  := case p->>'type' when 'observation' then 'ASSET_OBSERVATION' else 'ASSET_MATERIALIZATION' end;
    v_events jsonb;
    v_token  bigint;
    v_first  bigint;
    v_at     timestamptz;
    v_known  reports;
    v_wakes  jsonb;
begin
    -- Two of one id: one after the other.
    perform pg_advisory_xact_lock(hashtextextended('perdure report ' || current_schema() || ' ' || (p->>'id'), 0));
    select * into v_known from reports where id = p->>'id';
    if found then
        return with_wakes_v1(jsonb_build_object('new', false, 'position', v_known.position, 'conflict', v_known.body <> p),
            still_dirty_v1('', array[v_type], array[v_asset]));
    end if;
    -- What a step was granted before it counts as made before it, as it began before.
    if v_type = 'ASSET_MATERIALIZATION' then
        v_token := next_token_v1();
    end if;
    select jsonb_agg(jsonb_build_object('type', v_type, 'asset', v_asset, 'partition', k.key, 'body', jsonb_build_object(
        'report', p->>'id', 'data_version', coalesce(p->>'data_version', ''), 'location', coalesce(p->>'location', ''),
        'metadata', coalesce(nullif(p->'metadata', 'null'), '[]'), 'who', p->>'who', 'why', p->>'why')) order by k.place)
    into v_events from jsonb_array_elements_text(p->'partitions') with ordinality k(key, place);
    select o_first, o_at, o_wakes into v_first, v_at, v_wakes from append_events_v1('', coalesce(p->>'cause', ''), v_events);
    insert into reports (id, at, position, body) values (p->>'id', v_at, v_first, p);

    if v_type = 'ASSET_OBSERVATION' then
        insert into observations as o (asset, partition, position, at, data_version, metadata)
        select v_asset, k.key, v_first + k.place - 1, v_at, coalesce(p->>'data_version', ''), coalesce(nullif(p->'metadata', 'null'), '[]')
        from jsonb_array_elements_text(p->'partitions') with ordinality k(key, place)
        on conflict (asset, partition) do update
        set position = excluded.position, at = excluded.at, data_version = excluded.data_version, metadata = excluded.metadata;
        return with_wakes_v1(jsonb_build_object('new', true, 'position', v_first), v_wakes);
    end if;

    with made as (
        insert into materializations (position, at, run_id, step, scheduled, asset, partition, token, slot_token, location,
            metadata, data_version, cause)
        select v_first + k.place - 1, v_at, '', p->>'id', 0, v_asset, k.key, v_token, 0, coalesce(p->>'location', ''),
               coalesce(nullif(p->'metadata', 'null'), '[]'), coalesce(p->>'data_version', ''), coalesce(p->>'cause', '')
        from jsonb_array_elements_text(p->'partitions') with ordinality k(key, place)
        returning *)
    insert into asset_partitions as current (asset, partition, materialization, position, at, run_id, step, token, slot_token,
        location, data_version, code_version, metadata)
    select asset, partition, id, position, at, run_id, step, token, slot_token, location, data_version, code_version, metadata
    from made
    on conflict (asset, partition) do update
    set materialization = excluded.materialization, position = excluded.position, at = excluded.at, run_id = excluded.run_id,
        -- The value that is stored stays the one that is loaded: it may have been changed in its place.
        step = excluded.step, token = excluded.token, location = coalesce(nullif(excluded.location, ''), current.location),
        data_version = excluded.data_version, code_version = excluded.code_version, metadata = excluded.metadata
    where current.token < excluded.token;
    return with_wakes_v1(jsonb_build_object('new', true, 'position', v_first), v_wakes);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function report_event_v1(jsonb);
drop table reports;
drop function wipe_asset_v1(jsonb);
drop function forget_materializations_v1(text, text[], text);
