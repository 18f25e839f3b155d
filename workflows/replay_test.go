package workflows_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/workflows"
)

// recordings is where the histories are that `make replay-record` made. At a release they move to a folder named for
// it, and stay there for two minors: everything below is replayed.
const recordings = "testdata/replay"

const notReplayable = `%s: this code takes another way than the one that the history took: %v

In production every open run that is here would stop in a workflow task that fails again and again, until the code is
rolled back; no step of it would be lost, none would go on either. Let the old way stand for runs that are open:

	if workflow.GetVersion(ctx, "what-changes", workflow.DefaultVersion, 1) == workflow.DefaultVersion { /* as it was */ }

and record a history of the new way beside this one (make replay-record). Do not record this one anew: it stands for
runs that are open somewhere.`

func newReplayer() worker.WorkflowReplayer {
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.Run, workflow.RegisterOptions{Name: wire.RunWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.ReportEvent, workflow.RegisterOptions{Name: wire.ReportEventWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Backfill, workflow.RegisterOptions{Name: wire.BackfillWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.RunQueue, workflow.RegisterOptions{Name: wire.RunQueueWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.ScheduleTick, workflow.RegisterOptions{Name: wire.ScheduleTickWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Sensor, workflow.RegisterOptions{Name: wire.SensorWorkflow})
	replayer.RegisterWorkflowWithOptions(workflows.Preview, workflow.RegisterOptions{Name: wire.PreviewWorkflow})
	return replayer
}

func readHistory(t *testing.T, path string) *history.History {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var read history.History
	require.NoError(t, temporalproto.CustomJSONUnmarshalOptions{}.Unmarshal(data, &read))
	return &read
}

// recorded are the files of all histories.
func recorded(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(recordings, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".json") {
			found = append(found, path)
		}
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, found, "without histories nothing is proved: make replay-record")
	return found
}

func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	for _, path := range recorded(t) {
		t.Run(strings.TrimPrefix(path, recordings+"/"), func(t *testing.T) {
			t.Parallel()
			if err := newReplayer().ReplayWorkflowHistory(quiet{}, readHistory(t, path)); err != nil {
				t.Errorf(notReplayable, path, err)
			}
		})
	}
}

// everyScenario is every way that a workflow can take.
func everyScenario() []scenario {
	return slices.Concat(scenarios(), backfillScenarios(), scheduleScenarios(), sensorScenarios(), queueScenarios())
}

// Every way of a workflow is among the histories of this commit.
func TestEveryWayIsRecorded(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, path := range recorded(t) {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "~")
		names[name] = true
	}
	for _, s := range everyScenario() {
		require.Contains(t, names, s.name, "make replay-record")
	}
}

// A replay that could not fail would prove nothing.
func TestAReplayNoticesAnotherWay(t *testing.T) {
	t.Parallel()
	changed := 0
	read := readHistory(t, filepath.Join(recordings, "success.json"))
	for _, event := range read.GetEvents() {
		if event.GetEventType() != enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			continue
		}
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled.GetActivityId() == "sink" {
			scheduled.ActivityId = "another"
			changed++
		}
	}
	require.Equal(t, 1, changed)
	require.ErrorContains(t, newReplayer().ReplayWorkflowHistory(quiet{}, read), "nondeterministic")
}
