-- What services have signalled to sensors.

-- +goose Up

alter table triggers
    add column events_sent    bigint not null default 0, -- of a sensor: the last number that was given to an event
    add column events_waiting bigint not null default 0; -- how many no tick has taken in

-- What a decided tick reports of assets: [wire.ReportRequest], recorded before the tick ends.
alter table ticks add column report_requests jsonb not null default '[]';

create index ticks_open_of on ticks (location, kind, name) where status = 'STARTED';

-- The inbox. A row stays after its event was taken in, so that the same event sent again is known.
create table sensor_events (
    location    text        not null,
    sensor      text        not null,
    event_id    text        not null,
    -- Their order. Given under the lock of the sensor's row in triggers: they become visible in it.
    number      bigint      not null,
    received_at timestamptz not null, -- when it was heard
    payload     jsonb       not null,
    problem     text        not null default '', -- why it was rejected
    tick_id     bigint,                          -- that has taken it in
    done_at     timestamptz,                     -- when it was taken in or rejected; null while it waits
    primary key (location, sensor, event_id)
);
create index sensor_events_waiting on sensor_events (location, sensor, number) where done_at is null;
create index sensor_events_rejected on sensor_events (location, sensor, number desc) where problem <> '';
create index sensor_events_done on sensor_events (done_at) where done_at is not null;

-- Writes events ([{id, payload, at, problem}]) of the sensor, whose row the caller has locked. One that is known changes nothing; but
-- what was rejected may be sent again, without what was wrong. Only the first of an id counts.
-- +goose StatementBegin
create function write_events_v1(p_location text, p_sensor text, p_events jsonb, out o_new int, out o_known int, out o_rejected int)
language plpgsql as $$
declare
    v_count   int := coalesce(jsonb_array_length(nullif(p_events, 'null')), 0);
    v_first   bigint;
    v_waiting int;
begin
    o_new := 0;
    o_known := 0;
    o_rejected := 0;
    if v_count = 0 then
        return;
    end if;
    update triggers set events_sent = events_sent + v_count
    where location = p_location and kind = 'sensor' and name = p_sensor returning events_sent - v_count into v_first;
    with given as (
        select distinct on (e.event->>'id') e.event->>'id' as id, e.event, e.place
        from jsonb_array_elements(p_events) with ordinality e(event, place) order by e.event->>'id', e.place
    ), written as (
        insert into sensor_events as s (location, sensor, event_id, number, received_at, payload, problem, done_at)
        select p_location, p_sensor, g.id, v_first + g.place, coalesce((g.event->>'at')::timestamptz, clock_v1()),
               coalesce(g.event->'payload', 'null'), coalesce(g.event->>'problem', ''),
               case when coalesce(g.event->>'problem', '') <> '' then clock_v1() end
        from given g order by g.place
        on conflict (location, sensor, event_id) do update
        set number = excluded.number, received_at = excluded.received_at, payload = excluded.payload, problem = '', done_at = null
        where s.problem <> '' and excluded.problem = ''
        returning problem)
    select count(*) filter (where problem = ''), count(*) filter (where problem <> '') into v_waiting, o_rejected from written;
    o_new := v_waiting;
    o_known := v_count - v_waiting - o_rejected;
    update triggers set events_waiting = events_waiting + v_waiting
    where location = p_location and kind = 'sensor' and name = p_sensor and v_waiting > 0;
end $$;
-- +goose StatementEnd

-- {location, sensor, events} -> {"found", "new", "known", "rejected", "trigger"}: writes events into the inbox.
-- +goose StatementBegin
create function send_events_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row    triggers;
    v_counts record;
begin
    perform 1 from triggers where location = p->>'location' and kind = 'sensor' and name = p->>'sensor' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    select * into v_counts from write_events_v1(p->>'location', p->>'sensor', p->'events');
    select * into v_row from triggers where location = p->>'location' and kind = 'sensor' and name = p->>'sensor';
    return jsonb_build_object('found', true, 'new', v_counts.o_new, 'known', v_counts.o_known, 'rejected', v_counts.o_rejected,
        'trigger', to_jsonb(v_row) || jsonb_build_object('status', trigger_status_v1(v_row)));
end $$;
-- +goose StatementEnd

-- {location, sensor, events, due, manual, key, cause, build, most, bytes} -> {"found", "trigger", "tick", "events", "undone", "new",
-- "known", "rejected"}: writes events into the inbox, and begins a tick when there is something to evaluate: events that wait, or it
-- is due, of a sensor that runs or that a person wants evaluated. The tick is given the events that wait, at most so many, and so
-- many bytes, but one; it has taken in none of them before it is decided. Of a sensor's ticks one at most is undecided: an older
-- one of which nobody has heard again ends here, and whoever still works on it decides nothing any more. undone are the
-- ticks that were decided and have not ended, because whoever was starting their runs was killed.
-- +goose StatementBegin
create function begin_sensor_tick_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row    triggers;
    v_counts record;
    v_events jsonb := '[]';
    v_tick   jsonb;
    v_undone jsonb;
    v_manual boolean;
begin
    select * into v_row from triggers where location = p->>'location' and kind = 'sensor' and name = p->>'sensor' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    -- Nobody has the function of one that was removed.
    v_manual := coalesce((p->>'manual')::boolean, false) and v_row.removed_at is null;
    select * into v_counts from write_events_v1(v_row.location, v_row.name, p->'events');
    select coalesce(jsonb_agg(to_jsonb(t) order by t.tick_id), '[]') into v_undone from ticks t
    where t.location = v_row.location and t.kind = 'sensor' and t.name = v_row.name and t.status = 'STARTED' and t.decided_at is not null
      and t.key <> p->>'key';
    select to_jsonb(t) into v_tick from ticks t
    where t.location = v_row.location and t.kind = 'sensor' and t.name = v_row.name and t.key = p->>'key'
      and (t.status <> 'STARTED' or t.decided_at is not null);
    if v_tick is null and (v_manual or trigger_status_v1(v_row) = 'RUNNING') then
        select coalesce(jsonb_agg(jsonb_build_object('id', e.event_id, 'number', e.number, 'at', e.received_at, 'payload', e.payload) order by e.number), '[]')
        into v_events
        from (select w.*, row_number() over (order by w.number) as place, sum(octet_length(w.payload::text)) over (order by w.number) as bytes
              from (select * from sensor_events
                    where location = v_row.location and sensor = v_row.name and done_at is null
                    order by number limit (p->>'most')::int) w) e
        where e.place = 1 or e.bytes <= (p->>'bytes')::bigint;
        -- One that was begun by a worker that is gone is taken up, whatever has become of its events.
        if v_events <> '[]' or v_manual or (p->>'due')::boolean or exists (
            select 1 from ticks t where t.location = v_row.location and t.kind = 'sensor' and t.name = v_row.name and t.key = p->>'key') then
            update ticks set status = 'SKIPPED', ended_at = clock_v1(), skip = 'another evaluation took over'
            where location = v_row.location and kind = 'sensor' and name = v_row.name and status = 'STARTED' and decided_at is null
              and key <> p->>'key';
            v_tick := begin_tick_v1((p - 'events') || jsonb_build_object('kind', 'sensor', 'name', v_row.name, 'nominal', null,
                'cause', case when jsonb_array_length(v_events) = 1 then v_events->0->>'id' else p->>'cause' end));
        end if;
    end if;
    select * into v_row from triggers where location = v_row.location and kind = 'sensor' and name = v_row.name;
    return jsonb_build_object('found', true, 'trigger', to_jsonb(v_row) || jsonb_build_object('status', trigger_status_v1(v_row)),
        'tick', v_tick, 'events', v_events, 'undone', v_undone,
        'new', v_counts.o_new, 'known', v_counts.o_known, 'rejected', v_counts.o_rejected);
end $$;
-- +goose StatementEnd

-- decide_tick_v1's argument and {numbers: [number], report_requests, reactions} -> {"decided", "tick", "trigger"}: decides a sensor's tick, which
-- takes in the events with these numbers. decided is false of a tick that was decided or has ended before.
-- +goose StatementBegin
create function decide_sensor_tick_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_tick  ticks;
    v_row   triggers;
    v_taken int;
    v_fresh boolean;
begin
    select * into v_tick from ticks where tick_id = (p->>'tick_id')::bigint;
    -- The sensor's row before the tick's, as everywhere here.
    select * into v_row from triggers where location = v_tick.location and kind = v_tick.kind and name = v_tick.name for no key update;
    select * into v_tick from ticks where tick_id = (p->>'tick_id')::bigint for update;
    v_fresh := v_tick.status = 'STARTED' and v_tick.decided_at is null;
    if v_fresh then
        update ticks set report_requests = coalesce(nullif(p->'report_requests', 'null'), '[]') where tick_id = v_tick.tick_id;
        update sensor_events set tick_id = v_tick.tick_id, done_at = clock_v1()
        where location = v_tick.location and sensor = v_tick.name and done_at is null
          and number = any (array(select value::bigint from jsonb_array_elements_text(coalesce(nullif(p->'numbers', 'null'), '[]'))));
        get diagnostics v_taken = row_count;
        update triggers set events_waiting = events_waiting - v_taken
        where location = v_tick.location and kind = v_tick.kind and name = v_tick.name and v_taken > 0;
        perform decide_tick_v1(p);
        perform record_reactions_v1(v_tick, p->'reactions');
    end if;
    select * into v_tick from ticks where tick_id = v_tick.tick_id;
    select * into v_row from triggers where location = v_row.location and kind = v_row.kind and name = v_row.name;
    return jsonb_build_object('decided', v_fresh, 'tick', to_jsonb(v_tick), 'trigger', to_jsonb(v_row) || jsonb_build_object('status', trigger_status_v1(v_row)));
end $$;
-- +goose StatementEnd

-- {location, sensor, events: [{number, problem}]}: events that the sensor's function cannot be given. They wait no longer.
-- +goose StatementBegin
create function reject_events_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_rejected int;
begin
    perform 1 from triggers where location = p->>'location' and kind = 'sensor' and name = p->>'sensor' for no key update;
    update sensor_events s set problem = r.problem, done_at = clock_v1()
    from jsonb_to_recordset(p->'events') r(number bigint, problem text)
    where s.location = p->>'location' and s.sensor = p->>'sensor' and s.number = r.number and s.done_at is null;
    get diagnostics v_rejected = row_count;
    update triggers set events_waiting = events_waiting - v_rejected
    where location = p->>'location' and kind = 'sensor' and name = p->>'sensor' and v_rejected > 0;
    return jsonb_build_object('rejected', v_rejected);
end $$;
-- +goose StatementEnd

-- {location, sensor, cursor (absent clears it), who, why} -> {"found", "trigger"}: sets a sensor's cursor. An evaluation that
-- goes on meanwhile began from another one: it decides nothing any more, and is made again.
-- +goose StatementBegin
create function set_cursor_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row triggers;
begin
    select * into v_row from triggers where location = p->>'location' and kind = 'sensor' and name = p->>'sensor' for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    update ticks set status = 'SKIPPED', ended_at = clock_v1(), skip = 'the cursor was set meanwhile'
    where location = v_row.location and kind = 'sensor' and name = v_row.name and status = 'STARTED' and decided_at is null;
    update triggers set cursor = p->'cursor' where location = v_row.location and kind = 'sensor' and name = v_row.name returning * into v_row;
    perform append_events_v1('', '', jsonb_build_array(jsonb_build_object('type', 'SENSOR_CURSOR_SET', 'body',
        jsonb_build_object('location', v_row.location, 'name', v_row.name, 'cursor', p->'cursor', 'who', p->>'who', 'why', p->>'why'))));
    return jsonb_build_object('found', true, 'trigger', to_jsonb(v_row) || jsonb_build_object('status', trigger_status_v1(v_row)));
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: forgets events that were taken in or rejected before then, the oldest first. Sent again,
-- they are new.
-- +goose StatementBegin
create function purge_events_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
begin
    delete from sensor_events where (location, sensor, event_id) in (
        select location, sensor, event_id from sensor_events
        where done_at < (p->>'before')::timestamptz order by done_at limit (p->>'limit')::int for update skip locked);
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function purge_events_v1(jsonb);
drop function set_cursor_v1(jsonb);
drop function reject_events_v1(jsonb);
drop function decide_sensor_tick_v1(jsonb);
drop function begin_sensor_tick_v1(jsonb);
drop function send_events_v1(jsonb);
drop function write_events_v1(text, text, jsonb);
drop table sensor_events;
drop index ticks_open_of;
alter table ticks drop column report_requests;
alter table triggers drop column events_waiting, drop column events_sent;
