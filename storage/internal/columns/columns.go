// Package columns reads a struct type as the columns of a table, for every storage that keeps slices of structs.
package columns

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Column is one exported field of a struct.
type Column struct {
	// Name is the tag's, else the field's in snake_case.
	Name string
	// Field is the field's path in Go, for messages: "Route.Origin".
	Field string
	// Index finds the field with [reflect.Value.FieldByIndex].
	Index []int
	Type  reflect.Type
	Tag   reflect.StructTag
}

// RowType is the struct type of a slice of structs.
func RowType(t reflect.Type) (reflect.Type, error) {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Struct || t.Elem() == reflect.TypeFor[time.Time]() {
		return nil, fmt.Errorf("%v is not a slice of structs", t)
	}
	return t.Elem(), nil
}

// Of lists the columns of a struct type in the order of its fields. The tag of the given key names a column; "-" leaves
// the field out. Structs that are embedded by value give their fields. All that is wrong is returned joined.
func Of(row reflect.Type, tagKey string) ([]Column, error) {
	found, err := collect(row, tagKey, row.Name(), nil)
	problems := []error{err}
	byName := make(map[string]string, len(found))
	for _, column := range found {
		if other, ok := byName[column.Name]; ok {
			problems = append(problems, fmt.Errorf("%s and %s are both column %q: give one another %s tag", other, column.Field, column.Name, tagKey))
		}
		byName[column.Name] = column.Field
	}
	if len(found) == 0 && err == nil {
		problems = append(problems, fmt.Errorf("%v has no exported field, so its rows would be empty", row))
	}
	return found, errors.Join(problems...)
}

func collect(row reflect.Type, tagKey, path string, index []int) ([]Column, error) {
	var found []Column
	var problems []error
	for i := range row.NumField() {
		field := row.Field(i)
		name, tagged := field.Tag.Lookup(tagKey)
		at := append(append([]int(nil), index...), i)
		switch {
		case name == "-":
		case field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]():
			inner, err := collect(field.Type, tagKey, path+"."+field.Name, at)
			found, problems = append(found, inner...), append(problems, err)
		case !field.IsExported() && tagged:
			problems = append(problems, fmt.Errorf("%s.%s has a %s tag and is not exported: export it", path, field.Name, tagKey))
		case !field.IsExported():
		case tagged && strings.TrimSpace(name) == "":
			problems = append(problems, fmt.Errorf("%s.%s has an empty %s tag: name the column, or remove the tag", path, field.Name, tagKey))
		default:
			if !tagged {
				name = SnakeCase(field.Name)
			}
			found = append(found, Column{Name: name, Field: path + "." + field.Name, Index: at, Type: field.Type, Tag: field.Tag})
		}
	}
	return found, errors.Join(problems...)
}

// SnakeCase turns a Go name into a column's: DelayMinutes into delay_minutes, OriginID into origin_id.
func SnakeCase(name string) string {
	var snake strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			afterSmall := !unicode.IsUpper(runes[i-1]) && runes[i-1] != '_'
			beforeSmall := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && runes[i-1] != '_'
			if afterSmall || beforeSmall {
				snake.WriteByte('_')
			}
		}
		snake.WriteRune(unicode.ToLower(r))
	}
	return snake.String()
}
