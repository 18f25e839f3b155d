package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/wire"
)

// Temporal takes 64 bytes, and two backfills whose ids begin alike must not be one to it.
func TestFairnessKeysAreShortAndTellApart(t *testing.T) {
	t.Parallel()
	require.Equal(t, "backfill:bf1", wire.FairnessKey("default", "backfill", "bf1"))
	require.Equal(t, "pr42:schedule:flights:nightly", wire.FairnessKey("pr42", "schedule", "flights", "nightly"))
	long := strings.Repeat("b", 300)
	seen := map[string]bool{}
	for _, id := range []string{long, long + "1", long + "2", strings.Repeat("b", 60)} {
		key := wire.FairnessKey("", "backfill", id)
		require.LessOrEqual(t, len(key), 64)
		require.False(t, seen[key], id)
		seen[key] = true
	}
}
