package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/lib/pq"
)

const (
	// externalVariable names a server to use in place of a private one.
	externalVariable = "PERDURE_TEST_POSTGRES_DSN"
	// schemaNameLength keeps a schema's name readable and below PostgreSQL's 63 bytes.
	schemaNameLength = 40
)

// Postgres returns the DSN, a URL, of a new, empty schema on this process's PostgreSQL: search_path names it alone, and
// binary_parameters is on. PERDURE_TEST_POSTGRES_DSN, also a URL, names another server to use; there the schema is
// dropped when the test ends.
func Postgres(t testing.TB) (dsn string) {
	t.Helper()
	external := os.Getenv(externalVariable)
	server := external
	if external == "" {
		server = postgres.get(t).PostgresDSN
	}
	parsed, err := url.Parse(server)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		t.Fatalf("%s must be a URL, postgres://user:password@host:port/database", externalVariable)
	}
	db, err := sql.Open("postgres", server)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	defer func() { _ = db.Close() }()
	schema := schemaName(t.Name())
	if _, err := db.ExecContext(t.Context(), "CREATE SCHEMA "+pq.QuoteIdentifier(schema)); err != nil {
		t.Fatalf("make a test schema: %v", err)
	}
	if external != "" {
		t.Cleanup(func() {
			if err := drop(server, schema); err != nil {
				t.Errorf("drop the test schema: %v", err)
			}
		})
	}
	query := parsed.Query()
	query.Set("search_path", schema)
	query.Set("binary_parameters", "yes")
	parsed.RawQuery = query.Encode()
	return parsed.String()
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
