package definitions

import (
	"slices"
	"time"

	"github.com/perdure-io/perdure/wire"
)

// ForPartition makes one partition, of that key. [ForPartitions], [ForRange] and [ForAllPartitions] make several; one of the four
// is given. Where what is made is partitioned in several ways, they are the partitions of what the rest is made from, and the
// rest is made for those that they map to.
type ForPartition string

func (p ForPartition) applyMaterialize(m *materialization) {
	m.partitions.Partition = string(p)
	if p == "" {
		m.fail("ForPartition is given no key: name a partition")
	}
}

// PartitionsOption is what [ForPartitions] and [ForRange] return.
type PartitionsOption interface {
	MaterializeOption
	RequestOption
}

// ForPartitions makes the partitions of these keys.
func ForPartitions(keys ...string) PartitionsOption { return forPartitions(keys) }

type forPartitions []string

func (p forPartitions) applyMaterialize(m *materialization) {
	m.partitions.Partitions = append(slices.Clone(m.partitions.Partitions), p...)
	if len(p) == 0 {
		m.fail("ForPartitions is given no keys: name at least one partition")
	}
}

// ForRange makes the partitions from one key to another, both inside; of a grid the rectangle between them.
func ForRange(start, end string) PartitionsOption { return forRange{start, end} }

type forRange struct{ start, end string }

func (p forRange) applyMaterialize(m *materialization) {
	m.partitions.Range = &wire.PartitionRange{Start: p.start, End: p.end}
}

// ForAllPartitions makes all partitions that exist.
type ForAllPartitions struct{}

func (ForAllPartitions) applyMaterialize(m *materialization) { m.partitions.AllPartitions = true }

// AsOf is the time at which windows of time must have ended to be partitions; without it, now, and of a schedule when it is due.
func AsOf(at time.Time) TestOption { return asOf(at) }

type asOf time.Time

func (v asOf) applyMaterialize(m *materialization) { m.asOf = time.Time(v) }

// DynamicKeys are the keys of a dynamic set, in their order; without it, the set has none.
func DynamicKeys(of *DynamicPartitions, keys ...string) TestOption { return dynamicKeys{of, keys} }

type dynamicKeys struct {
	of   *DynamicPartitions
	keys []string
}

const neverDynamic = "DynamicKeys is given a set that was never declared: declare it with Dynamic"

func (v dynamicKeys) applyMaterialize(m *materialization) {
	if v.of.Name() == "" {
		m.fail(neverDynamic)
		return
	}
	m.dynamic[v.of.Name()] = append(m.dynamic[v.of.Name()], v.keys...)
}

// GivenPartition gives the value of one partition of an asset, which is then not computed: of its partitions only those exist that
// are given. [Given] gives one value for all.
func GivenPartition[T any](a *AssetOf[T], key string, value T) MaterializeOption {
	return materializeOption(func(m *materialization) {
		def := a.base()
		switch {
		case m.definitions == nil: // which is told anyhow
		case def == nil:
			m.fail("GivenPartition is to replace a partition of an asset that was never declared: declare it first")
		case !slices.Contains(m.definitions.assets, def):
			m.fail("GivenPartition names %s (%s), which is not among the definitions: add it to New(%q, …)", def.object(), def.at, m.definitions.location.name)
		case def.partitions == nil:
			m.fail("GivenPartition names %s (%s), which is not partitioned: give it with Given", def.object(), def.at)
		default:
			if m.inProcess.parts[def] == nil {
				m.inProcess.parts[def] = map[string]any{}
			}
			m.inProcess.parts[def][key] = value
		}
	})
}
