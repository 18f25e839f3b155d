package definitions

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// maxTableRows keeps metadata small: it lies in Postgres and is shown whole.
const maxTableRows = 1000

// TableSchema is the columns of a table.
type TableSchema struct {
	Columns []Column `json:"columns"`
}

// Column is one column of a table.
type Column struct {
	Name string `json:"name"`
	// Type is for people: "string", "int", "float", "bool", "timestamp", "duration", "json", or what the store
	// calls it.
	Type string `json:"type"`
	// Description is for people; it may be empty.
	Description string `json:"description,omitempty"`
}

// SchemaOf is the schema of a table whose rows are structs of type T: a column for each exported field, called as in
// config, described by the tag description:"…".
func SchemaOf[T any]() TableSchema { return schemaOf(reflect.TypeFor[T]()) }

func schemaOf(row reflect.Type) TableSchema {
	schema := TableSchema{Columns: []Column{}}
	for _, column := range columnsOf(row) {
		schema.Columns = append(schema.Columns, column.Column)
	}
	return schema
}

// ColumnSchema is the columns of the asset itself, under the label perdure/column_schema. An asset whose value is a slice
// of structs has that of [SchemaOf] in its definition; report another where the columns are known only from the
// data, or give one in [Metadata].
func ColumnSchema(schema TableSchema) Metadatum { return Schema(labelColumnSchema, schema) }

// Schema is a table's schema. One without columns, or with two of one name, is invalid.
func Schema(label string, schema TableSchema) Metadatum {
	m := encoded(label, wire.MetadataTableSchema, schema)
	seen := map[string]bool{}
	for _, column := range schema.Columns {
		switch {
		case column.Name == "":
			m.fault = "a column has no name"
		case seen[column.Name]:
			m.fault = fmt.Sprintf("the column %q is there twice", column.Name)
		}
		seen[column.Name] = true
	}
	if len(schema.Columns) == 0 {
		m.fault = "the schema has no columns"
	}
	return m
}

// Table is a small table, at most 1,000 rows: a column for each exported field of T, as in [SchemaOf].
func Table[T any](label string, rows []T) Metadatum {
	if len(rows) > maxTableRows {
		return Metadatum{Label: label, kind: wire.MetadataTable, fault: fmt.Sprintf("the table has %d rows, metadata holds at most %d: make it an asset", len(rows), maxTableRows)}
	}
	columns := columnsOf(reflect.TypeFor[T]())
	table := struct {
		Columns []Column `json:"columns"`
		Rows    [][]any  `json:"rows"`
	}{SchemaOf[T]().Columns, make([][]any, len(rows))}
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		cells := make([]any, len(columns))
		for j, column := range columns {
			cells[j] = column.cell(row)
		}
		table.Rows[i] = cells
	}
	m := encoded(label, wire.MetadataTable, table)
	if len(columns) == 0 {
		m.fault = fmt.Sprintf("%v has no exported fields, so the table has no columns", reflect.TypeFor[T]())
	}
	return m
}

// fieldColumn is a column and the field it is taken from; no index is the value itself.
type fieldColumn struct {
	Column
	index []int
}

func (c fieldColumn) cell(row reflect.Value) any {
	if c.index != nil {
		row = row.FieldByIndex(c.index)
	}
	if duration, ok := reflect.TypeAssert[time.Duration](row); ok {
		return duration.String()
	}
	return row.Interface()
}

func columnsOf(typ reflect.Type) []fieldColumn {
	if typ.Kind() != reflect.Struct || typ == timeType {
		return []fieldColumn{{Column: Column{Name: "value", Type: columnType(typ)}}}
	}
	var columns []fieldColumn
	for _, field := range reflect.VisibleFields(typ) {
		name := jsonName(field)
		if !field.IsExported() || name == "" || embedded(field) || len(field.Index) > 1 && !promoted(typ, field.Index) {
			continue
		}
		columns = append(columns, fieldColumn{Column{name, columnType(field.Type), field.Tag.Get("description")}, field.Index})
	}
	return columns
}

func columnType(typ reflect.Type) string {
	switch typ {
	case timeType:
		return "timestamp"
	case durationType:
		return "duration"
	}
	switch typ.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "float"
	default:
		return "json"
	}
}

// jsonName is what a field is called in JSON; "" when it is left out.
func jsonName(field reflect.StructField) string {
	switch name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name {
	case "-":
		return ""
	case "":
		return snakeCase(field.Name)
	default:
		return name
	}
}
