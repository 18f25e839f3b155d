package blob

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/perdure-io/perdure/storage/internal/columns"
)

// cell is one column of a CSV file.
type cell struct {
	columns.Column
	encode func(reflect.Value) (string, error)
	decode func(string, reflect.Value) error
}

func cellOf(column columns.Column) (cell, error) {
	c := cell{Column: column}
	inner := column.Type
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	layout, hasLayout := column.Tag.Lookup("layout")
	isTime := inner == reflect.TypeFor[time.Time]()
	switch {
	case hasLayout && !isTime:
		return c, fmt.Errorf("%s has a layout tag and is no time.Time: remove the tag", column.Field)
	case isTime:
		if !hasLayout {
			layout = time.RFC3339Nano
		}
		c.encode, c.decode = timeCell(layout)
	case inner == reflect.TypeFor[time.Duration]():
		c.encode, c.decode = encodeDuration, decodeDuration
	case implements[encoding.TextMarshaler](inner) && implements[encoding.TextUnmarshaler](inner):
		c.encode, c.decode = encodeText, decodeText
	default:
		c.encode, c.decode = scalarCell(inner.Kind())
	}
	if c.encode == nil {
		return c, fmt.Errorf("%s is a %v, which is no cell of a CSV file: use a number, bool, string, time.Time, time.Duration or a type with MarshalText and UnmarshalText, or leave it out with `csv:\"-\"`",
			column.Field, column.Type)
	}
	if column.Type.Kind() == reflect.Pointer {
		c.encode, c.decode = optional(c.encode, c.decode)
	}
	return c, nil
}

func optional(encode func(reflect.Value) (string, error), decode func(string, reflect.Value) error) (func(reflect.Value) (string, error), func(string, reflect.Value) error) {
	return func(v reflect.Value) (string, error) {
			if v.IsNil() {
				return "", nil
			}
			return encode(v.Elem())
		}, func(text string, v reflect.Value) error {
			if text == "" {
				return nil
			}
			v.Set(reflect.New(v.Type().Elem()))
			return decode(text, v.Elem())
		}
}

// timeCell writes UTC where the layout cannot say the zone, so that what is read is the same moment.
func timeCell(layout string) (func(reflect.Value) (string, error), func(string, reflect.Value) error) {
	zoned := strings.Contains(layout, "Z07") || strings.Contains(layout, "-07")
	return func(v reflect.Value) (string, error) {
			at := v.Interface().(time.Time)
			if !zoned {
				at = at.UTC()
			}
			return at.Format(layout), nil
		}, func(text string, v reflect.Value) error {
			at, err := time.Parse(layout, text)
			if err != nil {
				return fmt.Errorf("%q is not a time like %q", text, layout)
			}
			v.Set(reflect.ValueOf(at))
			return nil
		}
}

func encodeDuration(v reflect.Value) (string, error) { return time.Duration(v.Int()).String(), nil }

func decodeDuration(text string, v reflect.Value) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration like \"1h30m\"", text)
	}
	v.SetInt(int64(d))
	return nil
}

func encodeText(v reflect.Value) (string, error) {
	if !v.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		copied := reflect.New(v.Type())
		copied.Elem().Set(v)
		v = copied
	}
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	return string(text), err
}

func decodeText(text string, v reflect.Value) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func scalarCell(kind reflect.Kind) (func(reflect.Value) (string, error), func(string, reflect.Value) error) {
	switch {
	case kind == reflect.String:
		return func(v reflect.Value) (string, error) { return v.String(), nil },
			func(text string, v reflect.Value) error { v.SetString(text); return nil }
	case kind == reflect.Bool:
		return func(v reflect.Value) (string, error) { return strconv.FormatBool(v.Bool()), nil }, decodeBool
	case kind >= reflect.Int && kind <= reflect.Int64:
		return func(v reflect.Value) (string, error) { return strconv.FormatInt(v.Int(), 10), nil }, decodeInt
	case kind >= reflect.Uint && kind <= reflect.Uint64:
		return func(v reflect.Value) (string, error) { return strconv.FormatUint(v.Uint(), 10), nil }, decodeUint
	case kind == reflect.Float32 || kind == reflect.Float64:
		return encodeFloat, decodeFloat
	}
	return nil, nil
}

func decodeBool(text string, v reflect.Value) error {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return unreadable(text, v, err)
	}
	v.SetBool(b)
	return nil
}

func decodeInt(text string, v reflect.Value) error {
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return unreadable(text, v, err)
	}
	v.SetInt(n)
	return nil
}

func decodeUint(text string, v reflect.Value) error {
	n, err := strconv.ParseUint(text, 10, v.Type().Bits())
	if err != nil {
		return unreadable(text, v, err)
	}
	v.SetUint(n)
	return nil
}

func encodeFloat(v reflect.Value) (string, error) {
	return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits()), nil
}

func decodeFloat(text string, v reflect.Value) error {
	f, err := strconv.ParseFloat(text, v.Type().Bits())
	if err != nil {
		return unreadable(text, v, err)
	}
	v.SetFloat(f)
	return nil
}

func unreadable(text string, v reflect.Value, err error) error {
	switch {
	case text == "":
		return fmt.Errorf("the cell is empty: make the field a *%v if that may be", v.Type())
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%q does not fit into %v", text, v.Type())
	}
	return fmt.Errorf("%q is no %v", text, v.Type())
}
