package postgres

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// bookkeeping is the table that says which tables are ours, and under which token each of their values was published.
const bookkeeping = `perdure_tables`

// A table that holds a whole asset has one row, of partition "". One that holds partitions has a row for each of them: "removed" keeps
// the token of one whose rows are gone, so that no earlier attempt brings them back.
const createBookkeeping = `CREATE TABLE IF NOT EXISTS %s (
	table_name   text NOT NULL,
	partition    text NOT NULL,
	asset        text NOT NULL,
	token        bigint NOT NULL,
	removed      boolean NOT NULL DEFAULT false,
	published_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (table_name, partition)
)`

// prepareLock is an arbitrary number under which processes make the bookkeeping one after the other:
// CREATE IF NOT EXISTS fails when two do it at once.
const prepareLock = 0x70657264757265

// prepare makes the schema and the bookkeeping, once.
func (s *Storage) prepare(ctx context.Context) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.prepared {
		return nil
	}
	err := s.transaction(ctx, func(tx *sqlx.Tx) error {
		var ready bool
		if err := tx.GetContext(ctx, &ready, `SELECT to_regclass($1) IS NOT NULL`, s.quote(bookkeeping)); err != nil || ready {
			return err
		}
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(prepareLock)); err != nil {
			return err
		}
		var hasSchema bool
		if err := tx.GetContext(ctx, &hasSchema, `SELECT to_regnamespace($1) IS NOT NULL`, pq.QuoteIdentifier(s.schema)); err != nil {
			return err
		}
		if !hasSchema {
			if _, err := tx.ExecContext(ctx, `CREATE SCHEMA `+pq.QuoteIdentifier(s.schema)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(createBookkeeping, s.quote(bookkeeping)))
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare schema %s: %w", s.schema, err)
	}
	s.prepared = true
	return nil
}

// state is what is there of a value.
type state struct {
	// Token is that of the value that was published last; 0 when none was. Removed says that it was removed since.
	Token   int64
	Removed bool
	// Known says that the table is ours, Other that it holds partitions where this value is a whole asset, or the reverse.
	Known, Other bool
	// Staged says that the staged table is there, There that the asset's is.
	Staged, There bool
}

// holds says whether the value of a token is the published one.
func (s state) holds(token int64) bool { return s.Token == token && !s.Removed }

const selectState = `
SELECT coalesce(max(token) FILTER (WHERE partition = $2), 0) AS token, coalesce(bool_or(removed) FILTER (WHERE partition = $2), false) AS removed,
	count(*) > 0 AS known, coalesce(bool_or((partition = '') <> ($2 = '')), false) AS other,
	to_regclass($3) IS NOT NULL AS staged, to_regclass($4) IS NOT NULL AS there
FROM (
	(SELECT * FROM %[1]s WHERE table_name = $1 AND partition = $2)
	UNION ALL (SELECT * FROM %[1]s WHERE table_name = $1 AND partition = '' AND $2 <> '')
	UNION ALL (SELECT * FROM %[1]s WHERE table_name = $1 AND partition <> '' AND partition <> $2 LIMIT 1)
) AS rows`

func (v *table) state(ctx context.Context, tx *sqlx.Tx) (found state, err error) {
	s := v.storage
	err = tx.GetContext(ctx, &found, fmt.Sprintf(selectState, s.quote(bookkeeping)), v.name, v.partition, s.quote(v.staged), s.quote(v.name))
	return found, err
}

// record says that the value is the published one.
func (v *table) record(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO %s AS t (table_name, partition, asset, token) VALUES ($1, $2, $3, $4)
		ON CONFLICT (table_name, partition) DO UPDATE
		SET asset = excluded.asset, token = excluded.token, removed = false, published_at = now()`, v.storage.quote(bookkeeping)),
		v.name, v.partition, v.asset, v.token)
	return err
}

// forget forgets all values of a table that somebody dropped.
func (v *table) forget(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`DELETE FROM %s WHERE table_name = $1`, v.storage.quote(bookkeeping)), v.name)
	return err
}
