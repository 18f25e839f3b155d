package metadata_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// What one call does with 20,000 steps takes about a second: what is quadratic in it takes longer than this store waits.
func TestAFanOfTenThousand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store, err := metadata.Open(t.Context(), b.dsn, metadata.Options{Timeout: 15 * time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	b.Store = store

	const size = 10_000
	keys := make([]string, size)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%05d", i)
	}
	b.begin("r1", fanned()...)
	b.ranOp("r1", "source", 1, "")
	pages := b.ranOp("r1", "pages", 2, keys...)
	require.Equal(t, []wire.StepValue{valueOf(pages, keys[size-1])}, b.claimOp("r1", plan.MappedKey("etl.clean", keys[size-1]), 3).Values)
	require.Len(t, b.claimOp("r1", "summary", 3).Values, size)
	parent, err := b.ParentRun(t.Context(), "r1")
	require.NoError(t, err)
	require.Len(t, parent.Steps, 2*size+3)
	require.Equal(t, wire.StepCounts{Succeeded: 2, Canceled: 2*size + 1}, b.end("r1", 9, wire.RunCanceled).Steps)

	// Computed anew it drops them all.
	b.claimOp("r1", "pages", 20)
	run, err := b.Run(t.Context(), "r1")
	require.NoError(t, err)
	require.Equal(t, 3, run.StepsTotal)
}
