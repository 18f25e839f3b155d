package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perdure-io/perdure/definitions"
)

// errTableChanges says that the table must be made or changed before the rows of a partition fit, which nobody may do beside others.
var errTableChanges = errors.New("the table has to change")

// replaceRows puts the staged rows in the place of the partition's.
func (v *table) replaceRows(ctx context.Context, tx *sqlx.Tx, alone bool) error {
	s := v.storage
	staged, err := s.columnsOf(ctx, tx, v.staged)
	if err != nil {
		return err
	}
	if err := v.fit(ctx, tx, staged, alone); err != nil {
		return err
	}
	names := make([]string, len(staged))
	for i, column := range staged {
		names[i] = column.Name
	}
	list, partition := strings.Join(names, ", "), pq.QuoteLiteral(v.partition)
	_, err = tx.ExecContext(ctx, strings.Join([]string{
		fmt.Sprintf(`DELETE FROM %s WHERE %s = %s`, s.quote(v.name), partitionColumn, partition),
		fmt.Sprintf(`INSERT INTO %s (%s, %s) SELECT %s, %s FROM %s`, s.quote(v.name), partitionColumn, list, partition, list, s.quote(v.staged)),
		`DROP TABLE ` + s.quote(v.staged),
	}, ";\n"))
	return err
}

// fit makes the table, or changes it, so that the staged columns have room. It does so only alone.
func (v *table) fit(ctx context.Context, tx *sqlx.Tx, staged tableColumns, alone bool) error {
	s := v.storage
	old, err := s.columnsOf(ctx, tx, v.name)
	if err != nil {
		return err
	}
	var statements []string
	if len(old) == 0 {
		statements = v.make(staged)
	} else if statements, err = v.widen(old, staged); err != nil {
		return err
	}
	switch {
	case len(statements) == 0:
		return nil
	case !alone:
		return errTableChanges
	case len(old) == 0:
		// Its earlier rows are gone with the table, if there was one.
		if err := v.forget(ctx, tx); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, strings.Join(statements, ";\n"))
	return err
}

// make is the statements that make the table.
func (v *table) make(staged tableColumns) []string {
	s := v.storage
	lines := []string{partitionColumn + " text NOT NULL"}
	for _, column := range staged {
		lines = append(lines, column.String())
	}
	return []string{
		fmt.Sprintf("CREATE TABLE %s (\n\t%s,\n\tPRIMARY KEY (%s, %s)\n)", s.quote(v.name), strings.Join(lines, ",\n\t"), partitionColumn, rowColumn),
		fmt.Sprintf(`COMMENT ON TABLE %s IS %s`, s.quote(v.name), pq.QuoteLiteral("Perdure asset "+v.asset+", by partition")),
	}
}

// widen is the statements that add the staged columns which the table lacks, and let those be NULL that the staged rows lack: the
// rows of other partitions stay as they are. A column of another type is an error.
func (v *table) widen(old, staged tableColumns) (statements []string, err error) {
	alter := `ALTER TABLE ` + v.storage.quote(v.name) + ` `
	var changed []string
	for _, column := range staged {
		i := slices.IndexFunc(old, func(o tableColumn) bool { return o.Name == column.Name })
		switch {
		case i < 0:
			statements = append(statements, alter+`ADD COLUMN `+column.Name+` `+column.Type)
		case old[i].Type != column.Type:
			changed = append(changed, fmt.Sprintf("%s from %s to %s", column.Name, old[i].Type, column.Type))
		case old[i].Required && !column.Required:
			statements = append(statements, alter+`ALTER COLUMN `+column.Name+` DROP NOT NULL`)
		}
	}
	for _, column := range old {
		missing := !slices.ContainsFunc(staged, func(s tableColumn) bool { return s.Name == column.Name })
		if missing && column.Required && column.Name != partitionColumn {
			statements = append(statements, alter+`ALTER COLUMN `+column.Name+` DROP NOT NULL`)
		}
	}
	if len(changed) > 0 {
		return nil, fmt.Errorf("columns change their types (%s), and the rows of other partitions of %s.%s have the old ones: name the fields' columns otherwise by a db tag, or drop the table and materialize all partitions again",
			strings.Join(changed, ", "), v.storage.schema, v.name)
	}
	return statements, nil
}

// tableColumn is a column as the server describes it; Name is quoted for SQL.
type tableColumn struct {
	Name, Type string
	Required   bool
}

func (c tableColumn) String() string {
	if c.Required {
		return c.Name + " " + c.Type + " NOT NULL"
	}
	return c.Name + " " + c.Type
}

type tableColumns []tableColumn

func (c tableColumns) String() string {
	lines := make([]string, len(c))
	for i, column := range c {
		lines[i] = column.String()
	}
	return strings.Join(lines, ", ")
}

// columnsOf describes a table's columns; none when it is not there.
func (s *Storage) columnsOf(ctx context.Context, tx *sqlx.Tx, name string) (found tableColumns, err error) {
	err = tx.SelectContext(ctx, &found, `SELECT quote_ident(attname) AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required
		FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, s.quote(name))
	return found, err
}

// Remove drops the table of a value that was staged and never published, and the rows of a partition while they are still
// those of the slot's token. A whole table stays: the next value takes its place.
func (s *Storage) Remove(ctx definitions.Context, at definitions.Slot) error {
	if err := check(at); err != nil {
		return fmt.Errorf("remove %w", err)
	}
	v := s.stagedAt(at)
	if at.Partition == "" {
		return v.Discard(ctx)
	}
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", at, err)
	}
	err := s.transaction(ctx, func(tx *sqlx.Tx) error { return v.removeRows(ctx, tx) })
	if err != nil {
		return fmt.Errorf("remove %s at %s: %w", at, v.Location(), err)
	}
	return nil
}

func (v *table) removeRows(ctx context.Context, tx *sqlx.Tx) error {
	s := v.storage
	if err := v.lock(ctx, tx, false); err != nil {
		return err
	}
	found, err := v.state(ctx, tx)
	if err != nil {
		return err
	}
	statements := []string{`DROP TABLE IF EXISTS ` + s.quote(v.staged)}
	if found.holds(v.token) {
		partition := pq.QuoteLiteral(v.partition)
		statements = append(statements, fmt.Sprintf(`UPDATE %s SET removed = true WHERE table_name = %s AND partition = %s`,
			s.quote(bookkeeping), pq.QuoteLiteral(v.name), partition))
		if found.There {
			statements = append(statements, fmt.Sprintf(`DELETE FROM %s WHERE %s = %s`, s.quote(v.name), partitionColumn, partition))
		}
	}
	_, err = tx.ExecContext(ctx, strings.Join(statements, ";\n"))
	return err
}
