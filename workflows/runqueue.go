package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

const (
	// queueRound is how often somebody looks at what waits, when nobody wakes him; queueGap is how long he rests at least.
	queueRound = 10 * time.Second
	queueGap   = time.Second
	// continueQueueAfter is the number of history events from which RunQueue continues as new, and queueMaxAge how long an
	// execution lives at most.
	continueQueueAfter = 2000
	queueMaxAge        = 24 * time.Hour
	// quietFor is for how long nothing must have waited, and nobody been to be woken, before RunQueue ends: what got something
	// shortly before, and was not told of it, is found within that.
	quietFor = 5 * time.Second
	// systemTimeout is when an activity of the system queue counts as lost: it sends no heartbeats.
	systemTimeout = 20 * time.Second
)

// RunQueue is the workflow that looks after the run queue and the pools, of which a deployment has at most one: it exists while
// something waits. Whoever frees something hands it on in Postgres and wakes who gets it; this admits what was left behind,
// takes back what nobody owns any more, and wakes again who was not heard of. Whoever lets something wait starts it by the
// signal "wake". Its input is nothing, or {}.
func RunQueue(ctx workflow.Context, argument, more converter.RawValue) error {
	wakes := workflow.GetSignalChannelWithOptions(ctx, wire.WakeSignal, workflow.SignalChannelOptions{
		Description: "Says that something waits, or that a limit has changed. It brings nothing along.",
	})
	if err := decodeRunQueue(ctx, argument, more); err != nil {
		return err
	}
	var quietSince time.Time
	for number := 1; ; number++ {
		for wakes.ReceiveAsync(nil) {
			// What there is to do is read from Postgres.
		}
		began := workflow.Now(ctx)
		waiting, err := admitRuns(ctx, number)
		if err != nil {
			return err
		}
		workflow.SetCurrentDetails(ctx, queueDetails(waiting))
		switch {
		case waiting.Runs+waiting.Steps+waiting.Woken > 0:
			quietSince = time.Time{}
		case quietSince.IsZero():
			quietSince = began
		case began.Sub(quietSince) >= quietFor && wakes.Len() == 0:
			return nil
		}
		info := workflow.GetInfo(ctx)
		if info.GetCurrentHistoryLength() >= continueQueueAfter || info.GetContinueAsNewSuggested() || began.Sub(info.WorkflowStartTime) >= queueMaxAge {
			return workflow.NewContinueAsNewError(ctx, wire.RunQueueWorkflow)
		}
		if err := restUntil(ctx, began, wakes); err != nil {
			return err
		}
	}
}

func decodeRunQueue(ctx workflow.Context, argument, more converter.RawValue) error {
	var problems wire.Problems
	input := inputOf(argument)
	if input != nil {
		problems = wire.Decode(input, &wire.RunQueueInput{})
	}
	if more.Payload() != nil {
		problems = append(problems, wire.Problem{Code: wire.CodeConflict, Message: "a second argument was given", Fix: "RunQueue takes none, or {}"})
	}
	if len(problems) == 0 {
		return nil
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	info := workflow.GetInfo(ctx)
	err := workflow.ExecuteActivity(systemOptions(ctx, "refuse"), wire.RefuseActivity, wire.RefuseInput{
		WorkflowID: info.WorkflowExecution.ID, FirstRunID: info.FirstRunID, WorkflowType: wire.RunQueueWorkflow,
		Input: string(input[:min(len(input), rememberedInput)]), Problems: problems,
	}).Get(ctx, nil)
	if err != nil {
		return err
	}
	return refusal("run queue", problems)
}

func admitRuns(ctx workflow.Context, number int) (wire.AdmitRunsResult, error) {
	var waiting wire.AdmitRunsResult
	err := workflow.ExecuteActivity(systemOptions(ctx, fmt.Sprintf("admit:%d", number)), wire.AdmitRunsActivity).Get(ctx, &waiting)
	return waiting, err
}

// systemOptions are those of an activity on the queue that the workflow itself lies in, which daemons serve.
func systemOptions(ctx workflow.Context, id string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ActivityID:          wire.SystemPrefix + id,
		StartToCloseTimeout: systemTimeout, RetryPolicy: patientRetries(),
	})
}

// restUntil waits for the next round, which began at most queueRound after this one: at once when somebody wakes it, but that
// many at a time are one round.
func restUntil(ctx workflow.Context, began time.Time, wakes workflow.ReceiveChannel) error {
	left := func(of time.Duration) time.Duration { return of - workflow.Now(ctx).Sub(began) }
	summary := workflow.TimerOptions{Summary: "next look at the queue"}
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: max(left(queueRound), queueGap), TimerOptions: summary},
		func() bool { return wakes.Len() > 0 })
	if gap := left(queueGap); err == nil && gap > 0 {
		err = workflow.NewTimerWithOptions(ctx, gap, summary).Get(ctx, nil)
	}
	return err
}

// queueDetails is what Temporal's Web UI shows as the queue's current details.
func queueDetails(waiting wire.AdmitRunsResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%d** runs wait in the queue, **%d** steps for slots of pools\n", waiting.Runs, waiting.Steps)
	if len(waiting.First) > 0 {
		b.WriteString("\n| run | step | priority | since | waits for |\n|---|---|---|---|---|\n")
	}
	for _, row := range waiting.First {
		step := ""
		if row.Step != "" {
			step = "`" + row.Step + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %d | %s | %s |\n", row.RunID, step, row.Priority, row.Since, strings.ReplaceAll(row.Reason, "|", "\\|"))
	}
	if rest := waiting.Runs + waiting.Steps - len(waiting.First); rest > 0 && len(waiting.First) > 0 {
		fmt.Fprintf(&b, "\nand %d more: `perdure queue show` lists them\n", rest)
	}
	return b.String()
}
