package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/perdure-io/perdure/wire"
)

// handle registers the query "progress", the update "set_concurrency" and the signals "pause" and "resume".
func (b *backfill) handle(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.ProgressQuery, func() (wire.BackfillProgress, error) { return b.progress, nil },
		workflow.QueryHandlerOptions{Description: "How far the backfill is: counts by asset, rate, time left, first failures."})
	if err != nil {
		return fmt.Errorf("serve the query %q: %w", wire.ProgressQuery, err)
	}
	err = workflow.SetUpdateHandlerWithOptions(ctx, wire.SetConcurrencyUpdate, b.setConcurrency, workflow.UpdateHandlerOptions{
		Description: `Changes how many runs are open at once: {"max_concurrent_runs":50}. Those that are open end as they would.`,
		Validator:   func(argument converter.RawValue) error { _, err := windowOf(argument); return err },
	})
	if err != nil {
		return fmt.Errorf("serve the update %q: %w", wire.SetConcurrencyUpdate, err)
	}
	b.listen(ctx)
	return nil
}

// listen has what the signals "pause" and "resume" ask for written down. What a signal brings along is not read. One coroutine
// hears both, always ready, so that it hears them in their order; another writes the last of them, one after the other: two
// that are written at once may end in either order.
func (b *backfill) listen(ctx workflow.Context) {
	// A signal counts also when the backfill is cancelled with it.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	selector := workflow.NewSelector(ctx)
	hear := func(name, description string, paused bool) {
		signals := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
		b.signals = append(b.signals, signals)
		selector.AddReceive(signals, func(signals workflow.ReceiveChannel, _ bool) {
			var ignored converter.RawValue
			signals.Receive(ctx, &ignored)
			b.asked, b.askedPaused = b.asked+1, paused
		})
	}
	hear(wire.PauseSignal, "Starts no more runs; those that are open end as they would.", true)
	hear(wire.ResumeSignal, "Starts runs again.", false)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			selector.Select(ctx)
		}
	})
	workflow.Go(ctx, func(ctx workflow.Context) {
		for workflow.Await(ctx, func() bool { return b.begun && b.answered != b.asked }) == nil {
			answering, paused := b.asked, b.askedPaused
			// It is tried until it is written down: the error is that of a worker that cannot do it.
			if _, err := b.steer(ctx, wire.SteerBackfillInput{Paused: &paused}); err != nil {
				workflow.GetLogger(ctx).Error("a backfill was not paused or resumed", "paused", paused, "error", err)
			}
			b.answered = answering
		}
	})
	b.turns = newTurns(ctx)
}

func windowOf(argument converter.RawValue) (int, error) {
	var input wire.SetConcurrencyInput
	problems := wire.Decode(inputOf(argument), &input)
	if len(problems) == 0 && (input.MaxConcurrentRuns < 1 || input.MaxConcurrentRuns > wire.MaxConcurrentRuns) {
		problems = wire.Problems{wire.ConcurrencyProblem(input.MaxConcurrentRuns)}
	}
	if len(problems) > 0 {
		return 0, refusal("update", problems)
	}
	return input.MaxConcurrentRuns, nil
}

func (b *backfill) setConcurrency(ctx workflow.Context, argument converter.RawValue) (wire.BackfillProgress, error) {
	window, err := windowOf(argument)
	if err != nil {
		return wire.BackfillProgress{}, err
	}
	if err := workflow.Await(ctx, func() bool { return b.begun }); err != nil {
		return wire.BackfillProgress{}, err
	}
	return b.steer(ctx, wire.SteerBackfillInput{MaxConcurrentRuns: window})
}

// steer writes down what a person wants: whoever works on the backfill reads it there, soon.
func (b *backfill) steer(ctx workflow.Context, input wire.SteerBackfillInput) (wire.BackfillProgress, error) {
	input.BackfillID, input.FirstRunID = b.id, b.firstRunID
	var progress wire.BackfillProgress
	if err := b.oneSteers.Lock(ctx); err != nil {
		return progress, err
	}
	defer b.oneSteers.Unlock()
	b.steers++
	err := workflow.ExecuteActivity(controlOptions(ctx, b.queue, fmt.Sprintf("steer:%d", b.steers)), wire.SteerBackfillActivity, input).Get(ctx, &progress)
	if err != nil {
		return progress, fmt.Errorf("steer backfill %q: %w", b.id, err)
	}
	b.progress = progress
	b.changes++
	b.showDetails(ctx)
	return progress, nil
}

// shownAssets is how many assets the current details list.
const shownAssets = 20

// showDetails sets what Temporal's Web UI shows as the backfill's current details. It costs no history.
func (b *backfill) showDetails(ctx workflow.Context) {
	p := b.progress
	var text strings.Builder
	fmt.Fprintf(&text, "**%s**", p.Status)
	if p.Paused {
		text.WriteString(" (paused)")
	}
	text.WriteString(" " + progressLine(p) + "\n")
	if p.Reason != "" {
		fmt.Fprintf(&text, "\n%s\n", p.Reason)
	}
	if len(p.Assets) > 0 {
		text.WriteString("\n| asset | done | in progress | failed | blocked | of |\n|---|---|---|---|---|---|\n")
		for _, asset := range p.Assets[:min(len(p.Assets), shownAssets)] {
			fmt.Fprintf(&text, "| `%s` | %d | %d | %d | %d | %d |\n", asset.Asset, asset.Materialized, asset.InProgress, asset.Failed, asset.Blocked, asset.Targeted)
		}
		if rest := len(p.Assets) - shownAssets; rest > 0 {
			fmt.Fprintf(&text, "\nand %d more assets\n", rest)
		}
	}
	if len(p.Failures) > 0 {
		text.WriteString("\n**Failed**\n\n")
		for _, failure := range p.Failures[:min(len(p.Failures), shownFailures)] {
			fmt.Fprintf(&text, "- `%s`: %s\n", failure.RunID, firstLine(failure.Message))
		}
	}
	workflow.SetCurrentDetails(ctx, text.String())
}

func progressLine(p wire.BackfillProgress) string {
	done, total := 0, 0
	for _, asset := range p.Assets {
		done, total = done+asset.Materialized, total+asset.Targeted
	}
	line := fmt.Sprintf("%d of %d partitions, %d runs open (at most %d), %d succeeded, %d failed",
		done, total, p.Runs.Open, p.MaxConcurrentRuns, p.Runs.Succeeded, p.Runs.Failed)
	if p.RunsPerMinute > 0 && !p.Status.Ended() {
		line += fmt.Sprintf(", %.0f runs a minute", p.RunsPerMinute)
	}
	if p.TimeLeft != "" {
		line += ", " + p.TimeLeft + " left"
	}
	return line
}
