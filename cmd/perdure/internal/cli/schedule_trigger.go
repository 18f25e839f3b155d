package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) scheduleTriggerCommand() *cobra.Command {
	var location, at string
	cmd := &cobra.Command{
		Use: "trigger SCHEDULE", Short: "Evaluate a schedule once more, now, whether it is due or not", Args: arguments(cobra.ExactArgs(1)),
		Long: "Evaluate a schedule once more, now, whether it is due or not, also when it is stopped, and start its runs. --at gives the nominal\n" +
			"time that it is evaluated for: one that was evaluated before is not evaluated again.",
		Example: "  perdure schedule trigger nightly\n  perdure schedule trigger nightly --at 2001-02-01T06:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.triggerSchedule(cmd.Context(), args[0], location, at)
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().StringVar(&at, "at", "", "the nominal time, RFC 3339 (default: now)")
	return cmd
}

// sessionFor opens a connection to evaluate a schedule, at a time that is one.
func (a *app) sessionFor(ctx context.Context, name, location, at string) (*session, metadata.TriggerID, error) {
	if _, err := time.Parse(time.RFC3339, at); at != "" && err != nil {
		return nil, metadata.TriggerID{}, usagef("--at: %q is no time of RFC 3339: give one such as 2001-02-01T06:00:00Z", at)
	}
	s, err := a.connect(ctx)
	if err != nil {
		return nil, metadata.TriggerID{}, err
	}
	row, err := findTrigger(ctx, s.Store, wire.TriggerSchedule, name, location)
	if err != nil {
		s.close()
		return nil, metadata.TriggerID{}, err
	}
	return s, row.TriggerID, nil
}

func (a *app) triggerSchedule(ctx context.Context, name, location, at string) error {
	s, id, err := a.sessionFor(ctx, name, location, at)
	if err != nil {
		return err
	}
	defer s.close()
	result, err := s.TriggerSchedule(ctx, id, at)
	if err != nil {
		return err
	}
	failed := false
	for _, tick := range result.Ticks {
		failed = failed || tick.Status == wire.TickFailure
	}
	if a.output == jsonFormat {
		if err := a.printJSON(result); err != nil || !failed {
			return err
		}
		return silentError{exitFailure}
	}
	style, text := a.style(), ""
	if result.Note != "" {
		text = result.Note + "\n"
	}
	for _, tick := range result.Ticks {
		text += tickStatus(style, tick.Status) + "  " + tick.Nominal
		for _, said := range []string{tick.Skip, tick.Error} {
			if said != "" {
				text += "  " + render.OneLine(said)
			}
		}
		text += "\n"
		for _, run := range tick.Runs {
			text += "  " + strings.TrimSpace(run.RunID+" "+run.Partition)
			switch {
			case run.Known:
				text += "  had been asked for before"
			case run.Error != "":
				text += "  " + style.Red(run.Error)
			}
			text += "\n"
		}
	}
	if err := a.print(text); err != nil {
		return err
	}
	if failed {
		return silentError{exitFailure}
	}
	return nil
}

func (a *app) schedulePreviewCommand() *cobra.Command {
	var location, at string
	cmd := &cobra.Command{
		Use: "preview SCHEDULE", Short: "Show what a schedule would start, and start nothing", Args: arguments(cobra.ExactArgs(1)),
		Long: "Evaluate a schedule as it would be at a time, and show what it would start: a worker of its location calls its function. Nothing is\n" +
			"started, nothing is recorded.",
		Example: "  perdure schedule preview nightly --at 2001-02-01T06:00:00Z",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.previewSchedule(cmd.Context(), args[0], location, at)
		},
	}
	locationFlag(cmd, &location)
	cmd.Flags().StringVar(&at, "at", "", "the nominal time, RFC 3339 (default: the next time at which it is due)")
	return cmd
}

func (a *app) previewSchedule(ctx context.Context, name, location, at string) error {
	s, id, err := a.sessionFor(ctx, name, location, at)
	if err != nil {
		return err
	}
	defer s.close()
	result, err := s.PreviewSchedule(ctx, id, at)
	if err != nil {
		return err
	}
	return a.printPreview(result)
}

// printPreview prints what a schedule or sensor would start. That its function fails is a failure.
func (a *app) printPreview(result wire.PreviewResult) error {
	if a.output == jsonFormat {
		if err := a.printJSON(result); err != nil || result.Error == nil {
			return err
		}
		return silentError{exitFailure}
	}
	style := a.style()
	text := ""
	if result.At != "" {
		text = "at " + result.At + ":\n"
	}
	if len(result.Runs) > 0 {
		lines := make([][]string, len(result.Runs))
		for i, run := range result.Runs {
			config := ""
			if len(run.Request.Config) > 0 {
				config = string(run.Request.Config)
			}
			lines[i] = []string{
				run.Job, run.RunKey, partitionsOf(wire.BackfillRequest{
					Partition: run.Request.Partition, Partitions: run.Request.Partitions, Range: run.Request.Range,
					AllPartitions: run.Request.AllPartitions, Only: run.Request.Only,
				}), render.Count(run.Steps, "step"), render.Tags(run.Request.Tags), render.OneLine(config),
			}
		}
		text += style.Table([]render.Column{
			{Title: "job"},
			{Title: "run key"},
			{Title: "partition"},
			{Title: "steps"},
			{Title: "tags"},
			{Title: "config"},
		}, lines)
	}
	if result.Skip != "" {
		text += "starts nothing: " + result.Skip + "\n"
	}
	text += a.sensorPreview(result)
	text += a.tickLog(metadata.Tick{Log: result.Log, Error: result.Error})
	if err := a.print(text); err != nil || result.Error == nil {
		return err
	}
	return silentError{exitFailure}
}
