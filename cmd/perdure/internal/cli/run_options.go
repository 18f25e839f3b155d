package cli

import (
	"context"
	"errors"

	"github.com/spf13/pflag"

	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/wire"
)

// runOptions are the flags of the commands that start a run.
type runOptions struct {
	id, priority, title, note string
	configFile                string
	settings, tags            []string
	dryRun, noWait            bool
}

// addTo defines the flags; id is the help of --id.
func (o *runOptions) addTo(flags *pflag.FlagSet, id string) {
	flags.StringVar(&o.id, "id", "", id)
	flags.StringVar(&o.configFile, "run-config", "", "run config, a YAML or JSON file; - is standard input")
	flags.StringArrayVar(&o.settings, "set", nil, "one value of the run config, as assets.route_delays.min_flights=5; repeatable")
	flags.StringArrayVar(&o.tags, "tag", nil, "a tag KEY=VALUE of the run; repeatable")
	flags.StringVar(&o.priority, "priority", "", "1 (first) to 5, or high, normal, low, backfill")
	flags.StringVar(&o.title, "title", "", "a title for people")
	flags.StringVar(&o.note, "note", "", "a note for people")
	flags.BoolVar(&o.dryRun, "dry-run", false, "show what would run, in order and why, and start nothing")
	flags.BoolVar(&o.noWait, "no-wait", false, "return as soon as the run is started")
}

// newRunID is the help of --id where no run is executed again.
const newRunID = "the run's id, also Temporal's workflow id (default: one is made)"

// request is what the flags say of a request, all but its config; every problem at once.
func (a *app) request(options runOptions) (wire.RunRequest, givenConfig, error) {
	request := wire.RunRequest{Title: options.title, Note: options.note}
	var problems []error
	if options.dryRun && options.noWait {
		problems = append(problems, usagef("--no-wait makes no sense with --dry-run, which starts nothing"))
	}
	given, err := a.runConfig(options.configFile, options.settings)
	problems = append(problems, err)
	request.Tags, err = pairs("tag", options.tags)
	problems = append(problems, err)
	if options.priority != "" {
		if request.Priority, err = wire.ParsePriority(options.priority); err != nil {
			problems = append(problems, usagef("--priority %w", err))
		}
	}
	return request, given, errors.Join(problems...)
}

// configNames gives the names of a location's active build that a run config can name.
func configNames(ctx context.Context, store *metadata.Store, location string) func() (map[string][]string, error) {
	return func() (map[string][]string, error) {
		snapshot, _, _, err := store.ActiveSnapshot(ctx, location)
		if err != nil {
			return nil, err
		}
		return snapshot.ConfigNames(), nil
	}
}
