package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/wire"
)

// maxWalkAssets is how many assets a search attribute lists.
const maxWalkAssets = 20

// Plan turns a request into an execution plan. Its error is [wire.Problems] with everything that is wrong with the
// request, under the request's paths; any other error means that the facts or the snapshot are at fault.
//
// The same snapshot, request and facts give the same plan. It does not depend on DryRun.
func (p *Planner) Plan(request wire.RunRequest, facts Facts) (*Plan, error) {
	limits, err := facts.Limits.orDefault()
	if err != nil {
		return nil, err
	}
	wanted, problems := p.resolve(request)
	problems = append(problems, TagProblems("tags", request.Tags)...)
	problems = append(problems, textProblems(request)...)
	if request.Priority < 0 || request.Priority > wire.PriorityBackfill {
		problems = append(problems, wire.Problem{Path: "priority", Code: wire.CodeInvalid, Message: fmt.Sprintf("priority %d is not allowed", request.Priority), Fix: "give 1 to 5, 1 first"})
	}
	b := &builder{
		planner: p, reason: wanted.reason, limits: limits,
		wanted: make([]bool, len(p.snapshot.Assets)), stepOf: make([]int, len(p.snapshot.Computes)),
	}
	b.choose(wanted.assets)
	configs, configProblems, err := p.resolveConfig(request.Config, wanted, b.computes)
	if err != nil {
		return nil, err
	}
	problems = append(problems, configProblems...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	b.build(request, facts, wanted, configs)
	return &b.plan, nil
}

// orDefault is the limits, those of an instance that sets none for the zero value.
func (l Limits) orDefault() (Limits, error) {
	if l == (Limits{}) {
		return DefaultLimits(), nil
	}
	if l.MaxConcurrentSteps < 1 || l.MaxConcurrentSteps > maxConcurrentSteps {
		return Limits{}, fmt.Errorf("max_concurrent_steps is %d: set it to 1 to %d", l.MaxConcurrentSteps, maxConcurrentSteps)
	}
	if l.ContinueAfter < 1 || l.ForceAfter < l.ContinueAfter {
		return Limits{}, fmt.Errorf("continue_after is %d and force_after %d: set the first to at least 1 and the second to no less", l.ContinueAfter, l.ForceAfter)
	}
	if l.MaxLostWorkers < 1 {
		return Limits{}, fmt.Errorf("max_lost_workers is %d: set it to at least 1", l.MaxLostWorkers)
	}
	return l, nil
}

// maxConcurrentSteps keeps clear of Temporal's limit of 2,000 pending activities a workflow.
const maxConcurrentSteps = 500

// builder makes one plan.
type builder struct {
	planner *Planner
	limits  Limits
	plan    Plan
	reason  string
	// wanted are the assets to make, by position.
	wanted []bool
	// computes are what makes them, in the order of the steps; stepOf is its inverse, -1 for what is not in the run.
	computes []int
	stepOf   []int
	// maySkip are the steps that an optional output can leave out.
	maySkip []bool
}

func (b *builder) choose(assets []int) {
	for c := range b.stepOf {
		b.stepOf[c] = -1
	}
	for _, a := range assets {
		b.wanted[a] = true
		b.stepOf[b.planner.computeOf[a]] = 0
	}
	for _, c := range b.planner.order {
		if b.stepOf[c] == 0 {
			b.stepOf[c] = len(b.computes)
			b.computes = append(b.computes, c)
		}
	}
}

func (b *builder) build(request wire.RunRequest, facts Facts, wanted target, configs *resolvedConfig) {
	s := b.planner.snapshot
	b.maySkip = make([]bool, len(b.computes))
	plan := &b.plan
	*plan = Plan{reason: b.reason, Priority: request.Priority, Tags: map[string]string{}}
	var jobRetries *Retries
	if job := wanted.job; job != nil {
		plan.Job, jobRetries = job.Name, job.Retries
		maps.Copy(plan.Tags, job.Tags)
		if plan.Priority == 0 {
			plan.Priority = job.Priority
		}
	}
	maps.Copy(plan.Tags, request.Tags)
	if plan.Priority == 0 {
		plan.Priority = wire.PriorityNormal
	}
	for _, a := range wanted.assets { // ascending by key
		plan.Assets = append(plan.Assets, s.Assets[a].Key)
	}
	cause := request.Cause
	if cause == "" {
		cause = facts.RunID
	}
	plan.Walk = Walk{
		V: WalkVersion, Steps: make([]WalkStep, len(b.computes)), Kinds: []Kind{}, Limits: b.limits, Job: plan.Job, Cause: cause,
		Assets: slices.Clone(plan.Assets[:min(len(plan.Assets), maxWalkAssets)]),
	}
	plan.Steps = make([]Step, 0, len(b.computes))
	outside := map[int]bool{}
	for number, c := range b.computes {
		compute := &s.Computes[c]
		retries := compute.Retries
		if retries == nil {
			retries = jobRetries
		}
		step := Step{
			Key: compute.Name, Type: compute.Name, Shape: compute.Shape, Outputs: b.outputsOf(c), Inputs: b.inputsOf(c, outside),
			Config: configs.computes[c], Resources: configs.resourcesOf(compute), Retries: retries, Timeout: compute.Timeout,
			MaxLostWorkers: b.limits.MaxLostWorkers,
		}
		plan.Steps = append(plan.Steps, step)
		kind := Kind{Queue: compute.Queue, Pool: compute.Pool, Priority: plan.Priority}
		// A run has few kinds, also when it has many steps.
		known := slices.IndexFunc(plan.Walk.Kinds, kind.equal)
		if known < 0 {
			known = len(plan.Walk.Kinds)
			plan.Walk.Kinds = append(plan.Walk.Kinds, kind)
		}
		walkStep := &plan.Walk.Steps[number]
		walkStep.Key, walkStep.Kind = step.Key, known
		b.follow(number, c)
		walkStep.Inputs = b.walkInputs(number, c)
	}
	for a := range outside {
		plan.Outside = append(plan.Outside, s.Assets[a].Key)
	}
	slices.Sort(plan.Outside)
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

// inputsOf lists what a compute loads, and adds to outside what of it nothing in the run makes.
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
			if !inRun && !asset.External() {
				outside[a] = true
			}
		}
	}
	slices.SortFunc(inputs, func(x, y StepInput) int { return strings.Compare(x.Asset, y.Asset) })
	return slices.Compact(inputs)
}

// follow enters a step among the followers of those it needs, each once: steps are built in ascending order, so that
// it already stands last where it stands.
func (b *builder) follow(number, c int) {
	for _, input := range b.planner.inputs[c] {
		for _, a := range input.assets {
			need := b.maker(a)
			if need < 0 {
				continue
			}
			next := &b.plan.Walk.Steps[need].Next
			if last := len(*next) - 1; last < 0 || (*next)[last] != number {
				*next = append(*next, number)
			}
		}
	}
}

// walkInputs is [WalkStep.Inputs] of a step, and notes whether the step may be skipped.
func (b *builder) walkInputs(number, c int) [][]Source {
	needed := false
	inputs := [][]Source{}
	for _, input := range b.planner.inputs[c] {
		var sources []Source
		all, some := len(input.assets) > 0, false
		for _, a := range input.assets {
			need := b.maker(a)
			missing := need >= 0 && b.mayMiss(need, a)
			all, some = all && missing, some || missing
			needed = needed || (need >= 0 && b.ambiguous(need))
			sources = append(sources, Source{Step: need, Asset: b.planner.snapshot.Assets[a].Key})
		}
		needed = needed || (some && len(input.assets) > 1)
		if all {
			b.maySkip[number] = true
			inputs = append(inputs, sources)
		}
	}
	if !needed {
		return nil
	}
	if len(inputs) == 0 {
		return [][]Source{{}}
	}
	return inputs
}

// mayMiss says whether a step can end without having emitted an asset and without having failed.
func (b *builder) mayMiss(step, asset int) bool {
	return b.maySkip[step] || b.planner.snapshot.Assets[asset].Optional
}

// ambiguous says whether a step may emit some of its outputs and not others.
func (b *builder) ambiguous(step int) bool {
	outputs := b.plan.Steps[step].Outputs
	return len(outputs) > 1 && slices.ContainsFunc(outputs, func(output Output) bool { return output.Optional })
}
