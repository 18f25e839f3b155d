package partition

import (
	"errors"
	"fmt"
	"slices"
)

// Mapping says which upstream partitions a downstream partition needs, as data. The zero Mapping is
// inferred from the two definitions, as said at [Mapping.Between].
type Mapping struct {
	// Kind says which of the other fields are read; "" is inferred.
	Kind MappingKind `json:"kind,omitempty"`
	// Keys are the upstream keys of a MapSpecific.
	Keys []string `json:"keys,omitempty"`
	// Static is, for a MapStatic, the downstream keys of upstream keys. An upstream key that is not in it
	// is needed by nothing.
	Static map[string][]string `json:"static,omitempty"`
	// StartOffset and EndOffset shift where the needed time begins and ends, for a MapTime, counted in
	// downstream partitions: -1 and -1 is the partition before, -1 and 0 the last two. What a shift
	// pushes out of the upstream's existing partitions is not needed.
	StartOffset int `json:"start_offset,omitempty"`
	EndOffset   int `json:"end_offset,omitempty"`
	// AllowNonexistent makes a MapTime need only what exists upstream.
	AllowNonexistent bool `json:"allow_nonexistent,omitempty"`
	// Dimension is the grid's dimension of a MapDimension; "" is inferred.
	Dimension string `json:"dimension,omitempty"`
	// Through is how a MapDimension maps between that dimension and the other side; nil is inferred.
	Through *Mapping `json:"through,omitempty"`
	// Dimensions are the pairs of a MapGrid. A dimension in none of them is mapped all to all.
	Dimensions []DimensionMapping `json:"dimensions,omitempty"`
	// Function is the name of a MapCustom, which an [Evaluator] knows.
	Function string `json:"function,omitempty"`
}

// DimensionMapping maps between a dimension of an upstream grid and one of a downstream grid. A
// dimension is in one pair at most.
type DimensionMapping struct {
	Upstream   string `json:"upstream"`
	Downstream string `json:"downstream"`
	// Mapping is between the two dimensions; the zero Mapping is inferred.
	Mapping Mapping `json:"mapping,omitzero"`
}

// MappingKind is a way of mapping.
type MappingKind string

// The kinds of mapping.
const (
	// MapIdentity needs the partition of the same key.
	MapIdentity MappingKind = "identity"
	// MapAll needs every upstream partition.
	MapAll MappingKind = "all"
	// MapLast needs the last upstream partition that exists.
	MapLast MappingKind = "last"
	// MapSpecific needs the partitions of some keys, whichever the downstream partition.
	MapSpecific MappingKind = "specific"
	// MapStatic needs what a table says; both sides are static.
	MapStatic MappingKind = "static"
	// MapTime needs the windows that overlap the downstream window, shifted by offsets; both sides are
	// time windows of one zone.
	MapTime MappingKind = "time"
	// MapDimension is between a grid and a set that is none, through one dimension; every partition of
	// the other dimension counts.
	MapDimension MappingKind = "dimension"
	// MapGrid is between two grids, with a mapping for each pair of dimensions.
	MapGrid MappingKind = "grid"
	// MapCustom is a function of a code location.
	MapCustom MappingKind = "custom"
)

// Evaluator evaluates custom mappings: the code location that defines them has one.
type Evaluator interface {
	// UpstreamKeys gives the keys of the upstream partitions that some downstream ones need, in any order;
	// those that do not exist are reported as missing.
	UpstreamKeys(function string, downstream Subset, upstream *Set) ([]string, error)
	// DownstreamKeys gives the keys of the downstream partitions that need any of some upstream ones, in
	// any order; those that do not exist are left out.
	DownstreamKeys(function string, upstream Subset, downstream *Set) ([]string, error)
}

// ErrNoEvaluator is returned where a custom mapping is evaluated without an [Evaluator].
var ErrNoEvaluator = errors.New("is a function of its code location, which this program does not have")

// upstream maps a subset that is not empty by a mapping that is resolved and valid.
func (m Mapping) upstream(from Subset, to *Set, evaluator Evaluator) (Upstream, error) {
	switch m.Kind {
	case MapIdentity:
		if from.set.of.kind == KindGrid && to.of.kind == KindGrid {
			return pairwise(to.of, from.set.of).gridUpstream(from, to, evaluator)
		}
		return identity(from, to), nil
	case MapAll:
		return Upstream{Subset: to.All()}, nil
	case MapLast:
		return Upstream{Subset: to.lastPartition()}, nil
	case MapSpecific:
		return to.named(m.Keys), nil
	case MapStatic:
		return to.named(m.upstreamKeys(from)), nil
	case MapTime:
		return m.timeUpstream(from, to), nil
	case MapDimension:
		return m.dimensionUpstream(from, to, evaluator)
	case MapGrid:
		return m.gridUpstream(from, to, evaluator)
	case MapCustom:
		if evaluator == nil {
			return Upstream{}, fmt.Errorf("mapping %q %w", m.Function, ErrNoEvaluator)
		}
		keys, err := evaluator.UpstreamKeys(m.Function, from, to)
		if err != nil {
			return Upstream{}, fmt.Errorf("mapping %q: %w", m.Function, err)
		}
		return to.named(keys), nil
	default:
		return Upstream{}, Problems{unknownKind(m.Kind)}
	}
}

// downstream is like upstream, in the other direction.
func (m Mapping) downstream(from Subset, to *Set, evaluator Evaluator) (Subset, error) {
	switch m.Kind {
	case MapIdentity:
		if from.set.of.kind == KindGrid && to.of.kind == KindGrid {
			return pairwise(from.set.of, to.of).gridDownstream(from, to, evaluator)
		}
		return identity(from, to).Subset, nil
	case MapAll:
		return to.All(), nil
	case MapLast:
		return to.allIf(!from.Intersection(from.set.lastPartition()).IsEmpty()), nil
	case MapSpecific:
		return to.allIf(!from.Intersection(from.set.named(m.Keys).Subset).IsEmpty()), nil
	case MapStatic:
		var keys []string
		for key := range from.Keys() {
			keys = append(keys, m.Static[key]...)
		}
		return to.named(keys).Subset, nil
	case MapTime:
		return m.timeDownstream(from, to), nil
	case MapDimension:
		return m.dimensionDownstream(from, to, evaluator)
	case MapGrid:
		return m.gridDownstream(from, to, evaluator)
	case MapCustom:
		if evaluator == nil {
			return Subset{}, fmt.Errorf("mapping %q %w", m.Function, ErrNoEvaluator)
		}
		keys, err := evaluator.DownstreamKeys(m.Function, from, to)
		if err != nil {
			return Subset{}, fmt.Errorf("mapping %q: %w", m.Function, err)
		}
		return to.named(keys).Subset, nil
	default:
		return Subset{}, Problems{unknownKind(m.Kind)}
	}
}

// upstreamKeys are those whose downstream keys include one of the subset's, in the upstream's order
// or none: named puts them in order.
func (m Mapping) upstreamKeys(from Subset) []string {
	var keys []string
	for up, down := range m.Static {
		if slices.ContainsFunc(down, from.Has) {
			keys = append(keys, up)
		}
	}
	return keys
}

// allIf is every partition or none.
func (s *Set) allIf(condition bool) Subset {
	if condition {
		return s.All()
	}
	return s.None()
}

func (s *Set) lastPartition() Subset {
	return s.ofPositions(spansOf([]span{{max(s.count-1, 0), s.count}}))
}

// named is the partitions of keys, and as missing the keys that do not exist.
func (s *Set) named(keys []string) Upstream {
	var positions []span
	var missing KeyRanges
	for _, key := range keys {
		if position, wrong := s.position(key); wrong == nil {
			positions = append(positions, span{position, position + 1})
		} else {
			missing = append(missing, KeyRange{First: key, Last: key, Count: 1})
		}
	}
	return Upstream{Subset: s.ofPositions(spansOf(positions)), Missing: missing}
}
