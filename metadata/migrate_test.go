package metadata_test

import (
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/metadata"
)

// schemaOf is everything that defines the schema: columns, constraints, indexes, functions, sequences.
func schemaOf(t *testing.T, dsn string) []string {
	t.Helper()
	var definition []string
	require.NoError(t, openPlain(t, dsn).SelectContext(t.Context(), &definition, `
		select line from (
			select format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) as line
			from information_schema.columns where table_schema = current_schema()
			union all
			select format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) from pg_constraint
			where connamespace = current_schema()::regnamespace and conrelid <> 0
			union all
			select indexdef from pg_indexes where schemaname = current_schema()
			union all
			select pg_get_functiondef(oid) from pg_proc where pronamespace = current_schema()::regnamespace
			union all
			select 'sequence ' || sequencename from pg_sequences where schemaname = current_schema()
		) lines where line not like '%schema_version%' order by line`))
	return definition
}

func TestMigrationsUpDownUp(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	applied, err := metadata.Migrate(t.Context(), dsn)
	require.NoError(t, err)
	require.Equal(t, metadata.SchemaVersion, applied[len(applied)-1].Version)
	first := schemaOf(t, dsn)
	require.NotEmpty(t, first)

	// Again it finds nothing to do.
	again, err := metadata.Migrate(t.Context(), dsn)
	require.NoError(t, err)
	require.Empty(t, again)
	require.Equal(t, first, schemaOf(t, dsn))

	removed, err := metadata.Rollback(t.Context(), dsn, 0)
	require.NoError(t, err)
	require.Len(t, removed, len(applied))
	require.Empty(t, schemaOf(t, dsn))

	_, err = metadata.Migrate(t.Context(), dsn)
	require.NoError(t, err)
	require.Equal(t, first, schemaOf(t, dsn))
}

// Each migration goes down to exactly what was there before it.
func TestEachMigrationGoesDown(t *testing.T) {
	t.Parallel()
	dsn := testenv.Postgres(t)
	applied, err := metadata.Migrate(t.Context(), dsn)
	require.NoError(t, err)
	full := schemaOf(t, dsn)
	for i := len(applied) - 2; i >= 0; i-- {
		removed, err := metadata.Rollback(t.Context(), dsn, applied[i].Version)
		require.NoError(t, err)
		require.Len(t, removed, 1)
		require.Equal(t, applied[i+1].Version, removed[0].Version)
		status, err := metadata.MigrationStatus(t.Context(), dsn)
		require.NoError(t, err)
		require.Len(t, status, len(applied))
		require.False(t, status[i].Applied.IsZero())
		require.True(t, status[i+1].Applied.IsZero())
	}
	_, err = metadata.Migrate(t.Context(), dsn)
	require.NoError(t, err)
	require.Equal(t, full, schemaOf(t, dsn))
}

func TestMigratorsAtOnceOnASchemaThatIsMissing(t *testing.T) {
	t.Parallel()
	dsn := otherSchema(t, testenv.Postgres(t), "_new")
	var wait sync.WaitGroup
	applied := make([]int, 4)
	for i := range applied {
		wait.Go(func() {
			done, err := metadata.Migrate(t.Context(), dsn)
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			applied[i] = len(done)
		})
	}
	wait.Wait()
	total := 0
	for _, n := range applied {
		total += n
	}
	status, err := metadata.MigrationStatus(t.Context(), dsn)
	require.NoError(t, err)
	require.Equal(t, len(status), total)
	require.NoError(t, openStore(t, dsn).CheckSchema(t.Context()))
}

// otherSchema is the DSN of a schema that does not exist yet, dropped when the test ends.
func otherSchema(t *testing.T, dsn, suffix string) string {
	t.Helper()
	address, err := url.Parse(dsn)
	require.NoError(t, err)
	query := address.Query()
	schema := query.Get("search_path") + suffix
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	db := openPlain(t, dsn)
	t.Cleanup(func() {
		_, err := db.Exec("drop schema if exists " + schema + " cascade")
		require.NoError(t, err)
	})
	return address.String()
}

func TestCheckSchemaInBothDirections(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.CheckSchema(t.Context()))
	set := func(version int64) {
		_, err := b.db.ExecContext(t.Context(), "update schema_version set version_id = $1 where version_id >= $2", version, metadata.SchemaVersion-1)
		require.NoError(t, err)
	}
	thisMinor := metadata.SchemaVersion / 1000 * 1000
	for _, version := range []int64{metadata.SchemaVersion, metadata.SchemaVersion + 1, thisMinor + 1001, thisMinor + 1999} {
		set(version)
		require.NoError(t, b.CheckSchema(t.Context()), "version %d", version)
	}
	set(thisMinor + 2001)
	err := b.CheckSchema(t.Context())
	require.ErrorIs(t, err, metadata.ErrSchemaAhead)
	require.NotErrorIs(t, err, metadata.ErrSchemaBehind)
	require.ErrorContains(t, err, "upgrade this program")
	set(metadata.SchemaVersion - 1)
	err = b.CheckSchema(t.Context())
	require.ErrorIs(t, err, metadata.ErrSchemaBehind)
	require.NotErrorIs(t, err, metadata.ErrSchemaAhead)
	require.ErrorContains(t, err, "perdure migrate")
	var schema *metadata.SchemaError
	require.ErrorAs(t, err, &schema)
	require.Equal(t, metadata.SchemaVersion-1, schema.Found)
}

func TestASchemaThatNobodyMigrated(t *testing.T) {
	t.Parallel()
	store := openStore(t, testenv.Postgres(t))
	require.ErrorIs(t, store.CheckSchema(t.Context()), metadata.ErrSchemaBehind)
	_, err := store.Claim(t.Context(), request("r1", "a", 1, 1))
	require.ErrorIs(t, err, metadata.ErrSchemaBehind)
	require.ErrorContains(t, err, "perdure migrate")
	_, err = store.Locations(t.Context())
	require.ErrorIs(t, err, metadata.ErrSchemaBehind)
}
