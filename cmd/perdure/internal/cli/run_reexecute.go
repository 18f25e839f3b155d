package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type reexecute struct {
	run, id, steps, priority, title, note string
	all                                   bool
	configFile                            string
	settings, tags                        []string
	dryRun, noWait                        bool
}

func (a *app) runReexecuteCommand() *cobra.Command {
	options := reexecute{}
	cmd := &cobra.Command{
		Use: "reexecute RUN", Short: "Run an earlier run again: from its failure, some of its steps, or all of it", Args: arguments(cobra.ExactArgs(1)),
		Long: "Start a run that executes an earlier one again, and watch it. By default it takes up what failed and what did not\n" +
			"run; what is done is loaded as it is. --steps names steps to run again, with + or * for what is before and after\n" +
			"them. It has the earlier run's config and tags; --run-config, --set and --tag are laid over them.\n" +
			"Asked for twice at once, one run is started.",
		Example: "  perdure run reexecute r1\n  perdure run reexecute r1 --steps 'count_page[RNO]*'\n  perdure run reexecute r1 --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.run = args[0]
			return a.reexecute(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.all, "all", false, "run every step again")
	flags.StringVar(&options.steps, "steps", "", "run these steps again, as etl.clean or 'count_page[RNO]*'")
	flags.StringVar(&options.id, "id", "", "the new run's id (default: the first run's id and a number, as r1~1)")
	flags.StringVar(&options.configFile, "run-config", "", "run config, a YAML or JSON file; - is standard input")
	flags.StringArrayVar(&options.settings, "set", nil, "one value of the run config, as assets.route_delays.min_flights=5; repeatable")
	flags.StringArrayVar(&options.tags, "tag", nil, "a tag KEY=VALUE of the run; repeatable")
	flags.StringVar(&options.priority, "priority", "", "1 (first) to 5, or high, normal, low, backfill")
	flags.StringVar(&options.title, "title", "", "a title for people")
	flags.StringVar(&options.note, "note", "", "a note for people")
	flags.BoolVar(&options.dryRun, "dry-run", false, "show what would run, in order and why, and start nothing")
	flags.BoolVar(&options.noWait, "no-wait", false, "return as soon as the run is started")
	return cmd
}

// again turns the command line into what is asked for; every problem at once.
func (a *app) again(options reexecute) (starter.Reexecution, error) {
	again := starter.Reexecution{
		RunID: options.run, ID: options.id, From: wire.RetryFailure, Ops: options.steps,
		Request: wire.RunRequest{Title: options.title, Note: options.note},
	}
	var problems []error
	switch {
	case options.all && options.steps != "":
		problems = append(problems, usagef("give --all or --steps, not both"))
	case options.all:
		again.From = wire.RetryAll
	case options.steps != "":
		again.From = wire.RetrySelection
	}
	if options.dryRun && options.noWait {
		problems = append(problems, usagef("--no-wait makes no sense with --dry-run, which starts nothing"))
	}
	var err error
	again.Request.Config, err = a.runConfig(options.configFile, options.settings)
	problems = append(problems, err)
	again.Request.Tags, err = pairs("tag", options.tags)
	problems = append(problems, err)
	if options.priority != "" {
		if again.Request.Priority, err = wire.ParsePriority(options.priority); err != nil {
			problems = append(problems, usagef("--priority %w", err))
		}
	}
	return again, errors.Join(problems...)
}

func (a *app) reexecute(ctx context.Context, options reexecute) error {
	again, err := a.again(options)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if options.dryRun {
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
	return a.watchStarted(ctx, s, started, options.noWait)
}
