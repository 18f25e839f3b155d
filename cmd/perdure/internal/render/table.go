package render

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Column is one column of a table.
type Column struct {
	Title string
	// Right aligns numbers.
	Right bool
}

// Table lays out rows of as many cells as there are columns, without lines. Columns that are empty in every row are
// left out: a table says only what differs. It ends with a line break.
func (s Style) Table(columns []Column, rows [][]string) string {
	used := make([]bool, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	writer := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	writer.SetStyle(style)
	var header table.Row
	var configs []table.ColumnConfig
	for i, column := range columns {
		if !used[i] {
			continue
		}
		header = append(header, s.Bold(strings.ToUpper(column.Title)))
		if column.Right {
			configs = append(configs, table.ColumnConfig{Number: len(header), Align: text.AlignRight, AlignHeader: text.AlignRight})
		}
	}
	writer.SetColumnConfigs(configs)
	writer.AppendHeader(header)
	for _, row := range rows {
		var cells table.Row
		for i, cell := range row {
			if used[i] {
				cells = append(cells, cell)
			}
		}
		writer.AppendRow(cells)
	}
	lines := strings.Split(writer.Render(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// Fields lays out names and values below each other; pairs with an empty value are left out.
func (s Style) Fields(pairs [][2]string) string {
	width := 0
	for _, pair := range pairs {
		if pair[1] != "" {
			width = max(width, len(pair[0]))
		}
	}
	var b strings.Builder
	for _, pair := range pairs {
		if pair[1] != "" {
			value := strings.ReplaceAll(pair[1], "\n", "\n"+strings.Repeat(" ", width+2))
			b.WriteString(s.Faint(pair[0]) + strings.Repeat(" ", width-len(pair[0])+2) + value + "\n")
		}
	}
	return b.String()
}
