-- Beginning a run.

-- +goose Up

-- What an earlier planning of this very run has recorded: {run_id, first_run_id, scheduled, execution} -> as plan_run_v1, or
-- {"outcome":"unknown"} when there was none: "noted" when the run has a row that note_run_v1 made, which is locked then.
-- It needs no plan: the definitions may have changed since.
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
    if reopen_run_v1(v_row.run_id, (p->>'scheduled')::bigint, p->>'execution') then
        if not exists (select 1 from run_plans where run_id = v_row.run_id) then
            perform 1 from queue_head for update; -- it may enter the queue yet, and the log is locked last
        end if;
        perform append_events_v1(v_row.run_id, v_row.cause, '[{"type":"RUN_RESTARTED"}]');
        select * into v_row from runs where run_id = v_row.run_id;
    end if;
    if not exists (select 1 from run_plans where run_id = v_row.run_id) then
        if run_ended_v1(v_row.status) then
            return jsonb_build_object('outcome', 'exists', 'status', v_row.status, 'created_at', v_row.created_at);
        end if;
        return jsonb_build_object('outcome', 'unknown', 'noted', true);
    end if;
    return jsonb_build_object('outcome', 'replanned', 'walk',
        (select translate(encode(walk, 'base64'), E'\n', '') from run_plans where run_id = v_row.run_id),
        'queued', case when v_row.status in ('QUEUED', 'STARTING') then coalesce(nullif(queue_reason_v1(v_row.run_id), ''), 'waits for its turn in the queue') end,
        'began', case when v_row.status not in ('QUEUED', 'STARTING') and v_row.started_at > v_row.created_at then v_row.started_at end);
end $$;
-- +goose StatementEnd

-- Which of [{asset, partitions, by}] nobody has made: [{asset, partitions, count, by}] in the order given, at most 3 keys of each
-- asset, in their order; null when there is nothing missing.
-- +goose StatementBegin
create function missing_inputs_v1(p_inputs jsonb) returns jsonb language plpgsql stable as $$
begin
    if p_inputs = '[]' then
        return null;
    end if;
    return (
        select jsonb_agg(jsonb_build_object('asset', m.asset, 'count', m.count, 'partitions', m.partitions, 'by', m.by) order by m.place)
        from (
            select i.place, i.value->>'asset' as asset, i.value->'by' as by, count(*) as count,
                   (array_agg(k.key order by k.place))[1:3] as partitions
            from jsonb_array_elements(p_inputs) with ordinality i(value, place)
            cross join lateral jsonb_array_elements_text(i.value->'partitions') with ordinality k(key, place)
            where not exists (select 1 from asset_partitions a where a.asset = i.value->>'asset' and a.partition = k.key)
            group by i.place, i.value) m);
end $$;
-- +goose StatementEnd

-- Begins a run: its row, plan, steps, planned assets and first events, all or nothing; or puts it in the queue, when a limit holds it
-- back: see admit_run_v1. p is the run's columns and
-- {walk (base64), steps: [{plan_steps' columns}], assets: [{asset, planned, count, ranges}], outside: [{asset, partitions, by}]}.
-- planned and count are run_assets', ranges says them for people. Steps that are inherited, and those that
-- are mapped over an inherited one, are among them. A run that was only noted is adopted. Answers:
--   {"outcome":"planned","queued"}  queued says for what it waits in the queue; null when it has begun
--   {"outcome":"replanned","walk","queued","began"}  this very run asks again: a retry, or a reset, which also reopens an ended run.
--                                   scheduled is Temporal's time of the asking, which tells the two apart; began is when it began, of one
--                                   that did so later than it was planned
--   {"outcome":"exists","status","created_at"}  another run has the id; nothing changes
--   {"outcome":"missing_inputs","missing":[{asset, partitions, count, by}]}  what steps load but nobody has made, at most 3 partitions of
--                                   each asset named; nothing changes
--   {"outcome":"not_asked","status"}  its backfill does not wait for it any more, and has ended so, or its part in it has; nothing changes
-- +goose StatementBegin
create function plan_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run     text := p->>'run_id';
    v_cause   text := coalesce(p->>'cause', '');
    v_answer  jsonb;
    v_missing jsonb;
    v_closed  text;
    v_root    text := coalesce(p->>'root_run_id', '');
    v_retry   int  := 0;
    v_total   int;
    v_trigger jsonb;
    v_at      timestamptz;
    v_wakes   jsonb;
    v_row     runs;
    v_queued  text;
begin
    select count(*) into v_total from jsonb_to_recordset(p->'steps') s(over text, inherited_from text)
    where coalesce(s.over, '') = '' and coalesce(s.inherited_from, '') = '';
    if v_root <> '' then
        perform lock_chain_v1(v_root);
        select 1 + coalesce(max(retry_number), 0) into v_retry from runs
        where run_id = v_root or root_run_id = v_root and root_run_id <> '';
    end if;

    -- Twice at most: an insert that meets a concurrent one finds that one's row the second time.
    loop
        v_answer := replan_run_v1(p);
        if v_answer->>'outcome' <> 'unknown' then
            return v_answer;
        end if;

        v_closed := case when coalesce(p->'request'->>'backfill', '') <> '' then may_begin_v1(p->'request'->>'backfill', v_run) end;
        if v_closed is not null then
            return jsonb_build_object('outcome', 'not_asked', 'status', v_closed);
        end if;

        v_missing := missing_inputs_v1(p->'outside');
        if v_missing is not null then
            return jsonb_build_object('outcome', 'missing_inputs', 'missing', v_missing);
        end if;

        v_trigger := coalesce(p->'request'->'trigger', (
            select jsonb_build_object('kind', trigger_kind, 'name', trigger_name, 'tick', tick_id) from runs
            where run_id = nullif(p->>'parent_run_id', '') and trigger_kind <> ''));
        v_at := clock_v1();
        insert into runs (run_id, first_run_id, location, status, steps_total, created_at)
        values (v_run, p->>'first_run_id', p->>'location', 'STARTED', v_total, v_at)
        on conflict (run_id) do nothing;
        exit when found or (v_answer->>'noted')::boolean;
    end loop;
    update runs
    set location = p->>'location', build = coalesce(p->>'build', ''), snapshot_hash = coalesce(p->>'snapshot_hash', ''),
        queue = coalesce(p->>'queue', ''), status = case status when 'CANCELING' then status else 'STARTED' end,
        job = coalesce(p->>'job', ''), selection = coalesce(p->>'selection', ''), title = coalesce(p->>'title', ''),
        note = coalesce(p->>'note', ''), tags = coalesce(p->'tags', '{}'), config = p->'config',
        partition = coalesce(p->>'partition', ''), several = coalesce((p->>'several')::boolean, false),
        pools = coalesce((select array_agg(value order by value) from jsonb_array_elements_text(nullif(p->'pools', 'null'))), '{}'),
        backfill = coalesce(nullif(p->'request'->>'backfill', ''),
            (select parent.backfill from runs parent where parent.run_id = nullif(p->>'parent_run_id', '')), ''),
        trigger_kind = coalesce(v_trigger->>'kind', ''), trigger_name = coalesce(v_trigger->>'name', ''), tick_id = coalesce(v_trigger->>'tick', ''),
        priority = coalesce((p->>'priority')::int, 3), cause = v_cause, request = p->'request', steps_total = v_total,
        reason = case status when 'CANCELING' then reason else '' end, parent_run_id = coalesce(p->>'parent_run_id', ''),
        root_run_id = v_root, retry_number = v_retry, timeout = coalesce((p->>'timeout')::bigint, 0), started_at = v_at
    where run_id = v_run returning * into v_row;

    insert into run_plans (run_id, walk) values (v_run, decode(p->>'walk', 'base64'));
    insert into plan_steps (run_id, step, idx, place, type, shape, assets, partitions, inputs, op_values, made_of, max_lost, pool, body, over,
        template, mapping_key, inherited_from, result)
    select v_run, s.step, s.idx, coalesce(s.place, 0), s.type, s.shape, s.assets, s.partitions, s.inputs, s.op_values, s.made_of, s.max_lost,
           coalesce(s.pool, ''), s.body, coalesce(s.over, ''), coalesce(s.template, ''), coalesce(s.mapping_key, ''), coalesce(s.inherited_from, ''), s.result
    from jsonb_to_recordset(p->'steps') s(step text, idx int, place int, type text, shape text, assets text[], partitions text[],
        inputs jsonb, op_values jsonb, made_of text[], max_lost int, pool text, body json, over text, template text, mapping_key text, inherited_from text,
        result jsonb);
    insert into run_fans (run_id, fan)
    select distinct v_run, s.over from jsonb_to_recordset(p->'steps') s(over text) where s.over <> '';
    insert into run_assets (run_id, asset, created_at, planned, count)
    select v_run, a.asset, v_at, a.planned, a.count from jsonb_to_recordset(p->'assets') a(asset text, planned jsonb, count int);

    -- Whether it may begin is asked late: who changes the limits, and every other run when there are any, waits from here on.
    perform pg_advisory_xact_lock_shared(limits_lock_v1());
    if (v_answer->>'noted')::boolean and v_row.status = 'STARTED' then
        -- One that had ended before it was planned, and was reset, has got a place by that: it waits like any other.
        delete from queue_entries where run_id = v_run;
        delete from queue_holds where run_id = v_run;
    end if;
    perform 1 from queue_head where limited;
    if found and v_row.status = 'STARTED' and not enter_queue_v1(v_run) then
        v_queued := queue_reason_v1(v_run);
        update runs set status = 'QUEUED', started_at = null, reason = v_queued where run_id = v_run;
    end if;
    select o_wakes into v_wakes from append_events_v1(v_run, v_cause,
        jsonb_build_array(jsonb_build_object('type', case when v_queued is null then 'RUN_START' else 'RUN_ENQUEUED' end,
            'body', run_start_body_v1(v_row)
                || case when v_queued is null then '{}' else jsonb_build_object('priority', v_row.priority, 'reason', v_queued) end))
        || coalesce((select jsonb_agg(jsonb_build_object('type', 'ASSET_MATERIALIZATION_PLANNED', 'asset', a.value->>'asset',
                'partition', a.value->>'partition', 'body', case when a.value ? 'ranges'
                    then jsonb_build_object('partitions', a.value->'ranges', 'count', a.value->'count') else '{}' end) order by a.place)
            from jsonb_array_elements(p->'assets') with ordinality a(value, place)), '[]'));
    return with_wakes_v1(jsonb_build_object('outcome', 'planned', 'queued', v_queued), v_wakes);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function plan_run_v1(jsonb);
drop function missing_inputs_v1(jsonb);
drop function replan_run_v1(jsonb);
