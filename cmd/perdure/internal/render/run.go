package render

import (
	"fmt"
	"strings"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// RunView is a run as far as it is known.
type RunView struct {
	Run   metadata.Run
	Steps []metadata.Step
	// WaitingFor are the steps that a waiting step needs, by step, as far as the workflow has told.
	WaitingFor map[string][]string
	// Link opens the run in Temporal's Web UI; "" shows none.
	Link string
}

// counts is how many steps stand where.
type counts map[wire.StepStatus]int

// count leaves out the steps that the run has taken over.
func count(steps []metadata.Step) (c counts, takenOver int) {
	c = counts{}
	for _, step := range steps {
		if step.InheritedFrom != "" {
			takenOver++
			continue
		}
		c[step.Status]++
	}
	return c, takenOver
}

// Progress is the run's steps in one line: "7 of 12 steps done, 2 running, 3 waiting".
func Progress(steps []metadata.Step) string {
	c, takenOver := count(steps)
	parts := []string{fmt.Sprintf("%s of %s done", Number(int64(c[wire.StepSuccess])), Count(len(steps)-takenOver, "step"))}
	for _, kind := range []struct {
		status wire.StepStatus
		word   string
	}{
		{wire.StepRunning, "running"},
		{wire.StepWaiting, "waiting"},
		{wire.StepFailed, "failed"},
		{wire.StepUpstreamFailed, "left out (upstream failed)"},
		{wire.StepSkipped, "skipped"},
		{wire.StepCanceled, "cancelled"},
	} {
		if n := c[kind.status]; n > 0 {
			parts = append(parts, Number(int64(n))+" "+kind.word)
		}
	}
	if takenOver > 0 {
		parts = append(parts, Number(int64(takenOver))+" taken over")
	}
	return strings.Join(parts, ", ")
}

// RunDetails is a run for people: status and reason first, then what it is, its steps, and the errors of those that
// failed; with stacks when asked.
func (s Style) RunDetails(v RunView, clock Clock, stacks bool) string {
	run := v.Run
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", s.RunStatus(run.Status), s.Bold(run.ID))
	if run.Reason != "" {
		b.WriteString(Indent(run.Reason, 2) + "\n")
	}
	if len(v.Steps) > 0 {
		b.WriteString("  " + Progress(v.Steps) + "\n")
	}
	b.WriteString("\n" + s.Fields([][2]string{
		{"title", OneLine(run.Title)},
		{"note", OneLine(run.Note)},
		{"job", run.Job},
		{"selection", OneLine(run.Selection)},
		{"partitions", RunPartitions(run)},
		{"backfill", run.Backfill},
		{"config", config(run)},
		{"tags", Tags(run.Tags)},
		{"location", location(run)},
		{"cause", causeOf(run)},
		{"retry of", retryOf(run)},
		{"retried", retried(run)},
		{"started", clock.Moment(run.StartedAt)},
		{"ended", clock.Moment(run.EndedAt)},
		{"duration", RunDuration(run, clock)},
		{"web ui", v.Link},
	}))
	if len(v.Steps) > 0 {
		b.WriteString("\n" + s.StepTable(v, clock))
	}
	b.WriteString(s.Failures(v.Steps, stacks, "--stacks"))
	return b.String()
}

// RunPartitions is which partitions a run is over; "" of one over none.
func RunPartitions(run metadata.Run) string {
	first, last := run.Tags[plan.TagPartitionRangeStart], run.Tags[plan.TagPartitionRangeEnd]
	switch {
	case run.Partition != "":
		return OneLine(run.Partition)
	case first != "":
		return OneLine(first + " to " + last)
	case run.Several:
		return "several"
	}
	return ""
}

func location(run metadata.Run) string {
	if run.Build == "" {
		return run.Location
	}
	return run.Location + " (build " + run.Build + ")"
}

// config is the run config on one line; "" when there is none.
func config(run metadata.Run) string {
	if string(run.Config) == "null" {
		return ""
	}
	return OneLine(string(run.Config))
}

// causeOf is the run's cause when it is not simply the run itself.
func causeOf(run metadata.Run) string {
	if run.Cause == run.ID {
		return ""
	}
	return run.Cause
}

// retryOf is the run that this one executes again, and the first of that chain.
func retryOf(run metadata.Run) string {
	if run.RootRunID == "" || run.RootRunID == run.ParentRunID {
		return run.ParentRunID
	}
	return fmt.Sprintf("%s (retry %d of %s)", run.ParentRunID, run.RetryNumber, run.RootRunID)
}

// retried says whether another run takes up this one by itself.
func retried(run metadata.Run) string {
	if run.WillRetry != nil && *run.WillRetry {
		return "by itself"
	}
	return ""
}

// Tags are tags in one line, sorted.
func Tags(of map[string]string) string {
	pairs := make([]string, 0, len(of))
	for key, value := range of {
		pairs = append(pairs, key+"="+value)
	}
	return strings.Join(sorted(pairs), ", ")
}

// RunDuration is how long a run has taken so far; "" before it has begun.
func RunDuration(run metadata.Run, clock Clock) string {
	switch {
	case run.StartedAt.IsZero():
		return ""
	case run.EndedAt.IsZero():
		return Duration(clock.Now.Sub(run.StartedAt))
	default:
		return Duration(run.EndedAt.Sub(run.StartedAt))
	}
}

// StepTable lists steps in the order of the plan.
func (s Style) StepTable(v RunView, clock Clock) string {
	rows := make([][]string, len(v.Steps))
	for i, step := range v.Steps {
		worker := step.Worker
		if step.Lost > 0 {
			worker += fmt.Sprintf(" (after %s)", Count(step.Lost, "lost worker"))
		}
		rows[i] = []string{step.Step, s.StepStatus(step.Status), attempt(step), StepDuration(step, clock), worker, s.remark(step, v.WaitingFor[step.Step], clock)}
	}
	return s.Table([]Column{
		{Title: "step"},
		{Title: "status"},
		{Title: "attempt", Right: true},
		{Title: "duration", Right: true},
		{Title: "worker"},
		{Title: "remark"},
	}, rows)
}

func attempt(step metadata.Step) string {
	if step.Attempt == 0 {
		return ""
	}
	return fmt.Sprint(step.Attempt)
}

// StepDuration is how long a step has taken so far, from its first claim on; "" before it.
func StepDuration(step metadata.Step, clock Clock) string {
	switch {
	case step.StartedAt.IsZero():
		return ""
	case step.EndedAt.IsZero():
		return Duration(clock.Now.Sub(step.StartedAt))
	default:
		return Duration(step.EndedAt.Sub(step.StartedAt))
	}
}

// maxNeeds is how many steps a remark names that a step waits for.
const maxNeeds = 3

// remark says what a step waits for, or what went wrong.
func (s Style) remark(step metadata.Step, needs []string, clock Clock) string {
	switch {
	case step.InheritedFrom != "":
		return "taken over from " + step.InheritedFrom
	case step.Reason != "":
		text := OneLine(step.Reason)
		if !step.ReasonSince.IsZero() {
			text += fmt.Sprintf(" (for %s)", Duration(clock.Now.Sub(step.ReasonSince)))
		}
		return text
	case step.Error != nil && step.Status == wire.StepRunning:
		return "failed before: " + OneLine(step.Error.Message)
	case step.Error != nil:
		return s.Red(OneLine(step.Error.Message))
	case step.Status == wire.StepRunning && step.StartedAt.IsZero():
		return "waits for a worker"
	case step.Status == wire.StepWaiting && len(needs) > 0:
		text := "waits for " + strings.Join(needs[:min(len(needs), maxNeeds)], ", ")
		if more := len(needs) - maxNeeds; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		return text
	default:
		return ""
	}
}

// Failures are the whole messages of the failed steps, for which a table has no room; with stacks when asked, else with
// the hint what shows them.
func (s Style) Failures(steps []metadata.Step, stacks bool, hint string) string {
	var b strings.Builder
	hidden := false
	for _, step := range steps {
		if step.Error == nil || step.Status != wire.StepFailed {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Red(step.Step), Indent(step.Error.Message, 2))
		for _, fact := range step.Error.Metadata {
			fmt.Fprintf(&b, "  %s: %s\n", fact.Label, Value(fact))
		}
		switch {
		case step.Error.Stack != "" && stacks:
			b.WriteString(Indent(step.Error.Stack, 4) + "\n")
		case step.Error.Stack != "":
			hidden = true
		}
	}
	if hidden {
		b.WriteString("\n" + s.Faint(hint+" shows the stacks of panics") + "\n")
	}
	return b.String()
}
