-- Claiming a step.

-- +goose Up

-- Makes p_run's p_step the writer of all its outputs, or of none: then it returns the step in the way
-- (wire.Holder). A writer is in the way while its step is open under the same token and its run has not ended; any
-- other row is a left-over and is replaced. A step that writes one waits for its row while it holds none; how several
-- are taken says take_all_writers_v1.
-- +goose StatementBegin
create function take_writers_v1(p_run text, p_step text, p_token bigint, p_assets text[], p_partitions text[], p_at timestamptz)
returns jsonb language plpgsql as $$
declare
    v_row    writers;
    v_holder jsonb;
begin
    if cardinality(p_assets) > 1 then
        return take_all_writers_v1(p_run, p_step, p_token, p_assets, p_partitions, p_at);
    end if;
    for i in 1 .. cardinality(p_assets) loop
        loop
            insert into writers (asset, partition, run_id, step, token, since)
            values (p_assets[i], p_partitions[i], p_run, p_step, p_token, p_at)
            on conflict (asset, partition) do nothing;
            exit when found;
            select * into v_row from writers where asset = p_assets[i] and partition = p_partitions[i] for update;
            continue when not found; -- it was freed between the two
            if v_row.run_id <> p_run or v_row.step <> p_step then
                select jsonb_build_object('run', v_row.run_id, 'step', v_row.step, 'asset', v_row.asset,
                                          'partition', v_row.partition, 'worker', s.worker, 'since', v_row.since) into v_holder
                from steps s join runs r using (run_id)
                where s.run_id = v_row.run_id and s.step = v_row.step and s.state = 'open' and s.token = v_row.token
                  and not run_ended_v1(r.status);
                if found then
                    return v_holder;
                end if;
            end if;
            update writers set run_id = p_run, step = p_step, token = p_token, since = p_at
            where asset = p_assets[i] and partition = p_partitions[i];
            exit;
        end loop;
    end loop;
    return null;
end $$;
-- +goose StatementEnd

-- As take_writers_v1, for many at once. No two wait for each other: new rows are inserted in the order of p_assets and
-- p_partitions, which is sorted, and rows that are there are taken only when nobody has them; what somebody has is waited
-- for while nothing is held. Rows of a step that lives are never locked.
-- +goose StatementBegin
create function take_all_writers_v1(p_run text, p_step text, p_token bigint, p_assets text[], p_partitions text[], p_at timestamptz)
returns jsonb language plpgsql as $$
declare
    v_count  int := cardinality(p_assets);
    v_new    int;
    v_taken  int;
    v_holder jsonb;
begin
    loop
        begin
            insert into writers (asset, partition, run_id, step, token, since)
            select w.asset, w.partition, p_run, p_step, p_token, p_at
            from unnest(p_assets, p_partitions) with ordinality w(asset, partition, place) order by w.place
            on conflict (asset, partition) do nothing;
            get diagnostics v_new = row_count;
            if v_new = v_count then
                return null;
            end if;

            select jsonb_build_object('run', o.run_id, 'step', o.step, 'asset', o.asset, 'partition', o.partition,
                                      'worker', s.worker, 'since', o.since) into v_holder
            from unnest(p_assets, p_partitions) with ordinality w(asset, partition, place)
            join writers o on o.asset = w.asset and o.partition = w.partition and (o.run_id <> p_run or o.step <> p_step)
            join steps s on s.run_id = o.run_id and s.step = o.step and s.state = 'open' and s.token = o.token
            join runs r on r.run_id = o.run_id and not run_ended_v1(r.status)
            order by w.place limit 1;
            if found then
                raise exception using errcode = 'PW001'; -- gives back what it holds
            end if;

            with free as (
                select o.asset, o.partition from unnest(p_assets, p_partitions) w(asset, partition)
                join writers o on o.asset = w.asset and o.partition = w.partition and o.token <> p_token
                for update of o skip locked)
            update writers o set run_id = p_run, step = p_step, token = p_token, since = p_at
            from free where o.asset = free.asset and o.partition = free.partition
              -- As it is now that it is locked.
              and not exists (
                  select 1 from steps s join runs r using (run_id)
                  where s.run_id = o.run_id and s.step = o.step and s.state = 'open' and s.token = o.token and not run_ended_v1(r.status)
                    and (o.run_id <> p_run or o.step <> p_step));
            get diagnostics v_taken = row_count;
            if v_new + v_taken = v_count then
                return null;
            end if;
            raise exception using errcode = 'PW001';
        exception when sqlstate 'PW001' then
            if v_holder is not null then
                return v_holder;
            end if;
        end;
        -- Somebody takes or frees some of them just now, which takes him as long as a claim.
        perform pg_sleep(0.005);
    end loop;
end $$;
-- +goose StatementEnd

-- The stored values that a step loads: [wire.InputVersion] in the order of the plan. What its run makes is loaded as
-- this run made it and never as another did ("from" names the run that it inherits it of); a partition without
-- materialization is left out. One short look-up for each input of one partition: most steps have few, and one statement
-- for all of them costs more to begin than those to run. An input of several partitions is one statement.
-- +goose StatementBegin
create function step_inputs_v1(p_run text, p_inputs jsonb) returns json language plpgsql stable as $$
declare
    v_asset     text;
    v_keys      jsonb;
    v_partition text;
    v_token     bigint;
    v_version   text;
    v_position  bigint;
    v_location  text;
    v_inputs    json[] := '{}';
    v_many      json[];
begin
    for i in 0 .. coalesce(jsonb_array_length(p_inputs), 0) - 1 loop
        v_asset := p_inputs->i->>'asset';
        v_keys := p_inputs->i->'partitions';
        if jsonb_array_length(v_keys) > 1 then
            v_many := inputs_of_v1(case when (p_inputs->i->'in_run')::boolean then coalesce(p_inputs->i->>'from', p_run) end, v_asset, v_keys);
            v_inputs := v_inputs || v_many;
            continue;
        end if;
        v_partition := coalesce(v_keys->>0, '');
        if (p_inputs->i->'in_run')::boolean then
            select m.slot_token, m.data_version, m.position, m.location into v_token, v_version, v_position, v_location
            from (select * from materializations
                  where run_id = coalesce(p_inputs->i->>'from', p_run) and asset = v_asset and partition = v_partition
                  order by scheduled desc, token desc limit 1) m
            -- After a reset its step may have left it out.
            where (select s.state = 'done' and s.scheduled = m.scheduled from steps s where s.run_id = m.run_id and s.step = m.step);
        else
            select slot_token, data_version, position, location into v_token, v_version, v_position, v_location from asset_partitions
            where asset = v_asset and partition = v_partition;
        end if;
        if found then
            v_inputs := v_inputs || json_build_object('asset', v_asset, 'partition', v_partition, 'token', v_token, 'data_version', v_version,
                'location', v_location, 'position', v_position);
        end if;
    end loop;
    return array_to_json(v_inputs);
end $$;
-- +goose StatementEnd

-- What step_inputs_v1 answers for several partitions of one asset: as p_run made them, or as they are when that is null.
-- Each is looked up by its key, whatever the planner believes of the tables.
-- +goose StatementBegin
create function inputs_of_v1(p_run text, p_asset text, p_keys jsonb) returns json[] language plpgsql stable as $$
declare
    v_inputs json[];
begin
    if p_run is null then
        select array_agg(json_build_object('asset', p_asset, 'partition', k.key, 'token', a.slot_token,
            'data_version', a.data_version, 'location', a.location, 'position', a.position) order by k.place) into v_inputs
        from jsonb_array_elements_text(p_keys) with ordinality k(key, place)
        cross join lateral (
            select c.slot_token, c.data_version, c.location, c.position from asset_partitions c
            where c.asset = p_asset and c.partition = k.key limit 1) a;
    else
        select array_agg(json_build_object('asset', p_asset, 'partition', k.key, 'token', m.slot_token,
            'data_version', m.data_version, 'location', m.location, 'position', m.position) order by k.place) into v_inputs
        from jsonb_array_elements_text(p_keys) with ordinality k(key, place)
        cross join lateral (
            select o.slot_token, o.data_version, o.location, o.position, o.run_id, o.step, o.scheduled from materializations o
            where o.run_id = p_run and o.asset = p_asset and o.partition = k.key
            order by o.scheduled desc, o.token desc limit 1) m
        where exists (
            select 1 from steps s where s.run_id = m.run_id and s.step = m.step and s.state = 'done' and s.scheduled = m.scheduled);
    end if;
    return coalesce(v_inputs, '{}');
end $$;
-- +goose StatementEnd

-- What a granted claim answers.
-- +goose StatementBegin
create function granted_v1(p_run text, p_token bigint, p_attempt int, p_body json, p_inputs jsonb, p_values jsonb, p_made_of text[], p_key text,
    p_job text, p_cause text, p_tags jsonb)
returns json language plpgsql stable as $$
begin
    return json_build_object('outcome', 'granted', 'token', p_token, 'attempt', p_attempt, 'plan', p_body, 'mapping_key', p_key,
        'job', p_job, 'cause', p_cause, 'tags', p_tags, 'inputs', step_inputs_v1(p_run, p_inputs),
        'values', case when p_values is not null then step_values_v1(p_run, p_values, p_key) end,
        'loaded', case when p_made_of is not null then step_loaded_v1(p_run, p_made_of) end);
end $$;
-- +goose StatementEnd

-- An attempt asks for a step: wire.ClaimRequest -> wire.Claim.
-- +goose StatementBegin
create function claim_step_v1(p jsonb) returns json language plpgsql as $$
declare
    v_run       text   := p->>'run';
    v_step      text   := p->>'step';
    v_scheduled bigint := (p->>'scheduled')::bigint;
    v_started   bigint := (p->>'started')::bigint;
    v_worker    text   := coalesce(p->>'worker', '');
    v_build     text   := coalesce(p->>'build', '');
    v_plan      record;
    v_row       steps;
    v_at        timestamptz;
    v_events    jsonb := '[]';
    v_answer    json;
    v_holder    jsonb;
    v_error     text;
begin
    select ps.type, ps.shape, ps.assets, ps.partitions, ps.inputs, ps.op_values, ps.made_of, ps.max_lost, ps.body, ps.template, ps.mapping_key,
           r.status, r.job, r.cause, r.tags, s.scheduled as known
    into v_plan
    from plan_steps ps join runs r using (run_id) left join steps s using (run_id, step)
    where ps.run_id = v_run and ps.step = v_step and ps.over = '' and ps.inherited_from = '';
    if not found then
        return json_build_object('outcome', 'unknown');
    end if;
    if v_plan.template <> '' then
        select body into v_plan.body from plan_steps where run_id = v_run and step = v_plan.template;
        -- A fan that is computed anew drops its mapped steps: not one that is just being claimed.
        perform 1 from plan_steps where run_id = v_run and step = v_step for key share;
        if not found then
            return json_build_object('outcome', 'unknown');
        end if;
    end if;

    -- Nearly every claim is the first of its step, and granted: it inserts the row as it is to be. What follows below
    -- answers all others.
    if v_plan.known is null and v_plan.shape = p->>'shape' and not run_ended_v1(v_plan.status) then
        perform pg_advisory_xact_lock_shared(run_lock_v1(v_run)); -- see begin_step_v1
        v_at := clock_v1();
        insert into steps (run_id, step, scheduled, started, token, held, worker, build, first_started_at, claimed_at)
        select v_run, v_step, v_scheduled, v_started, nextval('step_tokens'), true, v_worker, v_build, v_at, v_at
        from runs, token_guard where run_id = v_run and not run_ended_v1(status) -- without the guard see next_token_v1
        on conflict (run_id, step) do nothing returning token into v_row.token;
        if found then
            if take_writers_v1(v_run, v_step, v_row.token, v_plan.assets, v_plan.partitions, v_at) is null then
                -- Its commit brings it to the disk. When Postgres crashes before that, the step is as if nobody had claimed
                -- it, and the attempt claims it again: see claim_lost_v1.
                if v_row.token <= (select reserved from token_limit) then
                    perform set_config('synchronous_commit', 'off', true);
                else
                    perform reserve_token_v1(v_row.token);
                end if;
                return granted_v1(v_run, v_row.token, 1, v_plan.body, v_plan.inputs, v_plan.op_values, v_plan.made_of,
                    v_plan.mapping_key, v_plan.job, v_plan.cause, v_plan.tags);
            end if;
            -- It waits: the row becomes what begin_step_v1 makes.
            update steps
            set started = 0, token = null, held = false, worker = '', build = '', first_started_at = null, claimed_at = null
            where run_id = v_run and step = v_step;
        end if;
    end if;

    if run_ended_v1(v_plan.status) and reopen_run_v1(v_run, v_scheduled) then
        v_events := v_events || '{"type":"RUN_RESTARTED"}';
    end if;
    v_row := begin_step_v1(v_run, v_step, v_scheduled);
    if v_row.run_id is null then
        return json_build_object('outcome', 'superseded');
    end if;
    v_at := clock_v1();

    <<decide>>
    begin
        if v_scheduled = v_row.scheduled and v_row.state = 'done' then
            v_answer := json_build_object('outcome', 'done', 'result', v_row.result);
            exit decide;
        end if;
        if v_scheduled = v_row.scheduled and v_row.state = 'failed' and v_row.lost >= v_plan.max_lost then
            v_answer := json_build_object('outcome', 'lost', 'workers', to_jsonb(v_row.lost_workers));
            exit decide;
        end if;
        if v_scheduled < v_row.scheduled or v_row.state <> 'open' then
            v_answer := json_build_object('outcome', 'superseded');
            exit decide;
        end if;
        if v_started < v_row.started then
            -- A zombie, or a retry that another of Temporal's hosts started whose clock is behind. Only Temporal can tell
            -- them apart: it hears nothing from a zombie any more, and starts the retry once again.
            v_answer := json_build_object('outcome', 'waiting', 'holder', jsonb_build_object('run', v_run, 'step', v_step,
                'asset', coalesce(v_plan.assets[1], v_step), 'partition', coalesce(v_plan.partitions[1], ''), 'worker', v_row.worker, 'since', v_row.claimed_at));
            exit decide;
        end if;

        if v_plan.shape is distinct from p->>'shape' then
            update steps
            set reason_since = case when reason_code = 'not_on_this_build' then reason_since else v_at end,
                reason_code = 'not_on_this_build',
                reason = format('worker %s has %s in another shape than the plan: waiting for a build that fits', v_worker, v_plan.type)
            where run_id = v_run and step = v_step;
            v_answer := json_build_object('outcome', 'other_shape');
            exit decide;
        end if;

        if v_row.held and v_started > v_row.started then
            v_row.lost := v_row.lost + 1;
            v_row.lost_workers := v_row.lost_workers || v_row.worker;
            update steps set held = false, lost = v_row.lost, lost_workers = v_row.lost_workers
            where run_id = v_run and step = v_step;
            if v_row.lost >= v_plan.max_lost then
                v_error := format('%s workers died or froze under this step (%s): most likely out of memory, a crash of the process or a lost machine',
                    v_row.lost, array_to_string(v_row.lost_workers, ', '));
                update steps
                set state = 'failed', ended_at = v_at, error = jsonb_build_object('message', v_error),
                    reason_code = '', reason = '', reason_since = null
                where run_id = v_run and step = v_step;
                perform free_writers_v1(v_run, array[v_step]);
                v_events := v_events || jsonb_build_object('type', 'STEP_FAILURE', 'step', v_step, 'body',
                    jsonb_build_object('error', jsonb_build_object('message', v_error), 'lost_workers', to_jsonb(v_row.lost_workers)));
                v_answer := jsonb_build_object('outcome', 'lost', 'workers', to_jsonb(v_row.lost_workers),
                    'admitted', to_wake_v1('[]', free_slots_v1(v_run, array[v_step])))::json; -- as all that name somebody to wake are written
                exit decide;
            end if;
            v_row.held := false;
        end if;

        if v_row.held then
            -- The holder asks again: it did not hear the answer.
            v_holder := null;
        else
            v_row.token := next_token_v1();
            v_holder := take_writers_v1(v_run, v_step, v_row.token, v_plan.assets, v_plan.partitions, v_at);
            if v_holder is not null then
                update steps
                set reason_since = case when reason_code = 'waiting_for_writer' then reason_since else v_at end,
                    reason_code = 'waiting_for_writer',
                    reason = format('waits for step %s of run %s, which is writing %s', v_holder->>'step', v_holder->>'run',
                        (v_holder->>'asset') || coalesce(' [' || nullif(v_holder->>'partition', '') || ']', ''))
                where run_id = v_run and step = v_step;
                v_answer := json_build_object('outcome', 'waiting', 'holder', v_holder);
                exit decide;
            end if;
            update steps
            set token = v_row.token, started = v_started, held = true, worker = v_worker, build = v_build,
                first_started_at = coalesce(v_row.first_started_at, v_at),
                claimed_at = v_at, reason_code = '', reason = '', reason_since = null
            where run_id = v_run and step = v_step;
        end if;
        v_answer := granted_v1(v_run, v_row.token, v_row.failures + 1, v_plan.body, v_plan.inputs, v_plan.op_values,
            v_plan.made_of, v_plan.mapping_key, v_plan.job, v_plan.cause, v_plan.tags);
    end decide;

    perform append_events_v1(v_run, v_plan.cause, v_events);
    return v_answer;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function claim_step_v1(jsonb);
drop function granted_v1(text, bigint, int, json, jsonb, jsonb, text[], text, text, text, jsonb);
drop function inputs_of_v1(text, text, jsonb);
drop function step_inputs_v1(text, jsonb);
drop function take_all_writers_v1(text, text, bigint, text[], text[], timestamptz);
drop function take_writers_v1(text, text, bigint, text[], text[], timestamptz);
