package plan

import "github.com/perdure-io/perdure/partition"

// SameKey says whether the input's mapping gives each partition that of the same key or the same time, and is not shifted.
func (in StepInput) SameKey() bool {
	switch in.Mapping.Kind {
	case "", partition.MapIdentity:
		return true
	case partition.MapTime:
		return in.Mapping.StartOffset == 0 && in.Mapping.EndOffset == 0
	default:
		return false
	}
}
