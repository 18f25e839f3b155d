package plan

import "github.com/perdure-io/perdure/wire"

// PlannedSteps is the plan for people, as a dry run answers it: every step in an order in which they could run, what
// it makes, what it waits for and why it is there.
func (p *Plan) PlannedSteps() []wire.PlannedStep {
	planned := make([]wire.PlannedStep, len(p.Steps))
	for i, step := range p.Steps {
		planned[i].Step, planned[i].Reason = step.Key, p.reason
		for _, output := range step.Outputs {
			planned[i].Assets = append(planned[i].Assets, output.Asset)
		}
		for _, next := range p.Walk.Steps[i].Next {
			planned[next].After = append(planned[next].After, step.Key)
		}
	}
	return planned
}
