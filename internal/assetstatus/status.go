package assetstatus

import (
	"context"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/partition"
)

// Status is how the partitions of one asset stand. Its subsets overlap: a partition that was materialized and whose last
// attempt failed is in two of them. [Status.Of] and [Status.Counts] tell each partition once.
type Status struct {
	Asset string
	// Set is what exists.
	Set *partition.Set
	// Position is that of the log up to which all of it counts.
	Position int64
	// Materialized have a materialization that was not wiped, or, of an external asset, an observation.
	Materialized partition.Subset
	// Running are planned by open runs and not made by them yet.
	Running partition.Subset
	// Failed are those whose last attempt failed, UpstreamFailed those that were left behind then because another step failed. A
	// cancelled attempt leaves them as they were.
	Failed         partition.Subset
	UpstreamFailed partition.Subset
}

// State is what a partition is shown as.
type State string

// The states, the first that holds. MaterializedFailed is materialized, with a last attempt that made nothing.
const (
	Running            State = "running"
	Failed             State = "failed"
	UpstreamFailed     State = "upstream_failed"
	MaterializedFailed State = "materialized_failed"
	Materialized       State = "materialized"
	Missing            State = "missing"
)

// States are all states, in the order in which they are shown.
func States() []State {
	return []State{Materialized, MaterializedFailed, Running, Failed, UpstreamFailed, Missing}
}

// In is the partitions in a state: each is in exactly one.
func (s Status) In(state State) partition.Subset {
	undone := s.Failed.Union(s.UpstreamFailed)
	switch state {
	case Running:
		return s.Running
	case Failed:
		return s.Failed.Difference(s.Materialized).Difference(s.Running)
	case UpstreamFailed:
		return s.UpstreamFailed.Difference(s.Materialized).Difference(s.Running)
	case MaterializedFailed:
		return undone.Intersection(s.Materialized).Difference(s.Running)
	case Materialized:
		return s.Materialized.Difference(undone).Difference(s.Running)
	case Missing:
		return s.Set.All().Difference(s.Materialized).Difference(undone).Difference(s.Running)
	default:
		return s.Set.None()
	}
}

// Of is the state of one partition.
func (s Status) Of(key string) State {
	made, undone := s.Materialized.Has(key), s.Failed.Has(key) || s.UpstreamFailed.Has(key)
	switch {
	case s.Running.Has(key):
		return Running
	case made && undone:
		return MaterializedFailed
	case made:
		return Materialized
	case s.Failed.Has(key):
		return Failed
	case undone:
		return UpstreamFailed
	default:
		return Missing
	}
}

// Counts are how many partitions there are, and how many in each state.
type Counts struct {
	Partitions int `json:"partitions"`
	// Materialized are all that have a materialization and are not running, MaterializedFailed those of them whose last attempt
	// made nothing.
	Materialized       int `json:"materialized"`
	MaterializedFailed int `json:"materialized_failed"`
	Running            int `json:"running"`
	Failed             int `json:"failed"`
	UpstreamFailed     int `json:"upstream_failed"`
	Missing            int `json:"missing"`
}

// Counts counts the partitions by state.
func (s Status) Counts() Counts {
	failed := s.In(MaterializedFailed).Count()
	return Counts{
		Partitions: s.Set.Count(), Materialized: s.In(Materialized).Count() + failed, MaterializedFailed: failed,
		Running: s.Running.Count(), Failed: s.In(Failed).Count(), UpstreamFailed: s.In(UpstreamFailed).Count(), Missing: s.In(Missing).Count(),
	}
}

// Partition is all that is known of one partition.
type Partition struct {
	metadata.PartitionDetail
	State State `json:"state"`
}

// Page reads what is known of some of the asset's partitions: of a subset, those from the offset-th on, at most limit and
// 1,000, in the order of the set.
func (r *Reader) Page(ctx context.Context, status Status, subset partition.Subset, offset, limit int) ([]Partition, error) {
	const maxPage = 1000
	var keys []string
	for n := offset; len(keys) < min(limit, maxPage); n++ {
		key, exists := subset.Nth(n)
		if !exists {
			break
		}
		keys = append(keys, key)
	}
	details, err := r.store.PartitionDetails(ctx, status.Asset, keys)
	if err != nil {
		return nil, err
	}
	page := make([]Partition, len(details))
	for i, detail := range details {
		page[i] = Partition{PartitionDetail: detail, State: status.Of(detail.Partition)}
	}
	return page, nil
}
