package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// spinner is what turns beside a running step.
var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// Frame is one picture of a run's steps for a terminal of that height; turn counts frames.
func (s Style) Frame(v RunView, clock Clock, height, turn int) []string {
	lines := []string{fmt.Sprintf("%s  %s  %s  %s", s.RunStatus(v.Run.Status), s.Bold(v.Run.ID), Progress(v.Steps), s.Faint(RunDuration(v.Run, clock)))}
	shown := shownSteps(v.Steps, height-3)
	width := 0
	for _, step := range shown {
		width = max(width, len(step.Step))
	}
	for _, step := range shown {
		line := fmt.Sprintf("  %s %-*s  %10s  %s", s.mark(step, turn), width, step.Step, StepDuration(step, clock), s.liveRemark(step, v.WaitingFor[step.Step], clock))
		lines = append(lines, strings.TrimRight(line, " "))
	}
	if hidden := len(v.Steps) - len(shown); hidden > 0 {
		lines = append(lines, s.Faint(fmt.Sprintf("    and %s not shown here", Count(hidden, "step"))))
	}
	return lines
}

func (s Style) liveRemark(step metadata.Step, needs []string, clock Clock) string {
	remark := s.remark(step, needs, clock)
	if step.Attempt > 1 {
		remark = strings.TrimSpace(fmt.Sprintf("attempt %d  %s", step.Attempt, remark))
	}
	if step.Lost > 0 {
		remark = strings.TrimSpace(fmt.Sprintf("after %s  %s", Count(step.Lost, "lost worker"), remark))
	}
	return remark
}

func (s Style) mark(step metadata.Step, turn int) string {
	color := stepColor(step.Status)
	switch step.Status {
	case wire.StepSuccess:
		return s.paint(color, "✓")
	case wire.StepFailed:
		return s.paint(color, "✗")
	case wire.StepRunning:
		return s.paint(color, spinner[turn%len(spinner)])
	case wire.StepWaiting:
		return s.paint(color, "·")
	default:
		return s.paint(color, "–")
	}
}

// urgency orders steps by how much a reader wants to see them when there is no room for all.
func urgency(step metadata.Step) int {
	const least = 5
	if step.InheritedFrom != "" {
		return least
	}
	switch step.Status {
	case wire.StepFailed:
		return 0
	case wire.StepRunning:
		return 1
	case wire.StepCanceled:
		return 2
	case wire.StepSuccess:
		return 3
	default:
		return 4
	}
}

// shownSteps are at most room steps, the most telling ones, in the order of the plan; of those that are done the latest.
func shownSteps(steps []metadata.Step, room int) []metadata.Step {
	room = max(room, 1)
	if len(steps) <= room {
		return steps
	}
	chosen := slices.Clone(steps)
	slices.SortStableFunc(chosen, func(a, b metadata.Step) int {
		if byUrgency := urgency(a) - urgency(b); byUrgency != 0 {
			return byUrgency
		}
		return b.EndedAt.Compare(a.EndedAt)
	})
	chosen = chosen[:room]
	slices.SortFunc(chosen, func(a, b metadata.Step) int { return a.Index - b.Index })
	return chosen
}

// Changes are the lines that tell what is new in steps since before, for output that is no terminal.
func (s Style) Changes(before, steps []metadata.Step, clock Clock) []string {
	known := make(map[string]metadata.Step, len(before))
	for _, step := range before {
		known[step.Step] = step
	}
	var lines []string
	for _, step := range steps {
		if step.InheritedFrom != "" {
			continue
		}
		old, seen := known[step.Step]
		if !seen {
			old.Status = wire.StepWaiting
		}
		if old.Status == step.Status && old.Attempt == step.Attempt && old.Lost == step.Lost && old.Reason == step.Reason {
			continue
		}
		at := clock.Now
		if !step.EndedAt.IsZero() {
			at = step.EndedAt
		}
		line := fmt.Sprintf("%s  %s  %s", at.In(clock.Zone).Format("15:04:05"), s.paint(stepColor(step.Status), fmt.Sprintf("%-15s", step.Status)), step.Step)
		if step.Status.Ended() {
			line = strings.TrimRight(line+"  "+StepDuration(step, clock), " ")
		}
		lines = append(lines, strings.TrimRight(line+"  "+s.liveRemark(step, nil, clock), " "))
	}
	return lines
}
