package metadata

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// What a caller decides by. Every error of this package wraps its cause.
var (
	// ErrUnavailable says that Postgres cannot be reached or does not take work now: try again later. What was
	// asked may have been done; asking again does no harm.
	ErrUnavailable = errors.New("the metadata database is not available")
	// ErrNotFound says that what was asked for does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a row with the same key but other content exists, or that the caller is out of date.
	ErrConflict = errors.New("conflict")
	// ErrInvalid says that Postgres cannot store the values given: the same call fails again.
	ErrInvalid = errors.New("invalid value")
	// ErrContended says that a transaction lost against another one several times over: try again.
	ErrContended = errors.New("lost against other transactions")
	// ErrSchemaBehind says that the schema is older than this program.
	ErrSchemaBehind = errors.New("the metadata schema is behind this program")
	// ErrSchemaAhead says that the schema is too new for this program.
	ErrSchemaAhead = errors.New("the metadata schema is ahead of this program")
)

// IsUnavailable says whether trying again later may help.
func IsUnavailable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrContended)
}

// kinds maps SQLSTATEs to what they mean to a caller. Nothing decides by an error's text.
var kinds = map[pqerror.Code]error{
	pqerror.AdminShutdown:      ErrUnavailable,
	"57P02":                    ErrUnavailable, // crash_shutdown
	pqerror.CannotConnectNow:   ErrUnavailable,
	"57P05":                    ErrUnavailable, // idle_session_timeout
	"25006":                    ErrUnavailable, // read_only_sql_transaction: a standby, until it takes over
	"25P03":                    ErrUnavailable, // idle_in_transaction_session_timeout
	pqerror.TooManyConnections: ErrUnavailable,
	"57014":                    ErrUnavailable,  // query_canceled: a statement timeout
	"40001":                    ErrContended,    // serialization_failure
	"40P01":                    ErrContended,    // deadlock_detected
	"55P03":                    ErrContended,    // lock_not_available
	"23505":                    ErrConflict,     // unique_violation
	"23503":                    ErrConflict,     // foreign_key_violation
	"42P01":                    ErrSchemaBehind, // undefined_table
	"42883":                    ErrSchemaBehind, // undefined_function
	"42703":                    ErrSchemaBehind, // undefined_column
	pqerror.InvalidSchemaName:  ErrSchemaBehind,
}

// classes are for codes that kinds does not name, by their first two characters.
var classes = map[string]error{
	"08": ErrUnavailable, // connection exception
	"53": ErrUnavailable, // insufficient resources: memory, disk, connections
	"58": ErrUnavailable, // system error
	"22": ErrInvalid,     // data exception
	"23": ErrInvalid,     // integrity constraint violation
	"54": ErrInvalid,     // program limit exceeded
}

// kindOf is the sentinel that an error of the driver stands for, nil when none.
func kindOf(err error) error {
	if pqErr := pq.As(err); pqErr != nil {
		if kind, ok := kinds[pqErr.Code]; ok {
			return kind
		}
		return classes[string(pqErr.Code[:min(2, len(pqErr.Code))])]
	}
	var network net.Error
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &network):
		return ErrUnavailable
	}
	return nil
}

// translate says what was being done, and wraps the sentinel beside the cause. ctx is the caller's:
// when it has ended, that is the reason, not the database.
func translate(ctx context.Context, operation string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, context.Cause(ctx))
	}
	kind := kindOf(err)
	if kind == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		kind = ErrUnavailable // the store's own deadline
	}
	switch {
	case kind == nil:
		return fmt.Errorf("%s: %w", operation, err)
	case errors.Is(kind, ErrSchemaBehind):
		return fmt.Errorf("%s: %w (run `perdure migrate`): %w", operation, kind, err)
	default:
		return fmt.Errorf("%s: %w: %w", operation, kind, err)
	}
}
