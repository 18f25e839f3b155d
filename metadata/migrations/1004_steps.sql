-- Steps as attempts hold them, the writers of assets, and what was materialized.

-- +goose Up

-- Tokens grow with every grant in the deployment, and none is granted twice, although a crash of Postgres may lose grants
-- and set the sequence back: see next_token_v1. One that is lost to a rollback is a gap, which nobody minds.
create sequence step_tokens as bigint;

create table token_limit (
    id        boolean primary key default true check (id),
    -- Up to here a token may be granted by a transaction that is not on the disk yet. It is on the disk itself.
    reserved  bigint not null,
    -- What was reserved when Postgres was found to have crashed the last time: a claim with such a token may be lost.
    recovered bigint not null default 0
);
insert into token_limit (reserved) values (100000);

-- Has its one row from the first token after a crash until the next crash: Postgres empties unlogged tables when it recovers,
-- and so does a replica that takes over.
create unlogged table token_guard (id boolean primary key default true check (id));
insert into token_guard default values;

-- A token that is granted needs a limit that is not below it. Moving the limit is the only thing here that others wait for, and
-- happens once in 100,000 tokens.
-- +goose StatementBegin
create function reserve_token_v1(p_token bigint) returns void language sql as $$
    update token_limit set reserved = p_token + 100000 where reserved < p_token
$$;
-- +goose StatementEnd

-- The next token. Whoever sees the guard sees a sequence that was put right: it is looked at before the sequence is.
-- +goose StatementBegin
create function next_token_v1() returns bigint language plpgsql as $$
declare
    v_token bigint;
begin
    select nextval('step_tokens') into v_token from token_guard;
    if not found then
        perform 1 from token_limit for update;
        insert into token_guard default values on conflict do nothing;
        if found then
            perform setval('step_tokens', greatest(reserved, (select last_value from step_tokens))) from token_limit;
            update token_limit set recovered = reserved;
        end if;
        v_token := nextval('step_tokens');
    end if;
    perform reserve_token_v1(v_token);
    return v_token;
end $$;
-- +goose StatementEnd

-- One row for each step of a run that was claimed, handed back or closed.
create table steps (
    run_id       text    not null, -- no foreign key: its check would lock the run's one row for every claim
    step         text    not null,
    -- Temporal's ScheduledTime and StartedTime of the attempt that holds the step, in nanoseconds: the order of
    -- attempts. Attempt numbers start again at a reset. started is 0 while nobody was granted it.
    scheduled    bigint  not null,
    started      bigint  not null default 0,
    token        bigint,
    state        text    not null default 'open'
        check (state in ('open', 'done', 'failed', 'skipped', 'upstream_failed', 'canceled')),
    -- The attempt that was granted last has recorded neither failure nor release: when another one comes, its
    -- worker died or froze.
    held         boolean not null default false,
    failures     int     not null default 0, -- of the user's function
    lost         int     not null default 0, -- workers that died under it
    lost_workers text[]  not null default '{}',
    worker       text    not null default '',
    build        text    not null default '',
    -- What it waits for. reason_since is kept while the code stays, whatever the text says.
    reason_code  text    not null default '',
    reason       text    not null default '',
    reason_since timestamptz,
    result       jsonb,   -- wire.StepResult, when done
    error        jsonb,   -- wire.ErrorInfo of the last failure
    loaded       jsonb,   -- [wire.InputVersion] of an op's step that loaded assets, when done
    -- How often the log has that the step was started. It is written with the end of an attempt: a claim takes no position
    -- in the log, so that claims do not queue behind the log's one row.
    starts       int     not null default 0,
    first_started_at timestamptz,
    claimed_at   timestamptz,
    ended_at     timestamptz,
    primary key (run_id, step)
) with (fillfactor = 70); -- each row is updated two or three times

-- Which step may write an asset's partition.
create table writers (
    asset     text        not null,
    partition text        not null,
    run_id    text        not null,
    step      text        not null,
    token     bigint      not null,
    since     timestamptz not null,
    primary key (asset, partition)
) with (fillfactor = 70);
create index writers_step on writers (run_id, step);

create table materializations (
    id           bigint generated always as identity primary key,
    position     bigint      not null, -- of its event
    at           timestamptz not null,
    run_id       text        not null,
    step         text        not null,
    scheduled    bigint      not null,
    asset        text        not null,
    partition    text        not null default '',
    token        bigint      not null, -- of the attempt that committed it
    slot_token   bigint      not null, -- under which its value is stored
    location     text        not null default '',
    metadata     jsonb       not null default '[]',
    data_version text        not null default '',
    code_version text        not null default '',
    inputs       jsonb       not null default '[]', -- [wire.InputVersion]
    build        text        not null default '',
    cause        text        not null default '',
    removed_at   timestamptz, -- its value is no longer stored: a later one replaced it
    -- Recorded once: a retry has the same scheduled, a reset a later one. In this order the index also finds what
    -- a run made of an asset, which every claim asks.
    unique (run_id, asset, partition, scheduled, step)
);
create unique index materializations_position on materializations (position);
create index materializations_asset on materializations (asset, partition, position desc);

-- The current materialization of each asset's partition.
create table asset_partitions (
    asset        text        not null,
    partition    text        not null,
    materialization bigint   not null,
    position     bigint      not null,
    at           timestamptz not null,
    run_id       text        not null,
    step         text        not null,
    token        bigint      not null,
    slot_token   bigint      not null,
    location     text        not null,
    data_version text        not null,
    code_version text        not null,
    metadata     jsonb       not null,
    primary key (asset, partition)
) with (fillfactor = 80);

-- Frees what steps of a run write; p_steps null is all of them. The locks are taken in the order in which claims take
-- them, so that no two wait for each other. A step that is open under the same token needs no such care: whoever else
-- locks one of its rows finds that it lives, and locks no other.
-- +goose StatementBegin
create function free_writers_v1(p_run text, p_steps text[]) returns void language plpgsql as $$
begin
    perform 1 from writers where run_id = p_run and (p_steps is null or step = any (p_steps))
    order by asset collate "C", partition collate "C" for update;
    delete from writers where run_id = p_run and (p_steps is null or step = any (p_steps));
end $$;
-- +goose StatementEnd

-- The key of the advisory lock of a run: shared by claims that begin a step, alone for the run's end. Many claims at once
-- share it without writing to the run's row, which they would otherwise queue for.
-- +goose StatementBegin
create function run_lock_v1(p_run text) returns bigint language sql immutable as $$ select hashtextextended(p_run, 8020) $$;
-- +goose StatementEnd

-- The row of a step, locked, for an attempt that Temporal scheduled at p_scheduled: it begins, or begins anew, when the
-- attempt's scheduling is the first that the row hears of. Null when the run has ended and nothing reset it.
-- +goose StatementBegin
create function begin_step_v1(p_run text, p_step text, p_scheduled bigint) returns steps language plpgsql as $$
declare
    v_known  bigint; -- the row's scheduled
    v_status text;
    v_row    steps;
begin
    select scheduled into v_known from steps where run_id = p_run and step = p_step;
    if not found or p_scheduled > v_known then
        -- The end of a run closes the open rows that it sees; the lock makes it wait for the one that is becoming so.
        perform pg_advisory_xact_lock_shared(run_lock_v1(p_run));
        select status into v_status from runs where run_id = p_run;
        if run_ended_v1(v_status) then
            return null;
        end if;
        insert into steps (run_id, step, scheduled) values (p_run, p_step, p_scheduled)
        on conflict (run_id, step) do nothing returning * into v_row;
        if found then
            return v_row;
        end if;
    end if;
    select * into v_row from steps where run_id = p_run and step = p_step for update;
    if p_scheduled > v_row.scheduled then
        -- Scheduled anew: by a reset, or after it was closed. It starts as if it had never run.
        perform free_writers_v1(p_run, array[p_step]);
        perform drop_mapped_v1(p_run, fan, p_scheduled) from run_fans where run_id = p_run and fan = p_step and mapped > 0;
        update steps
        set scheduled = p_scheduled, started = 0, token = null, state = 'open', held = false, failures = 0, lost = 0,
            lost_workers = '{}', worker = '', build = '', reason_code = '', reason = '', reason_since = null, result = null,
            error = null, first_started_at = null, claimed_at = null, ended_at = null
        where run_id = p_run and step = p_step returning * into v_row;
    end if;
    return v_row;
end $$;
-- +goose StatementEnd

-- The event of an attempt's start, for whoever records its end: its type, its body, and the whole as append_events_v1
-- takes it. p_row is the row with that start counted. Stable and no more, for such functions become part of the statement.
-- +goose StatementBegin
create function start_type_v1(p_row steps) returns text language sql stable as $$
    select case p_row.starts when 1 then 'STEP_START' else 'STEP_RESTARTED' end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function start_body_v1(p_row steps, p_attempt int) returns jsonb language sql stable as $$
    select jsonb_build_object('worker', p_row.worker, 'build', p_row.build, 'attempt', p_attempt, 'started_at', p_row.claimed_at)
        || case when p_row.lost > 0 then jsonb_build_object('lost_workers', to_jsonb(p_row.lost_workers)) else '{}' end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
create function start_event_v1(p_row steps, p_attempt int) returns jsonb language sql stable as $$
    select jsonb_build_object('type', start_type_v1(p_row), 'step', p_row.step, 'body', start_body_v1(p_row, p_attempt))
$$;
-- +goose StatementEnd

-- Whether an attempt's claim may have been lost in a crash: it was granted before one, and nothing that others did since is
-- in the way of claiming again. Only the first claim of a scheduling can be lost, so that nothing else is of the step.
-- +goose StatementBegin
create function claim_lost_v1(p_run text, p_step text, p_scheduled bigint, p_token bigint) returns boolean language sql stable as $$
    select (p_token <= (select recovered from token_limit) or not exists (select 1 from token_guard))
        and coalesce((
            select state = 'open' and token is null and scheduled = p_scheduled
            from steps where run_id = p_run and step = p_step), true)
$$;
-- +goose StatementEnd

-- wire.TokenCheck -> wire.TokenState: whether the attempt may still publish and commit.
-- +goose StatementBegin
create function check_token_v1(p jsonb) returns jsonb language plpgsql stable as $$
begin
    perform 1 from steps
    where run_id = p->>'run' and step = p->>'step' and state = 'open'
      and scheduled = (p->>'scheduled')::bigint and token = (p->>'token')::bigint;
    if found then
        return '{"holds":true}';
    end if;
    return jsonb_build_object('holds', false,
        'orphaned', orphaned_v1(p->>'run', p->>'step', (p->>'scheduled')::bigint, (p->>'slot_token')::bigint),
        'lost', claim_lost_v1(p->>'run', p->>'step', (p->>'scheduled')::bigint, (p->>'token')::bigint));
end $$;
-- +goose StatementEnd

-- +goose Down
drop function check_token_v1(jsonb);
drop function claim_lost_v1(text, text, bigint, bigint);
drop function start_event_v1(steps, int);
drop function start_body_v1(steps, int);
drop function start_type_v1(steps);
drop function begin_step_v1(text, text, bigint);
drop function run_lock_v1(text);
drop function free_writers_v1(text, text[]);
drop table asset_partitions;
drop table materializations;
drop table writers;
drop table steps;
drop function next_token_v1();
drop function reserve_token_v1(bigint);
drop table token_guard;
drop table token_limit;
drop sequence step_tokens;
