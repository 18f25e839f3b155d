package starter

import (
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
	if progress.Reason == "" {
		progress.Reason = row.Progress.Waiting
	}
	if progress.Assets == nil {
		progress.Assets = []wire.BackfillAsset{}
	}
	left := 0
	for _, asset := range progress.Assets {
		left += asset.Targeted - asset.Materialized - asset.Failed - asset.Blocked - asset.Skipped
	}
	if rate := row.Progress.PartitionsPerMinute; rate > 0 && left > 0 && !row.Status.Ended() && !row.Paused {
		progress.TimeLeft = time.Duration(float64(left) / rate * float64(time.Minute)).Round(time.Second).String()
	}
	return progress
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
)

// DryRun is what the backfill would do if nothing failed.
func (p *PlannedBackfill) DryRun() (*wire.BackfillPlan, error) {
	engine, err := backfill.New(p.graph)
	if err != nil {
		return nil, err
	}
	dryRun := &wire.BackfillPlan{Assets: BackfillAssets(engine.Counts()), Runs: []wire.PlannedBackfillRun{}}
	named := 0
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
			if named += len(partitions.Partitions); len(dryRun.Runs) < maxDryRuns && named <= maxDryRunPartitions {
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
