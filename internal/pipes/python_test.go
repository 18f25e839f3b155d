package pipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/pipes"
	"github.com/perdure-io/perdure/internal/testpython"
	"github.com/perdure-io/perdure/wire"
)

// python runs a script with the dagster-pipes package under a session, and gives the messages.
func python(t *testing.T, about pipes.Context, script string) (messages []*pipes.Message, printed string) {
	t.Helper()
	session, err := pipes.Open(about)
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	cmd := exec.CommandContext(t.Context(), testpython.Interpreter(t), "-c", script)
	cmd.Env = append(os.Environ(), session.Environ()...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	require.NoError(t, session.Follow(t.Context(), ended, func(m *pipes.Message) error {
		messages = append(messages, m)
		return nil
	}))
	<-ended
	return messages, output.String()
}

func TestThePackageFindsItsContext(t *testing.T) {
	t.Parallel()
	version, partition, job := "v3", "2001-01-01", "nightly"
	messages, printed := python(t, pipes.Context{
		AssetKeys: []string{"raw/model"}, CodeVersionByAssetKey: map[string]*string{"raw/model": &version},
		ProvenanceByAssetKey: map[string]*pipes.Provenance{"raw/model": nil},
		PartitionKey:         &partition, PartitionKeyRange: &pipes.Range{Start: partition, End: partition},
		RunID: "r1", JobName: &job, RetryNumber: 2, Extras: map[string]any{"rows": []int{1, 2}},
	}, `
import json
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as c:
    print(json.dumps([c.is_asset_step, c.asset_key, c.code_version, c.provenance, c.is_partition_step, c.partition_key,
        c.partition_key_range, c.partition_time_window, c.run_id, c.job_name, c.retry_number, c.get_extra("rows")]))
`)
	require.JSONEq(t, `[true, "raw/model", "v3", null, true, "2001-01-01", {"start": "2001-01-01", "end": "2001-01-01"}, null, "r1", "nightly", 2, [1, 2]]`, printed)
	require.Len(t, messages, 2)
	require.Equal(t, pipes.MethodOpened, messages[0].Method)
	require.Equal(t, pipes.MethodClosed, messages[1].Method)
	require.Nil(t, messages[1].Closed)
}

func TestAStepWithoutAssetsHasNone(t *testing.T) {
	t.Parallel()
	_, printed := python(t, pipes.Context{RunID: "r1"}, `
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as c:
    print(c.is_asset_step, c.is_partition_step, c.job_name, c.extras)
`)
	require.Equal(t, "False False None {}\n", printed)
}

func TestWhatThePackageReports(t *testing.T) {
	t.Parallel()
	messages, printed := python(t, pipes.Context{AssetKeys: []string{"a", "b"}, RunID: "r"}, `
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as c:
    c.log.warning("careful %d", 7)
    c.report_asset_materialization(asset_key="a", data_version="d1", metadata={
        "dagster/row_count": 3, "share": 0.5, "name": "x", "good": True, "none": None, "list": [1, {"a": 2}],
        "site": {"raw_value": "https://example.org", "type": "url"}, "file": {"raw_value": "/tmp/x", "type": "path"},
        "book": {"raw_value": "/tmp/x.ipynb", "type": "notebook"}, "text": {"raw_value": "# x", "type": "md"},
        "whole": {"raw_value": 4, "type": "float"}, "run": {"raw_value": "r0", "type": "dagster_run"},
        "of": {"raw_value": "raw/b", "type": "asset"}, "when": {"raw_value": 1700000000.25, "type": "timestamp"},
        "columns": {"raw_value": {"columns": [{"name": "n", "type": "int", "description": "how many"}]}, "type": "table_schema"},
        "table": {"raw_value": {"records": [{"b": 2, "a": 1}, {"a": 3}], "schema": [{"name": "b", "type": "int"}, {"name": "a", "type": "int"}]}, "type": "table"},
        "bare": {"raw_value": {"records": [{"b": 2, "a": 1}]}, "type": "table"},
        "lineage": {"raw_value": {"deps_by_column": {}}, "type": "table_column_lineage"},
    })
    c.report_asset_check(asset_key="b", check_name="positive", passed=False, severity="WARN", metadata={"least": -1})
    c.report_custom_message({"any": ["thing"]})
    c.log_external_stream("stdout", "from afar\n")
    try:
        c.report_asset_materialization(asset_key="nobody")
    except Exception as e:
        print(e)
`)
	require.Contains(t, printed, "Invalid asset key")
	require.Len(t, messages, 7)
	require.Equal(t, &pipes.Log{Message: "careful 7", Level: "WARNING"}, messages[1].Log)
	made := messages[2].Materialization
	require.Equal(t, "a", made.AssetKey)
	require.Equal(t, "d1", made.DataVersion)
	lowered, err := made.Metadata.Lower()
	require.NoError(t, err)
	require.Equal(t, []wire.Metadatum{
		datum("bare", "table", `{"columns":[{"name":"a"},{"name":"b"}],"rows":[[1,2]]}`),
		datum("book", "path", `"/tmp/x.ipynb"`),
		datum("columns", "table_schema", `{"columns":[{"name":"n","type":"int","description":"how many"}]}`),
		datum("perdure/row_count", "int", `3`),
		datum("file", "path", `"/tmp/x"`),
		datum("good", "bool", `true`),
		datum("lineage", "json", `{"deps_by_column": {}}`),
		datum("list", "json", `[1, {"a": 2}]`),
		datum("name", "text", `"x"`),
		datum("none", "json", `null`),
		datum("of", "asset", `"raw/b"`),
		datum("run", "text", `"r0"`),
		datum("share", "float", `0.5`),
		datum("site", "url", `"https://example.org"`),
		datum("table", "table", `{"columns":[{"name":"b","type":"int"},{"name":"a","type":"int"}],"rows":[[2,1],[null,3]]}`),
		datum("text", "md", `"# x"`),
		datum("when", "timestamp", `"2023-11-14T22:13:20.25Z"`),
		datum("whole", "float", `4`),
	}, lowered)
	check := messages[3].Check
	require.Equal(t, "b positive WARN", check.AssetKey+" "+check.CheckName+" "+check.Severity)
	require.False(t, *check.Passed)
	require.JSONEq(t, `{"any": ["thing"]}`, string(messages[4].Custom))
	require.Equal(t, &pipes.Stream{Stream: "stdout", Text: "from afar\n"}, messages[5].Stream)
}

func TestAnExceptionComesWithItsStack(t *testing.T) {
	t.Parallel()
	messages, _ := python(t, pipes.Context{AssetKeys: []string{"a"}, RunID: "r"}, `
from dagster_pipes import open_dagster_pipes
def read():
    raise KeyError("price")
with open_dagster_pipes():
    try:
        read()
    except KeyError as e:
        raise ValueError("no prices") from e
`)
	closed := messages[len(messages)-1].Closed
	require.NotNil(t, closed)
	require.Equal(t, "ValueError", closed.Name)
	require.Regexp(t, `(?s)^Traceback \(most recent call last\):
.*in read
.*KeyError: 'price'

The above exception was the direct cause of the following exception:

Traceback \(most recent call last\):
.*ValueError: no prices
$`, closed.Traceback())
}

func datum(label string, kind wire.MetadataType, value string) wire.Metadatum {
	return wire.Metadatum{Label: label, Type: kind, Value: json.RawMessage(value)}
}

// write hands lines to a session as a program would, and gives what following it says.
func write(t *testing.T, lines string) error {
	t.Helper()
	session, err := pipes.Open(pipes.Context{RunID: "r"})
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	require.NoError(t, os.WriteFile(session.MessagesFile(), []byte(lines), 0o600))
	ended := make(chan struct{})
	close(ended)
	return session.Follow(context.WithoutCancel(t.Context()), ended, func(*pipes.Message) error { return nil })
}

func TestMessagesThatAreWrong(t *testing.T) {
	t.Parallel()
	good := `{"__dagster_pipes_version": "0.1", "method": "opened", "params": {"extras": {}}}` + "\n"
	require.NoError(t, write(t, good+"\n\n"+good[:len(good)-1]), "empty lines, and no line's end at the end, are no harm")
	for _, one := range []struct{ line, problem string }{
		{`done!`, `Pipes message on line 2: it is not JSON (invalid character 'd' looking for beginning of value): done!`},
		{`{"__dagster_pipes_version": "0.1", "method": "report_custom_message", "params": {"payload": NaN}}`, `NaN, which Python writes for such a number, is not; report it as text`},
		{`[]`, `it is not JSON (json: cannot unmarshal array`},
		{`{"method": "opened"}`, `it has no "__dagster_pipes_version", so it is none of the protocol: {"method": "opened"}`},
		{`{"__dagster_pipes_version": "0.2", "method": "opened"}`, `it is of version "0.2" of the protocol, and this worker speaks 0.1`},
		{`{"__dagster_pipes_version": "0.1", "method": "report_weather", "params": {}}`, `it has method "report_weather", which version 0.1 of the protocol has not`},
		{`{"__dagster_pipes_version": "0.1", "method": "log", "params": {"message": 7}}`, `log: json: cannot unmarshal number`},
		{`{"__dagster_pipes_version": "0.1", "method": "report_asset_check", "params": {"severity": "BAD"}}`, "report_asset_check: check_name is missing\npassed is missing\nseverity is \"BAD\", and may be WARN or ERROR"},
	} {
		err := write(t, good+one.line+"\n")
		var wrong *pipes.MessageError
		require.ErrorAs(t, err, &wrong, one.line)
		require.Equal(t, 2, wrong.Line)
		require.ErrorContains(t, err, one.problem)
	}
}

func TestMetadataThatIsNotWhatItsTypeSays(t *testing.T) {
	t.Parallel()
	var metadata pipes.Metadata
	require.NoError(t, json.Unmarshal([]byte(`{
		"a": {"type": "int", "raw_value": 1.5}, "b": {"type": "text", "raw_value": 1}, "c": {"type": "colour", "raw_value": "red"},
		"d": {"type": "timestamp", "raw_value": "now"}, "e": {"type": "table", "raw_value": []}, "f": {"type": "table_schema", "raw_value": {}},
		"g": {"type": "float", "raw_value": 1}
	}`), &metadata))
	lowered, err := metadata.Lower()
	require.Equal(t, []wire.Metadatum{datum("g", "float", "1")}, lowered)
	require.EqualError(t, err, `metadata "a": its type is int, and its value is not an integer: 1.5
metadata "b": its type is text, and its value is not a string: 1
metadata "c": there is no type "colour"
metadata "d": its type is timestamp, and its value is not a number of seconds since 1970: "now"
metadata "e": a table is {"records": [{…}], "schema": {"columns": [{"name", "type"}]}}, not []
metadata "f": a schema is {"columns": [{"name", "type"}]}, not {}`)
}
