package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/internal/daemon"
)

func (a *app) daemonCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "daemon", Short: "Put right what was terminated or never began, and delete what is old, until told to stop", Args: arguments(cobra.NoArgs),
		Long: "Watch over the runs of an instance: what someone terminates in Temporal, what times out and what no worker takes\n" +
			"is recorded with its reason within a minute; runs that do not begin, stop or end in time are ended; runs that failed\n" +
			"are started again where that is set; what is older than the instance keeps is deleted; and alerts are sent. Any number\n" +
			"of daemons may run, with the same configuration: one of them does the work, and another takes over when it dies.\n" +
			" `perdure dev` includes it.",
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
			return a.runDaemon(cmd.Context(), s, log)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log debug messages")
	return cmd
}

// runDaemon is a daemon until ctx ends.
func (a *app) runDaemon(ctx context.Context, s *session, log *slog.Logger) error {
	printed, err := computelog.Open(ctx, s.settings.Storage.URL, computelog.Options{})
	if err != nil {
		return err
	}
	if err := configureQueue(ctx, s.Store, s.settings.Queue, log); err != nil {
		return errors.Join(err, printed.Close())
	}
	watch := &daemon.Daemon{
		Temporal: s.Temporal, Store: s.Store, Starter: s.Starter, ComputeLogs: printed, Retention: s.settings.Retention, Limits: s.settings.Run,
		Namespace: s.settings.Temporal.Namespace, Log: log,
	}
	teller, err := alerts.New(a.alerting(s.Store, s.settings, log))
	if err != nil {
		return errors.Join(err, printed.Close())
	}
	var running errgroup.Group
	running.Go(func() error { return watch.Run(ctx) })
	running.Go(func() error { return teller.Run(ctx) })
	return errors.Join(running.Wait(), printed.Close())
}
