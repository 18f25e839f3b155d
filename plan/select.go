package plan

import (
	"slices"

	"github.com/perdure-io/perdure/selection"
	"github.com/perdure-io/perdure/wire"
)

// Select gives the keys of the assets that a selection names, sorted, for lists: unlike a request it may name external
// assets, parts of multi-assets that are made as a whole, and nothing at all. Its error is [wire.Problems].
func (p *Planner) Select(wanted wire.AssetSelection) ([]string, error) {
	selected := selection.Keys(wanted.Keys...)
	if wanted.Keys == nil {
		parsed, err := selection.Parse(wanted.Expression)
		if err != nil {
			return nil, wire.Problems{{Path: "assets", Code: wire.CodeSyntax, Message: err.Error()}}
		}
		selected = parsed
	}
	keys, err := selected.Evaluate(p.index)
	if err != nil {
		return nil, unknownNames("assets", wanted, err)
	}
	return slices.Sorted(slices.Values(keys)), nil
}
