package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/definitions"
)

// stepVerb is what a worker starts its own program with, for one step.
const stepVerb = "step"

// Main is the whole main of a code location's program. Its verbs:
//
//	serve        polls Temporal and runs the location's work until SIGTERM or SIGINT, then drains (the default)
//	check        validates the definitions and prints every problem
//	definitions  prints the snapshot of the definitions as JSON
//	step         runs one step for a worker, which starts it: see [Step]
//
// It ends the process: with 0, or with 1 after one message that lists everything that is wrong.
func Main(d *definitions.Definitions) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, d, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, d *definitions.Definitions, arguments, environment []string, stdout, stderr io.Writer) int {
	root := command(d, environment, stdout, stderr)
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "Error: %v\n", err)
		return 1
	}
	return 0
}

func command(d *definitions.Definitions, environment []string, stdout, stderr io.Writer) *cobra.Command {
	var file string
	var activate, verbose bool
	serve := func(cmd *cobra.Command, _ []string) error {
		settings, err := config.Load(config.LoadOptions{File: file, Environ: environment, Flags: cmd.Flags()})
		if err != nil {
			return err
		}
		level := slog.LevelInfo
		if verbose {
			level = slog.LevelDebug
		}
		log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
		return Serve(cmd.Context(), d, Options{Config: settings, Log: log, Activate: activate})
	}
	root := &cobra.Command{
		Use: "location", Short: "A code location of Perdure: serves its assets, or tells about them.",
		SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs, RunE: serve,
	}
	serving := &cobra.Command{Use: "serve", Short: "Serve the location until told to stop (the default)", Args: cobra.NoArgs, RunE: serve}
	for _, cmd := range []*cobra.Command{root, serving} {
		config.AddFlags(cmd.Flags())
		cmd.Flags().StringVar(&file, "config", "", "path of perdure.yaml; by default it is looked for in this folder and those above")
		cmd.Flags().BoolVar(&activate, "activate", false, "make this build the active one, also if it was superseded before")
		cmd.Flags().BoolVar(&verbose, "verbose", false, "log debug messages")
	}
	check := &cobra.Command{
		Use: "check", Short: "Validate the definitions", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			snapshot, err := d.Snapshot()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "location %s: %d assets, %d jobs, %d schedules, %d sensors, %d resources: valid\n",
				snapshot.Location, len(snapshot.Assets), len(snapshot.Jobs), len(snapshot.Schedules), len(snapshot.Sensors), len(snapshot.Resources))
			return err
		},
	}
	show := &cobra.Command{
		Use: "definitions", Short: "Print the snapshot of the definitions as JSON", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			snapshot, err := d.Snapshot()
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(snapshot)
		},
	}
	one := &cobra.Command{
		Use: stepVerb, Short: "Run one step for the worker that starts this process", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return Step(cmd.Context(), d) },
	}
	root.AddCommand(serving, check, show, one)
	return root
}

// Serve is New, Run and Close in one.
func Serve(ctx context.Context, d *definitions.Definitions, options Options) (err error) {
	w, err := New(ctx, d, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return w.Run(ctx)
}
