package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/wire"
)

// progress is that of a backfill of two assets in the middle of its way.
func progress() wire.BackfillProgress {
	return wire.BackfillProgress{
		BackfillID: "bf1", Status: wire.BackfillRequested, MaxConcurrentRuns: 20, RunsPerMinute: 12.34, TimeLeft: "1h20m0s",
		Assets: []wire.BackfillAsset{
			{Asset: "flights", Targeted: 1200, Materialized: 600, InProgress: 3},
			{Asset: "route_delays", Targeted: 90, Materialized: 20, Failed: 1, Blocked: 2, Skipped: 4},
		},
		Runs:     wire.BackfillRuns{Open: 3, Succeeded: 620, Failed: 1},
		Failures: []wire.BackfillFailure{{RunID: "bf1:route_delays:2001-01-03", Partitions: "2001-01-03", Message: "boom\x1b[2J\nand more"}},
	}
}

func TestBackfillFrame(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"REQUESTED  bf1  5.00 s",
		"    48% ██████████████░░░░░░░░░░░░░░░░  12.3 runs a minute, 1 h 20 min left",
		"  620 of 1,290 partitions made, 3 running, 1 failed, 2 left out (upstream failed), 4 skipped",
		"  runs: 3 open of at most 20, 620 succeeded, 1 failed",
		"  > flights       600 of 1,200 partitions made, 3 running",
		"  ✗ route_delays  20 of 90 partitions made, 1 failed, 2 left out (upstream failed), 4 skipped",
		"  ✗ bf1:route_delays:2001-01-03 [2001-01-03]  boom[2J …",
	}, plain.BackfillFrame(progress(), before(5*time.Second), clock, 40))

	paused := progress()
	paused.Paused, paused.Reason, paused.TimeLeft = true, "no worker polls \"flights\"", ""
	small := plain.BackfillFrame(paused, time.Time{}, clock, 9)
	require.Equal(t, "REQUESTED (paused)  bf1", small[0])
	require.Equal(t, "  no worker polls \"flights\"", small[4])
	require.Equal(t, []string{"  > flights       600 of 1,200 partitions made, 3 running", "    and 2 lines not shown here"}, small[5:])
	require.Len(t, plain.BackfillFrame(paused, time.Time{}, clock, 3), 5)
}

func TestBackfillOfOneAssetNeedsNoListOfAssets(t *testing.T) {
	t.Parallel()
	one := progress()
	one.Assets, one.Failures = one.Assets[:1], nil
	require.Len(t, plain.BackfillFrame(one, time.Time{}, clock, 40), 4)
}

func TestBackfillLines(t *testing.T) {
	t.Parallel()
	require.Equal(t, "13:00:00  REQUESTED  bf1  620 of 1,290 partitions made, 3 running, 1 failed, 2 left out (upstream failed), 4 skipped, 12.3 runs a minute, 1 h 20 min left",
		plain.BackfillLine(progress(), clock))
	require.Equal(t, "13:00:00  FAILURE  bf1:route_delays:2001-01-03 [2001-01-03]  boom[2J …", plain.BackfillFailure(progress().Failures[0], clock))
	require.Equal(t, "\nbf1:route_delays:2001-01-03 [2001-01-03]\n  boom[2J\n  and more\n", plain.BackfillFailures(progress().Failures))
	require.Equal(t, `ASSET         TARGETED  MADE  RUNNING  FAILED  UPSTREAM FAILED  SKIPPED
flights          1,200   600        3
route_delays        90    20                1                2        4
`, plain.BackfillTable(progress().Assets))
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		done, total, full int
		percent           string
	}{{0, 90, 0, "0%"}, {37, 90, 12, "41%"}, {90, 90, 30, "100%"}, {0, 0, 0, "0%"}, {999_999, 1_000_000, 29, "99%"}} {
		bar := render.Bar(test.done, test.total)
		require.Equal(t, test.full, strings.Count(bar, "█"), "%q", bar)
		require.Equal(t, 30-test.full, strings.Count(bar, "░"), "%q", bar)
		require.True(t, strings.HasPrefix(strings.TrimLeft(bar, " "), test.percent+" "), "%q", bar)
	}
}
