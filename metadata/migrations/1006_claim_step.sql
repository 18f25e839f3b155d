-- Claiming a step.

-- +goose Up

-- Makes p_run's p_step the writer of all its outputs, or of none: then it returns the step in the way
-- (wire.Holder). A writer is in the way while its step is open under the same token and its run has not ended; any
-- other row is a left-over and is replaced. Rows are locked one by one in sorted order.
-- +goose StatementBegin
create function take_writers_v1(p_run text, p_step text, p_token bigint, p_outputs jsonb, p_at timestamptz) returns jsonb
language plpgsql as $$
declare
    v_output record;
    v_row    writers;
    v_holder jsonb;
begin
    for v_output in
        select distinct o->>'asset' as asset, coalesce(o->>'partition', '') as partition
        from jsonb_array_elements(p_outputs) o order by 1, 2
    loop
        loop
            insert into writers (asset, partition, run_id, step, token, since)
            values (v_output.asset, v_output.partition, p_run, p_step, p_token, p_at)
            on conflict (asset, partition) do nothing;
            exit when found;
            select * into v_row from writers
            where asset = v_output.asset and partition = v_output.partition for update;
            continue when not found; -- it was freed between the two
            if v_row.run_id <> p_run or v_row.step <> p_step then
                select jsonb_build_object('run', v_row.run_id, 'step', v_row.step, 'asset', v_row.asset,
                                          'worker', s.worker, 'since', v_row.since) into v_holder
                from steps s join runs r using (run_id)
                where s.run_id = v_row.run_id and s.step = v_row.step and s.state = 'open' and s.token = v_row.token
                  and not run_ended_v1(r.status);
                if found then
                    delete from writers where run_id = p_run and step = p_step and token = p_token;
                    return v_holder;
                end if;
            end if;
            update writers set run_id = p_run, step = p_step, token = p_token, since = p_at
            where asset = v_output.asset and partition = v_output.partition;
            exit;
        end loop;
    end loop;
    return null;
end $$;
-- +goose StatementEnd

-- The stored values that a step loads: [wire.InputVersion] in the order of the plan. What its run makes is loaded as
-- this run made it and never as another did; an asset without materialization is left out. In plpgsql, which keeps the
-- plan; SQL would plan it anew in every claim.
-- +goose StatementBegin
create function step_inputs_v1(p_run text, p_inputs jsonb) returns jsonb language plpgsql stable as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object('asset', i.input->>'asset', 'token', m.slot_token,
                                                 'data_version', m.data_version, 'position', m.position) order by i.place), '[]')
    from jsonb_array_elements(p_inputs) with ordinality i(input, place)
    cross join lateral (
        (select slot_token, data_version, position from materializations
         where coalesce((i.input->>'in_run')::boolean, false)
           and run_id = p_run and asset = i.input->>'asset' and partition = ''
         order by scheduled desc, token desc limit 1)
        union all
        select slot_token, data_version, position from asset_partitions
        where not coalesce((i.input->>'in_run')::boolean, false)
          and asset = i.input->>'asset' and partition = ''
    ) m);
end $$;
-- +goose StatementEnd

-- An attempt asks for a step: wire.ClaimRequest -> wire.Claim.
-- +goose StatementBegin
create function claim_step_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run       text   := p->>'run';
    v_step      text   := p->>'step';
    v_scheduled bigint := (p->>'scheduled')::bigint;
    v_started   bigint := (p->>'started')::bigint;
    v_worker    text   := coalesce(p->>'worker', '');
    v_plan      plan_steps;
    v_runs      runs;
    v_row       steps;
    v_at        timestamptz;
    v_events    jsonb := '[]';
    v_answer    jsonb;
    v_holder    jsonb;
    v_max_lost  int;
    v_error     text;
begin
    select * into v_plan from plan_steps where run_id = v_run and step = v_step;
    if not found then
        return jsonb_build_object('outcome', 'unknown');
    end if;
    v_max_lost := greatest(coalesce((v_plan.body->>'max_lost_workers')::int, 1), 1);

    select * into v_runs from runs where run_id = v_run;
    if run_ended_v1(v_runs.status) and reopen_run_v1(v_run, v_scheduled) then
        v_events := v_events || '{"type":"RUN_RESTARTED"}';
    end if;
    v_row := begin_step_v1(v_run, v_step, v_scheduled);
    if v_row.run_id is null then
        return jsonb_build_object('outcome', 'superseded');
    end if;
    v_at := clock_v1();

    <<decide>>
    begin
        if v_scheduled = v_row.scheduled and v_row.state = 'done' then
            v_answer := jsonb_build_object('outcome', 'done', 'result', v_row.result);
            exit decide;
        end if;
        if v_scheduled = v_row.scheduled and v_row.state = 'failed' and v_row.lost >= v_max_lost then
            v_answer := jsonb_build_object('outcome', 'lost', 'workers', to_jsonb(v_row.lost_workers));
            exit decide;
        end if;
        if v_scheduled < v_row.scheduled or v_row.state <> 'open' then
            v_answer := jsonb_build_object('outcome', 'superseded');
            exit decide;
        end if;
        if v_started < v_row.started then
            -- A zombie, or a retry that another of Temporal's hosts started whose clock is behind. Only Temporal can tell
            -- them apart: it hears nothing from a zombie any more, and starts the retry once again.
            v_answer := jsonb_build_object('outcome', 'waiting', 'holder', jsonb_build_object('run', v_run, 'step', v_step,
                'asset', coalesce(v_plan.body->'outputs'->0->>'asset', v_step), 'worker', v_row.worker, 'since', v_row.claimed_at));
            exit decide;
        end if;

        if v_plan.shape is distinct from p->>'shape' then
            update steps
            set reason_since = case when reason_code = 'not_on_this_build' then reason_since else v_at end,
                reason_code = 'not_on_this_build',
                reason = format('worker %s has %s in another shape than the plan: waiting for a build that fits', v_worker, v_plan.type)
            where run_id = v_run and step = v_step;
            v_answer := jsonb_build_object('outcome', 'other_shape');
            exit decide;
        end if;

        if v_row.held and v_started > v_row.started then
            v_row.lost := v_row.lost + 1;
            v_row.lost_workers := v_row.lost_workers || v_row.worker;
            update steps set held = false, lost = v_row.lost, lost_workers = v_row.lost_workers
            where run_id = v_run and step = v_step;
            if v_row.lost >= v_max_lost then
                v_error := format('%s workers died or froze under this step (%s): most likely out of memory, a crash of the process or a lost machine',
                    v_row.lost, array_to_string(v_row.lost_workers, ', '));
                update steps
                set state = 'failed', ended_at = v_at, error = jsonb_build_object('message', v_error),
                    reason_code = '', reason = '', reason_since = null
                where run_id = v_run and step = v_step;
                perform free_writers_v1(v_run, array[v_step]);
                v_events := v_events || jsonb_build_object('type', 'STEP_FAILURE', 'step', v_step, 'body',
                    jsonb_build_object('error', jsonb_build_object('message', v_error), 'lost_workers', to_jsonb(v_row.lost_workers)));
                v_answer := jsonb_build_object('outcome', 'lost', 'workers', to_jsonb(v_row.lost_workers));
                exit decide;
            end if;
            v_row.held := false;
        end if;

        if v_row.held then
            -- The holder asks again: it did not hear the answer.
            v_holder := null;
        else
            v_row.token := nextval('step_tokens');
            v_holder := take_writers_v1(v_run, v_step, v_row.token, coalesce(nullif(v_plan.body->'outputs', 'null'), '[]'), v_at);
            if v_holder is not null then
                update steps
                set reason_since = case when reason_code = 'waiting_for_writer' then reason_since else v_at end,
                    reason_code = 'waiting_for_writer',
                    reason = format('waits for step %s of run %s, which is writing %s', v_holder->>'step', v_holder->>'run', v_holder->>'asset')
                where run_id = v_run and step = v_step;
                v_answer := jsonb_build_object('outcome', 'waiting', 'holder', v_holder);
                exit decide;
            end if;
            update steps
            set token = v_row.token, started = v_started, held = true, worker = v_worker, build = coalesce(p->>'build', ''),
                first_started_at = coalesce(v_row.first_started_at, v_at),
                claimed_at = v_at, reason_code = '', reason = '', reason_since = null
            where run_id = v_run and step = v_step;
        end if;
        v_answer := jsonb_build_object('outcome', 'granted', 'token', v_row.token, 'attempt', v_row.failures + 1,
            'plan', v_plan.body, 'cause', v_runs.cause, 'tags', v_runs.tags,
            'inputs', case when v_plan.body ? 'inputs' then step_inputs_v1(v_run, v_plan.body->'inputs') else '[]' end);
    end decide;

    perform append_events_v1(v_run, v_runs.cause, v_events);
    return v_answer;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function claim_step_v1(jsonb);
drop function step_inputs_v1(text, jsonb);
drop function take_writers_v1(text, text, bigint, jsonb, timestamptz);
