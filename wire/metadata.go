package wire

import "encoding/json"

// MetadataType is the type of a metadata value, as it is stored and shown.
type MetadataType string

// The metadata types and the JSON form of their values.
const (
	MetadataInt         MetadataType = "int"          // an integer
	MetadataFloat       MetadataType = "float"        // a number
	MetadataText        MetadataType = "text"         // a string
	MetadataURL         MetadataType = "url"          // a string
	MetadataPath        MetadataType = "path"         // a string
	MetadataJSON        MetadataType = "json"         // any JSON
	MetadataMarkdown    MetadataType = "md"           // a string
	MetadataTable       MetadataType = "table"        // {"columns":[{"name","type"}],"rows":[[…]]}
	MetadataTableSchema MetadataType = "table_schema" // {"columns":[{"name","type","description"}]}
	MetadataTimestamp   MetadataType = "timestamp"    // RFC 3339 with zone
	MetadataDuration    MetadataType = "duration"     // Go's form: "1m30s"
	MetadataBool        MetadataType = "bool"         // true or false
	MetadataAsset       MetadataType = "asset"        // an asset key
)

// Metadatum is one typed fact: {"label":"perdure/row_count","type":"int","value":20000}.
type Metadatum struct {
	Label string          `json:"label"`
	Type  MetadataType    `json:"type"`
	Value json.RawMessage `json:"value"`
}

// The labels that Perdure itself reads.
const (
	LabelRowCount = "perdure/row_count" // int: rows of what was materialized
	LabelURI      = "perdure/uri"       // text: where the value lies, set from the IO manager
)
