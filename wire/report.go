package wire

import "encoding/json"

// ReportType is what a report says of an asset.
type ReportType string

// What a report says: that somebody made the asset, or that he looked at it.
const (
	ReportMaterialization ReportType = "materialization"
	ReportObservation     ReportType = "observation"
)

// ReportRequest is the input of the workflow ReportEvent: that an asset was made, or looked at, elsewhere.
//
//	temporal workflow start --type ReportEvent --task-queue flights --workflow-id e1 --input '{"asset":"airports","type":"materialization"}'
type ReportRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Asset is the key of an asset that the location defines, also an external one.
	Asset string `json:"asset"`
	// Type is materialization, the default, or observation.
	Type ReportType `json:"type,omitempty"`
	// Partition, Partitions or Range says which partitions of a partitioned asset it is of: exactly one of them is given then.
	Partition  string          `json:"partition,omitempty"`
	Partitions []string        `json:"partitions,omitempty"`
	Range      *PartitionRange `json:"range,omitempty"`
	// Metadata are values by label: texts, numbers, booleans, or objects {"type","value"} of a metadata type.
	Metadata map[string]json.RawMessage `json:"metadata,omitempty"`
	// DataVersion identifies the content, at most 200 characters; Location is where it lies, for people.
	DataVersion string `json:"data_version,omitempty"`
	Location    string `json:"location,omitempty"`
	// Who and Why are for people: at most 200 and 4,000 characters.
	Who string `json:"who,omitempty"`
	Why string `json:"why,omitempty"`
	// Cause is the id of the event that led to it, at most 200 characters; absent, it is that of the report.
	Cause string `json:"cause,omitempty"`
}

// ReportResult is the result of the workflow ReportEvent.
type ReportResult struct {
	ID string `json:"id"`
	// New says that it was not reported before: a second time changes nothing.
	New bool `json:"new"`
	// Partitions counts those that it is of; 1 of an asset without partitions.
	Partitions int `json:"partitions"`
	// Position is that of its first event in the log.
	Position int64 `json:"position"`
}
