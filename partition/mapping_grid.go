package partition

import "slices"

// pairwise is the identity between two grids: of the first parts of their keys, and of the second.
func pairwise(upstream, downstream *Partitions) Mapping {
	pairs := make([]DimensionMapping, len(upstream.names))
	for i := range pairs {
		pairs[i] = DimensionMapping{upstream.names[i], downstream.names[i], Mapping{Kind: MapIdentity}}
	}
	return Mapping{Kind: MapGrid, Dimensions: pairs}
}

// productOf maps a subset of a grid into a grid dimension by dimension: each row is a product, and
// what a product maps to is the product of what its sides map to.
func productOf(from Subset, to *Set, sides func(outer, inner Subset) (a, b Upstream, err error)) (Upstream, error) {
	var parts []rows
	var missing KeyRanges
	for _, one := range from.rows {
		outer := Subset{set: from.set.sides[0], spans: spans{one.outer}}
		inner := Subset{set: from.set.sides[1], spans: one.inner}
		a, b, err := sides(outer, inner)
		if err != nil {
			return Upstream{}, err
		}
		parts = append(parts, rowsOf(a.Subset.spans, b.Subset.spans))
		missing = append(missing, missingInProduct(a, b)...)
	}
	return Upstream{Subset: Subset{set: to, rows: uniteRows(parts)}, Missing: uniqueRanges(missing)}, nil
}

// uniqueRanges leaves out what is there already: rows often miss the same.
func uniqueRanges(ranges KeyRanges) KeyRanges {
	seen := make(map[KeyRange]bool, len(ranges))
	return slices.DeleteFunc(ranges, func(one KeyRange) bool {
		doubled := seen[one]
		seen[one] = true
		return doubled
	})
}

// missingInProduct is the rectangles of a product of which at least one side does not exist.
func missingInProduct(outer, inner Upstream) KeyRanges {
	var missing KeyRanges
	join := func(outer, inner KeyRanges) {
		for _, a := range outer {
			for _, b := range inner {
				missing = append(missing, joinRanges(a, b))
			}
		}
	}
	if len(outer.Missing) == 0 && len(inner.Missing) == 0 {
		return nil
	}
	outerExisting, innerExisting := rangesOf(outer.Subset), rangesOf(inner.Subset)
	join(outer.Missing, innerExisting)
	join(outerExisting, inner.Missing)
	join(outer.Missing, inner.Missing)
	return missing
}

func rangesOf(b Subset) KeyRanges {
	var ranges KeyRanges
	for one := range b.Ranges() {
		ranges = append(ranges, one)
	}
	return ranges
}

// dimensionUpstream maps through one dimension of the grid that is on either side.
func (m Mapping) dimensionUpstream(from Subset, to *Set, evaluator Evaluator) (Upstream, error) {
	if dimension, isGrid := from.set.of.dimension(m.Dimension); isGrid {
		return m.Through.upstream(from.on(dimension), to, evaluator)
	}
	dimension, _ := to.of.dimension(m.Dimension)
	side, err := m.Through.upstream(from, to.sides[dimension], evaluator)
	if err != nil {
		return Upstream{}, err
	}
	other := Upstream{Subset: to.sides[1-dimension].All()}
	result := Upstream{Subset: to.ofSide(dimension, side.Subset.spans)}
	if dimension == 0 {
		result.Missing = missingInProduct(side, other)
	} else {
		result.Missing = missingInProduct(other, side)
	}
	return result, nil
}

func (m Mapping) dimensionDownstream(from Subset, to *Set, evaluator Evaluator) (Subset, error) {
	if dimension, isGrid := from.set.of.dimension(m.Dimension); isGrid {
		return m.Through.downstream(from.on(dimension), to, evaluator)
	}
	dimension, _ := to.of.dimension(m.Dimension)
	side, err := m.Through.downstream(from, to.sides[dimension], evaluator)
	if err != nil {
		return Subset{}, err
	}
	return to.ofSide(dimension, side.spans), nil
}

// gridUpstream maps each upstream dimension from the downstream one that it is paired with, or from
// all.
func (m Mapping) gridUpstream(from Subset, to *Set, evaluator Evaluator) (Upstream, error) {
	return productOf(from, to, func(outer, inner Subset) (Upstream, Upstream, error) {
		return eachSide(to, func(i int) (Upstream, error) {
			for _, pair := range m.Dimensions {
				if pair.Upstream == to.of.names[i] {
					down, _ := from.set.of.dimension(pair.Downstream)
					return pair.Mapping.upstream([2]Subset{outer, inner}[down], to.sides[i], evaluator)
				}
			}
			return Upstream{Subset: to.sides[i].All()}, nil
		})
	})
}

func (m Mapping) gridDownstream(from Subset, to *Set, evaluator Evaluator) (Subset, error) {
	result, err := productOf(from, to, func(outer, inner Subset) (Upstream, Upstream, error) {
		return eachSide(to, func(i int) (Upstream, error) {
			for _, pair := range m.Dimensions {
				if pair.Downstream == to.of.names[i] {
					up, _ := from.set.of.dimension(pair.Upstream)
					side, err := pair.Mapping.downstream([2]Subset{outer, inner}[up], to.sides[i], evaluator)
					return Upstream{Subset: side}, err
				}
			}
			return Upstream{Subset: to.sides[i].All()}, nil
		})
	})
	return result.Subset, err
}

func eachSide(grid *Set, side func(i int) (Upstream, error)) (outer, inner Upstream, err error) {
	if outer, err = side(0); err != nil {
		return outer, inner, err
	}
	inner, err = side(1)
	return outer, inner, err
}
