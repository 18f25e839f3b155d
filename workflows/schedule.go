package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// lookAgainAfter is how soon it is looked again whether open runs have ended, when nothing wakes the workflow before: their ends do,
	// but nobody hears that a failed one is not executed again.
	lookAgainAfter = 10 * time.Second
	// continueScheduleAfter is the number of history events from which a workflow that waits for open runs continues as new, unless
	// evaluating says another.
	continueScheduleAfter = 1000
	// shownTicks bounds the ticks in the result: the last ones are in it.
	shownTicks = 200
)

// scheduledStart is where Temporal says for which time a schedule has started a workflow.
const scheduledStart = "TemporalScheduledStartTime"

// ScheduleTick is the workflow that a schedule's Temporal Schedule starts: it has evaluated what is due, and waits where ticks must
// wait for the runs before them. Its input is one wire.ScheduleTickRequest; the second argument is what an execution that continued
// as new carries along, and refused from anybody else. Its result is a wire.ScheduleTickResult.
//
// All that matters is in Postgres: it may be terminated and started again at any time. A tick that fails does not fail it.
func ScheduleTick(ctx workflow.Context, request, carried converter.RawValue) (wire.ScheduleTickResult, error) {
	t := &scheduleTick{info: workflow.GetInfo(ctx)}
	if err := t.decode(ctx, request, carried); err != nil {
		return wire.ScheduleTickResult{}, err
	}
	return t.work(ctx)
}

type scheduleTick struct {
	info    *workflow.Info
	request wire.ScheduleTickRequest
	shown   converter.RawValue
	input   wire.EvaluateScheduleInput
	result  wire.ScheduleTickResult
	calls   int
}

// carriedSchedule is what an execution takes along when it continues as new. It lies in histories: fields are only added.
type carriedSchedule struct {
	V     int                  `json:"v"`
	Ticks []wire.ScheduledTick `json:"ticks"`
}

func (t *scheduleTick) decode(ctx workflow.Context, request, carried converter.RawValue) error {
	continued := carried.Payload() != nil && t.info.ContinuedExecutionRunID != ""
	problems := wire.Decode(inputOf(request), &t.request)
	if len(problems) == 0 && t.request.Schedule == "" {
		problems = append(problems, wire.Problem{Path: "schedule", Code: wire.CodeMissing, Message: "no schedule was named", Fix: `give {"schedule":"NAME"}`})
	}
	if len(problems) == 0 && t.request.At != "" {
		problems = append(problems, manualProblems(t.request)...)
	}
	if carried.Payload() != nil && !continued {
		problems = append(problems, wire.Problem{Code: wire.CodeConflict, Message: "a second argument was given", Fix: "ScheduleTick takes one JSON object"})
	}
	if len(problems) > 0 {
		return refuseRequest(ctx, wire.ScheduleTickWorkflow, "schedule tick", request, problems)
	}
	t.shown, t.result = request, wire.ScheduleTickResult{Schedule: t.request.Schedule, Ticks: []wire.ScheduledTick{}}
	t.input = wire.EvaluateScheduleInput{Schedule: t.request.Schedule, Queue: t.info.TaskQueueName, Times: t.request.Times}
	if continued {
		var state carriedSchedule
		if err := converter.GetDefaultDataConverter().FromPayload(carried.Payload(), &state); err != nil {
			return fmt.Errorf("read what %q carried along: %w", t.info.WorkflowExecution.ID, err)
		}
		t.result.Ticks = state.Ticks
		return nil
	}
	began := t.info.WorkflowStartTime.UTC()
	if t.request.Manual {
		t.input.Manual, t.input.At = true, t.request.At
		if t.input.At == "" {
			t.input.At = began.Truncate(time.Second).Format(time.RFC3339)
		}
		return nil
	}
	var woken time.Time
	if attribute(ctx, scheduledStart, &woken) {
		t.input.WokenAt, t.input.StartedAt = woken.UTC().Format(time.RFC3339), began.Format(time.RFC3339Nano)
	}
	return nil
}

func manualProblems(request wire.ScheduleTickRequest) wire.Problems {
	var problems wire.Problems
	problems = append(problems, timeProblems(request.At)...)
	if !request.Manual {
		problems = append(problems, wire.Problem{Path: "at", Code: wire.CodeConflict, Message: "a time was given, and no manual tick was asked for", Fix: `give "manual":true beside it`})
	}
	return problems
}

// timeProblems says what is wrong with the nominal time of a tick. Postgres knows no year 0.
func timeProblems(at string) wire.Problems {
	if nominal, err := time.Parse(time.RFC3339, at); err == nil && nominal.UTC().Year() > 0 {
		return nil
	}
	return wire.Problems{{
		Path: "at", Code: wire.CodeInvalid, Message: fmt.Sprintf("%q is no time of RFC 3339", at), Fix: "give one such as 2001-04-01T06:00:00Z",
	}}
}

// work has evaluated what is due until nothing is left to do and nothing waits.
func (t *scheduleTick) work(ctx workflow.Context) (wire.ScheduleTickResult, error) {
	woken := workflow.GetSignalChannel(ctx, wire.WakeSignal)
	for {
		t.show(ctx, "evaluates what is due")
		var answer wire.EvaluateScheduleResult
		t.calls++
		err := workflow.ExecuteActivity(evaluateOptions(ctx, t.info.TaskQueueName, fmt.Sprintf("evaluate-%d", t.calls), t.request.Schedule), wire.EvaluateScheduleActivity, t.input).Get(ctx, &answer)
		if err != nil {
			return wire.ScheduleTickResult{}, refusedAs("schedule tick", err)
		}
		t.input.WokenAt, t.input.StartedAt, t.input.Manual, t.input.At = "", "", false, ""
		t.merge(answer)
		switch {
		case answer.More:
		case answer.Waiting != "":
			t.show(ctx, answer.Waiting)
			t.wait(ctx, woken, lookAgainAfter, "open runs")
		case answer.Until != "":
			until, err := time.Parse(time.RFC3339, answer.Until)
			if err != nil {
				return wire.ScheduleTickResult{}, fmt.Errorf("the time until which a tick is delayed: %w", err)
			}
			t.show(ctx, "the next tick is delayed until "+answer.Until)
			t.wait(ctx, woken, until.Sub(workflow.Now(ctx)), "jitter")
		default:
			t.show(ctx, "done")
			return t.result, nil
		}
		if ctx.Err() != nil {
			return wire.ScheduleTickResult{}, ctx.Err()
		}
		if t.info.GetCurrentHistoryLength() >= cmp.Or(answer.ContinueAfter, continueScheduleAfter) || t.info.GetContinueAsNewSuggested() {
			return wire.ScheduleTickResult{}, workflow.NewContinueAsNewError(ctx, wire.ScheduleTickWorkflow, t.shown, carriedSchedule{V: wire.Version, Ticks: t.result.Ticks})
		}
	}
}

// wait waits for a while, or until somebody says that something may have changed.
func (t *scheduleTick) wait(ctx workflow.Context, woken workflow.ReceiveChannel, patience time.Duration, why string) {
	timed, stop := workflow.WithCancel(ctx)
	timer := workflow.NewTimerWithOptions(timed, max(patience, time.Second), workflow.TimerOptions{Summary: why})
	// The error is the cancellation, which the caller sees in ctx.
	_ = workflow.Await(ctx, func() bool { return timer.IsReady() || woken.Len() > 0 })
	stop()
	for {
		var nothing converter.RawValue
		if !woken.ReceiveAsync(&nothing) {
			return
		}
	}
}

// merge takes in what has become of ticks.
func (t *scheduleTick) merge(answer wire.EvaluateScheduleResult) {
	t.result.Note = answer.Note
	for _, tick := range answer.Ticks {
		known := false
		for i := range t.result.Ticks {
			if known = t.result.Ticks[i].ID == tick.ID; known {
				t.result.Ticks[i] = tick
				break
			}
		}
		if !known {
			t.result.Ticks = append(t.result.Ticks, tick)
		}
	}
	if surplus := len(t.result.Ticks) - shownTicks; surplus > 0 {
		t.result.Ticks = t.result.Ticks[surplus:]
	}
	t.result.Ticks = wire.LastScheduledTicks(t.result.Ticks)
	if len(t.result.Ticks) > 0 && answer.Note == "the schedule is stopped" {
		t.result.Note = ""
	}
}

// show sets what Temporal's Web UI shows as the workflow's current details.
func (t *scheduleTick) show(ctx workflow.Context, does string) {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** %s\n", t.request.Schedule, does)
	if t.result.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", t.result.Note)
	}
	if len(t.result.Ticks) > 0 {
		b.WriteString("\n| tick | status | runs | |\n|---|---|---|---|\n")
	}
	for _, tick := range t.result.Ticks[max(0, len(t.result.Ticks)-shownSteps):] {
		var runs []string
		for _, run := range tick.Runs[:min(len(tick.Runs), shownNeeds)] {
			runs = append(runs, "`"+run.RunID+"`")
		}
		why := tick.Skip
		if tick.Error != "" {
			why = firstLine(tick.Error)
		}
		fmt.Fprintf(&b, "| %s | %s | %s%s | %s |\n", tick.Nominal, tick.Status, strings.Join(runs, " "), more(len(tick.Runs)-shownNeeds), why)
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// evaluateOptions are those of what calls functions of schedules and sensors, each of which has a timeout of its own.
func evaluateOptions(ctx workflow.Context, queue, id, text string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID: wire.SystemPrefix + id, TaskQueue: wire.EvaluationQueue(queue), Summary: summary(text),
		StartToCloseTimeout: unbounded, HeartbeatTimeout: heartbeatTimeout, RetryPolicy: patientRetries(), WaitForCancellation: true,
	})
}

// refuseRequest remembers a request that was refused, by one row and nothing else, and is the failure that says so.
func refuseRequest(ctx workflow.Context, workflowType, what string, request converter.RawValue, problems wire.Problems) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	info, input := workflow.GetInfo(ctx), inputOf(request)
	err := workflow.ExecuteActivity(controlOptions(ctx, info.TaskQueueName, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: info.WorkflowExecution.ID, FirstRunID: info.FirstRunID, WorkflowType: workflowType,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return refusal(what, problems)
}
