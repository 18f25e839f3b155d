package wire

// PartitionRange is the partitions from one key to another, both inside, in the order of their set: of a grid the rectangle
// between them.
type PartitionRange struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// OnlyPartitions narrows a request to what is in a state.
type OnlyPartitions string

// The states that a request can be narrowed to: never materialized, or wiped since; last attempted without success, or left
// out because of that; materialized from code or inputs that are no longer the current ones, or never.
const (
	OnlyMissing OnlyPartitions = "missing"
	OnlyFailed  OnlyPartitions = "failed"
	OnlyStale   OnlyPartitions = "stale"
)
