package partition

// resolve gives the mapping with nothing left to be inferred; what is not valid stays as it is.
func (m Mapping) resolve(upstream, downstream *Partitions) Mapping {
	switch m.Kind {
	case "":
		return infer(upstream, downstream)
	case MapDimension:
		grid, single := gridAndOther(upstream, downstream)
		if grid == nil {
			return m
		}
		if m.Dimension == "" {
			m.Dimension, _ = fittingDimension(grid, single)
		}
		dimension, known := grid.dimension(m.Dimension)
		if !known {
			return m
		}
		through := Mapping{}
		if m.Through != nil {
			through = *m.Through
		}
		if upstream == grid {
			through = through.resolve(grid.dimensions[dimension], single)
		} else {
			through = through.resolve(single, grid.dimensions[dimension])
		}
		m.Through = &through
	case MapGrid:
		resolved := make([]DimensionMapping, len(m.Dimensions))
		for i, pair := range m.Dimensions {
			up, knownUp := upstream.dimension(pair.Upstream)
			down, knownDown := downstream.dimension(pair.Downstream)
			if knownUp && knownDown {
				pair.Mapping = pair.Mapping.resolve(upstream.dimensions[up], downstream.dimensions[down])
			}
			resolved[i] = pair
		}
		m.Dimensions = resolved
	case MapIdentity, MapAll, MapLast, MapSpecific, MapStatic, MapTime, MapCustom:
	}
	return m
}

func infer(upstream, downstream *Partitions) Mapping {
	if upstream.kind == KindSingle || downstream.kind == KindSingle {
		return Mapping{Kind: MapAll}
	}
	if grid, single := gridAndOther(upstream, downstream); grid != nil {
		if name, candidates := fittingDimension(grid, single); candidates == 1 {
			return Mapping{Kind: MapDimension, Dimension: name}.resolve(upstream, downstream)
		}
	}
	if upstream.kind == KindTime && downstream.kind == KindTime {
		return Mapping{Kind: MapTime}
	}
	return Mapping{Kind: MapIdentity}
}

// gridAndOther tells the sides apart when exactly one is a grid; nil otherwise.
func gridAndOther(upstream, downstream *Partitions) (grid, other *Partitions) {
	switch {
	case upstream.kind == KindGrid && downstream.kind != KindGrid:
		return upstream, downstream
	case downstream.kind == KindGrid && upstream.kind != KindGrid:
		return downstream, upstream
	default:
		return nil, nil
	}
}

// fittingDimension is the grid's dimension that fits the other side, and how many do: the name is
// given when it is one.
func fittingDimension(grid, other *Partitions) (name string, candidates int) {
	var equal, timed []string
	for i, side := range grid.dimensions {
		if side.fingerprint == other.fingerprint {
			equal = append(equal, grid.names[i])
		}
		if side.kind == KindTime && other.kind == KindTime {
			timed = append(timed, grid.names[i])
		}
	}
	fitting := equal
	if len(equal) == 0 {
		fitting = timed
	}
	if len(fitting) != 1 {
		return "", len(fitting)
	}
	return fitting[0], 1
}

// dimension is the number of a grid's dimension; false when there is none of that name.
func (p *Partitions) dimension(name string) (int, bool) {
	for i, known := range p.names {
		if p.kind == KindGrid && known == name {
			return i, true
		}
	}
	return 0, false
}
