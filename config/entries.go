package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readEntries reads a list of entries, such as alerts.sinks, strictly, and lists everything that is wrong. reject is told of the
// place within the list: "[0].url".
func readEntries(node *yaml.Node, entry reflect.Type, reject func(node *yaml.Node, place, message, fix string)) any {
	read := reflect.MakeSlice(reflect.SliceOf(entry), 0, len(node.Content))
	if node.Kind != yaml.SequenceNode {
		reject(node, "", "must be "+entries.phrase(), "")
		return read.Interface()
	}
	for i, item := range node.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		value, place := reflect.New(entry).Elem(), fmt.Sprintf("[%d]", i)
		if item.Kind != yaml.MappingNode {
			reject(item, place, "must be a section", "write its keys, as in - name: …")
			continue
		}
		readEntry(item, value, place, reject)
		read = reflect.Append(read, value)
	}
	return read.Interface()
}

func readEntry(node *yaml.Node, entry reflect.Value, place string, reject func(node *yaml.Node, place, message, fix string)) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range entry.NumField() {
		name := entry.Type().Field(i).Tag.Get("mapstructure")
		fields[name] = entry.Field(i)
		names = append(names, name)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		label, value := node.Content[i], node.Content[i+1]
		field, known := fields[label.Value]
		at := place + "." + label.Value
		switch {
		case !known:
			fix := "remove it"
			if near := nearest(label.Value, names, slipOfAKey); near != "" {
				fix = "did you mean " + near + "?"
			}
			reject(label, at, "is no configuration key", fix)
			continue
		case seen[label.Value]:
			reject(label, at, "stands there twice", "keep one")
			continue
		}
		seen[label.Value] = true
		decoded, err := decodeField(value, field.Type())
		if err != nil {
			reject(label, at, err.Error(), "")
			continue
		}
		field.Set(reflect.ValueOf(decoded))
	}
}

func decodeField(node *yaml.Node, field reflect.Type) (any, error) {
	if field.Kind() != reflect.Map {
		return decode(node, kindOf(field))
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	texts := map[string]string{}
	if node.Kind != yaml.MappingNode {
		return nil, errors.New("must be names with a text each")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		text, err := decode(node.Content[i+1], kindOf(field.Elem()))
		if err != nil {
			return nil, fmt.Errorf("has %q, which %w", node.Content[i].Value, err)
		}
		texts[node.Content[i].Value], _ = text.(string)
	}
	return texts, nil
}

// parseEntries reads entries as they stand in a variable or flag: as YAML, or JSON, which is YAML. Its error quotes no value.
func parseEntries(value string, entry reflect.Type) (any, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(value), &document); err != nil || document.Kind == 0 {
		return nil, errors.New("must be " + entries.phrase() + ", as YAML or JSON")
	}
	var problems []string
	read := readEntries(document.Content[0], entry, func(_ *yaml.Node, place, message, fix string) {
		if fix != "" {
			message += " (" + fix + ")"
		}
		problems = append(problems, place+" "+message)
	})
	if len(problems) > 0 {
		return nil, errors.New("has problems: " + strings.TrimSpace(strings.Join(problems, "; ")))
	}
	return read, nil
}
