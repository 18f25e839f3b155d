// Command generate writes the JSON Schemas of package wire and docs/wire.md. It runs in the folder of package schema,
// by go generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write(".", "../../../.."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(folder, root string) error {
	made, err := generate(filepath.Join(root, "wire"), "")
	if err != nil {
		return err
	}
	stale, err := filepath.Glob(filepath.Join(folder, "schemas", "*.json"))
	if err != nil {
		return err
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, content := range made.schemas {
		if err := os.WriteFile(filepath.Join(folder, "schemas", name+".json"), content, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "docs", "wire.md"), made.document, 0o644)
}
