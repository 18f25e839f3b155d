//go:build unix

package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflow/v1"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
)

// pending is Temporal's view of a step's activity; nil when it is not pending.
func (f *fixture) pending(t *testing.T, run, step string) *workflow.PendingActivityInfo {
	t.Helper()
	described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
	require.NoError(t, err)
	for _, activity := range described.GetPendingActivities() {
		if activity.GetActivityId() == step {
			return activity
		}
	}
	return nil
}

// awaitStagedInHeartbeat waits until Temporal knows what a step has staged.
func (f *fixture) awaitStagedInHeartbeat(t *testing.T, run, step string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return len(f.pending(t, run, step).GetHeartbeatDetails().GetPayloads()) > 0
	}, longEnough, often)
}

// awaitAttemptsEnd waits until a worker says that its attempt at a step has ended, and not well.
func (f *fixture) awaitAttemptsEnd(t *testing.T, w *testlocation.Worker, step string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for line := range strings.Lines(w.Log()) {
			if strings.Contains(line, "Activity error") && strings.Contains(line, "ActivityType="+step+" ") {
				return true
			}
		}
		return false
	}, longEnough, often)
}

// materialization is the one that a run made of an asset.
func (f *fixture) materialization(t *testing.T, run, asset string) metadata.Materialization {
	t.Helper()
	page, err := f.Store.Materializations(t.Context(), metadata.MaterializationFilter{Run: run, Asset: asset}, "", 10)
	require.NoError(t, err)
	require.Len(t, page.Rows, 1)
	return page.Rows[0]
}
