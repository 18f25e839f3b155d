package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) backfillPauseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pause BACKFILL", Short: "Start no more runs of a backfill; open ones end as they would", Args: arguments(cobra.ExactArgs(1)),
		Example: "  perdure backfill pause bf1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.steerBackfill(cmd.Context(), args[0], (*starter.Starter).PauseBackfill, "is paused once its workflow has heard of it; `%[1]s backfill resume %[2]s` lets it go on")
		},
	}
}

func (a *app) backfillResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume BACKFILL", Short: "Let a paused backfill go on", Args: arguments(cobra.ExactArgs(1)),
		Example: "  perdure backfill resume bf1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.steerBackfill(cmd.Context(), args[0], (*starter.Starter).ResumeBackfill, "goes on; `%[1]s backfill watch %[2]s` watches it")
		},
	}
}

func (a *app) backfillCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel BACKFILL", Short: "Stop a backfill and its open runs: it ends CANCELED", Args: arguments(cobra.ExactArgs(1)),
		Long:    "Stop a backfill: its open runs are cancelled, and it ends CANCELED. What was made stays made.",
		Example: "  perdure backfill cancel bf1",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.steerBackfill(cmd.Context(), args[0], (*starter.Starter).CancelBackfill, "was told to stop; `%[1]s backfill watch %[2]s` waits for its end")
		},
	}
}

// steerBackfill tells an open backfill something.
func (a *app) steerBackfill(ctx context.Context, id string, tell func(*starter.Starter, context.Context, string) error, told string) error {
	s, err := a.openBackfill(ctx, id)
	if err != nil {
		return err
	}
	defer s.close()
	if err := tell(s.Starter, ctx, id); err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(map[string]string{"backfill_id": id})
	}
	return a.print(fmt.Sprintf("backfill %[2]s "+told+"\n", a.env.Program, id))
}

// openBackfill connects to tell a backfill something, which must not have ended. Close what it returns.
func (a *app) openBackfill(ctx context.Context, id string) (*session, error) {
	s, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	row, err := s.Store.Backfill(ctx, id)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		// It may wait for a worker yet.
		if _, err = s.Temporal.DescribeWorkflowExecution(ctx, id, ""); err != nil {
			err = noBackfill(ctx, s.Store, id)
		}
	case err == nil && row.Status.Ended():
		err = fmt.Errorf("backfill %s has ended already: %s, %s", id, row.Status, a.clock().Moment(row.EndedAt))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (a *app) backfillConcurrencyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set-concurrency BACKFILL RUNS", Short: "Change how many runs of a backfill are open at once", Args: arguments(cobra.ExactArgs(2)),
		Long:    "Change how many runs of a backfill are open at once, from now on. Open ones above it end as they would.",
		Example: "  perdure backfill set-concurrency bf1 50",
		RunE: func(cmd *cobra.Command, args []string) error {
			runs, err := strconv.Atoi(args[1])
			if err != nil || runs < 1 || runs > wire.MaxConcurrentRuns {
				return usagef("RUNS is %s and must be 1 to %d", args[1], wire.MaxConcurrentRuns)
			}
			return a.setConcurrency(cmd.Context(), args[0], runs)
		},
	}
}

func (a *app) setConcurrency(ctx context.Context, id string, runs int) error {
	s, err := a.openBackfill(ctx, id)
	if err != nil {
		return err
	}
	defer s.close()
	progress, err := s.SetConcurrency(ctx, id, runs)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(progress)
	}
	return a.print(fmt.Sprintf("backfill %s has at most %d runs open at once\n", id, progress.MaxConcurrentRuns))
}
