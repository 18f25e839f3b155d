package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// maxHooks is how many steps' hooks run at once.
const maxHooks = 50

// maxDueHooks is how many steps may wait for theirs before no other step begins: they travel along when the run continues
// as new, which takes 2 MB in all.
const maxDueHooks = 200

// hooks are the steps whose hooks are to be called. A failing hook is recorded by its activity, and changes nothing here.
type hooks struct {
	due     []dueHook
	running []workflow.Future
}

// dueHook is a step that has ended and has hooks. It travels along when a run continues as new.
type dueHook struct {
	Step   string          `json:"step"`
	Status wire.StepStatus `json:"status"`
	Error  string          `json:"error,omitempty"`
}

func (h *hooks) done() bool { return len(h.due)+len(h.running) == 0 }

func (h *hooks) somethingEnded() bool {
	for _, running := range h.running {
		if running.IsReady() {
			return true
		}
	}
	return false
}

// hook notes that a step has ended, after all its retries. In a run that is being cancelled no hooks begin.
func (r *run) hook(step int, status wire.StepStatus, message string) {
	kind := r.kind(step)
	if r.status == wire.RunCanceling || status == wire.StepSuccess && !kind.OnSuccess || status == wire.StepFailed && !kind.OnFailure {
		return
	}
	r.hooks.due = append(r.hooks.due, dueHook{Step: r.key(step), Status: status, Error: cut(message, maxText)})
}

func (r *run) startHooks(ctx workflow.Context) {
	for len(r.hooks.due) > 0 && len(r.hooks.running) < maxHooks && ctx.Err() == nil {
		due := r.hooks.due[0]
		r.hooks.due = r.hooks.due[1:]
		r.hooks.running = append(r.hooks.running, workflow.ExecuteActivity(
			hookOptions(ctx, r.queue, due.Step), wire.RunHooksActivity,
			wire.RunHooksInput{Run: r.id, Step: due.Step, Status: due.Status, Error: due.Error}))
	}
}

func (r *run) collectHooks(ctx workflow.Context) {
	open := r.hooks.running[:0]
	for _, running := range r.hooks.running {
		if !running.IsReady() {
			open = append(open, running)
		} else if err := running.Get(ctx, nil); err != nil && !wasCanceled(err) {
			workflow.GetLogger(ctx).Warn("the hooks of a step could not be called, the run goes on", "run", r.id, "error", err)
		}
	}
	clear(r.hooks.running[len(open):])
	r.hooks.running = open
}
