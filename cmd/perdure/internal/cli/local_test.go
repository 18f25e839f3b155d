package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/cli"
)

// example is the location of the repository's example.
func example(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../../examples/flights")
	require.NoError(t, err)
	return path
}

// safeBuffer is written by one goroutine and read by another.
type safeBuffer struct {
	lock sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(written []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.Write(written)
}

func (b *safeBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.text.String()
}

func TestDevServesOtherCommandsOfItsFolderAndStopsInOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a stack of its own")
	}
	s := newShell(t, os.Environ()...)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stdout, stderr safeBuffer
	location := example(t)
	ended := make(chan int, 1)
	go func() { ended <- cli.Main(ctx, s.environment([]string{"dev", location}, &stdout, &stderr)) }()
	require.Eventually(t, func() bool { return strings.Contains(s.run(ctx, "location", "list").stdout, "active") }, 3*settle, look,
		"%s%s", &stdout, &stderr)
	require.Contains(t, stdout.String(), "perdure backfill start '*' --all-partitions\n")
	require.Contains(t, stdout.String(), "--type Backfill --task-queue flights ")
	require.Contains(t, s.ok(t, "asset", "materialize", "+airport_delays", "rejected_flights", "--partition", "2001-02-14"), "SUCCESS  run-")
	require.Contains(t, s.ok(t, "asset", "list", "--select", "airport_delays"), "  1/90  ")
	require.Contains(t, s.fails(t, 1, "dev", example(t)), "a local stack already runs here")

	interrupt()
	require.Zero(t, <-ended, stderr.String())
	require.Contains(t, stderr.String(), "perdure: stopping; the location has 30.0 s to end its steps")
	require.Contains(t, stderr.String(), "everything is stopped; the data stays in .perdure\n")
	require.Contains(t, s.fails(t, 1, "asset", "list"), "postgres.dsn is not set")
}

func TestDemoGoesOnWhenTheLocationIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a stack of its own")
	}
	s := newShell(t, os.Environ()...)
	out := s.run(t.Context(), "demo", "--kill", example(t))
	require.Zero(t, out.code, "%s%s", out.stdout, out.stderr)
	require.Equal(t, 2, strings.Count(out.stdout, " with SIGKILL: "))
	require.Contains(t, out.stdout, "✓ each of the 922 partitions of 17 assets has exactly one materialization of this backfill\n")
	require.Contains(t, out.stdout, "RANK  AIRPORT  CITY ")
	require.Contains(t, out.stdout, "perdure dev --state .perdure/demo "+example(t)+"\n")
}
