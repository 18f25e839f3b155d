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

// runConfig makes the run config of a request from a YAML or JSON file ("-" is standard input) and settings
// PATH=VALUE, which are laid over it. It is nil when neither is given.
func (a *app) runConfig(file string, settings []string) (json.RawMessage, error) {
	if file == "" && len(settings) == 0 {
		return nil, nil
	}
	root := map[string]any{}
	if file != "" {
		read, err := a.readConfig(file)
		if err != nil {
			return nil, err
		}
		root = read
	}
	var problems []error
	for _, setting := range settings {
		if err := set(root, setting); err != nil {
			problems = append(problems, err)
		}
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
	root, isObject := value.(map[string]any)
	if !isObject {
		return nil, fmt.Errorf("the run config in %s must be an object with the sections assets and resources", name)
	}
	return root, nil
}

// set lays one setting over the config: assets.route_delays.min_flights=5. The value is JSON, or else text.
func set(root map[string]any, setting string) error {
	path, text, found := strings.Cut(setting, "=")
	parts, err := splitPath(path)
	if !found || err != nil || len(parts) < 3 {
		return fmt.Errorf(`--set %s: write it as assets.KEY.FIELD=VALUE or resources.NAME.FIELD=VALUE; a name with dots in it as assets["a.b"].FIELD=VALUE`, setting)
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		value = text
	}
	section := root
	for i, part := range parts[:len(parts)-1] {
		switch below := section[part].(type) {
		case nil:
			made := map[string]any{}
			section[part], section = made, made
		case map[string]any:
			section = below
		default:
			return fmt.Errorf("--set %s: %s is a value already, not an object", setting, strings.Join(parts[:i+1], "."))
		}
	}
	section[parts[len(parts)-1]] = value
	return nil
}

var errPath = errors.New("malformed path")

// splitPath reads a path as messages write it: a.b["c.d"].e.
func splitPath(path string) ([]string, error) {
	var parts []string
	for rest := path; rest != ""; {
		if quoted, ok := strings.CutPrefix(rest, `["`); ok {
			name, after, closed := strings.Cut(quoted, `"]`)
			if !closed || name == "" {
				return nil, errPath
			}
			parts, rest = append(parts, name), after
		} else {
			end := strings.IndexAny(rest, `.[`)
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, errPath
			}
			parts, rest = append(parts, rest[:end]), rest[end:]
		}
		if after, dot := strings.CutPrefix(rest, "."); dot {
			if after == "" {
				return nil, errPath
			}
			rest = after
		}
	}
	return parts, nil
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
