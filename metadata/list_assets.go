package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// Materialization is one recorded materialization.
type Materialization struct {
	ID       int64  `json:"id"`
	Position int64  `json:"position"` // of its event in the log
	Asset    string `json:"asset"`
	// Partition is "" for an asset without partitions.
	Partition string    `json:"partition"`
	At        time.Time `json:"at"`
	Run       string    `json:"run_id"`
	Step      string    `json:"step"`
	// Token is of the attempt that committed it, SlotToken names its stored value.
	Token     int64 `json:"token"`
	SlotToken int64 `json:"slot_token"`
	// Location is where the value lies, for people.
	Location    string           `json:"location"`
	Metadata    []wire.Metadatum `json:"metadata"`
	DataVersion string           `json:"data_version"`
	CodeVersion string           `json:"code_version"`
	// Inputs are the materializations that it was computed from, Build by which build, Cause in which chain of events.
	// They are kept in history only: a current row has none of the three.
	Inputs []wire.InputVersion `json:"inputs,omitempty"`
	Build  string              `json:"build,omitempty"`
	Cause  string              `json:"cause,omitempty"`
}

// Rows is the row count that was recorded with it; ok is false when none was.
func (m Materialization) Rows() (count int64, ok bool) {
	for _, metadatum := range m.Metadata {
		if metadatum.Label == wire.LabelRowCount && json.Unmarshal(metadatum.Value, &count) == nil {
			return count, true
		}
	}
	return 0, false
}

const currentColumns = `
	materialization as id, position, asset, partition, at, run_id, step, token, slot_token, location, metadata, data_version, code_version`

// Current returns the current materialization of each of the assets that has one, by key: of a
// partitioned asset the partition that was materialized last.
func (s *Store) Current(ctx context.Context, keys []string) (map[string]Materialization, error) {
	found, err := rows[Materialization](ctx, s, "read the current materializations", `
		select to_jsonb(c) from (
			select distinct on (asset) `+currentColumns+` from asset_partitions
			where asset = any ($1) order by asset, position desc) c`, pq.Array(keys))
	if err != nil {
		return nil, err
	}
	current := make(map[string]Materialization, len(found))
	for _, materialization := range found {
		current[materialization.Asset] = materialization
	}
	return current, nil
}

// AssetState is an asset's definition and its current materialization.
type AssetState struct {
	Asset plan.Asset
	// Current is nil while nobody has made the asset.
	Current *Materialization
}

// Assets lists the assets of a location's active definitions, in their order, with what is current of
// each. Errors are those of [Store.ActiveSnapshot].
func (s *Store) Assets(ctx context.Context, location string) ([]AssetState, error) {
	snapshot, _, _, err := s.ActiveSnapshot(ctx, location)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(snapshot.Assets))
	for i, asset := range snapshot.Assets {
		keys[i] = asset.Key
	}
	current, err := s.Current(ctx, keys)
	if err != nil {
		return nil, err
	}
	states := make([]AssetState, len(snapshot.Assets))
	for i, asset := range snapshot.Assets {
		states[i].Asset = asset
		if materialization, ok := current[asset.Key]; ok {
			states[i].Current = &materialization
		}
	}
	return states, nil
}

// LastRuns says which run set out last to make each of these assets, by key; those that none did are left out.
func (s *Store) LastRuns(ctx context.Context, keys []string) (map[string]string, error) {
	found, err := rows[struct {
		Asset string `json:"asset"`
		Run   string `json:"run"`
	}](ctx, s, "look up the last runs of assets", `
		select jsonb_build_object('asset', k.key, 'run', l.run_id)
		from unnest($1::text[]) k(key)
		cross join lateral (select run_id from run_assets where asset = k.key order by created_at desc limit 1) l`, pq.Array(keys))
	if err != nil {
		return nil, err
	}
	last := make(map[string]string, len(found))
	for _, one := range found {
		last[one.Asset] = one.Run
	}
	return last, nil
}

// MaterializationFilter selects materializations; the zero value selects all.
type MaterializationFilter struct {
	Asset string
	// Partition is used only with Asset; nil is all of them.
	Partition *string
	Run       string
}

// Materializations lists materializations, the newest first.
func (s *Store) Materializations(ctx context.Context, filter MaterializationFilter, cursor string, limit int) (Page[Materialization], error) {
	const operation = "list materializations"
	before, err := cursorOf[*int64](cursor)
	if err != nil {
		return Page[Materialization]{}, fmt.Errorf("%s: %w", operation, err)
	}
	found, err := rows[Materialization](ctx, s, operation, `
		select to_jsonb(page) from (
			select id, position, asset, partition, at, run_id, step, token, slot_token, location, metadata, data_version,
			       code_version, inputs, build, cause
			from materializations
			where ($1 = '' or asset = $1) and ($2::text is null or partition = $2) and ($3 = '' or run_id = $3)
			  and ($4::bigint is null or position < $4)
			order by position desc limit $5) page`, filter.Asset, filter.Partition, filter.Run, before, pageSize(limit)+1)
	if err != nil {
		return Page[Materialization]{}, err
	}
	return pageOf(found, pageSize(limit), func(last Materialization) int64 { return last.Position })
}
