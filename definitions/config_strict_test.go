package definitions_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	d "github.com/perdure-io/perdure/definitions"
)

// TestStepsReadConfigAsStrictlyAsItsSchema compares what a step makes of a config with what a JSON Schema library says of
// it: the planner validates with the one, a step decodes with the other.
func TestStepsReadConfigAsStrictlyAsItsSchema(t *testing.T) {
	t.Setenv("TOKEN", "")
	t.Setenv("TOKEN_TEST", "")
	a, definitions := configuredBy(d.Config(someConfig()))
	schemaDocument, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaOf(t, definitions).Schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("config.json", schemaDocument))
	schema, err := compiler.Compile("config.json")
	require.NoError(t, err)
	runtime := runtimeOf(t, a)

	accepted := 0
	for field, values := range map[string][]string{
		"mandatory":   {`"a"`, `"c"`, `null`, `1`},
		"region":      {`"west"`, `"north"`, `""`},
		"min_flights": {`127`, `128`, `-128`, `-129`, `3.0`, `3.5`, `1e2`, `"3"`, `true`, `null`},
		"rows":        {`0`, `65535`, `65536`, `-1`},
		"share":       {`0.5`, `1`, `1.0`, `0.7`, `"1"`},
		"ratio":       {`1`, `0.25`, `[]`},
		"verbose":     {`true`, `false`, `"true"`, `0`},
		"wait":        {`"1m30s"`, `"0"`, `"-1.5h"`, `"1 m"`, `"soon"`, `90`, `""`},
		"since":       {`"2001-01-31T06:00:00Z"`, `"2001-01-31T06:00:00.25-05:00"`, `"2001-01-31"`, `"today"`, `0`},
		"path":        {`""`, `null`, `{}`},
		"token":       {`{"env":"TOKEN"}`, `{"env":"TOKEN_TEST"}`, `{"env":"HOME"}`, `"TOKEN"`, `{}`, `{"env":"TOKEN","value":"x"}`, `{"env":1}`},
		"steps":       {`[]`, `[{"name":"x"}]`, `[{"name":"x","size":2}]`, `[{}]`, `[{"name":"x","size":"2"}]`, `[1]`, `{}`, `null`},
		"weights":     {`{}`, `{"b":2}`, `{"b":"2"}`, `[]`, `null`},
		"limit":       {`null`, `7`, `"7"`, `7.5`},
		"nested":      {`{}`, `{"depth":1}`, `{"deep":1}`, `[]`, `null`},
		"internal":    {`null`},
		"MinFlights":  {`1`},
	} {
		for _, value := range values {
			config := `{"mandatory":"b","` + field + `":` + value + `}`
			if field == "mandatory" {
				config = `{"mandatory":` + value + `}`
			}
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(config))
			require.NoError(t, err)
			refusal := schema.Validate(document)

			at := attempt(t.Context(), "a", nil)
			at.Plan.Config = json.RawMessage(config)
			_, err = codeOf(t, runtime, "a").Compute(at)
			if refusal == nil {
				accepted++
				require.NoError(t, err, config)
				continue
			}
			require.ErrorContains(t, err, "load config: ", config)
			require.ErrorContains(t, err, field, "the problem names the field")
		}
	}
	require.Equal(t, 32, accepted, "a schema that refuses everything agrees with anything")

	for _, config := range []string{`{}`, `[]`, `{"mandatory":"a"} {}`, `{"mandatory":"a","mandatory":"b"}`, `null`} {
		at := attempt(t.Context(), "a", nil)
		at.Plan.Config = json.RawMessage(config)
		_, err = codeOf(t, runtime, "a").Compute(at)
		require.ErrorContains(t, err, "load config: ", config)
	}
}
