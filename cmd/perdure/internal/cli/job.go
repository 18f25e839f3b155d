package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) jobCommand() *cobra.Command {
	cmd := group("job", "List, show, configure and run jobs", "")
	cmd.AddCommand(a.jobListCommand(), a.jobShowCommand(), a.jobRunCommand(), a.jobScaffoldConfigCommand())
	return cmd
}

func (a *app) jobListCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs and what they run", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listJobs(cmd.Context(), location) },
	}
	cmd.Flags().StringVar(&location, "location", "", "only those of this code location")
	return cmd
}

// shownJob is a job as JSON: its definition, and what it is made of.
type shownJob struct {
	plan.Job
	Location string `json:"location"`
	// Assets are those that it makes, Ops those that it runs.
	Assets []string `json:"assets"`
	Ops    []string `json:"ops"`
}

// kind is what the job is made of.
func (j shownJob) kind() string {
	if j.Job.Ops != nil {
		return "ops"
	}
	return "assets"
}

// size says how much it runs.
func (j shownJob) size() string {
	if j.Job.Ops != nil {
		return render.Count(len(j.Ops), "op")
	}
	return render.Count(len(j.Assets), "asset")
}

func (j shownJob) selection() string {
	if j.Job.Ops != nil {
		return ""
	}
	return j.Selection.String()
}

func showJob(location string, contents plan.JobContents) shownJob {
	return shownJob{Job: contents.Job, Location: location, Assets: append([]string{}, contents.Assets...), Ops: append([]string{}, contents.Ops...)}
}

// locationPlanner plans runs of the active build of one location.
type locationPlanner struct {
	location string
	planner  *plan.Planner
	jobs     []string
}

// planners are those of all locations, or of the named one.
func planners(ctx context.Context, store *metadata.Store, location string) ([]locationPlanner, error) {
	found, err := locations(ctx, store, location)
	if err != nil {
		return nil, err
	}
	made := make([]locationPlanner, len(found))
	for i, one := range found {
		snapshot, err := store.Snapshot(ctx, one.Hash)
		if err != nil {
			return nil, err
		}
		planner, err := plan.NewPlanner(snapshot, nil)
		if err != nil {
			return nil, err
		}
		made[i] = locationPlanner{location: one.Location, planner: planner}
		for _, job := range snapshot.Jobs {
			made[i].jobs = append(made[i].jobs, job.Name)
		}
	}
	return made, nil
}

// findJob is the one location that has the job.
func findJob(ctx context.Context, store *metadata.Store, name, location string) (locationPlanner, error) {
	all, err := planners(ctx, store, location)
	if err != nil {
		return locationPlanner{}, err
	}
	var having []locationPlanner
	var where, known []string
	for _, one := range all {
		known = append(known, one.jobs...)
		if slices.Contains(one.jobs, name) {
			having, where = append(having, one), append(where, one.location)
		}
	}
	switch len(having) {
	case 0:
		slices.Sort(known)
		return locationPlanner{}, fmt.Errorf("there is no job %q (%s)", name, wire.FixUnknown(name, slices.Compact(known)))
	case 1:
		return having[0], nil
	default:
		return locationPlanner{}, usagef("several code locations have a job %q: name one of %s with --location", name, strings.Join(where, ", "))
	}
}

func (a *app) listJobs(ctx context.Context, location string) error {
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	all, err := planners(ctx, store, location)
	if err != nil {
		return err
	}
	listed := []shownJob{}
	var problems []error
	for _, one := range all {
		for _, name := range one.jobs {
			contents, err := one.planner.JobContents(name)
			if err != nil {
				problems = append(problems, fmt.Errorf("job %q of location %q: %w", name, one.location, err))
				continue
			}
			listed = append(listed, showJob(one.location, contents))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(listed)
	}
	if len(listed) == 0 {
		return a.print("there is no job\n")
	}
	rows := make([][]string, len(listed))
	for i, job := range listed {
		rows[i] = []string{job.Name, "", job.size(), job.selection(), render.OneLine(job.Description)}
		if len(all) > 1 {
			rows[i][1] = job.Location
		}
	}
	return a.print(a.style().Table([]render.Column{{Title: "job"}, {Title: "location"}, {Title: "runs"}, {Title: "selection"}, {Title: "description"}}, rows))
}
