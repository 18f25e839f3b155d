package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/starter"
)

type jobRun struct {
	job, ops, location string
	of                 requestOptions
	run                runOptions
}

func (a *app) jobRunCommand() *cobra.Command {
	var options jobRun
	cmd := &cobra.Command{
		Use: "run JOB", Short: "Start a run of a job, and watch it", Args: arguments(cobra.ExactArgs(1)),
		Long: "Start a run of a job, with its config and tags, and watch it to its end. --ops narrows a job of ops to some of them,\n" +
			"with + or * for what is before and after them. `perdure job scaffold-config JOB` prints what --run-config can say.\n" +
			"The exit code is 0 only when the run ends SUCCESS. Ctrl-C ends the watching, not the run." + partitionHelp + settingHelp,
		Example: "  perdure job run nightly --tag team=ops\n" +
			"  perdure job run summary --set ops.etl.clean.size=5\n" +
			"  perdure job run summary --ops '*etl.clean' --dry-run\n" +
			"  perdure job run daily --partition 2001-01-01",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.job = args[0]
			return a.runJob(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.ops, "ops", "", "run only these ops of a job of ops, as 'etl.clean' or '*etl.clean'")
	flags.StringVar(&options.location, "location", "", "the code location; needed when several have a job of this name")
	options.of.addTo(flags)
	options.run.addTo(flags, newRunID)
	return cmd
}

func (a *app) runJob(ctx context.Context, options jobRun) error {
	request, given, err := a.request(options.run)
	if err := errors.Join(options.of.addToRequest(&request), err); err != nil {
		return err
	}
	request.Job, request.Ops = options.job, options.ops
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	found, err := findJob(ctx, s.Store, options.job, options.location)
	if err != nil {
		return err
	}
	return a.startRun(ctx, s, starter.NewRun{Location: found.location, ID: options.run.id, Request: request}, given, options.run)
}
