package plan

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// takenOver is what a run that executes another one again takes over from it, by the positions of computes.
type takenOver struct {
	b      *builder
	again  *again
	parent map[string]*ParentStep
	// chosen are the keys of the steps that may run; nil is every one.
	chosen map[string]bool
	// redo is whether a chosen step runs also when it is done.
	redo bool
	// runs are the computes whose steps all run in this run; mappedRuns the mapped steps that run although others of their
	// template do not, by key, and someRun the computes that these are of.
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
	compute int
	key     string
}

// takeOver decides which steps run and which are taken over from the parent, and reduces the run to them.
func (b *builder) takeOver(again *again) wire.Problems {
	if again.from == wire.RetryAll && again.scope == "" {
		return nil // everything runs
	}
	n := len(b.planner.snapshot.Computes)
	t := &takenOver{
		b: b, again: again, parent: make(map[string]*ParentStep, len(again.parent.Steps)), redo: again.from != wire.RetryFailure,
		runs: make([]bool, n), mappedRuns: map[string]bool{}, someRun: make([]bool, n), keys: map[int][]string{},
		skipped: make([]bool, n), mappedSkipped: map[string]bool{}, told: map[string]bool{},
	}
	for i := range again.parent.Steps {
		t.parent[again.parent.Steps[i].Step] = &again.parent.Steps[i]
	}
	for _, c := range b.computes {
		if b.planner.snapshot.Computes[c].FanOut && t.done(t.name(c)) {
			t.keys[c] = t.result(t.name(c)).Keys
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
	b.number(t.keeps)
	for a := range b.wanted {
		b.wanted[a] = b.wanted[a] && b.stepOf[b.planner.computeOf[a]] >= 0
	}
	if !slices.ContainsFunc(b.computes, b.runs) {
		return wire.Problems{{
			Path: "retry_of.from", Code: wire.CodeInvalid, Message: fmt.Sprintf("every step of run %q is done", again.parent.RunID),
			Fix: `give "from": "all", or "selection" with "ops"`,
		}}
	}
	return nil
}

func (t *takenOver) name(c int) string { return t.b.planner.snapshot.Computes[c].Name }

// over is the compute that c is mapped over, -1 for none.
func (t *takenOver) over(c int) int { return t.b.planner.over[c] }

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
	index, err := t.b.planner.stepIndex(t.b.computes, t.keys)
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
	for _, c := range t.b.computes {
		if t.over(c) < 0 && t.parent[t.name(c)] == nil {
			delete(t.chosen, t.name(c))
		}
	}
	return nil
}

func (t *takenOver) isChosen(key string) bool { return t.chosen == nil || t.chosen[key] }

// twiceProblems refuses to run a step with a dynamic output again together with single steps that are mapped over it: its
// new keys may be others.
func (t *takenOver) twiceProblems() wire.Problems {
	var problems wire.Problems
	for _, c := range t.b.computes {
		over := t.over(c)
		if over < 0 || !t.chosen[t.name(over)] {
			continue
		}
		for _, key := range t.keys[over] {
			if mapped := MappedKey(t.name(c), key); t.chosen[mapped] {
				problems = append(problems, wire.Problem{
					Path: "ops", Code: wire.CodeConflict, Message: fmt.Sprintf("both %q and %q, which is mapped over it, are chosen", t.name(over), mapped),
					Fix: fmt.Sprintf("choose %q for all its keys, or leave %q out", t.name(c), t.name(over)),
				})
				break
			}
		}
	}
	return problems
}

// decide finds what runs by what is chosen and done: a step before those that are mapped over it.
func (t *takenOver) decide() {
	for _, c := range t.b.computes {
		name, over := t.name(c), t.over(c)
		if over >= 0 && !t.runs[over] && t.done(t.name(over)) {
			for _, key := range t.keys[over] {
				mapped := MappedKey(name, key)
				if (t.isChosen(name) || t.isChosen(mapped)) && (t.redo || !t.done(mapped)) {
					t.runMapped(c, key)
				}
			}
			continue
		}
		if t.isChosen(name) && (over >= 0 || t.redo || !t.done(name)) {
			t.run(c)
		}
	}
}

func (t *takenOver) run(c int) {
	t.runs[c] = true
	t.open = append(t.open, stepNeed{compute: c})
}

func (t *takenOver) runMapped(c int, key string) {
	t.mappedRuns[MappedKey(t.name(c), key)], t.someRun[c] = true, true
	t.open = append(t.open, stepNeed{c, key})
}

// checkNeeds looks at what a step that runs needs: it must run too, or be there.
func (t *takenOver) checkNeeds(step stepNeed) {
	p := t.b.planner
	if over := t.over(step.compute); over >= 0 && !t.runs[over] && !t.done(t.name(over)) {
		t.missing(step, t.name(over))
		return
	}
	for _, input := range p.inputs[step.compute] {
		loads := input.kind != InputAfter
		for _, a := range input.assets {
			if t.b.wanted[a] {
				t.checkNeed(step, loads, p.computeOf[a])
			}
		}
		for _, op := range input.ops {
			t.checkNeed(step, loads, op)
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
	case fan == t.over(step.compute):
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
func (t *takenOver) runGone(c int, key string) {
	if key != "" {
		t.runMapped(c, key)
		return
	}
	t.run(c)
	delete(t.keys, c)
	for _, mapped := range t.b.computes {
		if t.over(mapped) == c {
			t.run(mapped)
		}
	}
}

func (t *takenOver) missing(step stepNeed, need string) {
	t.problem(step, fmt.Sprintf("%q, which run %q has not done and which is not chosen", need, t.again.parent.RunID), need)
}

// problem tells once that a step cannot run for want of another one.
func (t *takenOver) problem(step stepNeed, what, need string) {
	name := t.name(step.compute)
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

// keeps says whether a compute has steps in the run: some that run, or some that are taken over.
func (t *takenOver) keeps(c int) bool {
	if t.b.stepOf[c] < 0 {
		return false
	}
	over := t.over(c)
	return t.runs[c] || t.skipped[c] || (over < 0 && t.done(t.name(c))) || (over >= 0 && !t.runs[over] && (t.skipped[over] || t.done(t.name(over))))
}

// runs says whether any step of a compute runs in this run.
func (b *builder) runs(c int) bool { return b.taken == nil || b.taken.runs[c] || b.taken.someRun[c] }

// leftOut says whether a compute's step gives nothing because an earlier run skipped it.
func (b *builder) leftOut(c int) bool { return b.taken != nil && b.taken.skipped[c] }
