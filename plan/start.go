package plan

import (
	"fmt"
	"slices"

	"github.com/perdure-io/perdure/wire"
)

// start says how the walk begins that takes steps over.
func (b *builder) start() error {
	if b.again.parent == nil {
		return nil
	}
	plan, parent := &b.plan, b.again.parent
	plan.RetryOf, plan.RootRunID = parent.RunID, parent.RootRunID
	if plan.RootRunID == "" {
		plan.RootRunID = parent.RunID
	}
	if b.taken == nil {
		return nil
	}
	plan.Inherited = map[string]Inherited{}
	s := stateWriter{plan: plan, taken: b.taken}
	for n := range b.nodes {
		if number := b.nodes[n].number; number >= 0 {
			s.step(number, n)
		}
	}
	templates := templatesOf(&plan.Walk)
	for n := range b.nodes {
		if keys, number := b.taken.keys[n], b.nodes[n].number; number >= 0 && len(keys) > 0 && !b.taken.runs[n] {
			s.mapped(number, templates[number], keys)
		}
	}
	state := s.state()
	if err := newProgress(&plan.Walk).restore(state); err != nil {
		return fmt.Errorf("take over steps of run %q: %w", parent.RunID, err)
	}
	plan.Walk.Start = &state
	return nil
}

// stateWriter writes the state with which a walk begins.
type stateWriter struct {
	plan    *Plan
	taken   *takenOver
	letters []byte
	start   State
}

func (s *stateWriter) state() State {
	s.start.Steps = string(s.letters)
	return s.start
}

// take adds a step that does not run: nothing was emitted of what is missing.
func (s *stateWriter) take(missing []string) {
	if len(missing) > 0 {
		s.start.NotEmitted = append(s.start.NotEmitted, NotEmitted{Step: len(s.letters), Assets: missing})
	}
	s.letters = append(s.letters, stateLetters[stateInherited])
}

// inherit adds a step that is done.
func (s *stateWriter) inherit(key string) {
	result := s.taken.result(key)
	s.plan.Inherited[key] = Inherited{Run: s.taken.parent[key].Run, Result: result}
	s.take(result.NotEmitted)
}

// skip adds a step that was skipped: it emitted nothing.
func (s *stateWriter) skip(number int, key string) {
	missing := outputsOf(&s.plan.Steps[number])
	s.plan.Inherited[key] = Inherited{Run: s.taken.parent[key].Run, Result: wire.StepResult{NotEmitted: missing}}
	s.take(missing)
}

// step adds a step of the walk.
func (s *stateWriter) step(number, n int) {
	t, key := s.taken, s.plan.Steps[number].Key
	switch {
	case t.runs[n] || t.over(n) >= 0:
		s.letters = append(s.letters, stateLetters[stateWaiting])
	case t.skipped[n]:
		s.plan.notes[number] = fmt.Sprintf("skipped in run %s", t.parent[key].Run)
		s.skip(number, key)
	default:
		s.plan.notes[number] = fmt.Sprintf("done in run %s", t.parent[key].Run)
		s.inherit(key)
	}
}

// mapped adds the steps that are mapped over a dynamic output that is taken over.
func (s *stateWriter) mapped(fan int, templates []int, keys []string) {
	if len(templates) == 0 {
		return
	}
	s.start.Fans = append(s.start.Fans, FanKeys{Step: fan, Keys: slices.Clone(keys)})
	running := make([]int, len(templates))
	for _, key := range keys {
		for i, number := range templates {
			switch name := MappedKey(s.plan.Steps[number].Key, key); {
			case s.taken.mappedRuns[name]:
				running[i]++
				s.letters = append(s.letters, stateLetters[stateWaiting])
			case s.taken.done(name):
				s.inherit(name)
			case s.taken.mappedSkipped[name]:
				s.skip(number, name)
			default:
				s.take(nil)
			}
		}
	}
	for i, number := range templates {
		s.plan.notes[number] = fmt.Sprintf("for %d of the %d keys of %s, the others were taken over", running[i], len(keys), s.plan.Steps[fan].Key)
		switch running[i] {
		case 0:
			s.plan.notes[number] = fmt.Sprintf("all %d keys of %s were taken over", len(keys), s.plan.Steps[fan].Key)
		case len(keys):
			s.plan.notes[number] = fmt.Sprintf("once for each of the %d keys of %s", len(keys), s.plan.Steps[fan].Key)
		}
	}
}

// templatesOf are the steps that are mapped over each fan.
func templatesOf(walk *Walk) map[int][]int {
	templates := map[int][]int{}
	for number := range walk.Steps {
		if over := walk.Steps[number].Over; over > 0 {
			templates[over-1] = append(templates[over-1], number)
		}
	}
	return templates
}

// outputsOf are all outputs of a step, as [NotEmitted] names them. A dynamic output is left out: it is a list, and empty.
func outputsOf(step *Step) []string {
	switch {
	case step.FanOut:
		return nil
	case len(step.Outputs) == 0:
		return []string{""}
	}
	var keys []string
	for _, output := range step.Outputs {
		keys = append(keys, output.Asset)
	}
	return keys
}
