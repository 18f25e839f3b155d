package metadata

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perdure-io/perdure/plan"
)

// Options are a store's settings; the zero value has every default.
type Options struct {
	// MaxOpenConnections bounds the pool; 0 is 16.
	MaxOpenConnections int
	// MaxIdleConnections is how many stay open without work; 0 is all of them: a new connection plans every function anew,
	// which costs more than what it saves.
	MaxIdleConnections int
	// MaxConnectionLifetime makes connections move to another server behind a load balancer; 0 is 30 minutes.
	MaxConnectionLifetime time.Duration
	// Timeout bounds one call: a server that does not answer for so long is unavailable; 0 is 30 seconds.
	Timeout time.Duration
}

func (o Options) withDefaults() Options {
	return Options{
		MaxOpenConnections:    cmp.Or(o.MaxOpenConnections, 16),
		MaxIdleConnections:    cmp.Or(o.MaxIdleConnections, o.MaxOpenConnections, 16),
		MaxConnectionLifetime: cmp.Or(o.MaxConnectionLifetime, 30*time.Minute),
		Timeout:               cmp.Or(o.Timeout, 30*time.Second),
	}
}

// Store reads and writes one deployment's metadata. It is safe for concurrent use.
type Store struct {
	db      *sqlx.DB
	options Options

	snapshotsMu sync.Mutex
	snapshots   map[string]*plan.Snapshot // by hash; never changed once made

	wake    atomic.Pointer[func([]Wake)]
	commits commitQueue
}

// Open connects to the database that dsn names (a URL or key=value pairs) and checks that it answers.
// The schema is search_path's first; see [Store.CheckSchema]. binary_parameters is switched on,
// whatever the DSN says. It returns [ErrUnavailable] when the server cannot be reached.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	options = options.withDefaults()
	db, err := connect(dsn, options.Timeout+readGrace)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(options.MaxOpenConnections)
	db.SetMaxIdleConns(options.MaxIdleConnections)
	db.SetConnMaxLifetime(options.MaxConnectionLifetime)
	s := &Store{db: db, options: options, snapshots: map[string]*plan.Snapshot{}}
	bounded, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	if err := db.PingContext(bounded); err != nil {
		_ = db.Close()
		return nil, translate(ctx, "connect to the metadata database", err)
	}
	return s, nil
}

// Close closes every connection; calls after it fail.
func (s *Store) Close() error { return s.db.Close() }

const (
	// readGrace is how much longer than the context's deadline a read may hang.
	readGrace = 2 * time.Second
	// contendedTries is how often a call that lost against other transactions is made.
	contendedTries = 4
)

// connect opens a pool. silence is how long the server may say nothing while it is waited for; 0 is for ever.
func connect(dsn string, silence time.Duration) (*sqlx.DB, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		// Not wrapped: the driver's error may quote the DSN and its password.
		return nil, fmt.Errorf("the Postgres DSN does not parse: %w: write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE?search_path=SCHEMA", ErrInvalid)
	}
	// One round trip for a statement with parameters, and not two.
	config.BinaryParameters = true
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the Postgres DSN is not usable: %w", err)
	}
	connector.Dialer(dialer{silence: silence})
	return sqlx.NewDb(sql.OpenDB(connector), "postgres"), nil
}

// dialer opens connections on which a read that hears nothing ends: the driver itself waits for ever
// for a server that is frozen or cut off, even after the context's end.
type dialer struct {
	silence time.Duration
	net     net.Dialer
}

// Dial is the driver's interface.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is the driver's interface.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext is the driver's interface.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil || d.silence == 0 {
		return conn, err
	}
	return &impatientConn{Conn: conn, silence: d.silence}, nil
}

type impatientConn struct {
	net.Conn
	silence time.Duration
}

// Read fails with a timeout after too long a silence.
func (c *impatientConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// call asks the SQL function of that name, which takes and returns one jsonb: one round trip. Listeners that the answer names
// are woken.
func call[Answer any](ctx context.Context, s *Store, operation, function string, argument any) (Answer, error) {
	var answer Answer
	data, err := json.Marshal(argument)
	if err != nil {
		return answer, fmt.Errorf("%s: encode the argument: %w: %w", operation, ErrInvalid, err)
	}
	var raw []byte
	// A string: []byte would be sent as binary jsonb.
	if err := s.try(ctx, operation, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, "select "+function+"($1)", string(storable(data))).Scan(&raw)
	}); err != nil {
		return answer, err
	}
	s.wakes(raw)
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, fmt.Errorf("%s: decode the answer of %s: %w", operation, function, err)
	}
	return answer, nil
}

// rows reads rows that the query returns as one JSON column each.
func rows[Row any](ctx context.Context, s *Store, operation, query string, arguments ...any) ([]Row, error) {
	var raw [][]byte
	if err := s.try(ctx, operation, func(ctx context.Context) error {
		raw = nil
		return s.db.SelectContext(ctx, &raw, query, arguments...)
	}); err != nil {
		return nil, err
	}
	read := make([]Row, len(raw))
	for i, data := range raw {
		if err := json.Unmarshal(data, &read[i]); err != nil {
			return nil, fmt.Errorf("%s: decode a row: %w", operation, err)
		}
	}
	return read, nil
}

// try does something within the call's time, again at once when it lost against other transactions.
func (s *Store) try(ctx context.Context, operation string, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	for try := 1; ; try++ {
		err := translate(ctx, operation, do(bounded))
		if try == contendedTries || !errors.Is(err, ErrContended) {
			return err
		}
	}
}
