package testlocation

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Value is the value of every asset: what it must be, and which call made it.
type Value struct {
	Asset string `json:"asset"`
	// Partition is "" of an asset without partitions.
	Partition string `json:"partition,omitempty"`
	// Sum follows from the graph alone: it is right when every input's was.
	Sum string `json:"sum"`
	// Call is the id of the call that made it, Inputs those of the calls that made its inputs, by key, of a partition by [PartitionKey].
	Call   string            `json:"call"`
	Inputs map[string]string `json:"inputs,omitempty"`
}

// name is the asset's key, of a partition as [PartitionKey].
func (v Value) name() string {
	if v.Partition == "" {
		return v.Asset
	}
	return PartitionKey(v.Asset, v.Partition)
}

func sumOf(key string, inputs []string) string {
	sum := sha256.Sum256([]byte(key + "(" + strings.Join(inputs, ",") + ")"))
	return hex.EncodeToString(sum[:6])
}
