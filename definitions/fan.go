package definitions

import (
	"fmt"
	"slices"
)

// Map runs ops for each element of a fan. body is called once, when the fan is declared, with the handle of one element;
// the ops that it declares, and that its result hangs on, run once for each key, as name[key]. What else it binds it
// captures from outside, the same for all elements. They may bind [MappingKey].
//
// The result is a fan under the same keys, which can be mapped again, and leaves out what a [Maybe] did not emit. The
// body declares no [FanOut], and maps no other fan: collect first.
func Map[A, B any](in *Fan[A], body func(*Value[A]) *Value[B]) *Fan[B] {
	over := in.op()
	if over == nil {
		return &Fan[B]{output{needOp, brokenNode("map", "", "fan", "Map is given a fan that was never declared", "declare it with FanOut or Map")}}
	}
	name := over.name
	if body == nil {
		return &Fan[B]{output{needOp, brokenNode("map over", name, "body", "its body is nil", "give the function that declares what runs for each element")}}
	}
	begin := declarations.Add(1)
	result := body(valueOf[A](needElement, over))
	if result.op() == nil {
		return &Fan[B]{output{needOp, brokenNode("map over", name, "body", "its body returns no declared value", "return the value of an op")}}
	}
	return &Fan[B]{mapped(over, result.out, begin)}
}

// mapped puts the ops of a body behind each element of a fan, and gives the output that is the result.
func mapped(in *node, result output, begin int64) output {
	fan := in.fan()
	if in.broken || fan == nil || result.node.broken {
		return output{needOp, result.node}
	}
	if result == (output{needElement, in}) {
		return output{needOp, in}
	}
	nested := map[*node]bool{}
	for _, n := range reached([]*node{result.node}, begin) {
		switch {
		case n.fanOut:
			n.wrong("", fmt.Sprintf("it is a FanOut in the body of the Map over %q: fans do not nest", in.name),
				"declare it outside the body, behind a Collect, or return the whole list as one value")
		case n.over != nil:
			if !nested[n.over] {
				nested[n.over] = true
				n.wrong("", fmt.Sprintf("it is mapped over %q in the body of the Map over %q: fans do not nest", n.over.name, in.name),
					"declare the inner Map outside the body, and bind its Collect")
			}
			continue
		}
		n.over = fan
	}
	switch {
	case result.kind == needCollect:
		return output{needOp, brokenNode("map over", in.name, "body", "its body returns a Collect", "return the value of an op that runs for each element")}
	case result.node.over != fan && result.node.over != nil && result.node.number > begin:
		return output{needOp, brokenNode("map over", in.name, "body", fmt.Sprintf("its body returns the value of op %q, which is mapped over %q: fans do not nest", result.node.name, result.node.over.name),
			"declare the inner Map outside the body, and bind its Collect")}
	case result.node.over != fan:
		return output{needOp, brokenNode("map over", in.name, "body", fmt.Sprintf("its body returns the value of op %q, which is declared outside", result.node.name),
			"return the value of an op that the body declares")}
	}
	return output{needOp, result.node}
}

// reached are the ops that some hang on, themselves first, which were declared after the beginning of a body.
func reached(from []*node, begin int64) []*node {
	var found []*node
	seen := map[*node]bool{}
	waiting := slices.Clone(from)
	for len(waiting) > 0 {
		n := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if seen[n] || n.number <= begin {
			continue
		}
		seen[n] = true
		found = append(found, n)
		n.eachOp(func(needed *node) { waiting = append(waiting, needed) })
	}
	return found
}

// eachOp visits the ops that a compute hangs on, one perhaps several times.
func (c *compute) eachOp(visit func(*node)) {
	for _, one := range c.needs {
		one.each(nil, func(n need) {
			if n.node != nil {
				visit(n.node)
			}
		})
	}
	for _, n := range c.afterOps {
		visit(n)
	}
	if c.node != nil && c.node.over != nil {
		visit(c.node.over)
	}
}

// Collect turns a fan into one value: a slice in the order in which its keys were emitted. Elements that a [Maybe] in a
// Map did not emit are left out; when there were elements, and none was emitted, what binds the slice is skipped. Of an
// empty fan, and of one whose op was skipped, it is empty. A fan of [Nothing] is always empty: bind it to wait for all.
func Collect[T any](in *Fan[T]) *Value[[]T] {
	n := in.op()
	if n == nil {
		n = brokenNode("collect", "", "fan", "Collect is given a fan that was never declared", "declare it with FanOut or Map")
	}
	return &Value[[]T]{
		out: output{needCollect, n},
		get: func(s *scope) ([]T, error) { return collect[T](s, n) },
		readAll: func(r *Result, partition *string) ([]T, error) {
			values, _, err := readFan[T](r, n, partition)
			return values, err
		},
	}
}
