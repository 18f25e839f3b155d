package cli

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

type materialize struct {
	selections                               []string
	job, location, id, priority, title, note string
	configFile                               string
	settings, tags                           []string
	dryRun, noWait                           bool
}

func (a *app) assetMaterializeCommand() *cobra.Command {
	var options materialize
	cmd := &cobra.Command{
		Use: "materialize SELECTION...", Short: "Start a run that makes assets, and watch it",
		Long: "Start a run that makes the selected assets, or those of a job, and watch it to its end. Several selections are\n" +
			"taken together. The exit code is 0 only when the run ends SUCCESS. Ctrl-C ends the watching, not the run.",
		Example: "  perdure asset materialize '*'\n" +
			"  perdure asset materialize route_delays+ --set assets.route_delays.min_flights=5\n" +
			"  perdure asset materialize --job nightly --run-config run.yaml --tag team=ops",
		RunE: func(cmd *cobra.Command, args []string) error {
			options.selections = args
			return a.materialize(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.job, "job", "", "materialize the assets of this job, with its config and tags")
	flags.StringVar(&options.location, "location", "", "the code location; needed when there are several")
	flags.StringVar(&options.id, "id", "", "the run's id, also Temporal's workflow id (default: one is made)")
	flags.StringVar(&options.configFile, "run-config", "", "run config, a YAML or JSON file; - is standard input")
	flags.StringArrayVar(&options.settings, "set", nil, "one value of the run config, as assets.route_delays.min_flights=5; repeatable")
	flags.StringArrayVar(&options.tags, "tag", nil, "a tag KEY=VALUE of the run; repeatable")
	flags.StringVar(&options.priority, "priority", "", "1 (first) to 5, or high, normal, low, backfill")
	flags.StringVar(&options.title, "title", "", "a title for people")
	flags.StringVar(&options.note, "note", "", "a note for people")
	flags.BoolVar(&options.dryRun, "dry-run", false, "show what would run, in order and why, and start nothing")
	flags.BoolVar(&options.noWait, "no-wait", false, "return as soon as the run is started")
	return cmd
}

// request turns the command line into a request; every problem at once.
func (a *app) request(options materialize) (wire.RunRequest, error) {
	request := wire.RunRequest{Job: options.job, Title: options.title, Note: options.note}
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	switch {
	case len(options.selections) == 0 && options.job == "":
		add(usagef(`name what to materialize: a selection such as "*" or "route_delays+", or --job`))
	case len(options.selections) > 0 && options.job != "":
		add(usagef("name a selection or --job, not both"))
	}
	if options.dryRun && options.noWait {
		add(usagef("--no-wait makes no sense with --dry-run, which starts nothing"))
	}
	request.Assets = union(options.selections)
	var err error
	request.Config, err = a.runConfig(options.configFile, options.settings)
	add(err)
	request.Tags, err = pairs("tag", options.tags)
	add(err)
	if options.priority != "" {
		request.Priority, err = wire.ParsePriority(options.priority)
		if err != nil {
			add(usagef("--priority %w", err))
		}
	}
	return request, errors.Join(problems...)
}

// plainKey is an expression that is just an asset's key.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// words of the selection language are no keys, although they look like it.
var words = []string{"and", "or", "not", "sinks", "roots"}

// union selects what any of the expressions does.
func union(expressions []string) wire.AssetSelection {
	if len(expressions) <= 1 {
		return wire.AssetSelection{Expression: strings.Join(expressions, "")}
	}
	keys := true
	parenthesized := make([]string, len(expressions))
	for i, expression := range expressions {
		keys = keys && plainKey.MatchString(expression) && !slices.Contains(words, expression)
		parenthesized[i] = "(" + expression + ")"
	}
	if keys {
		return wire.AssetSelection{Keys: expressions}
	}
	return wire.AssetSelection{Expression: strings.Join(parenthesized, " or ")}
}

func (a *app) materialize(ctx context.Context, options materialize) error {
	request, err := a.request(options)
	if err != nil {
		return err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	location, err := oneLocation(ctx, s.Store, options.location)
	if err != nil {
		return err
	}
	run := starter.NewRun{Location: location, ID: options.id, Request: request}
	if options.dryRun {
		return a.dryRun(ctx, s, run)
	}
	started, err := s.StartRun(ctx, run)
	if err != nil {
		return err
	}
	return a.watchStarted(ctx, s, started, options.noWait)
}

// watchStarted watches a run that was started to its end, or only says that it was.
func (a *app) watchStarted(ctx context.Context, s *session, started starter.StartedRun, noWait bool) error {
	if noWait {
		return a.printStarted(s, started)
	}
	follower := a.newFollower(s, started.ID)
	if !started.Polled {
		follower.unpolled = started.Queue
	}
	if a.output == tableFormat && follower.painter == nil {
		if err := a.print("started run " + started.ID + "\n"); err != nil {
			return err
		}
	}
	return follower.conclude(follower.follow(ctx))
}

func (a *app) dryRun(ctx context.Context, s *session, run starter.NewRun) error {
	planned, err := s.Plan(ctx, run)
	if err != nil {
		return err
	}
	return a.printPlan(planned)
}

func (a *app) printPlan(planned *plan.Plan) error {
	steps := planned.PlannedSteps()
	if a.output == jsonFormat {
		return a.printJSON(wire.RunResult{Status: wire.RunNotStarted, Materialized: []string{}, Plan: steps})
	}
	rows := make([][]string, len(steps))
	for i, step := range steps {
		made := strings.Join(step.Assets, ", ")
		if made == step.Step {
			made = ""
		}
		rows[i] = []string{step.Step, made, strings.Join(step.After, ", "), step.Reason}
	}
	table := a.style().Table([]render.Column{{Title: "step"}, {Title: "makes"}, {Title: "after"}, {Title: "reason"}}, rows)
	return a.print(table + "\n" + render.Count(len(steps), "step") + " would run; nothing was started\n")
}

func (a *app) printStarted(s *session, started starter.StartedRun) error {
	if a.output == jsonFormat {
		return a.printJSON(struct {
			RunID      string `json:"run_id"`
			Queue      string `json:"queue"`
			Polled     bool   `json:"polled"`
			FirstRunID string `json:"first_run_id"`
		}{started.ID, started.Queue, started.Polled, started.FirstRunID})
	}
	text := "started run " + started.ID + "\n" + link(s.settings, started.ID) + "\n"
	if !started.Polled {
		text += "it waits: no worker polls the task queue \"" + started.Queue + "\"; start the location\n"
	}
	return a.print(text)
}
