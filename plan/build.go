package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perdure-io/perdure/partition"
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
	problems = append(problems, DescriptionProblems(request)...)
	if again.unknown {
		return nil, problems.Err()
	}
	at, _ := AsOf(again.target, facts.Now) // what is wrong with it is told with the target
	existing := p.Existing(at, facts.Dynamic)
	wanted, targetProblems := p.resolve(again.target)
	selected := wanted.assets
	targetProblems = append(targetProblems, p.choosePartitions(again.target, existing, &wanted)...)
	if len(targetProblems) == 0 {
		targetProblems = append(p.narrow(&wanted, again.target.Only, facts.States, existing), again.repeat(p, selected, &wanted, existing)...)
	}
	configured, computes := wanted, []int(nil) // by the selection alone, when it is not known which partitions are meant
	if wanted.known && len(targetProblems) > 0 {
		computes = p.computesOf(target{assets: selected, ops: wanted.ops})
	}
	wanted.known = wanted.known && len(targetProblems) == 0
	problems = append(again.below(targetProblems), problems...)
	b := &builder{
		planner: p, request: request, again: again, facts: facts, target: wanted, limits: limits, existing: existing,
		wanted: make([]bool, len(p.snapshot.Assets)), work: make([]work, len(p.snapshot.Computes)), kinds: map[string]int{}, ranges: map[rangeKey][]string{},
		made: make([]partition.Subset, len(p.snapshot.Assets)), needed: make([][][][]partsNeeded, len(p.snapshot.Computes)),
	}
	if wanted.known {
		chosen := b.choose()
		problems = append(problems, chosen...)
		wanted.known, computes = len(chosen) == 0, b.computes
	}
	configs, configProblems, err := p.resolveConfig(again.merged.Config, configured, computes)
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
	if err := b.build(); err != nil {
		return nil, err
	}
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
	planner  *Planner
	request  wire.RunRequest
	again    *again
	facts    Facts
	target   target
	limits   Limits
	configs  *resolvedConfig
	plan     Plan
	existing *Existing
	// wanted are the assets to make, by position; made are the partitions of those that are partitioned.
	wanted []bool
	made   []partition.Subset
	// computes are what the run is made of, in the order of the steps; work are the nodes of each by position.
	computes []int
	work     []work
	nodes    []node
	// needed are, where any side is partitioned, what each node needs: by compute, input, asset of the input and place.
	needed [][][][]partsNeeded
	// outside is what of partitioned assets is needed and not made in the run, loaded how many partitions are loaded in all.
	outside []outsideNeed
	loaded  int
	// ranges are the keys of long ranges, each listed once.
	ranges map[rangeKey][]string
	// taken is what an earlier run has done; nil for a run that begins anew.
	taken *takenOver
	// maySkip are the steps that an optional output can leave out.
	maySkip []bool
	// kinds are the numbers of the walk's kinds by their text; lastKind is the one used last.
	kinds    map[string]int
	lastKind int
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
		if b.anyRuns(c) && b.executorOf(compute).Kind == ExecutorLocalActivity {
			problems = append(problems, b.localProblems(compute)...)
		}
	}
	return problems
}

// build makes the steps and the walk.
func (b *builder) build() error {
	s, plan := b.planner.snapshot, &b.plan
	count := 0
	for i := range b.nodes {
		if b.nodes[i].number >= 0 {
			count++
		}
	}
	plan.Walk.Steps = make([]WalkStep, count)
	plan.Steps = make([]Step, 0, count)
	b.maySkip = make([]bool, count)
	outside := map[int]map[int]bool{}
	for i := range b.nodes {
		n := &b.nodes[i]
		if n.number < 0 {
			continue
		}
		compute := &s.Computes[n.compute]
		plan.Steps = append(plan.Steps, b.step(n, outside))
		walkStep := &plan.Walk.Steps[n.number]
		walkStep.Key, walkStep.Kind, walkStep.Fan = n.key, b.kindNumber(b.kindOf(compute)), compute.FanOut
		if n.key != compute.Name {
			walkStep.Type = compute.Name
		}
		walkStep.Partition = b.nodeName(n)
		if over := b.overNode(n); over >= 0 {
			walkStep.Over = b.nodes[over].number + 1
			plan.notes[n.number] = fmt.Sprintf("once for each key of %s", b.nodes[over].key)
		}
		b.follow(n)
		walkStep.Inputs = b.walkInputs(n)
	}
	if err := b.listAssets(); err != nil {
		return err
	}
	b.describePartitions()
	return b.listOutside(outside)
}

// listAssets lists what the steps of this run itself make.
func (b *builder) listAssets() error {
	s, plan := b.planner.snapshot, &b.plan
	for _, a := range b.target.assets { // ascending by key
		c := b.planner.computeOf[a]
		if !b.wanted[a] || !b.anyRuns(c) {
			continue
		}
		if b.planner.assetParts[a] == nil {
			plan.Assets = append(plan.Assets, s.Assets[a].Key)
			continue
		}
		subset := b.made[a]
		if b.taken != nil {
			running, err := b.running(c)
			if err != nil {
				return err
			}
			subset = subset.Intersection(running)
		}
		if subset.IsEmpty() {
			continue
		}
		plan.Assets = append(plan.Assets, s.Assets[a].Key)
		if plan.Targets == nil {
			plan.Targets = map[string]partition.Subset{}
		}
		plan.Targets[s.Assets[a].Key] = subset
	}
	plan.Walk.Assets = slices.Clone(plan.Assets[:min(len(plan.Assets), maxWalkAssets)])
	return nil
}

// running is the partitions of a compute whose steps this run does.
func (b *builder) running(c int) (partition.Subset, error) {
	if b.taken == nil {
		return b.work[c].subset, nil
	}
	var keys []string
	var ranges partition.Subset
	for i := range b.work[c].count {
		switch n := &b.nodes[b.work[c].first+i]; {
		case n.number < 0 || !b.runs(n):
		case !n.subset.IsEmpty():
			ranges = ranges.Union(n.subset)
		default:
			keys = append(keys, n.partition)
		}
	}
	if len(keys) == 0 {
		return ranges, nil
	}
	return b.existing.of(b.planner.computeParts[c]).Of(keys...)
}

// listOutside lists what the steps of this run itself load and no step of it makes, nor one that it takes over.
func (b *builder) listOutside(whole map[int]map[int]bool) error {
	subsets, by := map[int]partition.Subset{}, maps.Clone(whole)
	for a := range whole {
		subsets[a] = partition.Subset{}
	}
	for _, need := range b.outside {
		if need.kind == InputAfter || b.planner.snapshot.Assets[need.asset].External() {
			continue
		}
		subset := need.subset
		if b.taken != nil {
			var err error
			if subset, err = b.outsideOfRunning(need); err != nil {
				return err
			}
		}
		if subset.IsEmpty() {
			continue
		}
		if by[need.asset] == nil {
			by[need.asset] = map[int]bool{}
		}
		by[need.asset][need.compute] = true
		if b.planner.assetParts[need.asset] == nil {
			subsets[need.asset] = partition.Subset{}
			continue
		}
		subsets[need.asset] = subsets[need.asset].Union(subset)
	}
	for a, subset := range subsets {
		names := make([]string, 0, len(by[a]))
		for c := range by[a] {
			names = append(names, b.planner.snapshot.Computes[c].Name)
		}
		slices.Sort(names)
		b.plan.Outside = append(b.plan.Outside, AssetPartitions{Asset: b.planner.snapshot.Assets[a].Key, Partitions: subset, By: names})
	}
	slices.SortFunc(b.plan.Outside, func(x, y AssetPartitions) int { return strings.Compare(x.Asset, y.Asset) })
	return nil
}

// outsideOfRunning is what of a need those steps have that this run does.
func (b *builder) outsideOfRunning(need outsideNeed) (partition.Subset, error) {
	var keys []string
	c := need.compute
	for i := range b.planner.inputs[c] {
		input := &b.planner.inputs[c][i]
		for k, a := range input.assets {
			if a != need.asset || input.kind != need.kind || input.link(k) == nil {
				continue
			}
			for place := range b.work[c].count {
				n := &b.nodes[b.work[c].first+place]
				if n.number < 0 || !b.runs(n) {
					continue
				}
				of := b.need(n, i, k)
				keys = append(keys, of.outside...)
				for j, key := range of.inside {
					if b.inPlan(of.makers[j]) < 0 {
						keys = append(keys, key)
					}
				}
			}
		}
	}
	if len(keys) == 0 {
		return partition.Subset{}, nil
	}
	return b.existing.of(b.planner.assetParts[need.asset]).Of(keys...)
}

// describePartitions says which partitions the run is for: in its tags, its search attributes, and in the request with
// which it can be executed again.
func (b *builder) describePartitions() {
	plan := &b.plan
	if request := b.again.merged; request.Backfill != "" {
		plan.Tags[TagBackfill], plan.Walk.Backfill = request.Backfill, request.Backfill
	}
	var all partition.Subset
	subsets := slices.Collect(maps.Values(plan.Targets))
	if !b.target.opSubset.IsEmpty() {
		subsets = append(subsets, b.target.opSubset)
	}
	same := true
	for i, subset := range subsets {
		same = same && (i == 0 || subset.Set() == all.Set())
		if same {
			all = all.Union(subset)
		}
	}
	if len(b.planner.definitions) > 0 && plan.Request.AsOf == "" && b.usesPartitions() {
		plan.Request.AsOf = b.existing.at.UTC().Format(time.RFC3339Nano)
	}
	if !same || all.IsEmpty() {
		return
	}
	first, _ := all.First()
	if all.Count() == 1 {
		plan.Tags[TagPartition], plan.Walk.Partition = first, first
		if parts, err := all.Set().Split(first); err == nil {
			for dimension, key := range parts {
				plan.Tags[TagPartition+"/"+dimension] = key
			}
		}
		return
	}
	pieces := 0
	for range all.Pieces(0) {
		if pieces++; pieces > 1 {
			return
		}
	}
	plan.Tags[TagPartitionRangeStart] = first
	plan.Tags[TagPartitionRangeEnd], _ = all.Last()
}

// usesPartitions says whether anything in the plan is partitioned, or is made from what is.
func (b *builder) usesPartitions() bool {
	return slices.ContainsFunc(b.computes, func(c int) bool { return b.planner.computeParts[c] != nil || b.needed[c] != nil })
}
