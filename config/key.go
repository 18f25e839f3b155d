package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agnivade/levenshtein"
)

// kind is the type of a key's value.
type kind int

const (
	text kind = iota
	number
	boolean
	duration
	list
	entries
)

// phrase completes "must be".
func (k kind) phrase() string {
	switch k {
	case number:
		return "a whole number"
	case boolean:
		return "true or false"
	case duration:
		return "a duration such as 30s, 10m or 1h30m"
	case list:
		return "a list of names"
	case entries:
		return "a list of sections"
	default:
		return "text"
	}
}

// parse reads a value as it stands in a variable or a default. Its error does not quote the value: it may be a secret.
func (k kind) parse(value string) (any, error) {
	var (
		parsed any
		err    error
	)
	switch k {
	case number:
		parsed, err = strconv.Atoi(value)
	case boolean:
		parsed, err = strconv.ParseBool(value)
	case duration:
		parsed, err = time.ParseDuration(value)
	case list:
		var names []string
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, strings.TrimSpace(name))
		}
		return names, nil
	default:
		return value, nil
	}
	if err != nil {
		return nil, fmt.Errorf("must be %s", k.phrase())
	}
	return parsed, nil
}

// key is one configuration key, read off the struct's fields.
type key struct {
	name     string // temporal.address
	kind     kind
	entry    reflect.Type // of entries: the struct of each
	fallback string       // the default as text; "" for none
	computed string       // what the default is made of, when it is
	usage    string
}

// variable is the key's environment variable.
func (k key) variable() string {
	return "PERDURE_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// flag is the key's flag, without the two hyphens.
func (k key) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }

// hasFlag says whether the key can be given by a flag.
func (k key) hasFlag() bool { return k.kind != entries }

// keys are all keys in the order of the struct.
var keys = sync.OnceValue(func() []key { return keysOf(reflect.TypeFor[Config](), "") })

func keysOf(section reflect.Type, prefix string) []key {
	var found []key
	for field := range section.Fields() {
		name := field.Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		if field.Type.Kind() == reflect.Struct {
			found = append(found, keysOf(field.Type, prefix+name+".")...)
			continue
		}
		found = append(found, key{
			name: prefix + name, kind: kindOf(field.Type), entry: entryOf(field.Type), fallback: field.Tag.Get("default"),
			computed: field.Tag.Get("computed"), usage: field.Tag.Get("usage"),
		})
	}
	return found
}

func kindOf(field reflect.Type) kind {
	switch {
	case field == reflect.TypeFor[time.Duration]():
		return duration
	case field.Kind() == reflect.Int:
		return number
	case field.Kind() == reflect.Bool:
		return boolean
	case entryOf(field) != nil:
		return entries
	case field.Kind() == reflect.Slice:
		return list
	default:
		return text
	}
}

// entryOf is the struct of which a field is a list; nil when it is something else.
func entryOf(field reflect.Type) reflect.Type {
	if field.Kind() == reflect.Slice && field.Elem().Kind() == reflect.Struct {
		return field.Elem()
	}
	return nil
}

// parse reads the key's value as it stands in a variable or a default.
func (k key) parse(value string) (any, error) {
	if k.kind == entries {
		return parseEntries(value, k.entry)
	}
	return k.kind.parse(value)
}

// findKey is nil when there is no key of the name.
func findKey(name string) *key {
	for _, candidate := range keys() {
		if candidate.name == name {
			return &candidate
		}
	}
	return nil
}

// isSection says whether keys lie below the name.
func isSection(name string) bool {
	for _, candidate := range keys() {
		if strings.HasPrefix(candidate.name, name+".") {
			return true
		}
	}
	return false
}

// slipOfAKey is the distance, in letters, within which a name is taken for a misspelt one without further ground.
const slipOfAKey = 2

// nearest is the candidate that was probably meant, or "" when none is within the distance.
func nearest(name string, candidates []string, within int) string {
	best, least := "", math.MaxInt
	for _, candidate := range candidates {
		distance := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate))
		if distance < least {
			best, least = candidate, distance
		}
	}
	if least > within {
		return ""
	}
	return best
}

// meant proposes a key for a misspelt one: one with the same last part in another section counts as near.
func meant(name string) string {
	var names []string
	last := name[strings.LastIndex(name, ".")+1:]
	for _, candidate := range keys() {
		names = append(names, candidate.name)
		for section := candidate.name; strings.Contains(section, "."); {
			section = section[:strings.LastIndex(section, ".")]
			names = append(names, section)
		}
	}
	if near := nearest(name, names, slipOfAKey); near != "" {
		return near
	}
	for _, candidate := range keys() {
		if strings.HasSuffix(candidate.name, "."+last) {
			return candidate.name
		}
	}
	return nearest(name, names, max(slipOfAKey, len(name)/4))
}
