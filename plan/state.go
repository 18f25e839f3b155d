package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// stateLetters are the letters of the step states in [State.Steps], in the order of their constants.
const stateLetters = ".rRSFKUCP"

// State is a [Progress] as plain JSON: what a run carries along when it continues as new, and how one begins that takes
// steps over from an earlier run.
type State struct {
	// Steps has one letter a step: "." waiting, "r" ready, "R" running, "S" success, "F" failed, "K" skipped,
	// "U" upstream failed, "C" cancelled, "P" not done by this run: by an earlier one, or by none. That of a template
	// means nothing.
	Steps string `json:"steps"`
	// NotEmitted are the optional outputs that steps did not emit, ascending by step.
	NotEmitted []NotEmitted `json:"not_emitted,omitempty"`
	// Fans are the dynamic outputs of which there are mapped steps, in the order of these steps.
	Fans []FanKeys `json:"fans,omitempty"`
	// Decided are the steps that TakeDecided has still to return.
	Decided []int `json:"decided,omitempty"`
}

// NotEmitted names the optional outputs that a step which succeeded did not emit.
type NotEmitted struct {
	// Step is a number of [Progress].
	Step int `json:"step"`
	// Assets are their keys; "" is the output of an op.
	Assets []string `json:"assets"`
}

// FanKeys are the keys of a step's dynamic output.
type FanKeys struct {
	// Step is an index into Walk.Steps.
	Step int `json:"step"`
	// Keys are in the order of emission.
	Keys []string `json:"keys"`
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
	for _, g := range p.mapped.order {
		state.Fans = append(state.Fans, FanKeys{Step: g.fan, Keys: slices.Clone(g.keys)})
	}
	return state
}

// RestoreProgress goes on from a state of the same walk. Steps that were running are ready again, before those that
// were ready; each group in ascending order. It fails when the state is not one of this walk.
func RestoreProgress(walk *Walk, state State) (*Progress, error) {
	p := newProgress(walk)
	if err := p.restore(state); err != nil {
		return nil, err
	}
	for step := range p.states {
		if state.Steps[step] == stateLetters[stateRunning] && p.unmet[step] == 0 && !p.IsTemplate(step) {
			p.decide(step)
			p.spread()
		}
	}
	p.begin()
	return p, nil
}

// restore puts a progress in which nothing has happened into a state; nothing is ready yet.
func (p *Progress) restore(state State) error {
	if err := p.restoreFans(state); err != nil {
		return fmt.Errorf("restore a run's progress: %w", err)
	}
	for step := range len(state.Steps) {
		s := strings.IndexByte(stateLetters, state.Steps[step])
		if s < 0 {
			return fmt.Errorf("restore a run's progress: step %d has the unknown state %q", step, state.Steps[step:step+1])
		}
		if stepState(s).ended() && !p.IsTemplate(step) {
			p.set(step, stepState(s))
		}
	}
	for _, missing := range state.NotEmitted {
		if missing.Step < 0 || missing.Step >= len(p.states) {
			return fmt.Errorf("restore a run's progress: the state names step %d of %d", missing.Step, len(p.states))
		}
		p.notEmitted[missing.Step] = slices.Clone(missing.Assets)
	}
	for _, step := range state.Decided {
		if step < 0 || step >= len(p.states) {
			return fmt.Errorf("restore a run's progress: the state names step %d of %d", step, len(p.states))
		}
	}
	p.decided = slices.Clone(state.Decided)
	for step := len(p.walk.Steps); step < len(p.states); step++ {
		if _, _, template := p.instance(step); p.states[step].ended() {
			p.countEnd(step, template)
		}
	}
	for template := range p.walk.Steps {
		if p.IsTemplate(template) {
			p.states[template] = p.templateState(template)
		}
	}
	for step := range p.states {
		p.unmet[step] = p.countUnmet(step)
	}
	return nil
}

// restoreFans adds the mapped steps of a state.
func (p *Progress) restoreFans(state State) error {
	n := len(p.walk.Steps)
	if len(state.Steps) < n {
		return fmt.Errorf("the state has %d steps, the walk %d", len(state.Steps), n)
	}
	for _, fan := range state.Fans {
		switch {
		case fan.Step < 0 || fan.Step >= n:
			return fmt.Errorf("the state names step %d of %d", fan.Step, n)
		case len(p.mapped.templates[fan.Step]) == 0:
			return fmt.Errorf("the state has keys of step %d, over which nothing is mapped", fan.Step)
		case p.mapped.groups[fan.Step] != nil:
			return fmt.Errorf("the state has keys of step %d twice", fan.Step)
		case len(fan.Keys) == 0 || !strings.ContainsRune("SP", rune(state.Steps[fan.Step])):
			return fmt.Errorf("the state has %d keys of step %d, which is in the state %q", len(fan.Keys), fan.Step, state.Steps[fan.Step:fan.Step+1])
		}
		p.addGroup(fan.Step, fan.Keys)
	}
	if len(state.Steps) != len(p.states) {
		return fmt.Errorf("the state has %d steps, the walk with its mapped ones %d", len(state.Steps), len(p.states))
	}
	return nil
}

// EncodeState writes a state as [EncodeWalk] does a walk: plain JSON of up to 256 KB, gzip of the same JSON above. It
// returns [ErrTooLarge] when that is over 1 MB.
func EncodeState(state State) ([]byte, error) {
	return encode(state, fmt.Sprintf("the state of %d steps", len(state.Steps)))
}

// DecodeState reads what EncodeState wrote, in either form. Whether it is one of a walk is found out by
// [RestoreProgress].
func DecodeState(data []byte) (State, error) {
	data, err := unpack(data)
	if err != nil {
		return State{}, fmt.Errorf("decode the state of a run: %w", err)
	}
	var state State
	if err := json.Unmarshal(data, &state); err != nil {
		return State{}, fmt.Errorf("decode the state of a run: %w", err)
	}
	return state, nil
}
