package plan

import (
	"github.com/perdure-io/perdure/selection"
	"github.com/perdure-io/perdure/wire"
)

// stepIndex is the graph of the steps of computes as a selection of steps sees it. keys are those of the dynamic outputs
// that are known, by the compute that has them: the steps mapped over them can be selected one by one.
func (p *Planner) stepIndex(computes []int, keys map[int][]string) (*selection.StepIndex, error) {
	in := make(map[int]bool, len(computes))
	for _, c := range computes {
		in[c] = true
	}
	var steps []selection.Step
	for _, c := range computes {
		name, needs := p.snapshot.Computes[c].Name, []int(nil)
		p.needsOf(c, func(need int) {
			if in[need] {
				needs = append(needs, need)
			}
		})
		step := selection.Step{Key: name}
		for _, need := range needs {
			step.Needs = append(step.Needs, p.snapshot.Computes[need].Name)
			if fan := p.over[need]; fan >= 0 && fan != p.over[c] {
				for _, key := range keys[fan] {
					step.Needs = append(step.Needs, MappedKey(p.snapshot.Computes[need].Name, key))
				}
			}
		}
		steps = append(steps, step)
		over := p.over[c]
		if over < 0 {
			continue
		}
		for _, key := range keys[over] {
			mapped := selection.Step{Key: MappedKey(name, key), Mapped: true}
			for _, need := range needs {
				needed := p.snapshot.Computes[need].Name
				if p.over[need] == over {
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
