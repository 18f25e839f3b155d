package worker

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func one(definitions.Context) (int, error) { return 1, nil }

func valid() *definitions.Definitions {
	return definitions.New("location", definitions.Asset("one", definitions.Bind0(one)))
}

func invalid() *definitions.Definitions {
	return definitions.New("location",
		definitions.Asset("one", definitions.Bind0(one)), definitions.Asset("one", definitions.Bind0(one)),
		definitions.Asset("two", definitions.Bind0(one), definitions.Owners{"nobody"}))
}

func settings(t *testing.T, environment ...string) config.Config {
	t.Helper()
	loaded, err := config.Load(config.LoadOptions{Folder: t.TempDir(), Environ: environment})
	require.NoError(t, err)
	return loaded
}

func migrated(t *testing.T) string {
	t.Helper()
	return testenv.Prepared(t, metadata.Migrate)
}

func TestWorkerRefusesToStartWithEveryReasonAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(t.Context(), invalid(), Options{Config: settings(t,
		"PERDURE_TEMPORAL_ADDRESS=127.0.0.1:1", "PERDURE_POSTGRES_DSN=postgres://nobody@127.0.0.1:1/none?sslmode=disable")})
	require.ErrorContains(t, err, "the definitions are invalid")
	require.ErrorContains(t, err, `"nobody"`)
	require.ErrorContains(t, err, "worker_test.go:")
	require.ErrorContains(t, err, "temporal at 127.0.0.1:1 (temporal.address) cannot be reached")
	require.ErrorContains(t, err, "postgres (postgres.dsn) cannot be reached")
	require.ErrorIs(t, err, metadata.ErrUnavailable)
}

func TestWorkerRefusesANamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := New(t.Context(), valid(), Options{Config: settings(t, "PERDURE_TEMPORAL_ADDRESS="+testenv.Temporal(t).Address,
		"PERDURE_TEMPORAL_NAMESPACE=elsewhere", "PERDURE_POSTGRES_DSN="+migrated(t))})
	require.ErrorContains(t, err, `namespace "elsewhere" (temporal.namespace)`)
}

func TestWorkerRefusesASchemaOfAnotherVersion(t *testing.T) {
	t.Parallel()
	address := "PERDURE_TEMPORAL_ADDRESS=" + testenv.Temporal(t).Address
	behind := testenv.Postgres(t)
	_, err := New(t.Context(), valid(), Options{Config: settings(t, address, "PERDURE_POSTGRES_DSN="+behind)})
	require.ErrorIs(t, err, metadata.ErrSchemaBehind)
	require.ErrorContains(t, err, "perdure migrate")

	ahead := migrated(t)
	db, err := sql.Open("postgres", ahead)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "insert into schema_version (version_id, is_applied) values (999001, true)")
	require.NoError(t, err)
	_, err = New(t.Context(), valid(), Options{Config: settings(t, address, "PERDURE_POSTGRES_DSN="+ahead)})
	require.ErrorIs(t, err, metadata.ErrSchemaAhead)
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	verb := func(d *definitions.Definitions, arguments ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), d, arguments, []string{"HOME=" + t.TempDir()}, &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, _ := verb(valid(), "check")
	require.Zero(t, code)
	require.Equal(t, "location location: 1 assets, 0 jobs, 0 schedules, 0 sensors, 0 resources: valid\n", out)

	code, _, errs := verb(invalid(), "check")
	require.Equal(t, 1, code)
	require.Contains(t, errs, `"one"`)
	require.Contains(t, errs, `"nobody"`)

	code, out, _ = verb(valid(), "definitions")
	require.Zero(t, code)
	snapshot, err := plan.DecodeSnapshot([]byte(out))
	require.NoError(t, err)
	require.Equal(t, "location", snapshot.Location)
	require.True(t, json.Valid([]byte(out)))

	code, _, errs = verb(valid(), "serv")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "serv")

	code, _, errs = verb(valid(), "--temporal-adress", "x")
	require.Equal(t, 1, code)
	require.Contains(t, errs, "temporal-adress")
}

// A worker that cannot poll any more must not live on, and say that its build is alive. The SDK says so only after two
// minutes, so that the test says it in its place.
func TestAWorkerThatCannotPollEnds(t *testing.T) {
	t.Parallel()
	w, err := New(t.Context(), valid(), Options{Config: settings(t,
		"PERDURE_TEMPORAL_ADDRESS="+testenv.Temporal(t).Address, "PERDURE_POSTGRES_DSN="+migrated(t), "PERDURE_WORKER_DRAIN_TIMEOUT=1s")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	serving, fail := context.WithCancelCause(t.Context())
	w.workerOptions(t.Context(), fail, "location:gpu", 1).OnFatalError(serviceerror.NewNamespaceNotFound("default"))
	err = w.serve(t.Context(), serving, fail)
	var notFound *serviceerror.NamespaceNotFound
	require.ErrorAs(t, err, &notFound)
	require.ErrorContains(t, err, `poll queue "location:gpu" of namespace "default" (temporal.namespace)`)
}

func TestAWorkerThatIsToldToStopEndsWell(t *testing.T) {
	t.Parallel()
	w, err := New(t.Context(), valid(), Options{Config: settings(t,
		"PERDURE_TEMPORAL_ADDRESS="+testenv.Temporal(t).Address, "PERDURE_POSTGRES_DSN="+migrated(t), "PERDURE_WORKER_DRAIN_TIMEOUT=1s")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	ctx, stop := context.WithCancel(t.Context())
	w.log = slog.New(&toldWhen{Handler: slog.DiscardHandler, message: "serving", then: stop})
	require.NoError(t, w.Run(ctx))
}

// toldWhen calls back when something is logged.
type toldWhen struct {
	slog.Handler
	message string
	then    func()
}

func (h *toldWhen) Enabled(context.Context, slog.Level) bool { return true }

func (h *toldWhen) Handle(_ context.Context, record slog.Record) error {
	if record.Message == h.message {
		h.then()
	}
	return nil
}
