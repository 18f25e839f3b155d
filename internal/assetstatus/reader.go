package assetstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// Reader reads the status of a location's assets as of one moment. Make it with [NewReader].
type Reader struct {
	store    *metadata.Store
	planner  *plan.Planner
	existing *plan.Existing
}

// NewReader prepares to read by the definitions of a planner. The partitions are those that exist at the time given, and now
// of dynamic sets.
func NewReader(ctx context.Context, store *metadata.Store, planner *plan.Planner, at time.Time) (*Reader, error) {
	dynamic, err := store.DynamicKeys(ctx, planner.DynamicSets())
	if err != nil {
		return nil, err
	}
	return &Reader{store: store, planner: planner, existing: planner.Existing(at, dynamic)}, nil
}

// Existing is the partitions that exist: the subsets of a [Status] are of its Sets.
func (r *Reader) Existing() *plan.Existing { return r.existing }

// Read says how an asset's partitions stand. An asset that the definitions do not have is metadata.ErrNotFound.
func (r *Reader) Read(ctx context.Context, asset string) (Status, error) {
	set := r.existing.Set(asset)
	if set == nil {
		return Status{}, fmt.Errorf("read the status of asset %q: it is not defined: %w", asset, metadata.ErrNotFound)
	}
	fingerprint := set.Partitions().Fingerprint()
	stored, err := r.store.AssetStatus(ctx, asset, fingerprint)
	if err != nil {
		return Status{}, err
	}
	external := r.external(asset)
	known, err := decode(set, stored)
	if err != nil {
		return Status{}, fmt.Errorf("read the status of asset %q: %w", asset, err)
	}
	if known == nil {
		history, err := r.store.AssetHistory(ctx, asset)
		if err != nil {
			return Status{}, err
		}
		known = begin(set)
		stored.Head, stored.Events = history.Head, nil
		known.read(history, external)
	}
	changed := !stored.Cached || len(stored.Events) > 0
	for _, event := range stored.Events {
		known.apply(event, external)
	}
	if err := known.settle(); err != nil {
		return Status{}, fmt.Errorf("read the status of asset %q: %w", asset, err)
	}
	if changed || stored.Head-stored.Position > keepAfter {
		err := r.store.KeepAssetStatus(ctx, metadata.KeptStatus{
			Asset: asset, Fingerprint: fingerprint, Position: stored.Head, Materialized: known.materialized,
			Failed: known.failed, UpstreamFailed: known.upstreamFailed, Dropped: known.dropped,
		})
		if err != nil {
			return Status{}, err
		}
	}
	status := Status{
		Asset: asset, Set: set, Position: stored.Head,
		Materialized: known.materialized, Failed: known.failed, UpstreamFailed: known.upstreamFailed, Running: set.None(),
	}
	for _, run := range stored.Running {
		planned, err := plannedBy(set, run)
		if err != nil {
			return Status{}, fmt.Errorf("read the status of asset %q: what run %q planned: %w", asset, run.Run, err)
		}
		status.Running = status.Running.Union(planned)
	}
	return status, nil
}

// keepAfter is how many events of other assets the log may have gone on before it is noted that an asset has none among them.
const keepAfter = 10_000

// external is whether somebody else makes an asset: an observation then counts as one.
func (r *Reader) external(asset string) bool {
	for _, defined := range r.planner.Snapshot().Assets {
		if defined.Key == asset {
			return defined.External()
		}
	}
	return false
}

// plannedBy is what an open run has planned and not made.
func plannedBy(set *partition.Set, run metadata.RunningPartitions) (partition.Subset, error) {
	planned := set.All()
	if set.Partitions().Kind() != partition.KindSingle || len(run.Planned) > 0 {
		var err error
		if planned, err = subsetOf(set, run.Planned); err != nil {
			return partition.Subset{}, err
		}
	}
	made, err := set.Of(existing(set, run.Made)...)
	return planned.Difference(made), err
}

// subsetOf reads a stored subset: none of it is left when its keys meant something else.
func subsetOf(set *partition.Set, data json.RawMessage) (partition.Subset, error) {
	if len(data) == 0 {
		return set.None(), nil // planned by a definition without partitions
	}
	subset, _, err := set.Decode(data)
	if _, changed := errors.AsType[*partition.ChangedError](err); changed {
		return set.None(), nil
	}
	return subset, err
}

// existing are those of the keys that exist.
func existing(set *partition.Set, keys []string) []string {
	found := make([]string, 0, len(keys))
	for _, key := range keys {
		if set.Has(key) {
			found = append(found, key)
		}
	}
	return found
}
