//go:build unix

package testlocation

import (
	"context"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// VerifyBackfill looks at a backfill of the sliced assets of these keys, each in its first so many days: it must have made
// every day of each once, in so many runs.
func (i *Instance) VerifyBackfill(ctx context.Context, id string, keys []string, days, runs int) (Verdict, error) {
	v := &verifier{instance: i}
	row, err := i.Store.Backfill(ctx, id)
	if err != nil {
		return Verdict{}, err
	}
	if row.Status != wire.BackfillSucceeded {
		v.unfinished("backfill %s is %s: %s", id, row.Status, row.Reason)
	}
	if row.Progress.Runs != (wire.BackfillRuns{Succeeded: runs}) {
		v.lost("backfill %s has the runs %+v, and not %d that succeeded", id, row.Progress.Runs, runs)
	}
	started := 0
	made := map[string]int{}
	for cursor := ""; ; {
		page, err := i.Store.Runs(ctx, metadata.RunFilter{Backfill: id}, cursor, pageLimit)
		if err != nil {
			return Verdict{}, err
		}
		started += len(page.Rows)
		for _, run := range page.Rows {
			if err := i.countMade(ctx, run.ID, made); err != nil {
				return Verdict{}, err
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if started > runs {
		v.doubled("backfill %s has started %d runs for %d", id, started, runs)
	}
	for _, key := range keys {
		for n := range days {
			switch at := key + " " + Day(n); made[at] {
			case 0:
				v.lost("%s was not made", at)
			case 1:
			default:
				v.doubled("%s was made %d times", at, made[at])
			}
		}
	}
	return v.Verdict, nil
}

func (i *Instance) countMade(ctx context.Context, run string, made map[string]int) error {
	for cursor := ""; ; {
		page, err := i.Store.Materializations(ctx, metadata.MaterializationFilter{Run: run}, cursor, pageLimit)
		if err != nil {
			return err
		}
		for _, one := range page.Rows {
			made[one.Asset+" "+one.Partition]++
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}
