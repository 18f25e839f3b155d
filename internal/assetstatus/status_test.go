package assetstatus_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	asset = "x"
	shape = "0123456789abcdef"
)

var now = time.Date(2115, 2, 1, 0, 0, 0, 0, time.UTC)

type bench struct {
	testing.TB
	store   *metadata.Store
	db      *sqlx.DB
	planner *plan.Planner
	tick    int64
}

func newBench(t testing.TB, definition partition.Definition) *bench {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	db, err := sqlx.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()); require.NoError(t, db.Close()) })
	b := &bench{TB: t, store: store, db: db}
	b.define(definition)
	return b
}

// define makes the asset's definition the one given.
func (b *bench) define(definition partition.Definition) {
	b.Helper()
	snapshot := &plan.Snapshot{
		V: plan.SnapshotVersion, Location: "flights",
		Assets:   []plan.Asset{{Key: asset, Compute: asset, Partitions: &definition}},
		Computes: []plan.Compute{{Name: asset, Outputs: []string{asset}, Shape: shape}},
	}
	var err error
	b.planner, err = plan.NewPlanner(snapshot, nil)
	require.NoError(b, err)
}

func (b *bench) read() assetstatus.Status {
	b.Helper()
	reader, err := assetstatus.NewReader(b.Context(), b.store, b.planner, now)
	require.NoError(b, err)
	status, err := reader.Read(b.Context(), asset)
	require.NoError(b, err)
	return status
}

// states is the state of each partition.
func states(status assetstatus.Status) map[string]assetstatus.State {
	all := map[string]assetstatus.State{}
	for key := range status.Set.All().Keys() {
		all[key] = status.Of(key)
	}
	return all
}

func (b *bench) next() int64 { b.tick++; return b.tick }

func stepOf(key string) string { return asset + "@" + key }

func (b *bench) begin(id string, keys ...string) {
	b.Helper()
	reader, err := assetstatus.NewReader(b.Context(), b.store, b.planner, now)
	require.NoError(b, err)
	subset, err := reader.Existing().Set(asset).Of(keys...)
	require.NoError(b, err)
	planned := &plan.Plan{Assets: []string{asset}, Targets: map[string]partition.Subset{asset: subset}, Tags: map[string]string{}}
	for _, key := range keys {
		planned.Steps = append(planned.Steps, plan.Step{
			Key: stepOf(key), Type: asset, Shape: shape, Partition: key, Outputs: []plan.Output{{Asset: asset}}, MaxLostWorkers: 3,
		})
	}
	answer, err := b.store.PlanRun(b.Context(), metadata.NewRun{
		ID: id, FirstRunID: id, Scheduled: time.Unix(0, b.next()), Location: "flights", Plan: planned, Walk: []byte("{}"),
	})
	require.NoError(b, err)
	require.Equal(b, metadata.Planned, answer.Outcome)
}

// claim claims a step anew; false when somebody else writes its partition.
func (b *bench) claim(run, key string) (fence wire.Fence, granted bool) {
	b.Helper()
	at := b.next()
	claim, err := b.store.Claim(b.Context(), wire.ClaimRequest{Run: run, Step: stepOf(key), Scheduled: at, Started: at, Shape: shape, Worker: "w"})
	require.NoError(b, err)
	return wire.Fence{Run: run, Step: stepOf(key), Scheduled: at, Token: claim.Token}, claim.Outcome == wire.ClaimGranted
}

func (b *bench) make(run, key string) bool {
	b.Helper()
	fence, granted := b.claim(run, key)
	if granted {
		committed, err := b.store.Commit(b.Context(), wire.Commit{
			Fence: fence, Attempt: 1, Result: wire.StepResult{Materialized: []string{asset}},
			Outputs: []wire.CommittedOutput{{Asset: asset, Partition: key, SlotToken: fence.Token, DataVersion: "d"}},
		})
		require.NoError(b, err)
		require.False(b, committed.Refused)
	}
	return granted
}

func (b *bench) fail(run, key string) bool {
	b.Helper()
	fence, granted := b.claim(run, key)
	if granted {
		failed, err := b.store.Fail(b.Context(), wire.Failure{Fence: fence, Attempt: 1, Final: true, Error: wire.ErrorInfo{Message: "no " + key}})
		require.NoError(b, err)
		require.False(b, failed.Refused)
	}
	return granted
}

func (b *bench) end(run string, status wire.RunStatus) {
	b.Helper()
	_, err := b.store.EndRun(b.Context(), metadata.RunEnd{RunID: run, FirstRunID: run, Status: status, Scheduled: time.Unix(0, b.next()), Own: true})
	require.NoError(b, err)
}

func letters() partition.Definition {
	return partition.Definition{Static: []string{"a", "b", "c", "d", "e", "f"}}
}

func TestHowPartitionsStand(t *testing.T) {
	t.Parallel()
	b := newBench(t, letters())
	b.begin("r1", "a", "b", "c")
	require.Equal(t, assetstatus.Counts{Partitions: 6, Running: 3, Missing: 3}, b.read().Counts())
	require.True(t, b.make("r1", "a"))
	require.True(t, b.fail("r1", "b"))
	_, err := b.store.CloseSteps(t.Context(), "r1", time.Unix(0, b.next()), []wire.ClosedStep{{Step: stepOf("c"), Status: wire.StepUpstreamFailed}})
	require.NoError(t, err)
	require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: 1, Running: 2, Missing: 3}, b.read().Counts())
	b.end("r1", wire.RunFailure)
	require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: 1, Failed: 1, UpstreamFailed: 1, Missing: 3}, b.read().Counts())

	b.begin("r2", "a", "b")
	require.True(t, b.fail("r2", "a"))
	b.end("r2", wire.RunCanceled)
	status := b.read()
	require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: 1, MaterializedFailed: 1, Failed: 1, UpstreamFailed: 1, Missing: 3}, status.Counts(),
		"a cancel leaves b as it was")

	reader, err := assetstatus.NewReader(t.Context(), b.store, b.planner, now)
	require.NoError(t, err)
	page, err := reader.Page(t.Context(), status, status.Set.All(), 0, 4)
	require.NoError(t, err)
	require.Len(t, page, 4)
	require.Equal(t, "r1", page[0].Current.Run)
	require.Equal(t, metadata.PartitionFailure{Run: "r2", Step: "x@a", Message: "no a"}, *page[0].Failure)
	require.Equal(t, metadata.PartitionFailure{Run: "r1", Step: "x@b", Message: "no b"}, *page[1].Failure)
	require.True(t, page[2].Failure.Upstream)
	require.Nil(t, page[3].Current)
	require.Nil(t, page[3].Failure)
}

func TestWhatIsWipedIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t, letters())
	wipe := func(keys ...string) {
		t.Helper()
		_, err := b.store.WipeAsset(t.Context(), metadata.Wipe{Asset: asset, Partitions: keys})
		require.NoError(t, err)
	}
	b.begin("r1", "a", "b", "c")
	require.True(t, b.make("r1", "a"))
	require.True(t, b.make("r1", "b"))
	require.True(t, b.fail("r1", "c"))
	wipe("b")
	require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: 1, Running: 1, Missing: 4}, b.read().Counts(), "nobody makes b again")
	b.end("r1", wire.RunFailure)
	require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: 1, Failed: 1, Missing: 4}, b.read().Counts())
	b.begin("r2", "d")
	wipe()
	for range 2 {
		require.Equal(t, assetstatus.Counts{Partitions: 6, Running: 1, Missing: 5}, b.read().Counts())
		_, err := b.db.ExecContext(t.Context(), "delete from asset_status")
		require.NoError(t, err)
	}
}

func TestAnObservationCountsOfWhatSomebodyElseMakes(t *testing.T) {
	t.Parallel()
	for external, want := range map[bool]int{true: 2, false: 1} {
		b := newBench(t, letters())
		if external {
			definition := letters()
			var err error
			b.planner, err = plan.NewPlanner(&plan.Snapshot{
				V: plan.SnapshotVersion, Location: "flights", Assets: []plan.Asset{{Key: asset, Partitions: &definition}},
			}, nil)
			require.NoError(t, err)
		}
		b.read()
		for key, kind := range map[string]wire.ReportType{"a": wire.ReportObservation, "b": wire.ReportMaterialization} {
			_, err := b.store.Report(t.Context(), metadata.Report{ID: key, Asset: asset, Type: kind, Partitions: []string{key}})
			require.NoError(t, err)
		}
		require.Equal(t, assetstatus.Counts{Partitions: 6, Materialized: want, Missing: 6 - want}, b.read().Counts())
		_, err := b.db.ExecContext(t.Context(), "delete from asset_status")
		require.NoError(t, err)
		require.Equal(t, want, b.read().Counts().Materialized)
		_, err = b.store.WipeAsset(t.Context(), metadata.Wipe{Asset: asset, Partitions: []string{"a"}})
		require.NoError(t, err)
		require.Equal(t, 1, b.read().Counts().Materialized)
	}
}

func TestHowAnAssetWithoutPartitionsStands(t *testing.T) {
	t.Parallel()
	b := newBench(t, partition.Definition{})
	is := func(want assetstatus.State) {
		t.Helper()
		require.Equal(t, want, b.read().Of(""))
	}
	is(assetstatus.Missing)
	b.begin("r1", "")
	is(assetstatus.Running)
	require.True(t, b.fail("r1", ""))
	b.end("r1", wire.RunFailure)
	is(assetstatus.Failed)
	b.begin("r2", "")
	is(assetstatus.Running)
	b.end("r2", wire.RunCanceled)
	is(assetstatus.Failed) // a cancel leaves it as it was
	b.begin("r3", "")
	require.True(t, b.make("r3", ""))
	b.end("r3", wire.RunFailure)
	is(assetstatus.Materialized) // what failed of the run was something else
	b.begin("r4", "")
	require.True(t, b.fail("r4", ""))
	is(assetstatus.Running)
	b.end("r4", wire.RunFailure)
	is(assetstatus.MaterializedFailed)

	b.begin("r5", "")
	b.define(letters())
	require.Equal(t, assetstatus.Counts{Partitions: 6, Missing: 6}, b.read().Counts(), "what the run makes is of no partition")
	b.begin("r6", "a")
	b.define(partition.Definition{})
	b.end("r5", wire.RunCanceled)
	is(assetstatus.MaterializedFailed)
}

func TestTheStatusFollowsTheDefinition(t *testing.T) {
	t.Parallel()
	b := newBench(t, letters())
	b.begin("r1", "a", "b", "f")
	for _, key := range []string{"a", "b", "f"} {
		require.True(t, b.make("r1", key))
	}
	b.end("r1", wire.RunSuccess)
	require.Equal(t, 3, b.read().Counts().Materialized)
	b.define(partition.Definition{Static: []string{"b", "a", "z"}})
	require.Equal(t, assetstatus.Counts{Partitions: 3, Materialized: 2, Missing: 1}, b.read().Counts())
	b.define(letters())
	require.Equal(t, 3, b.read().Counts().Materialized)

	b.define(partition.Definition{Dynamic: "d"})
	change := metadata.PartitionChange{Name: "d", Keys: []string{"f", "a"}}
	for _, step := range []struct {
		do   func() (metadata.PartitionsChanged, error)
		want int
	}{
		{func() (metadata.PartitionsChanged, error) { return b.store.AddPartitions(t.Context(), change) }, 2},
		{func() (metadata.PartitionsChanged, error) { return b.store.RemovePartitions(t.Context(), change) }, 0},
		{func() (metadata.PartitionsChanged, error) { return b.store.AddPartitions(t.Context(), change) }, 2},
	} {
		_, err := step.do()
		require.NoError(t, err)
		require.Equal(t, step.want, b.read().Counts().Materialized)
		require.Equal(t, step.want, b.read().Counts().Materialized, "once it is kept")
	}
}

// The status that is kept and brought up to date is, after every step of a random history, what a slow fold over that history
// says, and also what is read when nothing is kept.
func TestTheStatusIsThatOfTheHistory(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	b := newBench(t, letters())
	keys := letters().Static
	type run struct {
		open  bool
		steps map[string]string // "", "done", "failed", "upstream", "skipped"
	}
	runs := map[string]*run{}
	var ids []string
	made, failed := map[string]bool{}, map[string]assetstatus.State{}
	pick := func(open bool) (string, *run) {
		for _, i := range random.Perm(len(ids)) {
			if runs[ids[i]].open == open {
				return ids[i], runs[ids[i]]
			}
		}
		return "", nil
	}
	for range 150 {
		key := keys[random.IntN(len(keys))]
		switch random.IntN(10) {
		case 0, 1:
			id := fmt.Sprintf("r%d", len(ids))
			r := &run{open: true, steps: map[string]string{}}
			var planned []string
			for _, k := range keys {
				if random.IntN(2) == 0 || k == key {
					planned, r.steps[k] = append(planned, k), ""
				}
			}
			b.begin(id, planned...)
			ids, runs[id] = append(ids, id), r
		case 2, 3, 4:
			if id, r := pick(true); r != nil {
				if how, planned := r.steps[key]; planned && how == "" && b.make(id, key) {
					r.steps[key], made[key] = "done", true
					delete(failed, key)
				}
			}
		case 5:
			if id, r := pick(true); r != nil {
				if how, planned := r.steps[key]; planned && how == "" && b.fail(id, key) {
					r.steps[key] = "failed"
				}
			}
		case 6:
			if id, r := pick(true); r != nil {
				if how, planned := r.steps[key]; planned && how == "" {
					status, became := wire.StepUpstreamFailed, "upstream"
					if random.IntN(2) == 0 {
						status, became = wire.StepSkipped, "skipped"
					}
					_, err := b.store.CloseSteps(t.Context(), id, time.Unix(0, b.next()), []wire.ClosedStep{{Step: stepOf(key), Status: status}})
					require.NoError(t, err)
					r.steps[key] = became
				}
			}
		case 7:
			if id, r := pick(true); r != nil {
				b.end(id, wire.RunCanceled)
				r.open = false
				for k, how := range r.steps {
					switch how {
					case "failed":
						failed[k] = assetstatus.Failed
					case "upstream":
						failed[k] = assetstatus.UpstreamFailed
					case "skipped":
						delete(failed, k)
					}
				}
			}
		case 8: // a reset: a step of an ended run is scheduled anew
			if id, r := pick(false); r != nil {
				if _, planned := r.steps[key]; planned {
					// Reopened also while another step writes the partition: this one waits then.
					b.claim(id, key)
					r.open, r.steps[key] = true, ""
				}
			}
		default:
			if random.IntN(2) == 0 {
				_, err := b.store.WipeAsset(t.Context(), metadata.Wipe{Asset: asset, Partitions: []string{key}})
				if _, written := errors.AsType[*metadata.BeingWrittenError](err); written {
					continue
				}
				require.NoError(t, err)
				delete(made, key)
			} else {
				_, err := b.store.Report(t.Context(), metadata.Report{
					ID: fmt.Sprint(b.next()), Asset: asset, Type: wire.ReportMaterialization, Partitions: []string{key},
				})
				require.NoError(t, err)
				made[key] = true
			}
			delete(failed, key)
		}

		want := map[string]assetstatus.State{}
		for _, k := range keys {
			undone, isUndone := failed[k]
			switch {
			case made[k] && isUndone:
				want[k] = assetstatus.MaterializedFailed
			case made[k]:
				want[k] = assetstatus.Materialized
			case isUndone:
				want[k] = undone
			default:
				want[k] = assetstatus.Missing
			}
			for _, r := range runs {
				if how, planned := r.steps[k]; r.open && planned && how != "done" {
					want[k] = assetstatus.Running
				}
			}
		}
		if random.IntN(3) > 0 {
			require.Equal(t, want, states(b.read()))
		}
		if random.IntN(5) == 0 {
			_, err := b.db.ExecContext(t.Context(), "delete from asset_status")
			require.NoError(t, err)
			require.Equal(t, want, states(b.read()))
		}
	}
}

func TestAMillionPartitionsAreReadInMilliseconds(t *testing.T) { //nolint:paralleltest // it measures
	if testing.Short() {
		t.Skip("it measures")
	}
	b := newBench(t, partition.Definition{Time: &partition.TimeWindows{Every: partition.Hourly, Start: "2001-01-01"}})
	_, err := b.db.ExecContext(t.Context(), `
		insert into asset_partitions (asset, partition, materialization, position, at, run_id, step, token, slot_token, location, data_version, code_version, metadata)
		select 'x', to_char(timestamp '2001-01-01' + n * interval '1 hour', 'YYYY-MM-DD-HH24:MI'), n, 0, now(), 'r0', 'x', 1, 1, '', 'd', '', '[]'
		from generate_series(0, 999999) n`)
	require.NoError(t, err)
	begun := time.Now()
	require.Equal(t, 1_000_000, b.read().Counts().Materialized)
	t.Logf("the first time: %v", time.Since(begun))
	b.begin("r1", "2001-01-01-00:00", "2115-01-29-16:00")
	require.True(t, b.make("r1", "2115-01-29-16:00"))
	b.read()
	reader, err := assetstatus.NewReader(t.Context(), b.store, b.planner, now)
	require.NoError(t, err)
	const times = 20
	begun = time.Now()
	for range times {
		status, err := reader.Read(t.Context(), asset)
		require.NoError(t, err)
		require.Equal(t, 1, status.Counts().Running)
	}
	took := time.Since(begun) / times
	t.Logf("a million materialized partitions, kept: %v", took)
	require.Less(t, took, 50*time.Millisecond)
}
