package definitions

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// ConfigOf is the typed handle of a config struct with its defaults: a [Source] of it. Make one with [Config].
type ConfigOf[C any] struct{ def *config }

// config is a config struct without its type.
type config struct {
	declared
	typ      reflect.Type
	root     *configNode
	defaults json.RawMessage
	schema   json.RawMessage
}

// Config makes C the config schema of the asset, multi-asset or resource that binds it; each binds at most one. The
// values in defaults are the defaults of a run's config.
//
// C is a struct with exported fields: bool, integers, floats, string, [time.Duration] (in JSON "1m30s"), [time.Time]
// (RFC 3339), [Secret], structs, slices, maps by string, and pointers to these, which may be null. The JSON name of a
// field is its name in snake_case, or that of its json tag. More tags:
//
//	config:"required"        the field has no default: a run must give it
//	enum:"small,large"       the only values; of a Secret, the only environment variables
//	description:"what for"   for people
func Config[C any](defaults C) *ConfigOf[C] {
	typ := reflect.TypeFor[C]()
	c := &config{declared: declared{what: "config", name: typ.String(), at: place()}, typ: typ}
	reader := &configReader{config: c}
	c.root = reader.root(typ)
	if len(c.faults) == 0 {
		c.setDefaults(reflect.ValueOf(defaults))
	}
	return &ConfigOf[C]{c}
}

func (c *config) setDefaults(defaults reflect.Value) {
	c.root.check(defaults, "", false, c.wrong)
	if len(c.faults) > 0 {
		return
	}
	var err error
	if c.defaults, err = json.Marshal(c.root.encode(defaults, true)); err != nil {
		c.wrong("", fmt.Sprintf("its defaults cannot be written as JSON: %v", err), "use values that JSON has")
		return
	}
	schema := c.root.schema()
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	if c.schema, err = json.Marshal(schema); err != nil {
		c.wrong("", fmt.Sprintf("its schema cannot be written as JSON: %v", err), "use values that JSON has")
	}
}

// lower is nil for no config.
func (c *config) lower() *plan.ConfigSchema {
	if c == nil {
		return nil
	}
	return &plan.ConfigSchema{Schema: c.schema, Defaults: c.defaults}
}

// decode reads a config object strictly; what it leaves out has its default, and nil is all defaults. Every call
// makes a new value, which shares nothing. The error is [wire.Problems].
func (c *config) decode(object json.RawMessage) (reflect.Value, error) {
	value := reflect.New(c.typ).Elem()
	defaults := &configDecoder{forDefaults: true}
	defaults.decodeJSON(c.root, c.defaults, value)
	if len(object) == 0 {
		object = json.RawMessage("{}")
	}
	decoder := &configDecoder{}
	decoder.decodeJSON(c.root, object, value)
	if problems := append(defaults.problems, decoder.problems...); len(problems) > 0 {
		return reflect.Value{}, problems
	}
	return value, nil
}

// canonical is the one form of all objects that mean the same config.
func (c *config) canonical(object json.RawMessage) ([]byte, error) {
	value, err := c.decode(object)
	if err != nil {
		return nil, err
	}
	return c.encode(value)
}

// encode writes a whole config, required fields too.
func (c *config) encode(value reflect.Value) ([]byte, error) {
	data, err := json.Marshal(c.root.encode(value, false))
	if err != nil {
		return nil, fmt.Errorf("write config %s as JSON: %w", c.name, err)
	}
	return data, nil
}

// missingSecrets are the environment variables that a config's secrets name and the process does not have.
func (c *config) missingSecrets(value reflect.Value) error {
	var missing wire.Problems
	c.root.eachSecret(value, "", func(path string, secret Secret) {
		if _, ok := os.LookupEnv(secret.env); !ok {
			missing = append(missing, wire.Problem{
				Path: path, Code: wire.CodeMissing,
				Message: fmt.Sprintf("the environment variable %s is not set on this worker", secret.env),
				Fix:     "set it where the worker runs",
			})
		}
	})
	return missing.Err()
}

func (c *ConfigOf[C]) carries(C) {}

func (c *ConfigOf[C]) need() need {
	if c == nil || c.def == nil {
		return invalidNeed("a parameter is bound to a config handle that was never declared", "declare it with Config")
	}
	return need{kind: needConfig, id: c.def, config: c.def}
}

func (c *ConfigOf[C]) load(s *scope) (C, error) {
	var loaded C
	value, err := s.configOf(c.def)
	if err == nil {
		err = c.def.missingSecrets(value)
	}
	if err != nil {
		return loaded, fmt.Errorf("load config: %w", err)
	}
	loaded, _ = reflect.TypeAssert[C](value) // decode makes a value of this very type
	return loaded, nil
}

// configsOf are the distinct configs that needs have, in their order.
func configsOf(needs []need) []*config {
	var found []*config
	for _, n := range needs {
		n.each(nil, func(n need) {
			if n.kind == needConfig && !slices.Contains(found, n.config) {
				found = append(found, n.config)
			}
		})
	}
	return found
}

// configOf is the one config that needs have; nil when there is none.
func configOf(needs []need) *config {
	if found := configsOf(needs); len(found) > 0 {
		return found[0]
	}
	return nil
}

// resourcesOf are the distinct resources that needs have, in their order.
func resourcesOf(needs []need) []*resource {
	var found []*resource
	for _, n := range needs {
		n.each(nil, func(n need) {
			if n.kind == needResource && !slices.Contains(found, n.resource) {
				found = append(found, n.resource)
			}
		})
	}
	return found
}

// snakeCase is a Go field's name in JSON: MinFlights is min_flights, DSN is dsn, URLPath is url_path.
func snakeCase(name string) string {
	runes := []rune(name)
	upper := func(i int) bool { return i >= 0 && i < len(runes) && runes[i] >= 'A' && runes[i] <= 'Z' }
	var b strings.Builder
	for i, r := range runes {
		if i > 0 && upper(i) && runes[i-1] != '_' && (!upper(i-1) || i+1 < len(runes) && !upper(i+1)) {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
