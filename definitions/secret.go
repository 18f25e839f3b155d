package definitions

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
)

// Secret is a value that config knows by the name of an environment variable. It prints and marshals as that name;
// only Reveal, in a step, gives the value. So it reaches neither a run's history nor Postgres nor a log. A
// run's config may name another variable only when the field's enum tag lists it: {"env":"WAREHOUSE_DSN_TEST"}.
type Secret struct{ env string }

// FromEnv is the secret in the environment variable called name.
func FromEnv(name string) Secret { return Secret{env: name} }

// Env is the name of the environment variable.
func (s Secret) Env() string { return s.env }

// Reveal is the secret's value. Config whose variables are not set is not loaded, so in a step it is there; elsewhere
// it may be "".
func (s Secret) Reveal(Context) string { return os.Getenv(s.env) }

// String is "{env NAME}".
func (s Secret) String() string { return "{env " + s.env + "}" }

// GoString is definitions.FromEnv("NAME").
func (s Secret) GoString() string { return fmt.Sprintf("definitions.FromEnv(%q)", s.env) }

// MarshalJSON writes {"env":"NAME"}.
func (s Secret) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"env": s.env})
}

// LogValue is "{env NAME}".
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
