package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) runWatchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "watch RUN", Short: "Watch a run to its end", Args: arguments(cobra.ExactArgs(1)),
		Long: "Watch a run's steps until it has ended. The exit code is 0 only when it ends SUCCESS. Ctrl-C ends the watching,\n" +
			"not the run.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.watchRun(cmd.Context(), args[0]) },
	}
}

func (a *app) watchRun(ctx context.Context, id string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	f := a.newFollower(s, id)
	run, err := s.Store.Run(ctx, id)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		// It may wait for a worker yet, or have been refused.
		if _, describeErr := s.Temporal.DescribeWorkflowExecution(ctx, id, ""); describeErr != nil {
			return notFound(ctx, s.Store, id)
		}
	case err != nil:
		return err
	case run.Status.Ended():
		// Temporal may have forgotten it.
		if err := f.look(ctx); err != nil {
			return err
		}
		return f.conclude(resultOf(run, f.view.Steps), nil)
	}
	return f.conclude(f.follow(ctx))
}

// resultOf is the result of a run that has ended, from its rows.
func resultOf(run metadata.Run, steps []metadata.Step) wire.RunResult {
	result := wire.RunResult{RunID: run.ID, Status: run.Status, Steps: run.Steps, Failures: run.Failures, Materialized: []string{}}
	for _, step := range steps {
		if step.Result != nil {
			result.Materialized = append(result.Materialized, step.Result.Materialized...)
		}
	}
	return result
}
