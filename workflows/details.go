package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// How much the current details show of a run; the query "steps" has all of it.
const (
	shownFailures = 5
	shownSteps    = 8
	shownNeeds    = 3
)

// showDetails sets what Temporal's Web UI shows as the run's current details: the status and its
// reason first, then counts, failures, and what runs and waits. It costs no history.
func (r *run) showDetails(ctx workflow.Context) {
	waiting, ready, running, ended := r.progress.Counts()
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** %s\n\n", r.status, r.reason(ready, running, ended))
	b.WriteString("| done | running | waiting | failed | skipped | cancelled |\n|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %d of %d | %d | %d | %d | %d | %d |\n",
		ended.Succeeded, len(r.walkPlan.Steps), running, waiting+ready, ended.Failed, ended.Skipped, ended.Canceled)
	if len(r.failures) > 0 {
		b.WriteString("\n**Failed**\n\n")
		for _, failure := range r.failures[:min(shownFailures, len(r.failures))] {
			fmt.Fprintf(&b, "- `%s`: %s\n", failure.Step, failure.Message)
		}
	}
	r.showOpen(&b)
	workflow.SetCurrentDetails(ctx, b.String())
}

func (r *run) reason(ready, running int, ended wire.StepCounts) string {
	switch {
	case r.status == wire.RunCanceling:
		return fmt.Sprintf("waiting for %d steps to stop", running)
	case r.status.Ended():
		return ""
	case ended.Failed > 0:
		return "a step failed; what does not need it goes on"
	case ready > 0:
		return fmt.Sprintf("%d steps are ready and wait for the limit of %d steps at once", ready, r.walkPlan.Limits.MaxConcurrentSteps)
	default:
		return ""
	}
}

// showOpen lists the first steps that run and that wait.
func (r *run) showOpen(b *strings.Builder) {
	for r.firstOpen < len(r.walkPlan.Steps) && r.progress.Status(r.firstOpen).Ended() {
		r.firstOpen++
	}
	if len(r.pending) > 0 {
		keys := make([]int, 0, shownSteps)
		for _, p := range r.pending[:min(shownSteps, len(r.pending))] {
			keys = append(keys, p.step)
		}
		fmt.Fprintf(b, "\n**Running** %s%s\n", codes(r.keys(keys)), more(len(r.pending)-len(keys)))
	}
	shown := 0
	for i := r.firstOpen; i < len(r.walkPlan.Steps) && shown < shownSteps && i < r.firstOpen+10*shownSteps+len(r.pending); i++ {
		if r.progress.Status(i) != wire.StepWaiting {
			continue
		}
		needs := r.progress.WaitingFor(i, shownNeeds+1)
		if len(needs) == 0 {
			continue
		}
		if shown == 0 {
			b.WriteString("\n**Waiting**\n\n")
		}
		shown++
		rest := ""
		if len(needs) > shownNeeds {
			needs, rest = needs[:shownNeeds], " and others"
		}
		fmt.Fprintf(b, "- `%s` for %s%s\n", r.walkPlan.Steps[i].Key, codes(r.keys(needs)), rest)
	}
}

func codes(keys []string) string { return "`" + strings.Join(keys, "`, `") + "`" }

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
