package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/plan"
)

func (a *app) jobShowCommand() *cobra.Command {
	var location string
	cmd := &cobra.Command{
		Use: "show JOB", Short: "Show a job: what it runs, and how it is configured", Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.showJob(cmd.Context(), args[0], location) },
	}
	cmd.Flags().StringVar(&location, "location", "", "the code location; needed when several have a job of this name")
	return cmd
}

func (a *app) showJob(ctx context.Context, name, location string) error {
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	found, err := findJob(ctx, store, name, location)
	if err != nil {
		return err
	}
	contents, err := found.planner.JobContents(name)
	if err != nil {
		return err
	}
	job := showJob(found.location, contents)
	if a.output == jsonFormat {
		return a.printJSON(job)
	}
	style := a.style()
	text := style.Bold(job.Name) + "  a job of " + job.kind() + " in location " + job.Location + "\n"
	if job.Description != "" {
		text += "  " + strings.ReplaceAll(strings.TrimSpace(job.Description), "\n", "\n  ") + "\n"
	}
	return a.print(text + "\n" + style.Fields([][2]string{
		{"selection", job.selection()},
		{"assets", strings.Join(job.Assets, ", ")},
		{"ops", strings.Join(job.Ops, ", ")},
		{"config", string(job.Config)},
		{"tags", tagList(job.Tags)},
		{"executor", executorText(job.Executor)},
		{"at once", concurrencyText(job.Job)},
		{"timeout", durationText(job.Job)},
		{"retries", retriesText(job.Retries)},
		{"hooks", hooksText(job.Job)},
		{"loggers", strings.Join(job.Loggers, ", ")},
		{"priority", priorityText(job.Job)},
		{"declared", job.At},
	}))
}

func tagList(tags map[string]string) string {
	written := make([]string, 0, len(tags))
	for _, key := range sortedKeys(tags) {
		written = append(written, key+"="+tags[key])
	}
	return strings.Join(written, ", ")
}

func executorText(executor *plan.Executor) string {
	if executor == nil {
		return "the instance's"
	}
	return executor.String()
}

// concurrencyText says how many steps of one run are under way at once.
func concurrencyText(job plan.Job) string {
	var limits []string
	if job.MaxConcurrentSteps > 0 {
		limits = append(limits, fmt.Sprintf("%d steps", job.MaxConcurrentSteps))
	}
	for _, limit := range job.TagLimits {
		text := fmt.Sprintf("%d with the tag %s", limit.Limit, limit.Key)
		if limit.Value != "" {
			text += "=" + limit.Value
		}
		if limit.PerValue {
			text += " of each value"
		}
		limits = append(limits, text)
	}
	return strings.Join(limits, ", ")
}

func durationText(job plan.Job) string {
	if job.Timeout == 0 {
		return ""
	}
	return job.Timeout.String()
}

// retriesText says how often steps are tried again that do not say so themselves.
func retriesText(retries *plan.Retries) string {
	if retries == nil {
		return ""
	}
	text := strconv.Itoa(retries.Max) + " for each step"
	if retries.Delay > 0 {
		text += fmt.Sprintf(", after %s, %s", retries.Delay, cmp.Or(string(retries.Backoff), "constant"))
	}
	return text
}

func hooksText(job plan.Job) string {
	var when []string
	if job.OnSuccess {
		when = append(when, "when a step succeeds")
	}
	if job.OnFailure {
		when = append(when, "when a step fails")
	}
	return strings.Join(when, ", ")
}

func priorityText(job plan.Job) string {
	if job.Priority == 0 {
		return ""
	}
	return strconv.Itoa(int(job.Priority))
}
