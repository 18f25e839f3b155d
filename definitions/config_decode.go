package definitions

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// configDecoder lays JSON over a config struct and collects every problem.
type configDecoder struct {
	// forDefaults is set while defaults are read, which have no required fields.
	forDefaults bool
	problems    wire.Problems
}

func (d *configDecoder) wrong(path, code, message, fix string) {
	d.problems = append(d.problems, wire.Problem{Path: path, Code: code, Message: message, Fix: fix})
}

func (d *configDecoder) decodeJSON(root *configNode, data json.RawMessage, into reflect.Value) {
	object, problems := wire.DecodeObject(data)
	if len(problems) > 0 {
		d.problems = append(d.problems, problems...)
		return
	}
	d.object(root, object, into, "")
}

func (d *configDecoder) decode(n *configNode, from any, into reflect.Value, path string) {
	switch n.kind {
	case configBool:
		if value, ok := from.(bool); ok {
			into.SetBool(value)
			return
		}
		d.wrongType(path, "true or false", from)
	case configInt, configUint, configFloat:
		d.number(n, from, into, path)
	case configString:
		if value, ok := d.text(from, path, "a string"); ok && d.allowed(n, value, path) {
			into.SetString(value)
		}
	case configDuration:
		value, ok := d.text(from, path, `a duration such as "1m30s"`)
		if !ok {
			return
		}
		parsed, err := time.ParseDuration(value)
		if err != nil {
			d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%q is no duration", value), `write it as "1m30s"`)
		}
		into.SetInt(int64(parsed))
	case configTime:
		value, ok := d.text(from, path, "a time in RFC 3339")
		if !ok {
			return
		}
		parsed, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%q is no time in RFC 3339", value), `write it as "2001-01-31T06:00:00Z"`)
		}
		into.Set(reflect.ValueOf(parsed))
	case configSecret:
		d.secret(n, from, into, path)
	case configObject:
		d.object(n, from, into, path)
	case configList:
		d.list(n, from, into, path)
	case configMap:
		d.dictionary(n, from, into, path)
	case configPointer:
		if from == nil {
			into.SetZero()
			return
		}
		value := reflect.New(n.elem.typ)
		d.decode(n.elem, from, value.Elem(), path)
		into.Set(value)
	case configAny:
		d.any(n, from, into, path)
	}
}

func (d *configDecoder) wrongType(path, want string, from any) {
	d.wrong(path, wire.CodeWrongType, fmt.Sprintf("must be %s, not %s", want, shown(from)), "")
}

// any takes JSON as it is.
func (d *configDecoder) any(n *configNode, from any, into reflect.Value, path string) {
	if n.typ == anyType {
		if from != nil {
			into.Set(reflect.ValueOf(from))
		}
		return
	}
	data, err := json.Marshal(from)
	if err != nil {
		d.wrong(path, wire.CodeInvalid, err.Error(), "")
		return
	}
	into.SetBytes(data)
}

func (d *configDecoder) text(from any, path, want string) (string, bool) {
	value, ok := from.(string)
	if !ok {
		d.wrongType(path, want, from)
	}
	return value, ok
}

func (d *configDecoder) allowed(n *configNode, value, path string) bool {
	if n.enum == nil || slices.Contains(n.enum, value) {
		return true
	}
	d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%q is not allowed", value), "use one of "+list(n.enum))
	return false
}

// number takes also 3.0 where a whole number is wanted: some clients write every number so.
func (d *configDecoder) number(n *configNode, from any, into reflect.Value, path string) {
	want := "a whole number"
	if n.kind == configFloat {
		want = "a number"
	}
	number, ok := from.(json.Number)
	if !ok {
		d.wrongType(path, want, from)
		return
	}
	if n.kind == configFloat {
		value, err := strconv.ParseFloat(number.String(), n.typ.Bits())
		if err != nil {
			d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%s is too large for a %v", number, n.typ), "")
			return
		}
		if d.allowed(n, scalarText(reflect.ValueOf(value).Convert(n.typ)), path) {
			into.SetFloat(value)
		}
		return
	}
	exact, ok := new(big.Rat).SetString(number.String())
	if !ok || !exact.IsInt() {
		d.wrongType(path, want, from)
		return
	}
	whole := exact.Num()
	switch {
	case n.kind == configInt && whole.IsInt64() && !into.OverflowInt(whole.Int64()):
		if d.allowed(n, whole.String(), path) {
			into.SetInt(whole.Int64())
		}
	case n.kind == configUint && whole.IsUint64() && !into.OverflowUint(whole.Uint64()):
		if d.allowed(n, whole.String(), path) {
			into.SetUint(whole.Uint64())
		}
	case n.kind == configUint && whole.Sign() < 0:
		d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%s is negative", number), "give 0 or more")
	default:
		d.wrong(path, wire.CodeInvalid, fmt.Sprintf("%s is out of range for %v", number, n.typ), "")
	}
}

func (d *configDecoder) secret(n *configNode, from any, into reflect.Value, path string) {
	object, _ := from.(map[string]any)
	env, ok := object["env"].(string)
	if !ok || len(object) != 1 {
		// The value itself is not shown: somebody may have written the secret here.
		d.wrong(path, wire.CodeWrongType, "must name an environment variable, never the secret itself",
			fmt.Sprintf(`write {"env":%q}`, n.enum[0]))
		return
	}
	if !slices.Contains(n.enum, env) {
		d.wrong(path, wire.CodeInvalid, fmt.Sprintf("the environment variable %q is not one that the definitions declare", env), "use one of "+list(n.enum))
		return
	}
	into.Set(reflect.ValueOf(Secret{env: env}))
}

func (d *configDecoder) object(n *configNode, from any, into reflect.Value, path string) {
	object, ok := from.(map[string]any)
	if !ok {
		d.wrongType(path, "an object", from)
		return
	}
	known := make(map[string]bool, len(n.fields))
	for _, f := range n.fields {
		known[f.name] = true
		value, given := object[f.name]
		field := into.FieldByIndex(f.index)
		switch {
		case given:
			d.decode(f.node, value, field, join(path, f.name))
		case f.required && !d.forDefaults:
			d.wrong(join(path, f.name), wire.CodeMissing, "is required", "give it a value")
		case f.node.kind == configObject:
			d.object(f.node, map[string]any{}, field, join(path, f.name)) // it may have required fields
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !known[name] {
			d.wrong(join(path, name), wire.CodeUnknownField, fmt.Sprintf("unknown field %q", name), wire.FixUnknown(name, n.names()))
		}
	}
}

func (n *configNode) names() []string {
	names := make([]string, len(n.fields))
	for i, f := range n.fields {
		names[i] = f.name
	}
	slices.Sort(names)
	return names
}

func (d *configDecoder) list(n *configNode, from any, into reflect.Value, path string) {
	items, ok := from.([]any)
	if !ok {
		d.wrongType(path, "a list", from)
		return
	}
	values := reflect.MakeSlice(n.typ, len(items), len(items))
	for i, item := range items {
		d.decode(n.elem, item, values.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	into.Set(values)
}

func (d *configDecoder) dictionary(n *configNode, from any, into reflect.Value, path string) {
	items, ok := from.(map[string]any)
	if !ok {
		d.wrongType(path, "an object", from)
		return
	}
	values := reflect.MakeMapWithSize(n.typ, len(items))
	for _, key := range slices.Sorted(maps.Keys(items)) {
		value := reflect.New(n.elem.typ).Elem()
		d.decode(n.elem, items[key], value, join(path, key))
		values.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), value)
	}
	into.Set(values)
}

// shown is a JSON value in a message.
func shown(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// list is names in a message: "a", "b" or "c".
func list(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	if len(quoted) < 2 {
		return strings.Join(quoted, "")
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
