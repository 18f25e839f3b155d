package plan

import "github.com/perdure-io/perdure/wire"

// PlannedSteps is the plan for people, as a dry run answers it: every step in an order in which they could run, what
// it makes, what it waits for and why it is there. A template stands once for all steps that are mapped by it.
func (p *Plan) PlannedSteps() []wire.PlannedStep {
	planned := make([]wire.PlannedStep, len(p.Steps))
	running := map[string]int{}
	for _, mapped := range p.MappedSteps() {
		if running[mapped.Template] += 0; mapped.Runs {
			running[mapped.Template]++
		}
	}
	for i, step := range p.Steps {
		planned[i] = wire.PlannedStep{Step: step.Key, Assets: []string{}, Partition: p.Walk.Steps[i].Partition, After: planned[i].After, Reason: p.reason}
		if note := p.notes[i]; note != "" {
			planned[i].Reason += "; " + note
		}
		if runs, known := running[step.Key]; known && runs == 0 {
			planned[i].InheritedFrom = p.RetryOf
		} else if inherited, ok := p.Inherited[step.Key]; ok {
			planned[i].InheritedFrom = inherited.Run
		}
		for _, output := range step.Outputs {
			planned[i].Assets = append(planned[i].Assets, output.Asset)
		}
		for _, next := range p.Walk.Steps[i].Next {
			planned[next].After = append(planned[next].After, step.Key)
		}
	}
	return planned
}

// MappedStep is a step that is mapped over a dynamic output which the run takes over: it is known before the run begins.
type MappedStep struct {
	// Key is the step's: Template[MappingKey].
	Key        string
	Template   string
	MappingKey string
	// Runs says whether the run does it. One that it neither does nor finds in Plan.Inherited is not part of it.
	Runs bool
}

// MappedSteps are the mapped steps that are known before the run begins, in the order of their numbers in [Progress]. All
// others are added when the steps with the dynamic outputs have run.
func (p *Plan) MappedSteps() []MappedStep {
	if p.Walk.Start == nil {
		return nil
	}
	var steps []MappedStep
	progress := NewProgress(&p.Walk)
	for step := len(p.Walk.Steps); step < progress.Len(); step++ {
		_, _, template := progress.instance(step)
		steps = append(steps, MappedStep{
			Key: progress.Key(step), Template: p.Walk.Steps[template].Key, MappingKey: progress.MappingKey(step), Runs: !progress.Inherited(step),
		})
	}
	return steps
}

// StepsTotal is how many steps the run is known to have before it begins: those that it does, not those that it takes
// over, and none for a template.
func (p *Plan) StepsTotal() int {
	waiting, ready, _, ended := NewProgress(&p.Walk).Counts()
	return waiting + ready + ended.Skipped
}
