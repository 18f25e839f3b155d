package metadata

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

// SchemaVersion is the version that this program's last migration brings. Its thousands count the
// program's minor releases: a program works on its own minor's schema from this version on, and on the
// next minor's, for what a minor takes away it had stopped using one minor before.
const SchemaVersion int64 = 1023

const (
	minorStep    = 1000
	versionTable = "schema_version"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migration is one numbered step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// Applied is when it was applied; zero when it is pending, or when it was rolled back.
	Applied time.Time `json:"applied,omitzero"`
}

// Migrate makes the schema if it is missing and applies every pending migration, each in one
// transaction. A second migrator waits for the first (a session lock: give it a DSN that does not
// pass through a transaction pooler). It returns what it applied.
func Migrate(ctx context.Context, dsn string) ([]Migration, error) {
	return migrating(ctx, dsn, "migrate the metadata schema", func(db *sqlx.DB, provider *goose.Provider) ([]*goose.MigrationResult, error) {
		results, err := provider.Up(ctx)
		if err != nil {
			return results, err
		}
		_, err = db.ExecContext(ctx, "select ensure_months_v1()")
		return results, err
	})
}

// Rollback undoes every migration above version; 0 removes all tables with their rows.
func Rollback(ctx context.Context, dsn string, version int64) ([]Migration, error) {
	return migrating(ctx, dsn, "roll back the metadata schema", func(_ *sqlx.DB, provider *goose.Provider) ([]*goose.MigrationResult, error) {
		return provider.DownTo(ctx, version)
	})
}

// MigrationStatus lists every migration that this program has, in order. It changes nothing but that
// it makes the schema and goose's version table when they are missing.
func MigrationStatus(ctx context.Context, dsn string) ([]Migration, error) {
	var list []Migration
	_, err := migrating(ctx, dsn, "read the state of the migrations", func(_ *sqlx.DB, provider *goose.Provider) ([]*goose.MigrationResult, error) {
		status, err := provider.Status(ctx)
		for _, s := range status {
			list = append(list, Migration{Version: s.Source.Version, Name: s.Source.Path, Applied: s.AppliedAt})
		}
		return nil, err
	})
	return list, err
}

// migrating runs do while it holds the schema's migration lock.
func migrating(ctx context.Context, dsn, operation string, do func(*sqlx.DB, *goose.Provider) ([]*goose.MigrationResult, error)) (_ []Migration, err error) {
	db, err := connect(dsn, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	lock, err := db.Conn(ctx)
	if err != nil {
		return nil, translate(ctx, operation, err)
	}
	// The lock goes with its connection, also when this program dies.
	defer func() { _ = lock.Close() }()
	if err := lockSchema(ctx, lock); err != nil {
		return nil, translate(ctx, operation, err)
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db.DB, files, goose.WithTableName(versionTable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	results, err := do(db, provider)
	applied := make([]Migration, 0, len(results))
	for _, result := range results {
		applied = append(applied, Migration{Version: result.Source.Version, Name: result.Source.Path, Applied: time.Now()})
	}
	return applied, translate(ctx, operation, err)
}

// lockSchema waits for the one migrator of the schema and makes the schema.
func lockSchema(ctx context.Context, conn *sql.Conn) error {
	var schema string
	// The first name of search_path, whether such a schema exists or not; without one, Postgres would make tables nowhere.
	const first = `select btrim(split_part(replace(current_setting('search_path'), '"$user", ', ''), ',', 1), ' "')`
	if err := conn.QueryRowContext(ctx, first).Scan(&schema); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "select pg_advisory_lock(hashtextextended('perdure migrate ' || $1, 0))", schema); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRowContext(ctx, "select exists (select 1 from pg_namespace where nspname = $1)", schema).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return nil
	}
	_, err := conn.ExecContext(ctx, "create schema "+pq.QuoteIdentifier(schema))
	return err
}

// SchemaError says which schema version was found and which this program needs. It is an
// [ErrSchemaBehind] or an [ErrSchemaAhead].
type SchemaError struct {
	// Found is the schema's version, 0 when there is none; Want is [SchemaVersion].
	Found, Want int64
}

// Error names both versions and the fix.
func (e *SchemaError) Error() string {
	if e.Found < e.Want {
		return fmt.Sprintf("the metadata schema has version %d, this program needs %d: run `perdure migrate`", e.Found, e.Want)
	}
	return fmt.Sprintf("the metadata schema has version %d, which is more than one minor release ahead of this program's %d: upgrade this program", e.Found, e.Want)
}

// Is matches [ErrSchemaBehind] and [ErrSchemaAhead].
func (e *SchemaError) Is(target error) bool {
	if e.Found < e.Want {
		return target == ErrSchemaBehind
	}
	return target == ErrSchemaAhead
}

// CheckSchema returns a [SchemaError] when this program does not work on the database's schema.
func (s *Store) CheckSchema(ctx context.Context) error {
	found, err := s.schemaVersion(ctx)
	if err != nil {
		return err
	}
	if found < SchemaVersion || found/minorStep > SchemaVersion/minorStep+1 {
		return &SchemaError{Found: found, Want: SchemaVersion}
	}
	return nil
}

func (s *Store) schemaVersion(ctx context.Context) (int64, error) {
	const operation = "read the version of the metadata schema"
	var exists bool
	if err := s.try(ctx, operation, func(ctx context.Context) error {
		return s.db.GetContext(ctx, &exists, "select to_regclass($1) is not null", versionTable)
	}); err != nil || !exists {
		return 0, err
	}
	var version int64
	err := s.try(ctx, operation, func(ctx context.Context) error {
		return s.db.GetContext(ctx, &version, "select coalesce(max(version_id), 0) from "+versionTable+" where is_applied")
	})
	return version, err
}

// EnsureMonths makes the event log's coming months. Whoever runs for long calls it daily; a month that
// nobody made costs nothing but that its events lie in the DEFAULT partition until then. It returns
// [ErrContended] when something reads the log for seconds: the next day is soon enough.
func (s *Store) EnsureMonths(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	_, err := s.db.ExecContext(bounded, "select ensure_months_v1()")
	return translate(ctx, "make the coming months of the event log", err)
}
