package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/starter"
)

// quietAge is the age from which a build's workers count as gone.
const quietAge = 60 * time.Second

func (a *app) locationCommand() *cobra.Command {
	cmd := group("location", "List code locations and choose which build is active", "")
	cmd.AddCommand(a.locationListCommand(), a.locationActivateCommand())
	return cmd
}

func (a *app) locationListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List code locations with their builds, the active one first", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listLocations(cmd.Context()) },
	}
}

func (a *app) listLocations(ctx context.Context) error {
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	found, err := store.Locations(ctx)
	if err != nil {
		return err
	}
	builds := []metadata.Build{}
	for _, location := range found {
		of, err := store.Builds(ctx, location.Location)
		if err != nil {
			return err
		}
		builds = append(builds, activeFirst(of)...)
	}
	if a.output == jsonFormat {
		return a.printJSON(builds)
	}
	if len(builds) == 0 {
		return a.print("there is no code location yet: start a worker of one, or `perdure dev DIR`\n")
	}
	return a.print(a.buildTable(builds))
}

func activeFirst(builds []metadata.Build) []metadata.Build {
	var active, others []metadata.Build
	for _, build := range builds {
		if build.Active {
			active = append(active, build)
		} else {
			others = append(others, build)
		}
	}
	return append(active, others...)
}

func (a *app) buildTable(builds []metadata.Build) string {
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(builds))
	for i, build := range builds {
		state := style.Faint("superseded")
		if build.Active {
			state = style.Green("active")
		}
		workers := "alive"
		if clock.Now.Sub(build.LastSeen) > quietAge {
			workers = "none since " + clock.Moment(build.LastSeen)
		}
		rows[i] = []string{build.Location, build.Build, state, clock.Moment(build.ActivatedAt), workers}
	}
	return style.Table([]render.Column{{Title: "location"}, {Title: "build"}, {Title: "state"}, {Title: "activated"}, {Title: "workers"}}, rows)
}

func (a *app) locationActivateCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "activate BUILD", Short: "Plan runs by this build's definitions from now on", Args: arguments(cobra.ExactArgs(1)),
		Long: "Plan runs by this build's definitions from now on, for example to go back to the one before. Open runs keep\n" +
			"their plans. It stays so while a worker of the build is alive.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.activateBuild(cmd.Context(), location, args[0])
		},
	}
	cmd.Flags().StringVar(&location, "location", "", "the code location; needed when there are several")
	return cmd
}

func (a *app) activateBuild(ctx context.Context, location, build string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	if location, err = oneLocation(ctx, store, location); err != nil {
		return err
	}
	state, err := (&starter.Starter{Store: store, Deployment: settings.Deployment}).ActivateBuild(ctx, location, build)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(state)
	}
	return a.print(fmt.Sprintf("build %s of location %s is active\n", strings.TrimSpace(state.ActiveBuild), location))
}
