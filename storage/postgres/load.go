package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perdure-io/perdure/definitions"
)

// Load reads the asset's table, or the rows of one partition, into *into, a *[]T, in the order in which the rows were stored. A
// table holds only the last value: when that is of a later token than the one asked for, it is loaded all the same. For token 0
// the table may be anybody's; partitions of such a one are told apart by a column perdure_partition. The error wraps
// [definitions.ErrNotStored] when there is no table or only an earlier value, and [definitions.ErrUnavailable] when the server is
// not to be reached.
func (s *Storage) Load(ctx definitions.Context, at definitions.Slot, into any) error {
	if err := check(at); err != nil {
		return fmt.Errorf("load %w", err)
	}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("load %s: a pointer is needed to load into, not %T", at, into)
	}
	target = target.Elem()
	fields, err := fieldsOf(target.Type())
	if err != nil {
		return fmt.Errorf("load %s: %w", at, err)
	}
	v := s.stagedAt(at)
	err = s.transaction(ctx, func(tx *sqlx.Tx) error {
		if at.Token > 0 {
			if err := v.requireToken(ctx, tx); err != nil {
				return err
			}
		}
		return v.read(ctx, tx, fields, target)
	})
	switch {
	case pq.As(err, pqerror.UndefinedTable) != nil:
		err = fmt.Errorf("%w: there is no such table: materialize the asset: %w", definitions.ErrNotStored, err)
	case pq.As(err, pqerror.UndefinedColumn) != nil && at.Partition != "" && at.Token == 0:
		err = fmt.Errorf("the table lacks a column of %v, or the column %s that tells partitions apart: %w", target.Type().Elem(), partitionColumn, err)
	case pq.As(err, pqerror.UndefinedColumn) != nil:
		err = fmt.Errorf("the table lacks a column of %v: materialize the asset again, or mend the db tag: %w", target.Type().Elem(), err)
	}
	if err != nil {
		return fmt.Errorf("load %s from %s: %w", at, v.Location(), err)
	}
	return nil
}

func (v *table) requireToken(ctx context.Context, tx *sqlx.Tx) error {
	var published struct {
		Token   int64
		Removed bool
	}
	err := tx.GetContext(ctx, &published, fmt.Sprintf(`SELECT token, removed FROM %s WHERE table_name = $1 AND partition = $2`,
		v.storage.quote(bookkeeping)), v.name, v.partition)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: nothing was published: materialize it", definitions.ErrNotStored)
	case err != nil:
		return err
	case published.Token < v.token:
		return fmt.Errorf("%w: the table holds the value of token %d, and %d is asked for; was it restored from a backup? materialize it again",
			definitions.ErrNotStored, published.Token, v.token)
	case published.Removed:
		return fmt.Errorf("%w: its rows were removed: materialize it again", definitions.ErrNotStored)
	}
	return nil
}

// inOrder makes a scan return rows as they lie, which is the order in which one COPY wrote them: no workers share
// it, and it does not start where another scan is.
const inOrder = `SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0`

func (v *table) read(ctx context.Context, tx *sqlx.Tx, fields []field, target reflect.Value) error {
	query, arguments := fmt.Sprintf(`SELECT %s FROM %s`, columnList(fields), v.storage.quote(v.name)), []any(nil)
	switch {
	case v.partition == "":
		// Isolation stays READ COMMITTED: an older snapshot would find a table empty that was published since.
		if _, err := tx.ExecContext(ctx, inOrder); err != nil {
			return err
		}
	case v.token == 0:
		query, arguments = query+` WHERE `+partitionColumn+` = $1`, []any{v.partition}
	default:
		query, arguments = query+` WHERE `+partitionColumn+` = $1 ORDER BY `+rowColumn, []any{v.partition}
	}
	rows, err := tx.QueryContext(ctx, query, arguments...)
	if err != nil {
		return err
	}
	// How reading ended, rows.Err says.
	defer func() { _ = rows.Close() }()
	loaded, err := scan(rows, fields, target.Type())
	if err := errors.Join(err, rows.Err()); err != nil {
		return err
	}
	target.Set(loaded)
	return nil
}

func scan(rows *sql.Rows, fields []field, slice reflect.Type) (reflect.Value, error) {
	loaded := reflect.MakeSlice(slice, 0, 0)
	row := reflect.New(slice.Elem()).Elem()
	targets := make([]any, len(fields))
	for i, f := range fields {
		targets[i] = f.target(row.FieldByIndex(f.Index))
	}
	for rows.Next() {
		row.SetZero()
		if err := rows.Scan(targets...); err != nil {
			return loaded, fmt.Errorf("row %d: %w; if the type has changed since it was stored, materialize it again, or make a field that has no value a pointer", loaded.Len(), err)
		}
		loaded = reflect.Append(loaded, row)
	}
	return loaded, nil
}
