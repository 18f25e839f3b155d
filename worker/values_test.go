package worker

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// A value that a later one replaced goes after its grace, and no other; readers outside find the current one.
func TestSupersededValuesAreRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	d := definitions.New("values-of-worker", definitions.Asset("counted", definitions.Bind0(func(definitions.Context) (int, error) { return 1, nil })))
	w, err := New(t.Context(), d, Options{Config: settings(t, "PERDURE_TEMPORAL_ADDRESS="+testenv.Temporal(t).Address, "PERDURE_POSTGRES_DSN="+migrated(t),
		"PERDURE_STORAGE_URL="+(&url.URL{Scheme: "file", Path: filepath.ToSlash(folder)}).String(), "PERDURE_STORAGE_STABLE_PATH=true",
		"PERDURE_RETENTION_SUPERSEDED_VALUES=1ms", "PERDURE_WORKER_DRAIN_TIMEOUT=1s")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	require.Eventually(t, func() bool {
		builds, err := w.store.Builds(t.Context(), w.location)
		return err == nil && len(builds) == 1
	}, time.Minute, 10*time.Millisecond)

	s := starter.Starter{Temporal: w.temporal, Store: w.store}
	kept := func() []string {
		found, err := filepath.Glob(filepath.Join(folder, "counted", "[0-9]*.json"))
		require.NoError(t, err)
		return found
	}
	for _, id := range []string{"values-1", "values-2", "values-3"} {
		_, err := s.StartRun(t.Context(), starter.NewRun{
			Location: w.location, ID: id, Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}},
		})
		require.NoError(t, err)
		_, err = s.Await(t.Context(), id)
		require.NoError(t, err)
	}
	require.Len(t, kept(), 3)
	current := filepath.Join(folder, "counted", "current.json")
	require.FileExists(t, current)

	require.NoError(t, w.removeSuperseded(t.Context()))
	require.Len(t, kept(), 3, "nobody has said yet which are superseded")
	for {
		read, err := w.store.NoteSuperseded(t.Context(), time.Millisecond, 100)
		require.NoError(t, err)
		if read == 0 {
			break
		}
	}
	require.NoError(t, w.removeSuperseded(t.Context()))
	require.Len(t, kept(), 1)
	materialized, err := w.store.Current(t.Context(), []string{"counted"})
	require.NoError(t, err)
	require.Contains(t, materialized["counted"].Location, filepath.Base(kept()[0]), "the current one stays")

	// A worker that died right after its commit left the copy as it was.
	require.NoError(t, os.Remove(current))
	require.NoError(t, os.Remove(filepath.Join(folder, "counted", "current.token")))
	require.NoError(t, w.settleCurrent(t.Context()))
	require.FileExists(t, current)
}
