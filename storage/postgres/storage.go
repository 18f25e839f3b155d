package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perdure-io/perdure/definitions"
)

const (
	defaultSchema = "public"
	// maxConnections bounds what one worker takes of the server's connections.
	maxConnections = 16
	idleTime       = 5 * time.Minute
)

// Storage is an IO manager that keeps each asset in a table, and its partitions as rows of it. It is safe for concurrent use.
type Storage struct {
	db     *sqlx.DB
	owned  bool
	schema string
	// server is "postgres://host:port/database?"; "" when the storage was given its connections.
	server string

	mutex    sync.Mutex
	prepared bool
}

var (
	_ definitions.IOManager  = (*Storage)(nil)
	_ definitions.Resumer    = (*Storage)(nil)
	_ definitions.OpAccepter = (*Storage)(nil)
)

// Option changes a [Storage].
type Option interface{ applyStorage(*Storage) error }

// Schema is the schema of the tables; "public" without it. It is made when it is missing. Perdure deployments
// whose metadata lies in different databases need different schemas, because their tokens cannot be compared.
type Schema string

func (v Schema) applyStorage(s *Storage) error {
	if v == "" || len(v) > maxIdentifier {
		return fmt.Errorf("postgres.Schema %q is no name of 1 to %d bytes", string(v), maxIdentifier)
	}
	s.schema = string(v)
	return nil
}

// Open makes a storage from a DSN, a URL ("postgres://user:password@host:5432/database") or keywords ("host=… dbname=…"), as
// lib/pq reads it, with the PG… environment variables. It connects when it is first used, over at most 16
// connections. Close ends it.
func Open(dsn string, options ...Option) (*Storage, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("open Postgres storage: read the DSN: %w", withoutDSN(err))
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open Postgres storage: %w", withoutDSN(err))
	}
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	db.SetMaxOpenConns(maxConnections)
	db.SetConnMaxIdleTime(idleTime)
	s, err := New(db, options...)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.owned, s.server = true, serverOf(config)
	return s, nil
}

// New makes a storage over connections of the driver "postgres" (lib/pq) that belong to somebody else: Close leaves
// them open.
func New(db *sqlx.DB, options ...Option) (*Storage, error) {
	s := &Storage{db: db, schema: defaultSchema}
	if db == nil {
		return nil, errors.New("open Postgres storage: the *sqlx.DB is nil")
	}
	for _, option := range options {
		if err := option.applyStorage(s); err != nil {
			return nil, fmt.Errorf("open Postgres storage: %w", err)
		}
	}
	return s, nil
}

// withoutDSN keeps a password out of the message: errors of net/url repeat the whole URL.
func withoutDSN(err error) error {
	if parse, ok := errors.AsType[*url.Error](err); ok {
		return parse.Err
	}
	return err
}

func serverOf(config pq.Config) string {
	server := url.URL{Scheme: "postgres", Path: "/" + config.Database}
	port := strconv.Itoa(int(config.Port))
	if strings.HasPrefix(config.Host, "/") {
		server.RawQuery = url.Values{"host": {config.Host}, "port": {port}}.Encode() + "&"
	} else {
		server.Host = net.JoinHostPort(config.Host, port)
		server.ForceQuery = true
	}
	return server.String()
}

// Close closes the connections that Open made.
func (s *Storage) Close() error {
	if !s.owned {
		return nil
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close Postgres storage: %w", err)
	}
	return nil
}

// Accepts takes slices of structs whose fields are columns, as the package's comment lists them. It uses no connection.
func (*Storage) Accepts(t reflect.Type) error {
	_, err := fieldsOf(t)
	return err
}

// locate says where a value is, without credentials.
func (s *Storage) locate(table, partition string) string {
	name := s.schema + "." + table
	switch {
	case s.server != "" && partition != "":
		return s.server + url.Values{"table": {name}, "partition": {partition}}.Encode()
	case s.server != "":
		return s.server + url.Values{"table": {name}}.Encode()
	case partition != "":
		return name + " [" + partition + "]"
	}
	return name
}

// transaction commits what do did, or nothing.
func (s *Storage) transaction(ctx context.Context, do func(*sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return classify(ctx, err)
	}
	if err := do(tx); err != nil {
		// What the failed transaction would say adds nothing; the connection is dropped when it is broken.
		_ = tx.Rollback()
		return classify(ctx, err)
	}
	return classify(ctx, tx.Commit())
}

// quote is a table's name with its schema, for SQL.
func (s *Storage) quote(table string) string {
	return pq.QuoteIdentifier(s.schema) + "." + pq.QuoteIdentifier(table)
}
