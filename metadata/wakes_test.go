package metadata_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// takeAdmitted returns the runs that were woken since the last call, by id, with their steps that have got slots.
func (w *wakes) takeAdmitted() map[string][]string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	admitted := map[string][]string{}
	for _, wake := range w.woken {
		admitted[wake.ID] = append(admitted[wake.ID], wake.Admitted.Steps...)
	}
	w.woken = nil
	return admitted
}

// Whoever frees a place or a slot has who gets it woken, whichever call it was.
func TestWhoGetsWhatACallFreesIsWoken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.collect()
	one, two := 1, 2
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &one})
	require.Empty(t, b.planned(tagged("r1", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r2", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r3", 3, nil)))
	require.NotEmpty(t, b.planned(tagged("r4", 3, nil)))
	require.Empty(t, w.take())
	require.False(t, b.admit("r2").Admitted)
	require.Empty(t, w.take(), "that nobody is admitted wakes nobody")

	b.end("r1", 0, wire.RunSuccess)
	require.Equal(t, map[string][]string{"r2": nil}, w.takeAdmitted())
	require.True(t, b.admit("r2").Admitted)
	require.Empty(t, w.take())
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &two})
	require.Equal(t, map[string][]string{"r3": nil}, w.takeAdmitted())
	none := metadata.Unlimited
	b.limit(metadata.QueueLimits{MaxConcurrentRuns: &none})
	require.Equal(t, map[string][]string{"r4": nil}, w.takeAdmitted())

	b.setPool("db", 1)
	require.Empty(t, b.planned(inPool("p1", "db", "s1", "s2")))
	require.Empty(t, b.planned(inPool("p2", "db", "s1", "s2")))
	for _, run := range []string{"p1", "p2"} {
		b.claimSlots(run, 1, wire.PoolStep{Step: "s1", Pool: "db"}, wire.PoolStep{Step: "s2", Pool: "db"})
	}
	require.Empty(t, w.take())
	_, err := b.CloseSteps(t.Context(), "p1", time.Unix(0, 2), []wire.ClosedStep{{Step: "s1", Status: wire.StepCanceled}})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"p1": {"s2"}}, w.takeAdmitted())
	b.setPool("db", 3)
	require.Equal(t, map[string][]string{"p2": {"s1", "s2"}}, w.takeAdmitted())

	// A step fails also when it is claimed once too often.
	b.setPool("db", 2)
	require.Empty(t, b.planned(inPool("p3", "db", "s1")))
	require.Len(t, b.claimSlots("p3", 1, wire.PoolStep{Step: "s1", Pool: "db"}).Waiting, 1)
	b.end("p1", 10, wire.RunCanceled)
	require.Empty(t, w.take(), "two slots are taken still")
	for started := range int64(3) {
		require.Equal(t, wire.ClaimGranted, b.claim("p2", "s1", 1, started+1).Outcome)
	}
	require.Equal(t, wire.ClaimLost, b.claim("p2", "s1", 1, 4).Outcome)
	require.Equal(t, map[string][]string{"p3": {"s1"}}, w.takeAdmitted())
}
