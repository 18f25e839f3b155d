package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

// handle registers the query "steps" and the update "cancel_step".
func (r *run) handle(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.StepsQuery, r.steps,
		workflow.QueryHandlerOptions{Description: `The run's steps and their status. Optional argument: {"status":"RUNNING"}.`})
	if err != nil {
		return fmt.Errorf("serve the query %q: %w", wire.StepsQuery, err)
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, wire.CancelStepUpdate, r.cancelStep, workflow.UpdateHandlerOptions{
		Description: `Cancels one step that is running, or waits for a worker or for a slot of its pool: {"step":"route_delays"}. What needs it is left out.`,
		Validator:   r.checkCancelStep,
	})
	if err != nil {
		return fmt.Errorf("serve the update %q: %w", wire.CancelStepUpdate, err)
	}
	return nil
}

var stepStatuses = []string{
	string(wire.StepWaiting), string(wire.StepRunning), string(wire.StepSuccess), string(wire.StepFailed),
	string(wire.StepSkipped), string(wire.StepUpstreamFailed), string(wire.StepCanceled),
}

// waitingForLimit is how many unmet needs of a step the query names.
const waitingForLimit = 20

func (r *run) steps(argument converter.RawValue) (wire.StepsQueryResult, error) {
	var filter wire.StepsQueryInput
	if data := inputOf(argument); data != nil {
		problems := wire.Decode(data, &filter)
		if len(problems) == 0 && filter.Status != "" && !slices.Contains(stepStatuses, string(filter.Status)) {
			problems = wire.Problems{{
				Path: "status", Code: wire.CodeUnknown, Message: fmt.Sprintf("no step has the status %q", filter.Status),
				Fix: wire.FixUnknown(string(filter.Status), stepStatuses),
			}}
		}
		if len(problems) > 0 {
			// An application error would only add its type to the text: a query's failure is nothing else.
			return wire.StepsQueryResult{}, fmt.Errorf("invalid query: %w", problems)
		}
	}
	result := wire.StepsQueryResult{RunID: r.id, Status: r.status, Reason: r.queuedFor, Steps: []wire.StepState{}}
	if r.walkPlan == nil {
		return result, nil
	}
	for i := range r.progress.Len() {
		if !r.isStep(i) {
			continue
		}
		status := r.progress.Status(i)
		if filter.Status != "" && filter.Status != status {
			continue
		}
		state := wire.StepState{Step: r.key(i), Status: status}
		if status == wire.StepWaiting {
			state.WaitingFor = r.keys(r.progress.WaitingFor(i, waitingForLimit))
			if len(state.WaitingFor) == 0 && r.queuedFor == "" {
				state.Reason = r.waitsFor(i)
			}
		}
		result.Steps = append(result.Steps, state)
	}
	return result, nil
}

// isStep says whether a step is one that this run does: neither a template of mapped steps nor one that it takes over.
func (r *run) isStep(i int) bool { return !r.progress.IsTemplate(i) && !r.progress.Inherited(i) }

func (r *run) keys(steps []int) []string {
	keys := make([]string, len(steps))
	for i, step := range steps {
		keys[i] = r.key(step)
	}
	return keys
}

func (r *run) checkCancelStep(argument converter.RawValue) error {
	_, _, err := r.stepToCancel(argument)
	return err
}

// stepToCancel is the step that is to be cancelled; p is nil of one that waits for a slot.
func (r *run) stepToCancel(argument converter.RawValue) (step int, p *pendingStep, err error) {
	var input wire.CancelStepInput
	if problems := wire.Decode(inputOf(argument), &input); len(problems) > 0 {
		return 0, nil, refusal("update", problems)
	}
	if r.walkPlan == nil {
		return 0, nil, refusal("update", wire.Problems{{Code: wire.CodeConflict, Message: fmt.Sprintf("run %q is being planned: no step of it runs yet", r.id)}})
	}
	i, ok := r.progress.Find(input.Step)
	switch {
	case !ok || r.progress.Inherited(i):
		return 0, nil, refusal("update", wire.Problems{{
			Path: "step", Code: wire.CodeUnknown, Message: fmt.Sprintf("run %q has no step %q", r.id, input.Step), Fix: `the query "steps" lists them`,
		}})
	case r.progress.IsTemplate(i):
		return 0, nil, refusal("update", wire.Problems{{
			Path: "step", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q stands for the steps of every key of a dynamic output", input.Step),
			Fix: fmt.Sprintf(`name one of them, as in %q: the query "steps" lists them`, plan.MappedKey(input.Step, "KEY")),
		}})
	}
	for _, p := range r.pending {
		if p.step == i && p.closing == nil {
			return i, p, nil
		}
	}
	if r.queuedFor == "" && r.progress.NeedsSlot(i) {
		return i, nil, nil
	}
	return 0, nil, refusal("update", wire.Problems{{
		Path: "step", Code: wire.CodeConflict,
		Message: fmt.Sprintf("step %q is %s", input.Step, r.progress.Status(i)), Fix: "only a step that is RUNNING, or waits for a slot of its pool, can be cancelled",
	}})
}

// cancelStep answers once the step has ended.
func (r *run) cancelStep(ctx workflow.Context, argument converter.RawValue) (wire.StepState, error) {
	step, p, err := r.stepToCancel(argument)
	if err != nil {
		return wire.StepState{}, err
	}
	if p == nil {
		// What is recorded of its end gives back its place among those that wait.
		r.progress.Take(step)
		p = &pendingStep{step: step}
		p.ctx, p.cancel = workflow.WithCancel(ctx)
		r.pending = append(r.pending, p)
	}
	p.canceled = true
	p.cancel()
	if !p.begun() && !p.isComputed() {
		r.close(ctx, p, wire.ClosedStep{Status: wire.StepCanceled, Unscheduled: p.remote == nil || p.remote.scheduled == 0})
	}
	if err := workflow.Await(ctx, func() bool { return r.progress.Status(p.step).Ended() }); err != nil {
		return wire.StepState{}, err
	}
	return wire.StepState{Step: r.key(p.step), Status: r.progress.Status(p.step)}, nil
}
