//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func TestTwoRunsOfOneAssetWriteOneAfterTheOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("one")})
	f.worker(t, "b1")
	f.instruct(t, "one", testlocation.Instruction{HoldPublish: true})
	first := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Publishing, "one", 1)
	second := f.start(t, "2", "*")
	waiting := f.awaitStep(t, second, "one", func(s metadata.Step) bool { return s.Reason != "" })
	require.Contains(t, waiting.Reason, "waits for step one of run "+first)
	require.Equal(t, 1, f.count(t, "select count(*) from steps where run_id = $1 and reason_code = $2", second, wire.FailureWaitingForWriter))
	require.Equal(t, 1, f.count(t, "select count(*) from steps where state = 'open' and held"))
	require.Len(t, f.notes(t, testlocation.Called, "one"), 1, "two writers at once")
	f.release(t, "one")

	_, err := f.await(t, first)
	require.NoError(t, err)
	f.requireGood(t, second)
	earlier, later := f.materialization(t, first, "one"), f.materialization(t, second, "one")
	require.Less(t, earlier.Position, later.Position)
	calls := f.awaitNotes(t, testlocation.Called, "one", 2)
	require.Equal(t, []string{first, second}, []string{calls[0].Run, calls[1].Run})
	require.False(t, calls[1].At.Before(earlier.At), "the second began before the first was recorded")
}

// deadRunWithin is how long others may wait for what a run holds whose workflow has been terminated.
const deadRunWithin = 30 * time.Second

func TestATerminatedRunHoldsNothingForLong(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{
		"terminated": "terminated in Temporal", "terminated and its id used again": "another was started under its id",
	} {
		again := strings.Contains(name, "again")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, []testlocation.Asset{asset("one")})
			f.worker(t, "b1")
			f.hold(t, "one")
			dead := f.start(t, "dead", "*")
			f.awaitNotes(t, testlocation.Called, "one", 1)
			require.NoError(t, f.Temporal.TerminateWorkflow(t.Context(), dead, "", "a test"))
			terminated := time.Now()
			if again {
				output, err := f.temporal(t, "workflow", "start", "--type", "Run", "--task-queue", f.spec.Location, "--workflow-id", dead, "--input", `{"assets":"*"}`)
				require.NoError(t, err, output)
			}
			alive := f.start(t, "alive", "*")
			// The function hears that nobody wants its value any more.
			f.awaitNotes(t, testlocation.Stopped, "one", 1)
			calls := f.awaitNotes(t, testlocation.Called, "one", 2)
			require.Equal(t, alive, calls[1].Run)
			require.Less(t, calls[1].At.Sub(terminated), deadRunWithin)
			f.release(t, "one")
			f.requireGood(t, alive)

			row := f.run(t, dead)
			require.Equal(t, wire.RunFailure, row.Status)
			require.Contains(t, row.Reason, reason)
			require.Equal(t, wire.StepCounts{Canceled: 1}, row.Steps)
			require.Len(t, f.events(t, dead, metadata.EventRunFailure), 1)
		})
	}
}
