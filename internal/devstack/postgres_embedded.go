package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// embeddedVersion is what embedded-postgres fetches on a machine without PostgreSQL.
const embeddedVersion = embedded.V17

// postgresInstructions is the one command for each platform that gives a machine its own PostgreSQL.
const postgresInstructions = `  Debian, Ubuntu  sudo apt-get install -y postgresql
  Fedora          sudo dnf install -y postgresql-server
  macOS           brew install postgresql@17
  Windows         winget install PostgreSQL.PostgreSQL.17
or name a server of yours: PERDURE_POSTGRES_DSN=postgres://user:password@host:5432/database`

// embeddedPostgres is the installation that an earlier fetch has left.
func embeddedPostgres(ctx context.Context, cache string) (postgresBinaries, bool) {
	return inspect(ctx, filepath.Join(embeddedFolder(cache), "bin"))
}

func embeddedFolder(cache string) string {
	return filepath.Join(cache, "postgres-"+string(embeddedVersion))
}

// fetchPostgres downloads PostgreSQL's programs into the cache folder. The library fetches only on its way to a running
// server, and that server refuses to run as root; so it is started once on a folder that is thrown away, and what counts
// is whether the programs are there afterwards.
func fetchPostgres(ctx context.Context, cache, repository string) (postgresBinaries, error) {
	folder := embeddedFolder(cache)
	work := folder + ".new"
	number, err := anyFree()
	if err != nil {
		return postgresBinaries{}, fmt.Errorf("find a free port: %w", err)
	}
	if err := os.RemoveAll(work); err != nil {
		return postgresBinaries{}, fmt.Errorf("remove a half-fetched PostgreSQL: %w", err)
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return postgresBinaries{}, fmt.Errorf("make PostgreSQL's cache folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	settings := embedded.DefaultConfig().Version(embeddedVersion).Port(uint32(number)).Logger(io.Discard).
		CachePath(filepath.Join(work, "archive")).BinariesPath(filepath.Join(work, "programs")).
		RuntimePath(filepath.Join(work, "runtime"))
	if repository != "" {
		settings = settings.BinaryRepositoryURL(repository)
	}
	server := embedded.NewDatabase(settings)
	started := server.Start()
	if started == nil {
		started = server.Stop()
	}
	if _, ok := inspect(ctx, filepath.Join(work, "programs", "bin")); !ok {
		return postgresBinaries{}, fmt.Errorf("fetch PostgreSQL %s: %w", embeddedVersion, started)
	}
	if err := os.RemoveAll(folder); err != nil {
		return postgresBinaries{}, fmt.Errorf("remove an unusable PostgreSQL: %w", err)
	}
	if err := os.Rename(filepath.Join(work, "programs"), folder); err != nil {
		return postgresBinaries{}, fmt.Errorf("put the fetched PostgreSQL in its place: %w", err)
	}
	binaries, ok := embeddedPostgres(ctx, cache)
	if !ok {
		return postgresBinaries{}, fmt.Errorf("the fetched PostgreSQL in %s does not run", folder)
	}
	return binaries, nil
}

// findPostgres returns the programs to run data with: the machine's own, else what embedded-postgres fetches.
func findPostgres(ctx context.Context, path, cache, data string, log func(string, ...any)) (postgresBinaries, error) {
	found := installedPostgres(ctx, path)
	if binaries, ok := embeddedPostgres(ctx, cache); ok {
		found = append(found, binaries)
	}
	binaries, ok, mismatch := matching(found, data)
	if ok {
		return binaries, nil
	}
	fetched, _, _ := strings.Cut(string(embeddedVersion), ".")
	version, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err == nil && strings.TrimSpace(string(version)) != fetched {
		return postgresBinaries{}, mismatch
	}
	log("no PostgreSQL %d or newer on this machine: fetching %s", minimumPostgres, strconv.Quote(string(embeddedVersion)))
	binaries, err = fetchPostgres(ctx, cache, "")
	if err != nil {
		return postgresBinaries{}, noPostgres(err)
	}
	return binaries, nil
}

func noPostgres(cause error) error {
	return fmt.Errorf("no PostgreSQL %d or newer on this machine, and none could be fetched (%w). Install one:\n%s",
		minimumPostgres, cause, postgresInstructions)
}
