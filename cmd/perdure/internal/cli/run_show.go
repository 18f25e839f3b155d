package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
	"github.com/perdure-io/perdure/worker"
)

func (a *app) runShowCommand() *cobra.Command {
	var stacks bool
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Show a run: its status and why, its steps, what they wait for, their errors", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.showRun(cmd.Context(), args[0], stacks) },
	}
	cmd.Flags().BoolVar(&stacks, "stacks", false, "show the stacks of panics")
	return cmd
}

func (a *app) showRun(ctx context.Context, id string, stacks bool) error {
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, settings)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	run, err := store.Run(ctx, id)
	if errors.Is(err, metadata.ErrNotFound) {
		return notFound(ctx, store, id)
	}
	if err != nil {
		return err
	}
	steps, err := allSteps(ctx, store, id)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(struct {
			metadata.Run
			Plan []metadata.Step `json:"plan"`
		}{run, steps})
	}
	view := render.RunView{Run: run, Steps: steps, Link: link(settings, id)}
	if !run.Status.Ended() {
		view.WaitingFor = a.waitingFor(ctx, settings, id)
	}
	return a.print(a.style().RunDetails(view, a.clock(), stacks))
}

// notFound is the error of an id without a run: when its request was refused, the problems are the answer.
func notFound(ctx context.Context, store *metadata.Store, id string) error {
	refused, err := store.Refusals(ctx, id)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return &starter.RunError{Result: wire.RunResult{RunID: id, Status: wire.RunFailure}, Problems: refused[0].Problems}
	}
	page, err := store.Runs(ctx, metadata.RunFilter{}, "", stepPage)
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Rows))
	for i, run := range page.Rows {
		ids[i] = run.ID
	}
	near := ""
	if nearest := wire.Nearest(id, ids); nearest != "" {
		near = fmt.Sprintf("did you mean %q? ", nearest)
	}
	return fmt.Errorf("there is no run %q: %s`perdure run list` names those there are", id, near)
}

// queryTimeout bounds the question to a workflow whose workers may be gone.
const queryTimeout = 2 * time.Second

// waitingFor asks an open run's workflow what each step waits for. Without an answer, for want of a worker or of
// Temporal, the run is shown without it.
func (a *app) waitingFor(ctx context.Context, settings config.Config, id string) map[string][]string {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	temporal, err := worker.Dial(ctx, settings.Temporal, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	defer temporal.Close()
	answer, err := temporal.QueryWorkflow(ctx, id, "", wire.StepsQuery, wire.StepsQueryInput{Status: wire.StepWaiting})
	if err != nil {
		return nil
	}
	var result wire.StepsQueryResult
	if err := answer.Get(&result); err != nil {
		return nil
	}
	needs := make(map[string][]string, len(result.Steps))
	for _, step := range result.Steps {
		needs[step.Step] = step.WaitingFor
	}
	return needs
}
