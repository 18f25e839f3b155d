package metadata_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
)

func snapshot(description string) *plan.Snapshot {
	return &plan.Snapshot{
		V: plan.SnapshotVersion, Location: "flights",
		Assets: []plan.Asset{{Key: "b", Description: description, Compute: "b"}, {Key: "a"}},
		Computes: []plan.Compute{{Name: "b", Outputs: []string{"b"}, Config: &plan.ConfigSchema{
			// Keys in an order that jsonb would not keep.
			Schema: []byte(`{"type":"object","properties":{}}`), Defaults: []byte(`{"zz":1,"a":2}`),
		}}},
	}
}

func (b *bench) register(build string, s *plan.Snapshot, activate bool) metadata.BuildState {
	b.Helper()
	state, err := b.RegisterBuild(b.Context(), build, s, activate)
	require.NoError(b, err)
	return state
}

func (b *bench) touch(build string) metadata.BuildState {
	b.Helper()
	state, err := b.TouchBuild(b.Context(), "flights", build)
	require.NoError(b, err)
	return state
}

func TestOneBuildIsActive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	one, two := snapshot("one"), snapshot("two")
	hashOne, err := one.Hash()
	require.NoError(t, err)
	hashTwo, err := two.Hash()
	require.NoError(t, err)
	require.Equal(t, metadata.BuildState{Active: true, ActiveBuild: "b1", ActiveHash: hashOne}, b.register("b1", one, false))

	// A build never seen takes over; the one before does not come back by restarting.
	second := metadata.BuildState{Active: true, ActiveBuild: "b2", ActiveHash: hashTwo}
	require.Equal(t, second, b.register("b2", two, false))
	second.Active = false
	require.Equal(t, second, b.register("b1", one, false))
	require.Equal(t, second, b.touch("b1"))

	// Only when a person says so.
	require.True(t, b.register("b1", one, true).Active)
	require.False(t, b.touch("b2").Active)
	require.Equal(t, 1, b.count("select count(*) from builds where state = 'active'"))
	require.Equal(t, 2, b.count("select count(*) from snapshots"))

	// Or when the active one's workers were not seen for a minute.
	b.setClock("2026-11-22T10:00:35Z")
	require.False(t, b.touch("b2").Active)
	b.setClock("2026-11-22T10:01:00Z")
	require.False(t, b.touch("b2").Active)
	b.setClock("2026-11-22T10:01:01Z")
	require.Equal(t, "b2", b.touch("b2").ActiveBuild)
	require.False(t, b.touch("b1").Active)
	require.Equal(t, 1, b.count("select count(*) from builds where state = 'active'"))
}

// What is seen first after Postgres was away, or after the whole location was, says nothing about the others.
func TestNobodyTakesOverBecausePostgresWasAway(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(*bench) metadata.BuildState{
		"a worker goes on":    func(b *bench) metadata.BuildState { return b.touch("b1") },
		"a worker is started": func(b *bench) metadata.BuildState { return b.register("b1", snapshot("one"), false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.setClock("2026-11-22T10:00:00Z")
			b.register("b1", snapshot("one"), false)
			b.register("b2", snapshot("two"), false)
			b.setClock("2026-11-22T10:05:00Z")
			require.Equal(t, "b2", back(b).ActiveBuild)
			b.setClock("2026-11-22T10:05:30Z")
			require.Equal(t, "b2", b.touch("b1").ActiveBuild)
			b.setClock("2026-11-22T10:05:45Z")
			require.True(t, b.touch("b2").Active)

			// From now on only b1 is seen: a rollback.
			b.setClock("2026-11-22T10:06:10Z")
			require.Equal(t, "b2", b.touch("b1").ActiveBuild)
			b.setClock("2026-11-22T10:06:45Z")
			require.Equal(t, "b2", b.touch("b1").ActiveBuild)
			b.setClock("2026-11-22T10:06:46Z")
			require.Equal(t, "b1", b.touch("b1").ActiveBuild)
		})
	}
}

func TestAPersonActivatesABuild(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.setClock("2026-11-22T10:00:00Z")
	b.register("b1", snapshot("one"), false)
	b.register("b2", snapshot("two"), false)
	for _, at := range []string{"10:00:30", "10:01:00", "10:01:30", "10:02:00"} {
		b.setClock("2026-11-22T" + at + "Z")
		require.True(t, b.touch("b2").Active)
	}
	state, err := b.ActivateBuild(t.Context(), "flights", "b1")
	require.NoError(t, err)
	require.True(t, state.Active)
	require.Equal(t, "b1", state.ActiveBuild)
	require.Equal(t, 1, b.count("select count(*) from builds where build = 'b1' and last_seen = '2026-11-22T10:00:00Z'"), "no worker of it was seen")

	// It holds for as long as a worker of it may take to come, and no longer when none does.
	b.setClock("2026-11-22T10:02:30Z")
	require.Equal(t, "b1", b.touch("b2").ActiveBuild)
	b.setClock("2026-11-22T10:03:00Z")
	require.Equal(t, "b1", b.touch("b2").ActiveBuild)
	b.setClock("2026-11-22T10:03:01Z")
	require.Equal(t, "b2", b.touch("b2").ActiveBuild)

	_, err = b.ActivateBuild(t.Context(), "flights", "b9")
	require.ErrorIs(t, err, metadata.ErrNotFound)
}

func TestABuildIdThatComesWithOtherDefinitions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register("dev", snapshot("one"), true)
	two := snapshot("two")
	b.register("dev", two, false)
	active, hash, build, err := b.ActiveSnapshot(t.Context(), "flights")
	require.NoError(t, err)
	require.Equal(t, two, active)
	require.Equal(t, "dev", build)
	again, err := active.Hash()
	require.NoError(t, err)
	require.Equal(t, hash, again, "a snapshot that was stored has the hash it is stored under")

	// It is read once.
	cached, _, _, err := b.ActiveSnapshot(t.Context(), "flights")
	require.NoError(t, err)
	require.Same(t, active, cached)
}

func TestBuildsAtOnceLeaveOneActive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() {
			if _, err := b.RegisterBuild(t.Context(), string(rune('a'+i%6)), snapshot("same"), i%2 == 0); err != nil {
				t.Errorf("register: %v", err)
			}
		})
	}
	wait.Wait()
	require.Equal(t, 1, b.count("select count(*) from builds where state = 'active'"))
	require.Equal(t, 6, b.count("select count(*) from builds"))
}

func TestALocationThatNobodyStarted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, _, err := b.ActiveSnapshot(t.Context(), "flihgts")
	require.ErrorIs(t, err, metadata.ErrNotFound)
	b.register("b1", snapshot("one"), false)
	_, err = b.Assets(t.Context(), "flihgts")
	require.ErrorIs(t, err, metadata.ErrNotFound)
	require.ErrorContains(t, err, "known are flights")
	_, err = b.TouchBuild(t.Context(), "flights", "b9")
	require.ErrorIs(t, err, metadata.ErrNotFound)

	locations, err := b.Locations(t.Context())
	require.NoError(t, err)
	require.Len(t, locations, 1)
	require.Equal(t, "b1", locations[0].Build)
	require.False(t, locations[0].LastSeen.IsZero())
}
