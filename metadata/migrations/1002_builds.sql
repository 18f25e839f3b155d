-- What code locations define, and which build of each is active.

-- +goose Up

-- A location's definitions under their content hash; never changed. The type is json and not jsonb, which would
-- reorder keys: the hash is that of these very bytes.
create table snapshots (
    hash       text primary key,
    location   text        not null,
    body       json        not null,
    created_at timestamptz not null
);

create table builds (
    location      text        not null,
    build         text        not null,
    snapshot_hash text        not null references snapshots (hash),
    state         text        not null check (state in ('active', 'superseded')),
    first_seen    timestamptz not null,
    last_seen     timestamptz not null, -- any of its workers
    seen_since    timestamptz not null, -- since when one was seen again and again, without a gap of 40 s
    activated_at  timestamptz,
    superseded_at timestamptz,
    primary key (location, build)
);
create unique index builds_one_active on builds (location) where state = 'active';

-- Makes p_build the location's active build. The caller holds the location's lock.
-- +goose StatementBegin
create function make_active_v1(p_location text, p_build text, p_at timestamptz) returns void language plpgsql as $$
begin
    update builds set state = 'superseded', superseded_at = p_at
    where location = p_location and state = 'active' and build <> p_build;
    update builds set state = 'active', activated_at = p_at, superseded_at = null
    where location = p_location and build = p_build and state <> 'active';
end $$;
-- +goose StatementEnd

-- How a build stands: {"known","active","active_build","active_hash"}.
-- +goose StatementBegin
create function build_state_v1(p_location text, p_build text) returns jsonb language sql stable as $$
    select jsonb_build_object('known', true, 'active', a.build = p_build, 'active_build', a.build, 'active_hash', a.snapshot_hash)
    from builds a where a.location = p_location and a.state = 'active'
$$;
-- +goose StatementEnd

-- A worker of {location, build} is alive. A superseded build takes over only when for 60 s its workers were seen and none
-- of the active one, nor was that activated meanwhile: this is what a rollback looks like. After Postgres was away
-- nobody was seen for a while, which says nothing about who is alive. Answer: build_state_v1's, or {"known":false}.
-- +goose StatementBegin
create function touch_build_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_location text := p->>'location';
    v_build    text := p->>'build';
    v_at       timestamptz;
    v_row      builds;
    v_active   builds;
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure builds ' || current_schema() || ' ' || v_location, 0));
    v_at := clock_v1();
    update builds
    set seen_since = case when last_seen < v_at - interval '40 seconds' then v_at else seen_since end, last_seen = v_at
    where location = v_location and build = v_build returning * into v_row;
    if not found then
        return jsonb_build_object('known', false, 'active', false);
    end if;
    select * into v_active from builds where location = v_location and state = 'active';
    if v_active.build <> v_build and v_row.seen_since <= v_at - interval '60 seconds'
        and greatest(v_active.last_seen, v_active.activated_at) < v_at - interval '60 seconds' then
        perform make_active_v1(v_location, v_build, v_at);
    end if;
    return build_state_v1(v_location, v_build);
end $$;
-- +goose StatementEnd

-- Stores a snapshot and the build that brings it: {location, build, hash, body (text), activate}. A build never seen
-- becomes active; one that was superseded only with "activate", or as touch_build_v1 says. A known build with
-- another hash (a rebuild under the same build id) takes the new one. Answer: as touch_build_v1.
-- +goose StatementBegin
create function register_build_v1(p jsonb) returns jsonb language plpgsql as $$
declare
    v_location text := p->>'location';
    v_build    text := p->>'build';
    v_at       timestamptz;
    v_known    boolean;
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure builds ' || current_schema() || ' ' || v_location, 0));
    v_at := clock_v1();
    insert into snapshots (hash, location, body, created_at)
    values (p->>'hash', v_location, (p->>'body')::json, v_at)
    on conflict (hash) do nothing;

    v_known := exists (select 1 from builds where location = v_location and build = v_build);
    insert into builds (location, build, snapshot_hash, state, first_seen, last_seen, seen_since)
    values (v_location, v_build, p->>'hash', 'superseded', v_at, v_at, v_at)
    on conflict (location, build) do update set snapshot_hash = excluded.snapshot_hash;
    if not v_known or (p->>'activate')::boolean then
        perform make_active_v1(v_location, v_build, v_at);
    end if;
    return touch_build_v1(p);
end $$;
-- +goose StatementEnd

-- A person activates {location, build}. That says nothing about its workers: if none is seen, another build's may take
-- over 60 s later, as touch_build_v1 says. Answer: build_state_v1's, or {"known":false}.
-- +goose StatementBegin
create function activate_build_v1(p jsonb) returns jsonb language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('perdure builds ' || current_schema() || ' ' || (p->>'location'), 0));
    if not exists (select 1 from builds where location = p->>'location' and build = p->>'build') then
        return jsonb_build_object('known', false, 'active', false);
    end if;
    perform make_active_v1(p->>'location', p->>'build', clock_v1());
    return build_state_v1(p->>'location', p->>'build');
end $$;
-- +goose StatementEnd

-- +goose Down
drop function activate_build_v1(jsonb);
drop function register_build_v1(jsonb);
drop function touch_build_v1(jsonb);
drop function build_state_v1(text, text);
drop function make_active_v1(text, text, timestamptz);
drop table builds;
drop table snapshots;
