package workflows_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/wire"
)

func TestARequestIsRefusedWithAllItsProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arguments []any
		problems  []string // "path code", all of them, in order
		says      []string
		input     string // as it is remembered
	}{
		"no input": {
			nil, []string{" missing"}, []string{"there is no input", "its fields: v, assets, job"}, "",
		},
		"null":        {[]any{nil}, []string{" wrong_type"}, []string{"must not be null"}, "null"},
		"null as CLI": {[]any{payload(`null`)}, []string{" wrong_type"}, []string{"must not be null"}, "null"},
		"a list":      {[]any{payload(`["a"]`)}, []string{" wrong_type"}, []string{"must be a JSON object, not a list"}, `["a"]`},
		"a string":    {[]any{"*"}, []string{" wrong_type"}, []string{`must be a JSON object, not the string "*"`}, `"*"`},
		"no JSON":     {[]any{payload(`{assets:*}`)}, []string{" syntax"}, []string{"is not JSON"}, `{assets:*}`},
		"unknown field": {
			[]any{payload(`{"asets":"*"}`)}, []string{"asets unknown_field"}, []string{`unknown field "asets"`, `"assets"`}, `{"asets":"*"}`,
		},
		"many at once": {
			[]any{payload(`{"asets":"*","job":7,"tags":{"team":null},"priority":"urgent","dry_run":"yes"}`)},
			[]string{"asets unknown_field", "job wrong_type", "tags.team wrong_type", "priority invalid", "dry_run wrong_type"},
			[]string{"asets", "job: must be a string, not the number 7", "tags.team: must not be null", "priority", "dry_run: must be true or false"},
			`{"asets":"*","job":7,"tags":{"team":null},"priority":"urgent","dry_run":"yes"}`,
		},
		"two arguments": {
			[]any{everything(), payload(`{}`)}, []string{" conflict"}, []string{"a second argument was given", "Run takes one JSON object"}, `{"assets":"*"}`,
		},
		"two arguments and a bad first": {
			[]any{payload(`{"x":1}`), payload(`{}`)}, []string{"x unknown_field", " conflict"}, []string{`unknown field "x"`, "a second argument"}, `{"x":1}`,
		},
		"a version to come": {[]any{payload(`{"v":2,"assets":"*"}`)}, []string{"v invalid"}, []string{"version 2"}, `{"v":2,"assets":"*"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a")
			_, err := w.environment(t).run(test.arguments...)
			problems, failed := refusal(t, err)
			found := make([]string, len(problems))
			for i, problem := range problems {
				found[i] = problem.Path + " " + problem.Code
			}
			require.Equal(t, test.problems, found, problems.Error())
			require.Equal(t, "invalid run request: "+problems.Error(), failed.Message())
			for _, text := range test.says {
				require.Contains(t, failed.Message(), text)
			}
			require.Empty(t, w.planned, "a refused request is not planned")
			require.Empty(t, w.ended)
			require.Len(t, w.refused, 1)
			require.Equal(t, wire.RunWorkflow, w.refused[0].WorkflowType)
			require.Equal(t, "r1", w.refused[0].WorkflowID)
			require.Equal(t, test.input, w.refused[0].Input)
			require.Equal(t, problems, w.refused[0].Problems)
		})
	}
}

// What tctl and other SDKs make of the same request decodes the same.
func TestOtherEncodingsOfARequestAreTheSame(t *testing.T) {
	t.Parallel()
	want := wire.RunRequest{
		V: 1, Assets: wire.AssetSelection{Keys: []string{"a"}}, Priority: wire.PriorityHigh,
		Tags: map[string]string{"team": "ops"}, Config: json.RawMessage(`{"assets":{"a":{"rows":3}}}`),
	}
	for name, input := range map[string]any{
		"the CLI":                      payload(` {"v":1,"assets":["a"],"priority":1,"tags":{"team":"ops"},"config":{"assets":{"a":{"rows":3}}}}`),
		"floats and keys out of order": payload(`{"tags":{"team":"ops"},"priority":1.0,"config":{"assets":{"a":{"rows":3}}},"assets":["a"],"v":1e0}`),
		"a Go client":                  want,
		"a map":                        map[string]any{"v": 1, "assets": []string{"a"}, "priority": "high", "tags": map[string]string{"team": "ops"}, "config": map[string]any{"assets": map[string]any{"a": map[string]any{"rows": 3}}}},
		"JSON as bytes": converter.NewRawValue(&commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingBinary)},
			Data:     []byte(`{"v":1,"assets":["a"],"priority":"high","tags":{"team":"ops"},"config":{"assets":{"a":{"rows":3}}}}`),
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld("a")
			_, err := w.environment(t).run(input)
			require.NoError(t, err)
			require.Equal(t, want, w.planned[0].Request)
		})
	}
}

func TestOnlyTheBeginningOfALargeRefusedInputIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	_, err := w.environment(t).run(payload(`{"x":"` + strings.Repeat("é", 1<<20) + `"}`))
	require.ErrorContains(t, err, wire.FailureInvalidRequest)
	require.LessOrEqual(t, len(w.refused[0].Input), 64<<10+3)
	require.True(t, strings.HasPrefix(w.refused[0].Input, `{"x":"éé`))
}

func TestAPlanThatIsRefusedEndsTheRunWithItsProblems(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	problems := wire.Problems{
		{Path: "assets", Code: wire.CodeUnknown, Message: `no asset "b"`, Fix: `did you mean "a"?`},
		{Path: "tags.x", Code: wire.CodeInvalid, Message: "is too long"},
	}
	w.plan = func() (wire.PlanRunResult, error) {
		return wire.PlanRunResult{}, temporal.NewNonRetryableApplicationError(problems.Error(), wire.FailureInvalidRequest, nil, wire.Refusal{Problems: problems})
	}
	_, err := w.environment(t).run(payload(`{"assets":"b"}`))
	found, failed := refusal(t, err)
	require.Equal(t, problems, found)
	require.Equal(t, `invalid run request: assets: no asset "b" (did you mean "a"?); tags.x: is too long`, failed.Message())
	require.Empty(t, w.ended, "nothing was begun, so nothing ends")
	require.Empty(t, w.refused, "planning has remembered it")
}

func TestADryRunAnswersWithThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	planned := []wire.PlannedStep{{Step: "a", Assets: []string{"a"}, Reason: "selected"}}
	w.plan = func() (wire.PlanRunResult, error) { return wire.PlanRunResult{DryRun: planned}, nil }
	result, err := w.environment(t).run(payload(`{"assets":"*","dry_run":true}`))
	require.NoError(t, err)
	require.Equal(t, wire.RunResult{RunID: "r1", Status: wire.RunNotStarted, Materialized: []string{}, Plan: planned}, result)
	require.Empty(t, w.scheduled)
	require.Empty(t, w.ended)
}

func TestPlanningIsTriedUntilItWorks(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	w.plan = func() (wire.PlanRunResult, error) {
		if len(w.planned) < 6 {
			return wire.PlanRunResult{}, temporal.NewApplicationErrorWithOptions("no Postgres", wire.FailureStoreUnavailable, temporal.ApplicationErrorOptions{})
		}
		w.plan = nil
		return wire.PlanRunResult{Walk: json.RawMessage(`{"v":1,"steps":[{"key":"a"}],"kinds":[{}],"limits":{"max_concurrent_steps":1,"continue_after":4000,"force_after":40000}}`)}, nil
	}
	e := w.environment(t)
	began := e.Now()
	_, err := e.run(everything())
	require.NoError(t, err)
	require.Len(t, w.planned, 6)
	// The first was local. Then an activity is tried, with pauses of 1, 2, 4 and 8 seconds.
	require.InDelta(t, (15 * time.Second).Seconds(), e.Now().Sub(began).Seconds(), 2)
}

func TestAWalkThatIsNoneFailsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	w.plan = func() (wire.PlanRunResult, error) {
		return wire.PlanRunResult{Walk: json.RawMessage(`{"v":9,"steps":[]}`)}, nil
	}
	_, err := w.environment(t).run(everything())
	require.ErrorContains(t, err, `the plan of run "r1"`)
	require.ErrorContains(t, err, "version 9")
}
