package plan

import (
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// Progress is how far a run has come along its walk: which steps are ready, running or ended, and what the end of
// one means for those that need it. It is a pure state machine: the workflow and in-process runs drive the same one.
//
// Steps are numbers from 0 to [Progress.Len]; any other panics. The first are the steps of the walk. When a step with a
// dynamic output succeeds, the steps mapped over it follow behind: for each key in order one of every template, in the
// templates' order. A template itself ([Progress.IsTemplate]) only stands for them: it is never ready, decided or
// counted, and nobody ends it. A step that has ended never changes again: telling Progress of it a second time does
// nothing.
//
// All calls of one run together cost time linear in the edges between its steps, and for each step in the walk's kinds.
// A Progress is not safe for concurrent use.
type Progress struct {
	walk *Walk
	// states are of the walk's steps, and then of the mapped ones.
	states []stepState
	// needs lists what each step of the walk needs, one after the other: those of i are needs[needsFrom[i]:needsFrom[i+1]].
	needs     []int
	needsFrom []int
	// unmet counts the needs of a step that have not ended; it means nothing for a template.
	unmet []int
	// notEmitted holds the optional outputs that a step which succeeded did not emit.
	notEmitted map[int][]string
	mapped     mapped
	ready      readySteps
	// news are steps whose end those that need them have not heard of yet.
	news    []int
	decided []int
	counts  [len(stateLetters)]int
}

// stepState is a step's state as an index into stateLetters.
type stepState uint8

const (
	stateWaiting stepState = iota
	stateReady
	stateRunning
	stateSuccess
	stateFailed
	stateSkipped
	stateUpstreamFailed
	stateCanceled
	// stateInherited is the state of a step that this run does not do: an earlier run did, or nothing here needs it.
	stateInherited
)

func (s stepState) ended() bool { return s >= stateSuccess }

// failed says whether what needs the step cannot run.
func (s stepState) failed() bool {
	return s == stateFailed || s == stateUpstreamFailed || s == stateCanceled
}

var stateStatuses = [len(stateLetters)]wire.StepStatus{
	wire.StepWaiting, wire.StepWaiting, wire.StepRunning, wire.StepSuccess,
	wire.StepFailed, wire.StepSkipped, wire.StepUpstreamFailed, wire.StepCanceled, wire.StepSuccess,
}

// NewProgress is the progress of a walk that has not begun: it stands as Walk.Start says, and the steps that need
// nothing more are ready, in ascending order.
// The walk must be one that [Planner.Plan] made or [DecodeWalk] returned, and must not change afterwards.
func NewProgress(walk *Walk) *Progress {
	p := newProgress(walk)
	if walk.Start != nil {
		if err := p.restore(*walk.Start); err != nil {
			panic(err) // planned and decoded walks are checked
		}
	}
	p.begin()
	return p
}

// newProgress is a progress in which every step waits and none is queued yet.
func newProgress(walk *Walk) *Progress {
	n := len(walk.Steps)
	p := &Progress{
		walk:       walk,
		states:     make([]stepState, n),
		needsFrom:  make([]int, n+1),
		unmet:      make([]int, n),
		notEmitted: map[int][]string{},
		mapped:     newMapped(walk),
		ready:      newReadySteps(walk),
	}
	p.counts[stateWaiting] = n - len(p.mapped.tallies)
	for i := range walk.Steps {
		for _, next := range walk.Steps[i].Next {
			p.unmet[next]++
		}
	}
	for step, count := range p.unmet {
		p.needsFrom[step+1] = p.needsFrom[step] + count
	}
	p.needs = make([]int, p.needsFrom[n])
	filled := slices.Clone(p.needsFrom[:n])
	for i := range walk.Steps {
		for _, next := range walk.Steps[i].Next {
			p.needs[filled[next]] = i
			filled[next]++
		}
	}
	return p
}

// begin decides every waiting step that needs nothing more.
func (p *Progress) begin() {
	for step, state := range p.states {
		if state == stateWaiting && p.unmet[step] == 0 && !p.IsTemplate(step) {
			p.decide(step)
			p.spread()
		}
	}
}

// NextReady takes a ready step and makes it running: of those that no tag limit holds back one that was granted a slot of its
// pool, or else one with the greatest Kind.Order, of these the one that has been ready longest. ok is false when there is none.
func (p *Progress) NextReady() (step int, ok bool) {
	step, ok = p.ready.take(p.states)
	if ok {
		p.set(step, stateRunning)
	}
	return step, ok
}

// HeldBack is the tag limit that keeps a ready step from starting, with the step's tag value where each value has a limit
// of its own; ok is false when none does.
func (p *Progress) HeldBack(step int) (limit TagLimit, ok bool) {
	if p.states[step] != stateReady {
		return TagLimit{}, false
	}
	return p.ready.heldBack(p.walkStep(step).Kind)
}

// Succeed ends a step as done. notEmitted are the optional outputs it did not emit, "" for that of an op: what needs
// them is skipped. keys are those of its dynamic output, each once, in the order of emission.
func (p *Progress) Succeed(step int, notEmitted, keys []string) {
	if p.states[step].ended() || p.IsTemplate(step) {
		return
	}
	if len(notEmitted) > 0 {
		p.notEmitted[step] = slices.Clone(notEmitted)
	}
	p.set(step, stateSuccess)
	if step < len(p.walk.Steps) && p.walk.Steps[step].Fan {
		p.expand(step, keys)
	}
	p.news = append(p.news, step)
	p.spread()
}

// Fail ends a step as failed. What needs it never starts: UPSTREAM_FAILED, or SKIPPED when an input of it emitted
// nothing; which of the two is decided when all needs of that step have ended.
func (p *Progress) Fail(step int) { p.end(step, stateFailed) }

// Cancel ends a step because a person cancelled it, whether it waits, is ready or runs. What needs it goes as for Fail.
func (p *Progress) Cancel(step int) { p.end(step, stateCanceled) }

// CancelRest ends every step that has not ended as cancelled: the run itself was cancelled.
func (p *Progress) CancelRest() {
	for step, state := range p.states {
		if !state.ended() && !p.IsTemplate(step) {
			p.set(step, stateCanceled)
		}
	}
	for template := range p.walk.Steps {
		if tally := p.mapped.tallies[template]; tally != nil {
			tally.open = 0
			p.states[template] = p.templateState(template)
		}
	}
	p.ready.clear()
}

// Status is where a step stands. A ready step is still WAITING: for a place among the running ones. One that is
// inherited counts as done.
func (p *Progress) Status(step int) wire.StepStatus { return stateStatuses[p.states[step]] }

// Inherited says whether the run does not do this step, because Walk.Start says so.
func (p *Progress) Inherited(step int) bool { return p.states[step] == stateInherited }

// Counts counts the steps: waiting for needs, ready to run, running, and ended by how they ended. Inherited ones and
// templates are not counted.
func (p *Progress) Counts() (waiting, ready, running int, ended wire.StepCounts) {
	return p.counts[stateWaiting], p.counts[stateReady], p.counts[stateRunning], wire.StepCounts{
		Succeeded: p.counts[stateSuccess],
		Failed:    p.counts[stateFailed],
		Skipped:   p.counts[stateSkipped] + p.counts[stateUpstreamFailed],
		Canceled:  p.counts[stateCanceled],
	}
}

// Done says whether every step has ended.
func (p *Progress) Done() bool {
	return p.counts[stateWaiting]+p.counts[stateReady]+p.counts[stateRunning] == 0
}

// WaitingFor lists the needs of a step that have not ended, at most limit of them. It is empty for a step that is ready,
// runs or has ended. Of a template it lists the mapped steps, or the template while their keys are not known.
func (p *Progress) WaitingFor(step, limit int) []int {
	if p.states[step] != stateWaiting || p.IsTemplate(step) {
		return nil
	}
	var unmet []int
	for need := range p.needsOf(step) {
		for open := range p.openIn(need) {
			if len(unmet) >= limit {
				return unmet
			}
			unmet = append(unmet, open)
		}
	}
	return unmet
}

// TakeDecided returns the steps that became SKIPPED or UPSTREAM_FAILED since it was last asked, in that order, so
// that each is recorded once. What was not taken travels in the [State].
func (p *Progress) TakeDecided() []int {
	decided := p.decided
	p.decided = nil
	return decided
}

// set changes the state of a step that is no template.
func (p *Progress) set(step int, state stepState) {
	before := p.states[step]
	if before == stateRunning || state == stateRunning {
		p.ready.running(p.walkStep(step).Kind, state == stateRunning)
	}
	if before == stateReady {
		p.ready.left(step)
	}
	p.counts[before]--
	p.counts[state]++
	p.states[step] = state
}

func (p *Progress) end(step int, state stepState) {
	if p.states[step].ended() || p.IsTemplate(step) {
		return
	}
	p.set(step, state)
	if step < len(p.walk.Steps) && p.walk.Steps[step].Fan {
		p.endTemplates(step)
	}
	p.news = append(p.news, step)
	p.spread()
}

// spread tells of every end those that need it, which may decide and end them, and so on. It is a loop: a chain of
// skipped steps may be longer than a stack should be deep.
func (p *Progress) spread() {
	for len(p.news) > 0 {
		step := p.news[0]
		p.news = p.news[1:]
		if g, key, template := p.instance(step); g != nil {
			p.spreadMapped(step, g, key, template)
			continue
		}
		for _, next := range p.walk.Steps[step].Next {
			p.met(step, next)
		}
	}
}

// met tells next, or all steps that are mapped by it, that one of its needs has ended.
func (p *Progress) met(need, next int) {
	fan := p.mapped.fanOf(next)
	switch {
	case fan < 0:
		p.countDown(next)
	case need == fan || p.mapped.fanOf(need) == fan:
		// Its mapped steps began with their fan, and each hears of the one with the same key.
	default:
		if g := p.mapped.groups[fan]; g != nil {
			for key := range g.keys {
				p.countDown(g.step(key, p.mapped.place[next]))
			}
		}
	}
}

func (p *Progress) countDown(step int) {
	p.unmet[step]--
	if p.unmet[step] == 0 && p.states[step] == stateWaiting {
		p.decide(step)
	}
}

// decide moves a waiting step whose needs have all ended.
func (p *Progress) decide(step int) {
	switch {
	case p.skipped(step):
		p.set(step, stateSkipped)
	case p.needFailed(step):
		p.set(step, stateUpstreamFailed)
	default:
		p.set(step, stateReady)
		p.ready.add(step, p.walkStep(step).Kind)
		return
	}
	p.decided = append(p.decided, step)
	p.news = append(p.news, step)
	if step < len(p.walk.Steps) && p.walk.Steps[step].Fan {
		p.endTemplates(step)
	}
}

// skipped says whether one input of a step got nothing at all. It comes before the question whether a need failed.
func (p *Progress) skipped(step int) bool {
	inputs := p.walkStep(step).Inputs
	if len(inputs) == 0 {
		for need := range p.needsOf(step) {
			if p.missing(need, nil) {
				return true
			}
		}
		return false
	}
	g, key, _ := p.instance(step)
	return slices.ContainsFunc(inputs, func(sources []Source) bool {
		return len(sources) > 0 && !slices.ContainsFunc(sources, func(source Source) bool {
			return !p.missing(p.resolve(source.Step, g, key), &source.Asset)
		})
	})
}

// missing says whether a step that has ended emitted nothing under an asset's key, or left out any output when asset is
// nil. Of a template it asks whether all its steps did: one without steps gives an empty list, which is not nothing.
func (p *Progress) missing(need int, asset *string) bool {
	if tally := p.mapped.tallies[need]; tally != nil {
		return tally.steps > 0 && tally.missing == tally.steps
	}
	return p.states[need] == stateSkipped ||
		(asset == nil && len(p.notEmitted[need]) > 0) || (asset != nil && slices.Contains(p.notEmitted[need], *asset))
}

func (p *Progress) needFailed(step int) bool {
	for need := range p.needsOf(step) {
		if tally := p.mapped.tallies[need]; p.states[need].failed() || (tally != nil && tally.failed > 0) {
			return true
		}
	}
	return false
}
