package definitions

import (
	"fmt"
	"reflect"
)

// graph is a named part of a graph of ops.
type graph struct {
	declared
	// own is its name without those of the graphs that it lies in.
	own      string
	number   int64
	parent   *graph
	mappings []configMapping
	// nodes are all ops in it, those of graphs in it too.
	nodes []*node
}

// GraphOption is an option of [Graph] and [GraphOf].
type GraphOption interface{ applyGraph(*graph) }

// Graph names a part of a graph: body is called once, when the graph is declared, and the ops that it declares, and that
// its result hangs on, are called name.op. What else it binds it captures from outside. Graphs lie in graphs to any
// depth. The result is body's.
func Graph[A, B any](name string, in *Value[A], body func(*Value[A]) *Value[B], opts ...GraphOption) *Value[B] {
	if in.op() == nil {
		return valueOf[B](needOp, brokenNode("graph", name, "input", "it is given a value that was never declared", "give it the value of an op, or declare it with GraphOf"))
	}
	if body == nil {
		return GraphOf[B](name, nil, opts...)
	}
	return GraphOf(name, func() *Value[B] { return body(in) }, opts...)
}

// GraphOf is a [Graph] whose body binds only what it captures.
func GraphOf[B any](name string, body func() *Value[B], opts ...GraphOption) *Value[B] {
	g := &graph{declared: declared{what: "graph", name: name, at: place()}, own: name, number: declarations.Add(1)}
	if body == nil {
		return valueOf[B](needOp, brokenNode("graph", name, "body", "its body is nil", "give the function that declares its ops"))
	}
	for _, o := range opts {
		if o == nil {
			g.nilOption()
			continue
		}
		o.applyGraph(g)
	}
	result := body()
	if result.op() == nil {
		return valueOf[B](needOp, brokenNode("graph", name, "body", "its body returns no declared value", "return the value of an op"))
	}
	if g.enclose(result.op()); len(g.nodes) == 0 {
		return valueOf[B](needOp, brokenNode("graph", name, "body", "it has no ops: its body returns what was declared outside", "declare ops in its body, or leave the graph out"))
	}
	return result
}

// enclose takes the ops of the body in, and names them after the graph.
func (g *graph) enclose(result *node) {
	g.nodes = reached([]*node{result}, g.number)
	inner := map[*graph]bool{}
	for _, n := range g.nodes {
		if !n.broken {
			n.name = g.name + "." + n.name
		}
		if n.graph == nil {
			n.graph = g
			continue
		}
		for within := n.graph; within != nil && within != g && !inner[within]; within = within.parent {
			inner[within] = true
			within.name = g.name + "." + within.name
			if within.parent == nil {
				within.parent = g
				break
			}
		}
	}
}

// configMapping is how a graph makes the config of its ops from its own.
type configMapping struct {
	outer, inner *config
	convert      func(reflect.Value) (reflect.Value, error)
}

// MapConfig gives a graph config of its own, outer, and makes of it the config inner of the ops and graphs in it that
// take that. A run then configures the graph, under its name, and no longer the ops. Several give one outer to several
// inner ones. convert must be pure.
func MapConfig[O, I any](outer *ConfigOf[O], inner *ConfigOf[I], convert func(O) I) GraphOption {
	m := mapConfig{}
	switch {
	case outer == nil || outer.def == nil || inner == nil || inner.def == nil:
		m.fault = fault{"config", "MapConfig names a config handle that was never declared", "declare it with Config"}
	case convert == nil:
		m.fault = fault{"config", "MapConfig is given a nil function", "give the function that makes the inner config"}
	default:
		m.configMapping = configMapping{outer.def, inner.def, func(value reflect.Value) (reflect.Value, error) {
			var converted I
			err := guarded(func() error {
				given, _ := reflect.TypeAssert[O](value) // decode makes a value of this very type
				converted = convert(given)
				return nil
			})
			return reflect.ValueOf(&converted).Elem(), err
		}}
	}
	return m
}

type mapConfig struct {
	configMapping
	fault fault
}

func (m mapConfig) applyGraph(g *graph) {
	if m.fault.message != "" {
		g.faults = append(g.faults, m.fault)
		return
	}
	for _, other := range g.mappings {
		switch {
		case other.inner == m.inner:
			g.wrong("config", fmt.Sprintf("it maps the config %s (%s) twice", m.inner.name, m.inner.at), "map it once")
		case other.outer != m.outer:
			g.wrong("config", fmt.Sprintf("it has two configs of its own, %s (%s) and %s (%s)", other.outer.name, other.outer.at, m.outer.name, m.outer.at),
				"put both into one struct")
		}
	}
	g.mappings = append(g.mappings, m.configMapping)
}

// mappedConfig is the config that an op takes by way of the graphs it lies in.
type mappedConfig struct {
	// graph is the outermost that maps it; outer is that one's config.
	graph *graph
	outer *config
	// chain makes the op's config of outer, in this order.
	chain []configMapping
}

// mappedConfig is nil when the op's config is its own.
func (n *node) mappedConfig() *mappedConfig {
	wanted := configOf(n.needs)
	if wanted == nil {
		return nil
	}
	var found *mappedConfig
	for g := n.graph; g != nil; g = g.parent {
		for _, m := range g.mappings {
			if m.inner == wanted {
				if found == nil {
					found = &mappedConfig{}
				}
				found.graph, found.outer = g, m.outer
				found.chain = append([]configMapping{m}, found.chain...)
				wanted = m.outer
				break
			}
		}
	}
	return found
}

// configOf is the value of a config: what the run gives, or what a graph makes of its own.
func (s *scope) configOf(c *config) (reflect.Value, error) {
	if s.compute == nil || s.compute.node == nil {
		return c.decode(s.config)
	}
	mapped := s.compute.node.mappedConfig()
	if mapped == nil {
		return c.decode(s.config)
	}
	var value reflect.Value
	var err error
	if given, replaced := s.runtime.inProcess.given(mapped.outer); replaced {
		value = reflect.ValueOf(given)
	} else if value, err = mapped.outer.decode(s.config); err != nil {
		return value, err
	}
	for _, m := range mapped.chain {
		if value, err = m.convert(value); err != nil {
			return value, fmt.Errorf("make it of the config of graph %q: %w", mapped.graph.name, err)
		}
	}
	return value, nil
}
