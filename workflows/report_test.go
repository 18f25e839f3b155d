package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/wire"
)

func (e *environment) report(arguments ...any) (wire.ReportResult, error) {
	e.ExecuteWorkflow(wire.ReportEventWorkflow, arguments...)
	require.True(e.t, e.IsWorkflowCompleted())
	var result wire.ReportResult
	if err := e.GetWorkflowError(); err != nil {
		return result, err
	}
	return result, e.GetWorkflowResult(&result)
}

func TestAReportIsRecordedUnderItsID(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	result, err := w.environment(t).report(payload(`{"asset":"a","type":"observation","v":1.0,"metadata":{"rows":3}}`))
	require.NoError(t, err)
	require.Equal(t, wire.ReportResult{ReportID: "r1", Asset: "a", Type: wire.ReportObservation, Partitions: 1, New: true, Position: 7}, result)
	require.Len(t, w.reported, 1)
	require.Equal(t, "r1", w.reported[0].ReportID)
	require.JSONEq(t, `3`, string(w.reported[0].Request.Metadata["rows"]))
	require.Empty(t, w.refused)
}

func TestAReportIsRefusedWithAllItsProblems(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	_, err := w.environment(t).report(payload(`{"aset":"a","type":7,"metadata":{"rows":null}}`), payload(`{}`))
	problems, failed := refusal(t, err)
	require.Equal(t, []string{"aset", "type", "metadata.rows", ""}, paths(problems))
	require.Equal(t, "invalid report: "+problems.Error(), failed.Message())
	require.Empty(t, w.reported, "nothing is recorded")
	require.Len(t, w.refused, 1)
	require.Equal(t, wire.ReportEventWorkflow, w.refused[0].WorkflowType)
	require.JSONEq(t, `{"aset":"a","type":7,"metadata":{"rows":null}}`, w.refused[0].Input)
	require.Equal(t, problems, w.refused[0].Problems)
}

// What the activity refuses, by the definitions, it has remembered itself.
func TestAReportThatTheDefinitionsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	unknown := wire.Problems{{Path: "asset", Code: wire.CodeUnknown, Message: `location "flights" has no asset "b"`}}
	w.reporting = temporal.NewNonRetryableApplicationError("", wire.FailureInvalidRequest, nil, wire.Refusal{Problems: unknown})
	_, err := w.environment(t).report(payload(`{"asset":"b","type":"materialization"}`))
	problems, failed := refusal(t, err)
	require.Equal(t, unknown, problems)
	require.Equal(t, `invalid report: asset: location "flights" has no asset "b"`, failed.Message())
	require.Empty(t, w.refused)
}

func paths(problems wire.Problems) []string {
	found := make([]string, len(problems))
	for i, problem := range problems {
		found[i] = problem.Path
	}
	return found
}
