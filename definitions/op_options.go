package definitions

import "fmt"

// OpOption is an option of [Op], [Maybe] and [FanOut].
type OpOption interface{ applyOp(*compute) }

// Orderable is what a step can be ordered after: an [AnyAsset] for assets, an [AnyValue] for ops.
type Orderable interface{ orderedAfter() orderedAfter }

// orderedAfter is an asset or an op that comes before; both are nil for a handle that was never declared.
type orderedAfter struct {
	asset *asset
	node  *node
	// mapping says which partitions of the asset.
	mapping Mapping
}

// Mapped is an asset in [After], by a mapping of its own: after its last partition, for example. Without it, the mapping is
// inferred.
func Mapped(a AnyAsset, m Mapping) Orderable { return mappedAsset{a, m} }

type mappedAsset struct {
	asset   AnyAsset
	mapping Mapping
}

func (m mappedAsset) orderedAfter() orderedAfter {
	return orderedAfter{asset: baseOf(m.asset), mapping: m.mapping}
}

// OrderOption is what [After] returns.
type OrderOption interface {
	AssetOption
	MultiAssetOption
	OpOption
}

// After orders a step after others without loading what they give: an asset after assets, an op after ops. It may be
// given several times.
func After(steps ...Orderable) OrderOption {
	return order(steps)
}

type order []Orderable

func (o order) apply(c *compute, d *declared) {
	for _, one := range o {
		var before orderedAfter
		if one != nil {
			before = one.orderedAfter()
		}
		a, n := before.asset, before.node
		for _, f := range before.mapping.faults {
			d.wrong("after", f.message, f.fix)
		}
		switch {
		case a != nil && c.node != nil:
			d.wrong("after", fmt.Sprintf("it is an op, and After names %s (%s)", a.object(), a.at),
				"name ops, or bind the asset; a GraphAsset takes After with assets")
		case a != nil:
			c.after = append(c.after, before)
		case n != nil && c.node == nil:
			d.wrong("after", fmt.Sprintf("it makes assets, and After names %s (%s)", n.object(), n.at), "name assets")
		case n != nil:
			c.afterOps = append(c.afterOps, n)
		default:
			d.wrong("after", "After names a handle that was never declared", "declare what it is before this")
		}
	}
}

func (o order) applyAsset(a *asset)        { o.apply(a.maker, &a.declared) }
func (o order) applyMultiAsset(c *compute) { o.apply(c, &c.declared) }
func (o order) applyOp(c *compute)         { o.apply(c, &c.declared) }

func (a *AssetOf[T]) orderedAfter() orderedAfter { return orderedAfter{asset: a.base()} }
func (v *Value[T]) orderedAfter() orderedAfter   { return orderedAfter{node: v.op()} }
func (f *Fan[T]) orderedAfter() orderedAfter     { return orderedAfter{node: f.op()} }

func (c *compute) setDescription(v Description) {
	c.options.once(&c.declared, "description", optionDescription)
	c.description = string(v)
}

func (c *compute) setTags(v Tags) {
	c.options.once(&c.declared, "tags", optionTags)
	c.tags = v
}

func (v Description) applyOp(c *compute) { c.setDescription(v) }
func (v Tags) applyOp(c *compute)        { c.setTags(v) }
func (v Queue) applyOp(c *compute)       { c.setQueue(&c.declared, v) }
func (v Pool) applyOp(c *compute)        { c.setPool(&c.declared, v) }
func (v Retries) applyOp(c *compute)     { c.setRetries(&c.declared, v) }
func (v Timeout) applyOp(c *compute)     { c.setTimeout(&c.declared, v) }
func (s storedBy) applyOp(c *compute)    { s.applyTo(&c.declared, &c.store, &c.options) }
