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
	"github.com/perdure-io/perdure/wire"
)

func (a *app) sensorPreviewCommand() *cobra.Command {
	var location, cursor, events string
	cmd := &cobra.Command{
		Use: "preview SENSOR", Short: "Show what a sensor would start, and start nothing", Args: arguments(cobra.ExactArgs(1)),
		Long: "Evaluate a sensor with the events that wait, or with those of a file, and show what it would start: a worker of its location calls\n" +
			"its function. Nothing is started, taken in or recorded.",
		Example: "  perdure sensor preview arrivals --events events.jsonl --cursor '\"2001-01-31\"'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.previewSensor(cmd.Context(), args[0], location, cursor, events)
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().StringVar(&cursor, "cursor", "", "the cursor, JSON (default: the sensor's)")
	cmd.Flags().StringVar(&events, "events", "", "a file with an event in each line (default: those that wait); - is standard input")
	return cmd
}

func (a *app) previewSensor(ctx context.Context, name, location, cursor, file string) error {
	if cursor != "" && !json.Valid([]byte(cursor)) {
		return usagef("--cursor: %q is no JSON value: mind the shell's quotes, as in '\"2001-01-31\"'", cursor)
	}
	events, err := a.readEvents(file)
	if err != nil {
		return err
	}
	s, id, err := a.sensorSession(ctx, name, location)
	if err != nil {
		return err
	}
	defer s.close()
	var given []byte
	if cursor != "" {
		given = []byte(cursor)
	}
	result, err := s.PreviewSensor(ctx, id, events, given)
	if err != nil {
		return err
	}
	return a.printPreview(result)
}

// readEvents reads all events of a file; nil without one. What is wrong with them is told with their lines.
func (a *app) readEvents(file string) ([]wire.SensorEvent, error) {
	if file == "" {
		return nil, nil
	}
	input := io.NopCloser(a.env.Stdin)
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
		input = opened
	}
	defer func() { _ = input.Close() }() // it was only read
	events := []wire.SensorEvent{}
	var problems wire.Problems
	lines := bufio.NewReaderSize(input, 1<<16)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			event, wrong := wire.DecodeEvent(trimmed)
			events, problems = append(events, event), append(problems, wrong.Below(fmt.Sprintf("line %d", n))...)
		}
		if errors.Is(err, io.EOF) {
			return events, problems.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read the events: %w", err)
		}
	}
}

// sensorPreview is what of a preview only sensors have.
func (a *app) sensorPreview(result wire.PreviewResult) string {
	var text strings.Builder
	if result.Events > 0 {
		fmt.Fprintf(&text, "takes in: %s\n", render.Count(result.Events, "event"))
	}
	for _, rejected := range result.Rejected {
		fmt.Fprintf(&text, "%s %s: %s\n", a.style().Red("rejects"), rejected.ID, render.OneLine(rejected.Problem))
	}
	for _, change := range result.AddPartitions {
		fmt.Fprintf(&text, "adds to %s: %s\n", change.Name, strings.Join(change.Keys, ", "))
	}
	for _, change := range result.RemovePartitions {
		fmt.Fprintf(&text, "removes from %s: %s\n", change.Name, strings.Join(change.Keys, ", "))
	}
	for _, report := range result.Reports {
		fmt.Fprintf(&text, "reports a %s of %s\n", report.Type, report.Asset)
	}
	if result.Cursor != nil {
		fmt.Fprintf(&text, "sets the cursor to: %s\n", render.OneLine(string(result.Cursor)))
	}
	return text.String()
}
