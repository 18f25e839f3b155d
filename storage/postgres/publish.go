package postgres

import (
	"context"
	"database/sql"
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

// Publish puts the staged table in the place of the asset's, in one transaction. The error wraps [ErrSuperseded] when the
// table holds the value of a larger token. It waits, trying again and again, while somebody reads the table for long.
func (v *table) Publish(ctx definitions.Context) error {
	for {
		err := v.storage.transaction(ctx, func(tx *sqlx.Tx) error { return v.publish(ctx, tx) })
		if pq.As(err, pqerror.LockNotAvailable) == nil {
			if err != nil {
				return fmt.Errorf("publish %s at %s: %w", v.asset, v.Location(), err)
			}
			return nil
		}
		ctx.Log().Warn("waiting to replace a table that is being read", "asset", v.asset, "table", v.storage.schema+"."+v.name)
		select {
		case <-ctx.Done():
			return fmt.Errorf("publish %s at %s: %w", v.asset, v.Location(), context.Cause(ctx))
		case <-time.After(lockPause):
		}
	}
}

func (v *table) publish(ctx context.Context, tx *sqlx.Tx) error {
	s := v.storage
	if _, err := tx.ExecContext(ctx, `SET LOCAL lock_timeout = '`+lockTimeout+`'`); err != nil {
		return err
	}
	published, known, err := v.lock(ctx, tx)
	if err != nil {
		return err
	}
	if published > v.token {
		return fmt.Errorf("%w (token %d, this one is %d); if Perdure's own database was set up anew since, so that its tokens start over, delete the row of %q from %s.%s",
			ErrSuperseded, published, v.token, v.name, s.schema, bookkeeping)
	}
	var isStaged, isThere bool
	row := tx.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL`, s.quote(v.staged), s.quote(v.name))
	switch err := row.Scan(&isStaged, &isThere); {
	case err != nil:
		return err
	case !isStaged && known && published == v.token:
		return nil
	case !isStaged:
		return fmt.Errorf("%w: the staged table %s.%s is gone", definitions.ErrNotStored, s.schema, v.staged)
	case isThere && !known:
		return fmt.Errorf("%s.%s is there and was not made by Perdure, which does not overwrite it: drop or rename it, or set another postgres.Schema", s.schema, v.name)
	}
	if err := v.replace(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO %s AS t (table_name, asset, token) VALUES ($1, $2, $3)
		ON CONFLICT (table_name) DO UPDATE SET asset = excluded.asset, token = excluded.token, published_at = now()`, s.quote(bookkeeping)),
		v.name, v.asset, v.token)
	if err != nil {
		return err
	}
	return v.dropEarlier(ctx, tx)
}

// lock holds the asset's table against other publications until the transaction ends. The lock is advisory because a
// table that was never published has no row to lock.
func (v *table) lock(ctx context.Context, tx *sqlx.Tx) (published int64, known bool, err error) {
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "perdure:"+v.storage.quote(v.name)); err != nil {
		return 0, false, err
	}
	err = tx.GetContext(ctx, &published, fmt.Sprintf(`SELECT token FROM %s WHERE table_name = $1`, v.storage.quote(bookkeeping)), v.name)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return published, err == nil, err
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

// selectColumns describes a table's columns, to compare two.
const selectColumns = `
SELECT quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`

func (v *table) refill(ctx context.Context, tx *sqlx.Tx, dependents *pq.Error) error {
	s := v.storage
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT swap`); err != nil {
		return err
	}
	var old, staged []string
	if err := tx.SelectContext(ctx, &old, selectColumns, s.quote(v.name)); err != nil {
		return err
	}
	if err := tx.SelectContext(ctx, &staged, selectColumns, s.quote(v.staged)); err != nil {
		return err
	}
	if before, after := strings.Join(old, ", "), strings.Join(staged, ", "); before != after {
		return fmt.Errorf("the columns change from (%s) to (%s), and others depend on the table: drop them, publish, and make them again: %s",
			before, after, dependents.Detail)
	}
	_, err := tx.ExecContext(ctx, inOrder+fmt.Sprintf(`; TRUNCATE %[1]s; INSERT INTO %[1]s SELECT * FROM %[2]s; DROP TABLE %[2]s`, s.quote(v.name), s.quote(v.staged)))
	return err
}

// dropEarlier drops what attempts before this one have staged and left behind: it can no longer be published.
func (v *table) dropEarlier(ctx context.Context, tx *sqlx.Tx) error {
	prefix := stagedPrefixOf(v.name)
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
