package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type reexecute struct {
	earlier, steps string
	all            bool
	run            runOptions
}

func (a *app) runReexecuteCommand() *cobra.Command {
	options := reexecute{}
	cmd := &cobra.Command{
		Use: "reexecute RUN", Short: "Run an earlier run again: from its failure, some of its steps, or all of it", Args: arguments(cobra.ExactArgs(1)),
		Long: "Start a run that executes an earlier one again, and watch it. By default it takes up what failed and what did not\n" +
			"run; what is done is loaded as it is. --steps names steps to run again, with + or * for what is before and after\n" +
			"them. It has the earlier run's config and tags; --run-config, --set and --tag are laid over them.\n" +
			"Asked for twice at once, one run is started." + settingHelp,
		Example: "  perdure run reexecute r1\n  perdure run reexecute r1 --steps 'count_page[RNO]*'\n  perdure run reexecute r1 --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.earlier = args[0]
			return a.reexecute(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.all, "all", false, "run every step again")
	flags.StringVar(&options.steps, "steps", "", "run these steps again, as etl.clean or 'count_page[RNO]*'")
	options.run.addTo(flags, "the new run's id (default: the first run's id and a number, as r1~1)")
	return cmd
}

// again turns the command line into what is asked for, all but its config; every problem at once.
func (a *app) again(options reexecute) (starter.Reexecution, givenConfig, error) {
	again := starter.Reexecution{RunID: options.earlier, ID: options.run.id, From: wire.RetryFailure, Ops: options.steps}
	var problem error
	switch {
	case options.all && options.steps != "":
		problem = usagef("give --all or --steps, not both")
	case options.all:
		again.From = wire.RetryAll
	case options.steps != "":
		again.From = wire.RetrySelection
	}
	request, given, err := a.request(options.run)
	again.Request = request
	return again, given, errors.Join(problem, err)
}

func (a *app) reexecute(ctx context.Context, options reexecute) error {
	again, given, err := a.again(options)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if again.Request.Config, err = given.encode(func() (map[string][]string, error) {
		earlier, err := s.Store.Run(ctx, options.earlier)
		if errors.Is(err, metadata.ErrNotFound) {
			return nil, nil // a problem of the request, which is told with the others
		}
		if err != nil {
			return nil, err
		}
		return configNames(ctx, s.Store, earlier.Location)()
	}); err != nil {
		return err
	}
	if options.run.dryRun {
		planned, err := s.PlanReexecution(ctx, again)
		if err != nil {
			return err
		}
		return a.printPlan(planned)
	}
	started, err := s.Reexecute(ctx, again)
	if err != nil {
		return err
	}
	return a.watchStarted(ctx, s, started, options.run.noWait)
}
