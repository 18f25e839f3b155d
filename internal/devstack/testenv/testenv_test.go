package testenv_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/perdure-io/perdure/internal/devstack"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestPostgresGivesEachCallItsOwnEmptySchema(t *testing.T) {
	t.Parallel()
	first, second := testenv.Postgres(t), testenv.Postgres(t)
	require.NotEqual(t, first, second)
	for _, dsn := range []string{first, second} {
		require.Contains(t, dsn, "binary_parameters=yes")
		db, err := sql.Open("postgres", dsn)
		require.NoError(t, err)
		// The same unqualified name twice: it would collide in a shared schema.
		_, err = db.ExecContext(t.Context(), "CREATE TABLE thing (id bigint)")
		require.NoError(t, err)
		var schema, fsync string
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT schemaname FROM pg_tables WHERE tablename = 'thing' AND schemaname = current_schema()").Scan(&schema))
		require.True(t, strings.HasPrefix(schema, "t_testpostgresgives"), schema)
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW fsync").Scan(&fsync))
		require.Equal(t, "on", fsync)
		require.NoError(t, db.Close())
	}
}

func TestTemporalIsSharedAndAnswersBothAPIs(t *testing.T) {
	t.Parallel()
	server := testenv.Temporal(t)
	require.Equal(t, server, testenv.Temporal(t))

	connected, err := client.DialContext(t.Context(), client.Options{HostPort: server.Address})
	require.NoError(t, err)
	defer connected.Close()
	_, err = connected.WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: devstack.Namespace})
	require.NoError(t, err)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+server.HTTPAddress+"/api/v1/namespaces/"+devstack.Namespace, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestPreparedGivesEachCallItsOwnCopy(t *testing.T) {
	t.Parallel()
	prepared := 0
	prepare := func(ctx context.Context, dsn string) (int, error) {
		prepared++
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			return 0, err
		}
		_, err = db.ExecContext(ctx, "CREATE SCHEMA perdure; CREATE TABLE thing (id bigint); INSERT INTO thing VALUES (1)")
		return 0, errors.Join(err, db.Close())
	}
	first, second := testenv.Prepared(t, prepare), testenv.Prepared(t, prepare)
	require.Equal(t, 1, prepared)
	for _, dsn := range []string{first, second} {
		require.Contains(t, dsn, "binary_parameters=yes")
		db, err := sql.Open("postgres", dsn)
		require.NoError(t, err)
		var rows int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM thing").Scan(&rows))
		require.Equal(t, 1, rows, "what the other test adds is not here")
		_, err = db.ExecContext(t.Context(), "INSERT INTO thing VALUES (2)")
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
}
