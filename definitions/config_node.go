package definitions

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// configKind is what a part of a config struct is in JSON.
type configKind int

const (
	configBool configKind = iota
	configInt
	configUint
	configFloat
	configString
	configDuration
	configTime
	configSecret
	configObject
	configList
	configMap
	configPointer
	// configAny takes any JSON: a payload may, a config not.
	configAny
)

// configNode is one part of a config struct: its schema, its encoding and its decoding follow from it.
type configNode struct {
	kind configKind
	typ  reflect.Type
	// fields of an object, in the order of the struct.
	fields []*configField
	// elem of a list, a map or a pointer.
	elem *configNode
	// enum are the only values, as texts; of a secret, the names of the environment variables. nil is no limit.
	enum []string
}

type configField struct {
	name        string
	index       []int
	required    bool
	description string
	node        *configNode
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	secretType   = reflect.TypeFor[Secret]()
	rawJSONType  = reflect.TypeFor[json.RawMessage]()
	anyType      = reflect.TypeFor[any]()
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// configReader reads the nodes off a struct type and remembers what it cannot take.
type configReader struct {
	config *config
	// open are the struct types around the part that is read: meeting one again is a recursion.
	open []reflect.Type
	// payload says that it is no config: it may hold anything, and no secrets.
	payload bool
}

func (r *configReader) wrong(path, message, fix string) { r.config.wrong(path, message, fix) }

func (r *configReader) root(typ reflect.Type) *configNode {
	if typ.Kind() != reflect.Struct || typ == timeType || typ == secretType {
		r.wrong("", fmt.Sprintf("%v is no struct of settings", typ), "give Config a struct with a field for each setting")
		return nil
	}
	return r.object(typ, "")
}

func (r *configReader) node(typ reflect.Type, path string) *configNode {
	switch typ {
	case durationType:
		return &configNode{kind: configDuration, typ: typ}
	case timeType:
		return &configNode{kind: configTime, typ: typ}
	case secretType:
		if !r.payload {
			return &configNode{kind: configSecret, typ: typ}
		}
		r.wrong(path, "an event holds a secret, and events are recorded", "take a string that names it")
		return nil
	case rawJSONType, anyType:
		if r.payload {
			return &configNode{kind: configAny, typ: typ}
		}
	}
	switch typ.Kind() {
	case reflect.Bool:
		return &configNode{kind: configBool, typ: typ}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &configNode{kind: configInt, typ: typ}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &configNode{kind: configUint, typ: typ}
	case reflect.Float32, reflect.Float64:
		return &configNode{kind: configFloat, typ: typ}
	case reflect.String:
		return &configNode{kind: configString, typ: typ}
	case reflect.Struct:
		return r.object(typ, path)
	case reflect.Slice:
		if typ.Elem().Kind() != reflect.Uint8 {
			return r.wrap(configList, typ, path+"[]")
		}
	case reflect.Map:
		if typ.Key().Kind() == reflect.String {
			return r.wrap(configMap, typ, path+".*")
		}
	case reflect.Pointer:
		if typ.Elem().Kind() != reflect.Pointer {
			return r.wrap(configPointer, typ, path)
		}
	}
	holder, more := "config", "definitions.Secret"
	if r.payload {
		holder, more = "an event", "json.RawMessage, any"
	}
	r.wrong(path, fmt.Sprintf("%s cannot hold a %v", holder, typ),
		fmt.Sprintf("use bool, integers, floats, string, time.Duration, time.Time, %s, structs, slices, maps by string, or pointers to these", more))
	return nil
}

func (r *configReader) wrap(kind configKind, typ reflect.Type, path string) *configNode {
	elem := r.node(typ.Elem(), path)
	if elem == nil {
		return nil
	}
	return &configNode{kind: kind, typ: typ, elem: elem}
}

func (r *configReader) object(typ reflect.Type, path string) *configNode {
	if slices.Contains(r.open, typ) {
		r.wrong(path, fmt.Sprintf("%v contains itself", typ), "use types that end")
		return nil
	}
	r.open = append(r.open, typ)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	node := &configNode{kind: configObject, typ: typ}
	names := map[string]string{}
	for _, field := range reflect.VisibleFields(typ) {
		if len(field.Index) > 1 && !promoted(typ, field.Index) {
			continue // it belongs to a nested object
		}
		if embedded(field) {
			continue // its fields are promoted, as encoding/json does
		}
		f := r.field(field, path)
		if f == nil {
			continue
		}
		if other, doubled := names[f.name]; doubled {
			r.wrong(join(path, f.name), fmt.Sprintf("the fields %s and %s have one JSON name", other, field.Name), "give one of them another with a json tag")
		}
		names[f.name] = field.Name
		node.fields = append(node.fields, f)
	}
	return node
}

// embedded says whether a field is a struct whose fields count as the outer struct's.
func embedded(field reflect.StructField) bool {
	return field.Anonymous && field.Type.Kind() == reflect.Struct && field.Tag.Get("json") == "" &&
		field.Type != timeType && field.Type != secretType
}

// promoted says whether a field of an embedded struct counts as one of typ.
func promoted(typ reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		if !embedded(typ.FieldByIndex(index[:i])) {
			return false
		}
	}
	return true
}

func (r *configReader) field(field reflect.StructField, path string) *configField {
	name := jsonName(field)
	if name == "" {
		return nil
	}
	path = join(path, name)
	if !field.IsExported() {
		r.wrong(path, fmt.Sprintf("the field %s is not exported, so config cannot set it", field.Name), `export it, or leave it out with the tag json:"-"`)
		return nil
	}
	f := &configField{name: name, index: field.Index, description: field.Tag.Get("description")}
	switch tag, given := field.Tag.Lookup("config"); {
	case tag == "required":
		f.required = true
	case given:
		r.wrong(path, fmt.Sprintf("the tag config:%q means nothing", tag), `write config:"required", or leave it out`)
	}
	if f.node = r.node(field.Type, path); f.node == nil {
		return nil
	}
	if tag, given := field.Tag.Lookup("enum"); given {
		r.limit(f.node, tag, path)
	}
	return f
}

// limit sets the enum of a node, or of the elements of a list, a map or a pointer.
func (r *configReader) limit(node *configNode, tag, path string) {
	for node.elem != nil {
		node = node.elem
	}
	for text := range strings.SplitSeq(tag, ",") {
		value, err := node.enumValue(strings.TrimSpace(text))
		if err != nil {
			r.wrong(path, fmt.Sprintf("the tag enum:%q: %v", tag, err), "list values of the field's type, separated by commas")
			return
		}
		node.enum = append(node.enum, value)
	}
}

// enumValue is one value of an enum tag in the form that scalarText gives.
func (n *configNode) enumValue(text string) (string, error) {
	value := reflect.New(n.typ).Elem()
	switch n.kind {
	case configString:
		return text, nil
	case configInt:
		parsed, err := strconv.ParseInt(text, 10, n.typ.Bits())
		if err != nil {
			return "", fmt.Errorf("%q is no %v", text, n.typ)
		}
		value.SetInt(parsed)
	case configUint:
		parsed, err := strconv.ParseUint(text, 10, n.typ.Bits())
		if err != nil {
			return "", fmt.Errorf("%q is no %v", text, n.typ)
		}
		value.SetUint(parsed)
	case configFloat:
		parsed, err := strconv.ParseFloat(text, n.typ.Bits())
		if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
			return "", fmt.Errorf("%q is no %v", text, n.typ)
		}
		value.SetFloat(parsed)
	case configSecret:
		if !variableName.MatchString(text) {
			return "", fmt.Errorf("%q is no name of an environment variable", text)
		}
		return text, nil
	default:
		return "", fmt.Errorf("a %v has no enum", n.typ)
	}
	return scalarText(value), nil
}

// scalarText is a value as it stands in an enum: a number in JSON's form, a string as it is.
func scalarText(value reflect.Value) string {
	switch {
	case value.CanInt():
		return strconv.FormatInt(value.Int(), 10)
	case value.CanUint():
		return strconv.FormatUint(value.Uint(), 10)
	case value.CanFloat():
		return strconv.FormatFloat(value.Float(), 'g', -1, value.Type().Bits())
	default:
		return value.String()
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
