package starter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func TestTimeIsLeftOnlyWhileSomethingMoves(t *testing.T) {
	t.Parallel()
	now := time.Date(2001, time.January, 1, 12, 0, 0, 0, time.UTC)
	moving := metadata.Backfill{
		ID: "bf1", Status: wire.BackfillRequested, ChangedAt: now.Add(-time.Second), ReadAt: now,
		Progress: metadata.BackfillCounts{
			Assets: []wire.BackfillAsset{{Asset: "a", Targeted: 100, Materialized: 60, Failed: 4, Blocked: 6}}, RunsPerMinute: 10, PartitionsPerMinute: 10,
		},
	}
	require.Equal(t, "3m0s", starter.ProgressOf(moving).TimeLeft)
	require.InDelta(t, 10, starter.ProgressOf(moving).RunsPerMinute, 0)
	for name, stop := range map[string]func(*metadata.Backfill){
		"nothing has ended for long": func(row *metadata.Backfill) { row.ChangedAt = now.Add(-61 * time.Second) },
		"it cannot go on":            func(row *metadata.Backfill) { row.Trouble = "no connection" },
		"it is paused":               func(row *metadata.Backfill) { row.Paused = true },
		"it has ended":               func(row *metadata.Backfill) { row.Status = wire.BackfillCanceled },
		"nothing is left":            func(row *metadata.Backfill) { row.Progress.Assets = nil },
	} {
		row := moving
		stop(&row)
		require.Empty(t, starter.ProgressOf(row).TimeLeft, name)
	}
	slow := moving
	slow.Progress.RunsPerMinute, slow.ChangedAt = 0.1, now.Add(-40*time.Minute)
	require.NotEmpty(t, starter.ProgressOf(slow).TimeLeft, "its runs take ten minutes each")
}

func TestTroubleSaysItsReasonAndHowOften(t *testing.T) {
	t.Parallel()
	row := metadata.Backfill{
		Status: wire.BackfillRequested, Trouble: `start run "r1": no connection`, TroubleTries: 16, TroubleSince: time.Date(2001, time.January, 1, 12, 0, 0, 0, time.UTC),
		Progress: metadata.BackfillCounts{Waiting: "r2: no worker"},
	}
	require.Equal(t, `cannot go on: start run "r1": no connection, tried 16 times since 2001-01-01T12:00:00Z; it is tried again`, starter.ProgressOf(row).Reason)
	row.Status, row.Reason = wire.BackfillFailing, "the definitions have changed"
	require.Equal(t, `the definitions have changed; cannot go on: start run "r1": no connection, tried 16 times since 2001-01-01T12:00:00Z; it is tried again`,
		starter.ProgressOf(row).Reason)
}

func TestTheCountsOfManyAssetsKeepThoseWithFailures(t *testing.T) {
	t.Parallel()
	counts := make([]backfill.AssetCounts, 1002)
	for i := range counts {
		counts[i].Asset = fmt.Sprintf("a%04d", i)
	}
	counts[1000].Failed, counts[1001].Blocked = 2, 1

	kept := starter.BackfillAssets(counts)

	require.Len(t, kept, 1000)
	require.Equal(t, []string{"a1000", "a1001", "a0000"}, []string{kept[0].Asset, kept[1].Asset, kept[2].Asset})
	require.Equal(t, "a0000", counts[0].Asset, "what is given stays in its order")
	require.Equal(t, "a0000", starter.BackfillAssets(counts[:1000])[0].Asset)
}
