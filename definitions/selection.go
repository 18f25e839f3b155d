package definitions

import (
	"slices"

	"github.com/perdure-io/perdure/selection"
	"github.com/perdure-io/perdure/wire"
)

// Selection says which assets a job takes: by handle ([Assets]), or in the selection language ([Select]). The zero
// value selects nothing.
type Selection struct {
	// keys are set for a selection by handles alone; expression for any other.
	keys       []string
	expression string
	assets     []*asset
	// nothing counts handles that were never declared.
	undeclared int
}

// Assets selects assets by handle. Those of a multi-asset without [CanSubset] are selected together.
func Assets(assets ...AnyAsset) Selection {
	s := Selection{keys: []string{}}
	for _, a := range assets {
		base := baseOf(a)
		if base == nil {
			s.undeclared++
			continue
		}
		s.assets = append(s.assets, base)
		if !slices.Contains(s.keys, base.name) {
			s.keys = append(s.keys, base.name)
		}
	}
	return s
}

// Select selects in the selection language: "group:delays and not kind:image", "raw/flights+2", "*".
func Select(expression string) Selection { return Selection{expression: expression} }

// Upstream is the selection with everything above it.
func (s Selection) Upstream() Selection { return s.with("+" + s.inner()) }

// Downstream is the selection with everything below it.
func (s Selection) Downstream() Selection { return s.with(s.inner() + "+") }

// And is what both selections have.
func (s Selection) And(other Selection) Selection {
	return s.with(s.inner()+" and "+other.inner(), other)
}

// Or is what either selection has.
func (s Selection) Or(other Selection) Selection {
	return s.with(s.inner()+" or "+other.inner(), other)
}

// Except is the selection without the other.
func (s Selection) Except(other Selection) Selection {
	return s.with(s.inner()+" and not "+other.inner(), other)
}

// String is the selection in the selection language; one that does not parse is as it was given.
func (s Selection) String() string {
	if s.keys != nil {
		return selection.Keys(s.keys...).String()
	}
	parsed, err := selection.Parse(s.expression)
	if err != nil {
		return s.expression
	}
	return parsed.String()
}

func (s Selection) inner() string {
	if s.keys != nil {
		return "(" + selection.Keys(s.keys...).String() + ")"
	}
	return "(" + s.expression + ")"
}

func (s Selection) with(expression string, others ...Selection) Selection {
	combined := Selection{expression: expression, assets: slices.Clone(s.assets), undeclared: s.undeclared}
	for _, other := range others {
		combined.assets = append(combined.assets, other.assets...)
		combined.undeclared += other.undeclared
	}
	return combined
}

// lower is the selection as data: a list of keys when it is by handles alone.
func (s Selection) lower() wire.AssetSelection {
	if s.keys != nil {
		return wire.AssetSelection{Keys: slices.Sorted(slices.Values(s.keys))}
	}
	return wire.AssetSelection{Expression: s.String()}
}

// parsed is what evaluates the selection.
func (s Selection) parsed() (*selection.Selection, error) {
	if s.keys != nil {
		return selection.Keys(s.keys...), nil
	}
	return selection.Parse(s.expression)
}
