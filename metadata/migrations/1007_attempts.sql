-- What the attempt that holds a step records: its commit, its failure, its release; and what a worker records that
-- cannot take the step at all.

-- +goose Up

-- What can be listened for of a commit's outputs and events.
-- +goose StatementBegin
create function committed_events_v1(p_outputs jsonb, p_events jsonb, out type text, out asset text) returns setof record language sql immutable as $$
    select 'ASSET_MATERIALIZATION', o->>'asset' from jsonb_array_elements(p_outputs) o where o ? 'asset'
    union
    select e->>'type', coalesce(e->>'asset', '') from jsonb_array_elements(p_events) e
$$;
-- +goose StatementEnd

-- wire.Commit -> wire.Committed, with whom to wake. All or nothing, once: asked again it answers as it did.
-- +goose StatementBegin
create function commit_step_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run       text   := p->>'run';
    v_step      text   := p->>'step';
    v_scheduled bigint := (p->>'scheduled')::bigint;
    v_token     bigint := (p->>'token')::bigint;
    v_build     text   := coalesce(p->>'build', '');
    v_outputs   jsonb  := coalesce(nullif(p->'outputs', 'null'), '[]');
    v_count     int    := jsonb_array_length(v_outputs);
    v_reported  jsonb  := coalesce(nullif(p->'events', 'null'), '[]');
    v_events    int    := jsonb_array_length(v_reported);
    v_row       steps;
    v_cause     text;
    v_first     bigint;
    v_at        timestamptz;
    v_listened  text[];
    v_wakes     jsonb;
    v_granted   jsonb  := '[]'; -- slots that others got
begin
    -- The fence is in the condition: what waited here for the row's lock is held against the row as it then is.
    update steps s
    set state = 'done', held = false, starts = s.starts + 1, result = p->'result', loaded = nullif(p->'loaded', 'null'), error = null, ended_at = clock_v1(),
        reason_code = '', reason = '', reason_since = null
    from runs r
    where s.run_id = v_run and s.step = v_step and s.state = 'open' and s.token = v_token and s.scheduled = v_scheduled
      and r.run_id = v_run and not run_ended_v1(r.status)
    returning s.step, s.starts, s.worker, s.build, s.claimed_at, s.lost, s.lost_workers, r.cause
    into v_row.step, v_row.starts, v_row.worker, v_row.build, v_row.claimed_at, v_row.lost, v_row.lost_workers, v_cause;
    if not found then
        select result into v_row.result from steps
        where run_id = v_run and step = v_step and state = 'done' and token = v_token and scheduled = v_scheduled;
        if found then
            return with_wakes_v1(jsonb_build_object('result', v_row.result), (
                select still_dirty_v1(v_run, array_agg(t.type), array_agg(t.asset)) from committed_events_v1(v_outputs, v_reported) t));
        end if;
        return jsonb_build_object('refused', true, 'result', '{}'::jsonb,
            'orphaned', orphaned_v1(v_run, v_step, v_scheduled, (v_outputs->0->>'slot_token')::bigint),
            'lost', claim_lost_v1(v_run, v_step, v_scheduled, v_token));
    end if;
    delete from writers where run_id = v_run and step = v_step; -- in no order: see free_writers_v1
    if v_count > 0 and not v_outputs->0 ? 'asset' then
        -- An op's, all of them: what gives a graph asset its value stores the asset.
        perform record_outputs_v1(v_run, v_step, v_scheduled, v_outputs, clock_v1());
        v_outputs := '[]';
        v_count := 0;
    end if;
    if p->'result' ? 'keys' then
        perform expand_fan_v1(v_run, v_step, p->'result'->'keys');
    end if;
    perform 1 from slots where run_id = v_run and step = v_step;
    if found then
        v_granted := free_slots_v1(v_run, array[v_step]);
    end if;

    -- As append_events_v1 does, but for making JSON of the events first: every other writer waits from here on.
    update log_head set position = position + v_count + v_events + 2 returning position - v_count - v_events - 1, listened
    into v_first, v_listened;
    v_at := clock_v1();
    insert into event_log (position, at, type, run_id, step, asset, partition, cause, body)
    select v_first, v_at, start_type_v1(v_row), v_run, v_step, '', '', v_cause, start_body_v1(v_row, (p->>'attempt')::int)
    union all
    select v_first + o.place, v_at, 'ASSET_MATERIALIZATION', v_run, v_step, o.output->>'asset',
           coalesce(o.output->>'partition', ''), v_cause,
           jsonb_build_object('location', o.output->>'location', 'data_version', o.output->>'data_version',
                              'slot_token', o.output->'slot_token')
    from jsonb_array_elements(v_outputs) with ordinality o(output, place)
    union all
    select v_first + v_count + e.place, v_at, e.event->>'type', v_run, v_step, coalesce(e.event->>'asset', ''),
           coalesce(e.event->>'partition', ''), v_cause, coalesce(e.event->'body', '{}')
    from jsonb_array_elements(v_reported) with ordinality e(event, place)
    union all
    select v_first + v_count + v_events + 1, v_at, 'STEP_SUCCESS', v_run, v_step, '', '', v_cause,
           jsonb_build_object('worker', coalesce(p->>'worker', ''), 'build', v_build, 'attempt', p->'attempt');

    with made as (
        insert into materializations (position, at, run_id, step, scheduled, asset, partition, token, slot_token, location,
            metadata, data_version, code_version, inputs, build, cause)
        select v_first + o.place, v_at, v_run, v_step, v_scheduled, o.output->>'asset',
               coalesce(o.output->>'partition', ''), v_token, (o.output->>'slot_token')::bigint,
               coalesce(o.output->>'location', ''), coalesce(nullif(o.output->'metadata', 'null'), '[]'),
               coalesce(o.output->>'data_version', ''), coalesce(o.output->>'code_version', ''),
               coalesce(nullif(o.output->'inputs', 'null'), '[]'), v_build, v_cause
        from jsonb_array_elements(v_outputs) with ordinality o(output, place)
        returning *)
    insert into asset_partitions as current (asset, partition, materialization, position, at, run_id, step, token, slot_token,
        location, data_version, code_version, metadata)
    select asset, partition, id, position, at, run_id, step, token, slot_token, location, data_version, code_version, metadata
    from made
    on conflict (asset, partition) do update
    set materialization = excluded.materialization, position = excluded.position, at = excluded.at, run_id = excluded.run_id,
        step = excluded.step, token = excluded.token, slot_token = excluded.slot_token, location = excluded.location,
        data_version = excluded.data_version, code_version = excluded.code_version, metadata = excluded.metadata
    where current.token < excluded.token; -- what was granted earlier never replaces what was granted later
    if v_listened <> '{}' and v_count + v_events > 0 then
        v_wakes := (
            select mark_listeners_v1(v_run, array_agg(t.type), array_agg(t.asset))
            from committed_events_v1(v_outputs, v_reported) t where t.type = any (v_listened) having count(*) > 0);
    end if;
    return with_wakes_v1(jsonb_build_object('result', p->'result', 'admitted', to_wake_v1('[]', v_granted)), v_wakes);
end $$;
-- +goose StatementEnd

-- {commits: [wire.Commit]} -> {"answers": [commit_step_v1's]}: several in one transaction, which locks the log's row and waits for the disk
-- once. null is the answer of one that is to be committed alone, and of which nothing is done: somebody has its rows just now, it gives a
-- slot back, or brings steps. So nobody is waited for while the log is locked.
-- +goose StatementBegin
create function commit_steps_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_commit  jsonb;
    v_run     text;
    v_step    text;
    v_one     boolean;
    v_all     jsonb[] := '{}'; -- null is one that is to be committed alone
    v_answers jsonb[] := '{}';
begin
    for v_commit in select c.value from jsonb_array_elements(p->'commits') with ordinality c(value, place) order by c.place loop
        v_run := v_commit->>'run';
        v_step := v_commit->>'step';
        v_one := not coalesce(v_commit->'result' ? 'keys', false);
        if v_one then
            perform 1 from steps s
            where s.run_id = v_run and s.step = v_step and not exists (select 1 from slots o where o.run_id = v_run and o.step = v_step)
            for no key update skip locked;
            v_one := found;
        end if;
        if v_one then
            v_one := (select count(*) from writers where run_id = v_run and step = v_step)
                = (select count(*) from (select 1 from writers where run_id = v_run and step = v_step for update skip locked) w);
        end if;
        v_all := array_append(v_all, case when v_one then v_commit end);
    end loop;
    foreach v_commit in array v_all loop
        v_answers := array_append(v_answers, case when v_commit is not null then commit_step_v1(v_commit) end);
    end loop;
    return jsonb_build_object('answers', to_jsonb(v_answers));
end $$;
-- +goose StatementEnd

-- A duration in nanoseconds as people write it: 800ms, 2.5s, 3m20s, 2h5m.
-- +goose StatementBegin
create function duration_text_v1(p_ns bigint) returns text language sql immutable as $$
    select case
        when p_ns < 1000000000 then round(p_ns / 1e6)::text || 'ms'
        when p_ns < 60000000000 then trim_scale(round(p_ns / 1e9, 1))::text || 's'
        when p_ns < 3600000000000 then (p_ns / 60000000000)::text || 'm'
            || case when p_ns / 1000000000 % 60 > 0 then (p_ns / 1000000000 % 60)::text || 's' else '' end
        else (p_ns / 3600000000000)::text || 'h'
            || case when p_ns / 60000000000 % 60 > 0 then (p_ns / 60000000000 % 60)::text || 'm' else '' end
    end
$$;
-- +goose StatementEnd

-- wire.Failure -> wire.Failed. Recorded once for each attempt of the user's function, with what it reported until then.
-- +goose StatementBegin
create function fail_step_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run     text    := p->>'run';
    v_step    text    := p->>'step';
    v_attempt int     := (p->>'attempt')::int;
    v_final   boolean := coalesce((p->>'final')::boolean, false);
    v_delay   bigint  := coalesce((p->>'delay')::bigint, 0);
    v_row     steps;
    v_cause   text;
    v_body    jsonb;
    v_end     jsonb;
    v_wakes   jsonb;
    v_granted jsonb   := '[]'; -- slots that others got
begin
    select * into v_row from steps where run_id = v_run and step = v_step for update;
    if not found or v_row.token is distinct from (p->>'token')::bigint or v_row.scheduled <> (p->>'scheduled')::bigint then
        return jsonb_build_object('refused', true,
            'lost', claim_lost_v1(v_run, v_step, (p->>'scheduled')::bigint, (p->>'token')::bigint));
    end if;
    if v_row.failures >= v_attempt then
        -- Recorded before: as it was then.
        return jsonb_build_object('refused', v_row.state not in ('open', 'failed'));
    end if;
    if v_row.state <> 'open' then
        return jsonb_build_object('refused', true);
    end if;

    select cause into v_cause from runs where run_id = v_run;
    v_row.starts := v_row.starts + 1;
    v_body := jsonb_build_object('error', p->'error', 'attempt', v_attempt, 'worker', coalesce(p->>'worker', ''));
    if v_final then
        update steps
        set state = 'failed', failures = v_row.failures + 1, held = false, starts = v_row.starts, error = p->'error', ended_at = clock_v1(),
            reason_code = '', reason = '', reason_since = null
        where run_id = v_run and step = v_step;
        perform free_writers_v1(v_run, array[v_step]);
        v_granted := free_slots_v1(v_run, array[v_step]);
        v_end := jsonb_build_object('type', 'STEP_FAILURE', 'step', v_step, 'body', v_body);
    else
        update steps
        set failures = v_row.failures + 1, held = false, starts = v_row.starts, error = p->'error',
            reason_code = 'user_failure', reason_since = clock_v1(),
            reason = format('retry %s in %s', v_row.failures + 1, duration_text_v1(v_delay))
        where run_id = v_run and step = v_step;
        v_end := jsonb_build_object('type', 'STEP_UP_FOR_RETRY', 'step', v_step, 'body', v_body || jsonb_build_object('delay', v_delay));
    end if;
    select o_wakes into v_wakes from append_events_v1(v_run, v_cause, jsonb_build_array(start_event_v1(v_row, v_attempt))
        || (select coalesce(jsonb_agg(event || jsonb_build_object('step', v_step) order by place), '[]')
            from jsonb_array_elements(coalesce(nullif(p->'events', 'null'), '[]')) with ordinality e(event, place))
        || jsonb_build_array(v_end));
    return with_wakes_v1(jsonb_build_object('refused', false, 'admitted', to_wake_v1('[]', v_granted)), v_wakes);
end $$;
-- +goose StatementEnd

-- {run, step, scheduled, token, code, reason} -> {"refused"}: the attempt gives the step back unharmed (its worker
-- stops, its store is away), so that the next claim does not count it as lost.
-- +goose StatementBegin
create function release_step_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    update steps
    set held = false, reason_code = p->>'code', reason = p->>'reason',
        reason_since = case when reason_code = p->>'code' then reason_since else clock_v1() end
    where run_id = p->>'run' and step = p->>'step' and state = 'open'
      and scheduled = (p->>'scheduled')::bigint and token = (p->>'token')::bigint;
    return jsonb_build_object('refused', not found);
end $$;
-- +goose StatementEnd

-- {run, step, scheduled, reason, grace (nanoseconds), failure} -> {"found", "closed", "since", "status", "error", "result",
-- "admitted"}:
-- a worker whose build cannot take the step hands it back. since is when the step was first handed back without being
-- granted in between; once that is longer ago than grace, the step fails with the text of failure. A step that has ended
-- is answered as closed, with how; without a status when it was closed or scheduled anew after this scheduling.
-- +goose StatementBegin
create function hand_back_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run       text   := p->>'run';
    v_step      text   := p->>'step';
    v_scheduled bigint := (p->>'scheduled')::bigint;
    v_runs      runs;
    v_row       steps;
    v_events    jsonb  := '[]';
    v_granted   jsonb  := '[]'; -- slots that others got
begin
    if not exists (select 1 from plan_steps where run_id = v_run and step = v_step) then
        return jsonb_build_object('found', false);
    end if;
    select * into v_runs from runs where run_id = v_run;
    if run_ended_v1(v_runs.status) and reopen_run_v1(v_run, v_scheduled) then
        v_events := v_events || '{"type":"RUN_RESTARTED"}';
    end if;
    v_row := begin_step_v1(v_run, v_step, v_scheduled);
    if v_row.run_id is null or v_row.scheduled > v_scheduled then
        return jsonb_build_object('found', true, 'closed', true);
    end if;

    if v_row.state = 'open' then
        update steps
        set reason_code = 'not_on_this_build', reason = p->>'reason',
            reason_since = case when reason_code = 'not_on_this_build' then reason_since else clock_v1() end
        where run_id = v_run and step = v_step returning * into v_row;
        if clock_v1() - v_row.reason_since > (p->>'grace')::bigint / 1000 * interval '1 microsecond' then
            v_events := v_events || close_rows_v1(v_run, v_scheduled, jsonb_build_array(jsonb_build_object(
                'step', v_step, 'status', 'FAILED', 'error', jsonb_build_object('message', p->>'failure'))));
            select * into v_row from steps where run_id = v_run and step = v_step;
            v_granted := free_slots_v1(v_run, array[v_step]);
        end if;
    end if;
    perform append_events_v1(v_run, v_runs.cause, v_events);
    if v_row.state = 'open' then
        return jsonb_build_object('found', true, 'closed', false, 'since', v_row.reason_since);
    end if;
    return jsonb_build_object('found', true, 'closed', true, 'admitted', to_wake_v1('[]', v_granted), 'error', v_row.error, 'result', v_row.result,
        'status', case v_row.state when 'done' then 'SUCCESS' else upper(v_row.state) end);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function hand_back_v1(jsonb);
drop function release_step_v1(jsonb);
drop function fail_step_v1(jsonb);
drop function duration_text_v1(bigint);
drop function commit_steps_v1(jsonb);
drop function commit_step_v1(jsonb);
drop function committed_events_v1(jsonb, jsonb);
