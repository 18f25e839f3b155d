package metadata_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// A fan commits while its run is being ended: every step that it brings is closed, or none is there, and the counts say so.
func TestARunThatEndsWhileAFanCommitsLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const races = 60
	var wait sync.WaitGroup
	var refused, brought int
	for i := range races {
		run := fmt.Sprint("r", i)
		b.begin(run, fanned()...)
		fence := wire.Fence{Run: run, Step: "pages", Scheduled: 5, Token: b.claimOp(run, "pages", 5).Token}
		var committed wire.Committed
		var errs [2]error
		wait.Go(func() { committed, errs[0] = b.Commit(b.Context(), opCommit(fence, "a", "b", "c")) })
		wait.Go(func() {
			<-time.After(time.Duration(i%12) * 100 * time.Microsecond)
			_, errs[1] = b.EndRun(b.Context(), metadata.RunEnd{
				RunID: run, FirstRunID: "first-" + run, Status: wire.RunCanceled, Scheduled: time.Unix(0, 9),
			})
		})
		wait.Wait()
		require.NoError(t, errs[0])
		require.NoError(t, errs[1])
		ended, err := b.Run(t.Context(), run)
		require.NoError(t, err)
		require.Equal(t, wire.RunCanceled, ended.Status)
		require.Equal(t, ended.StepsTotal, ended.Steps.Succeeded+ended.Steps.Canceled)
		if committed.Refused {
			refused++
			require.Equal(t, 3, ended.StepsTotal)
		} else {
			brought++
			require.Equal(t, 9, ended.StepsTotal)
			require.Equal(t, 1, ended.Steps.Succeeded)
		}
	}
	t.Logf("%d commits were refused, %d brought their steps", refused, brought)
}
