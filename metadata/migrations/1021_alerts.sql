-- Alerts: what somebody is told of, and whether he was.

-- +goose Up

-- How far the log was read for alerts. There is a row while the instance has sinks: what happened before is not told.
create table alert_head (
    id       boolean primary key default true check (id),
    position bigint      not null,
    since    timestamptz not null
);

create table alerts (
    alert_id     bigint generated always as identity primary key,
    key          text        not null unique, -- what it is about, once
    kind         text        not null,
    location     text        not null default '',
    job          text        not null default '',
    subject      text        not null default '', -- the run, schedule, sensor, backfill or sink
    body         jsonb       not null, -- alerts.Alert
    at           timestamptz not null, -- when it happened
    created_at   timestamptz not null,
    recovered_at timestamptz -- of what fails for a while: when that was over
);
create index alerts_newest on alerts (created_at);
create index alerts_lasting on alerts (kind) where recovered_at is null and kind in ('schedule_failing', 'sensor_failing', 'sink_failing');

-- What is not to be told until then; '' is any.
create table alert_mutes (
    mute_id    bigint generated always as identity primary key,
    kind       text        not null default '',
    location   text        not null default '',
    job        text        not null default '',
    subject    text        not null default '',
    sink       text        not null default '',
    who        text        not null,
    why        text        not null,
    created_at timestamptz not null,
    until      timestamptz not null,
    ended_at   timestamptz, -- when somebody ended it before its time
    ended_by   text        not null default ''
);
create index alert_mutes_open on alert_mutes (until) where ended_at is null;

-- An alert for a sink. The row is there before anything is sent.
create table alert_deliveries (
    sink         text        not null,
    alert_id     bigint      not null references alerts (alert_id) on delete cascade,
    status       text        not null check (status in ('pending', 'sent', 'failed', 'muted')),
    mute_id      bigint,
    attempts     int         not null default 0,
    next_attempt timestamptz not null,
    error        text        not null default '', -- of the last attempt
    ended_at     timestamptz,
    primary key (alert_id, sink)
) with (fillfactor = 70);
create index alert_deliveries_due on alert_deliveries (sink, next_attempt) where status = 'pending';

-- How a sink does. While it fails it is tried now and then only, whatever waits for it.
create table alert_sinks (
    sink          text primary key,
    failures      int         not null default 0, -- attempts in a row
    failing_since timestamptz,
    error         text        not null default '',
    next_attempt  timestamptz not null default '-infinity',
    last_sent     timestamptz
);

-- Failed runs of which it is not known yet whether they are started again: the position of each one's end.
create table alert_undecided (
    position bigint primary key,
    run_id   text        not null,
    at       timestamptz not null
);

-- {sinks: [name]} -> {"position", "since"}: takes up the reading of the log, from its end when nobody has read it for alerts. What
-- waits for a sink that is none of these has failed. Without sinks, nothing is read any more.
-- +goose StatementBegin
create function begin_alerts_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at  timestamptz := clock_v1();
    v_row alert_head;
begin
    update alert_deliveries set status = 'failed', ended_at = v_at, error = 'the sink is not configured any more'
    where status = 'pending' and not p->'sinks' ? sink;
    delete from alert_sinks where not p->'sinks' ? sink;
    if p->'sinks' = '[]' then
        delete from alert_head;
        delete from alert_undecided;
        return jsonb_build_object('position', 0, 'since', v_at);
    end if;
    insert into alert_head (position, since) select position, v_at from log_head on conflict (id) do nothing;
    select * into v_row from alert_head;
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- The mute that keeps a sink from being told of an alert; null is none.
-- +goose StatementBegin
create function mute_of_v1(p_sink text, p_kind text, p_location text, p_job text, p_subject text) returns bigint language sql volatile as $$
    select m.mute_id from alert_mutes m
    where m.ended_at is null and m.until > clock_v1() and m.kind in ('', p_kind) and m.location in ('', p_location)
      and m.job in ('', p_job) and m.subject in ('', p_subject) and m.sink in ('', p_sink)
    order by m.mute_id limit 1
$$;
-- +goose StatementEnd

-- {from, position, alerts: [{key, kind, location, job, subject, body, at, sinks: [name]}], undecided: [{position, run_id, at}],
-- decided: [position], recovered: [alert_id]} -> {"stale", "raised"}: writes down what is to be told and how far the log was read,
-- all or nothing. An alert that is there already stays. stale says that somebody else has read on: nothing was written.
-- +goose StatementBegin
create function raise_alerts_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at     timestamptz := clock_v1();
    v_alert  jsonb;
    v_id     bigint;
    v_raised int := 0;
begin
    perform 1 from alert_head where position = (p->>'from')::bigint for update;
    if not found then
        return jsonb_build_object('stale', true, 'raised', 0);
    end if;
    update alert_head set position = (p->>'position')::bigint where position < (p->>'position')::bigint;
    insert into alert_undecided (position, run_id, at)
    select u.position, u.run_id, u.at from jsonb_to_recordset(p->'undecided') u(position bigint, run_id text, at timestamptz)
    on conflict do nothing;
    delete from alert_undecided where p->'decided' @> to_jsonb(position);
    update alerts set recovered_at = v_at where p->'recovered' @> to_jsonb(alert_id) and recovered_at is null;
    for v_alert in select value from jsonb_array_elements(p->'alerts') loop
        insert into alerts (key, kind, location, job, subject, body, at, created_at, recovered_at)
        values (v_alert->>'key', v_alert->>'kind', v_alert->>'location', v_alert->>'job', v_alert->>'subject', v_alert->'body',
            (v_alert->>'at')::timestamptz, v_at, case when (v_alert->'body'->>'recovered')::boolean then v_at end)
        on conflict (key) do nothing returning alert_id into v_id;
        continue when not found;
        v_raised := v_raised + 1;
        insert into alert_deliveries (sink, alert_id, status, mute_id, next_attempt, ended_at)
        select s.sink, v_id, case when m.mute is null then 'pending' else 'muted' end, m.mute, v_at, case when m.mute is not null then v_at end
        from jsonb_array_elements_text(v_alert->'sinks') s(sink)
        cross join lateral (
            select mute_of_v1(s.sink, v_alert->>'kind', v_alert->>'location', v_alert->>'job', v_alert->>'subject') as mute) m;
    end loop;
    return jsonb_build_object('stale', false, 'raised', v_raised);
end $$;
-- +goose StatementEnd

-- {sink, alert_id, error, retry_in, sink_retry_in (nanoseconds), final} -> {"failures", "failing_since"}: how an attempt to tell a sink
-- went; error '' is well. final gives up. Answers how the sink does since.
-- +goose StatementBegin
create function note_delivery_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at     timestamptz := clock_v1();
    v_failed boolean     := p->>'error' <> '';
    v_row    alert_sinks;
begin
    update alert_deliveries
    set attempts = attempts + 1, error = p->>'error',
        status = case when not v_failed then 'sent' when (p->>'final')::boolean then 'failed' else 'pending' end,
        ended_at = case when not v_failed or (p->>'final')::boolean then v_at end,
        next_attempt = v_at + (p->>'retry_in')::bigint / 1000 * interval '1 microsecond'
    where sink = p->>'sink' and alert_id = (p->>'alert_id')::bigint and status = 'pending';
    insert into alert_sinks as s (sink, failures, failing_since, error, next_attempt, last_sent)
    values (p->>'sink', v_failed::int, case when v_failed then v_at end, p->>'error',
        case when v_failed then v_at + (p->>'sink_retry_in')::bigint / 1000 * interval '1 microsecond' else '-infinity' end,
        case when not v_failed then v_at end)
    on conflict (sink) do update
    set failures = case when v_failed then s.failures + 1 else 0 end, failing_since = case when v_failed then coalesce(s.failing_since, v_at) end,
        error = excluded.error, next_attempt = excluded.next_attempt, last_sent = coalesce(excluded.last_sent, s.last_sent)
    returning * into v_row;
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- {kind, location, job, subject, sink, who, why, until} -> the mute's row.
-- +goose StatementBegin
create function mute_alerts_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_row alert_mutes;
begin
    insert into alert_mutes (kind, location, job, subject, sink, who, why, created_at, until)
    values (p->>'kind', p->>'location', p->>'job', p->>'subject', p->>'sink', p->>'who', p->>'why', clock_v1(), (p->>'until')::timestamptz)
    returning * into v_row;
    return to_jsonb(v_row);
end $$;
-- +goose StatementEnd

-- {mute_id, who} -> {"found", "ended"}: ends a mute before its time. ended is false when it was over already.
-- +goose StatementBegin
create function unmute_alerts_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_ended boolean;
begin
    update alert_mutes set ended_at = clock_v1(), ended_by = p->>'who'
    where mute_id = (p->>'mute_id')::bigint and ended_at is null and until > clock_v1();
    v_ended := found;
    return jsonb_build_object('found', exists (select 1 from alert_mutes where mute_id = (p->>'mute_id')::bigint), 'ended', v_ended);
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: forgets alerts from before then that wait for no sink and are over, and mutes that are.
-- +goose StatementBegin
create function purge_alerts_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
begin
    delete from alert_mutes where coalesce(ended_at, until) < (p->>'before')::timestamptz;
    delete from alerts where alert_id in (
        select a.alert_id from alerts a
        where a.created_at < (p->>'before')::timestamptz
          and (a.recovered_at is not null or a.kind not in ('schedule_failing', 'sensor_failing', 'sink_failing'))
          and not exists (select 1 from alert_deliveries d where d.alert_id = a.alert_id and d.status = 'pending')
        order by a.created_at limit (p->>'limit')::int for update skip locked);
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function purge_alerts_v1(jsonb);
drop function unmute_alerts_v1(jsonb);
drop function mute_alerts_v1(jsonb);
drop function note_delivery_v1(jsonb);
drop function raise_alerts_v1(jsonb);
drop function mute_of_v1(text, text, text, text, text);
drop function begin_alerts_v1(jsonb);
drop table alert_undecided;
drop table alert_sinks;
drop table alert_deliveries;
drop table alert_mutes;
drop table alerts;
drop table alert_head;
