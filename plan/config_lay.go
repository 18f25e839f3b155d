package plan

import (
	"encoding/json"
	"maps"

	"github.com/perdure-io/perdure/wire"
)

// lay lays a config over another: the fields of a struct one by one, everything else whole, so that what a map or a list
// has by default can be left out. Neither is changed. The schema must be compiled.
func (s *configSchema) lay(under, over map[string]any) map[string]any {
	root, _ := s.document.(map[string]any)
	return s.layFields(root, under, over)
}

func (s *configSchema) layFields(node, under, over map[string]any) map[string]any {
	if len(over) == 0 {
		return under
	}
	laid := maps.Clone(under)
	if laid == nil {
		laid = map[string]any{}
	}
	properties, _ := s.structure(node)["properties"].(map[string]any)
	for name, value := range over {
		lower, lowerIsObject := laid[name].(map[string]any)
		upper, upperIsObject := value.(map[string]any)
		property, _ := properties[name].(map[string]any)
		if lowerIsObject && upperIsObject && s.structure(property) != nil {
			value = s.layFields(property, lower, upper)
		}
		laid[name] = value
	}
	return laid
}

const maxSchemaDepth = 20

// structure is the schema of a struct, or of one that may be null; nil for anything else.
func (s *configSchema) structure(node map[string]any) map[string]any {
	node = s.followed(node)
	if forms, _ := node["anyOf"].([]any); len(forms) > 0 {
		first, _ := forms[0].(map[string]any)
		node = s.followed(first)
	}
	if _, isStruct := node["properties"].(map[string]any); isStruct {
		return node
	}
	return nil
}

// followed is what a schema refers to; itself when it refers to nothing.
func (s *configSchema) followed(node map[string]any) map[string]any {
	for range maxSchemaDepth {
		reference, refers := node["$ref"].(string)
		if !refers {
			break
		}
		node = s.node(reference)
	}
	return node
}

// layRunConfig lays one run config over another, as [Planner.resolveConfig] lays layers. One that is not an object is given
// back as it is, to be refused.
func (p *Planner) layRunConfig(under, over json.RawMessage) json.RawMessage {
	if len(over) == 0 {
		return under
	}
	if len(under) == 0 {
		return over
	}
	lower, lowerProblems := wire.DecodeObject(under)
	upper, upperProblems := wire.DecodeObject(over)
	if len(upperProblems) > 0 || len(lowerProblems) > 0 {
		return over
	}
	for section, value := range upper {
		lowerEntries, lowerIsObject := lower[section].(map[string]any)
		upperEntries, upperIsObject := value.(map[string]any)
		if lowerIsObject && upperIsObject {
			value = p.layEntries(section, lowerEntries, upperEntries)
		}
		lower[section] = value
	}
	data, err := json.Marshal(lower)
	if err != nil {
		return over
	}
	return data
}

func (p *Planner) layEntries(section string, under, over map[string]any) map[string]any {
	laid := maps.Clone(under)
	for name, value := range over {
		lower, lowerIsObject := under[name].(map[string]any)
		upper, upperIsObject := value.(map[string]any)
		// What has no schema that can be read is refused anyhow.
		if schema := p.schemas[section][name]; lowerIsObject && upperIsObject && schema != nil && schema.compile() == nil {
			value = schema.lay(lower, upper)
		}
		laid[name] = value
	}
	return laid
}
