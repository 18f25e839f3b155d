//go:build unix

package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perdure-io/perdure/internal/testlocation"
	"github.com/perdure-io/perdure/wire"
)

// oneSlot is a worker that runs one step at a time, so that the others wait in Temporal.
const oneSlot = "PERDURE_WORKER_MAX_CONCURRENT_STEPS_PER_WORKER=1"

// awaitPending waits until a run has given its step to Temporal.
func (f *fixture) awaitPending(t *testing.T, run string) {
	t.Helper()
	require.Eventually(t, func() bool {
		described, err := f.Temporal.DescribeWorkflowExecution(t.Context(), run, "")
		return err == nil && len(described.GetPendingActivities()) == 1
	}, longEnough, often, "%s has not scheduled its step", run)
}

// awaitPendingOf waits for so many runs of a backfill over one day of an asset each.
func (f *fixture) awaitPendingOf(t *testing.T, backfill, asset string, n int) {
	t.Helper()
	for day := range n {
		f.awaitPending(t, backfill+":"+asset+":"+testlocation.Day(day))
	}
}

// order are the assets and days whose functions were called, in this order.
func (f *fixture) order(t *testing.T) []string {
	t.Helper()
	var order []string
	for _, note := range f.notes(t, testlocation.Called, "") {
		order = append(order, note.Asset)
	}
	return order
}

// A person's run does not wait for the steps of a backfill that wait already, and a schedule's comes in between.
func TestAPersonsRunOvertakesABackfill(t *testing.T) {
	t.Parallel()
	const many = 12
	f := newFixture(t, []testlocation.Asset{{Key: "slow", Days: 40}, asset("now"), asset("nightly"), asset("first")})
	f.worker(t, "b1", oneSlot)
	f.hold(t, "first")
	held := f.start(t, "held", "first")
	f.awaitNotes(t, testlocation.Called, "first", 1)

	request := firstDays(many)
	request.Assets, request.MaxConcurrentRuns = wire.AssetSelection{Expression: "slow"}, many
	backfill := f.startBackfill(t, "bf", request)
	f.awaitPendingOf(t, backfill, "slow", many)
	low, person := f.spec.Location+"-low", f.spec.Location+"-person"
	f.startOn(t, f.spec.Location, low, client.StartWorkflowOptions{Priority: temporal.Priority{PriorityKey: 4}}, wire.RunRequest{Assets: wire.AssetSelection{Expression: "nightly"}, Priority: wire.PriorityLow})
	f.awaitPending(t, low)
	f.startOn(t, f.spec.Location, person, client.StartWorkflowOptions{}, wire.RunRequest{Assets: wire.AssetSelection{Expression: "now"}})
	f.awaitPending(t, person)

	f.release(t, "first")
	for _, run := range []string{held, person, low} {
		_, err := f.await(t, run)
		require.NoError(t, err)
	}
	_, err := f.awaitBackfill(t, backfill)
	require.NoError(t, err)
	order := f.order(t)
	require.Len(t, order, many+3)
	require.Equal(t, []string{"first", "now", "nightly"}, order[:3])
}

// A backfill that came later does not wait until the one before it is through.
func TestBackfillsShareWorkersFairly(t *testing.T) {
	t.Parallel()
	const many = 12
	f := newFixture(t, []testlocation.Asset{{Key: "slow", Days: 40}, {Key: "other", Days: 40}, asset("first")})
	f.worker(t, "b1", oneSlot)
	f.hold(t, "first")
	f.start(t, "held", "first")
	f.awaitNotes(t, testlocation.Called, "first", 1)

	var backfills []string
	for _, key := range []string{"slow", "other"} {
		request := firstDays(many)
		request.Assets, request.MaxConcurrentRuns = wire.AssetSelection{Expression: key}, many
		id := f.startBackfill(t, key, request)
		f.awaitPendingOf(t, id, key, many)
		backfills = append(backfills, id)
	}
	f.release(t, "first")
	for _, id := range backfills {
		_, err := f.awaitBackfill(t, id)
		require.NoError(t, err)
	}
	order := f.order(t)
	require.Len(t, order, 2*many+1)
	others := 0
	for _, called := range order[1 : many+1] {
		if strings.HasPrefix(called, "other") {
			others++
		}
	}
	require.InDelta(t, many/2, others, 2, "of the first half: %v", order)
}
