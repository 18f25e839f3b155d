package integration

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/definitions"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

var errBroken = errors.New("no such column: fare\nsecond line")

// surfaceLocation has a graph with a step that fails when it is asked to.
func surfaceLocation(name string) *definitions.Definitions {
	first := definitions.Asset("numbers", definitions.Bind0(numbers), definitions.Group("raw"))
	second := definitions.Asset("doubled", definitions.Bind1(double, first), definitions.CodeVersion("2"))
	third := definitions.Asset("total", definitions.Bind2(sum, first, second))
	broken := definitions.Asset("broken", definitions.Bind1(func(_ definitions.Context, _ []int) (int, error) { return 0, errBroken }, first))
	after := definitions.Asset("after_broken", definitions.Bind1(func(_ definitions.Context, n int) (int, error) { return n, nil }, broken))
	return definitions.New(name, first, second, third, broken, after,
		definitions.AssetJob("nightly", definitions.Select("+total"), definitions.Tags{"team": "ops"}))
}

// rows are what Postgres knows of a run, but for ids, times and tokens.
func (b *bundle) rows(t *testing.T, id string) string {
	t.Helper()
	ended, err := b.store.Run(t.Context(), id)
	require.NoError(t, err)
	steps, err := b.store.Steps(t.Context(), id, "", 100)
	require.NoError(t, err)
	made, err := b.store.Materializations(t.Context(), metadata.MaterializationFilter{Run: id}, "", 100)
	require.NoError(t, err)
	events, err := b.store.Events(t.Context(), 0, metadata.EventFilter{Run: id}, 1000)
	require.NoError(t, err)
	byStep := map[string][]metadata.EventType{}
	for _, event := range events {
		byStep[event.Step] = append(byStep[event.Step], event.Type)
	}
	values := map[string][]wire.Metadatum{}
	for _, one := range made.Rows {
		values[one.Asset] = one.Metadata
	}
	data, err := json.MarshalIndent(map[string]any{"run": ended, "steps": steps.Rows, "values": values, "events": byStep}, "", " ")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(data), id, "RUN")
	text = regexp.MustCompile(`"(first_run_id)": "[^"]*"`).ReplaceAllString(text, `"$1": "ID"`)
	return regexp.MustCompile(`"(created_at|started_at|ended_at|claimed_at|reason_since)": "[^"]*"`).ReplaceAllString(text, `"$1": "TIME"`)
}

func TestEverySurfaceStartsTheSameRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-start"
	b.serve(t, surfaceLocation(queue))
	const input = `{"assets":"+total","config":{"assets":{}},"tags":{"team":"ops"},"priority":"high","title":"By hand"}`
	var request wire.RunRequest
	require.Empty(t, wire.Decode([]byte(input), &request))

	_, err := b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "surface-go", Request: request})
	require.NoError(t, err)
	_, err = b.starter.Await(t.Context(), "surface-go")
	require.NoError(t, err)
	want := b.rows(t, "surface-go")
	require.Contains(t, want, `"status": "SUCCESS"`)

	started := temporalCLI(t, startArguments("start", queue, "surface-cli", input)...).ok(t)
	require.Contains(t, started, "surface-cli")
	_, err = b.starter.Await(t.Context(), "surface-cli")
	require.NoError(t, err)
	require.Equal(t, want, b.rows(t, "surface-cli"))

	// As tctl and other SDKs write it.
	call(t, "/workflows/surface-http", startBody(t, queue,
		`{"title":"By hand","tags":{"team":"ops"},"config":{"assets":{}},"priority":"high","assets":"+total"}`)).ok(t)
	require.Contains(t, closing(t, "surface-http"), `"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"`)
	text := b.rows(t, "surface-http")
	require.Equal(t, want, text)
}

func TestPrioritiesAreNumbersOrNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-priority"
	b.serve(t, surfaceLocation(queue))
	for given, want := range map[string]wire.Priority{
		`"high"`: 1, `"normal"`: 3, `"low"`: 4, `"backfill"`: 5, `1`: 1, `2.0`: 2, `5e0`: 5,
	} {
		id := "priority-" + regexp.MustCompile(`\W`).ReplaceAllString(given, "_")
		temporalCLI(t, startArguments("execute", queue, id, `{"assets":"numbers","priority":`+given+`}`)...).ok(t)
		ended, err := b.store.Run(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, ended.Priority, given)
		described := temporalCLI(t, "workflow", "show", "--workflow-id", id, "--output", "json").ok(t)
		require.Regexp(t, `"priorityKey": `+regexp.QuoteMeta(string('0'+rune(want))), described, "Temporal must know it as well")
	}
}

func TestARunsIDIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-twice"
	b.serve(t, surfaceLocation(queue))
	temporalCLI(t, startArguments("execute", queue, "twice-1", `{"assets":"numbers"}`)...).ok(t)
	before := b.rows(t, "twice-1")
	ended, err := b.store.Run(t.Context(), "twice-1")
	require.NoError(t, err)
	by := "twice-1 exists (SUCCESS, " + ended.CreatedAt.UTC().Format(time.DateOnly) + ")"

	again := temporalCLI(t, startArguments("execute", queue, "twice-1", `{"assets":"numbers"}`)...)
	require.NotZero(t, again.code)
	require.Contains(t, again.out+again.err, by)
	require.Contains(t, again.out+again.err, "choose another id, or re-execute it")

	call(t, "/workflows/twice-1", startBody(t, queue, `{"assets":"*"}`)).ok(t)
	failed := closing(t, "twice-1")
	require.Contains(t, failed, by)
	require.Contains(t, failed, `"exists"`)

	_, err = b.starter.StartRun(t.Context(), starter.NewRun{Location: queue, ID: "twice-1", Request: wire.RunRequest{Assets: wire.AssetSelection{Expression: "*"}}})
	require.ErrorContains(t, err, by)
	require.Equal(t, before, b.rows(t, "twice-1"), "the first run's rows are as they were")
	refusals, err := b.store.Refusals(t.Context(), "twice-1")
	require.NoError(t, err)
	require.Len(t, refusals, 2)
}

// Nobody waits for the answer to a run that a schedule or sensor has asked for: that it was refused is in the log, where alerts are read.
func TestThatARunOfAScheduleIsRefusedIsAnEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-refused-run"
	b.serve(t, surfaceLocation(queue))
	call(t, "/workflows/asked-1", startBody(t, queue, `{"assets":"nothing","cause":"tick 7","trigger":{"kind":"schedule","name":"nightly","tick":"7"}}`)).ok(t)
	require.Contains(t, closing(t, "asked-1"), "nothing")
	call(t, "/workflows/asked-2", startBody(t, queue, `{"assets":"nothing"}`)).ok(t)
	require.Contains(t, closing(t, "asked-2"), "nothing")
	events, err := b.store.Events(t.Context(), 0, metadata.EventFilter{Types: []metadata.EventType{metadata.EventRunRefused}}, 100)
	require.NoError(t, err)
	events = slices.DeleteFunc(events, func(event metadata.Event) bool { return !strings.HasPrefix(event.Run, "asked-") })
	require.Len(t, events, 1)
	require.Equal(t, "asked-1", events[0].Run)
	require.Equal(t, "tick 7", events[0].Cause)
	var refused wire.RefusedRun
	require.NoError(t, json.Unmarshal(events[0].Body, &refused))
	require.Regexp(t, "^it was refused: .*nothing", refused.Reason)
	refused.Reason = ""
	require.Equal(t, wire.RefusedRun{Location: queue, Selection: "nothing", Cause: "tick 7", TriggerKind: wire.TriggerSchedule, TriggerName: "nightly"}, refused)
}

func TestAFailedRunFailsItsWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-failure"
	b.serve(t, surfaceLocation(queue))
	failed := temporalCLI(t, startArguments("execute", queue, "failing-1", `{"assets":"*"}`)...)
	require.NotZero(t, failed.code)
	require.Contains(t, failed.out, "1 of 5 steps failed: broken: no such column: fare")
	described := temporalCLI(t, "workflow", "describe", "--workflow-id", "failing-1", "--output", "json").ok(t)
	require.Contains(t, described, "WORKFLOW_EXECUTION_STATUS_FAILED")

	var over struct {
		History struct {
			Events []struct {
				Failed struct {
					Failure struct {
						Application struct {
							Type    string
							Details []wire.RunResult
						} `json:"applicationFailureInfo"`
					}
				} `json:"workflowExecutionFailedEventAttributes"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(closing(t, "failing-1")), &over))
	application := over.History.Events[0].Failed.Failure.Application
	require.Equal(t, wire.FailureRunFailed, application.Type)
	require.Equal(t, []wire.RunResult{{
		RunID: "failing-1", Status: wire.RunFailure, Steps: wire.StepCounts{Succeeded: 3, Failed: 1, Skipped: 1},
		Materialized: []string{"doubled", "numbers", "total"},
		Failures:     []wire.StepFailureInfo{{Step: "broken", Message: errBroken.Error()}},
	}}, application.Details)
	found, err := b.store.Run(t.Context(), "failing-1")
	require.NoError(t, err)
	require.Equal(t, wire.RunFailure, found.Status)
}

func TestABadRequestIsRefusedOnEverySurface(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queue = "surface-refused"
	b.serve(t, surfaceLocation(queue))
	for name, test := range map[string]struct {
		inputs []string
		says   []string
	}{
		"no input":       {nil, []string{"there is no input"}},
		"null":           {[]string{`null`}, []string{"must not be null"}},
		"a list":         {[]string{`["numbers"]`}, []string{"must be a JSON object, not a list"}},
		"two arguments":  {[]string{`{"assets":"*"}`, `{}`}, []string{"a second argument was given"}},
		"many problems":  {[]string{`{"asets":"*","job":7,"dry_run":null}`}, []string{`unknown field "asets"`, "job: must be a string", "dry_run: must not be null"}},
		"unknown asset":  {[]string{`{"assets":["numbrs","totl"]}`}, []string{"numbrs", "numbers", "totl", "total"}},
		"bad selection":  {[]string{`{"assets":"numbers and and total"}`}, []string{"assets"}},
		"invalid config": {[]string{`{"assets":"*","config":{"assets":{"numbers":{"x":1}}}}`}, []string{"numbers"}},
		"unknown job":    {[]string{`{"job":"nightyl"}`}, []string{"nightyl", "nightly"}},
		"nothing":        {[]string{`{}`}, []string{"assets"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := "refused-" + strings.ReplaceAll(name, " ", "-")
			refused := temporalCLI(t, startArguments("execute", queue, id+"-cli", test.inputs...)...)
			require.NotZero(t, refused.code)
			call(t, "/workflows/"+id+"-http", startBody(t, queue, test.inputs...)).ok(t)
			over := closing(t, id+"-http")
			require.Contains(t, over, `"InvalidRequest"`)
			for _, text := range test.says {
				require.Contains(t, refused.out+refused.err, text)
				quoted, err := json.Marshal(text)
				require.NoError(t, err)
				require.Contains(t, over, strings.Trim(string(quoted), `"`))
			}
			for _, one := range []string{id + "-cli", id + "-http"} {
				_, err := b.store.Run(t.Context(), one)
				require.ErrorIs(t, err, metadata.ErrNotFound, "there is no half-made run")
				refusals, err := b.store.Refusals(t.Context(), one)
				require.NoError(t, err)
				require.Len(t, refusals, 1, "one row remembers it")
			}
		})
	}
}
