package definitions

import (
	"cmp"
	"fmt"
	"slices"
)

// GraphAsset declares an asset of a graph's result: the op that gives it stores the asset, and the ops that it hangs on
// run before, called key.op. In an op job the same ops are others, called op.
//
// Options about how a step runs are for all ops of the graph that have none of their own; After orders all of it. When
// the op is a [Maybe], the asset is optional. A [Collect] is no op's value: put an op behind it.
func GraphAsset[T any](key string, result *Value[T], opts ...AssetOption) *AssetOf[T] {
	a := newAsset[T](key, place())
	shared := &compute{declared: declared{what: "asset", name: key, at: a.at}, outs: []*asset{a}}
	a.maker = shared
	a.applyAssetOptions(opts)
	f := &family{declared: declared{what: "graph asset", name: key, at: a.at}}
	f.give(a, result.output())
	f.faultsTo(&a.declared)
	f.build(shared)
	return &AssetOf[T]{a}
}

// GraphOuts are the outputs of one [GraphMultiAsset].
type GraphOuts []GraphOut

// GraphOut is an output and the op that gives its value. Only [AssetOf.From] makes one, so it always has the right type.
type GraphOut struct {
	of   *asset
	from output
}

// From is this output as the value of an op, for the GraphOuts of a [GraphMultiAsset].
func (a *AssetOf[T]) From(value *Value[T]) GraphOut {
	return GraphOut{of: a.base(), from: value.output()}
}

// GraphMultiAsset makes several assets of the values of several ops of one graph: see [GraphAsset]. Its ops are called
// name.op. A run may be asked for some of the outputs, and runs the ops that they hang on.
func GraphMultiAsset(name string, outs GraphOuts, opts ...MultiAssetOption) *MultiAssetOf {
	c := &compute{declared: declared{what: "graph multi-asset", name: name, at: place()}, multi: true}
	c.defaults = &asset{declared: declared{what: c.what, name: c.name, at: c.at}}
	for _, o := range opts {
		if o == nil {
			c.nilOption()
			continue
		}
		o.applyMultiAsset(c)
	}
	if len(outs) == 0 {
		c.wrong("outs", "it lists no outputs", "declare them with Output and list them in GraphOuts")
	}
	if c.canSubset {
		c.wrong("options", "it has the option CanSubset", "leave it out: a run may always be asked for some outputs of a graph")
	}
	f := &family{declared: declared{what: c.what, name: name, at: c.at}, multi: c}
	var assets Outs
	for _, out := range outs {
		if out.of != nil {
			assets = append(assets, &AssetOf[Nothing]{out.of})
		} else {
			assets = append(assets, nil)
		}
	}
	if len(assets) > 0 {
		c.list(assets)
	}
	c.shareDefaults()
	for _, out := range outs {
		if out.of != nil && out.of.maker == c {
			f.give(out.of, out.from)
		}
	}
	f.faultsTo(&c.declared)
	f.build(c)
	c.parts = f
	return &MultiAssetOf{c}
}

// output is what a handle stands for, also of one that is nil.
func (v *Value[T]) output() output {
	if v == nil {
		return output{}
	}
	return v.out
}

// family are the ops of one graph asset, or graph multi-asset: copies of those that its results hang on.
type family struct {
	declared
	// multi is the graph multi-asset; nil for a graph asset.
	multi *compute
	// shared is what its declaration says for all ops, order what these run after.
	shared   *compute
	order    []orderedAfter
	results  []*node
	assets   map[*node]*asset
	computes map[*node]*compute
	// list are the computes in the order of their declaration.
	list []*compute
}

// give makes an asset of an op's value.
func (f *family) give(a *asset, from output) {
	n := from.node
	switch {
	case n == nil:
		f.wrong("result", fmt.Sprintf("the value of %q is a handle that was never declared", a.name), "give it the value of an op")
		return
	case n.broken:
	case from.kind == needCollect:
		f.wrong("result", fmt.Sprintf("the value of %q is a Collect, which no op gives", a.name), "put an op behind the Collect")
		return
	case from.kind == needElement, n.over != nil:
		f.wrong("result", fmt.Sprintf("the value of %q is that of op %q, which runs once for each element of %q", a.name, n.name, n.fan().name),
			"collect what the Map returns, and put an op behind it")
		return
	}
	if f.assets[n] != nil {
		f.wrong("result", fmt.Sprintf("op %q gives both %q and %q", n.name, f.assets[n].name, a.name), "put an op of its own behind it for one of them")
		return
	}
	if f.assets == nil {
		f.assets = map[*node]*asset{}
	}
	f.assets[n] = a
	f.results = append(f.results, n)
	a.optional = a.optional || n.optional
	if a.store == nil {
		a.store = n.store
	}
}

func (f *family) faultsTo(d *declared) { d.faults = append(d.faults, f.faults...) }

// build copies the ops; shared is what the declaration says for all.
func (f *family) build(shared *compute) {
	nodes := reached(f.results, 0)
	slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.number, b.number) })
	f.computes = make(map[*node]*compute, len(nodes))
	f.shared, f.order, shared.after = shared, shared.after, nil
	for _, n := range nodes {
		c := *n.compute
		c.name, c.family = f.named(n.name), f
		c.options = optionNames{}
		for option := range n.options {
			c.options.add(option)
		}
		if a := f.assets[n]; a != nil {
			c.outs, c.store = []*asset{a}, nil
			a.maker = &c
		}
		c.inherit(shared)
		if f.multi == nil {
			c.needs = withPrevious(c.needs, shared.outs[0])
		}
		first := true
		c.eachOp(func(*node) { first = false })
		if first {
			c.after = append(slices.Clone(c.after), f.order...)
		}
		f.computes[n] = &c
		f.list = append(f.list, &c)
	}
}

// named is the name of one of its ops or graphs.
func (f *family) named(name string) string {
	if f == nil {
		return name
	}
	return f.name + "." + name
}

// family is the graph asset's; nil for any other asset.
func (a *asset) family() *family {
	if a.maker == nil {
		return nil
	}
	return a.maker.family
}

// root is what a person declared of a compute.
func (c *compute) root() *declared {
	if c.family == nil {
		return &c.declared
	}
	return &c.family.declared
}
