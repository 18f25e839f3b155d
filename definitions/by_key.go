package definitions

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/perdure-io/perdure/internal/step"
	"github.com/perdure-io/perdure/partition"
	"github.com/perdure-io/perdure/plan"
)

// assetPart is which partitions of an asset a source takes; the zero value takes the one that the inferred mapping gives.
type assetPart struct {
	mapping Mapping
	take    plan.TakePartitions
	// name is what bound it, for messages: "ByKey".
	name string
}

// ByKey is the values of all upstream partitions that a partition needs, by their keys: for a week its days, for an asset without
// partitions all that exist. m says which; without it, that is inferred. What an optional asset did not emit is not in the map.
func ByKey[T any](a *AssetOf[T], m ...Mapping) Source[map[string]T] {
	source := &byKey[T]{of: a}
	source.part = assetPart{take: plan.TakePartitionsByKey, name: "ByKey"}
	switch len(m) {
	case 0:
	case 1:
		source.part.mapping = m[0]
	default:
		source.part.mapping.faults = []fault{{"inputs", fmt.Sprintf("ByKey is given %d mappings", len(m)), "give at most one"}}
	}
	return source
}

type byKey[T any] struct {
	of   *AssetOf[T]
	part assetPart
}

func (b *byKey[T]) carries(map[string]T) {}
func (b *byKey[T]) need() need           { return b.of.needPart(b, b.part) }

func (b *byKey[T]) load(s *scope) (map[string]T, error) {
	def := b.of.base()
	keys := s.inputKeys(def, b.part.mapping)
	values, found := make([]T, len(keys)), make([]bool, len(keys))
	problems := make([]error, len(keys))
	places := make(chan struct{}, loadersAtOnce)
	var loading sync.WaitGroup
	for i, key := range keys {
		places <- struct{}{}
		loading.Go(func() {
			defer func() { <-places }()
			problems[i] = guarded(func() (err error) {
				found[i], err = s.loadPartition(def, key, &values[i])
				return err
			})
		})
	}
	loading.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("load input %q by key: %w", def.name, firstOf(problems))
	}
	all := make(map[string]T, len(keys))
	for i, key := range keys {
		if found[i] {
			all[key] = values[i]
		}
	}
	return all, nil
}

func firstOf(problems []error) error {
	i := slices.IndexFunc(problems, func(err error) bool { return err != nil })
	return problems[i]
}

// At is the value of the one upstream partition that a mapping gives; nil where there is none, as at the first partition of an
// Offset(-1, -1), or where an optional asset did not emit it. A mapping that can give several is a problem: bind [ByKey].
func At[T any](a *AssetOf[T], m Mapping) Source[*T] {
	return &at[T]{of: a, part: assetPart{mapping: m, take: plan.TakeAtMostOne, name: "At"}}
}

type at[T any] struct {
	of   *AssetOf[T]
	part assetPart
}

func (a *at[T]) carries(*T) {}
func (a *at[T]) need() need { return a.of.needPart(a, a.part) }

func (a *at[T]) load(s *scope) (*T, error) { return loadAtMostOne[T](s, a.of.base(), a.part.mapping) }

func loadAtMostOne[T any](s *scope, a *asset, m Mapping) (*T, error) {
	keys := s.inputKeys(a, m)
	switch len(keys) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, fmt.Errorf("load input %q: its mapping gives %d partitions where at most one is expected: bind ByKey", a.name, len(keys))
	}
	var value T
	found, err := s.loadPartition(a, keys[0], &value)
	if err != nil {
		return nil, fmt.Errorf("load input %q: %w", a.name, err)
	}
	if !found {
		return nil, nil
	}
	return &value, nil
}

// needPart is the need of some partitions of the asset.
func (a *AssetOf[T]) needPart(id any, part assetPart) need {
	n := a.need()
	if n.kind == needInvalid {
		return n
	}
	if len(part.mapping.faults) > 0 {
		return need{kind: needInvalid, fault: part.mapping.faults[0]}
	}
	n.id, n.part = id, part
	return n
}

// Previous is the value of the asset's own partition before this one, nil for the first: a running total needs it. A handle
// cannot name itself, Go calls that an initialization cycle. It is for an [Asset], an [OptionalAsset] or the ops of a
// [GraphAsset] over windows of time, or over a grid with one dimension of them; T is the asset's own type. An output of a
// [MultiAsset] is bound with [At] and an [Offset].
func Previous[T any]() Source[*T] { return &previous[T]{} }

type previous[T any] struct{ _ byte } // not of size 0, so that each has an address of its own

// previousPartition is the mapping of Previous to windows of time.
var previousPartition = Offset(-1, -1)

func (p *previous[T]) carries(*T) {}

func (p *previous[T]) need() need {
	return need{kind: needPrevious, id: p, typ: reflect.TypeFor[T]()}
}

func (p *previous[T]) load(s *scope) (*T, error) {
	own := s.compute.ownAsset()
	if own == nil {
		return nil, errors.New("Previous is bound by what is no asset of its own")
	}
	return loadAtMostOne[T](s, own, own.previousMapping())
}

// ownAsset is the one asset that a compute is declared as, or is part of; nil for anything else.
func (c *compute) ownAsset() *asset {
	switch {
	case c.family != nil && c.family.multi == nil:
		return c.family.shared.outs[0]
	case c.family == nil && c.node == nil && !c.multi && len(c.outs) == 1:
		return c.outs[0]
	}
	return nil
}

// previousMapping gives the partition before: in a grid, of its dimension of time.
func (a *asset) previousMapping() Mapping {
	if !a.partitions.isGrid() {
		return previousPartition
	}
	var pairs []DimensionPair
	for _, dimension := range a.partitions.definition.Grid {
		pair := DimensionPair{Upstream: dimension.Name, Downstream: dimension.Name, Mapping: SamePartition}
		if dimension.Time != nil {
			pair.Mapping = previousPartition
		}
		pairs = append(pairs, pair)
	}
	return GridMapping(pairs...)
}

// withPrevious puts the asset in the place of each Previous.
func withPrevious(needs []need, a *asset) []need {
	resolved := slices.Clone(needs)
	for i := range resolved {
		n := &resolved[i]
		if n.kind == needPrevious {
			n.kind, n.asset = needAsset, a
			n.part = assetPart{mapping: a.previousMapping(), take: plan.TakeAtMostOne, name: "Previous"}
			continue
		}
		n.parts = withPrevious(n.parts, a)
	}
	return resolved
}

// inputKeys are the keys of an asset that the step loads by a mapping: [""] of one without partitions.
func (s *scope) inputKeys(a *asset, m Mapping) []string {
	var keys []string
	resolved := s.resolved(a, m)
	for _, input := range s.attempt.Plan.Inputs {
		if input.Asset == a.name && reflect.DeepEqual(input.Mapping, resolved) {
			if input.Partitions == nil {
				keys = append(keys, "")
			}
			keys = append(keys, input.Partitions...)
		}
	}
	return once(keys)
}

// resolved is a mapping as plans name it: nothing in it is left to be inferred. Between what is not partitioned there is none.
func (s *scope) resolved(a *asset, m Mapping) partition.Mapping {
	own := s.runtime.definitions.partitionsOf(s.compute)
	if a.partitions == nil && own == nil {
		return m.lowered
	}
	link, err := m.lowered.Between(compiledOf(a.partitions), compiledOf(own), s.runtime)
	if err != nil {
		return m.lowered // it has been validated
	}
	return link.Mapping()
}

// loadPartition fills into, a *T, with the value of an asset's partition; found is false when it was not emitted.
func (s *scope) loadPartition(a *asset, key string, into any) (found bool, err error) {
	if s.partNotEmitted(a, key) {
		return false, nil
	}
	if err := s.load(a, key, into); err != nil {
		if key != "" {
			err = fmt.Errorf("partition %q: %w", key, err)
		}
		return false, err
	}
	return true, nil
}

// partNotEmitted says whether a partition of an asset of this run, or of an optional one, has no materialization for this step.
func (s *scope) partNotEmitted(a *asset, key string) bool {
	if _, given := s.runtime.inProcess.givenPart(a, key); given || a.external {
		return false
	}
	if _, found := s.attempt.Inputs[step.AssetPartition{Asset: a.name, Partition: key}]; found {
		return false
	}
	if a.optional {
		return true
	}
	for _, input := range s.attempt.Plan.Inputs {
		if input.Asset == a.name && (key == "" && input.Partitions == nil || slices.Contains(input.Partitions, key)) {
			return input.InRun
		}
	}
	return false
}
