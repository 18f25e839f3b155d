package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// AssetSelection is an expression of the selection language, or a list of asset keys. The zero value selects nothing.
type AssetSelection struct {
	Expression string
	Keys       []string
}

// IsZero says whether nothing was given.
func (s AssetSelection) IsZero() bool { return s.Expression == "" && s.Keys == nil }

// String is the expression, or the keys joined by ", ".
func (s AssetSelection) String() string {
	if s.Keys != nil {
		return strings.Join(s.Keys, ", ")
	}
	return s.Expression
}

// MarshalJSON writes a string or a list of strings.
func (s AssetSelection) MarshalJSON() ([]byte, error) {
	if s.Keys != nil {
		return json.Marshal(s.Keys)
	}
	return json.Marshal(s.Expression)
}

// UnmarshalJSON reads a string or a list of strings. Its error is [Problems].
func (s *AssetSelection) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	var d decoder
	var read AssetSelection
	switch {
	case len(data) > 0 && data[0] == '[':
		d.decode("", data, reflect.ValueOf(&read.Keys).Elem())
		if len(d.problems) == 0 && len(read.Keys) == 0 {
			d.add("", CodeInvalid, "is an empty list", "name at least one asset key")
		}
		for i, key := range read.Keys {
			if key == "" && len(d.problems) == 0 {
				d.add(ItemPath("", i), CodeInvalid, "is an empty key", "name an asset")
			}
		}
	case len(data) > 0 && data[0] == '"':
		d.decode("", data, reflect.ValueOf(&read.Expression).Elem())
		if len(d.problems) == 0 && strings.TrimSpace(read.Expression) == "" {
			d.add("", CodeInvalid, "is empty", `give a selection such as "*" or "route_delays+"`)
		}
	default:
		d.add("", CodeWrongType, "must be a selection expression or a list of asset keys, not "+describe(data), "")
	}
	if len(d.problems) > 0 {
		return d.problems
	}
	*s = read
	return nil
}

// Priority orders runs: 1 first, 5 last. The zero value means that none was given: [PriorityNormal].
type Priority int

// The named priorities.
const (
	PriorityHigh     Priority = 1
	PriorityNormal   Priority = 3
	PriorityLow      Priority = 4
	PriorityBackfill Priority = 5
)

var priorityNames = map[string]Priority{"high": PriorityHigh, "normal": PriorityNormal, "low": PriorityLow, "backfill": PriorityBackfill}

// ParsePriority reads a number from 1 to 5 or a name.
func ParsePriority(text string) (Priority, error) {
	if p, ok := priorityNames[text]; ok {
		return p, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= 5 {
		return Priority(n), nil
	}
	return 0, fmt.Errorf(`must be 1 to 5, or "high", "normal", "low" or "backfill", not %s`, short(text))
}

// UnmarshalJSON reads a number from 1 to 5 (also 3.0, as tctl writes it) or a name.
func (p *Priority) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if number, err := strconv.ParseFloat(text, 64); err == nil && number == float64(int(number)) {
		text = strconv.Itoa(int(number))
	}
	parsed, err := ParsePriority(text)
	if err != nil {
		return fmt.Errorf(`must be 1 to 5, or "high", "normal", "low" or "backfill", not %s`, short(string(data)))
	}
	*p = parsed
	return nil
}
