package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// How much the current details show of a run; the query "steps" has all of it.
const (
	shownFailures = 5
	shownSteps    = 8
	shownNeeds    = 3
	shownQueues   = 3
)

// showDetails sets what Temporal's Web UI shows as the run's current details: the status and its
// reason first, then counts, failures, and what runs and waits. It costs no history.
func (r *run) showDetails(ctx workflow.Context) {
	waiting, ready, running, ended := r.progress.Counts()
	total := waiting + ready + running + ended.Succeeded + ended.Failed + ended.Skipped + ended.Canceled
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** %s\n\n", r.status, r.why(ready, running, ended))
	b.WriteString("| done | running | waiting | failed | skipped | cancelled |\n|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %d of %d | %d | %d | %d | %d | %d |\n",
		ended.Succeeded, total, running, waiting+ready, ended.Failed, ended.Skipped, ended.Canceled)
	if len(r.failures) > 0 {
		b.WriteString("\n**Failed**\n\n")
		for _, failure := range r.failures[:min(shownFailures, len(r.failures))] {
			fmt.Fprintf(&b, "- `%s`: %s\n", failure.Step, failure.Message)
		}
	}
	r.showUnpolled(&b)
	r.showRunning(&b)
	if r.status != wire.RunQueued { // otherwise all wait for the same
		r.showWaiting(&b)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

func (r *run) why(ready, running int, ended wire.StepCounts) string {
	switch {
	case r.status == wire.RunCanceling && r.reason != "":
		return fmt.Sprintf("%s; waiting for %d steps to stop", r.reason, running)
	case r.status == wire.RunCanceling:
		return fmt.Sprintf("waiting for %d steps to stop", running)
	case r.status == wire.RunQueued:
		return r.queuedFor
	case r.status.Ended():
		return r.reason
	case ended.Failed > 0:
		return "a step failed; what does not need it goes on"
	case ready > 0 && len(r.pending) >= r.walkPlan.Limits.MaxConcurrentSteps:
		return fmt.Sprintf("%d steps are ready and wait for the limit of %d steps at once", ready, r.walkPlan.Limits.MaxConcurrentSteps)
	case ready > 0 && len(r.hooks.due) >= maxDueHooks:
		return fmt.Sprintf("%d steps are ready and wait for hooks: those of %d are still to be called", ready, len(r.hooks.running)+len(r.hooks.due))
	case ready > 0 && len(r.progress.Asked()) > 0:
		return fmt.Sprintf("%s ready, `%s` waits for %s", stepsAre(ready), r.key(r.progress.Asked()[0]), r.slotText(r.progress.Asked()[0]))
	case ready > 0:
		return fmt.Sprintf("%s ready and held back by a limit on their tag", stepsAre(ready))
	case running == 0 && len(r.hooks.running) > 0:
		return fmt.Sprintf("all steps have ended; the hooks of %d are being called", len(r.hooks.running)+len(r.hooks.due))
	default:
		return ""
	}
}

// showUnpolled tells of the queues that steps lie in and nobody takes them from.
func (r *run) showUnpolled(b *strings.Builder) {
	shown := map[string]bool{}
	for _, p := range r.pending {
		queue, unpolled := r.isUnpolled(p.step)
		if !unpolled || shown[queue] || !p.inFlight() {
			continue
		}
		if len(shown) == 0 {
			b.WriteString("\n**No workers**\n\n")
		}
		if shown[queue] = true; len(shown) > shownQueues {
			return
		}
		kind := r.kind(p.step)
		fix := fmt.Sprintf("start a worker with `--queues %s`", kind.Queue)
		if kind.Remote {
			fix = "start the program that serves it"
		}
		fmt.Fprintf(b, "- nobody polls the queue `%s`, in which `%s` lies: %s\n", queue, r.key(p.step), fix)
	}
}

// showRunning lists the first steps that run, in the order in which they were ready.
func (r *run) showRunning(b *strings.Builder) {
	if len(r.pending) == 0 {
		return
	}
	steps := make([]int, 0, shownSteps)
	for _, p := range r.pending[:min(shownSteps, len(r.pending))] {
		steps = append(steps, p.step)
	}
	fmt.Fprintf(b, "\n**Running** %s%s\n", codes(r.keys(steps)), more(len(r.pending)-len(steps)))
}

// showWaiting lists the first steps that wait, and for what. It looks at so many steps and no more: it is called often.
func (r *run) showWaiting(b *strings.Builder) {
	for r.firstOpen < r.progress.Len() && r.progress.Status(r.firstOpen).Ended() {
		r.firstOpen++
	}
	last := min(r.progress.Len(), r.firstOpen+10*shownSteps+len(r.pending))
	shown := 0
	for i := r.firstOpen; i < last && shown < shownSteps; i++ {
		if r.progress.Status(i) != wire.StepWaiting {
			continue
		}
		what := r.waitsFor(i)
		if what == "" {
			continue
		}
		if shown == 0 {
			b.WriteString("\n**Waiting**\n\n")
		}
		shown++
		fmt.Fprintf(b, "- `%s` for %s\n", r.key(i), what)
	}
}

// waitsFor is what a step waits for: other steps, a limit or a slot; "" is a place among the running ones.
func (r *run) waitsFor(step int) string {
	if limit, held := r.progress.HeldBack(step); held {
		return limitText(limit)
	}
	if r.progress.NeedsSlot(step) {
		return r.slotText(step)
	}
	needs := r.progress.WaitingFor(step, shownNeeds+1)
	if len(needs) == 0 {
		return ""
	}
	rest := ""
	if len(needs) > shownNeeds {
		needs, rest = needs[:shownNeeds], " and others"
	}
	return codes(r.keys(needs)) + rest
}

func limitText(limit plan.TagLimit) string {
	tag := limit.Key
	if limit.Value != "" {
		tag += "=" + limit.Value
	}
	return fmt.Sprintf("the limit of %d steps at once with the tag `%s`", limit.Limit, tag)
}

func stepsAre(n int) string {
	if n == 1 {
		return "1 step is"
	}
	return fmt.Sprintf("%d steps are", n)
}

func codes(keys []string) string { return "`" + strings.Join(keys, "`, `") + "`" }

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
