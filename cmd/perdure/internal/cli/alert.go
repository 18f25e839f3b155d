package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/alerts"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) alertCommand() *cobra.Command {
	cmd := group("alert", "List alerts and how they were delivered, try a sink, mute",
		"`perdure daemon` tells the sinks of perdure.yaml (alerts.sinks) of runs that failed and are not started again, of schedules and\n"+
			"sensors that fail, of backfills that have ended, and of sinks that cannot be told.")
	cmd.AddCommand(a.alertListCommand(), a.alertTestCommand(), a.alertMuteCommand(), a.alertUnmuteCommand(), a.alertMutesCommand())
	return cmd
}

// alerting is what sending alerts needs.
func (a *app) alerting(store *metadata.Store, settings config.Config, log *slog.Logger) alerts.Options {
	return alerts.Options{
		Store: store, Settings: settings.Alerts, Temporal: settings.Temporal, Deployment: settings.Deployment, Lookup: a.env.lookup, Log: log,
	}
}

// alertKinds are the kinds of alerts, deliveryStatuses those of their deliveries.
func alertKinds() []string {
	kinds := make([]string, len(alerts.Kinds))
	for i, kind := range alerts.Kinds {
		kinds[i] = string(kind)
	}
	return kinds
}

var deliveryStatuses = []string{"pending", "sent", "failed", "muted"}

func checkKind(kind string) error {
	if kind != "" && !slices.Contains(alertKinds(), kind) {
		return usagef("--kind: there is no kind %q (%s)", kind, wire.FixUnknown(kind, alertKinds()))
	}
	return nil
}

type alertList struct {
	filter metadata.AlertFilter
	limit  int
	cursor string
}

func (a *app) alertListCommand() *cobra.Command {
	var options alertList
	cmd := &cobra.Command{
		Use: "list", Short: "List alerts, the newest first, with how each sink was told", Args: arguments(cobra.NoArgs),
		Example: "  perdure alert list --kind run_failure\n  perdure alert list --status failed",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listAlerts(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.StringVar(&options.filter.Kind, "kind", "", "only those of this kind: "+strings.Join(alertKinds(), ", "))
	flags.StringVar(&options.filter.Location, "location", "", "only those of this code location")
	flags.StringVar(&options.filter.Job, "job", "", "only those of this job")
	flags.StringVar(&options.filter.Subject, "about", "", "only those about this run, schedule, sensor, backfill or sink")
	flags.StringVar(&options.filter.Status, "status", "", "only those with a delivery that is "+strings.Join(deliveryStatuses, ", "))
	flags.IntVar(&options.limit, "limit", 20, "how many, at most 1000")
	flags.StringVar(&options.cursor, "cursor", "", "go on where a list ended, by what it printed as next")
	return cmd
}

func (a *app) listAlerts(ctx context.Context, options alertList) error {
	if err := checkKind(options.filter.Kind); err != nil {
		return err
	}
	if status := options.filter.Status; status != "" && !slices.Contains(deliveryStatuses, status) {
		return usagef("--status: there is no status %q (%s)", status, wire.FixUnknown(status, deliveryStatuses))
	}
	if options.limit < 1 || options.limit > stepPage {
		return usagef("--limit is %d and must be 1 to %d", options.limit, stepPage)
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	page, err := store.Alerts(ctx, options.filter, options.cursor, options.limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(page)
	}
	if len(page.Rows) == 0 {
		if len(settings.Alerts.Sinks) == 0 {
			return a.print("there are no alerts: perdure.yaml has no alerts.sinks (docs/alerts.md)\n")
		}
		return a.print("no alert matches\n")
	}
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(page.Rows))
	for i, alert := range page.Rows {
		rows[i] = []string{strconv.FormatInt(alert.ID, 10), clock.Moment(alert.At), alertKind(alert), render.OneLine(alert.Subject), alert.Location, deliveries(alert)}
	}
	text := style.Table([]render.Column{
		{Title: "alert", Right: true}, {Title: "at"}, {Title: "kind"}, {Title: "about"}, {Title: "location"}, {Title: "told"},
	}, rows)
	if page.Next != "" {
		text += "\nnext: --cursor " + page.Next + "\n"
	}
	return a.print(text)
}

func alertKind(alert metadata.Alert) string {
	var body alerts.Alert
	if json.Unmarshal(alert.Body, &body) == nil && body.Recovered {
		return alert.Kind + " (recovered)"
	}
	return alert.Kind
}

// deliveries is how each sink was told, in one line.
func deliveries(alert metadata.Alert) string {
	texts := make([]string, len(alert.Deliveries))
	for i, one := range alert.Deliveries {
		texts[i] = one.Sink + ": " + one.Status
		switch {
		case one.Mute != 0:
			texts[i] += fmt.Sprintf(" by mute %d", one.Mute)
		case one.Error != "":
			texts[i] += fmt.Sprintf(" after %d attempts: %s", one.Attempts, one.Error)
		}
	}
	if len(texts) == 0 {
		return "no sink wants it"
	}
	return render.OneLine(strings.Join(texts, "; "))
}

func (a *app) alertTestCommand() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "test SINK", Short: "Send a sample to a sink, from here", Args: arguments(cobra.ExactArgs(1)),
		Long: "Send a sample to a sink, from here and now: the secrets that the sink names must be in this environment. Nothing is recorded,\n" +
			"and what is muted is sent all the same.",
		Example: "  perdure alert test chat\n  perdure alert test mail --kind backfill_ended",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.testSink(cmd.Context(), args[0], kind) },
	}
	cmd.Flags().StringVar(&kind, "kind", "", "what kind of alert (default: the first that the sink is told of)")
	return cmd
}

func (a *app) testSink(ctx context.Context, name, kind string) error {
	if err := checkKind(kind); err != nil {
		return err
	}
	settings, err := a.config(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(settings.Alerts.Sinks))
	for i, sink := range settings.Alerts.Sinks {
		if names[i] = sink.Name; sink.Name == name && kind == "" {
			kind = sink.On[0]
		}
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("no sink is called %q (%s): alerts.sinks of perdure.yaml has them", name, wire.FixUnknown(name, names))
	}
	sender, err := alerts.New(a.alerting(nil, settings, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	if err := sender.Test(ctx, name, alerts.Kind(kind)); err != nil {
		return fmt.Errorf("sink %q: %w", name, err)
	}
	return a.print("sink " + name + " has taken a " + kind + "\n")
}

type alertMute struct {
	mute  metadata.AlertMute
	until string
	all   bool
	// schedule and sensor are short for a kind and a subject.
	schedule, sensor string
}

func (a *app) alertMuteCommand() *cobra.Command {
	var options alertMute
	cmd := &cobra.Command{
		Use: "mute", Short: "Keep alerts from being told for a while", Args: arguments(cobra.NoArgs),
		Long: "Keep alerts from being told until a time: those to which all that is given applies. They are listed as muted all the same.\n" +
			"Who called this, and --why, are recorded.",
		Example: "  perdure alert mute --job nightly --until 2h --why 'the source is down, they know'\n" +
			"  perdure alert mute --sensor arrivals --until 2026-12-01T08:00:00Z --why maintenance",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.muteAlerts(cmd.Context(), options) },
	}
	flags := cmd.Flags()
	flags.StringVar(&options.mute.Job, "job", "", "alerts of this job")
	flags.StringVar(&options.mute.Location, "location", "", "alerts of this code location")
	flags.StringVar(&options.schedule, "schedule", "", "that this schedule fails")
	flags.StringVar(&options.sensor, "sensor", "", "that this sensor fails")
	flags.StringVar(&options.mute.Subject, "about", "", "alerts about this run, schedule, sensor, backfill or sink")
	flags.StringVar(&options.mute.Kind, "kind", "", "alerts of this kind: "+strings.Join(alertKinds(), ", "))
	flags.StringVar(&options.mute.Sink, "sink", "", "what this sink would be told; the others are")
	flags.BoolVar(&options.all, "all", false, "all alerts")
	flags.StringVar(&options.until, "until", "", "for how long, such as 2h or 90m, or until which time: 2026-12-01T08:00:00Z; required")
	flags.StringVar(&options.mute.Why, "why", "", "why, for whoever wonders; required")
	return cmd
}

// resolve checks the options, and makes times and short forms plain.
func (o *alertMute) resolve(now time.Time) error {
	if err := checkKind(o.mute.Kind); err != nil {
		return err
	}
	for kind, name := range map[alerts.Kind]string{alerts.ScheduleFailing: o.schedule, alerts.SensorFailing: o.sensor} {
		if name == "" {
			continue
		}
		if o.mute.Kind != "" || o.mute.Subject != "" {
			return usagef("--schedule and --sensor say kind and name: give one of them, and neither --kind nor --about")
		}
		o.mute.Kind, o.mute.Subject = string(kind), name
	}
	chosen := o.mute.Job + o.mute.Location + o.mute.Subject + o.mute.Kind + o.mute.Sink
	if (chosen == "") != o.all {
		return usagef("say which alerts, by --job, --location, --schedule, --sensor, --about, --kind or --sink, or --all alone")
	}
	if o.mute.Why == "" {
		return usagef("--why is required: somebody will wonder why it is silent")
	}
	if duration, err := time.ParseDuration(o.until); err == nil {
		o.mute.Until = now.Add(duration)
	} else if o.mute.Until, err = time.Parse(time.RFC3339, o.until); err != nil {
		return usagef("--until is %q: write for how long, such as 2h, or a time such as %s", o.until, now.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	if !o.mute.Until.After(now) {
		return usagef("--until %s is over", o.until)
	}
	return nil
}

func (a *app) muteAlerts(ctx context.Context, options alertMute) error {
	if err := options.resolve(a.env.Now()); err != nil {
		return err
	}
	options.mute.Who = a.env.User
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	mute, err := store.MuteAlerts(ctx, options.mute)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(mute)
	}
	return a.print(fmt.Sprintf("mute %d: %s, until %s\nend it with: perdure alert unmute %d\n", mute.ID, muted(mute), a.clock().Moment(mute.Until), mute.ID))
}

// muted is what a mute is about.
func muted(mute metadata.AlertMute) string {
	var parts []string
	for _, one := range [][2]string{
		{"kind", mute.Kind}, {"location", mute.Location}, {"job", mute.Job}, {"about", mute.Subject}, {"sink", mute.Sink},
	} {
		if one[1] != "" {
			parts = append(parts, one[0]+" "+one[1])
		}
	}
	if len(parts) == 0 {
		return "all alerts"
	}
	return strings.Join(parts, ", ")
}

func (a *app) alertUnmuteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unmute MUTE", Short: "End a mute before its time", Args: arguments(cobra.ExactArgs(1)),
		Long:    "End a mute before its time. What it has kept back is not told later. `perdure alert mutes` lists those that hold.",
		Example: "  perdure alert unmute 3",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.unmuteAlerts(cmd.Context(), args[0]) },
	}
}

func (a *app) unmuteAlerts(ctx context.Context, text string) error {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return usagef("%q is no mute: `perdure alert mutes` lists them by number", text)
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	ended, err := store.UnmuteAlerts(ctx, id, a.env.User)
	switch {
	case err != nil:
		return err
	case !ended:
		return a.print(fmt.Sprintf("mute %d was over already\n", id))
	default:
		return a.print(fmt.Sprintf("mute %d is over\n", id))
	}
}

func (a *app) alertMutesCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "mutes", Short: "List the mutes that hold", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listMutes(cmd.Context(), all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	return cmd
}

func (a *app) listMutes(ctx context.Context, all bool) error {
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	mutes, err := store.AlertMutes(ctx, all, stepPage)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(mutes)
	}
	if len(mutes) == 0 {
		return a.print("nothing is muted\n")
	}
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(mutes))
	for i, mute := range mutes {
		until := clock.Moment(mute.Until)
		if !mute.EndedAt.IsZero() {
			until = "ended by " + mute.EndedBy + " " + clock.Moment(mute.EndedAt)
		}
		rows[i] = []string{strconv.FormatInt(mute.ID, 10), muted(mute), until, mute.Who, render.OneLine(mute.Why)}
	}
	return a.print(style.Table([]render.Column{
		{Title: "mute", Right: true}, {Title: "what"}, {Title: "until"}, {Title: "who"}, {Title: "why"},
	}, rows))
}
