package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/perdure-io/perdure/wire"
)

// configSchema is a [ConfigSchema] that is compiled when first needed: most runs configure nothing.
type configSchema struct {
	source *ConfigSchema
	// mayRequire says that the defaults alone may not be a valid config.
	mayRequire bool

	once     sync.Once
	err      error
	compiled *jsonschema.Schema
	document any
	defaults map[string]any
}

// newConfigSchema is nil for nil.
func newConfigSchema(source *ConfigSchema) *configSchema {
	if source == nil {
		return nil
	}
	return &configSchema{source: source, mayRequire: bytes.Contains(source.Schema, []byte(`"required"`))}
}

const schemaURL = "urn:perdure:config"

func (s *configSchema) compile() error {
	s.once.Do(func() {
		if s.document, s.err = jsonschema.UnmarshalJSON(bytes.NewReader(s.source.Schema)); s.err != nil {
			s.err = fmt.Errorf("its schema is not JSON: %w", s.err)
			return
		}
		if len(s.source.Defaults) > 0 {
			defaults, problems := wire.DecodeObject(s.source.Defaults)
			if s.err = problems.Err(); s.err != nil {
				s.err = fmt.Errorf("its defaults: %w", s.err)
				return
			}
			s.defaults = defaults
		}
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft2020)
		compiler.AssertFormat()
		compiler.UseLoader(jsonschema.SchemeURLLoader{}) // a schema refers to nothing but itself
		if s.err = compiler.AddResource(schemaURL, s.document); s.err == nil {
			s.compiled, s.err = compiler.Compile(schemaURL)
		}
		if s.err != nil {
			s.err = fmt.Errorf("its schema: %w", s.err)
		}
	})
	return s.err
}

// schemaProblem is a problem with a value of a config.
type schemaProblem struct {
	// location leads to the value, from the config's root.
	location []string
	// problem has no path yet, and no fix where a value is missing.
	problem wire.Problem
	// example is what could be written where a value is missing.
	example any
}

// validate checks a config against a compiled schema.
func (s *configSchema) validate(config map[string]any) []schemaProblem {
	if config == nil {
		config = map[string]any{}
	}
	err := s.compiled.Validate(config)
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []schemaProblem{{problem: wire.Problem{Code: wire.CodeInvalid, Message: err.Error()}}}
	}
	found := s.translate(invalid, config)
	slices.SortStableFunc(found, func(a, b schemaProblem) int { return slices.Compare(a.location, b.location) })
	return found
}

// translate turns the library's tree of errors into problems.
func (s *configSchema) translate(invalid *jsonschema.ValidationError, config map[string]any) []schemaProblem {
	at := invalid.InstanceLocation
	node := s.node(invalid.SchemaURL)
	one := func(code, text, fix string) []schemaProblem {
		return []schemaProblem{{location: at, problem: wire.Problem{Code: code, Message: text, Fix: fix}}}
	}
	switch k := invalid.ErrorKind.(type) {
	case *kind.Type:
		if properties, _ := node["properties"].(map[string]any); properties["env"] != nil && len(properties) == 1 {
			return one(wire.CodeWrongType, "a secret is never written itself", fmt.Sprintf("name the environment variable that holds it: %s", compactJSON(s.example(node, 0))))
		}
		return one(wire.CodeWrongType, fmt.Sprintf("must be %s, not %s", typeNames(k.Want), describeValue(lookUp(config, at))), "")
	case *kind.Enum:
		fix := ""
		if text, isText := k.Got.(string); isText {
			if near := wire.Nearest(text, texts(k.Want)); near != "" {
				fix = fmt.Sprintf("did you mean %q?", near)
			}
		}
		return one(wire.CodeInvalid, fmt.Sprintf("must be one of %s, not %s", compactList(k.Want), describeValue(k.Got)), fix)
	case *kind.Required:
		var found []schemaProblem
		for _, name := range k.Missing {
			properties, _ := node["properties"].(map[string]any)
			property, _ := properties[name].(map[string]any)
			found = append(found, schemaProblem{
				location: append(slices.Clone(at), name), example: s.example(property, 0),
				problem: wire.Problem{Code: wire.CodeMissing, Message: fmt.Sprintf("%q is required and has no default", name)},
			})
		}
		return found
	case *kind.AdditionalProperties:
		properties, _ := node["properties"].(map[string]any)
		var found []schemaProblem
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			found = append(found, schemaProblem{location: append(slices.Clone(at), name), problem: wire.Problem{
				Code:    wire.CodeUnknownField,
				Message: fmt.Sprintf("unknown field %q", name), Fix: wire.FixUnknown(name, slices.Sorted(maps.Keys(properties))),
			}})
		}
		return found
	case *kind.AnyOf, *kind.OneOf:
		var reasons []string
		for _, cause := range invalid.Causes {
			for _, found := range s.translate(cause, config) {
				reasons = append(reasons, found.problem.Message)
			}
		}
		return one(wire.CodeInvalid, "fits none of the forms it may have: "+strings.Join(slices.Compact(reasons), "; or "), "")
	}
	if len(invalid.Causes) == 0 {
		return one(wire.CodeInvalid, invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English)), "")
	}
	var found []schemaProblem
	for _, cause := range invalid.Causes {
		found = append(found, s.translate(cause, config)...)
	}
	return found
}

// node is the part of the schema that a URL's fragment points to.
func (s *configSchema) node(location string) map[string]any {
	_, fragment, _ := strings.Cut(location, "#")
	if unescaped, err := url.PathUnescape(fragment); err == nil {
		fragment = unescaped
	}
	node := s.document
	for token := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if token != "" {
			node = child(node, strings.NewReplacer("~1", "/", "~0", "~").Replace(token))
		}
	}
	object, _ := node.(map[string]any)
	return object
}

const maxExampleDepth = 5

// example is a value that a part of the schema allows, as far as that is easily seen.
func (s *configSchema) example(node map[string]any, depth int) any {
	if reference, refers := node["$ref"].(string); refers && depth < maxExampleDepth {
		return s.example(s.node(reference), depth+1)
	}
	for _, keyword := range []string{"enum", "examples"} {
		if values, ok := node[keyword].([]any); ok && len(values) > 0 {
			return values[0]
		}
	}
	for _, keyword := range []string{"const", "default"} {
		if value, ok := node[keyword]; ok {
			return value
		}
	}
	if forms, _ := node["anyOf"].([]any); len(forms) > 0 && depth < maxExampleDepth {
		first, _ := forms[0].(map[string]any)
		return s.example(first, depth+1)
	}
	kinds, _ := node["type"].([]any)
	name, _ := node["type"].(string)
	if len(kinds) > 0 {
		name, _ = kinds[0].(string)
	}
	switch name {
	case "integer":
		return within(node, 1)
	case "number":
		return within(node, 0.5)
	case "boolean":
		return true
	case "array":
		return []any{}
	case "object":
		object := map[string]any{}
		required, _ := node["required"].([]any)
		for _, name := range texts(required) {
			properties, _ := node["properties"].(map[string]any)
			property, _ := properties[name].(map[string]any)
			if depth < maxExampleDepth {
				object[name] = s.example(property, depth+1)
			}
		}
		return object
	default:
		return "…"
	}
}

// within is a number if the bounds of a schema allow it, else one of these.
func within(node map[string]any, number float64) any {
	for _, keyword := range []string{"minimum", "maximum"} {
		bound, isNumber := node[keyword].(json.Number)
		if !isNumber {
			continue
		}
		limit, err := bound.Float64()
		if err == nil && (keyword == "minimum" && number < limit || keyword == "maximum" && number > limit) {
			return bound
		}
	}
	return number
}
