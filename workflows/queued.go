package workflows

import (
	"cmp"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// firstAsk is how long what waits for the run queue or for a slot asks by itself when nobody wakes it, doubled with each
	// time up to lastAsk: who frees something wakes who gets it, and the workflow RunQueue wakes it again.
	firstAsk = time.Minute
	lastAsk  = time.Hour
	// queuedMaxAge is how long an execution of a queued run lives at most: long-lived workflows continue as new daily.
	queuedMaxAge = 24 * time.Hour
)

// wakes are the signals "admitted". They carry nothing that counts: what is admitted, and which slots there are, is asked for.
type wakes struct {
	signals workflow.ReceiveChannel
	// all is set when somebody may have got something; steps are those of which a signal said so.
	all   bool
	steps []string
}

func newWakes(ctx workflow.Context) wakes {
	return wakes{signals: workflow.GetSignalChannelWithOptions(ctx, wire.AdmittedSignal, workflow.SignalChannelOptions{
		Description: `Wakes a run that waits in the run queue, or steps that wait for slots of pools: {"steps":["route_delays"]}. The run then asks.`,
	})}
}

// pending says whether a signal has come that was not taken in.
func (w *wakes) pending() bool { return w.signals.Len() > 0 }

// takeIn takes in all signals that have come.
func (w *wakes) takeIn() {
	var signal converter.RawValue
	for w.signals.ReceiveAsync(&signal) {
		var input wire.AdmittedInput
		if data := inputOf(signal); data == nil || len(wire.Decode(data, &input)) > 0 || len(input.Steps) == 0 {
			w.all = true
		}
		w.steps = append(w.steps, input.Steps...)
		signal = converter.RawValue{}
	}
}

// forget leaves out what the signals said: everything is asked for now.
func (w *wakes) forget() { w.all, w.steps = false, nil }

// awaitAdmission waits until a run that is queued may begin, or is cancelled. A result says that it was ended meanwhile.
func (r *run) awaitAdmission(ctx workflow.Context) (ended *wire.RunResult, err error) {
	if r.begun {
		// The execution before may have been woken when nobody heard it.
		ended, err = r.askForAdmission(ctx)
	}
	for pause := firstAsk; ctx.Err() == nil && err == nil && ended == nil && r.queuedFor != ""; {
		r.showDetails(ctx)
		// The error is the cancellation.
		woken, _ := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: pause, TimerOptions: workflow.TimerOptions{Summary: "wait in the run queue"},
		}, r.wakes.pending)
		if !woken {
			pause = min(2*pause, lastAsk)
		}
		if ctx.Err() == nil {
			ended, err = r.askForAdmission(ctx)
		}
	}
	r.queuedFor = ""
	return ended, err
}

// askForAdmission asks whether a queued run may begin. A cancel ends the asking, and is seen in ctx.
func (r *run) askForAdmission(ctx workflow.Context) (ended *wire.RunResult, err error) {
	r.wakes.takeIn()
	r.wakes.forget()
	var answer wire.AdmitRunResult
	err = r.promptly(ctx, "admit", wire.AdmitRunActivity, wire.AdmitRunInput{
		RunID: r.id, FirstRunID: r.firstRunID, Execution: workflow.GetInfo(ctx).WorkflowExecution.RunID, At: workflow.Now(ctx).UnixNano(),
	}, &answer)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			return nil, err
		}
		return nil, nil
	case answer.Status.Ended():
		result, err := r.record(ctx, answer.Status, answer.Reason)
		return &result, err
	case answer.Status == wire.RunCanceling:
		// It was cancelled, and reset before that was heard: it has left the queue.
		result, err := r.cancel(ctx)
		return &result, err
	case answer.Admitted:
		return nil, r.admitted(ctx)
	default:
		r.queuedFor = cmp.Or(answer.Reason, r.queuedFor)
		return nil, r.continueQueued(ctx)
	}
}

// admitted lets a run begin that was queued. Its time counts from now.
func (r *run) admitted(ctx workflow.Context) error {
	r.queuedFor, r.status = "", wire.RunStarted
	if r.walkPlan.Timeout > 0 {
		r.deadline = workflow.Now(ctx).Add(r.walkPlan.Timeout)
	}
	return r.markStatus(ctx)
}

// continueQueued starts the run's next execution when the history has grown, or is old: a run may be queued for weeks.
func (r *run) continueQueued(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	if info.GetCurrentHistoryLength() < r.walkPlan.Limits.ContinueAfter && hasRoom(ctx) && workflow.Now(ctx).Sub(info.WorkflowStartTime) < queuedMaxAge {
		return nil
	}
	// The error is the cancellation, which the next round sees in ctx.
	_ = workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
	if ctx.Err() == nil {
		return r.nextExecution(ctx)
	}
	return nil
}
