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

// Load reads the asset's table into *into, a *[]T, in the order in which the rows were stored. A table holds only its last
// value: when that is of a later token than the one asked for, it is loaded all the same. For token 0 the table may be
// anybody's. The error wraps [definitions.ErrNotStored] when there is no table or only an earlier value, and
// [definitions.ErrUnavailable] when the server is not to be reached.
func (s *Storage) Load(ctx definitions.Context, at definitions.Slot, into any) error {
	if err := check(at); err != nil {
		return fmt.Errorf("load %w", err)
	}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("load %s: a pointer is needed to load into, not %T", at.Asset, into)
	}
	target = target.Elem()
	fields, err := fieldsOf(target.Type())
	if err != nil {
		return fmt.Errorf("load %s: %w", at.Asset, err)
	}
	name := tableOf(at.Asset)
	err = s.transaction(ctx, func(tx *sqlx.Tx) error {
		if at.Token > 0 {
			if err := s.requireToken(ctx, tx, name, at.Token); err != nil {
				return err
			}
		}
		return s.read(ctx, tx, name, fields, target)
	})
	switch {
	case pq.As(err, pqerror.UndefinedTable) != nil:
		err = fmt.Errorf("%w: there is no such table: materialize the asset: %w", definitions.ErrNotStored, err)
	case pq.As(err, pqerror.UndefinedColumn) != nil:
		err = fmt.Errorf("the table lacks a column of %v: materialize the asset again, or mend the db tag: %w", target.Type().Elem(), err)
	}
	if err != nil {
		return fmt.Errorf("load %s from %s: %w", at.Asset, s.locate(name), err)
	}
	return nil
}

func (s *Storage) requireToken(ctx context.Context, tx *sqlx.Tx, name string, token int64) error {
	var published int64
	err := tx.GetContext(ctx, &published, fmt.Sprintf(`SELECT token FROM %s WHERE table_name = $1`, s.quote(bookkeeping)), name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: nothing was published: materialize the asset", definitions.ErrNotStored)
	case err != nil:
		return err
	case published < token:
		return fmt.Errorf("%w: the table holds the value of token %d, and %d is asked for; was it restored from a backup? materialize the asset again",
			definitions.ErrNotStored, published, token)
	}
	return nil
}

// inOrder makes a scan return rows as they lie, which is the order in which one COPY wrote them: no workers share
// it, and it does not start where another scan is.
const inOrder = `SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0`

func (s *Storage) read(ctx context.Context, tx *sqlx.Tx, name string, fields []field, target reflect.Value) error {
	// Isolation stays READ COMMITTED: an older snapshot would find a table empty that was published since.
	if _, err := tx.ExecContext(ctx, inOrder); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT %s FROM %s`, columnList(fields), s.quote(name)))
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
			return loaded, fmt.Errorf("row %d: %w", loaded.Len(), err)
		}
		loaded = reflect.Append(loaded, row)
	}
	return loaded, nil
}
