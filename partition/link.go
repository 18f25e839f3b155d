package partition

import "fmt"

// Link is a mapping between two definitions that it fits, ready for use. It never changes and may be
// used by many goroutines. Make it with [Mapping.Between] once for each edge of a graph.
type Link struct {
	mapping              Mapping // resolved
	upstream, downstream *Partitions
	evaluator            Evaluator
}

// Between ties the mapping to the definitions on its two sides. The evaluator may be nil where no
// custom mapping is to be evaluated. The error is a [Problems] with everything for which the mapping
// does not fit.
//
// A zero Mapping, here or within the mapping, is inferred by the first of these that holds:
//
//   - one side is not partitioned: MapAll;
//   - exactly one side is a grid, and one dimension of it fits the other side: MapDimension through it.
//     A dimension fits whose definition is the other side's; or else, to time windows, the grid's only
//     dimension of time windows;
//   - both are time windows: MapTime without offsets;
//   - otherwise MapIdentity.
func (m Mapping) Between(upstream, downstream *Partitions, evaluator Evaluator) (*Link, error) {
	var problems Problems
	m.validate("", upstream, downstream, &problems)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &Link{mapping: m.resolve(upstream, downstream), upstream: upstream, downstream: downstream, evaluator: evaluator}, nil
}

// Mapping is the link's mapping; nothing in it is left to be inferred.
func (l *Link) Mapping() Mapping { return l.mapping }

// OneToOne is whether each downstream partition needs exactly the upstream partition of the same
// key: the definitions mean the same, and the mapping is an identity, overlapping time without
// offsets, or neither side is partitioned. Such assets may be made in one run.
func (l *Link) OneToOne() bool {
	if l.upstream.fingerprint != l.downstream.fingerprint {
		return false
	}
	switch l.mapping.Kind {
	case MapIdentity:
		return true
	case MapTime:
		return l.mapping.StartOffset == 0 && l.mapping.EndOffset == 0
	case MapAll:
		return l.upstream.kind == KindSingle
	default:
		return false
	}
}

// Upstream is what some downstream partitions need.
type Upstream struct {
	// Subset is the upstream partitions that exist.
	Subset Subset
	// Missing are those that are needed and do not exist; nil when there are none. Of a grid, rectangles
	// may overlap.
	Missing KeyRanges
}

// Upstream gives the partitions of an upstream set that a downstream subset needs. An empty subset
// needs none. The error is the evaluator's, wraps [ErrNoEvaluator], or says that a set is of another
// definition than the link.
func (l *Link) Upstream(downstream Subset, upstream *Set) (Upstream, error) {
	if err := sameDefinition(upstream, l.upstream); err != nil {
		return Upstream{}, err
	}
	if downstream.IsEmpty() {
		return Upstream{Subset: upstream.None()}, nil
	}
	if err := sameDefinition(downstream.set, l.downstream); err != nil {
		return Upstream{}, err
	}
	return l.mapping.upstream(downstream, upstream, l.evaluator)
}

// Downstream gives the partitions of a downstream set that need any of an upstream subset. Errors are
// as for Upstream.
func (l *Link) Downstream(upstream Subset, downstream *Set) (Subset, error) {
	if err := sameDefinition(downstream, l.downstream); err != nil {
		return Subset{}, err
	}
	if upstream.IsEmpty() {
		return downstream.None(), nil
	}
	if err := sameDefinition(upstream.set, l.upstream); err != nil {
		return Subset{}, err
	}
	return l.mapping.downstream(upstream, downstream, l.evaluator)
}

func sameDefinition(set *Set, p *Partitions) error {
	if set.of.fingerprint == p.fingerprint {
		return nil
	}
	return fmt.Errorf("the mapping is between other partitions than %s: make a link between these definitions", set)
}
