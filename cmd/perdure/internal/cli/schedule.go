package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/plan/schedule"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := group("schedule", "Start runs at certain times: list, show, start, stop, reset, ticks, preview, trigger",
		"A schedule starts runs of a job at certain times. Each has a Temporal Schedule of the same name, which wakes it:\n"+
			"`temporal schedule list|toggle|trigger|backfill` work on it, too.")
	cmd.AddCommand(
		a.scheduleListCommand(), a.scheduleShowCommand(), a.scheduleStartCommand(), a.scheduleStopCommand(), a.scheduleResetCommand(),
		a.scheduleTicksCommand(), a.schedulePreviewCommand(), a.scheduleTriggerCommand(),
	)
	return cmd
}

// shownSchedule is a schedule as JSON: its row and its definition, with the ticks that are next.
type shownSchedule struct {
	metadata.Trigger
	Definition plan.Schedule `json:"definition"`
	// Next are the next times at which it is due; none while it is stopped.
	Next []string `json:"next"`
	// Last is its last tick.
	Last *metadata.Tick `json:"last_tick_row,omitempty"`
	// ID is that of its Temporal Schedule.
	ID string `json:"temporal_schedule"`
	// OpenRuns are its runs that have not ended; only of one schedule.
	OpenRuns []metadata.TriggerRun `json:"open_runs,omitempty"`

	times *schedule.Times
}

// readSchedule adds to a row what its definition says.
func (a *app) readSchedule(ctx context.Context, store *metadata.Store, deployment string, row metadata.Trigger, next int) (shownSchedule, error) {
	shown := shownSchedule{Trigger: row, Next: []string{}, ID: wire.ScheduleID(deployment, row.Location, row.Name)}
	if err := json.Unmarshal(row.Definition, &shown.Definition); err != nil {
		return shown, fmt.Errorf("read the definition of %s: %w", row.TriggerID, err)
	}
	var err error
	if shown.times, err = schedule.Of(shown.Definition); err != nil {
		return shown, err
	}
	at := a.env.Now()
	for range next {
		tick, found := shown.times.Next(at)
		if !found || row.Status != wire.TriggerRunning {
			break
		}
		shown.Next = append(shown.Next, tick.Format(time.RFC3339))
		at = tick
	}
	page, err := store.Ticks(ctx, metadata.TickFilter{TriggerID: row.TriggerID}, "", 1)
	if err == nil && len(page.Rows) > 0 {
		shown.Last = &page.Rows[0]
	}
	return shown, err
}

func (s shownSchedule) next() string {
	if len(s.Next) == 0 {
		return ""
	}
	return s.Next[0]
}

// cron is when it is due, in a line.
func (s shownSchedule) cron() string {
	text := strings.Join(s.Definition.Crons, ", ")
	if s.Definition.Zone != "" && s.Definition.Zone != "UTC" {
		text += " " + s.Definition.Zone
	}
	return text
}

// triggerStatus is a status for people, coloured.
func triggerStatus(style render.Style, row metadata.Trigger) string {
	switch {
	case !row.RemovedAt.IsZero():
		return style.Faint("REMOVED")
	case row.Status == wire.TriggerRunning && row.Failures > 0:
		return style.Red("FAILING")
	case row.Status == wire.TriggerRunning:
		return style.Green(string(row.Status))
	default:
		return style.Faint(string(row.Status))
	}
}

// triggerWhy says why it has its status.
func triggerWhy(row metadata.Trigger, clock render.Clock) string {
	var text string
	switch {
	case !row.RemovedAt.IsZero():
		return "the active build has lost it, " + clock.Moment(row.RemovedAt)
	case row.Switched == "" && row.SwitchedBy != "":
		text = "as it is declared, by " + row.SwitchedBy
	case row.Switched == "":
		return "as it is declared"
	default:
		text = "by " + row.SwitchedBy
	}
	if text += ", " + clock.Moment(row.SwitchedAt); row.SwitchedWhy != "" {
		text += ": " + row.SwitchedWhy
	}
	return text
}

func (a *app) scheduleListCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "list", Short: "List schedules: status, when they are due next, the last tick", Args: arguments(cobra.NoArgs),
		Example: "  perdure schedule list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listSchedules(cmd.Context(), location) },
	}
	cmd.Flags().StringVar(&location, "location", "", "only those of this code location")
	return cmd
}

func (a *app) listSchedules(ctx context.Context, location string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	rows, err := store.Triggers(ctx, location, wire.TriggerSchedule)
	if err != nil {
		return err
	}
	shown := make([]shownSchedule, len(rows))
	for i, row := range rows {
		if shown[i], err = a.readSchedule(ctx, store, settings.Deployment, row, 1); err != nil {
			return err
		}
	}
	if a.output == jsonFormat {
		return a.printJSON(shown)
	}
	if len(shown) == 0 {
		return a.print("there are no schedules\n")
	}
	style, clock := a.style(), a.clock()
	lines := make([][]string, len(shown))
	for i, s := range shown {
		last := ""
		if s.Last != nil {
			last = tickStatus(style, s.Last.Status) + " " + render.Age(clock.Now, s.Last.StartedAt)
		}
		lines[i] = []string{s.Name, triggerStatus(style, s.Trigger), s.Definition.Job, s.cron(), s.next(), last, s.Location}
	}
	return a.print(style.Table([]render.Column{
		{Title: "schedule"},
		{Title: "status"},
		{Title: "job"},
		{Title: "cron"},
		{Title: "next"},
		{Title: "last tick"},
		{Title: "location"},
	}, lines))
}

func (a *app) scheduleShowCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "show SCHEDULE", Short: "Show a schedule: status, who set it and why, its next times, open runs", Args: arguments(cobra.ExactArgs(1)),
		Example: "  perdure schedule show nightly",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showSchedule(cmd.Context(), args[0], location) },
	}
	locationFlag(cmd, &location)
	return cmd
}

func locationFlag(cmd *cobra.Command, location *string) {
	cmd.Flags().StringVar(location, "location", "", "the code location; needed when several have one of this name")
}

// shownNext is how many of the next ticks are shown of one schedule.
const shownNext = 5

func (a *app) showSchedule(ctx context.Context, name, location string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	row, err := findTrigger(ctx, store, wire.TriggerSchedule, name, location)
	if err != nil {
		return err
	}
	shown, err := a.readSchedule(ctx, store, settings.Deployment, row, shownNext)
	if err != nil {
		return err
	}
	if shown.OpenRuns, err = store.OpenTriggerRuns(ctx, row.TriggerID); err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(shown)
	}
	style, clock, d := a.style(), a.clock(), shown.Definition
	text := triggerStatus(style, row) + "  " + style.Bold(row.Name) + "  " + triggerWhy(row, clock) + "\n"
	if d.Description != "" {
		text += render.Indent(strings.TrimSpace(d.Description), 2) + "\n"
	}
	failing := ""
	if row.Failures > 0 {
		failing = fmt.Sprintf("%s: %s", clock.Moment(row.FailingSince), render.Count(row.Failures, "tick"))
	}
	last := ""
	if shown.Last != nil {
		last = tickStatus(style, shown.Last.Status) + " " + clock.Moment(shown.Last.StartedAt) + "  " + tickSays(*shown.Last)
	}
	open := make([]string, len(shown.OpenRuns))
	for i, run := range shown.OpenRuns {
		open[i] = run.RunID
	}
	return a.print(text + "\n" + style.Fields([][2]string{
		{"job", d.Job},
		{"due", shown.cron()},
		{"next", strings.Join(shown.Next, "\n")},
		{"last tick", last},
		{"failing since", failing},
		{"open runs", strings.Join(open, ", ")},
		{"declared as", string(row.Declared)},
		{"runs since", runsSince(clock, row)},
		{"catch up", catchUpText(d.CatchUp)},
		{"jitter", nonZero(d.Jitter)},
		{"overlap", overlapText(d)},
		{"starts", startsText(d)},
		{"tags", render.Tags(d.Tags)},
		{"owners", strings.Join(d.Owners, ", ")},
		{"location", row.Location},
		{"in temporal", shown.ID},
		{"declared", d.At},
	}))
}

func nonZero(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func catchUpText(n int) string {
	if n < 0 {
		return "all ticks that were missed"
	}
	if n == 1 {
		return "the last one of those that were missed"
	}
	return "the last " + strconv.Itoa(n) + " of those that were missed"
}

func overlapText(d plan.Schedule) string {
	text := string(d.Overlap)
	if text == "" {
		text = "allow"
	}
	if d.PauseOnFailure {
		text += ", pauses when a run has failed"
	}
	return text
}

func startsText(d plan.Schedule) string {
	switch {
	case d.Computed:
		return "what its function says"
	case d.Partitioned:
		return "the last partition of its job at the time"
	case len(d.Requests) > 1:
		return render.Count(len(d.Requests), "run")
	default:
		return "one run"
	}
}

func (a *app) scheduleTicksCommand() *cobra.Command {
	var options tickList
	cmd := &cobra.Command{
		Use: "ticks [SCHEDULE]", Short: "List the ticks of a schedule, or of all, the newest first", Args: arguments(cobra.MaximumNArgs(1)),
		Long: "List the ticks of a schedule, or of all schedules, the newest first: what they started, why they were skipped, why they failed.\n" +
			"With --log each tick's error, stack and log lines are printed too.",
		Example: "  perdure schedule ticks nightly --status FAILURE --log\n  perdure schedule ticks --limit 5",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.listTicks(cmd.Context(), wire.TriggerSchedule, strings.Join(args, ""), options)
		},
	}
	options.flags(cmd)
	return cmd
}

// tickList says which ticks are listed.
type tickList struct {
	location string
	statuses []string
	limit    int
	cursor   string
	log      bool
}

func (o *tickList) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.location, "location", "", "only those of this code location")
	flags.StringSliceVar(&o.statuses, "status", nil, "only those in these statuses: "+strings.Join(tickStatuses, ", "))
	flags.IntVar(&o.limit, "limit", 20, "how many, at most 1000")
	flags.StringVar(&o.cursor, "cursor", "", "go on where a list ended, by what it printed as next")
	flags.BoolVar(&o.log, "log", false, "print each run of several, errors with their stack, and what was logged")
}

// tickStatuses are those that a tick can have.
var tickStatuses = []string{string(wire.TickStarted), string(wire.TickSkipped), string(wire.TickSuccess), string(wire.TickFailure)}

func (o tickList) filter(kind wire.TriggerKind) (metadata.TickFilter, error) {
	filter := metadata.TickFilter{TriggerID: metadata.TriggerID{Kind: kind, Location: o.location}}
	var problems []error
	for _, text := range o.statuses {
		status := strings.ToUpper(text)
		if !slices.Contains(tickStatuses, status) {
			problems = append(problems, usagef("--status: there is no status %q (%s)", text, wire.FixUnknown(status, tickStatuses)))
		}
		filter.Statuses = append(filter.Statuses, wire.TickStatus(status))
	}
	if o.limit < 1 || o.limit > stepPage {
		problems = append(problems, usagef("--limit is %d and must be 1 to %d", o.limit, stepPage))
	}
	return filter, errors.Join(problems...)
}

// listTicks lists the ticks of a schedule or sensor, or with name "" of all.
func (a *app) listTicks(ctx context.Context, kind wire.TriggerKind, name string, options tickList) error {
	filter, err := options.filter(kind)
	if err != nil {
		return err
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	if name != "" {
		row, err := findTrigger(ctx, store, kind, name, options.location)
		if err != nil {
			return err
		}
		filter.TriggerID = row.TriggerID
	}
	page, err := store.Ticks(ctx, filter, options.cursor, options.limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(page)
	}
	if len(page.Rows) == 0 {
		return a.print("no tick matches\n")
	}
	return a.print(a.tickTable(page.Rows, name == "", options.log) + nextPage(page.Next))
}

func nextPage(cursor string) string {
	if cursor == "" {
		return ""
	}
	return "\nnext: --cursor " + cursor + "\n"
}
