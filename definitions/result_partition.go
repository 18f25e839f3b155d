package definitions

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/wire"
)

// InPartition is the value of a partition of this asset in the result of [Materialize], also when it was [Given]. An error says
// why there is none.
func (a *AssetOf[T]) InPartition(r *Result, key string) (T, error) {
	var value T
	def := a.base()
	if def == nil {
		return value, errors.New("the asset handle was never declared")
	}
	if given, ok := r.inProcess.givenPart(def, key); ok {
		value, _ = given.(T) // Given has checked the type; a nil interface stays nil
		return value, nil
	}
	if err := r.read(def, key, &value); err != nil {
		return value, fmt.Errorf("partition %q of %s has no value: %w", key, def.object(), err)
	}
	return value, nil
}

// MaterializedPartitions are the keys of the partitions of an asset that were materialized, in the order of their set.
func (r *Result) MaterializedPartitions(a AnyAsset) []string {
	var keys []string
	for _, key := range r.keysOf(a) {
		if _, ok := r.ledger.output(partOf(a, key)); ok && key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// PartitionStatus is as [Result.Status], of the step that makes a partition.
func (r *Result) PartitionStatus(a AnyAsset, key string) wire.StepStatus {
	number, ok := r.stepOf[partOf(a, key)]
	if !ok {
		return ""
	}
	return r.progress.Status(number)
}

// PartitionMetadata is as [Result.Metadata], of a partition.
func (r *Result) PartitionMetadata(a AnyAsset, key string) []Metadatum {
	if r.ledger == nil {
		return nil
	}
	output, ok := r.ledger.output(partOf(a, key))
	if !ok {
		return nil
	}
	return raiseMetadata(output.Metadata)
}

// PartitionDataVersion is as [Result.DataVersion], of a partition.
func (r *Result) PartitionDataVersion(a AnyAsset, key string) string {
	if r.ledger == nil {
		return ""
	}
	output, _ := r.ledger.output(partOf(a, key))
	return output.DataVersion
}

func partOf(a AnyAsset, key string) step.AssetPartition {
	base := baseOf(a)
	if base == nil {
		return step.AssetPartition{}
	}
	return step.AssetPartition{Asset: base.name, Partition: key}
}

// keysOf are the keys of an asset's partitions that the run makes, [""] of one without partitions.
func (r *Result) keysOf(a AnyAsset) []string {
	base := baseOf(a)
	if base == nil {
		return nil
	}
	return slices.Clone(r.partitions[base.name])
}

// onlyKey is the key of the one partition that the run makes of an asset; "" of one without partitions, or that it does not make.
func (r *Result) onlyKey(a AnyAsset) (string, error) {
	switch keys := r.keysOf(a); len(keys) {
	case 0:
		return "", nil
	case 1:
		return keys[0], nil
	default:
		return "", fmt.Errorf("the run has made %d partitions of it: read each with InPartition", len(keys))
	}
}
