package blob

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// JSON is the format of everything that is neither bytes, text nor a table of another format. The elements of a slice are
// written and read one at a time, one a line, so that only one is held as text.
func JSON() Format { return jsonFormat{} }

type jsonFormat struct{}

func (jsonFormat) Extension() string { return "json" }

func (jsonFormat) Accepts(t reflect.Type) error {
	if err := jsonProblem(t, t.String(), map[reflect.Type]bool{}); err != nil {
		return fmt.Errorf("%v cannot be JSON: %w", t, err)
	}
	return nil
}

func (jsonFormat) Encode(w io.Writer, value any) error {
	v := reflect.ValueOf(value)
	if !streams(v.Type()) || v.IsNil() {
		return json.NewEncoder(w).Encode(value)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	before := "[\n"
	for i := range v.Len() {
		line.Reset()
		line.WriteString(before)
		before = ",\n"
		if err := encoder.Encode(v.Index(i).Interface()); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		line.Truncate(line.Len() - 1)
		if _, err := w.Write(line.Bytes()); err != nil {
			return err
		}
	}
	end := "\n]\n"
	if v.Len() == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

func (jsonFormat) Decode(r io.Reader, into any) error {
	decoder := json.NewDecoder(r)
	target := reflect.ValueOf(into).Elem()
	if err := decodeJSON(decoder, target); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

func decodeJSON(decoder *json.Decoder, target reflect.Value) error {
	if !streams(target.Type()) {
		return decoder.Decode(target.Addr().Interface())
	}
	start, err := decoder.Token()
	switch {
	case err != nil:
		return err
	case start == nil:
		target.SetZero()
		return nil
	case start != json.Delim('['):
		return fmt.Errorf("a list was expected, not %v", start)
	}
	elements := reflect.MakeSlice(target.Type(), 0, 0)
	for decoder.More() {
		element := reflect.New(target.Type().Elem())
		if err := decoder.Decode(element.Interface()); err != nil {
			return fmt.Errorf("element %d: %w", elements.Len(), err)
		}
		elements = reflect.Append(elements, element.Elem())
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	target.Set(elements)
	return nil
}

// streams says whether a type is a slice that JSON writes as a list of its elements.
func streams(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && !isBytes(t) &&
		!implements[json.Marshaler](t) && !implements[encoding.TextMarshaler](t) &&
		!implements[json.Unmarshaler](t) && !implements[encoding.TextUnmarshaler](t)
}

func implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Implements(i) || reflect.PointerTo(t).Implements(i)
}

// jsonProblem says what in a type JSON would not write, or not read back.
func jsonProblem(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	writes := implements[json.Marshaler](t) || implements[encoding.TextMarshaler](t)
	reads := implements[json.Unmarshaler](t) || implements[encoding.TextUnmarshaler](t)
	switch {
	case writes && reads:
		return nil
	case writes:
		return fmt.Errorf("%s (%v) marshals itself and cannot be read back: give it UnmarshalJSON or UnmarshalText", path, t)
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s is a %v, which JSON cannot hold: leave it out with `json:\"-\"`, or return another type", path, t.Kind())
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s is the interface %v, which cannot be read back: use a concrete type", path, t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return jsonProblem(t.Elem(), path+"[]", seen)
	case reflect.Map:
		return errors.Join(jsonKeyProblem(t.Key(), path), jsonProblem(t.Elem(), path+"[]", seen))
	case reflect.Struct:
		return jsonStructProblem(t, path, seen)
	}
	return nil
}

func jsonKeyProblem(key reflect.Type, path string) error {
	text := implements[encoding.TextMarshaler](key) && implements[encoding.TextUnmarshaler](key)
	switch kind := key.Kind(); {
	case text, kind == reflect.String, kind >= reflect.Int && kind <= reflect.Uintptr:
		return nil
	}
	return fmt.Errorf("%s is a map by %v, which is no JSON key: use strings or integers", path, key)
}

func jsonStructProblem(t reflect.Type, path string, seen map[reflect.Type]bool) error {
	var problems []error
	var written int
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		embedded := field.Anonymous && name == "" && deref(field.Type).Kind() == reflect.Struct
		if name == "-" && options == "" || !field.IsExported() && !embedded {
			continue
		}
		written++
		if !field.IsExported() && field.Type.Kind() == reflect.Pointer {
			problems = append(problems, fmt.Errorf("%s embeds %v, which JSON cannot make when reading: embed it by value, or export it", path, field.Type))
			continue
		}
		problems = append(problems, jsonProblem(field.Type, path+"."+field.Name, seen))
	}
	if written == 0 && t.NumField() > 0 {
		problems = append(problems, fmt.Errorf("%s (%v) has no field that JSON writes, so its content would be lost: export its fields", path, t))
	}
	return errors.Join(problems...)
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
