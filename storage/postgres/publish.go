package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perdure-io/perdure/definitions"
)

const (
	// lockTimeout bounds how long a publication that waits for readers makes later readers wait behind it.
	lockTimeout = "2s"
	// lockPause lets those readers through before the next try.
	lockPause = time.Second
)

// Publish puts the staged table in the place of the asset's, or its rows in the place of the partition's, in one
// transaction. The error wraps [ErrSuperseded] when the value of a larger token is there. It waits, trying again and again, while
// somebody who reads for long is in its way.
func (v *table) Publish(ctx definitions.Context) error {
	// The rows of a partition are replaced beside others; who changes the table is alone with it.
	alone := v.partition == ""
	for {
		err := v.storage.transaction(ctx, func(tx *sqlx.Tx) error { return v.publish(ctx, tx, alone) })
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errTableChanges):
			alone = true
			continue
		case pq.As(err, pqerror.LockNotAvailable) == nil:
			return fmt.Errorf("publish %s at %s: %w", v, v.Location(), err)
		}
		ctx.Log().Warn("waiting to replace what is being read", "asset", v.asset, "partition", v.partition, "table", v.storage.schema+"."+v.name)
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish %s at %s: %w", v, v.Location(), context.Cause(ctx))
		case <-time.After(lockPause):
		}
	}
}

func (v *table) publish(ctx context.Context, tx *sqlx.Tx, alone bool) error {
	s := v.storage
	if err := v.lock(ctx, tx, alone); err != nil {
		return err
	}
	found, err := v.state(ctx, tx)
	if err != nil {
		return err
	}
	switch {
	case found.Token > v.token:
		return fmt.Errorf("%w (token %d, this one is %d); if Perdure's own database was set up anew since, so that its tokens start over, delete the row of table_name %q, partition %q from %s.%s",
			ErrSuperseded, found.Token, v.token, v.name, v.partition, s.schema, bookkeeping)
	case !found.Staged && found.holds(v.token):
		return nil
	case !found.Staged:
		return fmt.Errorf("%w: the staged table %s.%s is gone", definitions.ErrNotStored, s.schema, v.staged)
	case found.There && !found.Known:
		return fmt.Errorf("%s.%s is there and was not made by Perdure, which does not overwrite it: drop or rename it, or set another postgres.Schema", s.schema, v.name)
	case found.There && found.Other:
		return v.otherKind()
	case found.Other:
		// The table was dropped, so the asset may begin anew.
		if err := v.forget(ctx, tx); err != nil {
			return err
		}
	}
	if v.partition == "" {
		err = v.replace(ctx, tx)
	} else {
		err = v.replaceRows(ctx, tx, alone)
	}
	if err != nil {
		return err
	}
	if err := v.record(ctx, tx); err != nil {
		return err
	}
	return v.dropEarlier(ctx, tx)
}

// otherKind says that the asset has got partitions, or has them no more.
func (v *table) otherKind() error {
	place := v.storage.schema + "." + v.name
	if v.partition != "" {
		return fmt.Errorf("%s holds the asset from when it had no partitions: drop or rename the table, then materialize the partitions", place)
	}
	return fmt.Errorf("%s holds partitions of the asset, which has none any more: drop or rename the table, then materialize the asset", place)
}

// lock holds the value against other publications until the transaction ends: alone the whole table, otherwise beside those of
// other partitions. The locks are advisory because what was never published has no row to lock.
func (v *table) lock(ctx context.Context, tx *sqlx.Tx, alone bool) error {
	const key = `(hashtextextended(%s, 0))`
	whole := fmt.Sprintf(key, pq.QuoteLiteral("perdure:"+v.storage.quote(v.name)))
	statements := `SET LOCAL lock_timeout = '` + lockTimeout + `'; SELECT pg_advisory_xact_lock`
	if !alone {
		statements += `_shared` + whole + `; SELECT pg_advisory_xact_lock`
		whole = fmt.Sprintf(key, pq.QuoteLiteral("perdure:"+v.storage.quote(v.name)+"|"+v.partition))
	}
	_, err := tx.ExecContext(ctx, statements+whole)
	return err
}

// replace swaps the tables. What others depend on is kept and filled instead.
func (v *table) replace(ctx context.Context, tx *sqlx.Tx) error {
	s := v.storage
	var grants []string
	if err := tx.SelectContext(ctx, &grants, selectGrants, s.quote(v.name), s.quote(v.staged)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`SAVEPOINT swap; DROP TABLE IF EXISTS %s`, s.quote(v.name)))
	if dependents := pq.As(err, pqerror.DependentObjectsStillExist); dependents != nil {
		return v.refill(ctx, tx, dependents)
	}
	if err != nil {
		return err
	}
	statements := append(grants, fmt.Sprintf(`ALTER TABLE %s RENAME TO %s`, s.quote(v.staged), pq.QuoteIdentifier(v.name)))
	_, err = tx.ExecContext(ctx, strings.Join(statements, ";\n"))
	return err
}

// selectGrants makes the statements that grant on table $2 what is granted on table $1 to others than its owner.
const selectGrants = `
SELECT format('GRANT %s ON TABLE %s TO %s%s', a.privilege_type, $2::text,
	CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
	CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner`

func (v *table) refill(ctx context.Context, tx *sqlx.Tx, dependents *pq.Error) error {
	s := v.storage
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT swap`); err != nil {
		return err
	}
	old, err := s.columnsOf(ctx, tx, v.name)
	if err != nil {
		return err
	}
	staged, err := s.columnsOf(ctx, tx, v.staged)
	if err != nil {
		return err
	}
	if before, after := old.String(), staged.String(); before != after {
		return fmt.Errorf("the columns change from (%s) to (%s), and others depend on the table: drop them, publish, and make them again: %s",
			before, after, dependents.Detail)
	}
	_, err = tx.ExecContext(ctx, inOrder+fmt.Sprintf(`; TRUNCATE %[1]s; INSERT INTO %[1]s SELECT * FROM %[2]s; DROP TABLE %[2]s`, s.quote(v.name), s.quote(v.staged)))
	return err
}

// dropEarlier drops what attempts before this one have staged and left behind: it can no longer be published.
func (v *table) dropEarlier(ctx context.Context, tx *sqlx.Tx) error {
	prefix := stagedPrefixOf(v.name, v.partition)
	var left []string
	err := tx.SelectContext(ctx, &left, `SELECT tablename FROM pg_tables WHERE schemaname = $1 AND starts_with(tablename, $2)
		AND substr(tablename, length($2) + 1)::bigint < $3`, v.storage.schema, prefix, v.token)
	if err != nil {
		return err
	}
	for _, name := range left {
		if _, err := tx.ExecContext(ctx, `DROP TABLE IF EXISTS `+v.storage.quote(name)); err != nil {
			return err
		}
	}
	return nil
}
