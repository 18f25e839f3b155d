package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) sensorCommand() *cobra.Command {
	cmd := group("sensor", "Start runs when something has happened: list, show, start, stop, reset, ticks, preview, tick, signal, set-cursor",
		"A sensor starts runs when services signal events to it, when it finds out something itself, or when the event log says so. Each\n"+
			"is a workflow of Temporal, sensor:LOCATION:NAME, which any program may signal.")
	cmd.AddCommand(
		a.sensorListCommand(), a.sensorShowCommand(), a.sensorStartCommand(), a.sensorStopCommand(), a.sensorResetCommand(),
		a.sensorTicksCommand(), a.sensorPreviewCommand(), a.sensorTickCommand(), a.sensorSignalCommand(), a.sensorSetCursorCommand(),
	)
	return cmd
}

// shownSensor is a sensor as JSON: its row and its definition.
type shownSensor struct {
	metadata.Trigger
	Definition plan.Sensor `json:"definition"`
	// Last is its last tick.
	Last *metadata.Tick `json:"last_tick_row,omitempty"`
	// Workflow is the id of its workflow.
	Workflow string `json:"workflow"`
	// Next are events that no tick has taken in, in order, Rejected those that were rejected last; only of one sensor.
	Next     []metadata.SensorEvent `json:"next_events,omitempty"`
	Rejected []metadata.SensorEvent `json:"rejected_events,omitempty"`
}

func readSensor(ctx context.Context, store *metadata.Store, deployment string, row metadata.Trigger) (shownSensor, error) {
	shown := shownSensor{Trigger: row, Workflow: wire.SensorID(deployment, row.Location, row.Name)}
	if err := json.Unmarshal(row.Definition, &shown.Definition); err != nil {
		return shown, fmt.Errorf("read the definition of %s: %w", row.TriggerID, err)
	}
	page, err := store.Ticks(ctx, metadata.TickFilter{TriggerID: row.TriggerID}, "", 1)
	if err == nil && len(page.Rows) > 0 {
		shown.Last = &page.Rows[0]
	}
	return shown, err
}

// wokenBy is what has a sensor evaluated, in a few words.
func wokenBy(d plan.Sensor) string {
	var by []string
	switch d.Kind {
	case plan.SensorOfAssets:
		by = append(by, "materializations of "+strings.Join(d.Assets, ", "))
	case plan.SensorOfRuns:
		statuses := make([]string, len(d.Statuses))
		for i, status := range d.Statuses {
			statuses[i] = string(status)
		}
		by = append(by, "runs that are "+strings.Join(statuses, ", "))
	case plan.SensorOfEvents:
		if d.Events {
			by = append(by, "events")
		}
	}
	if d.Every > 0 {
		by = append(by, "every "+d.Every.String())
	}
	if len(by) == 0 {
		return "a person"
	}
	return strings.Join(by, ", ")
}

func (a *app) sensorListCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "list", Short: "List sensors: status, what wakes them, events that wait, the last tick", Args: arguments(cobra.NoArgs),
		Example: "  perdure sensor list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listSensors(cmd.Context(), location) },
	}
	cmd.Flags().StringVar(&location, "location", "", "only those of this code location")
	return cmd
}

func (a *app) listSensors(ctx context.Context, location string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	rows, err := store.Triggers(ctx, location, wire.TriggerSensor)
	if err != nil {
		return err
	}
	shown := make([]shownSensor, len(rows))
	for i, row := range rows {
		if shown[i], err = readSensor(ctx, store, settings.Deployment, row); err != nil {
			return err
		}
	}
	if a.output == jsonFormat {
		return a.printJSON(shown)
	}
	if len(shown) == 0 {
		return a.print("there are no sensors\n")
	}
	style, clock := a.style(), a.clock()
	lines := make([][]string, len(shown))
	for i, s := range shown {
		last := ""
		if s.Last != nil {
			last = tickStatus(style, s.Last.Status) + " " + render.Age(clock.Now, s.Last.StartedAt)
		}
		lines[i] = []string{s.Name, triggerStatus(style, s.Trigger), wokenBy(s.Definition), strings.Join(s.Definition.Jobs, ", "), strconv.Itoa(s.Waiting), last, s.Location}
	}
	return a.print(style.Table([]render.Column{
		{Title: "sensor"},
		{Title: "status"},
		{Title: "woken by"},
		{Title: "jobs"},
		{Title: "waiting", Right: true},
		{Title: "last tick"},
		{Title: "location"},
	}, lines))
}

func (a *app) sensorShowCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "show SENSOR", Short: "Show a sensor: status, who set it and why, cursor, events that wait or were rejected", Args: arguments(cobra.ExactArgs(1)),
		Example: "  perdure sensor show arrivals",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showSensor(cmd.Context(), args[0], location) },
	}
	locationFlag(cmd, &location)
	return cmd
}

// shownEvents is how many events that wait, or were rejected, are shown of one sensor.
const shownEvents = 10

func (a *app) showSensor(ctx context.Context, name, location string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	row, err := findTrigger(ctx, store, wire.TriggerSensor, name, location)
	if err != nil {
		return err
	}
	shown, err := readSensor(ctx, store, settings.Deployment, row)
	if err != nil {
		return err
	}
	id := metadata.SensorID{Location: row.Location, Sensor: row.Name}
	if shown.Next, err = store.SensorEvents(ctx, id, false, shownEvents); err != nil {
		return err
	}
	if shown.Rejected, err = store.SensorEvents(ctx, id, true, shownEvents); err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(shown)
	}
	return a.print(a.sensorText(shown))
}

func (a *app) sensorText(shown shownSensor) string {
	style, clock, d, row := a.style(), a.clock(), shown.Definition, shown.Trigger
	text := triggerStatus(style, row) + "  " + style.Bold(row.Name) + "  " + triggerWhy(row, clock) + "\n"
	if d.Description != "" {
		text += render.Indent(strings.TrimSpace(d.Description), 2) + "\n"
	}
	failing, last, cursor, waiting := "", "", string(row.Cursor), ""
	if row.Failures > 0 {
		failing = fmt.Sprintf("%s: %s", clock.Moment(row.FailingSince), render.Count(row.Failures, "tick"))
	}
	if shown.Last != nil {
		last = tickStatus(style, shown.Last.Status) + " " + clock.Moment(shown.Last.StartedAt) + "  " + tickSays(*shown.Last)
	}
	if cursor == "null" {
		cursor = ""
	}
	if row.Waiting > 0 {
		waiting = render.Count(row.Waiting, "event")
	}
	text += "\n" + style.Fields([][2]string{
		{"jobs", strings.Join(d.Jobs, ", ")},
		{"woken by", wokenBy(d)},
		{"waiting", waiting},
		{"cursor", render.OneLine(cursor)},
		{"last tick", last},
		{"failing since", failing},
		{"at least", nonZero(d.MinInterval)},
		{"timeout", nonZero(d.Timeout)},
		{"declared as", string(row.Declared)},
		{"runs since", runsSince(clock, row)},
		{"tags", render.Tags(d.Tags)},
		{"owners", strings.Join(d.Owners, ", ")},
		{"location", row.Location},
		{"in temporal", shown.Workflow},
		{"declared", d.At},
	})
	text += a.eventTable("Events that wait", shown.Next)
	return text + a.eventTable("Events that were rejected", shown.Rejected)
}

func (a *app) eventTable(title string, events []metadata.SensorEvent) string {
	if len(events) == 0 {
		return ""
	}
	style, clock := a.style(), a.clock()
	lines := make([][]string, len(events))
	for i, event := range events {
		lines[i] = []string{event.ID, clock.Moment(event.At), render.OneLine(event.Problem), render.OneLine(string(event.Payload))}
	}
	return "\n" + style.Bold(title) + "\n" + style.Table([]render.Column{{Title: "event"}, {Title: "received"}, {Title: "problem"}, {Title: "payload"}}, lines)
}

func (a *app) sensorTicksCommand() *cobra.Command {
	var options tickList
	cmd := &cobra.Command{
		Use: "ticks [SENSOR]", Short: "List the ticks of a sensor, or of all, the newest first", Args: arguments(cobra.MaximumNArgs(1)),
		Long: "List the ticks of a sensor, or of all sensors, the newest first: what they started, why they were skipped, why they failed.\n" +
			"With --log each tick's error, stack and log lines are printed too.",
		Example: "  perdure sensor ticks arrivals --status FAILURE --log\n  perdure sensor ticks --limit 5",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.listTicks(cmd.Context(), wire.TriggerSensor, strings.Join(args, ""), options)
		},
	}
	options.flags(cmd)
	return cmd
}
