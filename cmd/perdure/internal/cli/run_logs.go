package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/config"
	"github.com/perdure-io/perdure/internal/computelog"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// logInterval is how often new lines are asked for while a run is followed.
const logInterval = 500 * time.Millisecond

type runLogs struct {
	run, step      string
	stdout, stderr bool
	follow         bool
	attempt        int
	level          string
}

func (a *app) runLogsCommand() *cobra.Command {
	options := runLogs{}
	cmd := &cobra.Command{
		Use: "logs RUN", Short: "Show what a run's steps logged, or what one of them printed", Args: arguments(cobra.ExactArgs(1)),
		Long: "Show the log lines of a run's steps. With --stdout or --stderr, show what a step printed instead: all that a\n" +
			"program or a subprocess prints, and of a function in a worker what it writes to Context.Stdout and Stderr.\n" +
			"--follow goes on until the step, or the run, has ended.",
		Example: "  perdure run logs r1 --level WARN\n  perdure run logs r1 --step scores --stdout --follow",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.run = args[0]
			return a.showLogs(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.step, "step", "", "only this step, as route_delays or count_page[RNO]")
	flags.BoolVar(&options.stdout, "stdout", false, "what the step printed to standard output")
	flags.BoolVar(&options.stderr, "stderr", false, "what the step printed to standard error")
	flags.IntVar(&options.attempt, "attempt", 0, "with --stdout or --stderr: the attempt, from 1 (default: the last)")
	flags.BoolVarP(&options.follow, "follow", "f", false, "go on showing what comes")
	flags.StringVar(&options.level, "level", "INFO", "the least level of the lines: DEBUG, INFO, WARN or ERROR")
	return cmd
}

func (o runLogs) check() error {
	var problems []error
	printed := o.stdout || o.stderr
	if o.stdout && o.stderr {
		problems = append(problems, usagef("give --stdout or --stderr, not both: they are kept apart"))
	}
	if printed && o.step == "" {
		problems = append(problems, usagef("--stdout and --stderr are of one step: name it with --step"))
	}
	if o.attempt != 0 && !printed {
		problems = append(problems, usagef("--attempt goes with --stdout or --stderr"))
	}
	if o.attempt < 0 {
		problems = append(problems, usagef("--attempt is %d and must be at least 1", o.attempt))
	}
	return errors.Join(problems...)
}

func (a *app) showLogs(ctx context.Context, options runLogs) error {
	if err := options.check(); err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(options.level)); err != nil {
		return usagef("--level is %q and must be DEBUG, INFO, WARN or ERROR", options.level)
	}
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	if _, err := store.Run(ctx, options.run); errors.Is(err, metadata.ErrNotFound) {
		return notFound(ctx, store, options.run)
	} else if err != nil {
		return err
	}
	if err := knownStep(ctx, store, options.run, options.step); err != nil {
		return err
	}
	if options.stdout || options.stderr {
		return a.showPrinted(ctx, store, settings, options)
	}
	return a.showLines(ctx, store, options, level)
}

// knownStep is an error when the run has no step of that key.
func knownStep(ctx context.Context, store *metadata.Store, run, step string) error {
	if step == "" {
		return nil
	}
	steps, err := allSteps(ctx, store, run)
	if err != nil {
		return err
	}
	keys := make([]string, len(steps))
	for i, known := range steps {
		if keys[i] = known.Step; known.Step == step {
			return nil
		}
	}
	return fmt.Errorf("run %s has no step %q (%s)", run, step, wire.FixUnknown(step, keys))
}

// showPrinted shows what a step printed.
func (a *app) showPrinted(ctx context.Context, store *metadata.Store, settings config.Config, options runLogs) error {
	kept, err := computelog.Open(ctx, settings.Storage.URL, computelog.Options{})
	if err != nil {
		return err
	}
	selected := computelog.Selection{Run: options.run, Step: options.step, Attempt: options.attempt, Stream: computelog.Stdout}
	if options.stderr {
		selected.Stream = computelog.Stderr
	}
	if options.follow {
		err = kept.Follow(ctx, a.env.Stdout, selected, func(ctx context.Context) (bool, error) {
			return stepGoesOn(ctx, store, options.run, options.step)
		})
	} else {
		err = kept.Copy(ctx, a.env.Stdout, selected)
	}
	return errors.Join(err, kept.Close())
}

func stepGoesOn(ctx context.Context, store *metadata.Store, run, step string) (bool, error) {
	steps, err := allSteps(ctx, store, run)
	if err != nil {
		return false, err
	}
	for _, known := range steps {
		if known.Step == step {
			return !known.Status.Ended(), nil
		}
	}
	return false, nil
}

// showLines shows log lines, and with follow those that come.
func (a *app) showLines(ctx context.Context, store *metadata.Store, options runLogs, level slog.Level) error {
	filter := metadata.LogFilter{Run: options.run, Step: options.step, Level: level}
	for cursor := ""; ; {
		// Before the look at the lines, so that the last of them are not missed.
		run, err := store.Run(ctx, options.run)
		if err != nil {
			return err
		}
		page, err := store.LogLines(ctx, filter, cursor, stepPage)
		if err != nil {
			return err
		}
		if err := a.printLines(page.Rows); err != nil {
			return err
		}
		switch {
		case len(page.Rows) == stepPage:
		case !options.follow || run.Status.Ended():
			return nil
		default:
			select {
			case <-time.After(logInterval):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		cursor = page.Next
	}
}

func (a *app) printLines(lines []metadata.LogLine) error {
	if a.output == jsonFormat {
		for _, line := range lines {
			if err := a.printJSON(struct {
				metadata.LogLine
				Level string `json:"level"`
			}{line, line.Level.String()}); err != nil {
				return err
			}
		}
		return nil
	}
	var text strings.Builder
	clock := a.clock()
	for _, line := range lines {
		fmt.Fprintf(&text, "%s %-5s %s: %s%s\n", line.At.In(clock.Zone).Format("15:04:05.000"), line.Level, line.Step, render.OneLine(line.Message), attributes(line.Attributes))
	}
	return a.print(text.String())
}

// attributes are a line's, as key=value in the order of their names.
func attributes(object json.RawMessage) string {
	var values map[string]json.RawMessage
	if json.Unmarshal(object, &values) != nil {
		return ""
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text.WriteString(" " + name + "=" + string(values[name]))
	}
	return text.String()
}
