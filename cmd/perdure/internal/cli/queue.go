package cli

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perdure-io/perdure/cmd/perdure/internal/render"
	"github.com/perdure-io/perdure/metadata"
	"github.com/perdure-io/perdure/plan"
	"github.com/perdure-io/perdure/starter"
	"github.com/perdure-io/perdure/wire"
)

func (a *app) queueCommand() *cobra.Command {
	cmd := group("queue", "Limit how many runs are in progress at once, and see what waits",
		"Limit how many runs are in progress at once, in all and by tag, and see which ones wait, in which order, for what and for whom.\n"+
			"A run that a limit holds back is planned and waits, QUEUED, without a worker. `perdure pool` limits steps.")
	cmd.AddCommand(a.queueShowCommand(), a.queueSetCommand())
	return cmd
}

func (a *app) queueShowCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "show", Short: "Show the limits, what is in progress, and what waits in its order", Args: arguments(cobra.NoArgs),
		Long: "Show the limits, the runs in progress, and what waits: runs in the order in which they begin, as far as limits let them,\n" +
			"and steps for slots of pools; each with what it waits for, and who holds that.",
		Example: "  perdure queue show\n  perdure queue show -o json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.showQueue(cmd.Context(), limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many rows of each list, at most 1000")
	return cmd
}

func (a *app) showQueue(ctx context.Context, limit int) error {
	if limit < 1 || limit > stepPage {
		return usagef("--limit is %d and must be 1 to %d", limit, stepPage)
	}
	store, _, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	queue, err := store.Queue(ctx, limit)
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(queue)
	}
	text := a.limitsText(queue.Limits)
	text += fmt.Sprintf("\n%s in progress\n", render.Count(queue.InProgressTotal, "run")) + a.queuedRuns(queue.InProgress)
	text += a.more(len(queue.InProgress), queue.InProgressTotal)
	text += fmt.Sprintf("\n%s waiting\n", render.Count(queue.WaitingTotal, "run")) + a.queuedRuns(queue.Waiting)
	text += a.more(len(queue.Waiting), queue.WaitingTotal)
	if queue.WaitingStepsTotal > 0 {
		text += fmt.Sprintf("\n%s waiting for slots\n", render.Count(queue.WaitingStepsTotal, "step")) + a.queuedSteps(queue.WaitingSteps)
		text += a.more(len(queue.WaitingSteps), queue.WaitingStepsTotal)
	}
	return a.print(text)
}

// more says how many rows a list has left out.
func (a *app) more(shown, total int) string {
	if total <= shown {
		return ""
	}
	return a.style().Faint(fmt.Sprintf("and %s more: --limit shows them", render.Number(int64(total-shown)))) + "\n"
}

func (a *app) limitsText(limits metadata.CurrentLimits) string {
	text := "any number of runs may be in progress"
	if limits.MaxConcurrentRuns != metadata.Unlimited {
		text = fmt.Sprintf("at most %s may be in progress", render.Count(limits.MaxConcurrentRuns, "run"))
	}
	for _, limit := range limits.TagLimits {
		text += fmt.Sprintf("\nat most %d of %s", limit.Limit, limit)
	}
	if limits.DefaultPoolLimit > 0 {
		text += fmt.Sprintf("\nat most %s in each pool that has no limit of its own", render.Count(limits.DefaultPoolLimit, string(limits.PoolGranularity)))
	}
	if !limits.SetAt.IsZero() {
		text += "\n" + a.style().Faint(setBy(limits.SetBy, limits.SetWhy, a.clock().Moment(limits.SetAt)))
	}
	return text + "\n"
}

// setBy says who set something, when and why.
func setBy(who, why, when string) string {
	text := fmt.Sprintf("set by %s, %s", who, when)
	if why != "" {
		text += ": " + render.OneLine(why)
	}
	return text
}

// ownTags are the tags but those of its partitions, which have a column of their own.
func ownTags(tags map[string]string) map[string]string {
	own := maps.Clone(tags)
	delete(own, plan.TagPartitionRangeStart)
	delete(own, plan.TagPartitionRangeEnd)
	return own
}

func (a *app) queuedRuns(runs []metadata.QueuedRun) string {
	if len(runs) == 0 {
		return ""
	}
	style, clock := a.style(), a.clock()
	rows := make([][]string, len(runs))
	for i, run := range runs {
		what := run.Job
		if what == "" {
			what = run.Selection
		}
		rows[i] = []string{
			run.RunID, style.RunStatus(run.Status), strconv.Itoa(int(run.Priority)), render.OneLine(what), run.Partition, render.Tags(ownTags(run.Tags)),
			render.Duration(clock.Now.Sub(run.Since)), run.Reason, run.Location,
		}
	}
	return style.Table([]render.Column{
		{Title: "run"},
		{Title: "status"},
		{Title: "priority", Right: true},
		{Title: "what"},
		{Title: "partition"},
		{Title: "tags"},
		{Title: "for", Right: true},
		{Title: "because it"},
		{Title: "location"},
	}, rows)
}

func (a *app) queuedSteps(steps []metadata.QueuedStep) string {
	if len(steps) == 0 {
		return ""
	}
	clock := a.clock()
	rows := make([][]string, len(steps))
	for i, step := range steps {
		rows[i] = []string{
			step.Pool, step.RunID, step.Step, strconv.Itoa(int(step.Priority)), render.Duration(clock.Now.Sub(step.Since)), step.Reason,
		}
	}
	return a.style().Table([]render.Column{
		{Title: "pool"},
		{Title: "run"},
		{Title: "step"},
		{Title: "priority", Right: true},
		{Title: "for", Right: true},
		{Title: "because it"},
	}, rows)
}

// queueSet are the flags of queue set: what was not given stays as it is.
type queueSet struct {
	runs, poolLimit      int
	tagLimits            []string
	noTagLimits          bool
	granularity, why     string
	givenRuns, givenPool bool
}

func (a *app) queueSetCommand() *cobra.Command {
	var options queueSet
	cmd := &cobra.Command{
		Use: "set", Short: "Change the limits of runs while they run", Args: arguments(cobra.NoArgs),
		Long: "Change the limits of runs, from now on: what is not given stays as it is. Runs in progress are never stopped by it; what has room\n" +
			"begins at once. A change holds until the section queue of the configuration says something new. Who called this, and --why,\n" +
			"are recorded.",
		Example: "  perdure queue set --max-concurrent-runs 10\n  perdure queue set --tag-limit heavy:1 --tag-limit 'team=*:3' --why 'the warehouse is slow today'\n" +
			"  perdure queue set --max-concurrent-runs -1 --no-tag-limits",
		RunE: func(cmd *cobra.Command, _ []string) error {
			options.givenRuns, options.givenPool = cmd.Flags().Changed("max-concurrent-runs"), cmd.Flags().Changed("default-pool-limit")
			return a.setQueue(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&options.runs, "max-concurrent-runs", 0, "most runs in progress at once; -1 is no bound, 0 begins none")
	flags.StringArrayVar(&options.tagLimits, "tag-limit", nil, "most runs with a tag, as heavy:1, team=a:2, or team=*:3 for each value; replaces all tag limits")
	flags.BoolVar(&options.noTagLimits, "no-tag-limits", false, "remove the limits by tag")
	flags.IntVar(&options.poolLimit, "default-pool-limit", 0, "limit of pools that have none of their own; 0 is none")
	flags.StringVar(&options.granularity, "pool-granularity", "", "what limits of pools count: step or run")
	flags.StringVar(&options.why, "why", "", "why, for people")
	return cmd
}

func (o queueSet) limits() (metadata.QueueLimits, error) {
	var limits metadata.QueueLimits
	if o.givenRuns {
		limits.MaxConcurrentRuns = &o.runs
	}
	if o.givenPool {
		limits.DefaultPoolLimit = &o.poolLimit
	}
	if o.granularity != "" {
		granularity := wire.PoolGranularity(o.granularity)
		limits.PoolGranularity = &granularity
	}
	if len(o.tagLimits) > 0 && o.noTagLimits {
		return limits, usagef("give --tag-limit or --no-tag-limits, not both")
	}
	if len(o.tagLimits) > 0 || o.noTagLimits {
		tags, err := tagLimits(o.tagLimits)
		if err != nil {
			return limits, usagef("--tag-limit: %v", err)
		}
		limits.TagLimits = &tags
	}
	if limits == (metadata.QueueLimits{}) {
		return limits, usagef("say what to change: --max-concurrent-runs, --tag-limit, --no-tag-limits, --default-pool-limit or --pool-granularity")
	}
	return limits, nil
}

func (a *app) setQueue(ctx context.Context, options queueSet) error {
	limits, err := options.limits()
	if err != nil {
		return err
	}
	return a.changeLimits(ctx, func(s *starter.Starter) (metadata.LimitsSet, error) {
		return s.SetQueueLimits(ctx, limits, a.env.User, options.why)
	}, "the limits of the queue")
}

// changeLimits changes limits, wakes what may go on since, and says so.
func (a *app) changeLimits(ctx context.Context, change func(*starter.Starter) (metadata.LimitsSet, error), what string) error {
	store, settings, err := a.store(ctx)
	if err != nil {
		return err
	}
	defer closeAll(store, nil)
	owed := owedBy(store)
	defer func() { owed.pay(ctx, settings) }()
	set, err := change(&starter.Starter{Store: store, Deployment: settings.Deployment})
	if err != nil {
		return err
	}
	if a.output == jsonFormat {
		return a.printJSON(set)
	}
	if !set.Changed {
		return a.print(what + " are as they were\n")
	}
	return a.print(what + " are set" + admittedText(set.Admitted) + "\n")
}

// admittedText says who may go on, as the end of a sentence.
func admittedText(admitted []wire.AdmittedRun) string {
	runs, steps := 0, 0
	for _, run := range admitted {
		if len(run.Steps) == 0 {
			runs++
		}
		steps += len(run.Steps)
	}
	var parts []string
	if runs > 0 {
		parts = append(parts, render.Count(runs, "run")+" may begin")
	}
	if steps > 0 {
		parts = append(parts, render.Count(steps, "step")+" may start")
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
