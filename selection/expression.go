package selection

import "strings"

// expression is a node of a selection in normal form: unions and intersections are flat and have at
// least two operands, there is no double complement and no neighborhood of depth 0.
type expression interface {
	evaluate(run *evaluation) set
	// addTo is evaluate into a set that is there already: a union of thousands of keys needs no set for each.
	addTo(run *evaluation, members set)
	render() string
	binds() binding
}

// binding orders expressions by what has to stand in parentheses within what.
type binding int

const (
	bindsOr binding = iota
	bindsAnd
	bindsNot
	bindsStar // * is an operand of not, but not of +
	bindsPlus
	bindsItem
)

// evaluation is one run over one index; it gathers the unknown names.
type evaluation struct {
	index   *Index
	lenient bool
	unknown UnknownErrors
	told    map[[2]string]bool
}

// everything is *.
type everything struct{}

func (everything) addTo(run *evaluation, members set) { members.unite(run.index.selectable) }
func (e everything) evaluate(run *evaluation) set     { return collect(run, e) }

// keyPattern is a key, cut at its wildcards: one part is an exact key.
type keyPattern struct{ parts []string }

func (k keyPattern) evaluate(run *evaluation) set { return collect(run, k) }

func (k keyPattern) addTo(run *evaluation, members set) {
	if len(k.parts) > 1 {
		for position := range run.index.selectable.all() {
			if k.matches(run.index.keys[position]) {
				members.add(position)
			}
		}
		return
	}
	position, known := run.index.positions[k.parts[0]]
	if !known {
		run.missKey(k.parts[0])
		return
	}
	members.add(position)
}

// matches takes each inner part at its first place, which leaves most room for those behind it.
func (k keyPattern) matches(key string) bool {
	rest, found := strings.CutPrefix(key, k.parts[0])
	if !found {
		return false
	}
	last := len(k.parts) - 1
	for _, part := range k.parts[1:last] {
		if _, rest, found = strings.Cut(rest, part); !found {
			return false
		}
	}
	return strings.HasSuffix(rest, k.parts[last])
}

// keySubstring is key_substring:V.
type keySubstring struct{ text string }

func (k keySubstring) evaluate(run *evaluation) set { return collect(run, k) }

func (k keySubstring) addTo(run *evaluation, members set) {
	for position := range run.index.selectable.all() {
		if strings.Contains(run.index.keys[position], k.text) {
			members.add(position)
		}
	}
}

// attributeFilter is group:V and its like; of tags it asks for the key only.
type attributeFilter struct {
	kind attributeKind
	name string
}

func (a attributeFilter) evaluate(run *evaluation) set { return collect(run, a) }

func (a attributeFilter) addTo(run *evaluation, members set) {
	positions, known := run.index.attributes[a.kind][a.name]
	if !known {
		run.missAttribute(a.kind, a.name)
	}
	addAll(members, positions)
}

// tagValue is tag:K=V.
type tagValue struct{ key, value string }

func (t tagValue) evaluate(run *evaluation) set { return collect(run, t) }

func (t tagValue) addTo(run *evaluation, members set) {
	values, known := run.index.tagValues[t.key]
	if !known {
		run.missAttribute(tagNames, t.key)
	}
	addAll(members, values[t.value])
}

// union is or.
type union struct{ operands []expression }

func newUnion(operands []expression) expression {
	if len(operands) == 1 {
		return operands[0]
	}
	flat := make([]expression, 0, len(operands))
	for _, operand := range operands {
		if inner, ok := operand.(union); ok {
			flat = append(flat, inner.operands...)
		} else {
			flat = append(flat, operand)
		}
	}
	return union{flat}
}

func (u union) evaluate(run *evaluation) set { return collect(run, u) }

func (u union) addTo(run *evaluation, members set) {
	for _, operand := range u.operands {
		operand.addTo(run, members)
	}
}

// intersection is and. Its complemented operands are subtracted, so that "E and not F" keeps the
// external assets that E names.
type intersection struct{ operands []expression }

func newIntersection(operands []expression) expression {
	if len(operands) == 1 {
		return operands[0]
	}
	flat := make([]expression, 0, len(operands))
	for _, operand := range operands {
		if inner, ok := operand.(intersection); ok {
			flat = append(flat, inner.operands...)
		} else {
			flat = append(flat, operand)
		}
	}
	return intersection{flat}
}

func (i intersection) addTo(run *evaluation, members set) { members.unite(i.evaluate(run)) }

func (i intersection) evaluate(run *evaluation) set {
	var kept set
	removed := run.index.newSet()
	for _, operand := range i.operands {
		if without, ok := operand.(complement); ok {
			without.operand.addTo(run, removed)
			continue
		}
		if members := operand.evaluate(run); kept == nil {
			kept = members
		} else {
			kept.intersect(members)
		}
	}
	if kept == nil {
		kept = everything{}.evaluate(run)
	}
	kept.subtract(removed)
	return kept
}

// complement is not.
type complement struct{ operand expression }

func newComplement(operand expression) expression {
	if inner, ok := operand.(complement); ok {
		return inner.operand
	}
	return complement{operand}
}

func (c complement) addTo(run *evaluation, members set) { members.unite(c.evaluate(run)) }

func (c complement) evaluate(run *evaluation) set {
	members := everything{}.evaluate(run)
	members.subtract(c.operand.evaluate(run))
	return members
}

const unlimited = -1

// neighborhood is N+E+M: a depth of 0 is none, unlimited is all.
type neighborhood struct {
	start    expression
	up, down int
}

func (n neighborhood) addTo(run *evaluation, members set) { members.unite(n.evaluate(run)) }

func (n neighborhood) evaluate(run *evaluation) set {
	start := n.start.evaluate(run)
	members := run.index.reach(start, upstream, n.up)
	members.unite(run.index.reach(start, downstream, n.down))
	members.intersect(run.index.selectable)
	members.unite(start)
	return members
}

// extremes is roots and sinks: the members from which no other member is reached in that direction.
type extremes struct {
	within  expression
	towards direction
}

func (x extremes) addTo(run *evaluation, members set) { members.unite(x.evaluate(run)) }

func (x extremes) evaluate(run *evaluation) set {
	members := x.within.evaluate(run)
	against := downstream
	if x.towards == downstream {
		against = upstream
	}
	// Who is reached from a member against the direction has that member ahead of it.
	members.subtract(run.index.reach(members, against, unlimited))
	return members
}

func collect(run *evaluation, e expression) set {
	members := run.index.newSet()
	e.addTo(run, members)
	return members
}

func addAll(members set, positions []int32) {
	for _, position := range positions {
		members.add(int(position))
	}
}
