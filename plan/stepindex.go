package plan

import (
	"github.com/perdure-io/perdure/selection"
	"github.com/perdure-io/perdure/wire"
)

// indexedStep is a step as it can be selected.
type indexedStep struct {
	key string
	// alias is the key that it would have beside others of its compute; "" where that is its key, or it is not partitioned.
	alias string
	// needs are the places of the steps that it needs, over the one that it is mapped over; -1 for none.
	needs []int
	over  int
}

// jobIndex is the graph of the steps of ops as a selection of steps sees it.
func (p *Planner) jobIndex(ops []int) (*selection.StepIndex, error) {
	places := make(map[int]int, len(ops))
	for i, c := range ops {
		places[c] = i
	}
	steps := make([]indexedStep, len(ops))
	for i, c := range ops {
		steps[i] = indexedStep{key: p.snapshot.Computes[c].Name, over: -1}
		if over, in := places[p.over[c]]; in {
			steps[i].over = over
		}
		p.needsOf(c, func(need int) {
			if place, in := places[need]; in {
				steps[i].needs = append(steps[i].needs, place)
			}
		})
	}
	return newStepIndex(steps, nil)
}

// stepIndex is the graph of all steps that the run could have. keys are those of the dynamic outputs that are known, by node:
// the steps mapped over them can be selected one by one.
func (b *builder) stepIndex(keys map[int][]string) (*selection.StepIndex, error) {
	steps := make([]indexedStep, len(b.nodes))
	for i := range b.nodes {
		n := &b.nodes[i]
		steps[i] = indexedStep{key: n.key, alias: b.aliasOf(n), over: b.overNode(n)}
		b.needsOf(n, func(need int) { steps[i].needs = append(steps[i].needs, need) })
	}
	return newStepIndex(steps, keys)
}

// aliasOf is the step key that a compute's only node would have beside others.
func (b *builder) aliasOf(n *node) string {
	name := b.planner.snapshot.Computes[n.compute].Name
	switch {
	case n.key != name:
		return ""
	case !n.subset.IsEmpty():
		first, _ := n.subset.First()
		last, _ := n.subset.Last()
		return stepKey(name, first, last)
	case n.partition != "":
		return stepKey(name, n.partition, "")
	}
	return ""
}

func newStepIndex(of []indexedStep, keys map[int][]string) (*selection.StepIndex, error) {
	var steps []selection.Step
	for i := range of {
		step := selection.Step{Key: of[i].key, Alias: of[i].alias}
		for _, need := range of[i].needs {
			step.Needs = append(step.Needs, of[need].key)
			if fan := of[need].over; fan >= 0 && fan != of[i].over {
				for _, key := range keys[fan] {
					step.Needs = append(step.Needs, MappedKey(of[need].key, key))
				}
			}
		}
		steps = append(steps, step)
		over := of[i].over
		if over < 0 {
			continue
		}
		for _, key := range keys[over] {
			mapped := selection.Step{Key: MappedKey(of[i].key, key), Mapped: true}
			if of[i].alias != "" {
				mapped.Alias = MappedKey(of[i].alias, key)
			}
			for _, need := range of[i].needs {
				needed := of[need].key
				if of[need].over == over {
					needed = MappedKey(needed, key)
				}
				mapped.Needs = append(mapped.Needs, needed)
			}
			steps = append(steps, mapped)
		}
	}
	return selection.NewStepIndex(steps)
}

// chooseSteps evaluates a selection of steps that stands at path.
func chooseSteps(path, expression string, index *selection.StepIndex) ([]string, wire.Problems) {
	parsed, err := selection.ParseSteps(expression)
	if err != nil {
		return nil, wire.Problems{{Path: path, Code: wire.CodeSyntax, Message: err.Error()}}
	}
	keys, err := parsed.Evaluate(index)
	if err != nil {
		return nil, unknownNames(path, wire.AssetSelection{}, err)
	}
	return keys, nil
}
