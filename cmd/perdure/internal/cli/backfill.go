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
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) backfillCommand() *cobra.Command {
	cmd := group("backfill", "Make many partitions in as many runs as it takes: start, list, show, watch, pause, cancel, retry",
		"A backfill makes many partitions of assets, or of a job, in as many runs as it takes, some of them at a time. What it is for is\n"+
			"decided once, when it begins. It goes on when nobody watches it.")
	cmd.AddCommand(
		a.backfillStartCommand(), a.backfillListCommand(), a.backfillShowCommand(), a.backfillWatchCommand(), a.backfillPauseCommand(),
		a.backfillResumeCommand(), a.backfillConcurrencyCommand(), a.backfillCancelCommand(), a.backfillRetryCommand(),
	)
	return cmd
}

type backfillList struct {
	statuses        []string
	location, asset string
	limit           int
	cursor          string
}

func (a *app) backfillListCommand() *cobra.Command {
	var options backfillList
	cmd := &cobra.Command{
		Use: "list", Short: "List backfills, the newest first", Args: arguments(cobra.NoArgs),
		Example: "  perdure backfill list --status REQUESTED\n  perdure backfill list --asset route_delays --limit 5",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listBackfills(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&options.statuses, "status", nil, "only those in these statuses: "+strings.Join(backfillStatuses, ", "))
	flags.StringVar(&options.location, "location", "", "only those of this code location")
	flags.StringVar(&options.asset, "asset", "", "only those that set out to make this asset")
	flags.IntVar(&options.limit, "limit", 20, "how many, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "go on where a list ended, by what it printed as next")
	return cmd
}

// backfillStatuses are those that a backfill can have.
var backfillStatuses = []string{
	string(wire.BackfillRequested), string(wire.BackfillSucceeded), string(wire.BackfillFailed), string(wire.BackfillCanceling),
	string(wire.BackfillCanceled), string(wire.BackfillFailing), string(wire.BackfillBroken),
}

func (o backfillList) filter() (metadata.BackfillFilter, error) {
	filter := metadata.BackfillFilter{Location: o.location, Asset: o.asset}
	var problems []error
	for _, text := range o.statuses {
		status := wire.BackfillStatus(strings.ToUpper(text))
		if !slices.Contains(backfillStatuses, string(status)) {
			problems = append(problems, usagef("--status: there is no status %q (%s)", text, wire.FixUnknown(string(status), backfillStatuses)))
		}
		filter.Statuses = append(filter.Statuses, status)
	}
	if o.limit < 1 || o.limit > stepPage {
		problems = append(problems, usagef("--limit is %d and must be 1 to %d", o.limit, stepPage))
	}
	return filter, errors.Join(problems...)
}

func (a *app) listBackfills(ctx context.Context, options backfillList) error {
	filter, err := options.filter()
	if err != nil {
		return err
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	page, err := store.Backfills(ctx, filter, options.cursor, options.limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(page)
	}
	if len(page.Rows) == 0 {
		return a.print("no backfill matches\n")
	}
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(page.Rows))
	for i, row := range page.Rows {
		rows[i] = []string{
			row.ID, style.BackfillStatus(row.Status, row.Paused), render.OneLine(backfillOf(row)), render.BackfillCounts(render.BackfillSum(row.Progress.Assets)),
			clock.Moment(row.CreatedAt), backfillDuration(row, clock), row.Location,
		}
	}
	text := style.Table([]render.Column{
		{Title: "backfill"},
		{Title: "status"},
		{Title: "what"},
		{Title: "partitions"},
		{Title: "started"},
		{Title: "duration", Right: true},
		{Title: "location"},
	}, rows)
	if page.Next != "" {
		text += "\nnext: --cursor " + page.Next + "\n"
	}
	return a.print(text)
}

// backfillOf is what a backfill is for, in one line.
func backfillOf(row metadata.Backfill) string {
	switch {
	case row.Title != "":
		return row.Title
	case row.RetryOf != "":
		return "again " + row.RetryOf
	}
	return selectionOf(row.Request)
}

// selectionOf is what a request selects.
func selectionOf(request wire.BackfillRequest) string {
	if request.Job != "" {
		return "job " + request.Job
	}
	return request.Assets.String()
}

// partitionsOf is which partitions a request is for.
func partitionsOf(request wire.BackfillRequest) string {
	text := ""
	switch {
	case request.Partition != "":
		text = request.Partition
	case len(request.Partitions) > 0:
		text = strings.Join(request.Partitions, ", ")
	case request.Range != nil:
		text = request.Range.Start + " to " + request.Range.End
	case request.AllPartitions:
		text = "all"
	}
	if request.Only != "" {
		text = strings.TrimSpace(text + " (only " + string(request.Only) + ")")
	}
	return text
}

func backfillDuration(row metadata.Backfill, clock render.Clock) string {
	if row.EndedAt.IsZero() {
		return render.Duration(clock.Now.Sub(row.CreatedAt))
	}
	return render.Duration(row.EndedAt.Sub(row.CreatedAt))
}

func (a *app) backfillShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show BACKFILL", Short: "Show a backfill: what it is for, how far it is, its first failures", Args: arguments(cobra.ExactArgs(1)),
		Long:    "Show a backfill. `perdure run list --backfill BACKFILL` lists its runs.",
		Example: "  perdure backfill show bf1",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showBackfill(cmd.Context(), args[0]) },
	}
}

func (a *app) showBackfill(ctx context.Context, id string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	row, err := store.Backfill(ctx, id)
	if errors.Is(err, metadata.ErrNotFound) {
		return noBackfill(ctx, store, id)
	}
	if err != nil {
		return err
	}
	progress := starter.ProgressOf(row)
	if a.output == jsonFormat {
		return a.printJSON(row)
	}
	style, clock := a.style(), a.clock()
	text := style.BackfillStatus(row.Status, row.Paused) + "  " + style.Bold(row.ID) + "\n"
	if progress.Reason != "" {
		text += render.Indent(progress.Reason, 2) + "\n"
	}
	text += "  " + render.BackfillCounts(render.BackfillSum(progress.Assets)) + "\n  " + render.BackfillRuns(progress) + "\n"
	text += "\n" + style.Fields([][2]string{
		{"title", render.OneLine(row.Title)},
		{"note", render.OneLine(row.Note)},
		{"selection", render.OneLine(selectionOf(row.Request))},
		{"partitions", render.OneLine(partitionsOf(row.Request))},
		{"as of", clock.Moment(row.AsOf)},
		{"tags", render.Tags(row.Tags)},
		{"location", row.Location},
		{"retry of", row.RetryOf},
		{"started", clock.Moment(row.CreatedAt)},
		{"ended", clock.Moment(row.EndedAt)},
		{"duration", backfillDuration(row, clock)},
		{"pace", render.BackfillPace(progress)},
		{"web ui", link(settings, row.ID)},
	})
	return a.print(text + "\n" + style.BackfillTable(progress.Assets) + style.BackfillFailures(progress.Failures))
}

// noBackfill is the error of an id without a backfill: when its request was refused, the problems are the answer.
func noBackfill(ctx context.Context, store *metadata.Store, id string) error {
	refused, err := store.Refusals(ctx, id)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return refused[0].Problems
	}
	page, err := store.Backfills(ctx, metadata.BackfillFilter{}, "", stepPage)
	if err != nil {
		return err
	}
	ids := make([]string, len(page.Rows))
	for i, row := range page.Rows {
		ids[i] = row.ID
	}
	near := ""
	if nearest := wire.Nearest(id, ids); nearest != "" {
		near = fmt.Sprintf("did you mean %q? ", nearest)
	}
	return fmt.Errorf("there is no backfill %q: %s`perdure backfill list` names those there are", id, near)
}
