package step

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"

	"github.com/perdure-io/perdure/wire"
)

// packFrom is from how many outputs on a heartbeat carries them compressed: Temporal takes details up to 2 MB, and a step may make
// thousands of partitions.
const packFrom = 50

// packed is what a heartbeat carries of the outputs.
func (s *StagedOutputs) packed() *StagedOutputs {
	if s == nil || len(s.Outputs) < packFrom {
		return s
	}
	var data bytes.Buffer
	writer := gzip.NewWriter(&data)
	if json.NewEncoder(writer).Encode(s.Outputs) != nil || writer.Close() != nil {
		return s // whoever sends it finds that it cannot
	}
	packed := *s
	packed.Outputs, packed.Packed = nil, data.Bytes()
	return &packed
}

// unpacked is the outputs again.
func (s *StagedOutputs) unpacked() (*StagedOutputs, error) {
	if s.Packed == nil {
		return s, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(s.Packed))
	if err != nil {
		return nil, fmt.Errorf("unpack staged outputs: %w", err)
	}
	unpacked := *s
	unpacked.Packed, unpacked.Outputs = nil, []wire.CommittedOutput{}
	if err := json.NewDecoder(reader).Decode(&unpacked.Outputs); err != nil {
		return nil, fmt.Errorf("unpack staged outputs: %w", err)
	}
	return &unpacked, nil
}
