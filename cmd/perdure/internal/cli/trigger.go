package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// What the commands about schedules and about sensors have in common.

// switchable is a kind of what can be started and stopped.
type switchable struct {
	kind wire.TriggerKind
	// example is the name of one.
	example string
	// switchOne starts or stops one.
	switchOne func(ctx context.Context, s *session, to metadata.TriggerSwitch) (metadata.Trigger, error)
}

func (a *app) scheduleStartCommand() *cobra.Command {
	return a.switchCommand(schedules(), "start", "Let a schedule start runs, from now on", wire.TriggerRunning,
		"What was due before is not made up for. It stays so through deploys.")
}

func (a *app) scheduleStopCommand() *cobra.Command {
	return a.switchCommand(schedules(), "stop", "Have a schedule start no runs, until it is started again", wire.TriggerStopped,
		"Its open runs end as they would. It stays so through deploys.")
}

func (a *app) scheduleResetCommand() *cobra.Command {
	return a.switchCommand(schedules(), "reset", "Give a schedule the status that its definition declares", "", "From then on deploys decide it again.")
}

func (a *app) sensorStartCommand() *cobra.Command {
	return a.switchCommand(sensors(), "start", "Have a sensor evaluated, from now on", wire.TriggerRunning,
		"Events that came while it was stopped are taken in first. It stays so through deploys.")
}

func (a *app) sensorStopCommand() *cobra.Command {
	return a.switchCommand(sensors(), "stop", "Have a sensor start no runs, until it is started again", wire.TriggerStopped,
		"Events that come meanwhile wait. It stays so through deploys.")
}

func (a *app) sensorResetCommand() *cobra.Command {
	return a.switchCommand(sensors(), "reset", "Give a sensor the status that its definition declares", "", "From then on deploys decide it again.")
}

func schedules() switchable {
	return switchable{wire.TriggerSchedule, "nightly", func(ctx context.Context, s *session, to metadata.TriggerSwitch) (metadata.Trigger, error) {
		return s.SwitchSchedule(ctx, to)
	}}
}

func sensors() switchable {
	return switchable{wire.TriggerSensor, "arrivals", func(ctx context.Context, s *session, to metadata.TriggerSwitch) (metadata.Trigger, error) {
		id := metadata.SensorID{Location: to.Location, Sensor: to.Name}
		row, _, err := s.SwitchSensor(ctx, starter.SensorOrder{SensorID: id, Who: to.Who, Why: to.Why}, to.Status)
		return row, err
	}}
}

func (a *app) switchCommand(what switchable, verb, short string, status wire.TriggerStatus, long string) *cobra.Command {
	var location, why string
	cmd := &cobra.Command{
		Use: verb + " " + strings.ToUpper(string(what.kind)) + "…", Short: short, Args: arguments(cobra.MinimumNArgs(1)),
		Long:    short + ". " + long + " Who called this, and --why, are recorded.",
		Example: fmt.Sprintf("  perdure %s %s %s --why \"the source is being moved\"", what.kind, verb, what.example),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.switchTriggers(cmd.Context(), what, args, location, metadata.TriggerSwitch{Status: status, Who: a.env.User, Why: why})
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().StringVar(&why, "why", "", "why, for those who look at it later")
	return cmd
}

func (a *app) switchTriggers(ctx context.Context, what switchable, names []string, location string, to metadata.TriggerSwitch) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var ids []metadata.TriggerID
	var problems []error
	for _, name := range names {
		row, err := findTrigger(ctx, s.Store, what.kind, name, location)
		ids, problems = append(ids, row.TriggerID), append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	var rows []metadata.Trigger
	for _, id := range ids {
		to.TriggerID = id
		row, err := what.switchOne(ctx, s, to)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	if a.output == jsonFormat {
		return a.printJSON(rows)
	}
	var text strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&text, "%s %s is %s\n", what.kind, row.Name, triggerStatus(a.style(), row))
	}
	return a.print(text.String())
}

// findTrigger finds a schedule or sensor by name; several locations may have one of it.
func findTrigger(ctx context.Context, store *metadata.Store, kind wire.TriggerKind, name, location string) (metadata.Trigger, error) {
	rows, err := store.Triggers(ctx, location, kind)
	if err != nil {
		return metadata.Trigger{}, err
	}
	var found []metadata.Trigger
	var names, places []string
	for _, row := range rows {
		names = append(names, row.Name)
		if row.Name == name {
			found, places = append(found, row), append(places, row.Location)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return metadata.Trigger{}, usagef("%s is a %s of several code locations: name one of %s with --location", name, kind, strings.Join(places, ", "))
	case len(names) == 0:
		return metadata.Trigger{}, fmt.Errorf("there is no %s %q: there are none at all", kind, name)
	default:
		return metadata.Trigger{}, fmt.Errorf("there is no %s %q (%s)", kind, name, wire.FixUnknown(name, names))
	}
}

func tickStatus(style render.Style, status wire.TickStatus) string {
	switch status {
	case wire.TickSuccess:
		return style.Green(string(status))
	case wire.TickFailure:
		return style.Red(string(status))
	case wire.TickSkipped:
		return style.Faint(string(status))
	case wire.TickStarted:
	}
	return string(status)
}

// tickSays is what a tick started, why it did not, or why it failed, in a line.
func tickSays(tick metadata.Tick) string {
	var said []string
	started := 0
	for _, run := range tick.Runs {
		if !run.Known && run.Error == "" {
			started++
		}
	}
	switch {
	case started == 1 && len(tick.Runs) == 1:
		said = append(said, tick.Runs[0].RunID)
	case len(tick.Runs) > 0:
		said = append(said, render.Count(started, "run"))
		if others := len(tick.Runs) - started; others > 0 {
			said = append(said, fmt.Sprintf("%d not started", others))
		}
	}
	if tick.Skip != "" {
		said = append(said, tick.Skip)
	}
	if tick.Error != nil {
		said = append(said, tick.Error.Message)
	}
	return render.OneLine(strings.Join(said, "; "))
}
