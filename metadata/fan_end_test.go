package metadata_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// The fan is all that is open when the run is ended, and nothing collects it: what its commit brings, which the end waited
// for, is closed as well.
func TestARunThatEndsWhileItsLastOpenStepIsAFanClosesWhatThatBrings(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pages := op("pages")
	pages.FanOut = true
	clean := op("clean")
	clean.Over = "pages"
	b.begin("r1", pages, clean)
	fence := wire.Fence{Run: "r1", Step: "pages", Scheduled: 5, Token: b.claimOp("r1", "pages", 5).Token}

	// Another transaction holds the step's row as a commit under way does, until the end waits for it.
	commit, err := b.db.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	data, err := json.Marshal(opCommit(fence, "a", "b"))
	require.NoError(t, err)
	_, err = commit.ExecContext(t.Context(), `select commit_step_v1($1)`, string(data))
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := b.EndRun(b.Context(), metadata.RunEnd{RunID: "r1", FirstRunID: "first-r1", Status: wire.RunCanceled, Scheduled: time.Unix(0, 9)})
		ended <- err
	}()
	require.Eventually(t, func() bool {
		return b.count(`select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%end_run_v1%' and datname = current_database()`) > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, commit.Commit())
	require.NoError(t, <-ended)

	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 3, run.StepsTotal)
	require.Equal(t, wire.StepCounts{Succeeded: 1, Canceled: 2}, run.Steps)
}
