package integration

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/internal/assetstatus"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func reportArguments(queue, id, input string) []string {
	return []string{"workflow", "execute", "--type", wire.ReportEventWorkflow, "--task-queue", queue, "--workflow-id", id, "--input", input}
}

// reportedLocation has an asset without partitions, and one of three days.
func reportedLocation(name string) *definitions.Definitions {
	days := definitions.Daily("2001-01-01").Ending("2001-01-04")
	return definitions.New(name,
		definitions.Asset("airports", definitions.Bind0(numbers)),
		definitions.Asset("flights", definitions.Bind0(numbers), definitions.PartitionedBy(days)),
	)
}

func TestEveryShellReportsWhatHappenedElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "reports"
	b.serve(t, reportedLocation(queue))

	const input = `{"asset":"airports","type":"materialization","metadata":{"rows":3.0,"source":{"type":"url","value":"https://example.com"}},"data_version":"7","by":"ana","why":"by hand"}`
	require.Contains(t, temporalCLI(t, reportArguments(queue, "report-cli", input)...).ok(t), `"new":true`)
	made, err := b.store.Materializations(t.Context(), metadata.MaterializationFilter{Asset: "airports"}, "", 10)
	require.NoError(t, err)
	require.Len(t, made.Rows, 1)
	require.Equal(t, "7", made.Rows[0].DataVersion)
	require.Equal(t, []wire.Metadatum{
		{Label: "rows", Type: wire.MetadataInt, Value: json.RawMessage("3")},
		{Label: "source", Type: wire.MetadataURL, Value: json.RawMessage(`"https://example.com"`)},
	}, made.Rows[0].Metadata)

	// The same again, from another shell, as tctl would write it, and from Go: nothing changes.
	var request wire.ReportRequest
	require.Empty(t, wire.Decode([]byte(input), &request))
	again, err := b.starter.Report(t.Context(), starter.NewReport{Location: queue, ID: "report-cli", Request: request})
	require.NoError(t, err)
	require.False(t, again.New)
	require.Contains(t, temporalCLI(t, reportArguments(queue, "report-cli", input)...).ok(t), `"new":false`)
	made, err = b.store.Materializations(t.Context(), metadata.MaterializationFilter{Asset: "airports"}, "", 10)
	require.NoError(t, err)
	require.Len(t, made.Rows, 1)

	// Another one under its id is refused by name.
	other := temporalCLI(t, reportArguments(queue, "report-cli", `{"asset":"airports","type":"observation"}`)...)
	require.NotZero(t, other.code)
	require.Contains(t, other.out+other.err, "report-cli exists, and is another report: choose another id")

	body, err := json.Marshal(map[string]any{
		"workflowType": map[string]string{"name": wire.ReportEventWorkflow}, "taskQueue": map[string]string{"name": queue},
		"input": []json.RawMessage{json.RawMessage(`{"partitions":["2001-01-02","2001-01-01"],"type":"materialization","v":1.0,"asset":"flights"}`)},
	})
	require.NoError(t, err)
	call(t, "/workflows/report-http", string(body)).ok(t)
	require.Contains(t, closing(t, "report-http"), `"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"`)
	snapshot, _, _, err := b.store.ActiveSnapshot(t.Context(), queue)
	require.NoError(t, err)
	planner, err := plan.NewPlanner(snapshot, nil)
	require.NoError(t, err)
	reader, err := assetstatus.NewReader(t.Context(), b.store, planner, time.Now())
	require.NoError(t, err)
	status, err := reader.Read(t.Context(), "flights")
	require.NoError(t, err)
	require.Equal(t, 2, status.Materialized.Count())
	require.Equal(t, assetstatus.Missing, status.Of("2001-01-03"))
}

func TestAReportIsRefusedByTheDefinitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "reports-refused"
	b.serve(t, reportedLocation(queue))
	for id, test := range map[string]struct {
		input string
		says  []string
	}{
		"unknown-asset": {`{"asset":"airport","type":"observation"}`, []string{`location "reports-refused" has no asset "airport"`, `did you mean "airports"?`}},
		"unpartitioned": {`{"asset":"airports","type":"observation","partition":"2001-01-01"}`, []string{`asset "airports" is not partitioned`, `leave "partition" out`}},
		"which":         {`{"asset":"flights","type":"observation"}`, []string{`asset "flights" has `, "and it is not said which of them", `give "partition" or "partitions"`}},
		"no-such-key":   {`{"asset":"flights","type":"observation","partitions":["2001-01-01","2001-01-09"]}`, []string{"partitions[1]", `partition "2001-01-09" is not one of`}},
		"all-at-once": {
			`{"asset":"flights","type":"made","partition":"yesterday","metadata":{"rows":{"type":"int","value":"3"}}}`,
			[]string{`metadata.rows: its type is int, and its value must be a whole number, not the string "3"`, `"made" is nothing that can be reported`, `partition "yesterday" is not one of`},
		},
		"unknown-field": {`{"asset":"airports","kind":"observation"}`, []string{`unknown field "kind"`}},
	} {
		id = "report-" + id
		refused := temporalCLI(t, reportArguments(queue, id, test.input)...)
		require.NotZero(t, refused.code, id)
		for _, text := range test.says {
			require.Contains(t, refused.out+refused.err, text, id)
		}
		remembered, err := b.store.Refusals(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, remembered, 1, id)
		var request wire.ReportRequest
		if wire.Decode([]byte(test.input), &request) != nil {
			continue
		}
		_, err = b.starter.Report(t.Context(), starter.NewReport{Location: queue, ID: id, Request: request})
		require.Equal(t, remembered[0].Problems, wire.ProblemsOf(err), "%s: the CLI says the same", id)
	}
	head, err := b.store.Head(t.Context())
	require.NoError(t, err)
	require.Zero(t, head, "nothing was recorded")
}
