package plan

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// takenOver is what a run that executes another one again takes over from it, by nodes of the plan.
type takenOver struct {
	b      *builder
	again  *again
	parent map[string]*ParentStep
	// chosen are the keys of the steps that may run; nil is every one.
	chosen map[string]bool
	// redo is whether a chosen step runs also when it is done.
	redo bool
	// runs are the nodes that run in this run, templates with all that is mapped by them; mappedRuns the mapped steps that run
	// although others of their template do not, by key, and someRun the templates of these.
	runs       []bool
	mappedRuns map[string]bool
	someRun    []bool
	// keys are those of the dynamic outputs that are taken over.
	keys map[int][]string
	// skipped are those that the parent skipped and that do not run: they give nothing; mappedSkipped are mapped steps by key.
	skipped       []bool
	mappedSkipped map[string]bool
	open          []stepNeed
	told          map[string]bool
	problems      wire.Problems
}

// stepNeed is a step that runs and whose needs are to be looked at; key is "" for one that is not mapped, or whose
// template runs as a whole.
type stepNeed struct {
	node int
	key  string
}

// takeOver decides which steps run and which are taken over from the parent, and reduces the run to them.
func (b *builder) takeOver(again *again) wire.Problems {
	if again.from == wire.RetryAll && again.scope == "" {
		return nil // everything runs
	}
	n := len(b.nodes)
	t := &takenOver{
		b: b, again: again, parent: make(map[string]*ParentStep, len(again.parent.Steps)), redo: again.from != wire.RetryFailure,
		runs: make([]bool, n), mappedRuns: map[string]bool{}, someRun: make([]bool, n), keys: map[int][]string{},
		skipped: make([]bool, n), mappedSkipped: map[string]bool{}, told: map[string]bool{},
	}
	for i := range again.parent.Steps {
		t.parent[again.parent.Steps[i].Step] = &again.parent.Steps[i]
	}
	for n := range b.nodes {
		if b.compute(n).FanOut && t.done(t.name(n)) {
			t.keys[n] = t.result(t.name(n)).Keys
		}
	}
	if problems := t.choose(); len(problems) > 0 {
		return problems
	}
	t.decide()
	for len(t.open) > 0 {
		last := len(t.open) - 1
		next := t.open[last]
		t.open = t.open[:last]
		t.checkNeeds(next)
	}
	if len(t.problems) > 0 {
		return t.problems
	}
	b.taken = t
	b.keep(t.keeps)
	if !slices.ContainsFunc(b.computes, b.anyRuns) {
		return wire.Problems{{
			Path: "retry_of.from", Code: wire.CodeInvalid, Message: fmt.Sprintf("every step of run %q is done", again.parent.RunID),
			Fix: `give "from": "all", or "selection" with "ops"`,
		}}
	}
	return nil
}

// keep gives the nodes that the plan has their numbers.
func (b *builder) keep(keeps func(n int) bool) {
	number := 0
	for n := range b.nodes {
		b.nodes[n].number = -1
		if keeps(n) {
			b.nodes[n].number = number
			number++
		}
	}
	kept := func(c int) bool {
		w := &b.work[c]
		return slices.ContainsFunc(b.nodes[w.first:w.first+w.count], func(n node) bool { return n.number >= 0 })
	}
	b.computes = slices.DeleteFunc(b.computes, func(c int) bool { return !kept(c) })
	for a := range b.wanted {
		b.wanted[a] = b.wanted[a] && kept(b.planner.computeOf[a])
	}
}

func (b *builder) compute(n int) *Compute { return &b.planner.snapshot.Computes[b.nodes[n].compute] }

func (t *takenOver) name(n int) string { return t.b.nodes[n].key }

// over is the node that n is mapped over, -1 for none.
func (t *takenOver) over(n int) int { return t.b.overNode(&t.b.nodes[n]) }

// done says whether the parent did a step, or took it over itself.
func (t *takenOver) done(key string) bool {
	step := t.parent[key]
	return step != nil && step.Status == wire.StepSuccess
}

// result is that of a step that is done.
func (t *takenOver) result(key string) wire.StepResult {
	if result := t.parent[key].Result; result != nil {
		return *result
	}
	return wire.StepResult{}
}

// choose finds the steps that may run.
func (t *takenOver) choose() wire.Problems {
	expression, path := t.again.scope, "retry_of.run_id"
	if t.again.from == wire.RetrySelection {
		expression, path = t.b.request.Ops, "ops"
	}
	if expression == "" {
		return nil
	}
	index, err := t.b.stepIndex(t.keys)
	if err != nil {
		return wire.Problems{{Path: path, Code: wire.CodeInvalid, Message: err.Error()}}
	}
	keys, problems := chooseSteps(path, expression, index)
	if len(problems) > 0 {
		return problems
	}
	t.chosen = make(map[string]bool, len(keys))
	for _, key := range keys {
		t.chosen[key] = true
	}
	if t.again.from == wire.RetrySelection {
		return t.twiceProblems()
	}
	// What has come to the location since is not what the parent was asked for.
	for n := range t.b.nodes {
		if t.over(n) < 0 && t.parent[t.name(n)] == nil {
			delete(t.chosen, t.name(n))
		}
	}
	return nil
}

func (t *takenOver) isChosen(key string) bool { return t.chosen == nil || t.chosen[key] }

// twiceProblems refuses to run a step with a dynamic output again together with single steps that are mapped over it: its
// new keys may be others.
func (t *takenOver) twiceProblems() wire.Problems {
	var problems wire.Problems
	for n := range t.b.nodes {
		over := t.over(n)
		if over < 0 || !t.chosen[t.name(over)] {
			continue
		}
		for _, key := range t.keys[over] {
			if mapped := MappedKey(t.name(n), key); t.chosen[mapped] {
				problems = append(problems, wire.Problem{
					Path: "ops", Code: wire.CodeConflict, Message: fmt.Sprintf("both %q and %q, which is mapped over it, are chosen", t.name(over), mapped),
					Fix: fmt.Sprintf("choose %q for all its keys, or leave %q out", t.name(n), t.name(over)),
				})
				break
			}
		}
	}
	return problems
}

// decide finds what runs by what is chosen and done: a step before those that are mapped over it.
func (t *takenOver) decide() {
	for n := range t.b.nodes {
		name, over := t.name(n), t.over(n)
		if over >= 0 && !t.runs[over] && t.done(t.name(over)) {
			for _, key := range t.keys[over] {
				mapped := MappedKey(name, key)
				if (t.isChosen(name) || t.isChosen(mapped)) && (t.redo || !t.done(mapped)) {
					t.runMapped(n, key)
				}
			}
			continue
		}
		if t.isChosen(name) && (over >= 0 || t.redo || !t.done(name)) {
			t.run(n)
		}
	}
}

func (t *takenOver) run(n int) {
	t.runs[n] = true
	t.open = append(t.open, stepNeed{node: n})
}

func (t *takenOver) runMapped(n int, key string) {
	t.mappedRuns[MappedKey(t.name(n), key)], t.someRun[n] = true, true
	t.open = append(t.open, stepNeed{n, key})
}

// checkNeeds looks at what a step that runs needs: it must run too, or be there.
func (t *takenOver) checkNeeds(step stepNeed) {
	b, n := t.b, &t.b.nodes[step.node]
	if over := t.over(step.node); over >= 0 && !t.runs[over] && !t.done(t.name(over)) {
		t.missing(step, t.name(over))
		return
	}
	for i := range b.planner.inputs[n.compute] {
		input := &b.planner.inputs[n.compute][i]
		loads := input.kind != InputAfter
		for k, a := range input.assets {
			if input.link(k) == nil {
				if b.wanted[a] {
					t.checkNeed(step, loads, b.work[b.planner.computeOf[a]].first)
				}
				continue
			}
			last := -1
			for _, maker := range b.need(n, i, k).makers {
				if maker != last {
					t.checkNeed(step, loads, maker)
				}
				last = maker
			}
		}
		for _, op := range input.ops {
			t.checkNeed(step, loads, b.nodeOf(op, n))
		}
	}
}

func (t *takenOver) checkNeed(step stepNeed, loads bool, need int) {
	fan := t.over(need)
	switch {
	case t.runs[need]:
	case fan < 0:
		t.checkDone(step, loads, need, t.name(need), "")
	case t.runs[fan]:
		// What is mapped over it is of its old keys.
		if loads {
			t.missing(step, t.name(need))
		}
	case fan == t.over(step.node):
		t.checkDone(step, loads, need, MappedKey(t.name(need), step.key), step.key)
	case !t.done(t.name(fan)):
		t.checkDone(step, loads, fan, t.name(fan), "")
	default:
		for _, key := range t.keys[fan] {
			t.checkDone(step, loads, need, MappedKey(t.name(need), key), key)
		}
	}
}

// checkDone looks at one step that another one needs and that does not run as part of its compute.
func (t *takenOver) checkDone(step stepNeed, loads bool, need int, name, key string) {
	of := t.parent[name]
	switch {
	case t.mappedRuns[name]:
	case t.done(name) && of.Gone && loads && t.again.from == wire.RetryFailure:
		t.runGone(need, key)
	case t.done(name) && of.Gone && loads:
		t.problem(step, fmt.Sprintf("%q, whose output in run %q is no longer kept", name, of.Run), name)
	case t.done(name), !loads:
	case of != nil && of.Status == wire.StepSkipped && key == "":
		t.skipped[need] = true
	case of != nil && of.Status == wire.StepSkipped:
		t.mappedSkipped[name] = true
	default:
		t.missing(step, name)
	}
}

// runGone runs a step that is done, because its output is gone. Of a dynamic output the keys may be others then: all that
// is mapped over it runs again.
func (t *takenOver) runGone(n int, key string) {
	if key != "" {
		t.runMapped(n, key)
		return
	}
	t.run(n)
	delete(t.keys, n)
	for mapped := range t.b.nodes {
		if t.over(mapped) == n {
			t.run(mapped)
		}
	}
}

func (t *takenOver) missing(step stepNeed, need string) {
	t.problem(step, fmt.Sprintf("%q, which run %q has not done and which is not chosen", need, t.again.parent.RunID), need)
}

// problem tells once that a step cannot run for want of another one.
func (t *takenOver) problem(step stepNeed, what, need string) {
	name := t.name(step.node)
	if t.told[name+" "+need] {
		return
	}
	t.told[name+" "+need] = true
	path := "retry_of.run_id"
	if t.again.from == wire.RetrySelection {
		path = "ops"
	}
	t.problems = append(t.problems, wire.Problem{
		Path: path, Code: wire.CodeInvalid, Message: fmt.Sprintf("step %q needs %s", name, what), Fix: fmt.Sprintf("choose %q too", need),
	})
}

// keeps says whether a node has steps in the run: some that run, or some that are taken over.
func (t *takenOver) keeps(n int) bool {
	over := t.over(n)
	return t.runs[n] || t.skipped[n] || (over < 0 && t.done(t.name(n))) || (over >= 0 && !t.runs[over] && (t.skipped[over] || t.done(t.name(over))))
}

// runs says whether any step of a node runs in this run.
func (b *builder) runs(n *node) bool {
	place := b.work[n.compute].first + n.place
	return b.taken == nil || b.taken.runs[place] || b.taken.someRun[place]
}

// anyRuns says whether any step of a compute runs in this run.
func (b *builder) anyRuns(c int) bool {
	w := &b.work[c]
	if b.taken == nil {
		return w.count > 0
	}
	for i := range b.nodes[w.first : w.first+w.count] {
		if b.runs(&b.nodes[w.first+i]) {
			return true
		}
	}
	return false
}

// leftOut says whether a node's step gives nothing because an earlier run skipped it.
func (b *builder) leftOut(n *node) bool {
	return b.taken != nil && b.taken.skipped[b.work[n.compute].first+n.place]
}

// heldBy is the run that holds the outputs of a node that is taken over; "" of one that runs.
func (b *builder) heldBy(n int) string {
	if b.taken == nil || b.taken.runs[n] {
		return ""
	}
	return b.taken.parent[b.nodes[n].key].Run
}
