package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/internal/daemon"
)

func (a *app) daemonCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "daemon", Short: "Put right what was terminated or never began, and delete what is old, until told to stop", Args: arguments(cobra.NoArgs),
		Long: "Watch over the runs of an instance: what someone terminates in Temporal, what times out and what no worker takes\n" +
			"is recorded with its reason within a minute; runs that do not begin, stop or end in time are ended; runs that failed\n" +
			"are started again where that is set; and what is older than the instance keeps is deleted. Any number of daemons may run: one of them does the work, and another\n" +
			"takes over when it dies. `perdure dev` includes it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(a.env.Stderr, &slog.HandlerOptions{Level: level}))
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			return runDaemon(cmd.Context(), s, log)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log debug messages")
	return cmd
}

// runDaemon is a daemon until ctx ends.
func runDaemon(ctx context.Context, s *session, log *slog.Logger) error {
	printed, err := computelog.Open(ctx, s.settings.Storage.URL, computelog.Options{})
	if err != nil {
		return err
	}
	watch := &daemon.Daemon{
		Temporal: s.Temporal, Store: s.Store, Starter: s.Starter, ComputeLogs: printed, Retention: s.settings.Retention, Limits: s.settings.Run,
		Namespace: s.settings.Temporal.Namespace, Log: log,
	}
	return errors.Join(watch.Run(ctx), printed.Close())
}
