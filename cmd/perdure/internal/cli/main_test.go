package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/cli"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/worker"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// shell calls the command line as a person does, in a folder of its own.
type shell struct {
	folder  string
	environ []string
	stdin   string
}

// output is what a call printed, and its exit code.
type output struct {
	code           int
	stdout, stderr string
}

func newShell(t *testing.T, environ ...string) *shell {
	t.Helper()
	return &shell{folder: t.TempDir(), environ: environ}
}

func (s *shell) environment(args []string, stdout, stderr io.Writer) cli.Environment {
	return cli.Environment{
		Program: "perdure", Args: args, Stdin: strings.NewReader(s.stdin), Stdout: stdout, Stderr: stderr, Environ: s.environ,
		Folder: s.folder, User: "tester", Now: time.Now, Zone: time.UTC, Terminal: func(io.Writer) (int, int, bool) { return 0, 0, false },
	}
}

func (s *shell) run(ctx context.Context, args ...string) output {
	var stdout, stderr bytes.Buffer
	code := cli.Main(ctx, s.environment(args, &stdout, &stderr))
	return output{code, stdout.String(), stderr.String()}
}

// ok runs a command that must succeed, and returns what it printed.
func (s *shell) ok(t *testing.T, args ...string) string {
	t.Helper()
	out := s.run(t.Context(), args...)
	require.Zero(t, out.code, "%v: %s%s", args, out.stdout, out.stderr)
	require.Empty(t, out.stderr)
	return out.stdout
}

// fails runs a command that must fail with the code, and returns what it complained of.
func (s *shell) fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	out := s.run(t.Context(), args...)
	require.Equal(t, code, out.code, "%v: %s%s", args, out.stdout, out.stderr)
	return out.stderr
}

// parsed is JSON that a command printed.
func parsed[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

// write makes a file in the shell's folder.
func (s *shell) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(s.folder, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

// migrated is a shell whose variables name the test's own schema and the test server of Temporal.
func migrated(t *testing.T) *shell {
	t.Helper()
	dsn := testenv.Prepared(t, metadata.Migrate)
	return newShell(t, "PERDURE_POSTGRES_DSN="+dsn, "PERDURE_TEMPORAL_ADDRESS="+testenv.Temporal(t).Address)
}

// minimum is the config of an asset.
type minimum struct {
	Least int `json:"least"`
}

// numbers is a location of the given name: numbers → sum, and fails, which fails.
func numbers(name string) *definitions.Definitions {
	configured := definitions.Config(minimum{Least: 1})
	all := definitions.Asset("numbers", definitions.Bind1(func(_ definitions.Context, c minimum) ([]int, error) {
		return []int{c.Least, 2, 3}, nil
	}, configured), definitions.Group("raw"))
	sum := definitions.Asset("sum", definitions.Bind1(func(_ definitions.Context, numbers []int) (int, error) {
		total := 0
		for _, number := range numbers {
			total += number
		}
		return total, nil
	}, all))
	fails := definitions.Asset("fails", definitions.Bind0(func(definitions.Context) (int, error) {
		return 0, errors.New("no such number:\nevery one was tried")
	}))
	return definitions.New(name, all, sum, fails)
}

// serve runs a worker of the location numbers until the test ends. The name must be the test's own: it is the task queue.
func (s *shell) serve(t *testing.T, name string) {
	t.Helper()
	s.serveLocation(t, name, numbers(name))
}

// serveLocation is like serve, for any location.
func (s *shell) serveLocation(t *testing.T, name string, location *definitions.Definitions) {
	t.Helper()
	settings, err := config.Load(config.LoadOptions{Folder: s.folder, Environ: append(s.environ, "PERDURE_WORKER_DRAIN_TIMEOUT=1s")})
	require.NoError(t, err)
	w, err := worker.New(t.Context(), location, worker.Options{Config: settings, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, w.Close())
	})
	require.Eventually(t, func() bool {
		return strings.Contains(s.run(t.Context(), "location", "list").stdout, name)
	}, settle, look)
}

const (
	// settle is how long a test waits for a worker, look how often it looks.
	settle = time.Minute
	look   = 20 * time.Millisecond
)

// register makes a location known without a worker.
func (s *shell) register(t *testing.T, location *definitions.Definitions) {
	t.Helper()
	store, err := metadata.Open(t.Context(), s.environ[0][len("PERDURE_POSTGRES_DSN="):], metadata.Options{})
	require.NoError(t, err)
	snapshot, err := location.Snapshot()
	require.NoError(t, err)
	_, err = store.RegisterBuild(t.Context(), "b1", snapshot, true)
	require.NoError(t, err)
	require.NoError(t, store.Close())
}
