package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// givenConfig is the run config of a command line: a file, and settings that are laid over it.
type givenConfig struct {
	root     map[string]any // nil without a file
	settings []setting
}

// runConfig reads a YAML or JSON file ("-" is standard input) and settings PATH=VALUE.
func (a *app) runConfig(file string, settings []string) (givenConfig, error) {
	var given givenConfig
	if file != "" {
		read, err := a.readConfig(file)
		if err != nil {
			return given, err
		}
		given.root = read
	}
	var problems []error
	for _, text := range settings {
		parsed, err := parseSetting(text)
		problems = append(problems, err)
		given.settings = append(given.settings, parsed)
	}
	if err := errors.Join(problems...); err != nil {
		return given, usageError{err}
	}
	return given, nil
}

// encode is the run config of a request; nil when nothing is given. names gives the location's names by section; it is
// asked only when a setting cannot be read without.
func (g givenConfig) encode(names func() (map[string][]string, error)) (json.RawMessage, error) {
	if g.root == nil && len(g.settings) == 0 {
		return nil, nil
	}
	known := map[string][]string{}
	if slices.ContainsFunc(g.settings, setting.ambiguous) {
		var err error
		if known, err = names(); err != nil {
			return nil, err
		}
	}
	root := map[string]any{}
	maps.Copy(root, g.root)
	var problems []error
	for _, one := range g.settings {
		problems = append(problems, one.layOver(root, known[one.parts[0].text]))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, usageError{err}
	}
	data, err := json.Marshal(root)
	if err != nil {
		return nil, fmt.Errorf("the run config is no JSON: %w", err)
	}
	return data, nil
}

func (a *app) readConfig(file string) (map[string]any, error) {
	name, read := file, func() ([]byte, error) { return os.ReadFile(a.env.path(file)) }
	if file == "-" {
		name, read = "standard input", func() ([]byte, error) { return io.ReadAll(a.env.Stdin) }
	}
	content, err := read()
	if err != nil {
		return nil, fmt.Errorf("read the run config: %w", err)
	}
	// JSON is YAML.
	var value any
	if err := yaml.Unmarshal(content, &value); err != nil {
		return nil, fmt.Errorf("the run config in %s is neither YAML nor JSON: %w", name, err)
	}
	if value == nil {
		return map[string]any{}, nil // all of it is commented out
	}
	root, isObject := value.(map[string]any)
	if !isObject {
		return nil, fmt.Errorf("the run config in %s must be an object with sections such as assets, ops and resources", name)
	}
	return root, nil
}

// pairs reads flags KEY=VALUE.
func pairs(flag string, given []string) (map[string]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	read := map[string]string{}
	var problems []error
	for _, pair := range given {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			problems = append(problems, fmt.Errorf("--%s %s: write it as KEY=VALUE", flag, pair))
			continue
		}
		read[key] = value
	}
	if err := errors.Join(problems...); err != nil {
		return nil, usageError{err}
	}
	return read, nil
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
