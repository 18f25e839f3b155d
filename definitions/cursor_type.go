package definitions

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// notJSON says why values of a type cannot be kept as JSON: "" when they can. open are the types around it.
func notJSON(typ reflect.Type, open []reflect.Type) string {
	if slices.Contains(open, typ) || marshals(typ) {
		return ""
	}
	open = append(open, typ)
	switch typ.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Sprintf("and JSON has no %v", typ)
	case reflect.Map:
		switch key := typ.Key(); key.Kind() {
		case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		default:
			if !key.Implements(textMarshaler) {
				return fmt.Sprintf("and JSON has no keys of type %v", key)
			}
		}
		return notJSON(typ.Elem(), open)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return notJSON(typ.Elem(), open)
	case reflect.Struct:
		return notJSONStruct(typ, open)
	default:
		return ""
	}
}

func notJSONStruct(typ reflect.Type, open []reflect.Type) string {
	exported := false
	for field := range typ.Fields() {
		if !field.IsExported() && !field.Anonymous {
			continue
		}
		exported = true
		if field.Tag.Get("json") == "-" {
			continue
		}
		if reason := notJSON(field.Type, open); reason != "" {
			return reason
		}
	}
	if typ.NumField() > 0 && !exported {
		return fmt.Sprintf("and %v has no exported field, of which JSON would keep anything", typ)
	}
	return ""
}

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
)

// marshals says whether a type writes itself.
func marshals(typ reflect.Type) bool {
	return typ.Implements(jsonMarshaler) || typ.Implements(textMarshaler) ||
		reflect.PointerTo(typ).Implements(jsonMarshaler) || reflect.PointerTo(typ).Implements(textMarshaler)
}
