package integration

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/worker"
)

// bundle is one test's instance: a Postgres database and a Temporal namespace's worth of names of its own.
type bundle struct {
	config   config.Config
	temporal client.Client
	store    *metadata.Store
	starter  *starter.Starter
}

func setup(t *testing.T, change ...func(*config.Config)) *bundle {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	settings, err := config.Load(config.LoadOptions{Folder: t.TempDir(), Environ: []string{
		"PERDURE_POSTGRES_DSN=" + dsn, "PERDURE_TEMPORAL_ADDRESS=" + testenv.Temporal(t).Address,
	}})
	require.NoError(t, err)
	for _, c := range change {
		c(&settings)
	}
	b := &bundle{config: settings}
	b.temporal, err = worker.Dial(t.Context(), settings.Temporal, testLog())
	require.NoError(t, err)
	t.Cleanup(b.temporal.Close)
	b.store, err = metadata.Open(t.Context(), dsn, metadata.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.store.Close()) })
	b.starter = &starter.Starter{Temporal: b.temporal, Store: b.store, Limits: plan.DefaultLimits()}
	return b
}

func testLog() *slog.Logger {
	level := slog.LevelError
	if os.Getenv("PERDURE_TEST_VERBOSE") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// serve runs a worker of the location until the test ends.
func (b *bundle) serve(t *testing.T, d *definitions.Definitions) *worker.Worker {
	t.Helper()
	w, err := worker.New(t.Context(), d, worker.Options{Config: b.config, Log: testLog()})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, w.Close())
	})
	b.awaitRegistered(t, w.Location())
	return w
}

func (b *bundle) awaitRegistered(t *testing.T, location string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, _, _, err := b.store.ActiveSnapshot(t.Context(), location)
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
}
