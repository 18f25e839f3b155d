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
	selections    []string
	job, location string
	of            requestOptions
	run           runOptions
}

func (a *app) assetMaterializeCommand() *cobra.Command {
	var options materialize
	cmd := &cobra.Command{
		Use: "materialize SELECTION...", Short: "Start a run that makes assets, and watch it",
		Long: "Start a run that makes the selected assets, or those of a job, and watch it to its end. Several selections are\n" +
			"taken together. The exit code is 0 only when the run ends SUCCESS. Ctrl-C ends the watching, not the run." + partitionHelp + settingHelp,
		Example: "  perdure asset materialize '*'\n" +
			"  perdure asset materialize route_delays --partition 2001-01-01\n" +
			"  perdure asset materialize route_delays+ --range 2001-01-01..2001-01-07 --only missing --dry-run\n" +
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
	options.of.addTo(flags)
	options.run.addTo(flags, newRunID)
	return cmd
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
	var problem error
	switch {
	case len(options.selections) == 0 && options.job == "":
		problem = usagef(`name what to materialize: a selection such as "*" or "route_delays+", or --job`)
	case len(options.selections) > 0 && options.job != "":
		problem = usagef("name a selection or --job, not both")
	}
	request, given, err := a.request(options.run)
	if err := errors.Join(problem, options.of.addToRequest(&request), err); err != nil {
		return err
	}
	request.Job, request.Assets = options.job, union(options.selections)
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	location, err := oneLocation(ctx, s.Store, options.location)
	if err != nil {
		return err
	}
	return a.startRun(ctx, s, starter.NewRun{Location: location, ID: options.run.id, Request: request}, given, options.run)
}

// startRun starts a run with the config that is given, or shows what it would do.
func (a *app) startRun(ctx context.Context, s *session, run starter.NewRun, given givenConfig, options runOptions) error {
	var err error
	if run.Request.Config, err = given.encode(configNames(ctx, s.Store, run.Location)); err != nil {
		return err
	}
	if options.dryRun {
		planned, err := s.Plan(ctx, run)
		if err != nil {
			return err
		}
		return a.printPlan(planned)
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

func (a *app) printPlan(planned *plan.Plan) error {
	steps := planned.PlannedSteps()
	if a.output == jsonFormat {
		return a.printJSON(wire.RunResult{Status: wire.RunNotStarted, Materialized: []string{}, Plan: steps})
	}
	rows, takenOver := make([][]string, len(steps)), 0
	for i, step := range steps {
		if step.InheritedFrom != "" {
			takenOver++
		}
		made := strings.Join(step.Assets, ", ")
		if made == step.Step {
			made = ""
		}
		rows[i] = []string{step.Step, made, strings.Join(step.After, ", "), step.Reason}
	}
	table := a.style().Table([]render.Column{{Title: "step"}, {Title: "makes"}, {Title: "after"}, {Title: "reason"}}, rows)
	end := render.Count(len(steps)-takenOver, "step") + " would run"
	if takenOver > 0 {
		end += ", " + render.Number(int64(takenOver)) + " would be taken over"
	}
	return a.print(table + "\n" + end + "; nothing was started\n")
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
