package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

// sensorSession opens a connection for what is wanted of one sensor.
func (a *app) sensorSession(ctx context.Context, name, location string) (*session, metadata.SensorID, error) {
	s, err := a.connect(ctx)
	if err != nil {
		return nil, metadata.SensorID{}, err
	}
	row, err := findTrigger(ctx, s.Store, wire.TriggerSensor, name, location)
	if err != nil {
		s.close()
		return nil, metadata.SensorID{}, err
	}
	return s, metadata.SensorID{Location: row.Location, Sensor: row.Name}, nil
}

func (a *app) sensorTickCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "tick SENSOR", Short: "Evaluate a sensor now, and wait for what it starts", Args: arguments(cobra.ExactArgs(1)),
		Long: "Evaluate a sensor now, also when it is stopped, and print the tick: the runs that it started, why it started none, or why it\n" +
			"failed, which is also the exit code.",
		Example: "  perdure sensor tick arrivals",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.tickSensor(cmd.Context(), args[0], location) },
	}
	locationFlag(cmd, &location)
	return cmd
}

func (a *app) tickSensor(ctx context.Context, name, location string) error {
	s, id, err := a.sensorSession(ctx, name, location)
	if err != nil {
		return err
	}
	defer s.close()
	tick, err := s.TickSensor(ctx, id)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		err = a.printJSON(tick)
	} else {
		err = a.print(a.sensorTickText(tick))
	}
	if err == nil && tick.Status == wire.TickFailure {
		return silentError{exitFailure}
	}
	return err
}

func (a *app) sensorTickText(tick wire.SensorTick) string {
	style := a.style()
	var text strings.Builder
	text.WriteString(tickStatus(style, tick.Status) + "  " + render.Count(tick.Events, "event"))
	if tick.Skip != "" {
		text.WriteString("  " + render.OneLine(tick.Skip))
	}
	if tick.Error != nil {
		text.WriteString("  " + render.OneLine(tick.Error.Message))
	}
	text.WriteString("\n")
	for _, run := range tick.Runs {
		text.WriteString("  " + strings.TrimSpace(run.RunID+" "+run.Partition))
		switch {
		case run.Known:
			text.WriteString("  had been asked for before")
		case run.Error != "":
			text.WriteString("  " + style.Red(run.Error))
		}
		text.WriteString("\n")
	}
	if more := tick.RunCount - len(tick.Runs); more > 0 {
		fmt.Fprintf(&text, "  and %d more\n", more)
	}
	return text.String()
}

func (a *app) sensorSetCursorCommand() *cobra.Command {
	var location, why string
	var none bool
	cmd := &cobra.Command{
		Use: "set-cursor SENSOR [CURSOR]", Short: "Set the cursor of a sensor, or take it away", Args: arguments(cobra.RangeArgs(1, 2)),
		Long: "Set the cursor of a sensor to a JSON value that its function can read; --clear takes it away, as before the first tick. An\n" +
			"evaluation that goes on meanwhile is made again.",
		Example: "  perdure sensor set-cursor arrivals '\"2001-01-31\"'\n  perdure sensor set-cursor arrivals --clear --why \"from the beginning\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setSensorCursor(cmd.Context(), args, location, why, none)
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().BoolVar(&none, "clear", false, "take the cursor away")
	cmd.Flags().StringVar(&why, "why", "", "why, for those who look at it later")
	return cmd
}

func (a *app) setSensorCursor(ctx context.Context, args []string, location, why string, none bool) error {
	var cursor []byte
	switch {
	case none == (len(args) == 2):
		return usagef("give a cursor, or --clear")
	case !none:
		if cursor = []byte(args[1]); !json.Valid(cursor) || string(cursor) == "null" {
			return usagef("the cursor %q is no JSON value: mind the shell's quotes, as in '\"2001-01-31\"'", args[1])
		}
	}
	s, id, err := a.sensorSession(ctx, args[0], location)
	if err != nil {
		return err
	}
	defer s.close()
	row, err := s.SetSensorCursor(ctx, starter.SensorOrder{SensorID: id, Who: a.env.User, Why: why}, cursor)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(row)
	}
	if none {
		return a.print("sensor " + id.Sensor + " has no cursor\n")
	}
	return a.print("the cursor of sensor " + id.Sensor + " is " + render.OneLine(string(row.Cursor)) + "\n")
}

type sensorSignal struct {
	location, id, payload, file string
}

func (a *app) sensorSignalCommand() *cobra.Command {
	var options sensorSignal
	cmd := &cobra.Command{
		Use: "signal SENSOR", Short: "Send an event to a sensor, or a file of them", Args: arguments(cobra.ExactArgs(1)),
		Long: "Send an event to a sensor, or, with --file, one for each line of a file (- is standard input): {\"id\":\"e1\",\"payload\":{…}}. They are\n" +
			"written past Temporal, thousands a second, and the sensor is woken. The same id counts once for 30 days. An event that cannot be read\n" +
			"is recorded as rejected; `perdure sensor show` lists those. Without an id, a line is named by the file's name and its number.",
		Example: "  perdure sensor signal arrivals --id e1 --payload '{\"flight\":\"AA1\"}'\n  perdure sensor signal arrivals --file events.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.signalSensor(cmd.Context(), args[0], options)
		},
	}
	flags := cmd.Flags()
	locationFlag(cmd, &options.location)
	flags.StringVar(&options.payload, "payload", "", "the event's payload, JSON")
	flags.StringVar(&options.id, "id", "", "the event's id (default: one is made)")
	flags.StringVar(&options.file, "file", "", "a file with an event in each line; - is standard input")
	return cmd
}

func (a *app) signalSensor(ctx context.Context, name string, options sensorSignal) error {
	input, source, err := a.openEvents(options)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }() // it was only read
	s, id, err := a.sensorSession(ctx, name, options.location)
	if err != nil {
		return err
	}
	defer s.close()
	sender, err := s.SendTo(ctx, id)
	if err != nil {
		return err
	}
	sendErr := sendLines(ctx, sender, input, source)
	counts, closeErr := sender.Close(ctx)
	if a.output == jsonFormat {
		err = a.printJSON(counts)
	} else {
		err = a.print(fmt.Sprintf("%s: %d new, %d known, %d rejected\n", render.Count(counts.New+counts.Known+counts.Rejected, "event"), counts.New, counts.Known, counts.Rejected))
	}
	if err := errors.Join(sendErr, closeErr, err); err != nil {
		return err
	}
	if counts.Rejected > 0 {
		return fmt.Errorf("%s rejected: `perdure sensor show %s` says why", render.Count(counts.Rejected, "event"), name)
	}
	return nil
}

// openEvents opens what is sent. source names events without an id; "" gives each one of its own.
func (a *app) openEvents(options sensorSignal) (input io.ReadCloser, source string, err error) {
	switch {
	case (options.file == "") == (options.payload == ""):
		return nil, "", usagef("give --payload, or --file")
	case options.file != "" && options.id != "":
		return nil, "", usagef("--id is for one --payload: the lines of a file bring their own")
	case options.file == "-":
		return io.NopCloser(a.env.Stdin), "", nil
	case options.file != "":
		file, err := os.Open(options.file)
		if err != nil {
			return nil, "", fmt.Errorf("read the events: %w", err)
		}
		return file, options.file, nil
	}
	if !json.Valid([]byte(options.payload)) {
		return nil, "", usagef("--payload: %q is no JSON: mind the shell's quotes, as in '{\"flight\":\"AA1\"}'", options.payload)
	}
	event, err := json.Marshal(wire.SensorEvent{ID: options.id, Payload: json.RawMessage(options.payload)})
	if err != nil {
		return nil, "", fmt.Errorf("make the event: %w", err)
	}
	return io.NopCloser(bytes.NewReader(event)), "", nil
}

// sendLines sends an event for each line that is not empty.
func sendLines(ctx context.Context, sender *starter.EventSender, input io.Reader, source string) error {
	lines := bufio.NewReaderSize(input, 1<<16)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			fallback := starter.NewEventID()
			if source != "" {
				fallback = starter.EventOfLine(source, n, trimmed)
			}
			if err := sender.Send(ctx, trimmed, fallback); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
	}
}
