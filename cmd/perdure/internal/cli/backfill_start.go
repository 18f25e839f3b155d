package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type backfillStart struct {
	selections         []string
	job, ops, location string
	of                 requestOptions
	concurrent         int
	run                runOptions
}

func (a *app) backfillStartCommand() *cobra.Command {
	var options backfillStart
	cmd := &cobra.Command{
		Use: "start [SELECTION...]", Short: "Start a backfill, and watch it",
		Long: "Start a backfill of the selected assets, or of a job, and watch it to its end. --partition, --partitions, --range or\n" +
			"--all-partitions say which partitions: those of the selection's root, and what hangs on it is made for those that they\n" +
			"map to. Config, tags and texts are those of all its runs. The exit code is 0 only when everything was made. Ctrl-C ends\n" +
			"the watching, not the backfill." + settingHelp,
		Example: "  perdure backfill start route_delays --range 2001-01-01..2001-03-31\n" +
			"  perdure backfill start 'route_delays+' --all-partitions --only missing --max-concurrent-runs 50\n" +
			"  perdure backfill start --job daily --range 2001-01-01..2001-01-31 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.selections = args
			return a.startBackfill(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.job, "job", "", "make what this job makes, with its config and tags")
	flags.StringVar(&options.ops, "ops", "", "run only these ops of a job of ops, as 'etl.clean' or '*etl.clean'")
	flags.StringVar(&options.location, "location", "", "the code location; needed when there are several")
	options.of.addTo(flags)
	addConcurrency(flags, &options.concurrent)
	options.run.addTo(flags, "the backfill's id, also Temporal's workflow id (default: one is made)")
	return cmd
}

func addConcurrency(flags *pflag.FlagSet, concurrent *int) {
	flags.IntVar(concurrent, "max-concurrent-runs", 0, fmt.Sprintf("how many of its runs are open at once, at most %d (default: %d)", wire.MaxConcurrentRuns, wire.DefaultConcurrentRuns))
}

func checkConcurrency(given int) error {
	if given < 0 || given > wire.MaxConcurrentRuns {
		return usagef("--max-concurrent-runs is %d and must be 1 to %d", given, wire.MaxConcurrentRuns)
	}
	return nil
}

func (a *app) startBackfill(ctx context.Context, options backfillStart) error {
	var problem error
	switch {
	case len(options.selections) == 0 && options.job == "":
		problem = usagef(`name what to make: a selection such as "*" or "route_delays+", or --job`)
	case len(options.selections) > 0 && options.job != "":
		problem = usagef("name a selection or --job, not both")
	}
	run, given, err := a.request(options.run)
	if err := errors.Join(problem, options.of.addToRequest(&run), checkConcurrency(options.concurrent), err); err != nil {
		return err
	}
	request := wire.BackfillRequest{
		Assets: union(options.selections), Job: options.job, Ops: options.ops, Partition: run.Partition, Partitions: run.Partitions, Range: run.Range,
		AllPartitions: run.AllPartitions, Only: run.Only, AsOf: run.AsOf, MaxConcurrentRuns: options.concurrent,
		Tags: run.Tags, Priority: run.Priority, Title: run.Title, Note: run.Note,
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	location, err := oneLocation(ctx, s.Store, options.location)
	if err != nil {
		return err
	}
	if request.Config, err = given.encode(configNames(ctx, s.Store, location)); err != nil {
		return err
	}
	return a.launchBackfill(ctx, s, starter.NewBackfill{Location: location, ID: options.run.id, Request: request}, options.run)
}

// launchBackfill starts a backfill and watches it, or shows what it would do.
func (a *app) launchBackfill(ctx context.Context, s *session, backfill starter.NewBackfill, options runOptions) error {
	if options.dryRun {
		backfill.ID = cmp.Or(backfill.ID, "backfill") // the ids of the runs begin with it
		planned, err := s.TryBackfill(ctx, backfill)
		if err != nil {
			return err
		}
		dryRun, err := planned.DryRun()
		if err != nil {
			return err
		}
		return a.printBackfillPlan(backfill.ID, dryRun)
	}
	started, err := s.StartBackfill(ctx, backfill)
	if err != nil {
		return err
	}
	if options.noWait {
		return a.printStartedBackfill(s, started)
	}
	follower := a.newBackfillFollower(s, started.ID)
	if !started.Polled {
		follower.unpolled = started.Queue
	}
	if a.output == tableFormat && follower.painter == nil {
		if err := a.print("started backfill " + started.ID + "\n"); err != nil {
			return err
		}
	}
	return follower.conclude(follower.follow(ctx))
}

func (a *app) printStartedBackfill(s *session, started starter.StartedRun) error {
	if a.output == jsonFormat {
		return a.printJSON(struct {
			BackfillID string `json:"backfill_id"`
			Queue      string `json:"queue"`
			Polled     bool   `json:"polled"`
			FirstRunID string `json:"first_run_id"`
		}{started.ID, started.Queue, started.Polled, started.FirstRunID})
	}
	text := "started backfill " + started.ID + "\n" + link(s.settings, started.ID) + "\n"
	if !started.Polled {
		text += "it waits: no worker polls the task queue \"" + started.Queue + "\"; start the location\n"
	}
	return a.print(text)
}

// shownPlannedRuns is how many runs of a dry run are listed for people.
const shownPlannedRuns = 50

func (a *app) printBackfillPlan(id string, planned *wire.BackfillPlan) error {
	if a.output == jsonFormat {
		return a.printJSON(wire.BackfillResult{BackfillID: id, Assets: []wire.BackfillAsset{}, Plan: planned})
	}
	style := a.style()
	shown := planned.Runs[:min(len(planned.Runs), shownPlannedRuns)]
	rows := make([][]string, len(shown))
	for i, run := range shown {
		rows[i] = []string{run.RunID, render.OneLine(wire.AssetSelection{Keys: run.Assets}.String()), render.OneLine(plannedPartitions(run)), run.Reason}
		if run.RetryOf != "" {
			rows[i][3] = "executes " + run.RetryOf + " again; " + rows[i][3]
		}
	}
	text := style.BackfillTable(planned.Assets) + "\n" +
		style.Table([]render.Column{{Title: "run"}, {Title: "makes"}, {Title: "partitions"}, {Title: "reason"}}, rows)
	if hidden := planned.RunCount - len(shown); hidden > 0 {
		text += fmt.Sprintf("and %s more; -o json lists the first %s\n", render.Number(int64(hidden)), render.Number(int64(len(planned.Runs))))
	}
	count := render.Count(planned.RunCount, "run")
	if planned.MoreRuns {
		count = "more than " + count
	}
	return a.print(text + "\n" + count + " would be started; nothing was\n")
}

func plannedPartitions(run wire.PlannedBackfillRun) string {
	return partitionsOf(wire.BackfillRequest{Partition: run.Partition, Range: run.Range, Partitions: run.Partitions})
}

type backfillRetry struct {
	earlier    string
	all        bool
	concurrent int
	run        runOptions
}

func (a *app) backfillRetryCommand() *cobra.Command {
	var options backfillRetry
	cmd := &cobra.Command{
		Use: "retry BACKFILL", Short: "Make what an earlier backfill has not made, or all of it", Args: arguments(cobra.ExactArgs(1)),
		Long: "Start a backfill that makes what an earlier one has not made: of what failed, the last run is executed again from its\n" +
			"failure, and what waited for that is made after it. It has the earlier one's config and tags; --run-config, --set and\n" +
			"--tag are laid over them. --all makes everything anew." + settingHelp,
		Example: "  perdure backfill retry bf1\n  perdure backfill retry bf1 --all --id bf1-again",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.earlier = args[0]
			return a.retryBackfill(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.all, "all", false, "make everything anew that it was for")
	addConcurrency(flags, &options.concurrent)
	options.run.addTo(flags, "the new backfill's id (default: one is made)")
	return cmd
}

func (a *app) retryBackfill(ctx context.Context, options backfillRetry) error {
	run, given, err := a.request(options.run)
	if err := errors.Join(checkConcurrency(options.concurrent), err); err != nil {
		return err
	}
	request := wire.BackfillRequest{
		RetryOf: &wire.RetryOf{RunID: options.earlier, From: wire.RetryFailure}, MaxConcurrentRuns: options.concurrent,
		Tags: run.Tags, Priority: run.Priority, Title: run.Title, Note: run.Note,
	}
	if options.all {
		request.RetryOf.From = wire.RetryAll
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	earlier, err := s.Store.Backfill(ctx, options.earlier)
	if errors.Is(err, metadata.ErrNotFound) {
		return noBackfill(ctx, s.Store, options.earlier)
	}
	if err != nil {
		return err
	}
	if request.Config, err = given.encode(configNames(ctx, s.Store, earlier.Location)); err != nil {
		return err
	}
	return a.launchBackfill(ctx, s, starter.NewBackfill{Location: earlier.Location, ID: options.run.id, Request: request}, options.run)
}
