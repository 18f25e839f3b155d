package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

func TestTheMetadataOfAReport(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`3`: `int 3`, `3.0`: `int 3`, `2e1`: `int 20`, `3.5`: `float 3.5`, `"x"`: `text "x"`, `true`: `bool true`, `[1]`: `json [1]`, `{"a":1}`: `json {"a":1}`,
		`{"type":"md","value":"*x*"}`: `md "*x*"`, `{"value":3.0,"type":"int"}`: `int 3`, `{"type":"float","value":3}`: `float 3`,
		`{"type":"duration","value":"1m30s"}`:                                     `duration "1m30s"`,
		`{"type":"timestamp","value":"2001-01-31T08:00:00Z"}`:                     `timestamp "2001-01-31T08:00:00Z"`,
		`{"type":"json","value":null}`:                                            `json null`,
		`{"type":"a","value":1,"more":2}`:                                         `json {"type":"a","value":1,"more":2}`,
		`{"type":"table_schema","value":{"columns":[{"name":"a"}]}}`:              `table_schema {"columns":[{"name":"a"}]}`,
		`{"type":"table","value":{"columns":[{"name":"a"}],"rows":[[null],[1]]}}`: `table {"columns":[{"name":"a"}],"rows":[[null],[1]]}`,
	} {
		recorded, problems := wire.ReportRequest{Metadata: map[string]json.RawMessage{"m": json.RawMessage(given)}}.Recorded()
		require.Empty(t, problems, given)
		require.Len(t, recorded, 1)
		require.Equal(t, want, string(recorded[0].Type)+" "+string(recorded[0].Value), given)
	}
	_, problems := wire.ReportRequest{Metadata: map[string]json.RawMessage{
		"": json.RawMessage(`1`), "a": json.RawMessage(`{"type":"int","value":3.5}`), "b": json.RawMessage(`{"type":"txt","value":"x"}`),
		"c": json.RawMessage(`{"type":"timestamp","value":"yesterday"}`), "d": json.RawMessage(`{"type":"duration","value":3}`),
		"e": json.RawMessage(`{"type":"table","value":{"columns":[{"name":"a"}],"rows":[[1,2]]}}`), "f": json.RawMessage(`{"type":"bool","value":"true"}`),
		"g": json.RawMessage(`{"type":"url","value":1}`), "h": json.RawMessage(`{"type":"table_schema","value":{"columns":[{}]}}`),
	}}.Recorded()
	var paths []string
	for _, problem := range problems {
		paths = append(paths, problem.Path)
	}
	require.Equal(t, []string{`metadata[""]`, "metadata.a", "metadata.b", "metadata.c", "metadata.d", "metadata.e", "metadata.f", "metadata.g", "metadata.h"}, paths)
	require.Contains(t, problems[2].Fix, `"text"`)
}
