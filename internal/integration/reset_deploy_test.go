//go:build unix

package integration

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/wire"
)

// replaced is a location whose build "new", without the asset "removed", has taken over from "old" after run.
func replaced(t *testing.T, whole bool) (old *fixture, run string) {
	t.Helper()
	old = newFixture(t, []testlocation.Asset{asset("kept"), asset("removed", "kept")},
		"PERDURE_RUN_DEPLOY_GRACE=3s", "PERDURE_WORKER_DRAIN_TIMEOUT=4s")
	renewed := &fixture{Instance: old.Instance, dsn: old.dsn, spec: testlocation.Spec{
		Location: old.spec.Location, Assets: []testlocation.Asset{asset("kept")},
	}}
	leaving := old.worker(t, "old")
	if !whole {
		old.hold(t, "kept")
	}
	run = old.start(t, "1", "kept or removed")
	if whole {
		old.requireGood(t, run)
	} else {
		old.awaitNotes(t, testlocation.Called, "kept", 1)
	}
	renewed.worker(t, "new")
	require.NoError(t, leaving.Terminate())
	<-leaving.Ended()
	return old, run
}

func TestARunIsResetToAStepThatNoBuildHasAnyMore(t *testing.T) {
	t.Parallel()
	f, run := replaced(t, true)
	f.reset(t, run, "removed")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 1, Failed: 1})
	require.Contains(t, ended.Failures[0].Message, `build new of location "`+f.spec.Location+`" has no "removed"`)
	require.Contains(t, ended.Failures[0].Message, "start a worker of the build that the run was planned by")
	require.Equal(t, []string{"kept"}, ended.Materialized)
}

// A run that is planned again after a deploy keeps its plan, although its request could not be planned any more.
func TestARunIsResetToItsBeginningAfterADeploy(t *testing.T) {
	t.Parallel()
	f, run := replaced(t, false)
	f.reset(t, run, "")
	f.release(t, "kept")
	ended := f.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 1, Failed: 1})
	require.Equal(t, "removed", ended.Failures[0].Step)
	refused, err := f.Store.Refusals(t.Context(), run)
	require.NoError(t, err)
	require.Empty(t, refused)
}
