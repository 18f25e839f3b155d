-- Backfills: how far each is, and the runs that it has asked for.

-- +goose Up

create table backfills (
    backfill_id   text primary key, -- Temporal's workflow id
    first_run_id  text        not null, -- as in runs
    location      text        not null,
    queue         text        not null,
    status        text        not null default 'REQUESTED'
        check (status in ('REQUESTED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'CANCELING', 'CANCELED', 'FAILING', 'FAILED')),
    reason        text        not null default '', -- why it ended so, or is about to, when its runs do not say it
    paused        boolean     not null default false,
    max_concurrent_runs int   not null,
    request       jsonb       not null, -- wire.BackfillRequest
    title         text        not null default '',
    note          text        not null default '',
    tags          jsonb       not null default '{}',
    cause         text        not null default '',
    -- The backfill of which it makes what failed, and the first of that chain.
    retry_of      text        not null default '',
    root          text        not null default '',
    -- When the partitions existed that it is for. The target is of that moment: {asset: stored partition.Subset}.
    as_of         text        not null, -- RFC 3339
    target        jsonb       not null,
    -- Runs that are executed again, by asset and partition: [{run_id, assets, partitions}].
    again         jsonb       not null default '[]',
    state         jsonb       not null default '{}', -- backfill.State
    progress      jsonb       not null default '{}', -- counts and first failures, for people
    position      bigint      not null default 0, -- of the last end of a run that is in the state
    -- Grows with every change of the state: who does not know the latest writes nothing.
    version       bigint      not null default 0,
    -- What keeps whoever works on it from going on; '' is nothing. It has been tried so often since then.
    trouble       text        not null default '',
    trouble_since timestamptz,
    trouble_tries int         not null default 0,
    created_at    timestamptz not null,
    changed_at    timestamptz not null,
    ended_at      timestamptz,
    check ((retry_of = '') = (root = ''))
) with (fillfactor = 50);
create index backfills_newest on backfills (created_at desc, backfill_id desc);
create index backfills_open on backfills (created_at, backfill_id) where ended_at is null;
create index backfills_ended on backfills (ended_at) where ended_at is not null;

-- What a backfill has asked for. A row is there before its run is started; while it is open, whoever works on the backfill
-- starts the run again, under the same id.
create table backfill_runs (
    backfill_id text   not null references backfills (backfill_id) on delete cascade,
    run_id      text   not null, -- of the first run: others that retry it are not here
    assets      text[] not null,
    partitions  jsonb  not null, -- {"partition"}, {"range"}, {"partitions"}, or {} of assets without partitions
    retry_of    text   not null default '', -- the run that it executes again
    status      text   not null default '' check (status in ('', 'SUCCESS', 'FAILURE')), -- '' is open
    message     text   not null default '', -- why it failed
    primary key (backfill_id, run_id)
) with (fillfactor = 80);
create index backfill_runs_open on backfill_runs (backfill_id) where status = '';

-- Begins a backfill: its row, whose columns p has, or none. Answers {"outcome":"begun"}, also when this very backfill asks
-- again, or {"outcome":"exists","status","created_at"} when another one has the id.
-- +goose StatementBegin
create function begin_backfill_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at  timestamptz := clock_v1();
    v_row backfills;
begin
    insert into backfills (backfill_id, first_run_id, location, queue, max_concurrent_runs, request, title, note, tags, cause,
        retry_of, root, as_of, target, again, progress, created_at, changed_at)
    values (p->>'backfill_id', p->>'first_run_id', p->>'location', p->>'queue', (p->>'max_concurrent_runs')::int, p->'request',
        p->>'title', p->>'note', coalesce(nullif(p->'tags', 'null'), '{}'), p->>'cause', p->>'retry_of', p->>'root', p->>'as_of',
        p->'target', p->'again', p->'progress', v_at, v_at)
    on conflict (backfill_id) do nothing;
    select * into v_row from backfills where backfill_id = p->>'backfill_id';
    if v_row.first_run_id <> p->>'first_run_id' then
        return jsonb_build_object('outcome', 'exists', 'status', v_row.status, 'created_at', v_row.created_at);
    end if;
    return jsonb_build_object('outcome', 'begun');
end $$;
-- +goose StatementEnd

-- {backfill_id, version, state, progress, position, ended: [{run_id, status, message, unbegun}], start: [{run_id, assets,
-- partitions, retry_of}]} -> {"found", "stale"}: writes how far a backfill is and what it starts next, all or nothing. stale
-- says that nothing was written: somebody else has written since that version, runs are to be started of a backfill that
-- is paused or stopped, or a run that counts as ended because it never began has begun.
-- +goose StatementBegin
create function advance_backfill_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_id  text := p->>'backfill_id';
    v_row backfills;
begin
    select * into v_row from backfills where backfill_id = v_id for no key update;
    if not found then
        return jsonb_build_object('found', false);
    end if;
    if v_row.version <> (p->>'version')::bigint or v_row.ended_at is not null
        or jsonb_array_length(p->'start') > 0 and (v_row.paused or v_row.status <> 'REQUESTED') then
        return jsonb_build_object('found', true, 'stale', true);
    end if;
    -- Whoever plans one of these now waits for the outcome, and is waited for: see may_begin_v1.
    perform 1 from jsonb_to_recordset(p->'ended') e(run_id text, unbegun boolean) join backfill_runs r using (run_id)
    where r.backfill_id = v_id and e.unbegun order by r.run_id for update of r;
    if exists (select 1 from jsonb_to_recordset(p->'ended') e(run_id text, unbegun boolean) join runs using (run_id) where e.unbegun) then
        return jsonb_build_object('found', true, 'stale', true);
    end if;
    update backfills
    set version = version + 1, state = p->'state', progress = p->'progress', position = (p->>'position')::bigint, changed_at = clock_v1()
    where backfill_id = v_id;
    update backfill_runs r set status = e.status, message = coalesce(e.message, '')
    from jsonb_to_recordset(p->'ended') e(run_id text, status text, message text)
    where r.backfill_id = v_id and r.run_id = e.run_id;
    insert into backfill_runs (backfill_id, run_id, assets, partitions, retry_of)
    select v_id, s.run_id, s.assets, s.partitions, coalesce(s.retry_of, '')
    from jsonb_to_recordset(p->'start') s(run_id text, assets text[], partitions jsonb, retry_of text);
    return jsonb_build_object('found', true, 'stale', false);
end $$;
-- +goose StatementEnd

-- Whether a run that names this backfill may begin; null when it may, else how it or its backfill has ended. A worker that was
-- frozen while it was starting runs wakes when nobody waits for them any more. The runs that a backfill has not asked for
-- itself, such as those that execute one of its runs again, are not its business.
-- +goose StatementBegin
create function may_begin_v1(p_backfill text, p_run text) returns text language plpgsql as $$
declare
    v_closed text;
    v_status text;
begin
    select status into v_closed from backfill_runs where backfill_id = p_backfill and run_id = p_run for share;
    if not found then
        return null;
    end if;
    select case when ended_at is not null then status end into v_status from backfills where backfill_id = p_backfill;
    return coalesce(v_status, nullif(v_closed, ''));
end $$;
-- +goose StatementEnd

-- {backfill_id, first_run_id, trouble} -> {"found", "tries"}: what keeps whoever works on a backfill from going on, or '' when
-- nothing does any more.
-- +goose StatementBegin
create function note_backfill_trouble_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_tries int;
begin
    update backfills
    set trouble = p->>'trouble',
        trouble_since = case when p->>'trouble' <> '' then coalesce(trouble_since, clock_v1()) end,
        trouble_tries = case when p->>'trouble' <> '' then trouble_tries + 1 else 0 end
    where backfill_id = p->>'backfill_id' and first_run_id = p->>'first_run_id' returning trouble_tries into v_tries;
    return jsonb_build_object('found', found, 'tries', coalesce(v_tries, 0));
end $$;
-- +goose StatementEnd

-- {backfill_id, first_run_id, paused, max_concurrent_runs, status, reason} -> {"found", "status"}: changes what is given. The
-- status goes from REQUESTED to CANCELING or FAILING only. A backfill that has ended stays as it is.
-- +goose StatementBegin
create function steer_backfill_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_status text;
begin
    update backfills
    set paused = coalesce((p->>'paused')::boolean, paused),
        max_concurrent_runs = coalesce(nullif((p->>'max_concurrent_runs')::int, 0), max_concurrent_runs),
        reason = case when status = 'REQUESTED' and coalesce(p->>'status', '') <> '' then coalesce(p->>'reason', '') else reason end,
        status = case when status = 'REQUESTED' then coalesce(nullif(p->>'status', ''), status) else status end,
        changed_at = clock_v1()
    where backfill_id = p->>'backfill_id' and first_run_id = p->>'first_run_id' and ended_at is null;
    select status into v_status from backfills where backfill_id = p->>'backfill_id' and first_run_id = p->>'first_run_id';
    return jsonb_build_object('found', found, 'status', coalesce(v_status, ''));
end $$;
-- +goose StatementEnd

-- {backfill_id, first_run_id, status, reason} -> {"found"}: ends a backfill, once.
-- +goose StatementBegin
create function end_backfill_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_at  timestamptz := clock_v1();
    v_row backfills;
begin
    update backfills
    set status = p->>'status', reason = coalesce(nullif(p->>'reason', ''), reason), ended_at = v_at, changed_at = v_at, version = version + 1,
        trouble = '', trouble_since = null, trouble_tries = 0
    where backfill_id = p->>'backfill_id' and first_run_id = p->>'first_run_id' and ended_at is null returning * into v_row;
    if found then
        perform append_events_v1('', v_row.cause, jsonb_build_array(jsonb_build_object('type', 'BACKFILL_ENDED', 'body', jsonb_build_object(
            'backfill', v_row.backfill_id, 'location', v_row.location, 'status', v_row.status, 'reason', v_row.reason))));
    end if;
    return jsonb_build_object('found', exists (
        select 1 from backfills where backfill_id = p->>'backfill_id' and first_run_id = p->>'first_run_id'));
end $$;
-- +goose StatementEnd

-- {before (time), limit} -> {"deleted"}: forgets the backfills that ended before then and of which no run is left, the oldest
-- first.
-- +goose StatementBegin
create function purge_backfills_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_deleted int;
begin
    delete from backfills where backfill_id in (
        select b.backfill_id from backfills b
        where b.ended_at < (p->>'before')::timestamptz and not exists (select 1 from runs r where r.backfill = b.backfill_id and r.backfill <> '')
        order by b.ended_at limit (p->>'limit')::int for update skip locked);
    get diagnostics v_deleted = row_count;
    return jsonb_build_object('deleted', v_deleted);
end $$;
-- +goose StatementEnd

-- +goose Down
drop function purge_backfills_v1(jsonb);
drop function end_backfill_v1(jsonb);
drop function steer_backfill_v1(jsonb);
drop function note_backfill_trouble_v1(jsonb);
drop function may_begin_v1(text, text);
drop function advance_backfill_v1(jsonb);
drop function begin_backfill_v1(jsonb);
drop table backfill_runs;
drop table backfills;
