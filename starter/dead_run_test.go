package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestARunEndsWithItsWorkflow(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	closed := began.Add(time.Hour)
	const unknown = ""
	for name, test := range map[string]struct {
		first  string
		status enums.WorkflowExecutionStatus
		reason string
		at     time.Time
	}{
		"it runs":                     {"f1", enums.WORKFLOW_EXECUTION_STATUS_RUNNING, "", time.Time{}},
		"it continued as new":         {"f1", enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, "", time.Time{}},
		"it was terminated":           {"f1", enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, "ended as terminated in Temporal", closed},
		"another has its id":          {"f2", enums.WORKFLOW_EXECUTION_STATUS_RUNNING, "another was started under its id", began},
		"an older server, it runs":    {unknown, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, "", time.Time{}},
		"an older server, it is over": {unknown, enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, "ended as timedout in Temporal", closed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, reason, at := endOf("f1", &workflow.WorkflowExecutionInfo{
				FirstRunId: test.first, Status: test.status, StartTime: timestamppb.New(began), CloseTime: timestamppb.New(closed),
			})
			require.Equal(t, test.at, at)
			require.Contains(t, reason, test.reason)
			require.Equal(t, test.reason == "", reason == "")
		})
	}
}
