package devstack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// script writes an executable shell script.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

func TestServerThatDoesNotComeUpShowsTheEndOfItsLog(t *testing.T) {
	t.Parallel()
	dir := stackFolder(t)
	broken := script(t, t.TempDir(), "temporal", "echo first line; echo the disk is on fire >&2; exit 3")
	stack, err := Start(t.Context(), Options{Dir: dir, Ephemeral: true, TemporalBinary: broken, LookupEnv: withoutServer})
	require.Nil(t, stack)
	require.ErrorIs(t, err, errEnded)
	require.ErrorContains(t, err, "the disk is on fire")
	require.ErrorContains(t, err, filepath.Join(dir, "temporal.log"))
	// PostgreSQL, which was coming up beside it, is gone too and the folder free.
	started := start(t, Options{Dir: dir, Ephemeral: true, WithoutTemporal: true})
	require.NoError(t, execute(t, started.PostgresDSN, "SELECT 1"))
}

func TestTemporalBinaryIsTheFirstThatIsNewEnough(t *testing.T) {
	t.Parallel()
	version := func(server string) string {
		return fmt.Sprintf("echo 'temporal version 1.0.0 (Server %s, UI 2.42.1)'", server)
	}
	root := t.TempDir()
	script(t, filepath.Join(root, "old"), "temporal", version("1.28.9"))
	script(t, filepath.Join(root, "broken"), "temporal", "exit 1")
	script(t, filepath.Join(root, "silent"), "temporal", "echo hello")
	good := script(t, filepath.Join(root, "good"), "temporal", version("1.29.0"))
	script(t, filepath.Join(root, "newer"), "temporal", version("2.0.0"))
	var notes []string
	search := temporalSearch{
		path: filepath.Join(root, "old") + ":" + filepath.Join(root, "absent") + ":" + filepath.Join(root, "broken") + ":" +
			filepath.Join(root, "silent") + ":" + filepath.Join(root, "good") + ":" + filepath.Join(root, "newer"),
		temp: root, cache: root, log: func(format string, arguments ...any) { notes = append(notes, fmt.Sprintf(format, arguments...)) },
	}
	found, err := search.find(t.Context())
	require.NoError(t, err)
	require.Equal(t, good, found)
	require.Len(t, notes, 3)
	require.Contains(t, notes[0], "1.28, older than 1.29")
}

func TestTemporalDownloadOfTheSDKIsACandidate(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	downloaded := script(t, root, filepath.Base(sdkDownload(root)), "exit 0")
	search := temporalSearch{temp: root, cache: filepath.Join(root, "cache"), log: t.Logf}
	require.Contains(t, search.candidates(t.Context()), downloaded)
	require.NoError(t, os.Chmod(root, 0o700))
}

func TestPostgresMatchesTheDataFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	installed := []postgresBinaries{{dir: "/on/path", major: 16}, {dir: "/newest", major: 18}, {dir: "/older", major: 15}}

	chosen, ok, err := matching(installed, data)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "/on/path", chosen.dir)
	_, ok, err = matching(nil, data)
	require.NoError(t, err)
	require.False(t, ok)

	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("15\n"), 0o600))
	chosen, ok, err = matching(installed, data)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "/older", chosen.dir)
	_, ok, err = matching(installed[:2], data)
	require.False(t, ok)
	require.ErrorContains(t, err, "made by PostgreSQL 15; installed: 16, 18")
}

func TestPostgresThatIsTooOldIsNotUsed(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]bool{
		"postgres (PostgreSQL) 13.9": false, "postgres (PostgreSQL) 14.1 (Debian 14.1-1)": true,
		"postgres (PostgreSQL) 18beta1": true, "something else": false,
	} {
		dir := t.TempDir()
		script(t, dir, "initdb", "exit 0")
		script(t, dir, "postgres", "echo '"+output+"'")
		_, ok := inspect(t.Context(), dir)
		require.Equal(t, want, ok, output)
	}
}

func TestNoPostgresAtAllSaysHowToInstallOne(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(empty.Close)
	cache := t.TempDir()
	_, err := fetchPostgres(t.Context(), cache, empty.URL)
	require.ErrorContains(t, err, "fetch PostgreSQL")
	entries, readErr := os.ReadDir(cache)
	require.NoError(t, readErr)
	require.Empty(t, entries, "nothing half-fetched stays")
	for _, fix := range []string{"apt-get install", "dnf install", "brew install", "winget install", "PERDURE_POSTGRES_DSN="} {
		require.ErrorContains(t, noPostgres(err), fix)
	}
}

func TestDataOfAFolderThatPostgresCannotReachLiesElsewhere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's PostgreSQL runs under another account")
	}
	closed, shared := t.TempDir(), stackFolder(t)
	require.NoError(t, os.Chmod(closed, 0o700))
	dir := filepath.Join(closed, "state")
	options := anyPorts(t, Options{Dir: dir, WithoutTemporal: true, shared: shared})
	first := start(t, options)
	require.NoError(t, execute(t, first.PostgresDSN, "CREATE TABLE kept AS SELECT 'yes' AS answer"))
	require.NoError(t, first.Stop())
	second := start(t, options)
	require.Equal(t, "yes", query(t, second.PostgresDSN, "SELECT answer FROM kept"))
	require.NoError(t, second.Stop())

	// A person who deletes the folder wants to begin anew.
	require.NoError(t, os.RemoveAll(dir))
	third := start(t, options)
	require.Error(t, execute(t, third.PostgresDSN, "SELECT answer FROM kept"))
	entries, err := os.ReadDir(shared)
	require.NoError(t, err)
	require.Len(t, entries, 1, "the old data can be reached by nobody")
	require.NoError(t, third.Stop())

	// Nobody comes back for what a test has left.
	ephemeral := start(t, Options{Dir: filepath.Join(closed, "test"), Ephemeral: true, WithoutTemporal: true, shared: shared})
	folder := ephemeral.postgres.root
	require.False(t, strings.HasPrefix(folder, shared), folder)
	require.DirExists(t, folder)
	require.NoError(t, ephemeral.Stop())
	require.NoDirExists(t, folder)
}
