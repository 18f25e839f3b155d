package plan

import (
	"fmt"
	"maps"
	"slices"

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
	again, problems, err := p.again(request, facts)
	if err != nil {
		return nil, err
	}
	repeatable := again.parent != nil && len(problems) == 0
	problems = append(problems, RunTagProblems("tags", request.Tags)...)
	problems = append(problems, textProblems(request)...)
	if request.Priority < 0 || request.Priority > wire.PriorityBackfill {
		problems = append(problems, wire.Problem{Path: "priority", Code: wire.CodeInvalid, Message: fmt.Sprintf("priority %d is not allowed", request.Priority), Fix: "give 1 to 5, 1 first"})
	}
	if again.unknown {
		return nil, problems.Err()
	}
	wanted, targetProblems := p.resolve(again.target)
	problems = append(again.below(targetProblems), problems...)
	b := &builder{
		planner: p, request: request, again: again, facts: facts, target: wanted, limits: limits,
		wanted: make([]bool, len(p.snapshot.Assets)), stepOf: make([]int, len(p.snapshot.Computes)), kinds: map[string]int{},
	}
	if wanted.known {
		b.choose(wanted)
	}
	configs, configProblems, err := p.resolveConfig(again.merged.Config, wanted, b.computes)
	if err != nil {
		return nil, err
	}
	b.configs = configs
	problems = append(problems, configProblems...)
	if repeatable && wanted.known {
		problems = append(problems, b.takeOver(again)...)
	}
	problems = append(problems, b.describe()...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	b.build()
	if err := b.start(); err != nil {
		return nil, err
	}
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
	request wire.RunRequest
	again   *again
	facts   Facts
	target  target
	limits  Limits
	configs *resolvedConfig
	plan    Plan
	// wanted are the assets to make, by position.
	wanted []bool
	// computes are what runs, in the order of the steps; stepOf is its inverse, -1 for what is not in the run.
	computes []int
	stepOf   []int
	// taken is what an earlier run has done; nil for a run that begins anew.
	taken *takenOver
	// maySkip are the steps that an optional output can leave out.
	maySkip []bool
	// kinds are the numbers of the walk's kinds by their text; lastKind is the one used last.
	kinds    map[string]int
	lastKind int
}

// choose finds what runs: what makes the assets, the ops, and the ops upstream of them.
func (b *builder) choose(wanted target) {
	for _, a := range wanted.assets {
		b.wanted[a] = true
	}
	in := make([]bool, len(b.stepOf))
	for _, c := range b.planner.computesOf(wanted) {
		in[c] = true
	}
	b.number(func(c int) bool { return in[c] })
}

// number gives the computes that are in the run their places.
func (b *builder) number(in func(c int) bool) {
	b.computes = nil
	for _, c := range b.planner.order {
		isIn := in(c)
		b.stepOf[c] = -1
		if isIn {
			b.stepOf[c] = len(b.computes)
			b.computes = append(b.computes, c)
		}
	}
}

// describe fills in what is true of the whole run, and says what is wrong with it.
func (b *builder) describe() wire.Problems {
	plan := &b.plan
	*plan = Plan{
		reason: b.target.reason, notes: map[int]string{}, Priority: b.again.merged.Priority, Tags: map[string]string{},
		Request: b.again.merged, Assets: plan.Assets,
	}
	var problems wire.Problems
	if job := b.target.job; job != nil {
		plan.Job = job.Name
		maps.Copy(plan.Tags, job.Tags)
		if plan.Priority == 0 {
			plan.Priority = job.Priority
		}
		problems = limitProblems(job)
	}
	maps.Copy(plan.Tags, b.again.merged.Tags)
	if plan.Priority == 0 {
		plan.Priority = wire.PriorityNormal
	}
	cause := b.request.Cause
	if cause == "" {
		cause = b.facts.RunID
	}
	timeout, timeoutProblems := b.maxRuntime()
	problems = append(problems, timeoutProblems...)
	plan.Walk = Walk{
		V: WalkVersion, Kinds: []Kind{}, Limits: limitsOf(b.limits, b.configs.execution), Job: plan.Job, Cause: cause,
		Timeout: timeout, TagLimits: b.configs.execution.tagLimits,
	}
	for _, c := range b.computes {
		compute := &b.planner.snapshot.Computes[c]
		if b.runs(c) && b.executorOf(compute).Kind == ExecutorLocalActivity {
			problems = append(problems, b.localProblems(compute)...)
		}
	}
	return problems
}

// build makes the steps and the walk.
func (b *builder) build() {
	s, plan := b.planner.snapshot, &b.plan
	for _, a := range b.target.assets { // ascending by key
		if b.wanted[a] && b.runs(b.planner.computeOf[a]) {
			plan.Assets = append(plan.Assets, s.Assets[a].Key)
		}
	}
	plan.Walk.Assets = slices.Clone(plan.Assets[:min(len(plan.Assets), maxWalkAssets)])
	plan.Walk.Steps = make([]WalkStep, len(b.computes))
	plan.Steps = make([]Step, 0, len(b.computes))
	b.maySkip = make([]bool, len(b.computes))
	outside := map[int]bool{}
	for number, c := range b.computes {
		compute := &s.Computes[c]
		plan.Steps = append(plan.Steps, b.step(c, outside))
		walkStep := &plan.Walk.Steps[number]
		walkStep.Key, walkStep.Kind, walkStep.Fan = compute.Name, b.kindNumber(b.kindOf(compute)), compute.FanOut
		if over := b.planner.over[c]; over >= 0 {
			walkStep.Over = b.stepOf[over] + 1
			plan.notes[number] = fmt.Sprintf("once for each key of %s", compute.Over)
		}
		b.follow(number, c)
		walkStep.Inputs = b.walkInputs(number, c)
	}
	for a := range outside {
		plan.Outside = append(plan.Outside, s.Assets[a].Key)
	}
	slices.Sort(plan.Outside)
}
