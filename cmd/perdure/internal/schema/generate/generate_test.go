package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

const root = "../../../../.."

func fresh(t *testing.T) generated {
	t.Helper()
	made, err := generate(root+"/wire", "generate")
	require.NoError(t, err)
	return made
}

func TestSchemasAndDocumentAreUpToDate(t *testing.T) {
	t.Parallel()
	made := fresh(t)
	document, err := os.ReadFile(root + "/docs/wire.md")
	require.NoError(t, err)
	require.Equal(t, string(made.document), string(document), "run: go generate ./cmd/perdure/...")
	paths, err := filepath.Glob("../schemas/*.json")
	require.NoError(t, err)
	require.Len(t, paths, len(made.schemas))
	for name, content := range made.schemas {
		written, err := os.ReadFile("../schemas/" + name + ".json")
		require.NoError(t, err)
		require.Equal(t, string(content), string(written), "run: go generate ./cmd/perdure/...")
	}
}

func TestEveryFieldOfARequestIsExplained(t *testing.T) {
	t.Parallel()
	constants, err := readConstants(root + "/wire")
	require.NoError(t, err)
	require.Equal(t, "WAITING", constants.byType["StepStatus"][0].value)
	require.NotEmpty(t, constants.withPrefix("Failure"))
	require.Contains(t, string(fresh(t).document), "| `tags` | object of string |  | tags are added to the job's tags;")
}

// The examples of the document do what it says: the strict decoder takes them, and so does the schema.
func TestExamplesAreDecodedAndValid(t *testing.T) {
	t.Parallel()
	made := fresh(t)
	for _, one := range examples {
		schema := compile(t, made.schemas[one.typeName])
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(one.text)))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(value), one.text)
		require.Empty(t, wire.Decode([]byte(one.text), reflect.New(typeOfName(t, one.typeName)).Interface()), one.text)
	}
}

func TestSchemaRefusesWhatTheDecoderRefuses(t *testing.T) {
	t.Parallel()
	schema := compile(t, fresh(t).schemas["RunRequest"])
	for _, text := range []string{`{"asets":"*"}`, `{"assets":[]}`, `{"assets":null}`, `{"priority":6}`, `{"priority":"urgent"}`, `{"tags":{"a":1}}`, `{"dry_run":"yes"}`} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
		require.NoError(t, err)
		require.Error(t, schema.Validate(value), text)
		require.NotEmpty(t, wire.Decode([]byte(text), &wire.RunRequest{}), text)
	}
}

func typeOfName(t *testing.T, name string) reflect.Type {
	t.Helper()
	for _, value := range documented {
		if reflect.TypeOf(value).Name() == name {
			return reflect.TypeOf(value)
		}
	}
	require.FailNow(t, "no type "+name)
	return nil
}

func compile(t *testing.T, content []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("it.json", document))
	schema, err := compiler.Compile("it.json")
	require.NoError(t, err)
	return schema
}
