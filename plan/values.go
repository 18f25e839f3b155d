package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// Configs are read as generic JSON: map[string]any, []any, string, bool, json.Number and nil.

func child(value any, token string) any {
	switch parent := value.(type) {
	case map[string]any:
		return parent[token]
	case []any:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(parent) {
			return parent[i]
		}
	}
	return nil
}

func lookUp(value any, location []string) any {
	for _, token := range location {
		value = child(value, token)
	}
	return value
}

// holds says whether an object has a value at a location.
func holds(object map[string]any, location []string) bool {
	if len(location) == 0 {
		return object != nil
	}
	parent := lookUp(object, location[:len(location)-1])
	last := location[len(location)-1]
	if list, isList := parent.([]any); isList {
		i, err := strconv.Atoi(last)
		return err == nil && i >= 0 && i < len(list)
	}
	members, _ := parent.(map[string]any)
	_, has := members[last]
	return has
}

func valuePath(path string, value any, location []string) string {
	for _, token := range location {
		if i, err := strconv.Atoi(token); err == nil {
			if _, isList := value.([]any); isList {
				path, value = wire.ItemPath(path, i), child(value, token)
				continue
			}
		}
		path, value = wire.FieldPath(path, token), child(value, token)
	}
	return path
}

func exampleConfig(section, name string, location []string, value any) string {
	for _, token := range slices.Backward(location) {
		value = map[string]any{token: value}
	}
	return `"config":` + compactJSON(map[string]any{section: map[string]any{name: value}})
}

func typeNames(wanted []string) string {
	names := make([]string, len(wanted))
	for i, name := range wanted {
		switch name {
		case "integer":
			names[i] = "a whole number"
		case "boolean":
			names[i] = "true or false"
		case "array":
			names[i] = "a list"
		case "object":
			names[i] = "an object"
		case "null":
			names[i] = "null"
		default:
			names[i] = "a " + name
		}
	}
	return strings.Join(names, " or ")
}

func describeValue(value any) string {
	switch value := value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		if len(value) > 60 {
			return "a longer string"
		}
		return fmt.Sprintf("the string %q", value)
	case json.Number:
		return "the number " + value.String()
	default:
		return compactJSON(value)
	}
}

func compactJSON(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(text.String())
}

func compactList(values []any) string {
	written := make([]string, len(values))
	for i, value := range values {
		written[i] = compactJSON(value)
	}
	return strings.Join(written, ", ")
}

func texts(values []any) []string {
	var found []string
	for _, value := range values {
		if text, isText := value.(string); isText {
			found = append(found, text)
		}
	}
	return found
}
