package postgres

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

	"github.com/perdure-io/perdure/definitions"
)

// ErrSuperseded is wrapped by Publish when the table holds the value of a later attempt.
var ErrSuperseded = errors.New("the table holds the value of a later attempt")

// outageClasses are the classes of SQLSTATE after which the same statement may succeed later.
var outageClasses = map[pqerror.Class]bool{
	"08": true, // connection exception
	"40": true, // transaction rollback: deadlock, serialization
	"53": true, // insufficient resources: disk full, too many connections
	"58": true, // system error
}

var outageCodes = map[pqerror.Code]bool{
	"57P01": true, // admin shutdown
	"57P02": true, // crash shutdown
	"57P03": true, // cannot connect now
	"57P05": true, // idle session timeout
	"25006": true, // read-only transaction: the server has become a replica
	"55P03": true, // lock not available
}

// classify marks what a retry may cure.
func classify(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, definitions.ErrUnavailable) || !isOutage(err) {
		return err
	}
	return fmt.Errorf("%w: %w", definitions.ErrUnavailable, err)
}

func isOutage(err error) bool {
	if refused := pq.As(err); refused != nil {
		return outageClasses[refused.Code.Class()] || outageCodes[refused.Code]
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, broken := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}
