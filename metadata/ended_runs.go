package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/wire"
)

// EndedRun is a run of a backfill that has ended.
type EndedRun struct {
	Run    string         `json:"run_id"`
	Status wire.RunStatus `json:"status"`
	// Position is that of its end in the log, by which ended runs are read on.
	Position int64 `json:"position"`
	// WillRetry says whether it is started again by itself; nil while that is not decided: see [Store.EndedRunsOf]. RetriedBy
	// is the first run that executes it again, whoever started that; "" while there is none.
	WillRetry *bool  `json:"will_retry"`
	RetriedBy string `json:"retried_by"`
	// RetryRefused says why the run that was to execute it again by itself was refused; "" is that it was not.
	RetryRefused string `json:"retry_refused"`
	// ParentRunID, RootRunID and RetryNumber are as in [Run].
	ParentRunID string          `json:"parent_run_id"`
	RootRunID   string          `json:"root_run_id"`
	RetryNumber int             `json:"retry_number"`
	Request     json.RawMessage `json:"request"`
	Reason      string          `json:"reason"`
	// Failures are its first failed steps, at most 20.
	Failures []wire.StepFailureInfo `json:"failures"`
	EndedAt  time.Time              `json:"ended_at"`
	// Assets are what it set out to make, by key.
	Assets []EndedAsset `json:"assets"`
}

// EndedAsset is how a run that has ended left an asset that it had planned: what none of the lists of keys has, it has made.
// The key of an asset without partitions is "".
type EndedAsset struct {
	Asset string `json:"asset"`
	// Planned is a stored partition.Subset; nil of an asset without partitions. Count is of its partitions.
	Planned json.RawMessage `json:"planned"`
	Count   int             `json:"count"`
	// Failed are those whose step failed, UpstreamFailed those that were left behind because another one did, Skipped those
	// whose step emitted nothing, Canceled those that had not ended when the run was cancelled. The first two are also those
	// of an earlier end of the run, before a reset, that a cancel left as they were: they are then in Canceled, too.
	Failed         []string `json:"failed"`
	UpstreamFailed []string `json:"upstream_failed"`
	Skipped        []string `json:"skipped"`
	Canceled       []string `json:"canceled"`
}

const endedRunColumns = `
	r.run_id, r.status, r.ended_position as position, r.will_retry, r.parent_run_id, r.root_run_id, r.retry_number, r.request,
	r.reason, r.failures, r.ended_at,
	coalesce((select f.problems->0->>'message' from refused_requests f
	          where r.will_retry and f.workflow_id = coalesce(nullif(r.root_run_id, ''), r.run_id) || '~' || r.next_retry
	          order by f.id desc limit 1), '') as retry_refused,
	coalesce((select c.run_id from runs c where c.parent_run_id = r.run_id and c.parent_run_id <> ''
	          order by c.created_at, c.run_id limit 1), '') as retried_by,
	(select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('asset', a.asset, 'planned', a.planned, 'count', a.count, 'failed', a.failed,
	            'upstream_failed', a.upstream_failed, 'skipped', a.skipped, 'canceled', a.canceled)) order by a.asset), '[]')
	 from run_assets a where a.run_id = r.run_id) as assets`

// EndedRuns reads the runs of a backfill that have ended after a position of the log, in the order of their ends; 0 is from
// the beginning. The Position of the last one read is the cursor to go on from: no run ends below it later. A run that was
// reset and has ended again is read again.
func (s *Store) EndedRuns(ctx context.Context, backfill string, after int64, limit int) ([]EndedRun, error) {
	return rows[EndedRun](ctx, s, fmt.Sprintf("read the ended runs of backfill %q", backfill), `
		select to_jsonb(page) from (
			select `+endedRunColumns+`
			from runs r where r.backfill = $1 and r.backfill <> '' and r.ended_position > $2
			order by r.ended_position limit $3) page`, backfill, after, pageSize(limit))
}

// EndedRunsOf reads those of the runs that have ended, by id: for whoever waits until it is decided whether a run is started again,
// which happens after its end and moves it in no order.
func (s *Store) EndedRunsOf(ctx context.Context, ids []string) (map[string]EndedRun, error) {
	found, err := rows[EndedRun](ctx, s, fmt.Sprintf("read how %d runs ended", len(ids)), `
		select to_jsonb(page) from (
			select `+endedRunColumns+` from runs r where r.run_id = any ($1) and r.ended_position is not null) page`, pq.Array(ids))
	if err != nil {
		return nil, err
	}
	ended := make(map[string]EndedRun, len(found))
	for _, run := range found {
		ended[run.Run] = run
	}
	return ended, nil
}
