-- Closing steps from outside, and ending runs.

-- +goose Up

-- Closes those of p_steps ([{step, status: wire.StepStatus, error}]) that are open or have no row, and returns the
-- events of it. SUCCESS is a step that a person completed by hand: done, without a materialization. p_scheduled is
-- Temporal's time of the closing: a step that was scheduled later (by a reset) stays open, an attempt that was scheduled
-- earlier may no longer claim; 0 closes whatever it finds. Only a step that its execution never scheduled is SKIPPED,
-- UPSTREAM_FAILED or "unscheduled": how such a one ended earlier was before a reset, and is replaced. So is, of a step that
-- is CANCELED, what was scheduled before the run's end that a reset undid: nobody cancels what he did before.
-- +goose StatementBegin
create function close_rows_v1(p_run text, p_scheduled bigint, p_steps jsonb) returns jsonb language plpgsql as $$
declare
    v_at     timestamptz := clock_v1();
    v_reset  bigint      := (select coalesce(reset_scheduled, -1) from runs where run_id = p_run);
    v_closed text[];
    v_events jsonb;
begin
    with given as (
        select distinct on (step) step, case status when 'SUCCESS' then 'done' else lower(status) end as state, error,
               coalesce(unscheduled, false) or status in ('SKIPPED', 'UPSTREAM_FAILED') as unscheduled
        from jsonb_to_recordset(p_steps) c(step text, status text, error jsonb, unscheduled boolean) order by step
    ), closed as (
        insert into steps as s (run_id, step, scheduled, state, error, result, ended_at)
        select p_run, c.step, p_scheduled, c.state, c.error, case c.state when 'done' then '{"recorded":true}'::jsonb end, v_at
        from given c
        -- Looked up for each step: a join is planned by what the planner believes of these columns, and may be quadratic.
        where (select ps.over = '' and ps.inherited_from = '' from plan_steps ps where ps.run_id = p_run and ps.step = c.step)
        order by c.step -- the order of locks
        on conflict (run_id, step) do update
        set state = excluded.state, scheduled = greatest(s.scheduled, excluded.scheduled), held = false,
            error = case s.state when 'open' then coalesce(excluded.error, s.error) else excluded.error end,
            result = excluded.result, ended_at = excluded.ended_at, reason_code = '', reason = '', reason_since = null,
            -- Of an end before a reset nothing is left.
            failures = case s.state when 'open' then s.failures else 0 end,
            lost = case s.state when 'open' then s.lost else 0 end,
            lost_workers = case s.state when 'open' then s.lost_workers else '{}' end,
            worker = case s.state when 'open' then s.worker else '' end,
            build = case s.state when 'open' then s.build else '' end,
            first_started_at = case s.state when 'open' then s.first_started_at end,
            claimed_at = case s.state when 'open' then s.claimed_at end
        where s.state = 'open' and (p_scheduled = 0 or s.scheduled <= p_scheduled)
            or s.state not in ('open', excluded.state) and s.scheduled < p_scheduled and (
                excluded.step in (select step from given where unscheduled)
                or excluded.state = 'canceled' and s.scheduled <= v_reset)
        returning s.step, s.state, s.error)
    select array_agg(c.step),
           jsonb_agg(jsonb_build_object(
               'type', case c.state when 'failed' then 'STEP_FAILURE' when 'done' then 'STEP_SUCCESS' else 'STEP_' || upper(c.state) end,
               'step', c.step, 'body', case when c.state = 'done' then '{"by_hand":true}'
                   when c.error is null then '{}' else jsonb_build_object('error', c.error) end)
               order by ps.idx)
    into v_closed, v_events
    from closed c join plan_steps ps on ps.run_id = p_run and ps.step = c.step;
    if v_closed is not null then
        perform free_writers_v1(p_run, v_closed);
        -- A fan brings its mapped steps by its commit, not by being closed: what there is of them is from before a reset.
        perform drop_mapped_v1(p_run, fan, case p_scheduled when 0 then 9223372036854775807 else p_scheduled end)
        from run_fans where run_id = p_run and fan = any (v_closed) and mapped > 0;
    end if;
    return coalesce(v_events, '[]');
end $$;
-- +goose StatementEnd

-- {run, scheduled, steps: [{step, status, error}]} -> {"found", "done": [{step, result}], "failed": [{step, status, error}],
-- "admitted": [{run_id, steps}]}.
-- Closed rows refuse commits. Steps that turn out to be done stay done and are returned, and so are those that have
-- failed, each with the text of its recorded error.
-- +goose StatementBegin
create function close_steps_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run     text := p->>'run';
    v_cause   text;
    v_events  jsonb;
    v_granted jsonb; -- slots that others got
begin
    select cause into v_cause from runs where run_id = v_run;
    if not found then
        return jsonb_build_object('found', false, 'done', '[]'::jsonb);
    end if;
    v_events := close_rows_v1(v_run, (p->>'scheduled')::bigint, p->'steps');
    v_granted := free_ended_slots_v1(v_run, (p->>'scheduled')::bigint, array(select c->>'step' from jsonb_array_elements(p->'steps') c));
    perform append_events_v1(v_run, v_cause, v_events);
    return jsonb_build_object('found', true, 'admitted', to_wake_v1('[]', v_granted), 'done', (
        select coalesce(jsonb_agg(jsonb_build_object('step', s.step, 'result', s.result) order by s.step), '[]')
        from steps s
        where s.run_id = v_run and s.state = 'done'
          and s.step in (select c->>'step' from jsonb_array_elements(p->'steps') c)),
        'failed', (
        select coalesce(jsonb_agg(jsonb_build_object('step', s.step, 'status', 'FAILED', 'error', coalesce(s.error->>'message', '')) order by s.step), '[]')
        from steps s
        where s.run_id = v_run and s.state = 'failed'
          and s.step in (select c->>'step' from jsonb_array_elements(p->'steps') c)));
end $$;
-- +goose StatementEnd

-- How a run's steps stand: {"succeeded","failed","skipped","canceled"} (wire.StepCounts).
-- +goose StatementBegin
create function step_counts_v1(p_run text) returns jsonb language plpgsql stable as $$
begin
    return (
        select jsonb_build_object(
            'succeeded', count(*) filter (where state = 'done'),
            'failed', count(*) filter (where state = 'failed'),
            'skipped', count(*) filter (where state in ('skipped', 'upstream_failed')),
            'canceled', count(*) filter (where state = 'canceled'))
        from steps where run_id = p_run);
end $$;
-- +goose StatementEnd

-- Sets what a run that ends did not make of its assets, and returns an event for each asset of which something failed or was
-- left out. What a cancel after a reset left undone stays failed as it was before, unless it was made or wiped since.
-- +goose StatementBegin
create function end_assets_v1(p_run text) returns jsonb language plpgsql as $$
declare
    v_events jsonb;
begin
    -- Nearly every run has made all that it planned.
    perform 1 from plan_steps ps
    where ps.run_id = p_run and ps.over = '' and ps.inherited_from = '' and cardinality(ps.assets) > 0
      and coalesce((select s.state <> 'done' or s.result ? 'not_emitted' or not s.result ? 'materialized'
                    from steps s where s.run_id = p_run and s.step = ps.step), true) limit 1;
    if not found then
        update run_assets set failed = '{}', upstream_failed = '{}', skipped = '{}', canceled = '{}'
        where run_id = p_run and ended_position is not null;
        return '[]';
    end if;

    with undone as (
        select w.asset, w.partition,
               case s.state when 'failed' then 'failed' when 'upstream_failed' then 'upstream_failed' when 'canceled' then 'canceled'
                   else 'skipped' end as how
        from plan_steps ps
        cross join lateral unnest(ps.assets, ps.partitions) w(asset, partition)
        left join lateral (select st.state, st.scheduled from steps st where st.run_id = p_run and st.step = ps.step limit 1) s on true
        where ps.run_id = p_run and ps.over = '' and ps.inherited_from = ''
          and not (s.state = 'done' and exists (
              select 1 from materializations m
              where m.run_id = p_run and m.asset = w.asset and m.partition = w.partition and m.scheduled = s.scheduled and m.step = ps.step))
    ), before as (
        -- As the last end had it, of what was not made since.
        select a.asset, k.partition, k.how
        from run_assets a
        cross join lateral (
            select unnest(a.failed), 'failed' union all select unnest(a.upstream_failed), 'upstream_failed') k(partition, how)
        where a.run_id = p_run and a.ended_position is not null and not exists (
            select 1 from materializations m
            where m.asset = a.asset and m.partition = k.partition and m.position > a.ended_position)
    ), listed as (
        select u.asset, u.partition, u.how, case u.how when 'canceled' then b.how end as kept
        from undone u left join before b using (asset, partition)
    ), lists as (
        select asset,
               coalesce(array_agg(partition order by partition) filter (where how = 'failed' or kept = 'failed'), '{}') as failed,
               coalesce(array_agg(partition order by partition) filter (where how = 'upstream_failed' or kept = 'upstream_failed'), '{}') as upstream_failed,
               coalesce(array_agg(partition order by partition) filter (where how = 'skipped'), '{}') as skipped,
               coalesce(array_agg(partition order by partition) filter (where how = 'canceled'), '{}') as canceled
        from listed group by asset
    ), ended as (
        update run_assets a
        set failed = coalesce(l.failed, '{}'), upstream_failed = coalesce(l.upstream_failed, '{}'),
            skipped = coalesce(l.skipped, '{}'), canceled = coalesce(l.canceled, '{}')
        from run_assets o left join lists l using (asset)
        where o.run_id = p_run and a.run_id = o.run_id and a.asset = o.asset
        returning a.asset, a.failed, a.upstream_failed, a.skipped)
    select jsonb_agg(jsonb_build_object('type', 'ASSET_FAILED_TO_MATERIALIZE', 'asset', asset, 'body', jsonb_build_object(
        'failed', to_jsonb(failed), 'upstream_failed', to_jsonb(upstream_failed), 'skipped', to_jsonb(skipped))) order by asset)
    into v_events
    from ended where cardinality(failed) + cardinality(upstream_failed) + cardinality(skipped) > 0;
    return coalesce(v_events, '[]');
end $$;
-- +goose StatementEnd

-- {run, first_run_id, scheduled, status, reason, own, execution} -> {"found", "superseded", "status", "steps", "materialized",
-- "failures", "admitted": [{run_id, steps}]}. Closes as canceled whatever is left open, frees what the run writes and ends it. Its place in
-- the queue and its slots go to those who wait, or are no longer waited for. Counts, failures and what
-- was materialized come from the rows. scheduled is Temporal's time of the end; an end from before a reset that has begun
-- steps anew is superseded and changes nothing. A second time changes nothing, and neither does, on a run that has ended,
-- an end with a reason that is not the workflow's own record.
-- +goose StatementBegin
create function end_run_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_run       text   := p->>'run';
    v_scheduled bigint := (p->>'scheduled')::bigint;
    v_row       runs;
    v_events    jsonb;
    v_open      jsonb;
    v_tried     jsonb;
    v_counts    jsonb;
    v_failures  jsonb;
    v_reason    text;
    v_first     bigint;
    v_wakes     jsonb;
    v_at        timestamptz;
    v_admitted  jsonb  := '[]'; -- runs, and
    v_granted   jsonb  := '[]'; -- slots, that others got
begin
    select * into v_row from runs where run_id = v_run and first_run_id = p->>'first_run_id' for no key update;
    perform pg_advisory_xact_lock(run_lock_v1(v_run));
    if v_row.run_id is null then
        return jsonb_build_object('found', false);
    end if;
    -- A step that has ended seems to be scheduled a little after its run's end when the clocks of Temporal's hosts differ.
    if v_scheduled > 0 and exists (
        select 1 from steps
        where run_id = v_run and scheduled > case state when 'open' then v_scheduled else v_scheduled + 5000000000 end) then
        return jsonb_build_object('found', true, 'superseded', true);
    end if;

    if not run_ended_v1(v_row.status) or (v_scheduled > v_row.ended_scheduled
        and v_row.ended_execution is distinct from nullif(p->>'execution', '') and (coalesce(p->>'reason', '') = '' or (p->>'own')::boolean)) then
        v_events := '[]';
        perform pg_advisory_xact_lock_shared(limits_lock_v1());
        loop
            -- Again, when a fan whose commit it waited for has brought steps meanwhile. Rows are looked up one by
            -- one, as in close_rows_v1.
            select jsonb_agg(jsonb_build_object('step', ps.step, 'status', 'CANCELED') order by ps.idx, ps.place) into v_open
            from plan_steps ps
            where ps.run_id = v_run and ps.over = '' and ps.inherited_from = ''
              and coalesce((select s.state from steps s where s.run_id = v_run and s.step = ps.step), 'open') = 'open';
            exit when v_open is null or v_open = v_tried;
            v_tried := v_open;
            v_events := v_events || close_rows_v1(v_run, v_scheduled, v_open);
        end loop;
        perform free_writers_v1(v_run, null);
        v_at := clock_v1();
        v_counts := step_counts_v1(v_run);
        select coalesce(jsonb_agg(jsonb_build_object('step', f.step, 'message', f.message) order by f.ended_at, f.step), '[]')
        into v_failures
        from (select step, coalesce(error->>'message', '') as message, ended_at from steps
              where run_id = v_run and state = 'failed' order by ended_at, step limit 20) f;
        -- Why somebody cancels a run is also why it is cancelled.
        v_reason := coalesce(nullif(p->>'reason', ''),
            case when v_row.status = 'CANCELING' and p->>'status' = 'CANCELED' then v_row.reason else '' end);
        v_events := v_events || end_assets_v1(v_run) || jsonb_build_object('type', 'RUN_' || (p->>'status'), 'body',
            jsonb_build_object('steps', v_counts, 'failures', v_failures, 'reason', v_reason));
        v_admitted := leave_queue_v1(v_run);
        v_granted := free_slots_v1(v_run, null);
        select o_first, o_wakes into v_first, v_wakes from append_events_v1(v_run, v_row.cause, v_events);
        v_wakes := append_starting_v1(v_admitted, v_wakes);
        update runs
        set status = p->>'status', ended_at = v_at, reason = v_reason, ended_position = v_first + jsonb_array_length(v_events) - 1,
            ended_execution = coalesce(p->>'execution', ''),
            -- No step that the run has now is from after its end.
            ended_scheduled = greatest(case when v_scheduled > 0 then v_scheduled else (extract(epoch from v_at) * 1e9)::bigint end,
                (select max(scheduled) from steps where run_id = v_run)),
            succeeded = (v_counts->>'succeeded')::int, failed = (v_counts->>'failed')::int,
            skipped = (v_counts->>'skipped')::int, canceled = (v_counts->>'canceled')::int, failures = v_failures
        where run_id = v_run returning * into v_row;
        update run_assets set ended_position = v_row.ended_position
        where run_id = v_run and (ended_position is not null or failed <> '{}' or upstream_failed <> '{}' or skipped <> '{}' or canceled <> '{}');
    else
        v_wakes := still_dirty_v1(v_run, array['RUN_' || v_row.status], array['']);
    end if;

    return with_wakes_v1(jsonb_build_object('found', true, 'status', v_row.status, 'admitted', to_wake_v1(v_admitted, v_granted),
        'steps', jsonb_build_object('succeeded', v_row.succeeded, 'failed', v_row.failed, 'skipped', v_row.skipped,
                                    'canceled', v_row.canceled),
        'failures', v_row.failures,
        'materialized', (
            select coalesce(jsonb_agg(m.name order by m.asset, m.partition), '[]')
            from (select distinct asset, partition,
                         case when partition = '' then asset else asset || ' [' || partition || ']' end as name
                  from materializations made
                  -- What a step made before a reset that did not make it again is not this end's. Looked up for each, as in
                  -- close_rows_v1: joined the other way round it scans all that the run made for each step.
                  where run_id = v_run and (
                      select s.state = 'done' and s.scheduled = made.scheduled from steps s
                      where s.run_id = v_run and s.step = made.step)
                  order by asset, partition limit 1000) m)), v_wakes);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function end_run_v1(jsonb);
drop function end_assets_v1(text);
drop function step_counts_v1(text);
drop function close_steps_v1(jsonb);
drop function close_rows_v1(text, bigint, jsonb);
