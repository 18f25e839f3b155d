package metadata

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/partition"
)

// StoredStatus is what is stored of the partitions of an asset, and what came after that.
type StoredStatus struct {
	// Head is the log position up to which all of it counts.
	Head int64 `json:"head"`
	// Cached says that the subsets are stored by the definition that was asked for: as of Position, stored partition.Subsets.
	// Otherwise [Store.AssetHistory] has what they are made of.
	Cached         bool            `json:"cached"`
	Position       int64           `json:"position"`
	Materialized   json.RawMessage `json:"materialized"`
	Failed         json.RawMessage `json:"failed"`
	UpstreamFailed json.RawMessage `json:"upstream_failed"`
	// Dropped are keys that are in none of them, because they did not exist when the subsets were stored.
	Dropped []partition.KeyRange `json:"dropped"`
	// Events are those after Position, in their order.
	Events []StatusEvent `json:"events"`
	// Running is what open runs set out to make.
	Running []RunningPartitions `json:"running"`
}

// StatusEvent is an event that says something of an asset's partitions.
type StatusEvent struct {
	Type      EventType `json:"type"`
	Partition string    `json:"partition"`
	// Body is set of EventFailedToMaterialize and EventWiped.
	Body StatusEventBody `json:"body"`
}

// StatusEventBody are the keys that an event names; that of an asset without partitions is "".
type StatusEventBody struct {
	Failed         []string `json:"failed"`
	UpstreamFailed []string `json:"upstream_failed"`
	Skipped        []string `json:"skipped"`
	// Wiped are the keys that were wiped, All says that every one was.
	Wiped []string `json:"wiped"`
	All   bool     `json:"all"`
}

// RunningPartitions is what an open run set out to make of an asset.
type RunningPartitions struct {
	Run string `json:"run"`
	// Planned is a stored partition.Subset; nil of an asset without partitions.
	Planned json.RawMessage `json:"planned"`
	// Made are the keys that it is done with: also those that were wiped since.
	Made []string `json:"made"`
}

// AssetStatus reads what is stored of an asset's partitions by the definition of that fingerprint, all of one moment.
func (s *Store) AssetStatus(ctx context.Context, asset, fingerprint string) (StoredStatus, error) {
	return call[StoredStatus](ctx, s, fmt.Sprintf("read the status of asset %q", asset), "asset_status_v1", struct {
		Asset       string `json:"asset"`
		Fingerprint string `json:"fingerprint"`
	}{asset, fingerprint})
}

// AssetHistory is all that is known of an asset's partitions, of one moment.
type AssetHistory struct {
	// Head is the log position up to which it counts.
	Head int64 `json:"head"`
	// Made and Observed are the keys that have a materialization, or an observation, sorted as Postgres does.
	Made     []string `json:"-"`
	Observed []string `json:"-"`
	// Ends are what runs left undone when they ended, in their order, without what was made since.
	Ends []StatusEventBody `json:"ends"`
}

// AssetHistory reads all that is known of an asset's partitions: it takes as long as there are many.
func (s *Store) AssetHistory(ctx context.Context, asset string) (AssetHistory, error) {
	operation := fmt.Sprintf("read the history of asset %q", asset)
	var history AssetHistory
	err := s.try(ctx, operation, func(ctx context.Context) error {
		history = AssetHistory{}
		moment, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = moment.Rollback() }() // it only reads
		var raw []byte
		if err := moment.GetContext(ctx, &raw, "select asset_history_v1($1)", asset); err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &history); err != nil {
			return fmt.Errorf("decode the answer of asset_history_v1: %w", err)
		}
		if err := moment.SelectContext(ctx, &history.Made, "select partition from asset_partitions where asset = $1 order by partition", asset); err != nil {
			return err
		}
		return moment.SelectContext(ctx, &history.Observed, "select partition from observations where asset = $1 order by partition", asset)
	})
	return history, err
}

// KeptStatus is what is known of an asset's partitions up to a position of the log, to be read instead of it.
type KeptStatus struct {
	Asset          string               `json:"asset"`
	Fingerprint    string               `json:"fingerprint"`
	Position       int64                `json:"position"`
	Materialized   partition.Subset     `json:"materialized"`
	Failed         partition.Subset     `json:"failed"`
	UpstreamFailed partition.Subset     `json:"upstream_failed"`
	Dropped        []partition.KeyRange `json:"dropped"`
}

// KeepAssetStatus stores what is known, unless more is.
func (s *Store) KeepAssetStatus(ctx context.Context, status KeptStatus) error {
	status.Dropped = orEmpty(status.Dropped)
	_, err := call[struct{}](ctx, s, fmt.Sprintf("store the status of asset %q", status.Asset), "keep_asset_status_v1", status)
	return err
}

// PartitionDetail is what is known of one partition of an asset.
type PartitionDetail struct {
	Partition string `json:"partition"`
	// Current is its materialization; nil when it has none.
	Current *Materialization `json:"current"`
	// Failure is its last attempt, when that made nothing and nothing made it since; nil otherwise.
	Failure *PartitionFailure `json:"failure"`
}

// PartitionFailure is an attempt at a partition that made nothing.
type PartitionFailure struct {
	Run string `json:"run"`
	// Upstream says that its step was left behind because another one failed.
	Upstream bool `json:"upstream"`
	// Step is the step that failed: its own, or the first that failed in the run. Message is its error.
	Step    string `json:"step"`
	Message string `json:"message"`
}

// PartitionDetails reads what is known of some partitions of an asset, in the order given, at most 1,000.
func (s *Store) PartitionDetails(ctx context.Context, asset string, keys []string) ([]PartitionDetail, error) {
	operation := fmt.Sprintf("read partitions of asset %q", asset)
	if len(keys) > maxLimit {
		return nil, fmt.Errorf("%s: %d at once: %w: ask for at most %d", operation, len(keys), ErrInvalid, maxLimit)
	}
	// Each run that failed is looked at once, however many of the keys it failed.
	return rows[PartitionDetail](ctx, s, operation, `
		with ends as materialized (
			select distinct on (u.key) u.key, a.run_id, a.ended_position, u.upstream
			from run_assets a
			cross join lateral (
				select key, false as upstream from unnest(a.failed) key
				union all select key, true from unnest(a.upstream_failed) key) u
			where a.asset = $1 and a.ended_position is not null and (a.failed && $2::text[] or a.upstream_failed && $2::text[]) and u.key = any ($2::text[])
			order by u.key, a.ended_position desc, u.upstream
		), undone as materialized (
			select e.key, e.run_id, e.upstream, r.failures->0 as first
			from ends e join runs r using (run_id)
			where not exists (
				select 1 from materializations m where m.asset = $1 and m.partition = e.key and m.position > e.ended_position)
		), own as materialized (
			select distinct on (s.run_id, w.partition) s.run_id, w.partition as key, s.step, s.error->>'message' as message
			from (select distinct run_id from undone where not upstream) f
			join steps s on s.run_id = f.run_id and s.state = 'failed'
			join plan_steps ps on ps.run_id = s.run_id and ps.step = s.step
			cross join lateral unnest(ps.assets, ps.partitions) w(asset, partition)
			where w.asset = $1 and w.partition = any ($2::text[])
			order by s.run_id, w.partition, s.step)
		select jsonb_build_object('partition', k.key, 'current', to_jsonb(c), 'failure', case when f.run_id is not null then
			jsonb_build_object('run', f.run_id, 'upstream', f.upstream, 'step', coalesce(e.step, f.first->>'step', ''),
				'message', coalesce(e.message, f.first->>'message', '')) end)
		from unnest($2::text[]) with ordinality k(key, place)
		left join lateral (
			select `+currentColumns+` from asset_partitions where asset = $1 and partition = k.key limit 1) c on true
		left join undone f on f.key = k.key
		left join own e on e.run_id = f.run_id and e.key = f.key and not f.upstream
		order by k.place`, asset, pq.Array(keys))
}
