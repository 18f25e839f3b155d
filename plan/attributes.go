package plan

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// SearchAttributes are the values of the search attributes of a run in a status, by name: a string, or of PerdureAssets a list of them.
// What is empty has none.
func (w *Walk) SearchAttributes(status wire.RunStatus) map[string]any {
	values := map[string]any{wire.SearchAssets: wire.Keywords(w.Assets)}
	for _, one := range []struct{ name, value string }{
		{wire.SearchJob, w.Job},
		{wire.SearchPartition, w.Partition},
		{wire.SearchBackfill, w.Backfill},
		{wire.SearchCause, w.Cause},
		{wire.SearchStatus, string(status)},
	} {
		if one.value != "" {
			values[one.name] = wire.Keyword(one.value)
		}
	}
	return values
}

// StartedWith are those of the walk's search attributes that a workflow has as they are to be when the run is STARTED, given those that
// it was started with as JSON. The order of a list does not matter.
func (w *Walk) StartedWith(had map[string]json.RawMessage) []string {
	values := w.SearchAttributes(wire.RunStarted)
	var started []string
	for _, name := range w.Attributes {
		var is any
		switch want := values[name].(type) {
		case string:
			var one string
			if json.Unmarshal(had[name], &one) == nil {
				is = one
			}
		case []string:
			var list []string
			if json.Unmarshal(had[name], &list) == nil {
				slices.Sort(list)
				slices.Sort(want)
				is = list
			}
		}
		if is != nil && reflect.DeepEqual(is, values[name]) {
			started = append(started, name)
		}
	}
	return started
}
