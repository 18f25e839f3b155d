package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

const (
	// externalVariable names a server to use in place of a private one.
	externalVariable = "PERDURE_TEST_POSTGRES_DSN"
	// schemaNameLength keeps a schema's name readable and below PostgreSQL's 63 bytes.
	schemaNameLength = 40
)

// Postgres returns the DSN, a URL, of a new, empty schema on this process's PostgreSQL, in a database of its own: search_path names it
// alone, and binary_parameters is on. PERDURE_TEST_POSTGRES_DSN, also a URL, names another server to use; there it is a schema of that
// database, which is dropped when the test ends.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	server, external := postgresServer(t)
	schema := schemaName(t.Name())
	if !external {
		// What one test drops is not in the catalogs that another reads.
		execute(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(schema))
		server = inDatabase(server, schema)
	}
	execute(t, server, "CREATE SCHEMA "+pq.QuoteIdentifier(schema))
	if external {
		t.Cleanup(func() {
			if err := drop(server.String(), schema); err != nil {
				t.Errorf("drop the test schema: %v", err)
			}
		})
	}
	return inSchema(server, schema)
}

// templateSchema is the schema of each database that was prepared once.
const templateSchema = "perdure"

var template struct {
	once sync.Once
	name string
	err  error
}

// Prepared returns a DSN as [Postgres] does, of a schema that prepare has filled; all calls of a process have the same prepare. It is
// filled once: each test gets a copy, in a database of its own. On the server of PERDURE_TEST_POSTGRES_DSN, where nobody may make
// databases, each is filled anew.
func Prepared[Result any](t testing.TB, prepare func(ctx context.Context, dsn string) (Result, error)) (dsn string) {
	t.Helper()
	server, external := postgresServer(t)
	if external {
		dsn = Postgres(t)
		if _, err := prepare(t.Context(), dsn); err != nil {
			t.Fatalf("prepare a test schema: %v", err)
		}
		return dsn
	}
	template.once.Do(func() {
		template.name, template.err = schemaName("template"), errors.New("another test could not make it")
		execute(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(template.name))
		_, template.err = prepare(t.Context(), inSchema(inDatabase(server, template.name), templateSchema))
	})
	if template.err != nil {
		t.Fatalf("prepare the test database: %v", template.err)
	}
	database := schemaName(t.Name())
	execute(t, server, "CREATE DATABASE "+pq.QuoteIdentifier(database)+" TEMPLATE "+pq.QuoteIdentifier(template.name))
	return inSchema(inDatabase(server, database), templateSchema)
}

// postgresServer is the address of the server that the tests use, and whether it is not this process's own.
func postgresServer(t testing.TB) (server *url.URL, external bool) {
	t.Helper()
	address := os.Getenv(externalVariable)
	external = address != ""
	if !external {
		address = postgres.get(t).PostgresDSN
	}
	server, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(server.Scheme, "postgres") {
		t.Fatalf("%s must be a URL, postgres://user:password@host:port/database", externalVariable)
	}
	return server, external
}

func execute(t testing.TB, server *url.URL, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", server.String())
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func inDatabase(server *url.URL, database string) *url.URL {
	address := *server
	address.Path = "/" + database
	return &address
}

func inSchema(server *url.URL, schema string) string {
	address := *server
	query := address.Query()
	query.Set("search_path", schema)
	query.Set("binary_parameters", "yes")
	address.RawQuery = query.Encode()
	return address.String()
}

var notInSchemaName = regexp.MustCompile(`[^a-z0-9]+`)

// schemaName is the test's name and something random: a test that is run twice gets two.
func schemaName(test string) string {
	name := notInSchemaName.ReplaceAllString(strings.ToLower(test), "_")
	random := make([]byte, 6)
	_, _ = rand.Read(random) // never fails
	return "t_" + name[:min(len(name), schemaNameLength)] + "_" + hex.EncodeToString(random)
}

// drop fails when a test has left a transaction open on the schema, rather than wait for it.
func drop(server, schema string) error {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	connection, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.ExecContext(ctx, "SET lock_timeout = '5s'"); err != nil {
		return err
	}
	if _, err := connection.ExecContext(ctx, "DROP SCHEMA "+pq.QuoteIdentifier(schema)+" CASCADE"); err != nil {
		return fmt.Errorf("schema %s: %w", schema, err)
	}
	return nil
}
