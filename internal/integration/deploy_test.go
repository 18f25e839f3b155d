//go:build unix

package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// deployed is a location before and after a deploy: 100 assets; the new build adds one, removes one and wires one
// otherwise. The steps of "tail" are done by whoever is there, those of "rest" after the deploy.
func deployed() (before, after []testlocation.Asset) {
	both := []testlocation.Asset{asset("first")}
	for i := range 27 {
		both = append(both, asset(fmt.Sprintf("head_%02d", i), "first"))
	}
	both = append(both, asset("joint", "head_00", "head_26"))
	for i := range 30 {
		both = append(both, asset(fmt.Sprintf("tail_%02d", i), "joint"))
	}
	both = append(both, asset("gate", "joint"))
	for i := range 38 {
		both = append(both, asset(fmt.Sprintf("rest_%02d", i), "gate"))
	}
	before = append(slices.Clip(both), asset("removed", "joint"), asset("wired", "joint", "head_01"))
	after = append(slices.Clip(both), asset("added", "joint"), asset("wired", "joint", "head_02"))
	return before, after
}

func TestARunGoesOnAcrossARollingDeploy(t *testing.T) {
	t.Parallel()
	before, after := deployed()
	require.Len(t, before, 100)
	old := newFixture(t, before, "PERDURE_WORKER_DRAIN_TIMEOUT=10s", "PERDURE_WORKER_MAX_CONCURRENT_STEPS_PER_WORKER=8")
	renewed := &fixture{Instance: old.Instance, dsn: old.dsn, spec: testlocation.Spec{Location: old.spec.Location, Assets: after}}
	leaving := old.worker(t, "old")
	old.hold(t, "joint", "gate")
	run := old.start(t, "1", "*")
	old.awaitNotes(t, testlocation.Called, "joint", 1)

	renewed.worker(t, "new")
	_, _, active, err := old.Store.ActiveSnapshot(t.Context(), old.spec.Location)
	require.NoError(t, err)
	require.Equal(t, "new", active)
	old.release(t, "joint")
	for _, key := range []string{"removed", "wired"} {
		done := old.awaitStep(t, run, key, func(s metadata.Step) bool { return s.Status == wire.StepSuccess })
		require.Equal(t, "old", done.Build)
	}
	old.awaitNotes(t, testlocation.Called, "gate", 1)
	require.NoError(t, leaving.Terminate())
	<-leaving.Ended()
	require.NoError(t, leaving.Problem())
	old.release(t, "gate")
	old.requireGood(t, run)
	steps := old.steps(t, run)
	builds := map[string]int{}
	for _, step := range steps {
		builds[step.Build]++
		require.Zero(t, step.Lost, step.Step)
		require.Equal(t, 1, step.Attempt, step.Step)
	}
	require.Greater(t, builds["old"], 30)
	require.Greater(t, builds["new"], 37)

	// The next run is the new build's.
	run = renewed.start(t, "2", "*")
	renewed.requireGood(t, run)
}

func TestAStepThatNoBuildHasAnyMoreFails(t *testing.T) {
	t.Parallel()
	old := newFixture(t, []testlocation.Asset{asset("kept"), asset("removed", "kept"), asset("independent", "kept")},
		"PERDURE_RUN_DEPLOY_GRACE=5s", "PERDURE_WORKER_DRAIN_TIMEOUT=4s")
	renewed := &fixture{Instance: old.Instance, dsn: old.dsn, spec: testlocation.Spec{
		Location: old.spec.Location, Assets: []testlocation.Asset{asset("kept"), asset("independent", "kept")},
	}}
	leaving := old.worker(t, "old")
	old.hold(t, "kept")
	run := old.start(t, "1", "*")
	old.awaitNotes(t, testlocation.Called, "kept", 1)
	renewed.worker(t, "new")
	require.NoError(t, leaving.Terminate())
	<-leaving.Ended()
	old.awaitNotes(t, testlocation.Called, "kept", 2)
	old.release(t, "kept")
	waiting := old.awaitStep(t, run, "removed", func(s metadata.Step) bool { return s.Reason != "" })
	require.Contains(t, waiting.Reason, `build new of location "`+old.spec.Location+`" has no "removed"`)

	ended := old.requireEnd(t, run, wire.RunFailure, wire.StepCounts{Succeeded: 2, Failed: 1})
	require.Contains(t, ended.Failures[0].Message, "start a worker of the build that the run was planned by")
	failed := old.steps(t, run)["removed"]
	require.GreaterOrEqual(t, failed.EndedAt.Sub(waiting.ReasonSince), 5*time.Second)
	require.Zero(t, failed.Attempt)
}
