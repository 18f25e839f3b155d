package starter

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan/backfill"
	"github.com/perdure-io/perdure/wire"
)

// ProgressOf is how far a backfill is.
func ProgressOf(row metadata.Backfill) wire.BackfillProgress {
	progress := wire.BackfillProgress{
		BackfillID: row.ID, Status: row.Status, Paused: row.Paused, MaxConcurrentRuns: row.MaxConcurrentRuns,
		Assets: row.Progress.Assets, Runs: row.Progress.Runs, RunsPerMinute: row.Progress.RunsPerMinute,
		Failures: row.Progress.Failures, Reason: row.Reason,
	}
	progress.Reason = cmp.Or(progress.Reason, row.Progress.Waiting)
	if row.Trouble != "" {
		trouble := fmt.Sprintf("cannot go on: %s, tried %d times since %s; it is tried again",
			row.Trouble, row.TroubleTries, row.TroubleSince.UTC().Format(time.RFC3339))
		progress.Reason = strings.TrimPrefix(row.Reason+"; "+trouble, "; ")
	}
	if progress.Assets == nil {
		progress.Assets = []wire.BackfillAsset{}
	}
	progress.TimeLeft = timeLeft(row)
	if !row.Status.Ended() && !moves(row) {
		progress.RunsPerMinute = 0
	}
	return progress
}

// timeLeft is how long the rest takes as it goes now; "" when it does not go, or nobody knows.
func timeLeft(row metadata.Backfill) string {
	left := 0
	for _, asset := range row.Progress.Assets {
		left += asset.Targeted - asset.Materialized - asset.Failed - asset.Blocked - asset.Skipped
	}
	rate := row.Progress.PartitionsPerMinute
	if rate <= 0 || left == 0 || row.Paused || !moves(row) {
		return ""
	}
	return time.Duration(float64(left) / rate * float64(time.Minute)).Round(time.Second).String()
}

// moves says whether runs have ended lately at about the pace that the row has: not in so long a time as some of them take.
func moves(row metadata.Backfill) bool {
	const (
		patience = 30 * time.Second
		runs     = 5
	)
	if row.Status.Ended() || row.Trouble != "" || row.Progress.RunsPerMinute <= 0 {
		return false
	}
	usual := time.Duration(float64(time.Minute) / row.Progress.RunsPerMinute)
	return row.ReadAt.Sub(row.ChangedAt) < patience+runs*usual
}

// ResultOf is a backfill's result.
func ResultOf(row metadata.Backfill) wire.BackfillResult {
	progress := ProgressOf(row)
	return wire.BackfillResult{
		BackfillID: row.ID, Status: row.Status, Assets: progress.Assets, Runs: progress.Runs, Failures: progress.Failures, Reason: row.Reason,
	}
}

const (
	// maxDryRuns is how many runs the answer to a dry run lists, maxCountedRuns how many it counts.
	maxDryRuns     = 1000
	maxCountedRuns = 100_000
	// maxDryRunPartitions is how many partitions without an order it names of all of them.
	maxDryRunPartitions = 10_000
	// maxDryRunText is how much text the listed runs may have, in bytes: Temporal refuses a result of more than 2 MB.
	maxDryRunText = 1 << 20
)

// DryRun is what the backfill would do if nothing failed.
func (p *PlannedBackfill) DryRun() (*wire.BackfillPlan, error) {
	engine, err := backfill.New(p.graph)
	if err != nil {
		return nil, err
	}
	dryRun := &wire.BackfillPlan{Assets: BackfillAssets(engine.Counts()), Runs: []wire.PlannedBackfillRun{}}
	named, text := 0, 0
	for dryRun.RunCount < maxCountedRuns {
		runs, err := engine.Next(maxDryRuns)
		if err != nil {
			return nil, err
		}
		if len(runs) == 0 {
			return dryRun, nil
		}
		for _, run := range runs {
			reason, err := engine.Why(run)
			if err != nil {
				return nil, err
			}
			partitions := run.Partitions()
			text += len(reason) + textOf(run.Assets) + textOf(partitions.Partitions)
			if named += len(partitions.Partitions); len(dryRun.Runs) < maxDryRuns && named <= maxDryRunPartitions && text <= maxDryRunText {
				dryRun.Runs = append(dryRun.Runs, wire.PlannedBackfillRun{
					RunID: backfill.RunID(p.id, run, p.job), Assets: run.Assets, Partition: partitions.Partition, Range: partitions.Range,
					Partitions: partitions.Partitions, RetryOf: run.Again, Reason: reason,
				})
			}
			if err := engine.End(backfill.End{Assets: run.Assets, Subset: run.Subset, Succeeded: true}); err != nil {
				return nil, err
			}
		}
		dryRun.RunCount += len(runs)
	}
	dryRun.MoreRuns = true
	return dryRun, nil
}

// textOf is about how much JSON the texts take, in bytes.
func textOf(texts []string) int {
	const marks = 3
	size := 0
	for _, one := range texts {
		size += len(one) + marks
	}
	return size
}
