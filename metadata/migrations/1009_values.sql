-- The outputs of ops, the steps that dynamic outputs bring, and stored values that nothing needs any more.
-- claim_step_v1 and commit_step_v1 call these functions for ops only. Conditions like over <> '' are for the planner: the
-- indexes have them.

-- +goose Up

-- What a step of an op stored: one value, or one for each key of its dynamic output.
create table step_outputs (
    run_id       text        not null, -- no foreign key, for the reason given at steps
    step         text        not null,
    key          text        not null default '',
    place        int         not null, -- in the order of emission, from 1
    scheduled    bigint      not null, -- of the attempt that committed it: an earlier one's is not loaded
    slot_token   bigint      not null,
    location     text        not null default '',
    data_version text        not null default '',
    metadata     jsonb       not null default '[]',
    at           timestamptz not null,
    primary key (run_id, step, key)
);

-- Stored values that may be removed after a grace: what a later materialization has replaced, and outputs of ops that
-- were computed anew or whose run is forgotten. A row goes when its value is gone.
create table superseded_values (
    id              bigint generated always as identity primary key,
    code_location   text        not null, -- whose workers can remove it
    asset           text        not null default '',
    partition       text        not null default '',
    run_id          text        not null,
    step            text        not null,
    key             text        not null default '',
    slot_token      bigint      not null,
    location        text        not null,
    materialization bigint unique, -- null of an op's output
    superseded_at   timestamptz not null,
    taken_until     timestamptz, -- somebody is removing it, until then
    attempts        int         not null default 0
);
create index superseded_values_due on superseded_values (code_location, superseded_at, id);

-- Whether what attempts of one scheduling staged under p_slot_token is nobody's: the scheduling has ended, so that no
-- attempt of it is granted the step again and takes over what an earlier one had staged; and no record names the token.
-- For zombies only: superseded_values is scanned.
-- +goose StatementBegin
create function orphaned_v1(p_run text, p_step text, p_scheduled bigint, p_slot_token bigint) returns boolean language sql stable as $$
    select exists (
            select 1 from steps
            where run_id = p_run and step = p_step and (scheduled > p_scheduled or scheduled = p_scheduled and state <> 'open'))
        and not exists (select 1 from materializations where run_id = p_run and step = p_step and slot_token = p_slot_token)
        and not exists (select 1 from step_outputs where run_id = p_run and step = p_step and slot_token = p_slot_token)
        and not exists (select 1 from superseded_values where run_id = p_run and step = p_step and slot_token = p_slot_token)
$$;
-- +goose StatementEnd

-- Notes as superseded what a step of an op stored under p_keys; null is all keys. Deletes the rows.
-- +goose StatementBegin
create function forget_outputs_v1(p_run text, p_steps text[], p_keys text[], p_at timestamptz) returns void language plpgsql as $$
begin
    with gone as (
        delete from step_outputs
        where run_id = p_run and step = any (p_steps) and (p_keys is null or key = any (p_keys))
        returning *)
    insert into superseded_values (code_location, run_id, step, key, slot_token, location, superseded_at)
    select r.location, g.run_id, g.step, g.key, g.slot_token, g.location, p_at
    from gone g join runs r on r.run_id = g.run_id;
end $$;
-- +goose StatementEnd

-- Records what a step of an op stored: those of p_outputs ([wire.CommittedOutput]) that are no asset's. What it stored
-- before a reset is replaced.
-- +goose StatementBegin
create function record_outputs_v1(p_run text, p_step text, p_scheduled bigint, p_outputs jsonb, p_at timestamptz) returns void
language plpgsql as $$
begin
    perform forget_outputs_v1(p_run, array[p_step], (
        select coalesce(array_agg(old.key), '{}') from step_outputs old
        where old.run_id = p_run and old.step = p_step and not exists (
            select 1 from jsonb_array_elements(p_outputs) o
            where coalesce(o->>'asset', '') = '' and coalesce(o->>'key', '') = old.key and (o->>'slot_token')::bigint = old.slot_token)),
        p_at)
    from step_outputs where run_id = p_run and step = p_step limit 1;
    insert into step_outputs (run_id, step, key, place, scheduled, slot_token, location, data_version, metadata, at)
    select p_run, p_step, coalesce(o.output->>'key', ''), o.place, p_scheduled, (o.output->>'slot_token')::bigint,
           coalesce(o.output->>'location', ''), coalesce(o.output->>'data_version', ''),
           coalesce(nullif(o.output->'metadata', 'null'), '[]'), p_at
    from jsonb_array_elements(p_outputs) with ordinality o(output, place)
    where coalesce(o.output->>'asset', '') = ''
    on conflict (run_id, step, key) do update
    set place = excluded.place, scheduled = excluded.scheduled, location = excluded.location, data_version = excluded.data_version,
        metadata = excluded.metadata, at = excluded.at;
end $$;
-- +goose StatementEnd

-- The stored outputs of ops that a step loads: [wire.StepValue] in the order of p_values ([plan.ValueInput]); p_key is
-- the mapping key of a mapped step. Of a dynamic output, and of steps that are mapped, the order is that of emission.
-- What was not emitted, or only before a reset, is left out. What the run does not do itself is loaded from the run that did.
-- +goose StatementBegin
create function step_values_v1(p_run text, p_values jsonb, p_key text) returns json language plpgsql stable as $$
declare
    v_step   text;
    v_take   text;
    v_source record;
    v_values json[] := '{}';
begin
    for i in 0 .. jsonb_array_length(p_values) - 1 loop
        v_step := p_values->i->>'step';
        v_take := coalesce(p_values->i->>'take', '');
        select over, coalesce(nullif(inherited_from, ''), p_run) as holder into v_source
        from plan_steps where run_id = p_run and step = v_step;
        continue when not found;
        if v_source.over <> '' and v_take = 'key' then
            -- Of a template the step with the same key.
            v_step := v_step || '[' || p_key || ']';
            select over, coalesce(nullif(inherited_from, ''), p_run) as holder into v_source
            from plan_steps where run_id = p_run and step = v_step;
            continue when not found;
            v_take := '';
        end if;
        if v_source.over = '' and v_take <> 'all' then
            v_values := v_values || array(
                select json_build_object('run', o.run_id, 'step', o.step, 'key', o.key, 'token', o.slot_token,
                                         'location', o.location, 'data_version', o.data_version)
                from step_outputs o join steps s using (run_id, step)
                where o.run_id = v_source.holder and o.step = v_step and o.key = case v_take when 'key' then p_key else '' end
                  and s.state = 'done' and s.scheduled = o.scheduled);
        elsif v_source.over = '' then
            v_values := v_values || array(
                select json_build_object('run', o.run_id, 'step', o.step, 'key', o.key, 'token', o.slot_token,
                                         'location', o.location, 'data_version', o.data_version)
                from step_outputs o join steps s using (run_id, step)
                where o.run_id = v_source.holder and o.step = v_step and s.state = 'done' and s.scheduled = o.scheduled
                order by o.place);
        else
            v_values := v_values || array(
                select json_build_object('run', o.run_id, 'step', o.step, 'key', o.key, 'token', o.slot_token,
                                         'location', o.location, 'data_version', o.data_version)
                from plan_steps m
                join step_outputs o on o.run_id = coalesce(nullif(m.inherited_from, ''), p_run) and o.step = m.step
                join steps s on s.run_id = o.run_id and s.step = o.step
                where m.run_id = p_run and m.template = v_step and m.template <> '' and s.state = 'done' and s.scheduled = o.scheduled
                order by m.place);
        end if;
    end loop;
    return array_to_json(v_values);
end $$;
-- +goose StatementEnd

-- What the ops behind a graph asset have loaded: [wire.InputVersion], of each asset the oldest. p_made_of is
-- plan.Step.MadeOf.
-- +goose StatementBegin
create function step_loaded_v1(p_run text, p_made_of text[]) returns json language sql stable as $$
    select json_agg(input order by input->>'asset') from (
        select distinct on (input->>'asset') input
        from (select run_id, step, inherited_from from plan_steps where run_id = p_run and step = any (p_made_of)
              union all
              select run_id, step, inherited_from from plan_steps
              where run_id = p_run and template = any (p_made_of) and template <> '') p
        join steps s on s.run_id = coalesce(nullif(p.inherited_from, ''), p.run_id) and s.step = p.step and s.state = 'done'
        cross join jsonb_array_elements(s.loaded) input
        order by input->>'asset', (input->>'position')::bigint) loaded
$$;
-- +goose StatementEnd

-- Adds the steps that are mapped over a fan, for the keys (a JSON array) that it has emitted.
-- +goose StatementBegin
create function expand_fan_v1(p_run text, p_fan text, p_keys jsonb) returns void language plpgsql as $$
begin
    insert into plan_steps (run_id, step, idx, place, type, shape, assets, partitions, inputs, op_values, max_lost, pool, template, mapping_key)
    select p_run, t.step || '[' || k.key || ']', t.idx, k.place, t.type, t.shape, t.assets, t.partitions, t.inputs, t.op_values,
           t.max_lost, t.pool, t.step, k.key
    from plan_steps t cross join jsonb_array_elements_text(p_keys) with ordinality k(key, place)
    where t.run_id = p_run and t.over = p_fan and t.over <> ''
    on conflict (run_id, step) do update set place = excluded.place; -- it was computed since a reset
    perform count_mapped_v1(p_run, p_fan);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function count_mapped_v1(p_run text, p_fan text) returns void language plpgsql as $$
begin
    update run_fans
    set mapped = (
        select count(*) from plan_steps t join plan_steps m on m.run_id = t.run_id and m.template = t.step and m.template <> ''
        where t.run_id = p_run and t.over = p_fan and t.over <> '' and m.inherited_from = '')
    where run_id = p_run and fan = p_fan;
end $$;
-- +goose StatementEnd

-- A fan is computed anew from p_scheduled on, or is not computed at all now: the steps that it brought before are not
-- this run's any more, but for those that were scheduled since.
-- +goose StatementBegin
create function drop_mapped_v1(p_run text, p_fan text, p_scheduled bigint) returns void language plpgsql as $$
declare
    v_gone text[];
begin
    with gone as (
        delete from plan_steps m using plan_steps t
        where t.run_id = p_run and t.over = p_fan and t.over <> '' and m.run_id = p_run and m.template = t.step and m.template <> ''
          and m.inherited_from = ''
          and not exists (select 1 from steps s where s.run_id = p_run and s.step = m.step and s.scheduled >= p_scheduled)
        returning m.step)
    select array_agg(step order by step collate "C") into v_gone from gone;
    if v_gone is null then
        return;
    end if;
    perform forget_outputs_v1(p_run, v_gone, null, clock_v1());
    perform free_writers_v1(p_run, v_gone);
    delete from slots where run_id = p_run and step = any (v_gone); -- admit_runs_v1 hands them on: no pool is locked before writers are
    delete from steps where run_id = p_run and step = any (v_gone);
    perform count_mapped_v1(p_run, p_fan);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function drop_mapped_v1(text, text, bigint);
drop function count_mapped_v1(text, text);
drop function expand_fan_v1(text, text, jsonb);
drop function step_loaded_v1(text, text[]);
drop function step_values_v1(text, jsonb, text);
drop function record_outputs_v1(text, text, bigint, jsonb, timestamptz);
drop function forget_outputs_v1(text, text[], text[], timestamptz);
drop function orphaned_v1(text, text, bigint, bigint);
drop table superseded_values;
drop table step_outputs;
