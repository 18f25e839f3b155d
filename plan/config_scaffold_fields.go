package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

var plainYAMLKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// yamlWords are no strings in YAML, or were none in its earlier versions.
var yamlWords = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

// scaffoldFields writes the fields of one config.
type scaffoldFields struct{ schema *configSchema }

// scaffoldValues are the values of a struct's fields: all of them, those of these that the job gives, and the defaults.
type scaffoldValues struct{ all, given, defaults map[string]any }

func (v scaffoldValues) of(name string) scaffoldValues {
	inner := func(values map[string]any) map[string]any {
		object, _ := values[name].(map[string]any)
		return object
	}
	return scaffoldValues{inner(v.all), inner(v.given), inner(v.defaults)}
}

// fields are those of a struct, the required ones first. An absent struct is there only for whoever fills it in; its fields
// are commented out.
func (f scaffoldFields) fields(depth int, node map[string]any, values scaffoldValues, absent bool) []scaffoldLine {
	structure := f.schema.structure(node)
	properties, _ := structure["properties"].(map[string]any)
	names, _ := structure["required"].([]any)
	required := texts(names)
	slices.Sort(required)
	order := slices.Clone(required)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(required, name) {
			order = append(order, name)
		}
	}
	var lines []scaffoldLine
	for _, name := range order {
		property, _ := properties[name].(map[string]any)
		lines = append(lines, comments(depth, description(property, f.schema))...)
		lines = append(lines, f.field(depth, name, property, values, slices.Contains(required, name), absent)...)
	}
	return lines
}

func (f scaffoldFields) field(depth int, name string, property map[string]any, values scaffoldValues, isRequired, absent bool) []scaffoldLine {
	value, has := values.all[name]
	missing := isRequired && !has && !absent
	_, isObject := value.(map[string]any)
	if structure := f.schema.structure(property); structure != nil && !isSecret(structure) && (isObject || !has) {
		if members := f.fields(depth+1, property, values.of(name), absent || (!has && !isRequired)); len(members) > 0 {
			if missing {
				live(members)
			}
			return above(depth, name, members)
		}
		value = map[string]any{}
	} else if !has {
		value = f.schema.example(property, 0)
	}
	note := f.kind(property, 0)
	if isRequired {
		note += "; required"
	}
	if byDefault, hasDefault := values.defaults[name]; hasDefault {
		note += "; default " + yamlValue(byDefault)
	}
	if _, byJob := values.given[name]; byJob {
		note += "; the job gives " + yamlValue(value)
	}
	return append(comments(depth, note), scaffoldLine{depth: depth, live: missing, text: yamlKey(name) + ": " + yamlValue(value)})
}

// live makes all lines live, unless one is already: then the others have what they need.
func live(lines []scaffoldLine) {
	if slices.ContainsFunc(lines, func(line scaffoldLine) bool { return line.live }) {
		return
	}
	for i := range lines {
		lines[i].live = !lines[i].comment
	}
}

func description(property map[string]any, schema *configSchema) string {
	text, _ := property["description"].(string)
	if text == "" {
		text, _ = schema.followed(property)["description"].(string)
	}
	return text
}

// isSecret says whether a struct is a secret: it names an environment variable and nothing else.
func isSecret(structure map[string]any) bool {
	properties, _ := structure["properties"].(map[string]any)
	return len(properties) == 1 && properties["env"] != nil
}

// kind says what values a schema allows.
func (f scaffoldFields) kind(node map[string]any, depth int) string {
	node = f.schema.followed(node)
	if values, ok := node["enum"].([]any); ok {
		return "one of " + compactList(values)
	}
	if forms, _ := node["anyOf"].([]any); len(forms) > 0 && depth < maxExampleDepth {
		kinds := make([]string, len(forms))
		for i, form := range forms {
			one, _ := form.(map[string]any)
			kinds[i] = f.kind(one, depth+1)
		}
		return strings.Join(kinds, ", or ")
	}
	name, _ := node["type"].(string)
	switch name {
	case "integer":
		return "whole number" + bounds(node)
	case "number":
		return "number" + bounds(node)
	case "boolean":
		return "true or false"
	case "string":
		return text(node)
	case "null":
		return "null"
	case "array":
		items, _ := node["items"].(map[string]any)
		return "list" + f.of(items, depth)
	case "object":
		return f.object(node, depth)
	default:
		return "any value"
	}
}

func (f scaffoldFields) of(node map[string]any, depth int) string {
	if node == nil || depth >= maxExampleDepth {
		return ""
	}
	return " of (" + f.kind(node, depth+1) + ")"
}

func (f scaffoldFields) object(node map[string]any, depth int) string {
	properties, _ := node["properties"].(map[string]any)
	if isSecret(node) {
		variable, _ := properties["env"].(map[string]any)
		names, _ := f.schema.followed(variable)["enum"].([]any)
		return "secret: {env: NAME} names the environment variable that holds it, one of " + strings.Join(texts(names), ", ")
	}
	if properties == nil {
		values, _ := node["additionalProperties"].(map[string]any)
		return "map by name" + f.of(values, depth)
	}
	required, _ := node["required"].([]any)
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		field := name
		if property, _ := properties[name].(map[string]any); depth < maxExampleDepth {
			field += ": " + f.kind(property, depth+1)
		}
		if slices.Contains(texts(required), name) {
			field += ", required"
		}
		fields = append(fields, field)
	}
	return "object with " + strings.Join(fields, "; ")
}

func bounds(node map[string]any) string {
	least, hasLeast := node["minimum"]
	most, hasMost := node["maximum"]
	switch {
	case hasLeast && hasMost:
		return fmt.Sprintf(", %v to %v", least, most)
	case hasLeast:
		return fmt.Sprintf(", at least %v", least)
	case hasMost:
		return fmt.Sprintf(", at most %v", most)
	default:
		return ""
	}
}

func text(node map[string]any) string {
	kind := "text"
	if node["format"] == "date-time" {
		kind = "time"
	}
	if examples, _ := node["examples"].([]any); len(examples) > 0 {
		return kind + " such as " + compactJSON(examples[0])
	}
	if pattern, ok := node["pattern"].(string); ok {
		return kind + " that matches " + pattern
	}
	return kind
}

// yamlValue is a value on one line, a secret without the quotes that it does not need.
func yamlValue(value any) string {
	if object, isObject := value.(map[string]any); isObject && len(object) == 1 {
		if name, isText := object["env"].(string); isText && plainYAMLKey.MatchString(name) && !slices.Contains(yamlWords, strings.ToLower(name)) {
			return "{env: " + name + "}"
		}
	}
	return compactJSON(value)
}
