package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) jobScaffoldConfigCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "scaffold-config JOB", Short: "Print a run config for a job, with everything that can be set, to edit", Args: arguments(cobra.ExactArgs(1)),
		Long: "Print a run config for a job as YAML, with everything in it that its runs can be configured with: what each field can\n" +
			"be, its default, and whether it is required. What holds by itself is commented out; what is required has an example.",
		Example: "  perdure job scaffold-config nightly > nightly.yaml\n  perdure job run nightly --run-config nightly.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.scaffoldConfig(cmd.Context(), args[0], location)
		},
	}
	cmd.Flags().StringVar(&location, "location", "", "the code location; needed when several have a job of this name")
	return cmd
}

func (a *app) scaffoldConfig(ctx context.Context, job, location string) error {
	if a.output == jsonFormat {
		return usagef("--output: this command prints YAML")
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	found, err := findJob(ctx, store, job, location)
	if err != nil {
		return err
	}
	text, err := found.planner.ScaffoldConfig(job, instanceFacts(settings))
	if err != nil {
		return err
	}
	return a.print(text)
}
