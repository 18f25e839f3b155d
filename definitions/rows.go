package definitions

import (
	"reflect"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// countRows reports how many rows each slice has among the outputs, where the function has not said so itself.
func countRows(outputs []step.Output, reported []Metadatum) {
	if slices.ContainsFunc(reported, func(m Metadatum) bool { return m.Label == wire.LabelRowCount }) {
		return
	}
	for i := range outputs {
		output := &outputs[i]
		value := reflect.ValueOf(output.Value)
		if !value.IsValid() || !isRows(value.Type()) ||
			slices.ContainsFunc(output.Metadata, func(m wire.Metadatum) bool { return m.Label == wire.LabelRowCount }) {
			continue
		}
		count := RowCount(value.Len())
		output.Metadata = append(output.Metadata, wire.Metadatum{Label: count.Label, Type: count.kind, Value: count.JSON()})
	}
}

// isRows says whether values of the type are rows: slices, but for bytes.
func isRows(typ reflect.Type) bool {
	return typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Uint8
}

// withColumns is an asset's metadata, with the columns of its type where the declaration gives none.
func withColumns(a *asset) []Metadatum {
	if !isRows(a.typ) || a.typ.Elem().Kind() != reflect.Struct || a.typ.Elem() == timeType ||
		slices.ContainsFunc(a.metadata, func(m Metadatum) bool { return m.Label == labelColumnSchema }) {
		return a.metadata
	}
	columns := columnsOfType(a.typ.Elem())
	if columns.invalid() != nil {
		return a.metadata // a struct without exported fields, or whose tags call two fields alike, is no table
	}
	return append(slices.Clip(a.metadata), columns)
}

// columnMemory keeps the columns of types: in a location of thousands of assets, reflection would be most of the time
// that a snapshot takes.
var columnMemory sync.Map // reflect.Type → Metadatum

func columnsOfType(row reflect.Type) Metadatum {
	if known, ok := columnMemory.Load(row); ok {
		return known.(Metadatum)
	}
	columns := ColumnSchema(schemaOf(row))
	columnMemory.Store(row, columns)
	return columns
}
