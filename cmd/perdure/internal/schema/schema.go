// Package schema holds the JSON Schemas of what crosses a process: requests, results, queries and updates. They are
// generated from the structs of package wire, as docs/wire.md is.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

//go:generate go run ./generate

//go:embed schemas/*.json
var files embed.FS

// Names are the types that have a schema, sorted.
func Names() ([]string, error) {
	entries, err := fs.ReadDir(files, "schemas")
	if err != nil {
		return nil, fmt.Errorf("list the schemas: %w", err)
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".json")
	}
	return names, nil
}

// Of is the JSON Schema (draft 2020-12) of the type. Its error names the types there are.
func Of(name string) ([]byte, error) {
	content, err := files.ReadFile("schemas/" + name + ".json")
	if err == nil {
		return content, nil
	}
	names, err := Names()
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("there is no schema %q (%s)", name, wire.FixUnknown(name, names))
}
