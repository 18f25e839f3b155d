//go:build unix

package integration

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// queued makes an instance of a deployment of its own: a deployment has one run queue.
func queued(t *testing.T, assets []testlocation.Asset, settings ...string) *fixture {
	t.Helper()
	return newFixture(t, assets, append(settings, "PERDURE_DEPLOYMENT=q"+strconv.FormatInt(fixtures.Add(1), 10))...)
}

// limitRuns sets how many runs are in progress at once.
func (f *fixture) limitRuns(t *testing.T, most int, tags ...wire.TagLimit) {
	t.Helper()
	tags = append([]wire.TagLimit{}, tags...)
	_, err := f.Store.SetQueueLimits(t.Context(), metadata.QueueLimits{MaxConcurrentRuns: &most, TagLimits: &tags}, "test", "")
	require.NoError(t, err)
}

func (f *fixture) limitPool(t *testing.T, pool string, limit int) {
	t.Helper()
	_, err := f.Store.SetPool(t.Context(), metadata.PoolSetting{Pool: pool, Limit: &limit, Who: "test"})
	require.NoError(t, err)
}

// startWith starts a run of all assets as it is asked for.
func (f *fixture) startWith(t *testing.T, name string, request wire.RunRequest) (run string) {
	t.Helper()
	id := f.spec.Location + "-" + name
	request.Assets = wire.AssetSelection{Expression: "*"}
	_, err := f.Starter.StartRun(t.Context(), starter.NewRun{Location: f.spec.Location, ID: id, Request: request})
	require.NoError(t, err)
	return id
}

func TestAQueuedRunBeginsWhenAnotherEnds(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{asset("a")})
	f.worker(t, "b1")
	f.limitRuns(t, 1)
	f.hold(t, "a")
	first := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	second := f.start(t, "2", "*")
	f.awaitRow(t, second, wire.RunQueued)
	third := f.start(t, "3", "*")
	require.Contains(t, f.awaitRow(t, third, wire.RunQueued), first)
	require.NoError(t, f.Temporal.CancelWorkflow(t.Context(), third, ""))
	f.requireEnd(t, third, wire.RunCanceled, wire.StepCounts{Canceled: 1})
	f.release(t, "a")
	f.requireGoodAgain(t, first)
	f.requireGood(t, second)
}

// requireGoodAgain is requireGood of a run since which another has made its assets.
func (f *fixture) requireGoodAgain(t *testing.T, run string) {
	t.Helper()
	_, err := f.await(t, run)
	require.NoError(t, err)
	verdict, err := f.VerifyAgain(t.Context(), f.spec, run)
	require.NoError(t, err)
	require.Equal(t, testlocation.Verdict{}, verdict)
}

func TestStepsOfAPoolWaitForEachOtherAcrossRuns(t *testing.T) {
	t.Parallel()
	f := queued(t, []testlocation.Asset{{Key: "a", Pool: "db"}, {Key: "b", Pool: "db"}, {Key: "c", Inputs: []string{"a", "b"}}})
	f.worker(t, "b1")
	f.limitPool(t, "db", 1)
	f.hold(t, "a", "b")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "a", 1)
	require.Empty(t, f.notes(t, testlocation.Called, "b"))
	f.release(t, "a", "b")
	f.requireGood(t, run)
	require.Zero(t, f.count(t, "select count(*) from slots"))
}
