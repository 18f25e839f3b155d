package metadata_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const shape = "0123456789abcdef"

// bench is a migrated schema of its own, a store on it, and a plain connection for looking behind the store.
type bench struct {
	testing.TB
	*metadata.Store
	dsn string
	db  *sqlx.DB
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	return &bench{TB: t, Store: openStore(t, dsn), dsn: dsn, db: openPlain(t, dsn)}
}

func openStore(t *testing.T, dsn string) *metadata.Store {
	t.Helper()
	store, err := metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func openPlain(t *testing.T, dsn string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// step plans a step that makes the assets, or the asset of its own name.
func step(key string, assets ...string) plan.Step {
	if len(assets) == 0 {
		assets = []string{key}
	}
	s := plan.Step{Key: key, Type: key, Shape: shape, MaxLostWorkers: 3}
	for _, asset := range assets {
		s.Outputs = append(s.Outputs, plan.Output{Asset: asset, CodeVersion: "v1"})
	}
	return s
}

func newRun(id string, steps ...plan.Step) metadata.NewRun {
	planned := &plan.Plan{Steps: steps, Tags: map[string]string{"team": "delays"}, Priority: wire.PriorityNormal}
	planned.Walk.Cause = "cause-of-" + id
	for _, s := range steps {
		for _, output := range s.Outputs {
			if !slices.Contains(planned.Assets, output.Asset) {
				planned.Assets = append(planned.Assets, output.Asset)
			}
		}
	}
	return metadata.NewRun{
		ID: id, FirstRunID: "first-" + id, Location: "flights", Build: "b1", SnapshotHash: "h1", Queue: "flights",
		Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}, Plan: planned, Walk: []byte(`{"v":1,"steps":[]}`),
	}
}

func (b *bench) begin(id string, steps ...plan.Step) {
	b.Helper()
	planned, err := b.PlanRun(b.Context(), newRun(id, steps...))
	require.NoError(b, err)
	require.Equal(b, metadata.Planned, planned.Outcome)
}

func request(run, step string, scheduled, started int64) wire.ClaimRequest {
	return wire.ClaimRequest{Run: run, Step: step, Scheduled: scheduled, Started: started, Type: step, Shape: shape, Worker: "host-1", Build: "b1"}
}

func (b *bench) claim(run, step string, scheduled, started int64) wire.Claim {
	b.Helper()
	claim, err := b.Claim(b.Context(), request(run, step, scheduled, started))
	require.NoError(b, err)
	return claim
}

func (b *bench) granted(run, step string, scheduled, started int64) wire.Fence {
	b.Helper()
	claim := b.claim(run, step, scheduled, started)
	require.Equal(b, wire.ClaimGranted, claim.Outcome)
	return wire.Fence{Run: run, Step: step, Scheduled: scheduled, Token: claim.Token}
}

func commitOf(fence wire.Fence, assets ...string) wire.Commit {
	commit := wire.Commit{Fence: fence, Result: wire.StepResult{Materialized: assets}, Build: "b1", Worker: "host-1", Attempt: 1}
	for _, asset := range assets {
		commit.Outputs = append(commit.Outputs, wire.CommittedOutput{
			Asset: asset, SlotToken: fence.Token, Location: "file:///data/" + asset, DataVersion: "d" + asset, CodeVersion: "v1",
			Metadata: []wire.Metadatum{{Label: wire.LabelRowCount, Type: wire.MetadataInt, Value: json.RawMessage("42")}},
		})
	}
	return commit
}

func (b *bench) commit(fence wire.Fence, assets ...string) wire.Committed {
	b.Helper()
	committed, err := b.Commit(b.Context(), commitOf(fence, assets...))
	require.NoError(b, err)
	return committed
}

// committed claims a step and commits the assets.
func (b *bench) committed(run, step string, scheduled int64, assets ...string) wire.Fence {
	b.Helper()
	fence := b.granted(run, step, scheduled, scheduled)
	require.False(b, b.commit(fence, assets...).Refused)
	return fence
}

// handBack hands a step back with a grace of a minute.
func (b *bench) handBack(run, step string, scheduled int64) metadata.HandedBack {
	b.Helper()
	handed, err := b.HandBack(b.Context(), metadata.HandBack{
		Run: run, Step: step, Scheduled: time.Unix(0, scheduled), Reason: "unknown here", Grace: time.Minute, Failure: "unknown everywhere",
	})
	require.NoError(b, err)
	return handed
}

func (b *bench) close(run, step string, scheduled int64, status wire.StepStatus) []wire.DoneStep {
	b.Helper()
	done, err := b.CloseSteps(b.Context(), run, time.Unix(0, scheduled), []wire.ClosedStep{{Step: step, Status: status, Error: "closed"}})
	require.NoError(b, err)
	return done.Done
}

func (b *bench) end(run string, scheduled int64, status wire.RunStatus) wire.RunResult {
	b.Helper()
	result, err := b.EndRun(b.Context(), metadata.RunEnd{RunID: run, FirstRunID: "first-" + run, Status: status, Scheduled: time.Unix(0, scheduled)})
	require.NoError(b, err)
	return result
}

func (b *bench) fail(fence wire.Fence, attempt int, final bool) bool {
	b.Helper()
	failed, err := b.Store.Fail(b.Context(), wire.Failure{
		Fence: fence, Attempt: attempt, Final: final, Delay: 90 * time.Second, Error: wire.ErrorInfo{Message: "no such file"}, Worker: "host-1",
	})
	require.NoError(b, err)
	return failed.Refused
}

// types are the types of a run's events in their order.
func (b *bench) types(run string) []metadata.EventType {
	b.Helper()
	events, err := b.Events(b.Context(), 0, metadata.EventFilter{Run: run}, 1000)
	require.NoError(b, err)
	var types []metadata.EventType
	for _, event := range events {
		types = append(types, event.Type)
	}
	return types
}

// stepRow reads how one step stands.
func (b *bench) stepRow(run, step string) metadata.Step {
	b.Helper()
	page, err := b.Steps(b.Context(), run, "", 1000)
	require.NoError(b, err)
	for _, row := range page.Rows {
		if row.Step == step {
			return row
		}
	}
	require.FailNow(b, "no such step", step)
	return metadata.Step{}
}

func (b *bench) count(query string, arguments ...any) (n int) {
	b.Helper()
	require.NoError(b, b.db.GetContext(b.Context(), &n, query, arguments...))
	return n
}

// dump is everything that the functions write, for saying that a second call changed nothing. Tokens may be skipped.
func (b *bench) dump() map[string]string {
	b.Helper()
	tables := map[string]string{}
	for _, table := range []string{
		"log_head", "event_log", "runs", "run_plans", "plan_steps", "run_assets", "steps", "writers", "materializations",
		"asset_partitions", "refused_requests", "run_fans", "step_outputs", "superseded_values", "executions", "log_lines", "hook_runs", "leases",
		"dynamic_partitions", "observations", "asset_status", "reports", "subscriptions",
		"queue_head", "pools", "queue_entries", "queue_holds", "queue_classes", "slots",
	} {
		var rows []string
		require.NoError(b, b.db.SelectContext(b.Context(), &rows, "select to_jsonb(t)::text from "+table+" t order by 1"))
		data, err := json.Marshal(rows)
		require.NoError(b, err)
		tables[table] = string(data)
	}
	return tables
}

// setClock makes the schema's clock stand still.
func (b *bench) setClock(at string) {
	b.Helper()
	_, err := b.db.ExecContext(b.Context(),
		"create or replace function clock_v1() returns timestamptz language sql volatile as $$ select timestamptz '"+at+"' $$")
	require.NoError(b, err)
}
