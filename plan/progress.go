package plan

import (
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// Progress is how far a run has come along its walk: which steps are ready, running or ended, and what the end of
// one means for those that need it. It is a pure state machine: the workflow and in-process runs drive the same one.
//
// Steps are indexes into Walk.Steps; an index outside it panics. A step that has ended never changes again: telling
// Progress of it a second time does nothing. All calls of one run together cost time linear in the walk's edges.
// A Progress is not safe for concurrent use.
type Progress struct {
	walk   *Walk
	states []stepState
	// needs lists what each step needs, one step after the other: those of step i are needs[needsFrom[i]:needsFrom[i+1]].
	needs     []int
	needsFrom []int
	// unmet counts the needs of a step that have not ended.
	unmet []int
	// notEmitted holds the optional outputs that a step which succeeded did not emit.
	notEmitted map[int][]string
	// queue holds the ready steps in the order they became ready, from queueHead on; cancelled ones stay in it.
	queue     []int
	queueHead int
	decided   []int
	counts    [len(stateLetters)]int
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
)

func (s stepState) ended() bool { return s >= stateSuccess }

var stateStatuses = [len(stateLetters)]wire.StepStatus{
	wire.StepWaiting, wire.StepWaiting, wire.StepRunning, wire.StepSuccess,
	wire.StepFailed, wire.StepSkipped, wire.StepUpstreamFailed, wire.StepCanceled,
}

// NewProgress is the progress of a walk that has not begun: the steps that need nothing are ready, in ascending order.
// The walk must be one that [Planner.Plan] made or [DecodeWalk] returned, and must not change afterwards.
func NewProgress(walk *Walk) *Progress {
	p := newProgress(walk)
	for step := range p.states {
		if p.unmet[step] == 0 {
			p.decide(step)
		}
	}
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
	}
	p.counts[stateWaiting] = n
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

// NextReady takes the step that has been ready longest and makes it running; ok is false when none is ready.
func (p *Progress) NextReady() (step int, ok bool) {
	for p.queueHead < len(p.queue) {
		step = p.queue[p.queueHead]
		p.queueHead++
		if p.states[step] == stateReady {
			p.set(step, stateRunning)
			return step, true
		}
	}
	return 0, false
}

// Succeed ends a step as done. notEmitted are the optional outputs it did not emit: what needs them is skipped.
func (p *Progress) Succeed(step int, notEmitted []string) {
	if p.states[step].ended() {
		return
	}
	if len(notEmitted) > 0 {
		p.notEmitted[step] = slices.Clone(notEmitted)
	}
	p.end(step, stateSuccess)
}

// Fail ends a step as failed. What needs it never starts: UPSTREAM_FAILED, or SKIPPED when an input of it emitted
// nothing; which of the two is decided when all needs of that step have ended.
func (p *Progress) Fail(step int) { p.endOnce(step, stateFailed) }

// Cancel ends a step because a person cancelled it, whether it waits, is ready or runs. What needs it goes as for Fail.
func (p *Progress) Cancel(step int) { p.endOnce(step, stateCanceled) }

// CancelRest ends every step that has not ended as cancelled: the run itself was cancelled.
func (p *Progress) CancelRest() {
	for step, state := range p.states {
		if !state.ended() {
			p.set(step, stateCanceled)
			p.unmet[step] = 0
		}
	}
	p.queue, p.queueHead = nil, 0
}

// Status is where a step stands. A ready step is still WAITING: for a place among the running ones.
func (p *Progress) Status(step int) wire.StepStatus { return stateStatuses[p.states[step]] }

// Counts counts the steps: waiting for needs, ready to run, running, and ended by how they ended.
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

// WaitingFor lists the needs of a step that have not ended, ascending, at most limit of them. It is empty for a step
// that is ready, runs or has ended.
func (p *Progress) WaitingFor(step, limit int) []int {
	if p.states[step] != stateWaiting {
		return nil
	}
	var unmet []int
	for _, need := range p.needsOf(step) {
		if len(unmet) >= limit {
			break
		}
		if !p.states[need].ended() {
			unmet = append(unmet, need)
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

func (p *Progress) needsOf(step int) []int { return p.needs[p.needsFrom[step]:p.needsFrom[step+1]] }

func (p *Progress) set(step int, state stepState) {
	p.counts[p.states[step]]--
	p.counts[state]++
	p.states[step] = state
}

func (p *Progress) endOnce(step int, state stepState) {
	if !p.states[step].ended() {
		p.end(step, state)
	}
}

// end sets a step's final state and decides every step that waited only for it, and so on. The list of ended steps
// is worked off in a loop: a chain of skipped steps may be longer than a stack should be deep.
func (p *Progress) end(step int, state stepState) {
	p.set(step, state)
	ended := []int{step}
	for len(ended) > 0 {
		last := ended[0]
		ended = ended[1:]
		for _, next := range p.walk.Steps[last].Next {
			p.unmet[next]--
			if p.unmet[next] == 0 && p.states[next] == stateWaiting && p.decide(next) {
				ended = append(ended, next)
			}
		}
	}
}

// decide moves a waiting step whose needs have all ended, and says whether that ended it.
func (p *Progress) decide(step int) bool {
	switch {
	case p.skipped(step):
		p.set(step, stateSkipped)
	case p.needFailed(step):
		p.set(step, stateUpstreamFailed)
	default:
		p.set(step, stateReady)
		p.queue = append(p.queue, step)
		return false
	}
	p.decided = append(p.decided, step)
	return true
}

// skipped says whether one input of a step got nothing at all. It comes before the question whether a need failed.
func (p *Progress) skipped(step int) bool {
	inputs := p.walk.Steps[step].Inputs
	if len(inputs) == 0 {
		return slices.ContainsFunc(p.needsOf(step), func(need int) bool {
			return p.states[need] == stateSkipped || len(p.notEmitted[need]) > 0
		})
	}
	return slices.ContainsFunc(inputs, func(sources []Source) bool {
		return len(sources) > 0 && !slices.ContainsFunc(sources, func(source Source) bool {
			return p.states[source.Step] != stateSkipped && !slices.Contains(p.notEmitted[source.Step], source.Asset)
		})
	})
}

func (p *Progress) needFailed(step int) bool {
	return slices.ContainsFunc(p.needsOf(step), func(need int) bool {
		switch p.states[need] {
		case stateFailed, stateUpstreamFailed, stateCanceled:
			return true
		default:
			return false
		}
	})
}
