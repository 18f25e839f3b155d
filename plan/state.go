package plan

import (
	"fmt"
	"slices"
	"strings"
)

// stateLetters are the letters of the step states in [State.Steps], in the order of their constants.
const stateLetters = ".rRSFKUC"

// State is a [Progress] as plain JSON: what a run carries along when it continues as new.
type State struct {
	// Steps has one letter a step: "." waiting, "r" ready, "R" running, "S" success, "F" failed, "K" skipped,
	// "U" upstream failed, "C" cancelled.
	Steps string `json:"steps"`
	// NotEmitted are the optional outputs that steps did not emit, ascending by step.
	NotEmitted []NotEmitted `json:"not_emitted,omitempty"`
	// Decided are the steps that TakeDecided has still to return.
	Decided []int `json:"decided,omitempty"`
}

// NotEmitted names the optional outputs that a step which succeeded did not emit.
type NotEmitted struct {
	// Step is an index into Walk.Steps.
	Step   int      `json:"step"`
	Assets []string `json:"assets"`
}

// State is what [RestoreProgress] needs to go on from here.
func (p *Progress) State() State {
	var letters strings.Builder
	letters.Grow(len(p.states))
	state := State{Decided: slices.Clone(p.decided)}
	for step, s := range p.states {
		letters.WriteByte(stateLetters[s])
		if assets := p.notEmitted[step]; len(assets) > 0 {
			state.NotEmitted = append(state.NotEmitted, NotEmitted{Step: step, Assets: slices.Clone(assets)})
		}
	}
	state.Steps = letters.String()
	return state
}

// RestoreProgress goes on from a state of the same walk. Steps that were running are ready again, before those that
// were ready; each group in ascending order. It fails when the state is not one of this walk.
func RestoreProgress(walk *Walk, state State) (*Progress, error) {
	if len(state.Steps) != len(walk.Steps) {
		return nil, fmt.Errorf("restore a run's progress: the state has %d steps, the walk %d", len(state.Steps), len(walk.Steps))
	}
	p := newProgress(walk)
	for step := range len(state.Steps) {
		s := strings.IndexByte(stateLetters, state.Steps[step])
		if s < 0 {
			return nil, fmt.Errorf("restore a run's progress: step %d has the unknown state %q", step, state.Steps[step:step+1])
		}
		if !stepState(s).ended() {
			continue
		}
		p.set(step, stepState(s))
		for _, next := range walk.Steps[step].Next {
			p.unmet[next]--
		}
	}
	for _, missing := range state.NotEmitted {
		if missing.Step < 0 || missing.Step >= len(walk.Steps) {
			return nil, fmt.Errorf("restore a run's progress: the state names step %d of %d", missing.Step, len(walk.Steps))
		}
		p.notEmitted[missing.Step] = slices.Clone(missing.Assets)
	}
	for _, step := range state.Decided {
		if step < 0 || step >= len(walk.Steps) {
			return nil, fmt.Errorf("restore a run's progress: the state names step %d of %d", step, len(walk.Steps))
		}
	}
	p.decided = slices.Clone(state.Decided)
	running := stateLetters[stateRunning]
	for step := range p.states {
		if state.Steps[step] == running && p.unmet[step] == 0 {
			p.decide(step)
		}
	}
	for step, s := range p.states {
		if s == stateWaiting && p.unmet[step] == 0 {
			p.decide(step)
		}
	}
	return p, nil
}
