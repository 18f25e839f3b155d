package definitions

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
)

// RangeAsset declares a partitioned asset whose function computes many partitions in one call: it returns the value of each by
// its key. All partitions that the step is for must be there, and no other: the Keys of the asset's [Partitions] say which, a
// Window spans them. What the function reports is for every partition; for single ones it binds [ReportByKey].
//
// A run that makes a range of an [Asset] has a step for each partition instead, and calls its function for each.
func RangeAsset[T any](key string, fn Compute[map[string]T], opts ...AssetOption) *AssetOf[T] {
	a := newComputed[T](key, fn.bound, opts)
	a.faults = append(fn.faultsOf(), a.faults...)
	a.maker.ranged = true
	a.maker.run = func(s *scope) ([]step.Output, error) {
		values, err := fn.run(s)
		if err != nil {
			return nil, err
		}
		outputs := make([]step.Output, 0, len(values))
		for _, key := range slices.Sorted(maps.Keys(values)) {
			output := step.Output{Asset: a.name, Partition: key, Value: values[key]}
			if output.Metadata, output.DataVersion, err = lowerMetadata(s.reports.Reported(key)); err != nil {
				return nil, fmt.Errorf("partition %q: %w", key, err)
			}
			outputs = append(outputs, output)
		}
		return outputs, s.reports.checkKeys(func(key string) bool { _, made := values[key]; return made })
	}
	return &AssetOf[T]{a}
}

// PartitionReports take metadata for single partitions of a [RangeAsset]. In a unit test of its function, the zero value does.
type PartitionReports struct {
	mutex    sync.Mutex
	reported map[string][]Metadatum
}

// ReportByKey is where the function of a [RangeAsset] reports metadata for single partitions. Bound elsewhere it is a problem.
var ReportByKey Source[*PartitionReports] = reportByKey{}

type reportByKey struct{}

func (reportByKey) carries(*PartitionReports) {}
func (r reportByKey) need() need              { return need{kind: needReport, id: r} }
func (reportByKey) load(s *scope) (*PartitionReports, error) {
	return &s.reports, nil
}

// Report adds metadata to the partition of a key, which the function must also return. Of two under one label the later holds, and
// before what [Context.Report] says of all partitions.
func (r *PartitionReports) Report(key string, metadata ...Metadatum) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.reported == nil {
		r.reported = map[string][]Metadatum{}
	}
	for _, m := range metadata {
		r.reported[key] = slices.DeleteFunc(r.reported[key], func(earlier Metadatum) bool { return earlier.Label == m.Label })
		r.reported[key] = append(r.reported[key], m)
	}
}

// Reported is what was reported so far for the partition of a key, for tests.
func (r *PartitionReports) Reported(key string) []Metadatum {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.reported[key])
}

// checkKeys finds reports for partitions that were not made.
func (r *PartitionReports) checkKeys(made func(key string) bool) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.reported)) {
		if !made(key) {
			return fmt.Errorf("reported metadata for partition %q, which it did not return", key)
		}
	}
	return nil
}
