package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) runCommand() *cobra.Command {
	cmd := group("run", "List, show, watch, cancel and run again", "")
	cmd.AddCommand(a.runListCommand(), a.runShowCommand(), a.runWatchCommand(), a.runLogsCommand(), a.runCancelCommand(), a.runReexecuteCommand())
	return cmd
}

type runList struct {
	statuses, tags       []string
	job, location, asset string
	partition, backfill  string
	limit                int
	cursor               string
}

func (a *app) runListCommand() *cobra.Command {
	var options runList
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, the newest first", Args: arguments(cobra.NoArgs),
		Example: "  perdure run list --status FAILURE --limit 10\n  perdure run list --asset route_delays --partition 2001-01-01",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listRuns(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.statuses, "status", nil, "only runs in these statuses: QUEUED, STARTING, STARTED, CANCELING, SUCCESS, FAILURE, CANCELED")
	flags.StringVar(&options.job, "job", "", "only runs of this job")
	flags.StringVar(&options.location, "location", "", "only runs of this code location")
	flags.StringVar(&options.asset, "asset", "", "only runs that set out to make this asset")
	flags.StringVar(&options.partition, "partition", "", "only runs over the partition of this key, also those over others besides")
	flags.StringVar(&options.backfill, "backfill", "", "only runs of this backfill")
	flags.StringArrayVar(&options.tags, "tag", nil, "only runs with this tag, KEY=VALUE; repeatable")
	flags.IntVar(&options.limit, "limit", 20, "how many, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "go on where a list ended, by what it printed as next")
	return cmd
}

// runStatuses are those that a run's row can have.
var runStatuses = []string{
	string(wire.RunQueued), string(wire.RunStarting), string(wire.RunStarted), string(wire.RunCanceling),
	string(wire.RunSuccess), string(wire.RunFailure), string(wire.RunCanceled),
}

func (o runList) filter() (metadata.RunFilter, error) {
	filter := metadata.RunFilter{Location: o.location, Job: o.job, Asset: o.asset, Partition: o.partition, Backfill: o.backfill}
	var problems []error
	for _, text := range o.statuses {
		status := wire.RunStatus(strings.ToUpper(text))
		if !slices.Contains(runStatuses, string(status)) {
			problems = append(problems, usagef("--status: there is no status %q (%s)", text, wire.FixUnknown(string(status), runStatuses)))
		}
		filter.Statuses = append(filter.Statuses, status)
	}
	if o.limit < 1 || o.limit > stepPage {
		problems = append(problems, usagef("--limit is %d and must be 1 to %d", o.limit, stepPage))
	}
	var err error
	filter.Tags, err = pairs("tag", o.tags)
	return filter, errors.Join(append(problems, err)...)
}

func (a *app) listRuns(ctx context.Context, options runList) error {
	filter, err := options.filter()
	if err != nil {
		return err
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	page, err := store.Runs(ctx, filter, options.cursor, options.limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(page)
	}
	if len(page.Rows) == 0 {
		return a.print("no run matches\n")
	}
	text := a.runTable(page.Rows)
	if page.Next != "" {
		text += "\nnext: --cursor " + page.Next + "\n"
	}
	return a.print(text)
}

func (a *app) runTable(runs []metadata.Run) string {
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(runs))
	for i, run := range runs {
		what := run.Title
		if what == "" {
			what = run.Selection
		}
		started := run.StartedAt
		if started.IsZero() {
			started = run.CreatedAt
		}
		rows[i] = []string{
			run.ID, style.RunStatus(run.Status), run.Job, render.OneLine(what), render.RunPartitions(run), clock.Moment(started), render.RunDuration(run, clock),
			stepCounts(run), waitingFor(run), run.Location,
		}
	}
	return style.Table([]render.Column{
		{Title: "run"},
		{Title: "status"},
		{Title: "job"},
		{Title: "what"},
		{Title: "partitions"},
		{Title: "started"},
		{Title: "duration", Right: true},
		{Title: "steps"},
		{Title: "because it"},
		{Title: "location"},
	}, rows)
}

// waitingFor is for what a run waits in the queue.
func waitingFor(run metadata.Run) string {
	if run.Status != wire.RunQueued {
		return ""
	}
	return run.Reason
}

func stepCounts(run metadata.Run) string {
	text := fmt.Sprintf("%d of %d", run.Steps.Succeeded, run.StepsTotal)
	if run.Steps.Failed > 0 {
		text += fmt.Sprintf(", %d failed", run.Steps.Failed)
	}
	return text
}

func (a *app) runCancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel RUN", Short: "Ask a run to stop: its steps are told, and it ends CANCELED", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.cancelRun(cmd.Context(), args[0]) },
	}
}

func (a *app) cancelRun(ctx context.Context, id string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.Store.Run(ctx, id)
	switch {
	case errors.Is(err, metadata.ErrNotFound):
		// It may wait for a worker yet.
		if _, describeErr := s.Temporal.DescribeWorkflowExecution(ctx, id, ""); describeErr != nil {
			return notFound(ctx, s.Store, id)
		}
	case err != nil:
		return err
	case run.Status.Ended():
		// Temporal takes a cancel of a closed workflow without a word.
		return fmt.Errorf("run %s has ended already: %s, %s", id, run.Status, a.clock().Moment(run.EndedAt))
	}
	if err := s.CancelRun(ctx, id); err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(map[string]string{"run_id": id, "status": string(wire.RunCanceling)})
	}
	return a.print(fmt.Sprintf("run %s was told to stop; `%s run watch %s` waits for its end\n", id, a.env.Program, id))
}
