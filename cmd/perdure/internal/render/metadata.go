package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// Value is a metadatum's value in one line.
func Value(fact wire.Metadatum) string {
	var text string
	if json.Unmarshal(fact.Value, &text) == nil {
		return OneLine(text)
	}
	var whole int64
	if fact.Type == wire.MetadataInt && json.Unmarshal(fact.Value, &whole) == nil {
		return Number(whole)
	}
	return OneLine(string(fact.Value))
}

type metadataTable struct {
	Columns []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	} `json:"columns"`
	Rows [][]any `json:"rows"`
}

// MetadataTable lays out a metadatum of type table. Its error says what does not fit wire.MetadataTable.
func (s Style) MetadataTable(fact wire.Metadatum) (string, error) {
	var content metadataTable
	decoder := json.NewDecoder(strings.NewReader(string(fact.Value)))
	decoder.UseNumber()
	if err := decoder.Decode(&content); err != nil {
		return "", fmt.Errorf("read metadata %q as a table: %w", fact.Label, err)
	}
	columns := make([]Column, len(content.Columns))
	for i, column := range content.Columns {
		columns[i].Title = column.Name
	}
	rows := make([][]string, len(content.Rows))
	for i, row := range content.Rows {
		if len(row) != len(columns) {
			return "", fmt.Errorf("read metadata %q as a table: row %d has %d cells, there are %d columns", fact.Label, i+1, len(row), len(columns))
		}
		for j, cell := range row {
			number, isNumber := cell.(json.Number)
			columns[j].Right = columns[j].Right || isNumber
			rows[i] = append(rows[i], cellText(cell, number))
		}
	}
	return s.Table(columns, rows), nil
}

func cellText(cell any, number json.Number) string {
	if whole, err := number.Int64(); err == nil && number != "" {
		return fmt.Sprint(whole)
	}
	if fraction, err := number.Float64(); err == nil && number != "" {
		return fmt.Sprintf("%.2f", fraction)
	}
	switch value := cell.(type) {
	case nil:
		return ""
	case string:
		return OneLine(value)
	default:
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Sprint(value)
		}
		return OneLine(string(data))
	}
}
