package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Metadata is what a program reports under labels, each as {"type", "raw_value"}.
type Metadata map[string]value

type value struct {
	Type string          `json:"type"`
	Raw  json.RawMessage `json:"raw_value"`
}

// infer is the type of a value whose JSON says what it is.
const infer = "__infer__"

// plainTypes are those whose values are recorded as they come, with the form of their JSON.
var plainTypes = map[string]struct {
	as   wire.MetadataType
	form string
}{
	"text":                 {wire.MetadataText, "a string"},
	"url":                  {wire.MetadataURL, "a string"},
	"path":                 {wire.MetadataPath, "a string"},
	"notebook":             {wire.MetadataPath, "a string"},
	"md":                   {wire.MetadataMarkdown, "a string"},
	"dagster_run":          {wire.MetadataText, "a string"},
	"asset":                {wire.MetadataAsset, "a string"},
	"int":                  {wire.MetadataInt, "an integer"},
	"float":                {wire.MetadataFloat, "a number"},
	"bool":                 {wire.MetadataBool, "true or false"},
	"json":                 {wire.MetadataJSON, ""},
	"null":                 {wire.MetadataJSON, "null"},
	"table_column_lineage": {wire.MetadataJSON, "an object"},
}

// Lower is the metadata as it is recorded, sorted by label. Labels that begin with "dagster/" begin with "perdure/" there:
// dagster/row_count is the number of rows that Perdure charts. The error names every value that is not what its type says.
func (m Metadata) Lower() ([]wire.Metadatum, error) {
	var lowered []wire.Metadatum
	var problems []error
	for _, label := range slices.Sorted(maps.Keys(m)) {
		kind, content, err := m[label].lower()
		if err != nil {
			problems = append(problems, fmt.Errorf("metadata %q: %w", label, err))
			continue
		}
		if rest, ours := strings.CutPrefix(label, "dagster/"); ours {
			label = "perdure/" + rest
		}
		lowered = append(lowered, wire.Metadatum{Label: label, Type: kind, Value: content})
	}
	return lowered, errors.Join(problems...)
}

func (v value) lower() (wire.MetadataType, json.RawMessage, error) {
	if len(v.Raw) == 0 {
		v.Raw = json.RawMessage("null")
	}
	form := formOf(v.Raw)
	if v.Type == infer {
		v.Type = map[string]string{
			"a string": "text", "an integer": "int", "a number": "float", "true or false": "bool", "null": "null",
		}[form]
		if v.Type == "" {
			v.Type = "json"
		}
	}
	if plain, ok := plainTypes[v.Type]; ok {
		if form != plain.form && plain.form != "" && (form != "an integer" || plain.form != "a number") {
			return "", nil, fmt.Errorf("its type is %s, and its value is not %s: %s", v.Type, plain.form, shown(v.Raw))
		}
		return plain.as, v.Raw, nil
	}
	switch v.Type {
	case "timestamp":
		return lowerTimestamp(v.Raw)
	case "table_schema":
		return lowerSchema(v.Raw)
	case "table":
		return lowerTable(v.Raw)
	}
	return "", nil, fmt.Errorf("there is no type %q", v.Type)
}

// formOf says what a JSON value is.
func formOf(raw json.RawMessage) string {
	switch c := raw[0]; {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == 't' || c == 'f':
		return "true or false"
	case c == 'n':
		return "null"
	case bytes.ContainsAny(raw, ".eE"):
		return "a number"
	default:
		return "an integer"
	}
}

// lowerTimestamp takes seconds since 1970.
func lowerTimestamp(raw json.RawMessage) (wire.MetadataType, json.RawMessage, error) {
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return "", nil, fmt.Errorf("its type is timestamp, and its value is not a number of seconds since 1970: %s", shown(raw))
	}
	whole, part := math.Modf(seconds)
	moment := time.Unix(int64(whole), int64(part*float64(time.Second))).UTC().Round(time.Microsecond)
	content, err := json.Marshal(moment.Format(time.RFC3339Nano))
	return wire.MetadataTimestamp, content, err
}

type column struct {
	Name        string `json:"name"`
	Type        string `json:"type,omitempty"`
	Description string `json:"description,omitempty"`
}

// columnsOf takes a list of columns, or an object with one.
func columnsOf(raw json.RawMessage) ([]column, error) {
	var columns []column
	if json.Unmarshal(raw, &columns) == nil {
		return columns, nil
	}
	var schema struct {
		Columns *[]column `json:"columns"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil || schema.Columns == nil {
		return nil, fmt.Errorf(`a schema is {"columns": [{"name", "type"}]}, not %s`, shown(raw))
	}
	return *schema.Columns, nil
}

func lowerSchema(raw json.RawMessage) (wire.MetadataType, json.RawMessage, error) {
	columns, err := columnsOf(raw)
	if err != nil {
		return "", nil, err
	}
	content, err := json.Marshal(map[string]any{"columns": columns})
	return wire.MetadataTableSchema, content, err
}

// lowerTable takes records, and makes rows of them in the order of the schema's columns, or in that of their names.
func lowerTable(raw json.RawMessage) (wire.MetadataType, json.RawMessage, error) {
	var table struct {
		Records *[]map[string]json.RawMessage `json:"records"`
		Schema  json.RawMessage               `json:"schema"`
	}
	if err := json.Unmarshal(raw, &table); err != nil || table.Records == nil {
		return "", nil, fmt.Errorf(`a table is {"records": [{…}], "schema": {"columns": [{"name", "type"}]}}, not %s`, shown(raw))
	}
	var columns []column
	if len(table.Schema) > 0 && formOf(table.Schema) != "null" {
		var err error
		if columns, err = columnsOf(table.Schema); err != nil {
			return "", nil, err
		}
	} else {
		names := map[string]bool{}
		for _, record := range *table.Records {
			for name := range record {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			columns = append(columns, column{Name: name})
		}
	}
	rows := make([][]json.RawMessage, len(*table.Records))
	for i, record := range *table.Records {
		rows[i] = make([]json.RawMessage, len(columns))
		for j, one := range columns {
			if rows[i][j] = record[one.Name]; rows[i][j] == nil {
				rows[i][j] = json.RawMessage("null")
			}
		}
	}
	content, err := json.Marshal(map[string]any{"columns": columns, "rows": rows})
	return wire.MetadataTable, content, err
}
