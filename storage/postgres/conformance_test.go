package postgres_test

import (
	"net"
	"net/url"
	"reflect"
	"strconv"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/devstack/testenv"
	"github.com/perdure-io/perdure/storage/postgres"
	"github.com/perdure-io/perdure/storage/storagetest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// server is one schema of the tests' server.
type server struct {
	dsn    string
	schema postgres.Schema
	db     *sqlx.DB
}

func newServer(t *testing.T) server {
	t.Helper()
	dsn := testenv.Postgres(t)
	parsed, err := url.Parse(dsn)
	require.NoError(t, err)
	db, err := sqlx.Connect("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return server{dsn: dsn, schema: postgres.Schema(parsed.Query().Get("search_path")), db: db}
}

func (s server) open(t *testing.T) *postgres.Storage {
	t.Helper()
	storage, err := postgres.Open(s.dsn, s.schema)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	return storage
}

func (s server) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := s.db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

func (s server) get(t *testing.T, query string) (value string) {
	t.Helper()
	require.NoError(t, s.db.GetContext(t.Context(), &value, query))
	return value
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storagetest.Store {
		t.Helper()
		s := newServer(t)
		return storagetest.Store{
			Open: func() definitions.IOManager { return s.open(t) },
			Unreachable: func() definitions.IOManager {
				return server{dsn: "postgres://u:p@" + closedPort(t) + "/d?sslmode=disable", schema: "public"}.open(t)
			},
			Refuses: []reflect.Type{
				reflect.TypeFor[[]string](), reflect.TypeFor[map[string]int](), reflect.TypeFor[[]struct{ F func() }](),
				reflect.TypeFor[[]struct{ hidden int }](), reflect.TypeFor[storagetest.Row](),
			},
			HidesStaged: true, RefusesOps: true,
		}
	})
}
