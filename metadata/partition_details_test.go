package metadata_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// What is known of a page of partitions does not take longer because one run has failed thousands of them.
func TestPartitionsThatOneRunFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const many = 3000
	keys := numbered(many)
	b.begin("r1", partitioned("x", keys...)...)
	_, err := b.db.ExecContext(t.Context(), `
		insert into steps (run_id, step, state, scheduled, error)
		select run_id, step, 'failed', 1, jsonb_build_object('message', 'no ' || step) from plan_steps`)
	require.NoError(t, err)
	b.end("r1", 2, wire.RunFailure)
	b.begin("r2", partitioned("x", keys[0])...)
	b.madePartition("r2", "x", keys[0], 1)
	b.end("r2", 2, wire.RunSuccess)
	begun := time.Now()
	details, err := b.PartitionDetails(t.Context(), "x", keys[:1000])
	require.NoError(t, err)
	t.Logf("1,000 of %d failed partitions: %v", many, time.Since(begun))
	require.Len(t, details, 1000)
	require.NotNil(t, details[0].Current)
	require.Nil(t, details[0].Failure, "it was made since")
	for i, detail := range details[1:] {
		key := keys[i+1]
		require.Equal(t, key, detail.Partition)
		require.Equal(t, &metadata.PartitionFailure{Run: "r1", Step: "x@" + key, Message: fmt.Sprintf("no x@%s", key)}, detail.Failure)
	}
}
