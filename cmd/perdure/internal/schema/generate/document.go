package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

const introduction = `# The wire

<!-- Generated from the structs of package wire by "go generate ./cmd/perdure/...": edit those. -->

Everything that a person or a service says to Perdure is plain JSON, so that the stock ` + "`temporal`" + ` CLI, Temporal's Web
UI, curl on Temporal's HTTP API and any SDK can say it. Every entry point reads strictly: an unknown field, a ` + "`null`" + `, a
wrong type or a surplus argument is refused, and one answer lists every problem. A refused request changes nothing.

| What | Kind | Takes | Gives |
|---|---|---|---|
| ` + "`Run`" + ` | workflow, on the location's task queue | [RunRequest](#runrequest) | [RunResult](#runresult) |
| ` + "`steps`" + ` | query of ` + "`Run`" + ` | [StepsQueryInput](#stepsqueryinput), or nothing | [StepsQueryResult](#stepsqueryresult) |
| ` + "`cancel_step`" + ` | update of ` + "`Run`" + ` | [CancelStepInput](#cancelstepinput) | [StepState](#stepstate) |
| ` + "`Backfill`" + ` | workflow, on the location's task queue | [BackfillRequest](#backfillrequest) | [BackfillResult](#backfillresult) |
| ` + "`progress`" + ` | query of ` + "`Backfill`" + ` | nothing | [BackfillProgress](#backfillprogress) |
| ` + "`pause`" + `, ` + "`resume`" + ` | signals of ` + "`Backfill`" + ` | nothing | |
| ` + "`set_concurrency`" + ` | update of ` + "`Backfill`" + ` | [SetConcurrencyInput](#setconcurrencyinput) | [BackfillProgress](#backfillprogress) |
| ` + "`ScheduleTick`" + ` | workflow, on the location's task queue | [ScheduleTickRequest](#scheduletickrequest) | [ScheduleTickResult](#scheduletickresult) |
| ` + "`Preview`" + ` | workflow, on the location's task queue | [PreviewRequest](#previewrequest) | [PreviewResult](#previewresult) |
| ` + "`Sensor`" + ` | workflow, on the location's task queue, with the id ` + "`sensor:LOCATION:NAME`" + ` | [SensorRequest](#sensorrequest) | |
| ` + "`event`" + ` | signal of ` + "`Sensor`" + ` | [SensorEvent](#sensorevent) | |
| ` + "`wake`" + `, ` + "`pause`" + `, ` + "`resume`" + ` | signals of ` + "`Sensor`" + ` | nothing | |
| ` + "`tick`" + ` | update of ` + "`Sensor`" + ` | [TickRequest](#tickrequest), or nothing | [SensorTick](#sensortick) |
| ` + "`set_cursor`" + ` | update of ` + "`Sensor`" + ` | [SetCursorInput](#setcursorinput) | [SensorState](#sensorstate) |
| ` + "`state`" + ` | query of ` + "`Sensor`" + ` | nothing | [SensorState](#sensorstate) |
| ` + "`ReportEvent`" + ` | workflow, on the location's task queue | [ReportRequest](#reportrequest) | [ReportResult](#reportresult) |

A step that another program computes (` + "`definitions.Remote`" + `) is an activity of that program, whose type is the name of the
asset or op, on the location's task queue with the name of its queue behind a colon, as ` + "`flights:ml`" + `. It takes a
[RemoteInput](#remoteinput) and gives a [RemoteResult](#remoteresult); it sends a heartbeat more often than once a minute. Its
application errors are failures of the step, which the step's retries count.

` + "`perdure schema NAME`" + ` prints the JSON Schema of each type on this page.

A run that ends FAILURE fails its workflow with an application error of type ` + "`RunFailed`" + `, whose details are the
[RunResult](#runresult). A request that is refused fails it with ` + "`InvalidRequest`" + `, whose details are a
[Refusal](#refusal). A run that was cancelled ends as Temporal's Canceled.

The same is true of a backfill, whose failure is of type ` + "`BackfillFailed`" + ` with the [BackfillResult](#backfillresult) as details:
something of it failed, or its definitions have changed so that it could not go on. Cancelling a backfill cancels its runs.
`

// example is a JSON text of a type, for the document. Each is decoded by a test.
type example struct{ typeName, title, text string }

var examples = []example{
	{"RunRequest", "One day of an asset and of all that it is made of", `{"assets": "+route_delays", "partition": "2001-02-14"}`},
	{"RunRequest", "One asset, with its config", `{"assets": "worst_airports", "config": {"assets": {"worst_airports": {"top": 10}}}, "tags": {"team": "ops"}}`},
	{"RunRequest", "Two steps at a time, with only warnings in their log", `{"assets": "+airport_delays", "range": {"start": "2001-01-01", "end": "2001-01-02"}, "config": {"execution": {"max_concurrent_steps": 2}, "loggers": {"level": "WARN"}}}`},
	{"RunRequest", "A list of keys, before other runs, for people to read", `{"assets": ["hourly_delays", "worst_airports"], "priority": "high", "title": "After the airport fix"}`},
	{"RunRequest", "What a job would do", `{"job": "weekday_report", "dry_run": true}`},
	{"BackfillRequest", "The days of January, each in a run of its own", `{"assets": "route_delays", "range": {"start": "2001-01-01", "end": "2001-01-31"}}`},
	{"BackfillRequest", "All that is missing of an asset and of what is made from it, 50 runs at a time", `{"assets": "flights+", "all_partitions": true, "only": "missing", "max_concurrent_runs": 50}`},
	{"BackfillRequest", "What failed in an earlier backfill, and what waited for that", `{"retry_of": {"run_id": "bf1", "from": "failure"}}`},
	{"SetConcurrencyInput", "More at once", `{"max_concurrent_runs": 50}`},
	{"StepsQueryInput", "The steps that run now", `{"status": "RUNNING"}`},
	{"CancelStepInput", "Cancel one step", `{"step": "route_delays"}`},
	{"ScheduleTickRequest", "What is due of a schedule", `{"schedule": "nightly"}`},
	{"ScheduleTickRequest", "A tick for a time of one's own", `{"schedule": "nightly", "manual": true, "at": "2001-01-01T06:00:00Z"}`},
	{"PreviewRequest", "What a schedule would start at a time", `{"schedule": "nightly", "at": "2001-01-01T06:00:00Z"}`},
	{"ReportRequest", "Somebody else has made an asset", `{"asset": "airports", "type": "materialization", "metadata": {"perdure/row_count": 3376, "source": {"type": "url", "value": "https://example.com/airports.csv"}}, "data_version": "2001-04", "by": "ana", "why": "loaded by hand"}`},
	{"ReportRequest", "Two partitions were looked at", `{"asset": "flights", "type": "observation", "partitions": ["2001-01-01", "2001-01-02"], "metadata": {"late": 0.17}}`},
	{"SensorRequest", "All that a sensor needs", `{}`},
	{"SensorEvent", "A file has arrived", `{"id": "e1", "payload": {"file": "flights-2001-01.parquet"}}`},
	{"TickRequest", "Evaluate it now", `{}`},
	{"SetCursorInput", "Go on from another place", `{"cursor": "2001-01-31", "by": "ana", "why": "January was loaded by hand"}`},
	{"SetCursorInput", "Begin anew", `{"clear": true}`},
	{"RemoteInput", "What the program of a remote asset is given", `{"v": 1, "run": "r1", "step": "scores", "assets": ["scores"], "attempt": 1, "cause": "r1", "config": {"top": 3}, "inputs": {"model": {"location": "s3://models/model/17.json", "data_version": "5f1c"}}}`},
	{"RemoteResult", "A value, which Perdure stores", `{"outputs": {"scores": {"value": [{"route": "RNO-SFO", "score": 7}]}}}`},
	{"RemoteResult", "What the program has stored itself", `{"outputs": {"model": {"location": "s3://models/model/18.json", "data_version": "9a3e", "metadata": [{"label": "accuracy", "type": "float", "value": 0.9}]}}}`},
}

func writeDocument(b *bytes.Buffer, schemas []*jsonschema.Schema, known *constants) {
	b.WriteString(introduction)
	for _, s := range schemas {
		fmt.Fprintf(b, "\n## %s\n\n%s\n", s.Title, s.Description)
		for _, one := range examples {
			if one.typeName == s.Title {
				fmt.Fprintf(b, "\n%s:\n\n```json\n%s\n```\n", one.title, one.text)
			}
		}
		b.WriteString("\n| Field | Type | Given | Meaning |\n|---|---|---|---|\n")
		writeFields(b, s, "")
	}
	writeConstants(b, "Failure types", "The types of application errors, by which a program decides.", known.withPrefix("Failure"))
	writeConstants(b, "Problem codes", "The values of `code` in a problem.", known.withPrefix("Code"))
	writeConstants(b, "Run statuses", "", known.byType["RunStatus"])
	writeConstants(b, "Step statuses", "", known.byType["StepStatus"])
	writeConstants(b, "Tick statuses", "", known.byType["TickStatus"])
	writeConstants(b, "Metadata types", "What `value` holds, by `type`.", known.byType["MetadataType"])
}

func writeFields(b *bytes.Buffer, s *jsonschema.Schema, prefix string) {
	if s.Properties == nil {
		return
	}
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		need := ""
		if slices.Contains(s.Required, pair.Key) {
			need = "always"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, pair.Key, typeOf(pair.Value), need, cell(pair.Value.Description))
		writeFields(b, pair.Value, prefix+pair.Key+".")
		if pair.Value.Items != nil {
			writeFields(b, pair.Value.Items, prefix+pair.Key+"[].")
		}
		if entry := pair.Value.AdditionalProperties; entry != nil {
			writeFields(b, entry, prefix+pair.Key+".*.")
			if entry.Items != nil {
				writeFields(b, entry.Items, prefix+pair.Key+".*[].")
			}
		}
	}
}

func typeOf(s *jsonschema.Schema) string {
	switch {
	case len(s.OneOf) > 0:
		names := make([]string, len(s.OneOf))
		for i, one := range s.OneOf {
			names[i] = typeOf(one)
		}
		return strings.Join(names, " or ")
	case s.Type == "array":
		return "list of " + typeOf(s.Items)
	case s.Type == "object" && s.Properties == nil && s.AdditionalProperties != nil:
		return "object of " + typeOf(s.AdditionalProperties)
	case s.Format == "date-time":
		return "time (RFC 3339)"
	case s.Type == "":
		return "any JSON"
	default:
		return s.Type
	}
}

func writeConstants(b *bytes.Buffer, title, about string, list []constant) {
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if about != "" {
		b.WriteString(about + "\n\n")
	}
	b.WriteString("| | |\n|---|---|\n")
	for _, one := range list {
		fmt.Fprintf(b, "| `%s` | %s |\n", one.value, cell(strings.TrimPrefix(one.comment, one.name+" ")))
	}
}

// cell keeps text from ending a table's cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
