-- Beginning a run.

-- +goose Up

-- What an earlier planning of this very run has recorded: {run_id, first_run_id, scheduled} -> as plan_run_v1, or
-- {"outcome":"unknown"} when there was none. It needs no plan: the definitions may have changed since.
-- +goose StatementBegin
create function replan_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row runs;
begin
    select * into v_row from runs where run_id = p->>'run_id' for no key update;
    if not found then
        return jsonb_build_object('outcome', 'unknown');
    end if;
    if v_row.first_run_id <> p->>'first_run_id' then
        return jsonb_build_object('outcome', 'exists', 'status', v_row.status, 'created_at', v_row.created_at);
    end if;
    if reopen_run_v1(v_row.run_id, (p->>'scheduled')::bigint) then
        perform append_events_v1(v_row.run_id, v_row.cause, '[{"type":"RUN_RESTARTED"}]');
    end if;
    return jsonb_build_object('outcome', 'replanned', 'walk',
        (select translate(encode(walk, 'base64'), E'\n', '') from run_plans where run_id = v_row.run_id));
end $$;
-- +goose StatementEnd

-- Begins a run: its row, plan, steps, planned assets and first events, all or nothing. p is the run's columns and
-- {walk (base64), steps: [{plan_steps' columns}], assets: [key], outside: [key]}. Answers:
--   {"outcome":"planned"}
--   {"outcome":"replanned","walk"}  this very run asks again: a retry, or a reset, which also reopens an ended run.
--                                   scheduled is Temporal's time of the asking, which tells the two apart
--   {"outcome":"exists","status","created_at"}  another run has the id; nothing changes
--   {"outcome":"missing_inputs","missing":[key]}  assets that steps load but nobody has made; nothing changes
-- +goose StatementBegin
create function plan_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run     text := p->>'run_id';
    v_cause   text := coalesce(p->>'cause', '');
    v_answer  jsonb;
    v_missing jsonb;
    v_at      timestamptz;
begin
    -- Twice at most: an insert that meets a concurrent one finds that one's row the second time.
    loop
        v_answer := replan_run_v1(p);
        if v_answer->>'outcome' <> 'unknown' then
            return v_answer;
        end if;

        select jsonb_agg(o.key order by o.key) into v_missing
        from (select distinct key from jsonb_array_elements_text(p->'outside') o(key)) o
        where not exists (select 1 from asset_partitions a where a.asset = o.key);
        if v_missing is not null then
            return jsonb_build_object('outcome', 'missing_inputs', 'missing', v_missing);
        end if;

        v_at := clock_v1();
        insert into runs (run_id, first_run_id, location, build, snapshot_hash, queue, status, job, selection, title, note,
            tags, config, priority, cause, request, steps_total, created_at, started_at)
        values (v_run, p->>'first_run_id', p->>'location', coalesce(p->>'build', ''), coalesce(p->>'snapshot_hash', ''),
            coalesce(p->>'queue', ''), 'STARTED', coalesce(p->>'job', ''), coalesce(p->>'selection', ''),
            coalesce(p->>'title', ''), coalesce(p->>'note', ''), coalesce(p->'tags', '{}'), p->'config',
            coalesce((p->>'priority')::int, 3), v_cause, p->'request', jsonb_array_length(p->'steps'), v_at, v_at)
        on conflict (run_id) do nothing;
        exit when found;
    end loop;

    insert into run_plans (run_id, walk) values (v_run, decode(p->>'walk', 'base64'));
    insert into plan_steps (run_id, step, idx, type, shape, assets, partitions, inputs, max_lost, body)
    select v_run, s.step, s.idx, s.type, s.shape, s.assets, s.partitions, s.inputs, s.max_lost, s.body
    from jsonb_to_recordset(p->'steps') s(step text, idx int, type text, shape text, assets text[], partitions text[],
        inputs jsonb, max_lost int, body json);
    insert into run_assets (run_id, asset, created_at)
    select distinct v_run, a.key, v_at from jsonb_array_elements_text(p->'assets') a(key);

    perform append_events_v1(v_run, v_cause,
        jsonb_build_array(jsonb_build_object('type', 'RUN_START',
            'body', jsonb_build_object('steps', jsonb_array_length(p->'steps'), 'job', coalesce(p->>'job', ''))))
        || coalesce((select jsonb_agg(jsonb_build_object('type', 'ASSET_MATERIALIZATION_PLANNED', 'asset', a.key) order by a.place)
            from jsonb_array_elements_text(p->'assets') with ordinality a(key, place)), '[]'));
    return jsonb_build_object('outcome', 'planned');
end $$;
-- +goose StatementEnd

-- +goose Down
drop function plan_run_v1(jsonb);
drop function replan_run_v1(jsonb);
