package plan

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// step is what the attempt that claims it gets to know of a compute's step; of what it loads, outside gets the assets that
// nothing in the run makes.
func (b *builder) step(c int, outside map[int]bool) Step {
	compute := &b.planner.snapshot.Computes[c]
	step := Step{
		Key: compute.Name, Type: compute.Name, Shape: compute.Shape,
		Outputs: b.outputsOf(c), Inputs: b.inputsOf(c, outside), Values: b.valuesOf(c), MadeOf: b.madeOf(c),
		Op: compute.Op, FanOut: compute.FanOut, NoValue: compute.NoValue, Optional: compute.Optional, Over: compute.Over,
		Config: b.configs.of(compute), Resources: b.configs.resources(compute, b.target.job), Loggers: b.configs.loggers(b.target.job),
		Retries: compute.Retries, Timeout: compute.Timeout, StallTimeout: compute.StallTimeout,
		MaxLostWorkers: b.limits.MaxLostWorkers,
	}
	if executor := b.executorOf(compute); executor.Kind != ExecutorActivity && !compute.Remote {
		step.Executor = &executor
	}
	if job := b.target.job; job != nil && step.Retries == nil {
		step.Retries = job.Retries
	}
	return step
}

// maker is the step that makes an asset in this run; -1 when none does.
func (b *builder) maker(asset int) int {
	if !b.wanted[asset] {
		return -1
	}
	return b.stepOf[b.planner.computeOf[asset]]
}

func (b *builder) outputsOf(c int) []Output {
	var outputs []Output
	for _, a := range b.planner.outputs[c] {
		if asset := &b.planner.snapshot.Assets[a]; b.wanted[a] {
			outputs = append(outputs, Output{Asset: asset.Key, Optional: asset.Optional, CodeVersion: asset.CodeVersion})
		}
	}
	return outputs
}

// inputsOf lists the assets that a compute loads, and adds to outside what of it nothing in the run makes.
func (b *builder) inputsOf(c int, outside map[int]bool) []StepInput {
	var inputs []StepInput
	for _, input := range b.planner.inputs[c] {
		if input.kind == InputAfter {
			continue
		}
		for _, a := range input.assets {
			asset := &b.planner.snapshot.Assets[a]
			inRun := b.maker(a) >= 0
			inputs = append(inputs, StepInput{Asset: asset.Key, InRun: inRun, External: asset.External()})
			if !inRun && !asset.External() && b.runs(c) {
				outside[a] = true
			}
		}
	}
	slices.SortFunc(inputs, func(x, y StepInput) int { return strings.Compare(x.Asset, y.Asset) })
	return slices.CompactFunc(inputs, func(x, y StepInput) bool { return reflect.DeepEqual(x, y) })
}

// valuesOf lists the op outputs that a compute loads.
func (b *builder) valuesOf(c int) []ValueInput {
	var values []ValueInput
	for _, input := range b.planner.inputs[c] {
		if input.kind == InputAfter {
			continue
		}
		for _, op := range input.ops {
			source := &b.planner.snapshot.Computes[op]
			var take Take
			switch {
			case source.NoValue:
				continue
			case input.kind == InputCollect:
				take = TakeAll
			case source.FanOut || source.Over != "":
				take = TakeKey
			}
			values = append(values, ValueInput{Step: source.Name, Take: take})
		}
	}
	slices.SortFunc(values, func(x, y ValueInput) int {
		return cmp.Or(strings.Compare(x.Step, y.Step), strings.Compare(string(x.Take), string(y.Take)))
	})
	return slices.Compact(values)
}

// madeOf lists the ops that load assets and that the value of a graph asset hangs on, by what is loaded and by which
// elements there are.
func (b *builder) madeOf(c int) []string {
	if compute := &b.planner.snapshot.Computes[c]; !compute.Op || len(compute.Outputs) == 0 {
		return nil
	}
	var names []string
	seen := map[int]bool{}
	var visit func(c int)
	follow := func(op int) {
		if !seen[op] {
			seen[op] = true
			visit(op)
		}
	}
	visit = func(c int) {
		loads := false
		for _, input := range b.planner.inputs[c] {
			if input.kind == InputAfter {
				continue
			}
			loads = loads || len(input.assets) > 0
			for _, op := range input.ops {
				follow(op)
			}
		}
		if over := b.planner.over[c]; over >= 0 {
			follow(over)
		}
		if loads && seen[c] {
			names = append(names, b.planner.snapshot.Computes[c].Name)
		}
	}
	visit(c)
	slices.Sort(names)
	return names
}

// member is one source of an input: the step it comes from, -1 when none of this run, and the asset, "" for an op's
// output.
type member struct {
	step  int
	asset string
	// mayMiss says whether the step can end without having emitted it and without having failed.
	mayMiss bool
	// mayEnd says whether the step can end as skipped, or with outputs left out, although this member does not miss.
	mayEnd bool
}

// members are the sources of an input.
func (b *builder) members(c int, input planInput) []member {
	members := make([]member, 0, len(input.assets)+len(input.ops))
	for _, a := range input.assets {
		asset := &b.planner.snapshot.Assets[a]
		m := member{step: b.maker(a), asset: asset.Key}
		if m.step >= 0 {
			m.mayMiss = b.maySkip[m.step] || asset.Optional
			m.mayEnd = b.ambiguous(m.step)
		}
		members = append(members, m)
	}
	for _, op := range input.ops {
		m := member{step: b.stepOf[op]}
		source := &b.planner.snapshot.Computes[op]
		switch {
		case m.step < 0:
		case input.kind != InputCollect && input.kind != InputAfter && source.FanOut:
			// Without an element there is no step that could miss it.
		case input.kind == InputCollect && source.FanOut:
			m.mayEnd = b.maySkip[m.step] // its list is empty then
		default:
			m.mayMiss = b.maySkip[m.step] || source.Optional
		}
		if len(source.Outputs) > 0 {
			m.asset = source.Outputs[0]
			m.mayMiss = m.mayMiss || (m.step >= 0 && b.planner.snapshot.Assets[b.planner.outputs[op][0]].Optional)
		}
		members = append(members, m)
	}
	return members
}

// follow enters a step among the followers of those it needs, each once: steps are built in ascending order, so that
// it already stands last where it stands.
func (b *builder) follow(number, c int) {
	enter := func(need int) {
		if need < 0 {
			return
		}
		next := &b.plan.Walk.Steps[need].Next
		if last := len(*next) - 1; last < 0 || (*next)[last] != number {
			*next = append(*next, number)
		}
	}
	for _, input := range b.planner.inputs[c] {
		for _, a := range input.assets {
			enter(b.maker(a))
		}
	}
	for _, op := range b.planner.opsOf(c) {
		enter(b.stepOf[op])
	}
}

// walkInputs is [WalkStep.Inputs] of a step, and notes whether the step may be skipped.
func (b *builder) walkInputs(number, c int) [][]Source {
	needed := false
	inputs := [][]Source{}
	for _, input := range b.planner.inputs[c] {
		var sources []Source
		members := b.members(c, input)
		all, some := len(members) > 0, false
		for _, m := range members {
			all, some = all && m.mayMiss, some || m.mayMiss
			needed = needed || m.mayEnd
			sources = append(sources, Source{Step: m.step, Asset: m.asset})
		}
		needed = needed || (some && (len(members) > 1 || input.fallback))
		if all && !input.fallback {
			b.maySkip[number] = true
			inputs = append(inputs, sources)
		}
	}
	b.maySkip[number] = b.maySkip[number] || b.leftOut(c)
	if !needed {
		return nil
	}
	if len(inputs) == 0 {
		return [][]Source{{}}
	}
	return inputs
}

// ambiguous says whether a step may emit some of its outputs and not others.
func (b *builder) ambiguous(step int) bool {
	outputs := b.plan.Steps[step].Outputs
	return len(outputs) > 1 && slices.ContainsFunc(outputs, func(output Output) bool { return output.Optional })
}
