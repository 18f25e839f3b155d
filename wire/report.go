package wire

import (
	"encoding/json"
	"maps"
	"slices"
)

// ReportRequest is the input of the workflow ReportEvent: a materialization or an observation of an asset that happened
// elsewhere. The workflow's id is the report's: the same report again changes nothing, another one under its id is refused.
//
//	temporal workflow start --type ReportEvent --task-queue flights --workflow-id e1 --input '{"asset":"airports","type":"materialization"}'
type ReportRequest struct {
	// V is the version of this request; absent is the current one.
	V int `json:"v,omitempty"`
	// Asset is the key of an asset that the location defines.
	Asset string `json:"asset"`
	// Type is what happened.
	Type ReportType `json:"type"`
	// Partition and Partitions are the keys that it happened to, at most 10,000: one of them is given of a partitioned asset,
	// neither of any other.
	Partition  string   `json:"partition,omitempty"`
	Partitions []string `json:"partitions,omitempty"`
	// Metadata are facts by label: each is a plain JSON value, such as 20000, "text" or {"a":1}, or says its type:
	// {"type":"md","value":"**bold**"}.
	Metadata map[string]json.RawMessage `json:"metadata,omitempty"`
	// DataVersion is that of what was made or seen: what depends on it is stale when it changes.
	DataVersion string `json:"data_version,omitempty"`
	// Location is where the value lies, as the storage of the asset finds it, so that what depends on it can load it; absent
	// when nothing is to be loaded.
	Location string `json:"location,omitempty"`
	// By is who reports it, and Why for what reason, for people: at most 200 and 4,000 characters.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Cause is the id of the event that led to it, at most 200 characters; absent is the report's id.
	Cause string `json:"cause,omitempty"`
}

// ReportResult is the result of the workflow ReportEvent.
type ReportResult struct {
	ReportID string     `json:"report_id"`
	Asset    string     `json:"asset"`
	Type     ReportType `json:"type"`
	// Partitions is how many it was recorded of; 1 of an asset without partitions.
	Partitions int `json:"partitions"`
	// New says that it was not reported before.
	New bool `json:"new"`
	// Position is that of its first event in the log.
	Position int64 `json:"position"`
}

// ReportType is what a report says of an asset.
type ReportType string

// What a report says: that somebody made the asset, or that he looked at it.
const (
	ReportMaterialization ReportType = "materialization"
	ReportObservation     ReportType = "observation"
)

// MaxReported is how many partitions one report is of at most: nobody else writes to the log while they are recorded.
const MaxReported = 10_000

// Recorded is the metadata as it is recorded, sorted by label; the problems are all values that are not what their type says.
func (r ReportRequest) Recorded() ([]Metadatum, Problems) {
	var recorded []Metadatum
	var problems Problems
	for _, label := range slices.Sorted(maps.Keys(r.Metadata)) {
		at := FieldPath("metadata", label)
		if label == "" {
			problems = append(problems, Problem{Path: at, Code: CodeMissing, Message: "a value has no label", Fix: "name it"})
			continue
		}
		datum, problem := metadatumOf(r.Metadata[label])
		if problem != nil {
			problem.Path = at
			problems = append(problems, *problem)
			continue
		}
		datum.Label = label
		recorded = append(recorded, datum)
	}
	return recorded, problems
}
