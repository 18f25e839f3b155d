package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Decode reads JSON from outside into the struct that into points to, strictly: everything that is wrong is
// returned, with its path, and then into is left as it was. Nil means that into holds the value.
//
// Problems are: no input, text that is not JSON, anything but an object, a null anywhere, a field that does not exist
// (names are case-sensitive) or stands twice, a value of the wrong type, a value that its type's UnmarshalJSON or
// UnmarshalText refuses, and a field "v" of a version that this code does not read. A whole number may be written as
// 3.0 or 3e0: tctl sends every number as a float. What lies in a json.RawMessage or an any is not looked into. The
// struct's maps must have string keys.
func Decode(data []byte, into any) Problems {
	target := reflect.ValueOf(into).Elem()
	if len(bytes.TrimSpace(data)) == 0 {
		return Problems{{Code: CodeMissing, Message: "there is no input", Fix: "give a JSON object, {} at least; " + knownFields(target.Type())}}
	}
	if problem, ok := syntaxProblem(data); !ok {
		return Problems{problem}
	}
	var d decoder
	value := reflect.New(target.Type()).Elem()
	d.decode("", bytes.TrimSpace(data), value)
	d.checkVersion(data, value)
	if len(d.problems) > 0 {
		return d.problems.capped()
	}
	target.Set(value)
	return nil
}

// decoder collects the problems of one input.
type decoder struct{ problems Problems }

func (d *decoder) add(path, code, message, fix string) {
	d.problems = append(d.problems, Problem{Path: path, Code: code, Message: message, Fix: fix})
}

func (d *decoder) wrongType(path, want string, data []byte) {
	d.add(path, CodeWrongType, fmt.Sprintf("must be %s, not %s", want, describe(data)), twiceEncoded(want, data))
}

var (
	rawMessageType = reflect.TypeFor[json.RawMessage]()
	timeType       = reflect.TypeFor[time.Time]()
)

// decode reads one valid JSON value into value, which is settable.
func (d *decoder) decode(path string, data []byte, value reflect.Value) {
	if data[0] == 'n' {
		fix := "leave it out, or give it a value"
		if path == "" {
			fix = "give a JSON object, {} at least; " + knownFields(value.Type())
		}
		d.add(path, CodeWrongType, "must not be null", fix)
		return
	}
	if value.Type() == rawMessageType {
		value.SetBytes(bytes.Clone(data))
		return
	}
	if value.Type() == timeType {
		d.time(path, data, value)
		return
	}
	if value.Kind() != reflect.Pointer {
		if unmarshaler, ok := reflect.TypeAssert[json.Unmarshaler](value.Addr()); ok {
			d.refused(path, unmarshaler.UnmarshalJSON(data))
			return
		}
		if unmarshaler, ok := reflect.TypeAssert[encoding.TextUnmarshaler](value.Addr()); ok {
			var text string
			if json.Unmarshal(data, &text) != nil {
				d.wrongType(path, "a string", data)
				return
			}
			d.refused(path, unmarshaler.UnmarshalText([]byte(text)))
			return
		}
	}
	d.decodeKind(path, data, value)
}

func (d *decoder) decodeKind(path string, data []byte, value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		d.decode(path, data, value.Elem())
	case reflect.Struct:
		d.object(path, data, value)
	case reflect.Map:
		d.entries(path, data, value)
	case reflect.Slice:
		d.list(path, data, value)
	case reflect.String:
		var text string
		if json.Unmarshal(data, &text) != nil {
			d.wrongType(path, "a string", data)
			return
		}
		value.SetString(text)
	case reflect.Bool:
		if data[0] != 't' && data[0] != 'f' {
			d.wrongType(path, "true or false", data)
			return
		}
		value.SetBool(data[0] == 't')
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.integer(path, data, value)
	case reflect.Float32, reflect.Float64:
		number, err := strconv.ParseFloat(string(data), 64)
		switch {
		case !isNumber(data):
			d.wrongType(path, "a number", data)
		case err != nil || value.OverflowFloat(number):
			d.add(path, CodeInvalid, fmt.Sprintf("is out of range: %s", short(string(data))), "")
		default:
			value.SetFloat(number)
		}
	default: // any, and whatever else encoding/json knows
		if err := json.Unmarshal(data, value.Addr().Interface()); err != nil {
			d.refused(path, err)
		}
	}
}

func (d *decoder) integer(path string, data []byte, value reflect.Value) {
	if !isNumber(data) {
		d.wrongType(path, "a whole number", data)
		return
	}
	number, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		float, floatErr := strconv.ParseFloat(string(data), 64)
		if floatErr == nil && float != math.Trunc(float) {
			d.wrongType(path, "a whole number", data)
			return
		}
		// -2^63 is a float64, 2^63 is the first above every int64.
		if floatErr != nil || float < math.MinInt64 || float >= -math.MinInt64 {
			d.add(path, CodeInvalid, fmt.Sprintf("is out of range: %s", short(string(data))), "")
			return
		}
		number = int64(float)
	}
	if value.OverflowInt(number) {
		d.add(path, CodeInvalid, fmt.Sprintf("is out of range: %s", short(string(data))), "")
		return
	}
	value.SetInt(number)
}

func (d *decoder) time(path string, data []byte, value reflect.Value) {
	var text string
	if json.Unmarshal(data, &text) != nil {
		d.wrongType(path, "a time", data)
		return
	}
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d.add(path, CodeInvalid, fmt.Sprintf("is no time: %s", describe(data)), `write it with its zone, like "2001-01-31T08:00:00Z"`)
		return
	}
	value.Set(reflect.ValueOf(moment))
}

// refused turns the error of a type's own decoding into problems; a type may return [Problems] with paths below its own.
func (d *decoder) refused(path string, err error) {
	var problems Problems
	switch {
	case err == nil:
	case errors.As(err, &problems):
		d.problems = append(d.problems, problems.Below(path)...)
	default:
		d.add(path, CodeInvalid, err.Error(), "")
	}
}

func (d *decoder) object(path string, data []byte, value reflect.Value) {
	if data[0] != '{' {
		d.wrongType(path, "a JSON object", data)
		return
	}
	fields := fieldsOf(value.Type())
	seen := map[string]bool{}
	for _, member := range membersOf(data) {
		at := FieldPath(path, member.name)
		index, known := fields.index[member.name]
		switch {
		case !known && !seen[member.name]:
			d.add(at, CodeUnknownField, fmt.Sprintf("unknown field %q", short(member.name)), FixUnknown(member.name, fields.names))
		case seen[member.name]:
			d.add(at, CodeConflict, "is given twice", "give it once")
		default:
			d.decode(at, member.data, value.FieldByIndex(index))
		}
		seen[member.name] = true
	}
}

func (d *decoder) entries(path string, data []byte, value reflect.Value) {
	if data[0] != '{' {
		d.wrongType(path, "a JSON object", data)
		return
	}
	members := membersOf(data)
	value.Set(reflect.MakeMapWithSize(value.Type(), len(members)))
	for _, member := range members {
		at := FieldPath(path, member.name)
		key := reflect.ValueOf(member.name).Convert(value.Type().Key())
		if value.MapIndex(key).IsValid() {
			d.add(at, CodeConflict, "is given twice", "give it once")
			continue
		}
		entry := reflect.New(value.Type().Elem()).Elem()
		d.decode(at, member.data, entry)
		value.SetMapIndex(key, entry)
	}
}

func (d *decoder) list(path string, data []byte, value reflect.Value) {
	if data[0] != '[' {
		d.wrongType(path, "a list", data)
		return
	}
	items := itemsOf(data)
	value.Set(reflect.MakeSlice(value.Type(), len(items), len(items)))
	for i, item := range items {
		d.decode(ItemPath(path, i), item, value.Index(i))
	}
}

// checkVersion refuses what was written for another version: this code reads Version and the one before.
func (d *decoder) checkVersion(data []byte, value reflect.Value) {
	if data = bytes.TrimSpace(data); value.Kind() != reflect.Struct || data[0] != '{' {
		return
	}
	index, has := fieldsOf(value.Type()).index["v"]
	if !has || value.FieldByIndex(index).Kind() != reflect.Int {
		return
	}
	for _, member := range membersOf(data) {
		given := value.FieldByIndex(index).Int()
		if member.name != "v" || (given >= Version-1 && given <= Version) {
			continue
		}
		fix := fmt.Sprintf("leave v out, or send %d in its form", Version)
		if given > Version {
			fix = "upgrade the workers, or " + fix
		}
		d.add("v", CodeInvalid, fmt.Sprintf("is version %d, which is not read here: only %d and %d are", given, Version-1, Version), fix)
		return
	}
}

func knownFields(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return ""
	}
	return "its fields: " + strings.Join(fieldsOf(t).names, ", ")
}
