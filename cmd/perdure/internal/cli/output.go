package cli

import (
	"encoding/json"
	"fmt"
	"io"
)

// format is how a command prints.
type format string

const (
	tableFormat format = "table"
	jsonFormat  format = "json"
)

// String is the flag's value.
func (f *format) String() string { return string(*f) }

// Set reads the flag.
func (f *format) Set(text string) error {
	switch format(text) {
	case tableFormat, jsonFormat:
		*f = format(text)
		return nil
	default:
		return fmt.Errorf("must be table or json, not %q", text)
	}
}

// Type is what help calls the flag's value.
func (f *format) Type() string { return "format" }

// print writes to standard output.
func (a *app) print(text string) error {
	if _, err := io.WriteString(a.env.Stdout, text); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// printJSON writes a value as JSON to standard output.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.env.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}
