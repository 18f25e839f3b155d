package metadata

import (
	"encoding/json"
	"fmt"

	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// plannedAsset is a row of run_assets, and what its event says of it.
type plannedAsset struct {
	Asset string `json:"asset"`
	// Planned is the subset of its partitions; nil of an asset without partitions.
	Planned json.RawMessage `json:"planned,omitempty"`
	Count   int             `json:"count"`
	// Partition is the one key, where there is one; Ranges are the first of several, for whoever reads the event.
	Partition string               `json:"partition,omitempty"`
	Ranges    []partition.KeyRange `json:"ranges,omitempty"`
}

// tagPartition is the tag of a run over one partition.
const tagPartition = plan.ReservedTagPrefix + "partition"

// maxEventRanges is how many ranges of partitions an event names.
const maxEventRanges = 100

// plannedAssets are the rows of what a run sets out to make.
func plannedAssets(p *plan.Plan) ([]plannedAsset, error) {
	assets := make([]plannedAsset, len(p.Assets))
	for i, key := range p.Assets {
		assets[i] = plannedAsset{Asset: key, Count: 1}
		subset, partitioned := p.Targets[key]
		if !partitioned {
			continue
		}
		planned, err := subset.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("encode the partitions of %s: %w", key, err)
		}
		assets[i].Planned, assets[i].Count = planned, subset.Count()
		if assets[i].Count == 1 {
			assets[i].Partition, _ = subset.First()
			continue
		}
		for keys := range subset.Ranges() {
			if len(assets[i].Ranges) == maxEventRanges {
				break
			}
			assets[i].Ranges = append(assets[i].Ranges, keys)
		}
	}
	return assets, nil
}

// partitionOf is the one partition that a run is over, or whether it is over several. One whose assets are partitioned in
// several ways is over the partition that its tag names.
func partitionOf(p *plan.Plan) (key string, several bool) {
	if key, tagged := p.Tags[tagPartition]; tagged {
		return key, false
	}
	for _, step := range p.Steps {
		several = several || step.Partition != "" || step.Partitions != nil
	}
	return "", several
}
