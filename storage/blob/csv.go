package blob

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/storage/internal/columns"
)

// CSV is the format of slices of flat structs as comma-separated values under a header. A field is the column of its
// csv tag, or of its name in snake_case; `csv:"-"` leaves it out. Reading ignores columns that no field has, and refuses
// a file that lacks one.
//
// Fields are integers, floats, bool, strings, [time.Duration], types that marshal themselves as text, and
// [time.Time]: RFC 3339, or what the tag layout says (`layout:"2006-01-02 15:04:05"`); where a layout has no zone, times are UTC.
// A pointer is nil where the cell is empty. Line ends within cells are read as "\n".
func CSV() Format { return csvFormat{} }

type csvFormat struct{}

func (csvFormat) Extension() string { return "csv" }

func (csvFormat) Accepts(t reflect.Type) error {
	_, err := cellsOf(t)
	return err
}

func (csvFormat) Encode(w io.Writer, value any) error {
	rows := reflect.ValueOf(value)
	cells, err := cellsOf(rows.Type())
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(w)
	writer := csv.NewWriter(buffered)
	record := make([]string, len(cells))
	for i, cell := range cells {
		record[i] = cell.Name
	}
	if err := writer.Write(record); err != nil {
		return err
	}
	for i := range rows.Len() {
		for c, cell := range cells {
			if record[c], err = cell.encode(rows.Index(i).FieldByIndex(cell.Index)); err != nil {
				return fmt.Errorf("row %d, %s: %w", i, cell.Field, err)
			}
		}
		if err := writeRecord(writer, buffered, record); err != nil {
			return err
		}
	}
	writer.Flush()
	return errors.Join(writer.Error(), buffered.Flush())
}

// writeRecord quotes a lone empty cell: as a blank line, every reader would skip it.
func writeRecord(writer *csv.Writer, to *bufio.Writer, record []string) error {
	if len(record) > 1 || record[0] != "" {
		return writer.Write(record)
	}
	writer.Flush()
	if err := writer.Error(); err != nil {
		return err
	}
	_, err := to.WriteString("\"\"\n")
	return err
}

func (csvFormat) Decode(r io.Reader, into any) error {
	target := reflect.ValueOf(into).Elem()
	cells, err := cellsOf(target.Type())
	if err != nil {
		return err
	}
	buffered := bufio.NewReader(r)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		// A byte order mark, as spreadsheets write it, is not part of the first column's name.
		if _, err := buffered.Discard(3); err != nil {
			return err
		}
	}
	reader := csv.NewReader(buffered)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty: it has no header")
	}
	if err != nil {
		return err
	}
	positions, err := match(cells, slices.Clone(header))
	if err != nil {
		return err
	}
	rows := reflect.MakeSlice(target.Type(), 0, 0)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			target.Set(rows)
			return nil
		}
		if err != nil {
			return err
		}
		row := reflect.New(target.Type().Elem()).Elem()
		for i, cell := range cells {
			if err := cell.decode(record[positions[i]], row.FieldByIndex(cell.Index)); err != nil {
				line, _ := reader.FieldPos(positions[i])
				return fmt.Errorf("line %d, column %q: %w", line, cell.Name, err)
			}
		}
		rows = reflect.Append(rows, row)
	}
}

// match finds each field's column in the header.
func match(cells []cell, header []string) ([]int, error) {
	positions := make([]int, len(cells))
	var problems []error
	for i, cell := range cells {
		positions[i] = slices.Index(header, cell.Name)
		switch {
		case positions[i] < 0:
			problems = append(problems, fmt.Errorf("there is no column %q for %s", cell.Name, cell.Field))
		case slices.Contains(header[positions[i]+1:], cell.Name):
			problems = append(problems, fmt.Errorf("column %q is there twice", cell.Name))
		}
	}
	if len(problems) > 0 {
		problems = append(problems, fmt.Errorf("the header is: %s", strings.Join(header, ", ")))
	}
	return positions, errors.Join(problems...)
}

// cellsOf are the columns of a slice of structs, or all reasons why it cannot be a CSV file.
func cellsOf(t reflect.Type) ([]cell, error) {
	row, err := columns.RowType(t)
	if err != nil {
		return nil, fmt.Errorf("%w, as a CSV file must be", err)
	}
	found, err := columns.Of(row, "csv")
	problems := []error{err}
	cells := make([]cell, len(found))
	for i, column := range found {
		cells[i], err = cellOf(column)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("%v cannot be a CSV file: %w", t, err)
	}
	return cells, nil
}
