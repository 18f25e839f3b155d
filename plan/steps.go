package plan

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/partition"
)

// step is what the attempt that claims it gets to know of a step; of what it loads, outside gets the assets without
// partitions that nothing in the run makes, each with the computes that load it.
func (b *builder) step(n *node, outside map[int]map[int]bool) Step {
	c := n.compute
	compute := &b.planner.snapshot.Computes[c]
	step := Step{
		Key: n.key, Type: compute.Name, Shape: compute.Shape, Partition: n.partition,
		Outputs: b.outputsOf(n), Inputs: b.inputsOf(n, outside), Values: b.valuesOf(n), MadeOf: b.madeOf(n),
		Op: compute.Op, FanOut: compute.FanOut, NoValue: compute.NoValue, Optional: compute.Optional,
		Config: b.configs.of(compute), Resources: b.configs.resources(compute, b.target.job), Loggers: b.configs.loggers(b.target.job),
		Retries: compute.Retries, Timeout: compute.Timeout, StallTimeout: compute.StallTimeout,
		MaxLostWorkers: b.limits.MaxLostWorkers,
	}
	if !n.subset.IsEmpty() {
		step.Partitions = b.keysOf(n.subset)
	}
	if over := b.overNode(n); over >= 0 {
		step.Over = b.nodes[over].key
	}
	if executor := b.executorOf(compute); executor.Kind != ExecutorActivity && !compute.Remote {
		step.Executor = &executor
	}
	if job := b.target.job; job != nil && step.Retries == nil {
		step.Retries = job.Retries
	}
	return step
}

// overNode is the node with the dynamic output that a node is mapped over; -1 when it is not mapped.
func (b *builder) overNode(n *node) int {
	if over := b.planner.over[n.compute]; over >= 0 {
		return b.nodeOf(over, n)
	}
	return -1
}

// maker is the node that makes an asset without partitions; -1 when the plan has none.
func (b *builder) maker(asset int) int {
	if !b.wanted[asset] {
		return -1
	}
	return b.inPlan(b.work[b.planner.computeOf[asset]].first)
}

// inPlan is the node itself, or -1 when the plan does not have it.
func (b *builder) inPlan(n int) int {
	if n < 0 || b.nodes[n].number < 0 {
		return -1
	}
	return n
}

func (b *builder) outputsOf(n *node) []Output {
	var outputs []Output
	for _, a := range b.planner.outputs[n.compute] {
		if asset := &b.planner.snapshot.Assets[a]; b.wanted[a] && (n.outputs == nil || slices.Contains(n.outputs, a)) {
			outputs = append(outputs, Output{Asset: asset.Key, Optional: asset.Optional, CodeVersion: asset.CodeVersion})
		}
	}
	return outputs
}

// inputsOf lists the assets that a node loads, and adds to outside what of it nothing in the run makes.
func (b *builder) inputsOf(n *node, outside map[int]map[int]bool) []StepInput {
	var inputs []StepInput
	for i := range b.planner.inputs[n.compute] {
		input := &b.planner.inputs[n.compute][i]
		if input.kind == InputAfter {
			continue
		}
		for k, a := range input.assets {
			if link := input.link(k); link != nil {
				inputs = append(inputs, b.partInputs(a, link, b.need(n, i, k))...)
				continue
			}
			asset := &b.planner.snapshot.Assets[a]
			maker := b.maker(a)
			from := ""
			if maker >= 0 {
				from = b.heldBy(maker)
			}
			inputs = append(inputs, StepInput{Asset: asset.Key, InRun: maker >= 0, From: from, External: asset.External()})
			if maker < 0 && !asset.External() && b.runs(n) {
				if outside[a] == nil {
					outside[a] = map[int]bool{}
				}
				outside[a][n.compute] = true
			}
		}
	}
	slices.SortStableFunc(inputs, func(x, y StepInput) int { return strings.Compare(x.Asset, y.Asset) })
	return slices.CompactFunc(inputs, func(x, y StepInput) bool { return x.Asset == y.Asset && reflect.DeepEqual(x, y) })
}

// partInputs are the partitions of an asset that a node loads: those of each run for themselves, and those from outside.
func (b *builder) partInputs(a int, link *partition.Link, need *partsNeeded) []StepInput {
	asset := &b.planner.snapshot.Assets[a]
	keysOf := func(keys []string) []string {
		if b.planner.assetParts[a] == nil {
			return nil
		}
		return keys
	}
	var inputs []StepInput
	add := func(inRun bool, from string, keys []string) {
		inputs = append(inputs, StepInput{
			Asset: asset.Key, Mapping: link.Mapping(), Partitions: keysOf(keys), InRun: inRun, From: from, External: asset.External(),
		})
	}
	if b.taken == nil {
		if len(need.inside) > 0 {
			add(true, "", need.inside)
		}
		if len(need.outside) > 0 {
			add(false, "", need.outside)
		}
		return inputs
	}
	held := map[string][]string{} // by the run that holds them
	var outside []string
	for i, key := range need.inside {
		if b.inPlan(need.makers[i]) < 0 {
			outside = append(outside, key)
			continue
		}
		from := b.heldBy(need.makers[i])
		held[from] = append(held[from], key)
	}
	for _, from := range slices.Sorted(maps.Keys(held)) {
		add(true, from, held[from])
	}
	if outside = append(outside, need.outside...); len(outside) > 0 {
		add(false, "", outside)
	}
	return inputs
}

// need is what a node needs of the k-th asset of its i-th input, where any side is partitioned.
func (b *builder) need(n *node, i, k int) *partsNeeded {
	of := b.needed[n.compute][i][k]
	return &of[n.place]
}

// valuesOf lists the op outputs that a compute loads.
func (b *builder) valuesOf(n *node) []ValueInput {
	var values []ValueInput
	for _, input := range b.planner.inputs[n.compute] {
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
			values = append(values, ValueInput{Step: b.opKey(op, n), Take: take})
		}
	}
	slices.SortFunc(values, func(x, y ValueInput) int {
		return cmp.Or(strings.Compare(x.Step, y.Step), strings.Compare(string(x.Take), string(y.Take)))
	})
	return slices.Compact(values)
}

// madeOf lists the ops that load assets and that the value of a graph asset hangs on, by what is loaded and by which
// elements there are.
func (b *builder) madeOf(n *node) []string {
	c := n.compute
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
			names = append(names, b.opKey(c, n))
		}
	}
	visit(c)
	slices.Sort(names)
	return names
}

// opKey is the step key of an op for the same partition as a node's.
func (b *builder) opKey(op int, of *node) string {
	if n := b.nodeOf(op, of); n >= 0 {
		return b.nodes[n].key
	}
	return b.planner.snapshot.Computes[op].Name
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

// members are the sources of a node's i-th input.
func (b *builder) members(n *node, i int) []member {
	input := &b.planner.inputs[n.compute][i]
	members := make([]member, 0, len(input.assets)+len(input.ops))
	ofAsset := func(a, maker int) {
		asset := &b.planner.snapshot.Assets[a]
		m := member{step: -1, asset: asset.Key}
		if maker >= 0 {
			m.step = b.nodes[maker].number
			m.mayMiss = b.maySkip[m.step] || asset.Optional
			m.mayEnd = b.ambiguous(m.step)
		}
		members = append(members, m)
	}
	for k, a := range input.assets {
		if input.link(k) == nil {
			ofAsset(a, b.maker(a))
			continue
		}
		need, last := b.need(n, i, k), -1
		for _, maker := range need.makers {
			if maker != last { // a range makes many
				ofAsset(a, b.inPlan(maker))
			}
			last = maker
		}
		if len(need.outside) > 0 {
			ofAsset(a, -1)
		}
	}
	for _, op := range input.ops {
		m := member{step: -1}
		source := &b.planner.snapshot.Computes[op]
		if made := b.inPlan(b.nodeOf(op, n)); made >= 0 {
			m.step = b.nodes[made].number
		}
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

// needsOf calls visit for every node that a node needs; it may name one more than once.
func (b *builder) needsOf(n *node, visit func(need int)) {
	for i := range b.planner.inputs[n.compute] {
		input := &b.planner.inputs[n.compute][i]
		for k, a := range input.assets {
			if input.link(k) == nil {
				if b.wanted[a] {
					visit(b.work[b.planner.computeOf[a]].first)
				}
				continue
			}
			last := -1
			for _, maker := range b.need(n, i, k).makers {
				if maker != last {
					visit(maker)
				}
				last = maker
			}
		}
		for _, op := range input.ops {
			if need := b.nodeOf(op, n); need >= 0 {
				visit(need)
			}
		}
	}
	if over := b.overNode(n); over >= 0 {
		visit(over)
	}
}

// follow enters a step among the followers of those it needs, each once: steps are built in ascending order, so that
// it already stands last where it stands.
func (b *builder) follow(n *node) {
	b.needsOf(n, func(need int) {
		if b.inPlan(need) < 0 {
			return
		}
		next := &b.plan.Walk.Steps[b.nodes[need].number].Next
		if last := len(*next) - 1; last < 0 || (*next)[last] != n.number {
			*next = append(*next, n.number)
		}
	})
}

// walkInputs is [WalkStep.Inputs] of a step, and notes whether the step may be skipped.
func (b *builder) walkInputs(n *node) [][]Source {
	number, needed := n.number, false
	inputs := [][]Source{}
	for i := range b.planner.inputs[n.compute] {
		input := &b.planner.inputs[n.compute][i]
		var sources []Source
		members := b.members(n, i)
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
	b.maySkip[number] = b.maySkip[number] || b.leftOut(n)
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
