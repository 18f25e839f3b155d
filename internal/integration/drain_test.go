//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/internal/testlocation"
)

func TestAWorkerDrains(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []testlocation.Asset{asset("source"), asset("quick", "source"), asset("long", "source"), asset("sink", "quick", "long")},
		"PERDURE_WORKER_DRAIN_TIMEOUT=12s")
	leaving := f.worker(t, "b1")
	f.hold(t, "quick", "long")
	run := f.start(t, "1", "*")
	f.awaitNotes(t, testlocation.Called, "quick", 1)
	f.awaitNotes(t, testlocation.Called, "long", 1)
	staying := f.worker(t, "b1")
	require.NoError(t, leaving.Terminate())
	require.Eventually(t, func() bool { return strings.Contains(leaving.Log(), "msg=draining") }, longEnough, often)
	f.release(t, "quick")

	stopped := f.awaitNotes(t, testlocation.Stopped, "long", 1)
	require.Equal(t, "its worker is stopping", stopped[0].Cause)
	calls := f.awaitNotes(t, testlocation.Called, "long", 2)
	require.Equal(t, staying.ID(), calls[1].Process)
	require.Less(t, calls[1].At.Sub(stopped[0].At), 10*time.Second, "it was not given back at once")
	<-leaving.Ended()
	require.NoError(t, leaving.Problem(), leaving.Log())
	f.release(t, "long")

	f.requireGood(t, run)
	f.requireCalls(t, run, map[string]int{"long": 2})
	steps := f.steps(t, run)
	require.True(t, strings.HasPrefix(f.steps(t, run)["quick"].Worker, strings.Split(steps["source"].Worker, "@")[0]+"@"), "what ends within the drain is committed")
	require.Zero(t, steps["long"].Lost, "a worker that drains is not lost")
	require.Equal(t, 1, steps["long"].Attempt)
}
