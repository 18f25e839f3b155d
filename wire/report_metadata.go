package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// metadatumOf is a metadata value without its label: a plain JSON value, or {"type", "value"}.
func metadatumOf(data json.RawMessage) (Metadatum, *Problem) {
	data = bytes.TrimSpace(data)
	if kind, value, typed := typedValue(data); typed {
		return typedMetadatum(kind, value)
	}
	switch {
	case data[0] == '"':
		return Metadatum{Type: MetadataText, Value: data}, nil
	case data[0] == 't' || data[0] == 'f':
		return Metadatum{Type: MetadataBool, Value: data}, nil
	case isNumber(data):
		if whole, ok := wholeNumber(data); ok {
			return Metadatum{Type: MetadataInt, Value: whole}, nil
		}
		return Metadatum{Type: MetadataFloat, Value: data}, nil
	default:
		return Metadatum{Type: MetadataJSON, Value: data}, nil
	}
}

// typedValue reads {"type": "…", "value": …}; an object with anything else in it is a plain value.
func typedValue(data []byte) (kind MetadataType, value json.RawMessage, typed bool) {
	if data[0] != '{' {
		return "", nil, false
	}
	members := membersOf(data)
	if len(members) != 2 {
		return "", nil, false
	}
	for _, one := range members {
		switch one.name {
		case "type":
			if json.Unmarshal(one.data, &kind) != nil {
				return "", nil, false
			}
		case "value":
			value = one.data
		}
	}
	return kind, value, kind != "" && value != nil
}

// metadataTypes are all types, as they are documented.
var metadataTypes = []string{
	string(MetadataInt), string(MetadataFloat), string(MetadataText), string(MetadataURL), string(MetadataPath), string(MetadataJSON),
	string(MetadataMarkdown), string(MetadataTable), string(MetadataTableSchema), string(MetadataTimestamp), string(MetadataDuration),
	string(MetadataBool), string(MetadataAsset),
}

func typedMetadatum(kind MetadataType, value json.RawMessage) (Metadatum, *Problem) {
	refused := func(want string) (Metadatum, *Problem) {
		return Metadatum{}, &Problem{Code: CodeWrongType, Message: fmt.Sprintf("its type is %s, and its value must be %s, not %s", kind, want, describe(value))}
	}
	var text string
	isText := json.Unmarshal(value, &text) == nil && value[0] == '"'
	switch kind {
	case MetadataText, MetadataURL, MetadataPath, MetadataMarkdown, MetadataAsset:
		if !isText {
			return refused("a string")
		}
	case MetadataInt:
		whole, ok := wholeNumber(value)
		if !ok {
			return refused("a whole number")
		}
		value = whole
	case MetadataFloat:
		if !isNumber(value) {
			return refused("a number")
		}
	case MetadataBool:
		if value[0] != 't' && value[0] != 'f' {
			return refused("true or false")
		}
	case MetadataTimestamp:
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return refused(`a time with its zone, like "2001-01-31T08:00:00Z"`)
		}
	case MetadataDuration:
		if _, err := time.ParseDuration(text); err != nil {
			return refused(`a duration, like "1m30s"`)
		}
	case MetadataTable:
		if !isTable(value) {
			return refused(`{"columns":[{"name","type"}],"rows":[[…]]} with a cell for each column in every row`)
		}
	case MetadataTableSchema:
		if !isTableSchema(value) {
			return refused(`{"columns":[{"name","type","description"}]}`)
		}
	case MetadataJSON:
	default:
		return Metadatum{}, &Problem{
			Code: CodeUnknown, Message: fmt.Sprintf("there is no metadata type %q", short(string(kind))), Fix: FixUnknown(string(kind), metadataTypes),
		}
	}
	return Metadatum{Type: kind, Value: value}, nil
}

// wholeNumber writes a whole number in digits alone, however it was written.
func wholeNumber(data json.RawMessage) (json.RawMessage, bool) {
	if !isNumber(data) {
		return nil, false
	}
	plain := plainNumber(json.Number(data))
	return json.RawMessage(plain), !bytes.ContainsAny([]byte(plain), ".eE")
}

type tableColumn struct {
	Name        *string `json:"name"`
	Type        string  `json:"type"`
	Description string  `json:"description"`
}

func isTable(data []byte) bool {
	var table struct {
		Columns *[]tableColumn       `json:"columns"`
		Rows    *[][]json.RawMessage `json:"rows"`
	}
	if !reads(data, &table) || table.Rows == nil || !named(table.Columns) {
		return false
	}
	for _, row := range *table.Rows {
		if len(row) != len(*table.Columns) {
			return false
		}
	}
	return true
}

func isTableSchema(data []byte) bool {
	var schema struct {
		Columns *[]tableColumn `json:"columns"`
	}
	return reads(data, &schema) && named(schema.Columns)
}

func reads(data []byte, into any) bool {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into) == nil
}

func named(columns *[]tableColumn) bool {
	if columns == nil {
		return false
	}
	for _, column := range *columns {
		if column.Name == nil {
			return false
		}
	}
	return true
}
