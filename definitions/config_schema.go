package definitions

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"time"
)

// durationPattern is what time.ParseDuration reads.
const durationPattern = `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// schema is the node as JSON Schema, draft 2020-12.
func (n *configNode) schema() map[string]any {
	switch n.kind {
	case configBool:
		return map[string]any{"type": "boolean"}
	case configInt:
		return n.limited(n.integerSchema())
	case configUint:
		return n.limited(n.integerSchema())
	case configFloat:
		return n.limited(map[string]any{"type": "number"})
	case configString:
		return n.limited(map[string]any{"type": "string"})
	case configDuration:
		return map[string]any{"type": "string", "pattern": durationPattern, "examples": []any{"1m30s"}}
	case configTime:
		return map[string]any{"type": "string", "format": "date-time", "examples": []any{"2001-01-31T06:00:00Z"}}
	case configSecret:
		return map[string]any{
			"type":                 "object",
			"properties":           map[string]any{"env": map[string]any{"type": "string", "enum": slices.Sorted(slices.Values(n.enum))}},
			"required":             []string{"env"},
			"additionalProperties": false,
		}
	case configObject:
		return n.objectSchema()
	case configList:
		return map[string]any{"type": "array", "items": n.elem.schema()}
	case configMap:
		return map[string]any{"type": "object", "additionalProperties": n.elem.schema()}
	default: // configPointer
		return map[string]any{"anyOf": []any{n.elem.schema(), map[string]any{"type": "null"}}}
	}
}

func (n *configNode) objectSchema() map[string]any {
	properties := map[string]any{}
	required := []string{}
	for _, f := range n.fields {
		property := f.node.schema()
		if f.description != "" {
			property["description"] = f.description
		}
		properties[f.name] = property
		if f.required {
			required = append(required, f.name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		slices.Sort(required)
		schema["required"] = required
	}
	return schema
}

// integerSchema bounds what the Go type cannot hold. 64 bits are beyond what JSON numbers are exact for, and have
// no bound but 0.
func (n *configNode) integerSchema() map[string]any {
	schema := map[string]any{"type": "integer"}
	if n.kind == configUint {
		schema["minimum"] = 0
		if bits := n.typ.Bits(); bits < 64 {
			schema["maximum"] = uint64(math.MaxUint64) >> (64 - bits)
		}
		return schema
	}
	if bits := n.typ.Bits(); bits < 64 {
		schema["minimum"], schema["maximum"] = -(int64(1) << (bits - 1)), int64(1)<<(bits-1)-1
	}
	return schema
}

func (n *configNode) limited(schema map[string]any) map[string]any {
	if n.enum == nil {
		return schema
	}
	values := make([]any, len(n.enum))
	for i, text := range n.enum {
		values[i] = text
		if n.kind != configString {
			values[i] = json.Number(text)
		}
	}
	schema["enum"] = values
	return schema
}

// encode is a value for encoding/json. Defaults leave out the required fields.
func (n *configNode) encode(value reflect.Value, defaults bool) any {
	switch n.kind {
	case configBool:
		return value.Bool()
	case configInt:
		return value.Int()
	case configUint:
		return value.Uint()
	case configFloat:
		if n.typ.Bits() == 32 {
			return float32(value.Float())
		}
		return value.Float()
	case configString:
		return value.String()
	case configDuration:
		return time.Duration(value.Int()).String()
	case configObject:
		object := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			if !defaults || !f.required {
				object[f.name] = f.node.encode(value.FieldByIndex(f.index), defaults)
			}
		}
		return object
	case configList:
		list := make([]any, value.Len())
		for i := range list {
			list[i] = n.elem.encode(value.Index(i), false)
		}
		return list
	case configMap:
		object := make(map[string]any, value.Len())
		for key, elem := range value.Seq2() {
			object[key.String()] = n.elem.encode(elem, false)
		}
		return object
	case configPointer:
		if value.IsNil() {
			return nil
		}
		return n.elem.encode(value.Elem(), false)
	default: // configTime, configSecret
		return value.Interface()
	}
}
