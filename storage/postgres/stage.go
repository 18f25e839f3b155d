package postgres

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perdure-io/perdure/definitions"
)

// Stage writes the rows into a table of their own, in one transaction, so that the table is there only if it is
// complete. It is an ordinary table: one that is not logged would be empty after a crash of the server, also when published.
func (s *Storage) Stage(ctx definitions.Context, at definitions.Slot, value any) (definitions.Staged, error) {
	if err := check(at); err != nil {
		return nil, fmt.Errorf("store %w", err)
	}
	if at.Token <= 0 {
		return nil, fmt.Errorf("store %s: the token is %d: only tokens above 0 can be stored", at, at.Token)
	}
	rows := reflect.ValueOf(value)
	if !rows.IsValid() {
		return nil, fmt.Errorf("store %s: a nil value has no columns: return an empty slice", at)
	}
	fields, err := fieldsOf(rows.Type())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", at, err)
	}
	v := s.stagedAt(at)
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("store %s at %s: %w", at, v.Location(), err)
	}
	err = s.transaction(ctx, func(tx *sqlx.Tx) error {
		if err := s.create(ctx, tx, v, fields); err != nil {
			return err
		}
		return s.fill(ctx, tx, v, fields, rows)
	})
	if err != nil {
		return nil, fmt.Errorf("store %s at %s: %w", at, v.Location(), err)
	}
	return v, nil
}

func (s *Storage) create(ctx context.Context, tx *sqlx.Tx, v *table, fields []field) error {
	lines := make([]string, 0, len(fields)+1)
	for _, f := range fields {
		lines = append(lines, "\t"+pq.QuoteIdentifier(f.Name)+" "+f.sqlType)
	}
	if v.partition != "" {
		lines = append(lines, "\t"+rowColumn+" bigint NOT NULL")
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("DROP TABLE IF EXISTS %[1]s;\nCREATE TABLE %[1]s (\n%[2]s\n);\nCOMMENT ON TABLE %[1]s IS %[3]s",
		s.quote(v.staged), strings.Join(lines, ",\n"), pq.QuoteLiteral("Perdure asset "+v.asset)))
	return err
}

func (s *Storage) fill(ctx context.Context, tx *sqlx.Tx, v *table, fields []field, rows reflect.Value) (err error) {
	list, values := columnList(fields), make([]any, len(fields))
	if v.partition != "" {
		list, values = list+", "+rowColumn, make([]any, len(fields)+1)
	}
	copied, err := tx.PrepareContext(ctx, fmt.Sprintf(`COPY %s (%s) FROM STDIN`, s.quote(v.staged), list))
	if err != nil {
		return err
	}
	defer func() {
		if closed := copied.Close(); err == nil {
			err = closed // after another error it is that one again
		}
	}()
	for i := range rows.Len() {
		for c, f := range fields {
			if values[c], err = f.value(rows.Index(i)); err != nil {
				return fmt.Errorf("row %d, %s: %w", i, f.Field, err)
			}
		}
		if v.partition != "" {
			values[len(fields)] = i
		}
		if _, err := copied.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	// Without values, Exec ends the COPY and tells what the server refused.
	_, err = copied.ExecContext(ctx)
	return err
}

// Resume finds the table that Stage wrote, or that it was published already. The error wraps [definitions.ErrNotStored] when
// neither is so.
func (s *Storage) Resume(ctx definitions.Context, at definitions.Slot, location string) (definitions.Staged, error) {
	if err := check(at); err != nil {
		return nil, fmt.Errorf("resume %w", err)
	}
	v := s.stagedAt(at)
	if want := v.Location(); location != want {
		return nil, fmt.Errorf("resume %s: it was staged for %s, and here it would be for %s: the workers' databases differ", at, location, want)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("resume %s: %w", at, err)
	}
	var found state
	err := s.transaction(ctx, func(tx *sqlx.Tx) (err error) {
		found, err = v.state(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resume %s: %w", at, err)
	}
	if !found.Staged && !found.holds(v.token) {
		return nil, fmt.Errorf("resume %s: %w: the staged table %s.%s is gone", at, definitions.ErrNotStored, s.schema, v.staged)
	}
	return v, nil
}

// table is one value of an asset: its whole table, or the rows of one partition.
type table struct {
	storage *Storage
	asset   string
	// partition is "" for a whole table.
	partition    string
	token        int64
	name, staged string
}

func (s *Storage) stagedAt(at definitions.Slot) *table {
	name := tableOf(at.Asset)
	return &table{
		storage: s, asset: at.Asset, partition: at.Partition, token: at.Token,
		name: name, staged: stagedOf(name, at.Partition, at.Token),
	}
}

func (v *table) String() string {
	return definitions.Slot{Asset: v.asset, Partition: v.partition}.String()
}

func (v *table) Location() string { return v.storage.locate(v.name, v.partition) }

// Discard drops the staged table. What is published stays: it may have replaced what was there before.
func (v *table) Discard(ctx definitions.Context) error {
	if _, err := v.storage.db.ExecContext(ctx, `DROP TABLE IF EXISTS `+v.storage.quote(v.staged)); err != nil {
		return fmt.Errorf("discard %s.%s of %s: %w", v.storage.schema, v.staged, v, classify(ctx, err))
	}
	return nil
}
