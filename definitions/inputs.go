package definitions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/perdure-io/perdure/plan"
)

// inputs are a compute's needs of assets and ops, each once and sorted: in which parameter a value arrives is the
// function's own affair, and no reason to hand a step back to another build.
func (l *lowering) inputs(c *compute) []plan.Input {
	var inputs []plan.Input
	own := l.definitions.partitionsOf(c)
	add := func(kind plan.InputKind, isDefault bool, from ...inputOf) {
		input := plan.Input{Kind: kind, Default: isDefault}
		var parts []plan.InputPart
		sliced := false
		for _, one := range from {
			a := one.asset
			if one.node != nil {
				peer := c.peer(one.node)
				if len(peer.outs) == 0 {
					input.Ops = append(input.Ops, peer.name)
					continue
				}
				a = peer.outs[0]
			}
			if l.without == nil || !l.without(c, a) {
				input.Assets = append(input.Assets, a.name)
				parts = append(parts, plan.InputPart{Mapping: one.part.mapping.lowered, Take: one.part.take})
				sliced = sliced || own != nil || a.partitions != nil
			}
		}
		if sliced {
			input.Parts = parts
		}
		if len(input.Assets)+len(input.Ops) > 0 {
			inputs = append(inputs, input)
		}
	}
	for _, n := range l.needs(c) {
		eachInput(n, l.skip, false, add)
	}
	for _, one := range c.after {
		if !l.inProcess.replaces(one.asset) {
			add(plan.InputAfter, false, inputOf{asset: one.asset, part: assetPart{mapping: one.mapping}})
		}
	}
	for _, n := range c.afterOps {
		add(plan.InputAfter, false, inputOf{node: n})
	}
	slices.SortFunc(inputs, compareInputs)
	return slices.CompactFunc(inputs, func(a, b plan.Input) bool { return compareInputs(a, b) == 0 })
}

func compareInputs(a, b plan.Input) int {
	return cmp.Or(cmp.Compare(slices.Index(inputKinds, a.Kind), slices.Index(inputKinds, b.Kind)),
		slices.Compare(a.Assets, b.Assets), slices.Compare(a.Ops, b.Ops), boolOrder(a.Default)-boolOrder(b.Default),
		slices.CompareFunc(a.Parts, b.Parts, compareParts))
}

// compareParts orders by what JSON says, which is the same for equal ones.
func compareParts(a, b plan.InputPart) int {
	one, _ := json.Marshal(a) // it holds only strings and numbers
	two, _ := json.Marshal(b)
	return bytes.Compare(one, two)
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

var inputKinds = []plan.InputKind{plan.InputValue, plan.InputAll, plan.InputElement, plan.InputCollect, plan.InputAfter}

// inputOf is one asset or one op that is an input.
type inputOf struct {
	asset *asset
	node  *node
	part  assetPart
}

// eachInput visits a source's needs of assets and ops: one by one, and those of a fan-in together. isDefault says that
// there is another value for what was not emitted.
func eachInput(n need, skip func(need) bool, isDefault bool, visit func(kind plan.InputKind, isDefault bool, from ...inputOf)) {
	if skip(n) {
		return
	}
	switch n.kind {
	case needAsset:
		visit(plan.InputValue, isDefault || n.part.take != plan.TakeOnePartition, inputOf{asset: n.asset, part: n.part})
	case needOp, needElement:
		kind := plan.InputValue
		if n.node.take(n.kind) == plan.TakeKey {
			kind = plan.InputElement
		}
		visit(kind, isDefault, inputOf{node: n.node})
	case needCollect:
		visit(plan.InputCollect, isDefault, inputOf{node: n.node})
	case needAll:
		eachMember(n, skip, isDefault, visit)
	default:
		for _, part := range n.parts {
			eachInput(part, skip, isDefault || n.kind == needOrElse, visit)
		}
	}
}

// eachMember visits the inputs of a fan-in. What is always there, as a resource or a whole fan, keeps it from being left
// out: then what the others lack skips nothing.
func eachMember(all need, skip func(need) bool, isDefault bool, visit func(kind plan.InputKind, isDefault bool, from ...inputOf)) {
	var members []inputOf
	var apart []need
	for _, part := range all.parts {
		before := len(members)
		part.each(func(n need) bool {
			if skip(n) {
				return true
			}
			if n.kind == needOrElse || n.kind == needCollect {
				apart = append(apart, n)
				return true
			}
			return false
		}, func(n need) {
			if n.kind == needAsset || n.kind == needOp || n.kind == needElement {
				members = append(members, inputOf{n.asset, n.node, n.part})
				isDefault = isDefault || n.part.take != plan.TakeOnePartition
			}
		})
		isDefault = isDefault || len(members) == before
	}
	if len(members) > 0 {
		visit(plan.InputAll, isDefault, members...)
	}
	for _, n := range apart {
		eachInput(n, skip, true, visit)
	}
}
