package wire

// ReportType is what a report says of an asset.
type ReportType string

// What a report says: that somebody made the asset, or that he looked at it.
const (
	ReportMaterialization ReportType = "materialization"
	ReportObservation     ReportType = "observation"
)
