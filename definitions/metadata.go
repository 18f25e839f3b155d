package definitions

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// Metadatum is one typed fact under a label: about a materialization, where it is reported ([Context.Report],
// [AssetOf.Of]), or about an asset ([Metadata]). Make one with [Int], [Float], [Text], [URL], [Path], [JSON],
// [Markdown], [Table], [Schema], [Timestamp], [Duration], [Bool], [AssetRef], [RowCount], [ColumnSchema] or
// [DataVersion]; the zero value is invalid. Two are equal when label, type and value are.
type Metadatum struct {
	// Label says what the fact is. Within one materialization a label stands once.
	Label string
	kind  wire.MetadataType
	value string // JSON
	fault string
}

// dataVersionKind marks a DataVersion, which is recorded beside the metadata and not among it.
const dataVersionKind wire.MetadataType = "data_version"

const (
	// labelDataVersion is how a data version is shown.
	labelDataVersion = "perdure/data_version"
	// labelColumnSchema is what the columns of a table lie under.
	labelColumnSchema = "perdure/column_schema"
)

// Integer is any of Go's integer types.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Int is a whole number.
func Int[N Integer](label string, v N) Metadatum {
	return Metadatum{Label: label, kind: wire.MetadataInt, value: fmt.Sprintf("%d", v)}
}

// Float is a number. NaN and the infinities are invalid.
func Float(label string, v float64) Metadatum {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Metadatum{Label: label, kind: wire.MetadataFloat, fault: fmt.Sprintf("%v is no number that can be recorded", v)}
	}
	return encoded(label, wire.MetadataFloat, v)
}

// Text is a short text.
func Text(label, v string) Metadatum { return encoded(label, wire.MetadataText, v) }

// URL is a link: an absolute URL. Any other text is invalid.
func URL(label, v string) Metadatum {
	m := encoded(label, wire.MetadataURL, v)
	if parsed, err := url.Parse(v); err != nil || !parsed.IsAbs() {
		m.fault = fmt.Sprintf("%q is no absolute URL", v)
	}
	return m
}

// Path is the path of a file.
func Path(label, v string) Metadatum { return encoded(label, wire.MetadataPath, v) }

// JSON is any value as JSON. One that encoding/json cannot marshal is invalid.
func JSON(label string, v any) Metadatum { return encoded(label, wire.MetadataJSON, v) }

// Markdown is a text with Markdown's markup.
func Markdown(label, v string) Metadatum { return encoded(label, wire.MetadataMarkdown, v) }

// Timestamp is a moment, recorded with its zone's offset. The zero time is invalid.
func Timestamp(label string, v time.Time) Metadatum {
	m := encoded(label, wire.MetadataTimestamp, v.Format(time.RFC3339Nano))
	if v.IsZero() {
		m.fault = "the zero time is no timestamp"
	}
	return m
}

// Duration is a span of time, recorded in Go's form: "1m30s".
func Duration(label string, v time.Duration) Metadatum {
	return encoded(label, wire.MetadataDuration, v.String())
}

// Bool is true or false.
func Bool(label string, v bool) Metadatum { return encoded(label, wire.MetadataBool, v) }

// AssetRef points to another asset.
func AssetRef(label string, to AnyAsset) Metadatum {
	base := baseOf(to)
	if base == nil {
		return Metadatum{Label: label, kind: wire.MetadataAsset, fault: "the asset handle was never declared"}
	}
	return encoded(label, wire.MetadataAsset, base.name)
}

// RowCount is how many rows were materialized, under the label that Perdure charts: perdure/row_count. Of a value that
// is a slice (not of bytes) its length is reported where the function reports no other.
func RowCount(rows int) Metadatum {
	m := Int(wire.LabelRowCount, rows)
	if rows < 0 {
		m.fault = fmt.Sprintf("%d is no number of rows", rows)
	}
	return m
}

// DataVersion replaces the data version that Perdure computes: two materializations with one data version hold the
// same data. For [Context.Report] and [AssetOf.Of] only.
func DataVersion(version string) Metadatum {
	m := encoded(labelDataVersion, dataVersionKind, version)
	if version == "" {
		m.fault = "the data version is empty"
	}
	return m
}

// Type is the metadatum's type, as it is recorded.
func (m Metadatum) Type() wire.MetadataType { return m.kind }

// JSON is the value as it is recorded; nil for an invalid metadatum.
func (m Metadatum) JSON() json.RawMessage {
	if m.invalid() != nil {
		return nil
	}
	return json.RawMessage(m.value)
}

// String is label=value.
func (m Metadatum) String() string {
	if err := m.invalid(); err != nil {
		return fmt.Sprintf("%s=invalid(%v)", m.Label, err)
	}
	return m.Label + "=" + m.value
}

func encoded(label string, kind wire.MetadataType, v any) Metadatum {
	m := Metadatum{Label: label, kind: kind}
	data, err := json.Marshal(v)
	if err != nil {
		m.fault = err.Error()
	}
	m.value = string(data)
	return m
}

func (m Metadatum) invalid() error {
	switch {
	case m.kind == "":
		return fmt.Errorf("metadata %q has no value: make it with Int, Float, Text or another of the constructors", m.Label)
	case m.Label == "":
		return errors.New("metadata has an empty label: name what it is")
	case m.fault != "":
		return fmt.Errorf("metadata %q: %s", m.Label, m.fault)
	}
	return nil
}

// lowerMetadata takes the data version out; of two under one label the later holds.
func lowerMetadata(metadata []Metadatum) (lowered []wire.Metadatum, dataVersion string, err error) {
	var problems []error
	at := make(map[string]int, len(metadata))
	for _, m := range metadata {
		if problem := m.invalid(); problem != nil {
			problems = append(problems, problem)
			continue
		}
		if m.kind == dataVersionKind {
			if err := json.Unmarshal([]byte(m.value), &dataVersion); err != nil {
				problems = append(problems, fmt.Errorf("metadata %q: %w", m.Label, err))
			}
			continue
		}
		one := wire.Metadatum{Label: m.Label, Type: m.kind, Value: json.RawMessage(m.value)}
		if i, doubled := at[m.Label]; doubled {
			lowered[i] = one
			continue
		}
		at[m.Label] = len(lowered)
		lowered = append(lowered, one)
	}
	return lowered, dataVersion, errors.Join(problems...)
}

// raiseMetadata is what was recorded, as users know it.
func raiseMetadata(recorded []wire.Metadatum) []Metadatum {
	raised := make([]Metadatum, len(recorded))
	for i, m := range recorded {
		raised[i] = Metadatum{Label: m.Label, kind: m.Type, value: string(m.Value)}
	}
	return raised
}
