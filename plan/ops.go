package plan

import (
	"fmt"
	"slices"
)

// connectOps turns the names by which ops hang together into positions, and checks what a walk relies on.
func (p *Planner) connectOps() []error {
	s := p.snapshot
	var problems []error
	p.over = make([]int, len(s.Computes))
	for c := range s.Computes {
		compute := &s.Computes[c]
		p.over[c] = -1
		if compute.Over != "" {
			over, known := p.computes[compute.Over]
			if !known || !s.Computes[over].FanOut {
				problems = append(problems, fmt.Errorf("op %q is mapped over %q, which has no dynamic output", compute.Name, compute.Over))
				continue
			}
			p.over[c] = over
		}
		problems = append(problems, dynamicProblems(compute)...)
	}
	if len(problems) > 0 {
		return problems
	}
	for c := range s.Computes {
		for i, input := range s.Computes[c].Inputs {
			for _, name := range input.Ops {
				need, known := p.computes[name]
				if !known {
					problems = append(problems, fmt.Errorf("compute %q needs the op %q, which is not there", s.Computes[c].Name, name))
					continue
				}
				p.inputs[c][i].ops = append(p.inputs[c][i].ops, need)
				if err := p.opProblem(c, input.Kind, need); err != nil {
					problems = append(problems, err)
				}
			}
		}
	}
	return problems
}

// dynamicProblems says what of a compute does not go together with a dynamic output.
func dynamicProblems(compute *Compute) []error {
	var problems []error
	if compute.FanOut && compute.Over != "" {
		problems = append(problems, fmt.Errorf("op %q has a dynamic output and is mapped over that of %q: collect the first one before the second begins", compute.Name, compute.Over))
	}
	if compute.FanOut && compute.Optional {
		problems = append(problems, fmt.Errorf("op %q has a dynamic output and is optional: without any key it gives nothing already", compute.Name))
	}
	if dynamic := compute.FanOut || compute.Over != ""; dynamic && len(compute.Outputs) > 0 {
		problems = append(problems, fmt.Errorf("op %q is there once for each key of a dynamic output and makes the asset %q: collect it in an op that does", compute.Name, compute.Outputs[0]))
	}
	return problems
}

// opProblem says why a compute cannot take the output of an op in this way.
func (p *Planner) opProblem(c int, kind InputKind, need int) error {
	name, source := p.snapshot.Computes[c].Name, &p.snapshot.Computes[need]
	// fan is the dynamic output by which the source is there more than once.
	fan := p.over[need]
	if source.FanOut {
		fan = need
	}
	switch {
	case kind != InputAfter && len(source.Outputs) > 0:
		return fmt.Errorf("compute %q takes the output of %q, which is the asset %q: take that", name, source.Name, source.Outputs[0])
	case kind == InputCollect && fan < 0:
		return fmt.Errorf("compute %q collects %q, which has no dynamic output and is not mapped over one", name, source.Name)
	case kind == InputCollect && p.over[need] >= 0 && fan == p.over[c]:
		return fmt.Errorf("compute %q collects %q, and both are mapped over %q: collect it in an op that is not mapped", name, source.Name, p.snapshot.Computes[fan].Name)
	case kind == InputElement && (fan < 0 || fan != p.over[c]):
		return fmt.Errorf("compute %q takes an element of %q, over whose dynamic output it is not mapped", name, source.Name)
	case kind == InputAll && fan >= 0 && fan == p.over[c]:
		return nil // a member is the element, or the output, that is there under the step's own key
	case kind != InputAfter && kind != InputCollect && kind != InputElement && fan >= 0:
		return fmt.Errorf("compute %q takes the value of %q, which is there once for each key of a dynamic output: map over it or collect it", name, source.Name)
	default:
		return nil
	}
}

// connectJobs finds the ops of jobs.
func (p *Planner) connectJobs() []error {
	var problems []error
	p.jobOps = make([][]int, len(p.snapshot.Jobs))
	for j, job := range p.snapshot.Jobs {
		for _, name := range job.Ops {
			c, known := p.computes[name]
			if !known || !p.snapshot.Computes[c].Op {
				problems = append(problems, fmt.Errorf("job %q has the op %q, which is not there", job.Name, name))
				continue
			}
			p.jobOps[j] = append(p.jobOps[j], c)
		}
	}
	return problems
}

// computesOf are what makes the assets of a target, its ops, and the ops upstream of both.
func (p *Planner) computesOf(wanted target) []int {
	computes := slices.Clone(wanted.ops)
	for _, a := range wanted.assets {
		computes = append(computes, p.computeOf[a])
	}
	return p.withOps(computes)
}

// withOps adds to computes every op upstream of them by way of op outputs.
func (p *Planner) withOps(computes []int) []int {
	if !p.hasOps(computes) {
		return computes
	}
	seen := map[int]bool{}
	var all []int
	for open := slices.Clone(computes); len(open) > 0; open = open[1:] {
		if c := open[0]; !seen[c] {
			seen[c] = true
			all = append(all, c)
			open = append(open, p.opsOf(c)...)
		}
	}
	return all
}

// hasOps says whether any of the computes takes the output of an op.
func (p *Planner) hasOps(computes []int) bool {
	for _, c := range computes {
		for _, input := range p.inputs[c] {
			if len(input.ops) > 0 {
				return true
			}
		}
	}
	return false
}
