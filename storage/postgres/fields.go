package postgres

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/storage/internal/columns"
)

// field is one column of a table.
type field struct {
	columns.Column
	// sqlType is the column's type with its NOT NULL.
	sqlType string
	// encode makes what COPY sends; the value is no nil pointer.
	encode func(reflect.Value) (any, error)
	// target makes what a row is scanned into.
	target func(reflect.Value) any
}

func fieldsOf(t reflect.Type) ([]field, error) {
	row, err := columns.RowType(t)
	if err != nil {
		return nil, fmt.Errorf("%w, as a table must be", err)
	}
	found, err := columns.Of(row, "db")
	problems := []error{err}
	fields := make([]field, len(found))
	for i, column := range found {
		fields[i], err = fieldOf(column)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("%v cannot be a table: %w", t, err)
	}
	return fields, nil
}

func fieldOf(column columns.Column) (field, error) {
	f := field{Column: column}
	if len(column.Name) > maxIdentifier || strings.ContainsRune(column.Name, 0) {
		return f, fmt.Errorf("%s: %q is no column name of at most %d bytes: give it a shorter db tag", column.Field, column.Name, maxIdentifier)
	}
	if strings.HasPrefix(column.Name, reserved) {
		return f, fmt.Errorf("%s: columns that begin with %q are Perdure's own: give it another db tag", column.Field, reserved)
	}
	inner, nullable := column.Type, false
	if inner.Kind() == reflect.Pointer {
		inner, nullable = inner.Elem(), true
	}
	f.target = func(v reflect.Value) any { return v.Addr().Interface() }
	switch kind := inner.Kind(); {
	case inner == reflect.TypeFor[time.Time]():
		f.sqlType, f.encode = "timestamptz", encodeAny
		f.target = func(v reflect.Value) any { return timeTarget{v} }
	case inner == reflect.TypeFor[json.RawMessage]():
		f.sqlType, f.encode, nullable = "jsonb", encodeJSON, true
		f.target = func(v reflect.Value) any { return bytesTarget{v} }
	case isText(inner):
		f.sqlType, f.encode = "text", encodeText
		f.target = func(v reflect.Value) any { return textTarget{v} }
	case kind == reflect.String:
		f.sqlType, f.encode = "text", func(v reflect.Value) (any, error) { return v.String(), nil }
	case kind == reflect.Bool:
		f.sqlType, f.encode = "boolean", func(v reflect.Value) (any, error) { return v.Bool(), nil }
	case kind >= reflect.Int && kind <= reflect.Int64:
		f.sqlType, f.encode = "bigint", func(v reflect.Value) (any, error) { return v.Int(), nil }
	case kind >= reflect.Uint8 && kind <= reflect.Uint32:
		f.sqlType, f.encode = "bigint", func(v reflect.Value) (any, error) { return int64(v.Uint()), nil }
	case kind == reflect.Uint || kind == reflect.Uint64:
		f.sqlType, f.encode = "numeric(20)", func(v reflect.Value) (any, error) { return strconv.FormatUint(v.Uint(), 10), nil }
	case kind == reflect.Float32 || kind == reflect.Float64:
		f.sqlType, f.encode = "double precision", func(v reflect.Value) (any, error) { return v.Float(), nil }
	case kind == reflect.Slice && inner.Elem().Kind() == reflect.Uint8:
		f.sqlType, f.encode, nullable = "bytea", encodeBytes, true
		f.target = func(v reflect.Value) any { return bytesTarget{v} }
	default:
		return f, fmt.Errorf("%s is a %v, which is no column: use a type that the package's comment lists, json.RawMessage for what is nested, or leave it out with `db:\"-\"`",
			column.Field, column.Type)
	}
	if !nullable {
		f.sqlType += " NOT NULL"
	}
	return f, nil
}

// value is what COPY sends for a field of a row.
func (f field) value(row reflect.Value) (any, error) {
	v := row.FieldByIndex(f.Index)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	return f.encode(v)
}

func encodeAny(v reflect.Value) (any, error) { return v.Interface(), nil }

func encodeBytes(v reflect.Value) (any, error) {
	if v.IsNil() {
		return nil, nil
	}
	return v.Bytes(), nil
}

// encodeJSON sends text, because the driver would send bytes as bytea.
func encodeJSON(v reflect.Value) (any, error) {
	if v.IsNil() {
		return nil, nil
	}
	return string(v.Bytes()), nil
}

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func isText(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(marshaler) && pointer.Implements(unmarshaler)
}

func encodeText(v reflect.Value) (any, error) {
	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	text, err := pointer.Interface().(encoding.TextMarshaler).MarshalText()
	return string(text), err
}

// present is the value behind v, made when v is a pointer.
func present(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	v.Set(reflect.New(v.Type().Elem()))
	return v.Elem()
}

// scanNull sets a pointer to nil; anything else cannot be NULL.
func scanNull(v reflect.Value) error {
	if v.Kind() != reflect.Pointer {
		return fmt.Errorf("NULL does not fit into %v: make the field a pointer", v.Type())
	}
	v.SetZero()
	return nil
}

// timeTarget reads times as UTC: the server sends them in the zone of the session.
type timeTarget struct{ value reflect.Value }

func (t timeTarget) Scan(source any) error {
	if source == nil {
		return scanNull(t.value)
	}
	at, ok := source.(time.Time)
	if !ok {
		return fmt.Errorf("%T is no time", source)
	}
	present(t.value).Set(reflect.ValueOf(at.UTC()))
	return nil
}

// bytesTarget reads NULL as nil, also into types of bytes that database/sql does not know.
type bytesTarget struct{ value reflect.Value }

func (t bytesTarget) Scan(source any) error {
	switch source := source.(type) {
	case nil:
		t.value.SetZero()
	case []byte:
		present(t.value).SetBytes(bytes.Clone(source))
	case string:
		present(t.value).SetBytes([]byte(source))
	default:
		return fmt.Errorf("%T are no bytes", source)
	}
	return nil
}

type textTarget struct{ value reflect.Value }

func (t textTarget) Scan(source any) error {
	var text []byte
	switch source := source.(type) {
	case nil:
		return scanNull(t.value)
	case string:
		text = []byte(source)
	case []byte:
		text = source
	default:
		return fmt.Errorf("%T is no text", source)
	}
	return present(t.value).Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text)
}

// columnList is the columns' names for SQL.
func columnList(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = pq.QuoteIdentifier(f.Name)
	}
	return strings.Join(names, ", ")
}
