-- Runs and what they planned; requests that were refused.

-- +goose Up

create table runs (
    run_id        text primary key, -- Temporal's workflow id
    first_run_id  text        not null, -- Temporal's FirstRunID: tells this run from a later start under its id
    location      text        not null,
    build         text        not null default '',
    snapshot_hash text        not null default '',
    queue         text        not null default '',
    status        text        not null
        check (status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING', 'SUCCESS', 'FAILURE', 'CANCELED')),
    job           text        not null default '',
    selection     text        not null default '',
    title         text        not null default '',
    note          text        not null default '',
    tags          jsonb       not null default '{}',
    config        jsonb,
    priority      int         not null default 3,
    cause         text        not null default '',
    request       jsonb,
    backfill      text        not null default '', -- the backfill that it belongs to; a run executed again stays in it
    -- What asked for it, of schedules and sensors; '' is a person or a backfill. Executed again, it stays what it was.
    trigger_kind  text        not null default '',
    trigger_name  text        not null default '',
    tick_id       text        not null default '',
    -- The one partition that it makes; "" of a run over none or several. Which these are say its steps.
    partition     text        not null default '',
    several       boolean     not null default false, -- it makes several partitions
    pools         text[]      not null default '{}',  -- in which its steps run
    steps_total   int         not null,
    -- Set at the end; until then they are counted from steps.
    succeeded     int         not null default 0,
    failed        int         not null default 0,
    skipped       int         not null default 0,
    canceled      int         not null default 0,
    failures      jsonb       not null default '[]', -- the first 20: [{"step","message"}]
    -- Why it ended so, when its steps do not say it; while it is open, what it waits for.
    reason        text        not null default '',
    -- Of a run that executes another one again: that run, the first of the chain, and its number in the chain.
    parent_run_id text        not null default '',
    root_run_id   text        not null default '',
    retry_number  int         not null default 0,
    -- Whether it is started again by itself, decided at its end; next_retry is that run's number in the chain.
    will_retry    boolean,
    next_retry    int,
    timeout       bigint      not null default 0, -- from its start, in nanoseconds; 0 is no bound
    created_at    timestamptz not null,
    started_at    timestamptz,
    ended_at      timestamptz,
    -- Temporal's time of the end, in nanoseconds. What Temporal scheduled later comes from a reset of this run.
    ended_scheduled bigint,
    -- The log position of its end: who reads ended runs in this order by a cursor misses none.
    ended_position  bigint,
    ended_execution text        not null default '', -- Temporal's id of the execution that recorded its own end
    -- ended_scheduled as it was before the last reset of the ended run: what was scheduled until then is from before it.
    reset_scheduled bigint,
    check ((parent_run_id = '') = (root_run_id = ''))
) with (fillfactor = 80);
create index runs_newest on runs (created_at desc, run_id desc);
create index runs_status on runs (status, created_at desc, run_id desc);
create index runs_job on runs (job, created_at desc, run_id desc);
create index runs_open on runs (created_at, run_id) where status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING');
create index runs_ended on runs (ended_at) where ended_at is not null;
create index runs_backfill on runs (backfill, ended_position) where backfill <> '';
create index runs_partition on runs (partition, created_at desc, run_id desc) where partition <> '';
create index runs_several on runs (created_at desc, run_id desc) where several;
create index runs_trigger on runs (location, trigger_kind, trigger_name, created_at desc) where trigger_kind <> '';
create index runs_trigger_open on runs (location, trigger_kind, trigger_name)
    where trigger_kind <> '' and status in ('QUEUED', 'STARTING', 'STARTED', 'CANCELING');
create index runs_trigger_failed on runs (location, trigger_kind, trigger_name, ended_at) where trigger_kind <> '' and status = 'FAILURE';
create index runs_schedule_cause on runs (cause) where trigger_kind = 'schedule';
create index runs_root on runs (root_run_id, created_at) where root_run_id <> '';
create index runs_parent on runs (parent_run_id) where parent_run_id <> '';

-- The walk that the workflow was given: a second PlanRun of the same run must answer the very same.
create table run_plans (
    run_id text primary key references runs (run_id) on delete cascade,
    walk   bytea not null
);

-- A step that is mapped over a dynamic output is planned as a template, which does not run. When the fan is committed,
-- each of its keys makes a step of every template: "etl.clean[page_3]".
create table plan_steps (
    run_id text  not null references runs (run_id) on delete cascade,
    step   text  not null,
    idx    int   not null, -- its place in the walk; of a mapped step its template's
    place  int   not null default 0, -- a mapped step's among those of its template, from 1
    type   text  not null, -- the activity type
    shape  text  not null,
    -- What a claim needs of the step, so that it need not look into body.
    assets     text[] not null, -- of its outputs, sorted by asset and partition as bytes, each once
    partitions text[] not null, -- one for each of assets
    inputs     jsonb,           -- [plan.StepInput]; null when it loads no asset
    op_values  jsonb,           -- [plan.ValueInput]; null when it loads no output of an op
    made_of    text[],          -- plan.Step.MadeOf; null when there is none
    max_lost   int    not null, -- so many workers may die under it
    pool       text   not null default '', -- that it needs a slot of
    -- plan.Step, handed out as it is: json and not jsonb, which is built anew on every way out. Null of a mapped step,
    -- which has its template's.
    body        json,
    over        text not null default '', -- of a template: the step with the dynamic output
    template    text not null default '', -- of a mapped step
    mapping_key text not null default '',
    -- The run that holds the outputs of a step that this run does not do, and its wire.StepResult there.
    inherited_from text not null default '',
    result         jsonb
);
create index plan_steps_place on plan_steps (run_id, idx, place);
create index plan_steps_over on plan_steps (run_id, over) where over <> '';
create index plan_steps_template on plan_steps (run_id, template, place) where template <> '';
create index plan_steps_inherited on plan_steps (inherited_from) where inherited_from <> '';
-- After the other index: between two that seem to cost the same, as they do before the table was ever analyzed, Postgres
-- takes the younger one, and a claim must not scan all steps of its run.
alter table plan_steps add primary key (run_id, step);

-- The steps with a dynamic output that others are mapped over, and how many mapped steps each has brought. They are not
-- counted in the run's own row: a commit that locked it could wait for the run's end, which waits for the commit.
create table run_fans (
    run_id text not null references runs (run_id) on delete cascade,
    fan    text not null,
    mapped int  not null default 0,
    primary key (run_id, fan)
);

-- Which runs set out to make an asset, and what of its partitions they did not make: one row however many these are.
-- What a run planned and none of the four lists has, it has made. A reset leaves the lists as its end had them, until
-- the next end.
create table run_assets (
    run_id     text        not null references runs (run_id) on delete cascade,
    asset      text        not null,
    created_at timestamptz not null,
    planned    jsonb,                  -- the partitions, as partition.Subset writes them; null of an asset without partitions
    count      int         not null default 1, -- of the planned partitions
    ended_position  bigint,            -- the run's, at its last end; null when it has never left anything undone
    failed          text[] not null default '{}', -- the step failed; the key of an asset without partitions is ""
    upstream_failed text[] not null default '{}', -- left behind because a step before it failed
    skipped         text[] not null default '{}', -- the step succeeded, or was left out, and emitted nothing
    canceled        text[] not null default '{}',
    primary key (run_id, asset)
);
create index run_assets_ended on run_assets (asset, ended_position) where ended_position is not null;
create index run_assets_asset on run_assets (asset, created_at desc);

-- A refused request changes nothing but this.
create table refused_requests (
    id            bigint generated always as identity primary key,
    at            timestamptz not null,
    workflow_id   text        not null,
    first_run_id  text        not null,
    workflow_type text        not null,
    input         text        not null, -- the first 64 K characters
    problems      jsonb       not null, -- [{"path","code","message","fix"}]
    unique (workflow_id, first_run_id)
);
create index refused_requests_at on refused_requests (at);

-- {workflow_id, first_run_id, workflow_type, input, problems, run} -> {"new"}; a second time changes nothing. Of a run that a schedule or
-- sensor has asked for, run is the body of the event that tells of it.
-- +goose StatementBegin
create function refuse_request_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_new   boolean;
    v_wakes jsonb;
begin
    insert into refused_requests (at, workflow_id, first_run_id, workflow_type, input, problems)
    values (clock_v1(), p->>'workflow_id', p->>'first_run_id', p->>'workflow_type', left(p->>'input', 65536), p->'problems')
    on conflict (workflow_id, first_run_id) do nothing;
    v_new := found;
    if v_new and jsonb_typeof(p->'run') = 'object' then
        select o_wakes into v_wakes from append_events_v1(p->>'workflow_id', p#>>'{run,cause}',
            jsonb_build_array(jsonb_build_object('type', 'RUN_REFUSED', 'body', p->'run')));
    end if;
    return with_wakes_v1(jsonb_build_object('new', v_new), v_wakes);
end $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function run_ended_v1(p_status text) returns boolean language sql immutable as $$
    select p_status in ('SUCCESS', 'FAILURE', 'CANCELED')
$$;
-- +goose StatementEnd

-- Reopens a run that has ended before p_scheduled, which is when Temporal scheduled the activity that asks: somebody
-- reset the run. What was scheduled before the end, a zombie's call or a late retry, reopens nothing, and neither does the
-- execution that recorded the end and does not know of it: see end_run_v1. Says whether it did; the caller then appends
-- RUN_RESTARTED.
-- +goose StatementBegin
create function reopen_run_v1(p_run text, p_scheduled bigint, p_execution text default null) returns boolean language plpgsql as $$
begin
    update runs
    set status = 'STARTED', started_at = coalesce(started_at, clock_v1()), ended_at = null, ended_scheduled = null, ended_position = null, ended_execution = '',
        reset_scheduled = ended_scheduled, succeeded = 0, failed = 0, skipped = 0, canceled = 0, failures = '[]', reason = '', will_retry = null
    where run_id = p_run and run_ended_v1(status) and p_scheduled > coalesce(ended_scheduled, 0)
      and ended_execution is distinct from nullif(p_execution, '');
    if not found then
        return false;
    end if;
    perform hold_again_v1(p_run);
    return true;
end $$;
-- +goose StatementEnd

-- The body of the events of a run's beginning.
-- +goose StatementBegin
create function run_start_body_v1(p_row runs) returns jsonb language sql stable as $$
    select jsonb_build_object('steps', p_row.steps_total, 'job', p_row.job)
        || case when p_row.root_run_id <> '' then jsonb_build_object('parent_run_id', p_row.parent_run_id, 'root_run_id', p_row.root_run_id,
                                                                     'retry_number', p_row.retry_number) else '{}' end
$$;
-- +goose StatementEnd

-- +goose Down
drop function run_start_body_v1(runs);
drop function reopen_run_v1(text, bigint, text);
drop function run_ended_v1(text);
drop function refuse_request_v1(jsonb);
drop table refused_requests;
drop table run_assets;
drop table run_fans;
drop table plan_steps;
drop table run_plans;
drop table runs;
