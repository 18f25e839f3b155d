package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/program"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/metadata"
)

func (a *app) checkCommand() *cobra.Command {
	var instance bool
	cmd := &cobra.Command{
		Use: "check [DIR]", Short: "Build a code location and validate its definitions", Args: arguments(cobra.MaximumNArgs(1)),
		Long: "Build the code location in DIR (default: the current folder) and validate its definitions: every problem at once.\n" +
			"It needs no server; with --instance it also checks that Temporal and PostgreSQL can be reached and fit.",
		Example: "  perdure check ./location\n  perdure check --instance",
		RunE: func(cmd *cobra.Command, args []string) error {
			var problems []error
			// With --instance alone, a folder that holds no location is no mistake.
			if len(args) > 0 || !instance {
				problems = append(problems, a.checkLocation(cmd.Context(), folderOf(args)))
			}
			if instance {
				problems = append(problems, a.checkInstance(cmd.Context()))
			}
			return errors.Join(problems...)
		},
	}
	cmd.Flags().BoolVar(&instance, "instance", false, "also check that Temporal and PostgreSQL answer and fit; without DIR, check only that")
	return cmd
}

// folderOf is the folder that a command was given.
func folderOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// program is the location in a folder, built below the state folder.
func (a *app) program(dir, state string, environ []string) program.Program {
	dir = a.env.path(dir)
	return program.Program{
		Dir: dir, Folder: a.env.Folder, Environ: environ,
		Binary: filepath.Join(state, "build", filepath.Base(dir)+program.ExecutableSuffix),
	}
}

func (a *app) checkLocation(ctx context.Context, dir string) error {
	build, err := os.MkdirTemp("", "perdure-check-")
	if err != nil {
		return fmt.Errorf("make a folder for the build: %w", err)
	}
	defer func() { _ = os.RemoveAll(build) }() // what stays is only a temporary file
	location := a.program(dir, build, a.env.Environ)
	if err := location.Compile(ctx); err != nil {
		return buildFailure(err)
	}
	err = location.Check(ctx, a.env.Stdout, a.env.Stderr)
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return silentError{exitFailure} // the program has said what is wrong
	}
	return err
}

// buildFailure introduces what the compiler says.
func buildFailure(err error) error {
	var wrong *program.BuildError
	if errors.As(err, &wrong) && wrong.Output != "" && !wrong.Compiled {
		return fmt.Errorf("the location does not build:\n%w", err)
	}
	return err
}

func (a *app) checkInstance(ctx context.Context) error {
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	s, err := connect(ctx, settings)
	if err != nil {
		return err
	}
	defer s.close()
	return a.print(instanceSummary(settings))
}

func instanceSummary(settings config.Config) string {
	return fmt.Sprintf("Temporal at %s: answers, has namespace %s\nPostgreSQL at %s: answers, schema %s has version %d\n",
		settings.Temporal.Address, settings.Temporal.Namespace, settings.Postgres.DSN, settings.Postgres.Schema, metadata.SchemaVersion)
}
